"""The trust store's directory: generations, which of them is in force, and the way back.

Files rather than a database: a generation is written once, under its own name, and never touched again; `manifest` says
which one is in force and what its digest is, and is replaced by one rename. So a reader needs no lock, no recovery and
no right to write, and the daemon may run as another user than the one who imports. (SQLite wants a writable directory
for its log, or for rolling back what a killed import left: a box that can't start because of that trusts nobody.)
Killed at any moment, an import leaves the manifest, and with it the store, as it was or as it is to be; files that no
manifest names are swept away by the next one.

Everything that is loaded is checked against its digest, and the generation's digest against the manifest's: a damaged
store is refused whole. Digests are against accidents; against people there are owner and mode, which are checked.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
from datetime import datetime
from typing import TYPE_CHECKING, Final

import msgspec

from edged.errors import StateError
from edged.trust import generation as generations
from edged.trust import sealed_file
from edged.trust.generation import EMPTY, Generation

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KEPT: Final = 10
"""Generations kept for a way back: about a year of monthly lists, 1 MB each."""

_MANIFEST: Final = "manifest"
_GENERATION_FILE: Final = re.compile(r"generation-[0-9]+")
_LEFTOVER: Final = re.compile(r"\.(manifest|generation-[0-9]+)\.new")


class Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the manifest says of a generation: number, digest of its content, when it was made, how much it holds."""

    number: int
    sha256: str
    made: datetime
    certificates: int
    crls: int
    roots: int


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which generation is in force, since when, and which others there are, oldest first."""

    current: int
    since: datetime
    generations: tuple[Record, ...]

    def record(self, number: int) -> Record | None:
        """What is known of a generation; None when it isn't kept."""
        return next((record for record in self.generations if record.number == number), None)


class TrustStore:
    """A directory that holds trust data. Nothing is cached: every call reads what is there."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def manifest(self) -> Manifest | None:
        """None for a store that nothing was ever imported into. Raises `StateError`."""
        with self._opened() as at:
            return None if at is None else _manifest(at)

    def mark(self) -> tuple[int, int, int] | None:
        """Changes whenever another generation is put in force; costs one look at the disk."""
        try:
            status = (self.directory / _MANIFEST).stat()
        except OSError:
            return None
        return status.st_ino, status.st_mtime_ns, status.st_size

    def current(self) -> Generation:
        """The generation in force, whole and checked; `EMPTY` before the first import. Raises `StateError`."""
        with self._opened() as at:
            if at is None:
                return EMPTY
            manifest = _manifest(at)
            # An import between these two looks is no harm: it takes more than KEPT of them to sweep this away.
            return EMPTY if manifest is None else _generation(at, manifest, manifest.current)

    @contextlib.contextmanager
    def changing(self) -> Iterator[Change]:
        """The one who may change the store, made if need be. Raises `StateError` (truststore.in_use, …)."""
        try:
            self.directory.mkdir(parents=True)
            self.directory.chmod(0o755)  # whatever the umask: the daemon's user reads what root imported
            sealed_file.keep_name(self.directory)
        except FileExistsError:
            pass
        except OSError as error:
            raise StateError("truststore.unusable", f"{self.directory}: {error.strerror}") from error
        with self._opened() as at:
            if at is None:
                raise StateError("truststore.unusable", str(self.directory))
            try:
                fcntl.flock(at, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise StateError("truststore.in_use") from error
            yield Change(at)

    @contextlib.contextmanager
    def _opened(self) -> Iterator[int | None]:
        try:
            at = os.open(self.directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError:
            yield None
            return
        except OSError as error:
            raise StateError("truststore.unusable", f"{self.directory}: {error.strerror}") from error
        try:
            sealed_file.check_owner(os.fstat(at), str(self.directory))
            yield at
        finally:
            os.close(at)


class Change:
    """A store under lock. See `TrustStore.changing`."""

    def __init__(self, directory: int) -> None:
        self._at = directory
        self._manifest = _manifest(directory)

    def current(self) -> Generation:
        """See `TrustStore.current`."""
        manifest = self._manifest
        return EMPTY if manifest is None else _generation(self._at, manifest, manifest.current)

    def commit(self, content: Generation, now: datetime) -> int:
        """Write a generation and put it in force; its number and origin are set here. Raises `StateError`."""
        kept = () if self._manifest is None else self._manifest.generations
        number = max((record.number for record in kept), default=0) + 1
        previous = 0 if self._manifest is None else self._manifest.current
        content = msgspec.structs.replace(content, number=number, previous=previous, made=now)
        octets = generations.encode(content)
        sealed_file.write(self._at, _name(number), octets)
        record = Record(
            number=number,
            sha256=sealed_file.digest(octets),
            made=now,
            certificates=len(content.certificates),
            crls=len(content.crls),
            roots=len(content.roots),
        )
        room = [old for old in kept if old.number != previous][-(KEPT - 2) :]
        kept = tuple(old for old in kept if old in room or old.number == previous)
        self._put(Manifest(current=number, since=now, generations=(*kept, record)))
        return number

    def roll_back(self, number: int | None, now: datetime) -> int:
        """Put another kept generation in force, by default the one that the current one was made from.

        It is loaded and checked first. Raises `StateError`: truststore.no_generation, truststore.damaged.
        """
        manifest = self._manifest
        if manifest is None:
            raise StateError("truststore.no_generation")
        if number is None:
            number = self.current().previous
        if manifest.record(number) is None:
            raise StateError("truststore.no_generation")
        _generation(self._at, manifest, number)
        self._put(Manifest(current=number, since=now, generations=manifest.generations))
        return number

    def _put(self, manifest: Manifest) -> None:
        sealed_file.write(self._at, _MANIFEST, msgspec.json.encode(manifest))
        self._manifest = manifest
        self._sweep()

    def _sweep(self) -> None:
        """Remove generations that are no longer kept, and what a killed import left."""
        assert self._manifest is not None
        named = {_name(record.number) for record in self._manifest.generations}
        for name in os.listdir(self._at):  # noqa: PTH208 - a directory that is held open has no path
            stale = _GENERATION_FILE.fullmatch(name) and name not in named
            if stale or _LEFTOVER.fullmatch(name):
                with contextlib.suppress(OSError):  # what stays costs room, and the next sweep tries again
                    os.unlink(name, dir_fd=self._at)


def _name(number: int) -> str:
    return f"generation-{number}"


def _manifest(directory: int) -> Manifest | None:
    content = sealed_file.read(directory, _MANIFEST)
    if content is None:
        return None
    try:
        manifest = msgspec.json.decode(content, type=Manifest)
    except msgspec.DecodeError as error:
        raise StateError("truststore.damaged", _MANIFEST) from error
    if manifest.record(manifest.current) is None:
        raise StateError("truststore.damaged", _MANIFEST)
    return manifest


def _generation(directory: int, manifest: Manifest, number: int) -> Generation:
    """A generation that is what the manifest says it is. Raises `StateError`."""
    record = manifest.record(number)
    content = sealed_file.read(directory, _name(number))
    if content is None or record is None or sealed_file.digest(content) != record.sha256:
        raise StateError("truststore.damaged", _name(number))
    found = generations.decode(content)
    if found.number != number:
        raise StateError("truststore.damaged", _name(number))
    return found
