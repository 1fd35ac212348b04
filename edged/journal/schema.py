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
    # Times are seconds since 1970. cose: the signed slip as it was issued, until keep_until, for copies; then NULL.
    # copies: how many were made. status: valid, withdrawn, superseded (by superseded_by); changed: since when.
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
    "CREATE INDEX IF NOT EXISTS slips_ended ON slips (status, expires) WHERE status <> 'valid'",
    "CREATE INDEX IF NOT EXISTS slips_kept ON slips (keep_until) WHERE cose IS NOT NULL",
    "CREATE INDEX IF NOT EXISTS slips_expired ON slips (expires)",
    "CREATE INDEX IF NOT EXISTS slips_issued ON slips (issued)",
)

STATEMENTS: Final = (*ENTRIES, *SLIPS)


def create(connection: sqlite3.Connection) -> None:
    """Make what is missing, within the caller's transaction."""
    for statement in STATEMENTS:
        connection.execute(statement)
