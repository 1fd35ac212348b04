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

MARK: Final = 0x65644172
"""`PRAGMA application_id` of an archive ("edAr"): a partner's inbox isn't one."""

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
    holed INTEGER NOT NULL DEFAULT 0, duplicates INTEGER NOT NULL DEFAULT 0,
    gaps INTEGER NOT NULL DEFAULT 0, forgotten INTEGER NOT NULL DEFAULT 0,
    UNIQUE (device, log_id, audience)
) STRICT;
CREATE INDEX stream_by_audience ON stream (audience, device, log_id);
CREATE INDEX stream_with_holes ON stream (device, log_id, audience) WHERE holed = 1;
CREATE TABLE envelope (
    stream INTEGER NOT NULL REFERENCES stream, seq INTEGER NOT NULL, audience INTEGER NOT NULL,
    sha256 BLOB NOT NULL, prev BLOB, jti TEXT NOT NULL, received_at INTEGER NOT NULL, body TEXT,
    UNIQUE (stream, seq),
    UNIQUE (stream, jti)
) STRICT;
CREATE INDEX envelope_by_arrival ON envelope (received_at, audience, stream, seq);
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

_FROM_0: Final = """
INSERT INTO audience (name) SELECT DISTINCT audience FROM old_stream ORDER BY audience;
INSERT INTO stream (device, log_id, audience, audience_id, stored, highest, duplicates)
    SELECT device, log_id, audience, id, stored, highest, duplicates
    FROM old_stream JOIN audience ON name = audience ORDER BY device, log_id, audience;
INSERT INTO envelope (stream, seq, audience, sha256, prev, jti, received_at, body)
    SELECT s.id, e.seq, s.audience_id, raw(e.sha256), raw(e.prev), e.jti, e.received_at, e.body
    FROM old_envelope e JOIN stream s USING (device, log_id, audience) ORDER BY e.id;
INSERT INTO alarm SELECT code, topic, device, log_id, audience, seq, raw(sha256), evidence, count, first_at, last_at
    FROM old_alarm;
UPDATE stream SET whole = coalesce(
    (SELECT e.seq FROM envelope e WHERE e.stream = stream.id AND NOT EXISTS
        (SELECT 1 FROM envelope n WHERE n.stream = e.stream AND n.seq = e.seq + 1) ORDER BY e.seq LIMIT 1), 0)
    WHERE EXISTS (SELECT 1 FROM envelope e WHERE e.stream = stream.id AND e.seq = 1);
UPDATE stream SET holed = 1 WHERE whole < highest;
DROP TABLE old_envelope;
DROP TABLE old_stream;
DROP TABLE old_alarm
"""


def migrate(connection: sqlite3.Connection, fleet: str) -> None:
    """Make the tables, or bring them to `VERSION`, in one transaction. Raises `StateError`.

    An archive of version 0 is copied into the new tables inside its file: it needs as much room again meanwhile.
    """
    with translated():
        connection.execute("PRAGMA foreign_keys = OFF")  # has no effect inside a transaction
        with transaction(connection):
            if _version(connection) == 0:
                _make(connection, fleet)
        connection.execute("PRAGMA foreign_keys = ON")
    check(connection, fleet)


def _make(connection: sqlite3.Connection, fleet: str) -> None:
    names = {name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    if names and not {"stream", "envelope", "alarm"} <= names:
        raise StateError("archive.not_an_archive")
    if names:
        # An inbox keeps what it made of an envelope, an archive the envelope itself.
        for _ in connection.execute("SELECT 1 FROM envelope WHERE body LIKE '{%' LIMIT 1"):
            raise StateError("archive.not_an_archive")
        connection.execute("DROP INDEX IF EXISTS to_hand")
        for name in ("stream", "envelope", "alarm"):
            connection.execute(f"ALTER TABLE {name} RENAME TO old_{name}")
    for statement in _TABLES.split(";"):
        connection.execute(statement)
    if names:
        connection.create_function("raw", 1, _raw, deterministic=True)
        for statement in _FROM_0.split(";"):
            connection.execute(statement)
    connection.execute("INSERT INTO fleet VALUES (?)", (fleet,))
    connection.execute(f"PRAGMA application_id = {MARK}")
    connection.execute(f"PRAGMA user_version = {VERSION}")


def _raw(text: str | None) -> bytes | None:
    return None if text is None else bytes.fromhex(text)


def check(connection: sqlite3.Connection, fleet: str | None = None) -> None:
    """See that the tables are there, of this version and, if it is given, of `fleet`. Raises `StateError`."""
    with translated():
        version, mark = _version(connection), connection.execute("PRAGMA application_id").fetchone()[0]
        if mark != MARK:
            raise StateError("archive.other_version" if version == 0 else "archive.not_an_archive")
        if version != VERSION:
            raise StateError("archive.other_version")
        (found,) = connection.execute("SELECT name FROM fleet").fetchone()
    if fleet not in (None, found):
        raise StateError("archive.other_fleet")


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])
