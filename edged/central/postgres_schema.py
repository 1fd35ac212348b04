"""The tables of a PostgreSQL archive, made and brought up to date by whichever worker comes first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from edged.errors import StateError

if TYPE_CHECKING:
    import psycopg

LOCK: Final = 0x65644172
"""The advisory lock that one worker holds while it migrates ("edAr")."""

# No foreign key on an envelope's stream: its row is locked when it goes in, and never deleted; a look for every row
# costs as much as the row. C: devices and audiences are sorted as bytes at every party. EXTERNAL: base64 isn't worth
# compressing. 4080: two rows a page at least; an envelope of 4.4 kB, kept in the row, would have a page to itself.
MIGRATIONS: Final = (
    """
CREATE TABLE fleet (name text NOT NULL);
CREATE TABLE audience (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text COLLATE "C" NOT NULL UNIQUE,
    forgotten_before bigint, forgotten_at bigint
);
CREATE TABLE stream (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    device text COLLATE "C" NOT NULL, log_id text COLLATE "C" NOT NULL, audience text COLLATE "C" NOT NULL,
    audience_id bigint NOT NULL REFERENCES audience,
    stored bigint NOT NULL DEFAULT 0, highest bigint NOT NULL DEFAULT 0, whole bigint NOT NULL DEFAULT 0,
    holed bigint NOT NULL DEFAULT 0, duplicates bigint NOT NULL DEFAULT 0, gaps bigint NOT NULL DEFAULT 0,
    forgotten bigint NOT NULL DEFAULT 0,
    UNIQUE (device, log_id, audience)
) WITH (fillfactor = 70);
CREATE INDEX stream_by_audience ON stream (audience, device, log_id);
CREATE INDEX stream_with_holes ON stream (device, log_id, audience) WHERE holed = 1;
CREATE TABLE envelope (
    stream bigint NOT NULL, seq bigint NOT NULL, audience bigint NOT NULL,
    sha256 bytea NOT NULL, prev bytea, jti text COLLATE "C" NOT NULL, received_at bigint NOT NULL,
    body text,
    PRIMARY KEY (stream, seq),
    UNIQUE (stream, jti)
) WITH (toast_tuple_target = 4080);
ALTER TABLE envelope ALTER body SET STORAGE EXTERNAL;
CREATE INDEX envelope_by_arrival ON envelope (received_at, audience, stream, seq);
CREATE INDEX envelope_to_forget ON envelope (audience, received_at) WHERE body IS NOT NULL;
CREATE TABLE gap (
    sha256 bytea PRIMARY KEY,
    stream bigint NOT NULL REFERENCES stream, device text COLLATE "C" NOT NULL,
    first bigint NOT NULL, last bigint, range_sha256 bytea, compared smallint NOT NULL,
    reason text NOT NULL, received_at bigint NOT NULL, body text NOT NULL
);
CREATE INDEX gap_by_stream ON gap (stream, first);
CREATE INDEX gap_by_device ON gap (device);
CREATE TABLE alarm (
    code text COLLATE "C" NOT NULL, topic text COLLATE "C" NOT NULL, device text COLLATE "C" NOT NULL,
    log_id text COLLATE "C" NOT NULL, audience text COLLATE "C" NOT NULL, seq bigint NOT NULL,
    sha256 bytea, evidence text, count bigint NOT NULL, first_at bigint NOT NULL, last_at bigint NOT NULL,
    PRIMARY KEY (code, topic, device, log_id, audience, seq)
);
CREATE INDEX alarm_by_device ON alarm (device)
""",
)
"""What each version adds to the one before it."""


def migrate(connection: psycopg.Connection[tuple[Any, ...]], fleet: str) -> None:
    """Make the tables or bring them up to date; inside a transaction. Raises `StateError`."""
    connection.execute("SELECT pg_advisory_xact_lock(%s)", (LOCK,))
    if _present(connection) is None:
        connection.execute(
            "CREATE TABLE archive_version (version integer PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now())"
        )
    version = _version(connection)
    for number, statements in enumerate(MIGRATIONS[version:], version + 1):
        for statement in statements.split(";"):
            connection.execute(statement)
        connection.execute("INSERT INTO archive_version (version) VALUES (%s)", (number,))
        if number == 1:
            connection.execute("INSERT INTO fleet VALUES (%s)", (fleet,))
    check(connection, fleet)


def check(connection: psycopg.Connection[tuple[Any, ...]], fleet: str | None = None) -> None:
    """See that the tables are there, of this version and, if it is given, of `fleet`. Raises `StateError`."""
    if _present(connection) is None:
        raise StateError("archive.not_an_archive")
    if _version(connection) != len(MIGRATIONS):
        raise StateError("archive.other_version")
    row = connection.execute("SELECT name FROM fleet").fetchone()
    if fleet is not None and row != (fleet,):
        raise StateError("archive.other_fleet")


def _present(connection: psycopg.Connection[tuple[Any, ...]]) -> str | None:
    row = connection.execute("SELECT to_regclass('archive_version')::text").fetchone()
    return row[0] if row else None


def _version(connection: psycopg.Connection[tuple[Any, ...]]) -> int:
    row = connection.execute("SELECT coalesce(max(version), 0) FROM archive_version").fetchone()
    return int(row[0]) if row else 0
