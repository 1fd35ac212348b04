"""A file that is there when all of it is, and until then what was there before."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

from edged.errors import OutputError

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def whole_file(path: Path, *, mode: int = 0o600, group: str | None = None) -> Iterator[BinaryIO]:
    """A stream that becomes the file `path` when the block ends well, and leaves nothing otherwise.

    What was there stays until then. Whoever finds the new file finds it with `mode`, and of `group` where one is given
    and we are root. Raises `OutputError`.
    """
    try:
        if path.exists() and not path.is_file():
            raise OutputError("export.not_a_file", str(path))
        handle, name = tempfile.mkstemp(prefix=f".{path.name[:100]}.", suffix=".part", dir=path.parent)
    except OSError as error:
        raise OutputError("export.unwritable", f"{path}: {error.strerror}") from error
    try:
        with os.fdopen(handle, "wb") as stream:
            yield cast("BinaryIO", stream)
            stream.flush()
            _hand_over(stream.fileno(), path, mode, group)
            os.fsync(stream.fileno())
        Path(name).replace(path)
        _sync(path.parent)
    except OSError as error:
        if error.filename is None or error.filename in (name, str(path)):
            raise OutputError("export.unwritable", f"{path}: {error.strerror}") from error
        raise
    finally:
        Path(name).unlink(missing_ok=True)


def _hand_over(handle: int, path: Path, mode: int, group: str | None) -> None:
    os.fchmod(handle, mode)
    if group and os.geteuid() == 0:
        try:
            shutil.chown(handle, group=group)
        except LookupError:
            raise OutputError("export.no_group", f"{path}: {group}") from None


def _sync(directory: Path) -> None:
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
