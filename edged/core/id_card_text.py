"""The text that a SAM module delivers of a Chinese ID card: 256 octets, UCS-2 little-endian, in one of four layouts.

Nothing is judged here: fields are cut out and trimmed. Sources: the field maps of SAM vendors' development kits, which
agree with one another; each of them fills the 256 octets.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Final, NamedTuple

from edged.errors import DecodeError
from edged.identity import Sensitive

if TYPE_CHECKING:
    from collections.abc import Mapping

TEXT_OCTETS: Final = 256
"""Length of the text; a longer or shorter one is none."""

_FLAG: Final = 248
"""Where the octet pair stands that says which layout this is."""

PADDING: Final = " \0\u3000"
"""Spaces; some personalisation centres leave zeros, or the space that is as wide as a Chinese character."""


class IdCardKind(StrEnum):
    """Which of the four text layouts (GA/T 467, type flag at octet 248)."""

    CITIZEN = "citizen_id_card"
    PERMANENT_RESIDENT_2017 = "permanent_resident_card_2017"
    PERMANENT_RESIDENT_2023 = "permanent_resident_card_2023"
    RESIDENCE_PERMIT = "residence_permit"


class TextField(NamedTuple):
    """Where a field stands, in octets; two of them make a character."""

    start: int
    octets: int


_COMMON: Final = {
    "chinese_name": TextField(0, 30),
    "sex": TextField(30, 2),
    "birth_date": TextField(36, 16),
    "document_number": TextField(122, 36),
    "issue_date": TextField(188, 16),
    "expiry_date": TextField(204, 16),
}
_AT_HOME: Final = _COMMON | {"address": TextField(52, 70), "authority": TextField(158, 30)}

LAYOUTS: Final[Mapping[IdCardKind, Mapping[str, TextField]]] = {
    IdCardKind.CITIZEN: _AT_HOME | {"nation": TextField(32, 4)},
    IdCardKind.RESIDENCE_PERMIT: _AT_HOME
    | {"permit_number": TextField(220, 18), "issue_count": TextField(238, 4)},
    IdCardKind.PERMANENT_RESIDENT_2017: {
        "english_name": TextField(0, 120),
        "sex": TextField(120, 2),
        "document_number": TextField(122, 30),
        "nationality": TextField(152, 6),
        "chinese_name": TextField(158, 30),
        "issue_date": TextField(188, 16),
        "expiry_date": TextField(204, 16),
        "birth_date": TextField(220, 16),
        "card_version": TextField(236, 4),
        "authority": TextField(240, 8),
    },
    IdCardKind.PERMANENT_RESIDENT_2023: _COMMON
    | {
        "issue_count": TextField(32, 4),
        "english_name": TextField(52, 70),
        "english_name_rest": TextField(220, 22),
        "nationality": TextField(242, 6),
        "link": TextField(250, 6),
    },
}
"""The fields of each layout by name."""

_KINDS: Final = {
    " ": IdCardKind.CITIZEN,
    "\0": IdCardKind.CITIZEN,
    "I": IdCardKind.PERMANENT_RESIDENT_2017,
    "Y": IdCardKind.PERMANENT_RESIDENT_2023,
    "J": IdCardKind.RESIDENCE_PERMIT,
}


def kind_of(text: bytes | bytearray | memoryview) -> IdCardKind:
    """Which card `text` is of.

    Raises `DecodeError("id_card", code)`: "idcard.text_length", "idcard.unknown_kind".
    """
    if len(text) != TEXT_OCTETS:
        raise DecodeError("id_card", "idcard.text_length")
    kind = _KINDS.get(_characters(text, TextField(_FLAG, 2)))
    if kind is None:
        raise DecodeError("id_card", "idcard.unknown_kind")
    return kind


def fields_of(text: bytes | bytearray | memoryview) -> Sensitive[dict[str, str]]:
    """Every field of the card's layout without its padding; what is no UCS-2 becomes U+FFFD. Raises as `kind_of`."""
    found = {name: _characters(text, field) for name, field in LAYOUTS[kind_of(text)].items()}
    rest = found.pop("english_name_rest", "")
    if "english_name" in found:  # joined before trimming: a space may stand where it is broken
        found["english_name"] += rest
    return Sensitive({name: value.strip(PADDING) for name, value in found.items()})


def _characters(text: bytes | bytearray | memoryview, field: TextField) -> str:
    cut = memoryview(text)[field.start : field.start + field.octets]
    return str(cut, "utf-16-le", "replace")
