"""Whether anything that lies on a disk holds raw values: every byte of every file, every row of every database.

Memory doesn't grow with what is searched: files are read in portions that overlap. SQLite's files are searched twice:
as bytes, where free pages and the log keep what was deleted, and row by row, since a long value lies in pieces that
SQLite's own pages part. What is found is told by file, place and kind, never by value. Blocking.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import stat
from typing import TYPE_CHECKING, Final

import msgspec

from edged.errors import ConfigError

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
            for begin, portion in _portions(path):
                on_progress(files, octets)
                octets += len(portion)
                for one in scanner.scan(portion):
                    note(Found(str(path), one.kind, one.encoding, begin + one.offset))
            for table, rows in _rows(path):
                for one in scanner.scan(rows):
                    note(Found(str(path), one.kind, one.encoding, table=table))
        except FileNotFoundError:
            continue  # a daemon that runs writes files anew
        except (OSError, sqlite3.Error):
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
    """The same, from bytes. Raises `ConfigError` (`audit.values_bad`), whose text has nothing of them."""
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


def _portions(path: Path) -> Iterator[tuple[int, bytes]]:
    with path.open("rb") as file:
        begin, kept = 0, b""
        while more := file.read(PORTION):
            yield begin, kept + more
            begin += len(kept) + len(more)
            kept = more[-OVERLAP:] if len(more) == PORTION else b""
            begin -= len(kept)


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
                    if isinstance(value, str | bytes):
                        held.append(value.encode() if isinstance(value, str) else value)
                        size += len(held[-1])
                if size > PORTION:
                    yield name, _BETWEEN.join(held)
                    held, size = [], 0
            if held:
                yield name, _BETWEEN.join(held)
