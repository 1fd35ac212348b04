"""What the verifying web page reads, as files that any web server gives out; each one whole or not at all.

    status.jws                      which slips hold no more (`slip-status+jws`)
    directory/head.jws              the fleet's directory, as it is published
    directory/{sha256}.json         its pages, named by their hashes, which the head names

Pages come before the head that names them, and go after it: a reader in between finds what its head names.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
from typing import TYPE_CHECKING, Final

from edged.errors import OutputError
from edged.uplink.slip_status import MAX_STATUS
from edged.whole_file import replacing

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

STATUS: Final = "status.jws"
DIRECTORY: Final = "directory"
HEAD: Final = "head.jws"

_LOCK: Final = ".status.lock"

_PAGE: Final = re.compile(r"[0-9a-f]{64}\.json")


@contextlib.contextmanager
def changing(out: Path) -> Iterator[None]:
    """While the list is read, added to and written: two processes that did so at once would lose what one added.

    Waits for the other. Raises `OutputError` (`central.slips_not_written`).
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        lock = os.open(out / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise OutputError("central.slips_not_written", f"{out}: {error.strerror}") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def read_status(out: Path) -> bytes | None:
    """The list that was written last; None where there is none. Raises `OutputError` (`central.slips_unreadable`)."""
    try:
        with (out / STATUS).open("rb") as file:
            return file.read(MAX_STATUS + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise OutputError("central.slips_unreadable", f"{out}: {error.strerror}") from error


def write_status(out: Path, compact: str) -> None:
    """Raises `OutputError` (`central.slips_not_written`)."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        _write(out / STATUS, compact.encode())
    except OSError as error:
        raise OutputError("central.slips_not_written", f"{out}: {error.strerror}") from error


def write_directory(out: Path, head: str, pages: Mapping[str, bytes]) -> None:
    """Raises `OutputError` (`central.slips_not_written`)."""
    where = out / DIRECTORY
    try:
        where.mkdir(parents=True, exist_ok=True)
        for sha256, page in pages.items():
            if not (where / f"{sha256}.json").exists():
                _write(where / f"{sha256}.json", page)
        _write(where / HEAD, head.encode())
        for path in where.iterdir():
            if _PAGE.fullmatch(path.name) and path.stem not in pages:
                path.unlink()
    except OSError as error:
        raise OutputError("central.slips_not_written", f"{where}: {error.strerror}") from error


def _write(path: Path, data: bytes) -> None:
    with replacing(path, mode=None) as stream:  # for everybody: that is what it is for
        stream.write(data)
