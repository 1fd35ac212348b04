"""DG7: the displayed signature or usual mark of the holder (Doc 9303-10 §4.7.7): images, none of them decoded here."""

from __future__ import annotations

from typing import Final

from edged.core.emrtd import tlv
from edged.core.emrtd.face_record import is_image
from edged.core.emrtd.files import ElementaryFile
from edged.errors import DecodeError
from edged.identity import Sensitive

MAX_FILE_BYTES: Final = 1024 * 1024
"""Signatures have a few kilobytes."""
MAX_IMAGES: Final = 9
"""In one file. Documents show one; Doc 9303-10 sets no limit."""

_COUNT: Final = 0x02
_IMAGE: Final = 0x5F43
_WHAT: Final = "dg7"


def parse_dg7(dg7: bytes | memoryview) -> tuple[Sensitive[bytes], ...]:
    """The image files in DG7 (JPEG, JPEG 2000), in order; `edged.core.image.decode_image` opens them, bounded.

    Raises `DecodeError` ("dg7", "tlv.…" | "signature.malformed").
    """
    if len(dg7) > MAX_FILE_BYTES:
        raise DecodeError(_WHAT, "signature.malformed")
    assert ElementaryFile.DG7.tag is not None
    found: list[Sensitive[bytes]] = []
    for part in tlv.iterate(tlv.only(dg7, ElementaryFile.DG7.tag, _WHAT), _WHAT):
        if part.tag == _COUNT:
            continue
        if part.tag != _IMAGE or not is_image(part.value) or len(found) == MAX_IMAGES:
            raise DecodeError(_WHAT, "signature.malformed")
        found.append(Sensitive(bytes(part.value)))
    if not found:
        raise DecodeError(_WHAT, "signature.malformed")
    return tuple(found)
