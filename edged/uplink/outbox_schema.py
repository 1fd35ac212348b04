"""The tables of the box's state database, and how an older one becomes as these are.

Everything that counts is kept by triggers in the same transaction, so that no number is ever recounted. The tables are
plain ones with a rowid on purpose: `edged.uplink.outbox_salvage` finds their rows in a file that SQLite won't open.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from edged.errors import StateError

if TYPE_CHECKING:
    import sqlite3

VERSION: Final = 2

ENVELOPE_COLUMNS: Final = (
    "id",
    "inspection",
    "log_id",
    "audience",
    "seq",
    "sha256",
    "kind",
    "size",
    "state",
    "committed_at",
    "aged_from",
    "published_at",
    "attempts",
    "next_try",
    "refused_by",
    "refused_reason",
    "refused_since",
    "broker_refusals",
    "collector_refusals",
    "refused_attempt",
    "receipted_at",
    "gap",
    "jws",
)
"""In the order in which they lie on the disk."""

GAP_COLUMNS: Final = (
    "id",
    "log_id",
    "audience",
    "first",
    "last",
    "reason",
    "code",
    "made_at",
    "published_at",
    "attempts",
    "next_try",
    "refused_reason",
    "receipted_at",
    "sha256",
    "jws",
)

FIRST_ENVELOPE_COLUMNS: Final = (
    "id",
    "inspection",
    "audience",
    "seq",
    "sha256",
    "jws",
    "committed_at",
    "published_at",
    "attempts",
    "next_try",
    "refused_reason",
    "receipted_at",
)
"""Of version 0."""

STREAM_COLUMNS: Final = ("log_id", "audience", "next_seq", "prev", "pruned")

_TABLES: Final = (
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT",
    """CREATE TABLE stream (
        log_id TEXT NOT NULL, audience TEXT NOT NULL,
        next_seq INTEGER NOT NULL, prev TEXT,
        pruned INTEGER NOT NULL DEFAULT 0,
        PRIMARY KEY (log_id, audience)
    ) STRICT""",
    # `aged_from`: from when a trusted clock counts its age; NULL until one has seen it.
    # `refused_attempt`: the attempt that the collector refused last, so that saying it twice counts once.
    # `gap`: the record that last told the centre not to wait for it. The body is the last column: reading the
    # others then never follows its overflow pages.
    """CREATE TABLE envelope (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        inspection TEXT NOT NULL,
        log_id TEXT NOT NULL, audience TEXT NOT NULL, seq INTEGER NOT NULL,
        sha256 TEXT NOT NULL,
        kind TEXT NOT NULL,
        size INTEGER NOT NULL,
        state TEXT NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'receipted', 'dead', 'lost')),
        committed_at INTEGER NOT NULL,
        aged_from INTEGER,
        published_at INTEGER,
        attempts INTEGER NOT NULL DEFAULT 0,
        next_try INTEGER NOT NULL,
        refused_by TEXT CHECK (refused_by IN ('broker', 'collector')),
        refused_reason TEXT,
        refused_since INTEGER,
        broker_refusals INTEGER NOT NULL DEFAULT 0,
        collector_refusals INTEGER NOT NULL DEFAULT 0,
        refused_attempt INTEGER,
        receipted_at INTEGER,
        gap INTEGER,
        jws TEXT,
        loss_rank INTEGER AS (
            CASE WHEN state = 'dead' THEN 0 WHEN kind <> 'live' THEN 1 WHEN published_at IS NOT NULL THEN 2 ELSE 3 END
        ) VIRTUAL,
        UNIQUE (log_id, audience, seq),
        CHECK ((jws IS NULL) = (state IN ('receipted', 'lost'))),
        CHECK ((receipted_at IS NULL) = (state <> 'receipted')),
        CHECK (state NOT IN ('dead', 'lost') OR gap IS NOT NULL)
    ) STRICT""",
    # A draft has no `jws` and may grow; once sealed it is as it is.
    """CREATE TABLE gap (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        log_id TEXT NOT NULL, audience TEXT NOT NULL, first INTEGER NOT NULL, last INTEGER,
        reason TEXT NOT NULL, code TEXT,
        made_at INTEGER NOT NULL,
        published_at INTEGER,
        attempts INTEGER NOT NULL DEFAULT 0,
        next_try INTEGER NOT NULL,
        refused_reason TEXT,
        receipted_at INTEGER,
        sha256 TEXT UNIQUE,
        jws TEXT
    ) STRICT""",
    """CREATE TABLE tally (
        one INTEGER PRIMARY KEY CHECK (one = 1),
        committed INTEGER NOT NULL DEFAULT 0, published INTEGER NOT NULL DEFAULT 0,
        receipted INTEGER NOT NULL DEFAULT 0, pending INTEGER NOT NULL DEFAULT 0,
        refused INTEGER NOT NULL DEFAULT 0, dead INTEGER NOT NULL DEFAULT 0, lost INTEGER NOT NULL DEFAULT 0,
        bytes_pending INTEGER NOT NULL DEFAULT 0, bytes_dead INTEGER NOT NULL DEFAULT 0,
        gaps_pending INTEGER NOT NULL DEFAULT 0
    ) STRICT""",
    "INSERT INTO tally (one) VALUES (1)",
)

_INDEXES: Final = (
    "CREATE INDEX untried ON envelope (id) WHERE state = 'pending' AND attempts = 0",
    "CREATE INDEX retries ON envelope (next_try, id) WHERE state = 'pending' AND attempts > 0",
    "CREATE INDEX losses ON envelope (loss_rank, id) WHERE state IN ('pending', 'dead')",
    "CREATE INDEX ages ON envelope (aged_from, id) WHERE state IN ('pending', 'dead')",
    "CREATE INDEX refused ON envelope (refused_reason) WHERE state = 'pending' AND refused_reason IS NOT NULL",
    "CREATE INDEX hashes ON envelope (sha256) WHERE state = 'pending'",
    "CREATE INDEX gap_drafts ON gap (id) WHERE jws IS NULL AND receipted_at IS NULL",
    "CREATE INDEX gap_retries ON gap (next_try, id) WHERE jws IS NOT NULL AND receipted_at IS NULL",
    "CREATE INDEX gap_streams ON gap (log_id, audience, last)",
)

_COUNTED: Final = {
    "published": "{0}.published_at IS NOT NULL",
    "receipted": "{0}.state = 'receipted'",
    "pending": "{0}.state = 'pending'",
    "refused": "{0}.state = 'pending' AND {0}.refused_reason IS NOT NULL",
    "dead": "{0}.state = 'dead'",
    "lost": "{0}.state = 'lost'",
    "bytes_pending": "CASE {0}.state WHEN 'pending' THEN {0}.size ELSE 0 END",
    "bytes_dead": "CASE {0}.state WHEN 'dead' THEN {0}.size ELSE 0 END",
}
"""Columns of `tally`, and what a row of `envelope` adds to each."""


def _sums(*signs: tuple[str, str]) -> str:
    return ", ".join(
        f"{name} = {name} " + " ".join(f"{sign} ({what.format(row)})" for sign, row in signs)
        for name, what in _COUNTED.items()
    )


_TRIGGERS: Final = (  # names and conditions above, nobody else's text
    f"""CREATE TRIGGER envelope_in AFTER INSERT ON envelope BEGIN
        UPDATE tally SET committed = committed + 1, {_sums(("+", "NEW"))}; END""",  # noqa: S608
    f"""CREATE TRIGGER envelope_on AFTER UPDATE OF state, published_at, refused_reason ON envelope BEGIN
        UPDATE tally SET {_sums(("+", "NEW"), ("-", "OLD"))}; END""",  # noqa: S608
    # The ledger may be pruned; what was counted stays counted. Whatever has a body can't be deleted by mistake.
    """CREATE TRIGGER envelope_out BEFORE DELETE ON envelope WHEN OLD.state IN ('pending', 'dead') BEGIN
        SELECT raise(ABORT, 'an envelope is never deleted'); END""",
    """CREATE TRIGGER gap_in AFTER INSERT ON gap BEGIN
        UPDATE tally SET gaps_pending = gaps_pending + (NEW.receipted_at IS NULL); END""",
    """CREATE TRIGGER gap_on AFTER UPDATE OF receipted_at ON gap BEGIN
        UPDATE tally SET gaps_pending = gaps_pending + (NEW.receipted_at IS NULL) - (OLD.receipted_at IS NULL); END""",
    """CREATE TRIGGER gap_out AFTER DELETE ON gap BEGIN
        UPDATE tally SET gaps_pending = gaps_pending - (OLD.receipted_at IS NULL); END""",
)

_OURS: Final = frozenset(
    statement.split()[2] for statement in (*_TABLES, *_INDEXES, *_TRIGGERS) if statement.startswith("CREATE")
)
"""Names of everything that a database of this release has."""

_PLAUSIBLE_VERSION: Final = 100
"""No release will ever have come so far: a higher number is a damaged one."""

_FROM_FIRST: Final = (
    "INSERT INTO meta SELECT key, value FROM old_meta",
    """INSERT INTO stream (log_id, audience, next_seq, prev)
        SELECT (SELECT value FROM meta WHERE key = 'log_id'), audience, next_seq, prev FROM old_stream""",
    # Nobody noted what kind they are, so none of them may be pushed out before others; nor how good the clock was,
    # so their age begins with the next trusted one.
    """INSERT INTO envelope (id, inspection, log_id, audience, seq, sha256, kind, size, state, committed_at,
            published_at, attempts, next_try, refused_by, refused_reason, refused_since, broker_refusals, receipted_at,
            jws)
        SELECT id, inspection, (SELECT value FROM meta WHERE key = 'log_id'), audience, seq, sha256, 'live',
            coalesce(length(jws), 0), CASE WHEN receipted_at IS NULL THEN 'pending' ELSE 'receipted' END, committed_at,
            published_at, attempts, next_try, CASE WHEN refused_reason IS NOT NULL THEN 'broker' END, refused_reason,
            CASE WHEN refused_reason IS NOT NULL THEN committed_at END, refused_reason IS NOT NULL, receipted_at, jws
        FROM old_envelope ORDER BY id""",
    "DROP TABLE old_envelope",
    "DROP TABLE old_stream",
    "DROP TABLE old_meta",
)
"""From version 0, the first one: one log, no state column, no gap records."""


def is_whole(connection: sqlite3.Connection) -> bool:
    """Whether version and tables go together, as far as this release can tell: a file that says nonsense is broken.

    Raises `sqlite3.DatabaseError`.
    """
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    names = {row[0] for row in connection.execute("SELECT name FROM sqlite_schema")}
    if version == VERSION:
        return names >= _OURS
    return 0 <= version <= _PLAUSIBLE_VERSION and not (version == 0 and "gap" in names)


def set_up(connection: sqlite3.Connection) -> None:
    """Make the tables, or bring older ones up to date; within a transaction, so that it is done whole or not at all.

    Raises `StateError` (`state.newer`) for a database of a later release: what it means isn't known here.
    """
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version == VERSION:
        return
    if version != 0:
        raise StateError("state.newer", f"{version} instead of {VERSION}")
    first = connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'envelope'").fetchone() is not None
    if first:
        connection.execute("DROP INDEX IF EXISTS pending")
        connection.execute("DROP INDEX IF EXISTS untried")
        for table in ("envelope", "stream", "meta"):
            connection.execute(f"ALTER TABLE {table} RENAME TO old_{table}")
    for statement in (*_TABLES, *_INDEXES, *_TRIGGERS, *(_FROM_FIRST if first else ())):
        connection.execute(statement)
    connection.execute(f"PRAGMA user_version={VERSION}")
