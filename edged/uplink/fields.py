"""Fields that signed messages share, and their one spelling: canonical JSON, refused in any other.

Takes bytes, gives bytes; does no I/O.
"""

from __future__ import annotations

import threading
from typing import Annotated, Any, Final, TypeVar

import msgspec

from edged.errors import SignatureRefusedError

MAX_OPAQUE: Final = 128
"""Longest reference, purpose or operator pseudonym: a caller's own UUID, URN or order number fits."""

MAX_SEQ: Final = 2**53 - 1
"""Highest number that every JSON reader keeps exactly (RFC 8259 §6)."""

LAST_SECOND: Final = 253_402_300_799
"""The end of the year 9999, after which calendars of most languages give up."""

# In Python `$` also matches before a last line feed; the look-ahead closes that and means nothing elsewhere.
Name = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$(?!\n)", max_length=63)]
Token = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_.-]{1,64}$(?!\n)")]
Sha256 = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}$(?!\n)")]
Code = Annotated[str, msgspec.Meta(pattern=r"^[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)+$(?!\n)", max_length=64)]
"""A code of the message catalogue. A newer party may know more of them than its reader."""
Seq = Annotated[int, msgspec.Meta(ge=1, le=MAX_SEQ)]
Seconds = Annotated[int, msgspec.Meta(ge=0, le=LAST_SECOND)]
Opaque = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_OPAQUE)]
Word = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]

P = TypeVar("P", bound=msgspec.Struct)


def encode(payload: msgspec.Struct) -> bytes:
    """Canonical bytes: fields in the order of the struct, keys of maps sorted, no spaces."""
    return msgspec.json.encode(payload, order="deterministic")


def parse(data: bytes, model: type[P], code: str) -> P:
    """Decode strictly, and refuse any other spelling of the same content with `SignatureRefusedError(code)`.

    A payload that isn't canonical (a key twice, a number as 1e3, a default left out) could be read in two
    ways by two readers.
    """
    try:
        payload = decoder(model).decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        # From None: the library's text may quote the payload.
        raise SignatureRefusedError(code) from None
    if encode(payload) != data:
        raise SignatureRefusedError(code, "not in canonical form")
    return payload


_decoders: Final[dict[type[msgspec.Struct], msgspec.json.Decoder[Any]]] = {}
_building: Final = threading.Lock()


def decoder(model: type[P]) -> msgspec.json.Decoder[P]:
    """What reads `model`, made once and by one thread.

    msgspec finds out what a struct is made of when it first meets it, and a second thread that decodes with what the
    first has half found out crashes the process. Verifying threads of a collector all start with the same model.
    """
    found = _decoders.get(model)
    if found is None:
        with _building:
            found = _decoders.setdefault(model, msgspec.json.Decoder(model))
    return found
