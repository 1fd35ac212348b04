"""A file that is there when all of it is, and until then what was there before; after a power cut, too."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
from typing import TYPE_CHECKING, BinaryIO, Final

from edged.errors import OutputError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SUFFIX: Final = ".new"
"""Of what a process that was killed has left behind; the state's git leaves out hidden files that end so."""

_SECRET: Final = 0o600
_OPEN: Final = 0o666  # what the umask leaves of it


@contextlib.contextmanager
def replacing(path: Path, *, mode: int | None = _SECRET, group: str | None = None) -> Iterator[BinaryIO]:
    """A stream that becomes the file `path` when the block ends well, and leaves nothing otherwise.

    What was there stays until then. Whoever finds the new file finds it with `mode` (None: what the umask says), and of
    `group` where one is given and we are root; nobody else ever reads one that isn't for all. Raises `OSError`, and
    `LookupError` for a group that isn't there.
    """
    temporary = path.with_name(f".{path.name[:100]}.{secrets.token_hex(4)}{SUFFIX}")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    handle = os.open(temporary, flags, _OPEN if mode is None else _SECRET)
    try:
        with os.fdopen(handle, "wb") as stream:
            yield stream
            stream.flush()
            if mode is not None:
                os.fchmod(handle, mode)
            if group and os.geteuid() == 0:
                shutil.chown(handle, group=group)
            os.fsync(handle)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    sync_directory(path.parent)


def sync_directory(directory: Path) -> None:
    """Have the disk remember the names in a directory: renames, new files, files taken away. Raises `OSError`."""
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextlib.contextmanager
def whole_file(path: Path, *, mode: int | None = _SECRET, group: str | None = None) -> Iterator[BinaryIO]:
    """The same for commands. Raises `OutputError`: `export.not_a_file`, `export.unwritable`, `export.no_group`."""
    try:
        if path.exists() and not path.is_file():
            raise OutputError("export.not_a_file", str(path))
        with replacing(path, mode=mode, group=group) as stream:
            yield stream
    except LookupError as error:
        if error.args and group and group in str(error):
            raise OutputError("export.no_group", f"{path}: {group}") from None
        raise
    except OSError as error:
        ours = (str(path), str(path.with_name(f".{path.name[:100]}.")))
        if error.filename is None or str(error.filename).startswith(ours):
            raise OutputError("export.unwritable", f"{path}: {error.strerror}") from error
        raise
