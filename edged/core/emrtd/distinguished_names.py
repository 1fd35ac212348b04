"""Distinguished names of certificates: comparing them as issuers write them, and showing them.

One name is written with other string types, other case, other spacing and another order of its parts in a
certificate, in the issuer field of those it signed and in a SignerInfo; such differences don't count.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from asn1crypto import core

from edged.core.emrtd import asn1
from edged.errors import DecodeError

MAX_ATTRIBUTES: Final = 32
"""Of one name; real ones have up to eight."""
MAX_TEXT: Final = 160
"""Characters of one attribute that are shown."""

_COUNTRY: Final = "2.5.4.6"
_CODE: Final = re.compile("[A-Z]{2,3}", re.ASCII)
_LABELS: Final = {
    "2.5.4.3": "CN",
    "2.5.4.5": "serialNumber",
    _COUNTRY: "C",
    "2.5.4.7": "L",
    "2.5.4.8": "ST",
    "2.5.4.10": "O",
    "2.5.4.11": "OU",
    "1.2.840.113549.1.9.1": "email",
    "0.9.2342.19200300.100.1.25": "DC",
}
_CODINGS: Final = {0x0C: "utf-8", 0x1E: "utf-16-be", 0x1C: "utf-32-be"}  # all others: Latin-1


class _Attribute(core.Sequence):  # type: ignore[misc]
    _fields = [("type", core.ObjectIdentifier), ("value", core.Any)]  # noqa: RUF012


class _Relative(core.SetOf):  # type: ignore[misc]
    _child_spec = _Attribute


class _NameType(core.SequenceOf):  # type: ignore[misc]
    _child_spec = _Relative


@dataclass(frozen=True)
class Name:
    """A distinguished name.

    Attributes:
        attributes: (type, text), in the order written; text with nothing that can't be printed.
        normal: what two writings of one name have in common, for comparing.
    """

    attributes: tuple[tuple[str, str], ...]
    normal: tuple[tuple[str, str], ...]

    @property
    def country(self) -> str | None:
        """The countryName, upper case; None without, and for what is no code of two or three letters."""
        named = next((text.strip().upper() for kind, text in self.attributes if kind == _COUNTRY), "")
        return named if _CODE.fullmatch(named) else None

    @property
    def text(self) -> str:
        """For people: "C=DE, O=bund, CN=csca-germany"."""
        return ", ".join(f"{_LABELS.get(kind, kind)}={text}" for kind, text in self.attributes)

    @cached_property
    def digest(self) -> str:
        """SHA-256 over `normal`, hexadecimal: a key for an index on disk."""
        hashed = hashlib.sha256()
        for kind, text in self.normal:
            hashed.update(f"{kind}={text}\0".encode())
        return hashed.hexdigest()


def read_name(der: bytes, what: str = "certificate") -> Name:
    """A Name (RFC 5280 §4.1.2.4). Raises `DecodeError` (`what`, "pki.malformed")."""
    attributes = []
    with asn1.guarded(what, "pki.malformed"):
        for relative in _NameType.load(der, strict=True):
            for attribute in relative:
                attributes.append((attribute["type"].dotted, _text(attribute["value"].dump())))
                if len(attributes) > MAX_ATTRIBUTES:
                    raise DecodeError(what, "pki.malformed")
    return Name(
        tuple((kind, _printable(text)[:MAX_TEXT]) for kind, text in attributes),
        tuple(sorted((kind, _normal(text)) for kind, text in attributes)),
    )


def _text(der: bytes) -> str:
    value = core.Any.load(der, strict=True)
    return str(value.contents.decode(_CODINGS.get(der[0], "latin-1"), "replace"))


def _printable(text: str) -> str:
    return "".join(char if char.isprintable() else "?" for char in text)


def _normal(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())
