"""What dm-log-writes recorded, and every disk that a power cut could have left behind.

The kernel's target writes every completed write to a second device, in an order in which they may have reached the
medium: a write stands in the log before a flush only if that flush made it durable (Linux,
Documentation/admin-guide/device-mapper/log-writes.rst). What follows the last flush is in the drive's volatile cache: a
cut may keep any part of it, except that a write with FUA was on the medium when it was reported. Pure: takes bytes,
gives writes.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator
    from typing import BinaryIO

SECTOR: Final = 512
"""What a disk writes whole or not at all."""

_MAGIC: Final = 0x6A736677736872
_SUPER: Final = struct.Struct("<QQQI")
_ENTRY: Final = struct.Struct("<QQQQ")
_FLUSH, _FUA, _DISCARD, _MARK = 1, 2, 4, 8
_LAST_MARK: Final = "dm-log-writes-end"  # the kernel's own, when the recorded device is removed


class Write(msgspec.Struct, frozen=True):
    """`data` at byte `offset`; `lasting` when it was on the medium before anybody heard that it was done (FUA)."""

    offset: int
    data: bytes
    lasting: bool = False


class Entry(msgspec.Struct, frozen=True):
    """One entry of the log. A flush comes before the entry's own write. `mark` is what a test wrote into the log."""

    flush: bool
    write: Write | None
    mark: str | None


class Cut(msgspec.Struct, frozen=True):
    """A power cut: first `lasting` goes for good onto the disk of the cut before, then `kept` is what of the cache
    made it in this cut alone. `mark` is the last mark before it; `kind` says what was cut where."""

    kind: str
    mark: str | None
    lasting: tuple[Write, ...]
    kept: tuple[Write, ...]


class LogError(Exception):
    """This is no log of dm-log-writes, or not one of this version."""


def entries(log: BinaryIO) -> Iterator[Entry]:
    """The entries of a log device."""
    header = log.read(_SUPER.size)
    magic, version, count, sector = _SUPER.unpack(header.ljust(_SUPER.size, b"\0"))
    if magic != _MAGIC or version != 1:
        raise LogError("no dm-log-writes here")
    position = sector
    for _ in range(count):
        log.seek(position)
        block = log.read(sector)
        if len(block) < sector:
            raise LogError("the log ends too early: its device was too small")
        at, sectors, flags, length = _ENTRY.unpack_from(block)
        position += sector
        mark = block[_ENTRY.size :][:length].decode() if flags & _MARK else None
        if mark == _LAST_MARK:
            return
        write = None
        if sectors and flags & _DISCARD:
            write = Write(
                at * sector, bytes(sectors * sector)
            )  # zeroes are what such a disk answers afterwards
        elif sectors:
            write = Write(at * sector, log.read(sectors * sector), bool(flags & _FUA))
            position += sectors * sector
        yield Entry(bool(flags & _FLUSH), write, mark)


def cuts(log: Iterator[Entry], chance: random.Random, share: float) -> Iterator[Cut]:
    """Power cuts all along the log: one at every flush, every write with FUA and every mark, and one after a
    `share` of the other writes.

    Of what was in the cache at that moment a cut keeps nothing, everything, any subset, or everything with its last
    write torn between two sectors.
    """
    mark: str | None = None
    cache: list[Write] = []
    settled: list[Write] = []

    def cut(kind: str, kept: list[Write]) -> Cut:
        lasting = tuple(settled)
        settled.clear()
        return Cut(kind, mark, lasting, tuple(kept))

    for entry in log:
        if entry.flush:
            # The flush before its answer: some of the cache is on the medium.
            if cache and chance.random() < share:
                yield cut("in a flush", _subset(cache, chance))
            settled += cache
            cache = []
            yield cut("after a flush", [])
        if entry.write is not None:
            cache.append(entry.write)
            if entry.write.lasting:
                yield cut("after a lasting write", _subset(cache, chance))
            elif chance.random() < share:
                how = chance.choice((_everything, _subset, _torn))
                yield cut(f"{how.__name__[1:]} of the cache", how(cache, chance))
        if entry.mark is not None:
            mark = entry.mark
            yield cut("after a mark", [write for write in cache if write.lasting])


def _everything(cache: list[Write], chance: random.Random) -> list[Write]:
    return list(cache)


def _subset(cache: list[Write], chance: random.Random) -> list[Write]:
    return [write for write in cache if write.lasting or chance.random() < 0.5]


def _torn(cache: list[Write], chance: random.Random) -> list[Write]:
    last = cache[-1]
    if last.lasting or len(last.data) <= SECTOR:
        return _subset(cache, chance)
    length = SECTOR * chance.randrange(1, len(last.data) // SECTOR)
    return [*cache[:-1], Write(last.offset, last.data[:length])]
