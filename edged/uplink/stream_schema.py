"""The tables of a receiver's database, and how those of an earlier version become today's.

The version stands in `PRAGMA user_version`. Version 0 is what edged 0.1 made: no gap records, no marks of what came in
a replay, nothing known of what there should be.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from edged.errors import StateError
from edged.uplink import stream_holes
from edged.uplink.database import transaction

if TYPE_CHECKING:
    import sqlite3

VERSION: Final = 1

_TABLES: Final = """
CREATE TABLE IF NOT EXISTS stream (
    device TEXT NOT NULL, log_id TEXT NOT NULL, audience TEXT NOT NULL,
    stored INTEGER NOT NULL DEFAULT 0, highest INTEGER NOT NULL DEFAULT 0,
    duplicates INTEGER NOT NULL DEFAULT 0,
    whole INTEGER NOT NULL DEFAULT 0, known INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (device, log_id, audience)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS envelope (
    id INTEGER PRIMARY KEY,
    device TEXT NOT NULL, log_id TEXT NOT NULL, audience TEXT NOT NULL, seq INTEGER NOT NULL,
    sha256 TEXT NOT NULL, prev TEXT, jti TEXT NOT NULL, received_at INTEGER NOT NULL,
    handed_at INTEGER, body TEXT NOT NULL, replayed INTEGER NOT NULL DEFAULT 0,
    UNIQUE (device, log_id, audience, seq),
    UNIQUE (device, log_id, audience, jti),
    FOREIGN KEY (device, log_id, audience) REFERENCES stream
) STRICT;
CREATE INDEX IF NOT EXISTS to_hand_live ON envelope (id) WHERE handed_at IS NULL AND replayed = 0;
CREATE INDEX IF NOT EXISTS to_hand_replayed ON envelope (device, log_id, audience, seq)
    WHERE handed_at IS NULL AND replayed = 1;
CREATE INDEX IF NOT EXISTS with_body ON envelope (handed_at) WHERE body <> '';
CREATE TABLE IF NOT EXISTS gap (
    id INTEGER PRIMARY KEY,
    device TEXT NOT NULL, log_id TEXT NOT NULL, audience TEXT NOT NULL,
    first INTEGER NOT NULL, last INTEGER,
    sha256 TEXT NOT NULL UNIQUE, received_at INTEGER NOT NULL, handed_at INTEGER, body TEXT NOT NULL,
    FOREIGN KEY (device, log_id, audience) REFERENCES stream
) STRICT;
CREATE INDEX IF NOT EXISTS gap_place ON gap (device, log_id, audience, first);
CREATE INDEX IF NOT EXISTS gap_to_hand ON gap (id) WHERE handed_at IS NULL;
CREATE TABLE IF NOT EXISTS alarm (
    code TEXT NOT NULL, topic TEXT NOT NULL, device TEXT NOT NULL, log_id TEXT NOT NULL,
    audience TEXT NOT NULL, seq INTEGER NOT NULL,
    sha256 TEXT, evidence TEXT, count INTEGER NOT NULL, first_at INTEGER NOT NULL, last_at INTEGER NOT NULL,
    PRIMARY KEY (code, topic, device, log_id, audience, seq)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS note (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID
"""

_FROM_0: Final = """
ALTER TABLE stream ADD COLUMN whole INTEGER NOT NULL DEFAULT 0;
ALTER TABLE stream ADD COLUMN known INTEGER NOT NULL DEFAULT 0;
ALTER TABLE envelope ADD COLUMN replayed INTEGER NOT NULL DEFAULT 0;
DROP INDEX to_hand
"""


def prepare(connection: sqlite3.Connection) -> bool:
    """Make the tables, or bring those of an earlier version up to date, all or nothing; whether they are new.

    Raises `StateError` (`stream.database_newer` for a database of a version that isn't known here).
    """
    with transaction(connection):
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version > VERSION:
            raise StateError("stream.database_newer", f"version {version}")
        old = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'envelope'").fetchone() is not None
        if old and version == 0:
            _run(connection, _FROM_0)
        _run(connection, _TABLES)
        if old and version == 0:
            stream_holes.want_all(connection)
        connection.execute(f"PRAGMA user_version = {VERSION}")
    return not old


def _run(connection: sqlite3.Connection, statements: str) -> None:
    for statement in statements.split(";"):
        connection.execute(statement)
