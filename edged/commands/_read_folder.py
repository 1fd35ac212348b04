"""A folder for what shows raw identity: closed to other users, and nothing in it is ever overwritten."""

from __future__ import annotations

import contextlib
import os
import re
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Final

from edged.errors import CodedError

if TYPE_CHECKING:
    from typing import Self

_MOST_NAME: Final = 60
"""Characters of a file's name that go into the names of what is made of it."""


class FolderError(CodedError):
    """The folder can't be used."""


class PrivateFolder:
    """Mode 0700, ours; its files 0600 and new.

    It is held open, so that what is written lands in the folder that was checked, whatever its name becomes.
    """

    def __init__(self, path: Path) -> None:
        """Make or check the folder. Raises FolderError ("reading.folder_unusable", "reading.folder_open")."""
        try:
            with contextlib.suppress(FileExistsError):
                path.mkdir(mode=0o700)
            self._at = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except (OSError, ValueError) as error:
            raise FolderError("reading.folder_unusable") from error
        found = os.fstat(self._at)
        if found.st_uid != os.geteuid() or stat.S_IMODE(found.st_mode) & 0o077:
            os.close(self._at)
            raise FolderError("reading.folder_open")
        self.path = path
        self._names: set[str] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._at)

    def name_for(self, file: str, page: int | None) -> str:
        """What the files made of this page are to be called, the same name for no two pages of a run."""
        stem = re.sub(r"[^\w.-]+", "_", "stdin" if file == "-" else Path(file).stem, flags=re.ASCII)
        base = (stem.lstrip(".-")[:_MOST_NAME] or "page") + ("" if page is None else f"-p{page}")
        name, number = base, 1
        while name in self._names:
            number += 1
            name = f"{base}-{number}"
        self._names.add(name)
        return name

    def write(self, name: str, data: bytes) -> str | None:
        """A new file; the code of why there is none, should there be none ("reading.file_exists", …)."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            made = os.open(name, flags, 0o600, dir_fd=self._at)
        except FileExistsError:
            return "reading.file_exists"
        except OSError:
            return "reading.not_written"
        try:
            with os.fdopen(made, "wb") as file:
                file.write(data)
        except OSError:
            with contextlib.suppress(OSError):
                os.unlink(name, dir_fd=self._at)
            return "reading.not_written"
        return None
