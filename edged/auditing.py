"""Whether anything that lies on a disk holds raw values: every byte of every file, every row of every database.

Memory doesn't grow with what is searched: files are read in portions that overlap. SQLite's files are searched twice:
as bytes, where free pages and the log keep what was deleted, and row by row, since a long value lies in pieces that
SQLite's own pages part. Compressed files are searched as they are unpacked; what can't be unpacked here is told as not
searched. What is found is told by file, place and kind, never by value. Blocking.
"""

from __future__ import annotations

import bz2
import contextlib
import gzip
import lzma
import os
import sqlite3
import stat
import zipfile
import zlib
from typing import IO, TYPE_CHECKING, Final, cast

import msgspec

from edged.errors import ConfigError
from edged.privacy.leakscan import SHORTEST, SHORTEST_OTHER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from edged.privacy.leakscan import LeakScanner

PORTION: Final = 8 * 1024 * 1024
"""Bytes searched together; what can be decoded out of them takes several times as much memory."""
OVERLAP: Final = 256 * 1024
"""Bytes that two portions share: an encoded value, or a compressed member, that is longer may be cut in two."""
MAX_FINDINGS: Final = 10_000
"""What is told at most: the first of them say enough."""
MAX_VALUES: Final = 10_000
"""Of a file of values: some hundred documents."""
MAX_UNPACKED: Final = 64 * 1024**3
"""Bytes that one compressed file may come to: more is no backup of a box, and is told as not searched."""
_GZIP: Final = b"\x1f\x8b\x08"
_BZIP2: Final = b"BZh"
_XZ: Final = b"\xfd7zXZ\0"
_ZIP: Final = b"PK\x03\x04"
_UNKNOWN_PACKING: Final = (b"\x28\xb5\x2f\xfd", b"\x04\x22\x4d\x18", b"7z\xbc\xaf\x27\x1c", b"Rar!")
"""Zstandard, LZ4, 7-Zip, RAR."""
_BROKEN: Final = (OSError, sqlite3.Error, EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile)
_SQLITE: Final = b"SQLite format 3\0"
_BETWEEN: Final = b"\n\xff\n"


class Found(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where a raw value stands: at `offset` of the file, or in a row of `table`. `kind`, `encoding`: as `leakscan`."""

    file: str
    kind: str
    encoding: str
    offset: int | None = None
    table: str | None = None


class Audited(msgspec.Struct, frozen=True):
    """How a search ended. Clean only if nothing was found and everything was searched."""

    files: int
    octets: int
    found: tuple[Found, ...]
    not_searched: tuple[str, ...]
    """Files that couldn't be read, or whose contents couldn't be unpacked to their end."""


def audit(
    places: Iterable[Path],
    scanner: LeakScanner,
    *,
    on_progress: Callable[[int, int], None] = lambda _files, _octets: None,
) -> Audited:
    """Search every regular file that is one of `places` or lies below one; links aren't followed.

    `on_progress` hears how many files were begun and bytes read. A file that can't be read is told, and the rest is
    searched all the same.
    """
    files = octets = 0
    found: dict[Found, None] = {}
    not_searched: dict[str, None] = {}

    def note(one: Found) -> None:
        if one.kind == "not_scanned":
            not_searched[one.file] = None
        elif len(found) < MAX_FINDINGS:
            found[one] = None

    for path in _files(places, not_searched.setdefault):
        files += 1
        try:
            packed = _is_packed(path)
            with path.open("rb") as file:
                for begin, portion in _portions(file):
                    on_progress(files, octets)
                    octets += len(portion)
                    for one in scanner.scan(portion):
                        if not (packed and one.kind == "not_scanned"):  # it is unpacked below
                            note(Found(str(path), one.kind, one.encoding, begin + one.offset))
            for portion in _unpacked(path) if packed else ():
                on_progress(files, octets)
                octets += len(portion)
                for one in scanner.scan(portion):
                    note(Found(str(path), one.kind, _within_packed(one.encoding)))
            for table, rows in _rows(path):
                on_progress(files, octets)
                for one in scanner.scan(rows):
                    note(Found(str(path), one.kind, one.encoding, table=table))
        except FileNotFoundError:
            continue  # a daemon that runs writes files anew
        except _BROKEN:
            not_searched[str(path)] = None
    return Audited(files, octets, tuple(found), tuple(not_searched))


def read_values(path: Path) -> list[tuple[str, str]]:
    """(kind, value) of a file with a value a line, or `kind<TAB>value`; nobody but its owner may read it.

    Raises `ConfigError` (`audit.values_open`, `audit.values_bad`), `OSError`.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        if os.fstat(descriptor).st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise ConfigError("--values", "audit.values_open")
        return parse_values(file.read(PORTION + 1))


def parse_values(raw: bytes) -> list[tuple[str, str]]:
    """The same, from bytes.

    Raises `ConfigError` (`audit.values_bad`; `audit.value_too_short`: nothing would be searched for), whose text has
    nothing of them.
    """
    try:
        lines = [line.strip() for line in raw.decode("utf-8").splitlines()]
    except UnicodeDecodeError:
        raise ConfigError("--values", "audit.values_bad") from None
    values = []
    for line in filter(None, lines):
        kind, tab, value = line.partition("\t")
        values.append((kind, value) if tab else ("value", line))
    if not values or len(values) > MAX_VALUES or len(raw) > PORTION:
        raise ConfigError("--values", "audit.values_bad")
    for number, (_, value) in enumerate(values, 1):
        if sum(map(str.isalnum, value)) < (SHORTEST if value.isascii() else SHORTEST_OTHER):
            raise ConfigError("--values", "audit.value_too_short", number=str(number))
    return values


def _files(places: Iterable[Path], unreadable: Callable[[str], object]) -> Iterator[Path]:
    for place in places:
        if place.is_dir():
            for root, _, names in os.walk(
                place, onerror=lambda error: unreadable(str(error.filename)), followlinks=False
            ):
                yield from (one for name in sorted(names) if _is_file(one := place.__class__(root, name)))
        elif _is_file(place):
            yield place
        else:
            unreadable(str(place))


def _is_file(path: Path) -> bool:
    with contextlib.suppress(OSError):
        return stat.S_ISREG(path.lstat().st_mode)
    return False


def _portions(file: IO[bytes]) -> Iterator[tuple[int, bytes]]:
    begin, kept = 0, b""
    while more := file.read(PORTION):
        yield begin, kept + more
        begin += len(kept) + len(more)
        kept = more[-OVERLAP:] if len(more) == PORTION else b""
        begin -= len(kept)


def _is_packed(path: Path) -> bool:
    """Whether it begins as compressed files do. Raises `OSError`."""
    with path.open("rb") as file:
        return file.read(8).startswith((_GZIP, _BZIP2, _XZ, _ZIP, *_UNKNOWN_PACKING))


def _unpacked(path: Path) -> Iterator[bytes]:
    """What is in a compressed file, in portions that overlap. Raises one of `_BROKEN` for what can't be unpacked."""
    size = 0
    for member in _members(path):
        for _, portion in _portions(member):
            size += len(portion)
            if size > MAX_UNPACKED:
                raise EOFError
            yield portion


def _members(path: Path) -> Iterator[IO[bytes]]:
    with path.open("rb") as packed:
        magic = packed.read(8)
    if magic.startswith(_GZIP):
        with gzip.open(path) as file:
            yield cast("IO[bytes]", file)
    elif magic.startswith(_BZIP2):
        with bz2.open(path) as file:
            yield file
    elif magic.startswith(_XZ):
        with lzma.open(path) as file:
            yield file
    elif magic.startswith(_ZIP):
        with zipfile.ZipFile(path) as archive:
            for info in archive.infolist():
                try:
                    member = archive.open(info)
                except (RuntimeError, NotImplementedError):  # a password, a compressor that zipfile lacks
                    raise zipfile.BadZipFile from None
                with member:
                    yield member
    else:
        raise EOFError


def _within_packed(encoding: str) -> str:
    return "compressed" if encoding == "plain" else f"compressed/{encoding}"


def _rows(path: Path) -> Iterator[tuple[str, bytes]]:
    """The values of all rows, table by table, in portions; nothing of a file that is no database."""
    with path.open("rb") as file:
        if file.read(len(_SQLITE)) != _SQLITE:
            return
    with contextlib.closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
        names = [
            name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        ]
        for name in names:
            quoted = '"' + name.replace('"', '""') + '"'
            held, size = [], 0
            for row in connection.execute(f"SELECT * FROM {quoted}"):  # noqa: S608 - a table's own name, quoted
                for value in row:
                    if isinstance(value, int | str | bytes):  # a number of figures alone may be stored as one
                        held.append(value if isinstance(value, bytes) else str(value).encode())
                        size += len(held[-1])
                if size > PORTION:
                    yield name, _BETWEEN.join(held)
                    held, size = [], 0
            if held:
                yield name, _BETWEEN.join(held)
