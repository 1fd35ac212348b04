"""The box's journal: one SQLite database beside the outbox, `journal.sqlite`, in a thread of its own.

`entries` is append-only and says what was done: a slip printed, fields handed over, a record sealed. They stay for as
long as `edged.journal.retention` keeps them. Each part has tables beside it (`edged.journal.schema`) for what it needs
to go on. Nothing in them is raw identity: field names, numbers of slips, operators' pseudonyms.
"""

from __future__ import annotations

import contextlib
import json
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import msgspec

from edged.journal.schema import create
from edged.uplink import database, outbox_aside

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping
    from contextlib import AbstractContextManager
    from pathlib import Path

JOURNAL_FILE: Final = "journal.sqlite"

BUSY_S: Final = 1.0
"""How long a write waits for another process that locks the file: a verdict that is on the disk already waits as long
to be told, for the slip, the handover and each record. Opening waits as any database's does."""

MAX_ENTRIES: Final = 1000
"""Entries that one reading returns: more than a shift has."""


class Entry(msgspec.Struct, frozen=True):
    """One line of the journal."""

    number: int
    at: datetime
    kind: str
    """What was done: `slip.printed`, `handover.taken`, …"""
    subject: str
    """What it was done to: a slip's or a record's number, an inspection's id."""
    detail: dict[str, Any]


class Journal:
    """The open database; used by one thread (`edged.uplink.database.DatabaseThread`)."""

    def __init__(self, path: Path) -> None:
        """Open or create it. Raises `StateError`."""
        self._path = path
        self.connection: sqlite3.Connection = database.connect(path, create)
        with database.translated():
            self.connection.execute(f"PRAGMA busy_timeout={round(BUSY_S * 1000)}")

    def close(self) -> None:
        """Release the file."""
        self.connection.close()

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open."""
        return self.connection.in_transaction

    def transaction(self) -> AbstractContextManager[None]:
        """All of the block on the disk, or none of it. Raises `StateError`."""
        return database.transaction(self.connection)

    def settle(self) -> None:
        """Nothing is to be done after a group of writes."""

    def note_corrupt(self) -> None:
        """SQLite has found the file broken: `edged.start_up.journal` sets it aside at the next start."""
        with contextlib.suppress(OSError):  # then the next start has to find out by itself
            outbox_aside.note_corrupt(self._path)

    def append(self, kind: str, subject: str, detail: Mapping[str, Any], now: datetime) -> int:
        """Add one entry, within a transaction; its number. Raises `StateError`."""
        with database.translated():
            cursor = self.connection.execute(
                "INSERT INTO entries (at, kind, subject, detail) VALUES (?, ?, ?, ?)",
                (database.to_ms(now), kind, subject, json.dumps(dict(detail), sort_keys=True)),
            )
        assert cursor.lastrowid is not None
        return cursor.lastrowid

    def entries(
        self, *, kind: str | None = None, subject: str | None = None, limit: int = MAX_ENTRIES
    ) -> list[Entry]:
        """The newest entries first; `kind` may be a whole kind or its beginning (`slip.`). Raises `StateError`."""
        asked = (kind, None if kind is None else kind + "%", subject, subject, limit)
        with database.translated():
            rows = self.connection.execute(
                "SELECT number, at, kind, subject, detail FROM entries WHERE (? IS NULL OR kind LIKE ?)"
                " AND (? IS NULL OR subject = ?) ORDER BY number DESC LIMIT ?",
                asked,
            ).fetchall()
        return [
            Entry(
                row["number"],
                database.from_ms(row["at"]),
                row["kind"],
                row["subject"],
                json.loads(row["detail"]),
            )
            for row in rows
        ]
