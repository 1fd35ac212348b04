"""The tables of a SQLite archive, and the way to them from every earlier version.

`PRAGMA user_version` says which; 0 is a new file, or an archive of the days before versions, whose tables a partner's
inbox has, too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from edged.errors import StateError
from edged.uplink.database import transaction, translated

if TYPE_CHECKING:
    import sqlite3

VERSION: Final = 1

_TABLES: Final = """
CREATE TABLE fleet (name TEXT NOT NULL) STRICT;
CREATE TABLE audience (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, forgotten_before INTEGER, forgotten_at INTEGER
) STRICT;
CREATE TABLE stream (
    id INTEGER PRIMARY KEY,
    device TEXT NOT NULL, log_id TEXT NOT NULL, audience TEXT NOT NULL,
    audience_id INTEGER NOT NULL REFERENCES audience,
    stored INTEGER NOT NULL DEFAULT 0, highest INTEGER NOT NULL DEFAULT 0, whole INTEGER NOT NULL DEFAULT 0,
    duplicates INTEGER NOT NULL DEFAULT 0, gaps INTEGER NOT NULL DEFAULT 0, forgotten INTEGER NOT NULL DEFAULT 0,
    UNIQUE (device, log_id, audience)
) STRICT;
CREATE INDEX stream_by_audience ON stream (audience, device, log_id);
CREATE INDEX stream_with_holes ON stream (device, log_id, audience) WHERE whole < highest;
CREATE TABLE envelope (
    id INTEGER PRIMARY KEY,
    stream INTEGER NOT NULL REFERENCES stream, seq INTEGER NOT NULL, audience INTEGER NOT NULL,
    sha256 BLOB NOT NULL, prev BLOB, jti TEXT NOT NULL, received_at INTEGER NOT NULL, body TEXT,
    UNIQUE (stream, seq),
    UNIQUE (stream, jti)
) STRICT;
CREATE INDEX envelope_by_arrival ON envelope (received_at, audience);
CREATE INDEX envelope_to_forget ON envelope (audience, received_at) WHERE body IS NOT NULL;
CREATE TABLE gap (
    sha256 BLOB PRIMARY KEY,
    stream INTEGER NOT NULL REFERENCES stream, device TEXT NOT NULL,
    first INTEGER NOT NULL, last INTEGER, range_sha256 BLOB, compared INTEGER NOT NULL,
    reason TEXT NOT NULL, received_at INTEGER NOT NULL, body TEXT NOT NULL
) STRICT;
CREATE INDEX gap_by_stream ON gap (stream, first);
CREATE INDEX gap_by_device ON gap (device);
CREATE TABLE alarm (
    code TEXT NOT NULL, topic TEXT NOT NULL, device TEXT NOT NULL, log_id TEXT NOT NULL,
    audience TEXT NOT NULL, seq INTEGER NOT NULL,
    sha256 BLOB, evidence TEXT, count INTEGER NOT NULL, first_at INTEGER NOT NULL, last_at INTEGER NOT NULL,
    PRIMARY KEY (code, topic, device, log_id, audience, seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX alarm_by_device ON alarm (device)
"""


def migrate(connection: sqlite3.Connection, fleet: str) -> None:
    """Make the tables, or bring them to `VERSION`, in one transaction. Raises `StateError`."""
    with transaction(connection):
        version = _version(connection)
        if version == 0:
            for statement in _TABLES.split(";"):
                connection.execute(statement)
            connection.execute("INSERT INTO fleet VALUES (?)", (fleet,))
            connection.execute(f"PRAGMA user_version = {VERSION}")
    check(connection, fleet)


def check(connection: sqlite3.Connection, fleet: str | None = None) -> None:
    """See that the tables are there, of this version and, if it is given, of `fleet`. Raises `StateError`."""
    with translated():
        if _version(connection) != VERSION:
            raise StateError("archive.other_version")
        (found,) = connection.execute("SELECT name FROM fleet").fetchone()
    if fleet not in (None, found):
        raise StateError("archive.other_fleet")


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])
