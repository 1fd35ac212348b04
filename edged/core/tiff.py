"""Directories of TIFF files and of EXIF blocks (TIFF 6.0 §2): numbers in them, orientation, pages.

Every function takes untrusted bytes; nothing is allocated in proportion to what they claim.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_MAX_ENTRIES: Final = 4096
"""Entries followed in one directory: far beyond what writers produce."""
_MAX_NUMBERS: Final = 65_536
"""Values followed in one entry: strips of one row each of the tallest picture."""
_MAGIC: Final = (b"II*\x00", b"MM\x00*")
MAX_PAGES: Final = 100
"""Pages taken of one file: a dossier; more is no set of scanned documents."""


class Tiff:
    """One directory of a classic TIFF file: the first, or the one at `place`. Raises struct.error where it is cut."""

    _SIZES: Final = {3: 2, 4: 4}
    """Bytes of a SHORT and of a LONG."""

    def __init__(self, data: bytes, place: int | None = None) -> None:
        self.data = data
        self.order = "<" if data[:2] == b"II" else ">"
        if place is None:
            (place,) = struct.unpack_from(self.order + "I", data, 4)
        (count,) = struct.unpack_from(self.order + "H", data, place)
        self.entries: dict[int, tuple[int, int, int]] = {}
        for i in range(min(count, _MAX_ENTRIES)):
            at = place + 2 + 12 * i
            tag, kind, number = struct.unpack_from(self.order + "HHI", data, at)
            self.entries.setdefault(tag, (kind, number, at + 8))  # the first of two counts, as in libtiff
        self._end = place + 2 + 12 * count

    @property
    def following(self) -> int:
        """Where the next directory stands; 0 after the last."""
        if self._end + 4 > len(self.data):
            return 0
        place: int = struct.unpack_from(self.order + "I", self.data, self._end)[0]
        return place

    def odd(self, tags: frozenset[int]) -> bool:
        """Whether one of these tags holds a kind of number that `numbers` doesn't read and a decoder might."""
        return any(self.entries[tag][0] not in self._SIZES for tag in tags & self.entries.keys())

    def orientation(self) -> int:
        """Exif 2.32 §4.6.4 A, tag 274: 1 to 8; 1 when it isn't said."""
        value = self.first(274, 1)
        return value if 1 <= value <= 8 else 1

    def numbers(self, tag: int) -> Iterator[int]:
        """The values of a SHORT or LONG tag; nothing when it is absent."""
        kind, number, at = self.entries.get(tag, (0, 0, 0))
        if kind not in self._SIZES:
            return
        size = self._SIZES[kind]
        if size * number > 4:
            (at,) = struct.unpack_from(self.order + "I", self.data, at)
        form = self.order + ("H" if kind == 3 else "I")
        for i in range(min(number, _MAX_NUMBERS)):
            yield struct.unpack_from(form, self.data, at + i * size)[0]

    def first(self, tag: int, default: int) -> int:
        """The first value of a SHORT or LONG tag."""
        return next(self.numbers(tag), default)


def tiff_orientation(data: bytes) -> int:
    """The orientation tag of an EXIF block (a TIFF structure), 1 when it has none or is broken."""
    if not data.startswith(_MAGIC):
        return 1
    try:
        return Tiff(data).orientation()
    except struct.error:
        return 1


def tiff_pages(data: bytes, most: int = MAX_PAGES) -> list[int]:
    """Where the directories of a TIFF file's pages stand, the first first, `most` of them at most.

    Reduced copies of a page (tag 254, bit 0) are none. Empty for anything but a classic TIFF file.
    """
    if not data.startswith(_MAGIC):
        return []
    pages: list[int] = []
    seen: set[int] = set()
    try:
        (place,) = struct.unpack_from(("<" if data[:2] == b"II" else ">") + "I", data, 4)
        while place and place not in seen and len(seen) < _MAX_ENTRIES and len(pages) < most:
            seen.add(place)
            directory = Tiff(data, place)
            if not pages or not directory.first(254, 0) & 1:
                pages.append(place)
            place = directory.following
    except struct.error:
        pass  # what comes before the break is what there is
    return pages


def tiff_page(data: bytes, place: int) -> bytes:
    """The same file with the page at `place` as its first."""
    return data[:4] + struct.pack(("<" if data[:2] == b"II" else ">") + "I", place) + data[8:]
