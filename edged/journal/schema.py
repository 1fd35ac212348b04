"""Tables of the journal. Every statement says `IF NOT EXISTS`; a part adds its own, with what its columns mean."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import sqlite3

ENTRIES: Final = (
    """CREATE TABLE IF NOT EXISTS entries (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        at INTEGER NOT NULL,
        kind TEXT NOT NULL,
        subject TEXT NOT NULL,
        detail TEXT NOT NULL
    ) STRICT""",
    "CREATE INDEX IF NOT EXISTS entries_subject ON entries (subject)",
    """CREATE TRIGGER IF NOT EXISTS entries_stay BEFORE UPDATE ON entries
    BEGIN SELECT RAISE(ABORT, 'entries are never changed'); END""",
)

SLIPS: Final = (
    # cose: the signed slip (CBOR), until keep_until, for reprints; then NULL. status: valid, withdrawn, superseded.
    """CREATE TABLE IF NOT EXISTS slips (
        number TEXT PRIMARY KEY,
        issued INTEGER NOT NULL,
        expires INTEGER NOT NULL,
        keep_until INTEGER NOT NULL,
        copies INTEGER NOT NULL DEFAULT 0,
        status TEXT NOT NULL DEFAULT 'valid',
        changed INTEGER,
        superseded_by TEXT,
        cose BLOB
    ) STRICT""",
)

STATEMENTS: Final = (*ENTRIES, *SLIPS)


def create(connection: sqlite3.Connection) -> None:
    """Make what is missing, within the caller's transaction."""
    for statement in STATEMENTS:
        connection.execute(statement)
