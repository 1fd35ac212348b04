"""The large files a box has: by their hash, in one directory.

    artefacts/{sha256}         a whole file, checked, mode 0400
    artefacts/{sha256}.part    one that is on its way

Which versions (the good one, the one on trial, the one before) need which is their keeper's to say: what none of them
names is removed. All of this blocks; call it in a thread. Raises `StateError` for trouble of the disk.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from edged.errors import StateError
from edged.pushed.part_file import PartFile, disk_error, is_whole
from edged.whole_file import sync_directory

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from pathlib import Path

    from edged.uplink.artefact import Wanted

DIRECTORY: Final = "artefacts"

MAX_TOTAL: Final = 1 << 30
"""Bytes of all files together: the largest package thrice, for what is in force, on trial and before, and as much for
everything else."""

_NAME: Final = re.compile(r"([0-9a-f]{64})(\.part)?")


class ArtefactStore:
    """The directory `artefacts/` below the state directory. One at a time."""

    def __init__(self, state: Path, *, max_total: int = MAX_TOTAL) -> None:
        self.directory = state / DIRECTORY
        self._max_total = max_total
        self._kept: frozenset[str] | None = None
        """What the versions need; None until somebody has said so, and then nothing is removed."""

    def open(self) -> None:
        """Make the directory if need be."""
        try:
            if not self.directory.exists():
                self.directory.mkdir(mode=0o700)
                sync_directory(self.directory.parent)
        except OSError as error:
            raise disk_error(error, self.directory) from error

    def find(self, wanted: Wanted) -> Path | None:
        """Where the whole file lies, hashed anew; None when it isn't here, or isn't what it was any more."""
        path = self.directory / wanted.sha256
        if is_whole(path, wanted):
            return path
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise disk_error(error, path) from error
        return None

    def room_for(self, targets: Collection[Wanted]) -> None:
        """Make sure that these fit beside what is kept, before the first byte of them is asked for.

        Raises `StateError` (`artefact.no_room`): all of them together are more than a box keeps.
        """
        needed = {one.sha256: one.length for one in targets}
        found = self._found()
        others = {path: size for path, size in found.items() if path.name[:64] not in needed}
        total = sum(needed.values()) + sum(others.values())
        if total > self._max_total and self._kept is not None:
            stale = [path for path in others if path.name[:64] not in self._kept]
            total -= self._remove(stale)
        if total > self._max_total:
            raise StateError("artefact.no_room")

    def keep(self, hashes: Iterable[str]) -> int:
        """From now on the versions need these and no others, which are removed; the bytes that came free."""
        self._kept = frozenset(hashes)
        return self._remove([path for path in self._found() if path.name[:64] not in self._kept])

    def part(self, wanted: Wanted) -> PartFile:
        """The file on its way."""
        return PartFile(self.directory, wanted)

    def _found(self) -> dict[Path, int]:
        """Every file of ours and its bytes."""
        try:
            return {
                path: path.stat().st_size for path in self.directory.iterdir() if _NAME.fullmatch(path.name)
            }
        except OSError as error:
            raise disk_error(error, self.directory) from error

    def _remove(self, paths: Iterable[Path]) -> int:
        freed = 0
        try:
            for path in paths:
                size = path.stat().st_size
                path.unlink()
                freed += size
        except OSError as error:
            raise disk_error(error, self.directory) from error
        return freed
