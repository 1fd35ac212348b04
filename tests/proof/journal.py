"""Power cuts, worked out: a journal of all that a process did to its files, and the disks it could leave behind.

A process runs under `journal.c` (LD_PRELOAD), which writes down every write, cut, sync, rename and unlink below one
directory, and every promise the process makes, in one order. `Disk` follows that journal record by record and says
what a power cut at that very moment may leave: at least what was synced, at most what was written; in between whole
writes, single sectors, in any order since the last sync, and names up to any point since their directory was synced.

Nothing here knows SQLite. `records` refuses a journal with anything in it that this model can't follow.
"""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator, Mapping, Sequence

SECTOR: Final = 512
"""What a disk writes whole or not at all (NVMe and SATA promise no more)."""

_HEADER: Final = struct.Struct("<B3xIIIQQ")
_SOURCE: Final = Path(__file__).with_name("journal.c")
_ROOT: Final = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Record:
    """One thing that happened; `kind` is a letter of `journal.c`."""

    kind: str
    inode: int
    offset: int
    first: str
    second: str
    data: bytes


class UntoldError(Exception):
    """The process did something to its files that the model can't follow: no conclusion may be drawn."""


def compiler() -> str | None:
    """The C compiler, if there is one."""
    return shutil.which("gcc") or shutil.which("cc")


def build(directory: Path) -> Path:
    """Compile the shim. Raises `subprocess.CalledProcessError`."""
    library = directory / "journal.so"
    command = compiler()
    assert command is not None
    subprocess.run(
        [command, "-O1", "-shared", "-fPIC", "-o", library, _SOURCE, "-lpthread"],
        check=True,
        capture_output=True,
    )
    return library


def recorded(
    library: Path, directory: Path, module: str, *arguments: str, environment: Mapping[str, str] | None = None
) -> list[Record]:
    """Run `python -m module directory marks arguments…` under the shim; what it did to `directory`.

    What `directory` holds before is taken as durable: give it to `Disk`.
    """
    log, marks = directory.with_suffix(".journal"), directory.with_suffix(".marks")
    marks.write_bytes(b"")
    subprocess.run(
        [sys.executable, "-m", module, directory, marks, *arguments],
        check=True,
        cwd=_ROOT,
        env={
            **os.environ,
            "LD_PRELOAD": str(library),
            "EDGED_JOURNAL_DIR": str(directory),
            "EDGED_JOURNAL_LOG": str(log),
            "EDGED_JOURNAL_MARKS": str(marks),
            **(environment or {}),
        },
    )
    found = list(records(log.read_bytes()))
    assert b"".join(one.data for one in found if one.kind == "P") == marks.read_bytes(), (
        "promises went unnoted"
    )
    return found


def records(journal: bytes) -> Iterator[Record]:
    """The journal's records, in order. Raises `UntoldError`."""
    at = 0
    while at < len(journal):
        kind, first, second, data, inode, offset = _HEADER.unpack_from(journal, at)
        at += _HEADER.size
        texts = journal[at : at + first + second].decode()
        at += first + second
        if chr(kind) == "!":
            raise UntoldError(texts)
        yield Record(chr(kind), inode, offset, texts[:first], texts[first:], journal[at : at + data])
        at += data


@dataclass(slots=True)
class _File:
    synced: bytes = b""
    now: bytearray = field(default_factory=bytearray)
    pending: list[Record] = field(default_factory=list)


Image = dict[str, bytes]
"""A directory's files by their relative name."""


class Disk:
    """A directory while a journal is followed: what a power cut would leave of it now."""

    def __init__(self, before: Mapping[str, bytes] | None = None) -> None:
        """Begin with the durable files `before`."""
        self._files: dict[int, _File] = {}
        self._names: dict[str, int] = {}
        self._durable: dict[str, int] = {}
        self._pending: list[tuple[str, Record, int]] = []  # directory, what was done to a name, which file
        self._folders: dict[int, str] = {}
        self._numbers: dict[int, int] = {}  # the kernel gives the numbers of deleted files out again
        self._fresh = 0
        self._before = dict(before or {})
        for name, content in self._before.items():
            self._names[name] = self._durable[name] = self._new(content)

    def _new(self, content: bytes = b"") -> int:
        self._fresh += 1
        self._files[self._fresh] = _File(content, bytearray(content))
        return self._fresh

    def learn(self, directory: Path) -> None:
        """The numbers that the files `before` have on the real disk; call it before the process starts."""
        self._folders[directory.stat().st_ino] = ""
        for name, number in self._names.items():
            self._numbers[(directory / name).stat().st_ino] = number

    def follow(self, record: Record) -> None:
        """Do what a record says."""
        match record.kind:
            case "C":
                number = self._new()
                self._numbers[record.inode] = number
                self._names[record.first] = number
                self._pending.append((_parent(record.first), record, number))
            case "W" | "T":
                file = self._files[self._numbers[record.inode]]
                file.pending.append(record)
                _apply(file.now, record)
            case "S":
                file = self._files[self._numbers[record.inode]]
                file.synced = bytes(file.now)
                file.pending.clear()
            case "D":
                self._sync_names(self._folders[record.inode])
            case "M":
                self._folders[record.inode] = record.first
                self._pending.append((_parent(record.first), record, 0))
            case "R":
                number = self._names.pop(record.first)
                self._names[record.second] = number
                self._pending.append((_parent(record.second), record, number))
            case "L":
                number = self._names[record.second] = self._names[record.first]
                self._pending.append((_parent(record.second), record, number))
            case "U":
                self._names.pop(record.first, None)
                self._pending.append((_parent(record.first), record, 0))

    def _sync_names(self, folder: str) -> None:
        left = []
        for pending in self._pending:
            if pending[0] == folder:
                _rename(self._durable, pending)
            else:
                left.append(pending)
        self._pending = left

    def now(self) -> Image:
        """What the processes see: everything written."""
        return {name: bytes(self._files[number].now) for name, number in self._names.items()}

    def synced(self, names: int = 0) -> Image:
        """Only what was synced, and of the names the first `names` changes since."""
        durable = dict(self._durable)
        for pending in self._pending[:names]:
            _rename(durable, pending)
        return {name: self._files[number].synced for name, number in durable.items()}

    @property
    def names_pending(self) -> int:
        """Changes of names that no sync of a directory has made durable."""
        return len(self._pending)

    def any(self, chance: random.Random) -> Image:
        """One disk that a power cut may leave: drawn from all of them.

        Of a file's writes since its last sync each is there, isn't, or is torn into sectors, in any order the
        disk liked: what overlaps ends as either says.
        """
        durable = dict(self._durable)
        for pending in self._pending[: chance.randint(0, len(self._pending))]:
            _rename(durable, pending)
        taste = chance.choice(("few", "many", "torn", "reordered"))
        return {name: _drawn(self._files[number], chance, taste) for name, number in durable.items()}


def _parent(name: str) -> str:
    return name.rpartition("/")[0]


def _rename(names: dict[str, int], pending: tuple[str, Record, int]) -> None:
    _, record, number = pending
    match record.kind:
        case "C":
            names[record.first] = number
        case "L":
            names[record.second] = number
        case "R":
            names.pop(record.first, None)
            names[record.second] = number
        case "U":
            names.pop(record.first, None)


def _apply(content: bytearray, record: Record) -> None:
    if record.kind == "T":
        del content[record.offset :]
        content.extend(bytes(record.offset - len(content)))
    else:
        end = record.offset + len(record.data)
        content.extend(bytes(max(end - len(content), 0)))
        content[record.offset : end] = record.data


def _drawn(file: _File, chance: random.Random, taste: str) -> bytes:
    share = {"few": 0.15, "many": 0.85, "torn": 0.5, "reordered": 0.5}[taste]
    content = bytearray(file.synced)
    kept = [record for record in file.pending if chance.random() < share]
    if taste == "reordered":
        # Cuts and writes of one file are ordered by the file system's own journal; writes among each other aren't.
        writes = [record for record in kept if record.kind == "W"]
        chance.shuffle(writes)
        kept = [record if record.kind == "T" else writes.pop() for record in kept]
    for record in kept:
        if record.kind == "W" and taste == "torn":
            for piece in _sectors(record):
                if chance.random() < share:
                    _apply(content, piece)
        else:
            _apply(content, record)
    return bytes(content)


def _sectors(record: Record) -> Iterator[Record]:
    """The pieces of a write that a disk may tear apart: at multiples of a sector in the file."""
    start, end = record.offset, record.offset + len(record.data)
    while start < end:
        stop = min((start // SECTOR + 1) * SECTOR, end)
        data = record.data[start - record.offset : stop - record.offset]
        yield Record("W", record.inode, start, "", "", data)
        start = stop


@dataclass(frozen=True, slots=True)
class Cut:
    """A power cut: before which record of the journal, what is left, and the promises made until then."""

    at: int
    how: str
    image: Image
    promises: bytes


def cuts(
    journal: Sequence[Record], disk: Disk, chance: random.Random, *, drawn: int, every: int = 1
) -> Iterator[Cut]:
    """The disks of a power cut before each record and at the end.

    Always the strictest (only what was synced), with no change of a name since its directory's sync, with each
    number of them. And `drawn` others of all that are possible, at every `every`th record. A disk that is the same
    as at the moment before comes once for every promise that was made meanwhile.
    """
    promises = b""
    seen: set[tuple[int, int]] = set()
    for at, record in enumerate([*journal, None]):
        if record is None or record.kind in "WTSDRUCL":
            for names in range(disk.names_pending + 1):
                image = disk.synced(names)
                key = (hash(frozenset(image.items())), len(promises))
                if key not in seen:
                    seen.add(key)
                    yield Cut(at, f"only what was synced, {names} names", image, promises)
            if record is None or (record.kind in "WTSD" and at % every == 0):
                for number in range(drawn):
                    yield Cut(at, f"drawn {number}", disk.any(chance), promises)
        if record is not None:
            if record.kind == "P":
                promises += record.data
            disk.follow(record)


def write_image(image: Image, directory: Path) -> None:
    """Make `directory` hold exactly `image`."""
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    for name, content in image.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def read_image(directory: Path) -> Image:
    """What `directory` holds."""
    return {
        str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()
    }
