"""Rows out of a SQLite file that SQLite won't open: its pages one by one, with the write-ahead log laid over them.

Reads table leaves only (https://www.sqlite.org/fileformat2.html, §1.5, §1.6, §2 and §4) and believes nothing: what
doesn't fit is no row. Bounded by the size of the file in time, by one page and one record in memory.
"""

from __future__ import annotations

import os
import struct
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MAGIC: Final = b"SQLite format 3\0"
PAGE_SIZE: Final = 4096
"""SQLite's own, and so that of every file we made; taken where the header can't be read."""

MAX_RECORD: Final = 1 << 20
"""Bytes of one row: an envelope has under 64 KiB."""

WAL_HEADER: Final = 32
_FRAME_HEADER: Final = 24
_WAL_MAGIC: Final = 0x377F0682
_WAL_VERSION: Final = 3007000
_LEAF: Final = 0x0D
_INTEGER_BYTES: Final = {1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8}
_ZERO: Final = 8
_ONE: Final = 9
_FIRST_BLOB: Final = 12
_LONGEST_VARINT: Final = 9

Value = int | str | None
Record = tuple[int, list[Value]]
"""(rowid, columns)"""


class _Broken(Exception):  # noqa: N818 - never leaves this module
    """Something that can't be a row."""


class Pages:
    """The pages of a database file as its last commit left them, as far as they are there. Raises `OSError`."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb")
        self._wal = None
        self._frames: dict[int, int] = {}
        try:
            header = self._file.read(100)
            self.size = _page_size(header)
            self.count = -(-os.fstat(self._file.fileno()).st_size // self.size)
            log = path.with_name(f"{path.name}-wal")
            if log.exists():
                self._wal = log.open("rb")
                self._read_wal()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the files."""
        self._file.close()
        if self._wal is not None:
            self._wal.close()

    def page(self, number: int) -> bytes | None:
        """Page `number` (from 1), whole, or None."""
        if number in self._frames and self._wal is not None:
            self._wal.seek(self._frames[number])
            data = self._wal.read(self.size)
        else:
            self._file.seek((number - 1) * self.size)
            data = self._file.read(self.size)
        return data if len(data) == self.size else None

    def rows(self) -> Iterator[Record]:
        """Every row of every table that can be read, in no particular order."""
        for number in range(1, self.count + 1):
            page = self.page(number)
            if page is not None:
                yield from self._rows_of(page, 100 if number == 1 else 0)

    def _rows_of(self, page: bytes, start: int) -> Iterator[Record]:
        if page[start] != _LEAF:
            return
        cells = int.from_bytes(page[start + 3 : start + 5])
        for index in range(min(cells, self.size // 4)):
            at = start + 8 + 2 * index
            try:
                yield self._cell(page, int.from_bytes(page[at : at + 2]))
            except (_Broken, UnicodeDecodeError):
                continue

    def _cell(self, page: bytes, at: int) -> Record:
        length, at = _varint(page, at)
        rowid, at = _varint(page, at)
        if length > MAX_RECORD:
            raise _Broken
        most = self.size - 35
        if length <= most:
            payload = page[at : at + length]
        else:
            least = (self.size - 12) * 32 // 255 - 23
            local = least + (length - least) % (self.size - 4)
            local = local if local <= most else least
            pieces = [page[at : at + local]]
            self._overflow(pieces, int.from_bytes(page[at + local : at + local + 4]), length - local)
            payload = b"".join(pieces)
        if len(payload) != length:
            raise _Broken
        return rowid, _columns(payload)

    def _overflow(self, pieces: list[bytes], number: int, left: int) -> None:
        while left > 0:
            page = self.page(number) if 0 < number <= self.count else None
            if page is None:
                raise _Broken
            pieces.append(page[4 : 4 + left])
            left -= len(pieces[-1])
            number = int.from_bytes(page[:4])

    def _read_wal(self) -> None:
        """Find the last committed frame of every page; everything behind the first bad frame was never committed."""
        assert self._wal is not None
        header = self._wal.read(WAL_HEADER)
        if not wal_header_holds(header):
            return
        order = ">" if header[3] & 1 else "<"
        salts = header[16:24]
        if int.from_bytes(header[8:12]) != self.size:
            return
        sums = _checksum(header[:24], (0, 0), order)
        open_frames: dict[int, int] = {}
        while len(frame := self._wal.read(_FRAME_HEADER + self.size)) == _FRAME_HEADER + self.size:
            sums = _checksum(frame[_FRAME_HEADER:], _checksum(frame[:8], sums, order), order)
            if frame[8:16] != salts or struct.unpack(">II", frame[16:24]) != sums:
                return
            number, commit = struct.unpack(">II", frame[:8])
            open_frames[number] = self._wal.tell() - self.size
            if commit:
                self._frames |= open_frames
                open_frames.clear()
                self.count = max(self.count, commit)


def wal_header_holds(header: bytes) -> bool:
    """Whether a write-ahead log begins as SQLite begins one."""
    if len(header) < WAL_HEADER:
        return False
    magic, version = struct.unpack(">II", header[:8])
    if magic & ~1 != _WAL_MAGIC or version != _WAL_VERSION:
        return False
    order = ">" if magic & 1 else "<"
    return struct.unpack(">II", header[24:32]) == _checksum(header[:24], (0, 0), order)


def _page_size(header: bytes) -> int:
    if header[: len(MAGIC)] != MAGIC:
        return PAGE_SIZE
    size = int.from_bytes(header[16:18])
    size = 65536 if size == 1 else size
    return size if 512 <= size <= 65536 and size & (size - 1) == 0 else PAGE_SIZE


def _checksum(data: bytes, sums: tuple[int, int], order: str) -> tuple[int, int]:
    first, second = sums
    words = struct.unpack(f"{order}{len(data) // 4}I", data)
    for index in range(0, len(words), 2):
        first = (first + words[index] + second) & 0xFFFFFFFF
        second = (second + words[index + 1] + first) & 0xFFFFFFFF
    return first, second


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for index in range(_LONGEST_VARINT):
        if at >= len(data):
            raise _Broken
        byte = data[at]
        at += 1
        if index == _LONGEST_VARINT - 1:
            value = value << 8 | byte
            break
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            break
    return (value - 2**64 if value >= 2**63 else value), at


def _columns(payload: bytes) -> list[Value]:
    """The columns of a record; none of ours is a float or a blob."""
    size, at = _varint(payload, 0)
    if not at <= size <= len(payload):
        raise _Broken
    body = size
    columns: list[Value] = []
    while at < size:
        kind, at = _varint(payload, at)
        if kind == 0:
            columns.append(None)
        elif kind in (_ZERO, _ONE):
            columns.append(kind - _ZERO)
        elif kind in _INTEGER_BYTES:
            width = _INTEGER_BYTES[kind]
            columns.append(int.from_bytes(_take(payload, body, width), signed=True))
            body += width
        elif kind > _FIRST_BLOB and kind % 2 == 1:
            width = (kind - 13) // 2
            columns.append(_take(payload, body, width).decode())
            body += width
        else:
            raise _Broken
    return columns


def _take(payload: bytes, at: int, width: int) -> bytes:
    if at + width > len(payload):
        raise _Broken
    return payload[at : at + width]
