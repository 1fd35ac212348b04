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
    "CREATE INDEX IF NOT EXISTS entries_at ON entries (at)",
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

LODGING: Final = (
    # state: open, sealing (on its way: after a power cut nobody knows whether it left), sealed, abandoned, accepted,
    # correction_wanted, corrected (another record took its place). arrival and days are dates (2026-08-01), other times
    # milliseconds. fields: names of fields that the recipient wants corrected. ever_corrected: whether any answer did.
    """CREATE TABLE IF NOT EXISTS lodging_records (
        record_id TEXT PRIMARY KEY,
        audience TEXT NOT NULL,
        kind TEXT NOT NULL,
        reference TEXT,
        scanned INTEGER NOT NULL,
        scanned_day TEXT NOT NULL,
        clock_trusted INTEGER NOT NULL,
        deadline INTEGER NOT NULL,
        state TEXT NOT NULL,
        changed INTEGER NOT NULL,
        arrival TEXT,
        sealed INTEGER,
        corrects TEXT,
        replied INTEGER,
        received INTEGER,
        fields TEXT NOT NULL DEFAULT '[]',
        ever_corrected INTEGER NOT NULL DEFAULT 0
    ) STRICT""",
    "CREATE INDEX IF NOT EXISTS lodging_by_day ON lodging_records (coalesce(arrival, scanned_day))",
    "CREATE INDEX IF NOT EXISTS lodging_by_time ON lodging_records (scanned)",
    "CREATE INDEX IF NOT EXISTS lodging_by_reference ON lodging_records (reference)",
    """CREATE TABLE IF NOT EXISTS lodging_checkins (
        day TEXT PRIMARY KEY,
        count INTEGER NOT NULL,
        changed INTEGER NOT NULL
    ) STRICT""",
    """CREATE TABLE IF NOT EXISTS lodging_references (
        reference TEXT PRIMARY KEY,
        day TEXT NOT NULL,
        entered INTEGER NOT NULL
    ) STRICT""",
    "CREATE INDEX IF NOT EXISTS lodging_references_by_day ON lodging_references (day)",
)

STATEMENTS: Final = (*ENTRIES, *SLIPS, *LODGING)


def create(connection: sqlite3.Connection) -> None:
    """Make what is missing, within the caller's transaction."""
    for statement in STATEMENTS:
        connection.execute(statement)
