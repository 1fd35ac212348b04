"""Another process's journal, for reading alone: what commands show while the daemon writes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edged.errors import StateError
from edged.journal.database import MAX_ENTRIES, Entry, Journal
from edged.uplink import database

if TYPE_CHECKING:
    from pathlib import Path


class _Reader(Journal):
    def __init__(self, path: Path) -> None:
        self._path = path
        self.connection = database.connect_reader(path)


def entries(path: Path, *, kind: str | None = None, limit: int = MAX_ENTRIES) -> list[Entry]:
    """As `Journal.entries`, newest first. Raises `StateError` (`journal.none` where there is no journal)."""
    if not path.is_file():
        raise StateError("journal.none", str(path))
    reader = _Reader(path)
    try:
        return reader.entries(kind=kind, limit=limit)
    finally:
        reader.close()
