"""Broken state databases and where they lie: set aside under a number, with a note until they are repaired.

The order of the steps is that of `edged.uplink.outbox_recovery`; each is durable when it returns and does nothing the
second time. All raise `OSError`.
"""

from __future__ import annotations

import os
import re
import shutil
from typing import TYPE_CHECKING, Final

from edged.uplink.keys import write_private
from edged.whole_file import sync_directory

if TYPE_CHECKING:
    from pathlib import Path

KEPT_ASIDE: Final = 3
"""Broken databases kept for a technician; the oldest goes when there is another. All of them were salvaged."""

_NOTE: Final = "{}.broken"
_ASIDE: Final = "{}.corrupt-{}"
_MAX_NOTE: Final = 64


def note_path(path: Path) -> Path:
    """Where the note lies that says the database at `path` is broken."""
    return path.with_name(_NOTE.format(path.name))


def log_path(path: Path) -> Path:
    """The write-ahead log of a database, or of what is left of one."""
    return path.with_name(f"{path.name}-wal")


def note_corrupt(path: Path) -> None:
    """Have the next start repair the database: it was found broken."""
    if not note_path(path).exists():
        write_private(note_path(path), str(_next_number(path)).encode())


def noted_number(path: Path) -> int:
    """The number under which the note wants it set aside."""
    with note_path(path).open("rb") as file:
        text = file.read(_MAX_NOTE)
    return int(text) if text.isdigit() else _next_number(path)


def _next_number(path: Path) -> int:
    return max((number for number, _ in _numbered(path)), default=0) + 1


def _numbered(path: Path) -> list[tuple[int, Path]]:
    pattern = re.compile(re.escape(_ASIDE.format(path.name, "")) + "([0-9]{1,9})")
    return sorted(
        (int(match[1]), file) for file in path.parent.iterdir() if (match := pattern.fullmatch(file.name))
    )


def kept(path: Path) -> list[Path]:
    """Broken databases that are kept beside `path`, oldest first."""
    return [file for _, file in _numbered(path)]


def set_aside(path: Path, number: int) -> Path:
    """Keep database and log under `number` as well; they stay where they are, until something takes their names."""
    aside = path.with_name(_ASIDE.format(path.name, number))
    if aside.exists():  # the log was first, so both are there
        return aside
    for source, target in ((log_path(path), log_path(aside)), (path, aside)):
        if source.exists() and not target.exists():
            try:
                os.link(source, target)
            except OSError:  # a file system without links
                _copy(source, target)
            sync_directory(path.parent)
    if not aside.exists():
        aside.touch(mode=0o600)  # nothing but a log was left
        sync_directory(path.parent)
    return aside


def _copy(source: Path, target: Path) -> None:
    partial = target.with_name(f"{target.name}.part")
    shutil.copyfile(source, partial)
    with partial.open("rb") as file:
        os.fsync(file.fileno())
    partial.replace(target)


def take_place(new: Path, path: Path) -> None:
    """Put a whole, synced database in the broken one's place. Its log goes first: it must never meet the new one."""
    for end in ("-wal", "-shm"):
        path.with_name(path.name + end).unlink(missing_ok=True)
    sync_directory(path.parent)
    new.replace(path)
    sync_directory(path.parent)


def forget_note(path: Path) -> None:
    """It is repaired; older broken ones beyond `KEPT_ASIDE` go."""
    note_path(path).unlink()
    sync_directory(path.parent)
    for old in kept(path)[:-KEPT_ASIDE]:
        for file in (log_path(old), old):
            file.unlink(missing_ok=True)
