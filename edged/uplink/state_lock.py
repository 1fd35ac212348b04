"""One process per state: two daemons on the same streams would sign the same numbers, two followers hand on twice."""

from __future__ import annotations

import contextlib
import fcntl
import os
from typing import TYPE_CHECKING, Self

from edged.errors import StateError

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

LOCK_FILE = "edged.lock"


class StateLock:
    """An advisory lock (flock) on a directory, held until closed or until the process dies, however it dies.

    `file` is what is locked in the directory. Raises `StateError`: `in_use` when another process holds it (with the
    directory and, where known, the other process), `state.unusable` when the directory can't be written.
    """

    def __init__(self, directory: Path, *, file: str = LOCK_FILE, in_use: str = "state.in_use") -> None:
        try:
            self._descriptor = os.open(directory / file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StateError("state.unusable", f"{directory}: {error.strerror}") from error
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = _holder(self._descriptor)
            self.close()
            raise StateError(in_use, holder, directory=str(directory)) from None
        # For the person who meets the error above; the lock itself is the flock, never the number.
        with contextlib.suppress(OSError):  # a full disk must not keep a box from starting
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, f"{os.getpid()}\n".encode(), 0)

    def close(self) -> None:
        """Give the directory free. The file stays: removing it would race with the next holder."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _holder(descriptor: int) -> str:
    number = os.pread(descriptor, 16, 0).strip()
    return f"process {int(number)}" if number.isdigit() else ""
