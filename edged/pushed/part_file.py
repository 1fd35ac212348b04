"""One large file on its way: its place on the disk is taken at once, its chunks come in any order.

    {sha256}.part    chunks where they belong, zeros where none has come

Nothing beside it says which chunks are here: they are hashed when it is opened again, so that a torn write, or a disk
that forgot one, costs that chunk. All of this blocks; call it in a thread. Raises `StateError` for trouble of the disk.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import threading
from typing import TYPE_CHECKING, Final

from edged.errors import StateError
from edged.uplink.artefact import CHUNK, is_chunk, size_of
from edged.whole_file import sync_directory

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from edged.uplink.artefact import Wanted

SPARE: Final = 128 << 20
"""Bytes of the disk that no large file may take: the outbox needs room for what is committed meanwhile."""

SUFFIX: Final = ".part"


def disk_error(error: OSError, path: Path) -> StateError:
    """The same trouble with a code."""
    full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    return StateError("artefact.disk_full" if full else "artefact.disk_trouble", f"{path}: {error.strerror}")


@contextlib.contextmanager
def _coded(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise disk_error(error, path) from error


class PartFile:
    """An opened `.part` file. Close it in the end; what threads still do with it then is waited for."""

    def __init__(self, directory: Path, wanted: Wanted) -> None:
        """Open it, or make it with room for the whole.

        Raises `StateError` (`artefact.disk_full`) when less than `SPARE` would be free then.
        """
        self.path = directory / f"{wanted.sha256}{SUFFIX}"
        self._whole = directory / wanted.sha256
        self._wanted = wanted
        self._lock = threading.Lock()
        self._finished = False
        with _coded(self.path):
            flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
            self._file = os.open(self.path, flags, 0o600)
            try:
                self._take_room(free_bytes(directory))
            except BaseException:
                os.close(self._file)
                raise

    def _take_room(self, free: int) -> None:
        status = os.fstat(self._file)
        if status.st_size != self._wanted.length:
            os.ftruncate(self._file, self._wanted.length)
        missing = max(0, self._wanted.length - status.st_blocks * 512)
        if missing:
            if free - missing < SPARE:
                raise StateError("artefact.disk_full", str(self.path))
            os.posix_fallocate(self._file, 0, self._wanted.length)

    def close(self) -> None:
        """What is here stays."""
        with self._lock, contextlib.suppress(OSError):
            file, self._file = (
                self._file,
                -1,
            )  # a thread that comes late finds no file, rather than another one
            os.close(file)

    @contextlib.contextmanager
    def _using(self) -> Iterator[None]:
        with self._lock, _coded(self.path):
            yield

    def here(self, hashes: Sequence[bytes]) -> set[int]:
        """The chunks that are here and are what `hashes` says."""
        with self._using():
            return {number for number, one in enumerate(hashes) if is_chunk(self._read(number), one)}

    def _read(self, number: int) -> bytes:
        return os.pread(self._file, size_of(number, self._wanted.length), number * CHUNK)

    def write(self, number: int, chunk: bytes) -> None:
        """Put a chunk where it belongs; it needn't survive a power cut."""
        with self._using():
            at = number * CHUNK
            while chunk:
                written = os.pwrite(self._file, chunk, at)
                chunk, at = chunk[written:], at + written

    def finish(self, hashes: Sequence[bytes]) -> Path | None:
        """Check the whole, and give it its name for good; None, and the file is gone, when it isn't what was signed.

        Raises `StateError` (`artefact.disk_trouble`) when a chunk isn't what was written.
        """
        with self._using():
            if self._finished:
                return self._whole
            digest = hashlib.sha256()
            for number, one in enumerate(hashes):
                chunk = self._read(number)
                if not is_chunk(chunk, one):
                    raise StateError("artefact.disk_trouble", str(self.path))
                digest.update(chunk)
            if digest.hexdigest() != self._wanted.sha256:
                self.path.unlink()
                return None
            os.fchmod(self._file, 0o400)
            os.fsync(self._file)
            self.path.rename(self._whole)
            self._finished = True
            sync_directory(self._whole.parent)
        return self._whole


def is_whole(path: Path, wanted: Wanted) -> bool:
    """Whether a file is there and is what was signed. Raises `StateError`."""
    with _coded(path):
        try:
            file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        with os.fdopen(file, "rb") as opened:
            if os.fstat(file).st_size != wanted.length:
                return False
            return hashlib.file_digest(opened, "sha256").hexdigest() == wanted.sha256


def free_bytes(directory: Path) -> int:
    """Of the disk, for us."""
    found = os.statvfs(directory)
    return found.f_bavail * found.f_frsize
