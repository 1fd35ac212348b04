"""What DG11 and DG12 are made of: a list of the tags that are there, then a data object for each (Doc 9303-10 §4.7.11).

Texts are UTF-8. They end up on screens, so control characters are taken out of them.
"""

from __future__ import annotations

import datetime
import unicodedata
from typing import TYPE_CHECKING, Final

from edged.core.emrtd import tlv
from edged.errors import DecodeError
from edged.identity import Identity, Sensitive

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_FILE_BYTES: Final = 1024 * 1024
"""Scanned proofs and pages may lie in them; nothing that a chip could send within seconds is longer."""
MAX_FIELDS: Final = 64
"""Data objects in one file. Doc 9303-10 knows twelve for DG11 and nine for DG12; names may repeat."""
MAX_TEXT_BYTES: Final = 4096
"""Of one text: more than any form has room for."""

_TAG_LIST: Final = 0x5C
_REPEATED: Final = 0xA0
"""Holds a count and that many data objects of one tag (other names, other persons)."""
_COUNT: Final = 0x02


class Details(Identity):
    """The data objects of such a file, and ways to read them.

    Attributes:
        unreadable: names of fields that are there and can't be read (not UTF-8, not a date).
    """

    __slots__ = ("_fields", "unreadable")

    def __init__(self, file: bytes | memoryview, tag: int, what: str) -> None:
        self._fields = _fields(file, tag, what)
        self.unreadable: tuple[str, ...] = ()

    def _text(self, tag: int, name: str) -> Sensitive[str] | None:
        found = self._texts(tag, name)
        return found[0] if found else None

    def _texts(self, tag: int, name: str) -> tuple[Sensitive[str], ...]:
        texts = [text_of(value) for value in self._fields.get(tag, ())]
        if None in texts:
            self._cannot_read(name)
        return tuple(Sensitive(text) for text in texts if text is not None)

    def _parts(self, tag: int, name: str) -> tuple[Sensitive[str], ...]:
        """The parts of a text that fillers separate (Doc 9303-10 §4.7.11, place of birth, address)."""
        whole = self._text(tag, name)
        if whole is None:
            return ()
        parts = (part.strip() for part in whole.reveal().split("<"))
        return tuple(Sensitive(part) for part in parts if part)

    def _octets(self, tag: int) -> Sensitive[bytes] | None:
        values = self._fields.get(tag)
        return Sensitive(bytes(values[0])) if values else None

    def _digits(self, tag: int, name: str, count: int) -> Sensitive[str] | None:
        """A date or time of `count` digits, as characters or two to an octet (BCD)."""
        values = self._fields.get(tag)
        if not values:
            return None
        found = digits_of(values[0], count)
        if found is None:
            self._cannot_read(name)
            return None
        return Sensitive(found)

    def _cannot_read(self, name: str) -> None:
        if name not in self.unreadable:
            self.unreadable = (*self.unreadable, name)


def text_of(value: memoryview) -> str | None:
    """A text without control characters; None when it isn't UTF-8 or is longer than `MAX_TEXT_BYTES`."""
    if len(value) > MAX_TEXT_BYTES:
        return None
    try:
        text = bytes(value).decode("utf-8")
    except UnicodeDecodeError:
        return None
    return "".join(" " if _misleads(char) else char for char in text).strip()


def _misleads(char: str) -> bool:
    """Whether a character would steer a terminal, or show another text than is there (turned writing)."""
    return unicodedata.category(char) in {"Cc", "Cf", "Zl", "Zp"} and char not in _JOINERS


_JOINERS: Final = "\u200c\u200d"
"""Spelling needs them in Persian and Indic names."""


def digits_of(value: memoryview, count: int) -> str | None:
    """`count` digits written as characters or as BCD; None for anything else."""
    if len(value) == count:
        text = bytes(value).decode("latin-1")
    elif len(value) == count // 2:
        text = bytes(value).hex()
    else:
        return None
    return text if text.isascii() and text.isdigit() else None


def day_of(text: str) -> datetime.date | None:
    """The day that eight digits name (YYYYMMDD), None where there is no such day: unknown parts are zeros."""
    try:
        return datetime.date(int(text[:4]), int(text[4:6]), int(text[6:8]))
    except ValueError:
        return None


def _fields(file: bytes | memoryview, tag: int, what: str) -> Mapping[int, list[memoryview]]:
    """Values by tag. What the tag list says is not believed: the data objects are read."""
    if len(file) > MAX_FILE_BYTES:
        raise DecodeError(what, "details.too_large")
    found: dict[int, list[memoryview]] = {}
    count = 0
    for part in tlv.iterate(tlv.only(file, tag, what), what):
        inner = tlv.iterate(part.value, what) if part.tag == _REPEATED else (part,)
        for item in inner:
            count += 1
            if count > MAX_FIELDS:
                raise DecodeError(what, "details.too_many")
            if item.tag not in (_TAG_LIST, _COUNT):
                found.setdefault(item.tag, []).append(item.value)
    return found
