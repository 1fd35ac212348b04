"""State databases for tests: envelopes without cryptography, a model to compare with, damage."""

from __future__ import annotations

import base64
import hashlib
import json
import sqlite3
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from edged.uplink.envelope import Envelope, EnvelopeDraft, StreamPosition
from edged.uplink.gaps import Gap
from edged.uplink.outbox import Counts, Due, RetryPolicy, StateDatabase
from edged.uplink.receipts import Receipt, ReceiptRange, Refusal, range_sha256
from tests.broker import FLEET, NOW, draft

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

DEVICE = "box-1"

FIRST_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS stream (
    audience TEXT PRIMARY KEY, next_seq INTEGER NOT NULL, prev TEXT
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS envelope (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    inspection TEXT NOT NULL,
    audience TEXT NOT NULL REFERENCES stream (audience),
    seq INTEGER NOT NULL,
    sha256 TEXT NOT NULL,
    jws TEXT,
    committed_at INTEGER NOT NULL,
    published_at INTEGER,
    attempts INTEGER NOT NULL DEFAULT 0,
    next_try INTEGER NOT NULL,
    refused_reason TEXT,
    receipted_at INTEGER,
    UNIQUE (audience, seq),
    CHECK ((jws IS NULL) = (receipted_at IS NOT NULL))
) STRICT;
CREATE INDEX IF NOT EXISTS pending ON envelope (next_try, id, refused_reason, published_at)
    WHERE receipted_at IS NULL;
CREATE INDEX IF NOT EXISTS untried ON envelope (id) WHERE receipted_at IS NULL AND attempts = 0
"""
"""What the first release made, word for word."""


def later(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def jws_of(log_id: str, audience: str, seq: int, prev: str | None, filler: int = 0) -> str:
    """What an envelope looks like from outside, and what a salvage looks for inside; not signed."""
    payload = {"log_id": log_id, "audience": audience, "seq": seq, "prev": prev, "filler": "x" * filler}
    return f"e30.{base64.urlsafe_b64encode(json.dumps(payload).encode()).decode().rstrip('=')}.sig"


def fake_seal(log_id: str, filler: int = 0) -> Callable[[EnvelopeDraft, StreamPosition], Envelope]:
    def seal(draft: EnvelopeDraft, position: StreamPosition) -> Envelope:
        jws = jws_of(log_id, draft.audience, position.seq, position.prev, filler)
        return Envelope(draft.audience, position.seq, jws, hashlib.sha256(jws.encode()).hexdigest())

    return seal


def fake_gap_seal(gap: Gap) -> str:
    return f"gap.{gap.log_id}.{gap.audience}.{gap.first}.{gap.last}.{gap.reason}.{gap.code}.{gap.sha256}"


def open_state(path: Path, **settings: Any) -> StateDatabase:
    settings.setdefault("retry", RetryPolicy())
    return StateDatabase.open(path, device=DEVICE, now=NOW, **settings)


def commit(
    state: StateDatabase, *audiences: str, name: str = "i1", at: float = 0.0, filler: int = 0, **changes: Any
) -> tuple[Envelope, ...]:
    trusted = changes.pop("clock_trusted", True)
    return state.commit_inspection(
        name,
        [draft(audience, **changes) for audience in audiences],
        fake_seal(state.log_id, filler),
        later(at),
        clock_trusted=trusted,
    )


def covering(log_id: str, envelopes: Sequence[Envelope]) -> ReceiptRange:
    hashes = range_sha256(envelope.sha256 for envelope in envelopes)
    return ReceiptRange(log_id, envelopes[0].audience, envelopes[0].seq, envelopes[-1].seq, hashes)


def receipt(
    *ranges: ReceiptRange, gaps: Sequence[str] = (), refused: Sequence[Refusal] = (), iat: int = 0
) -> Receipt:
    moment = iat or int(NOW.timestamp())
    return Receipt("centre", FLEET, DEVICE, moment, ranges, tuple(gaps), tuple(refused))


def seal_all(state: StateDatabase) -> None:
    while state.seal_gaps(fake_gap_seal):
        pass


def waiting(state: StateDatabase, limit: int, now: datetime) -> list[Due]:
    """At most `limit` of what is due, for a connection that was made after everything in it: in order."""
    return state.look(now, since=state.last_id(), live=0, backlog=limit).backlog


def wait_s(state: StateDatabase, now: datetime) -> float | None:
    """Seconds until something is due that isn't yet."""
    return state.look(now, since=state.last_id(), live=0, backlog=0).wait_s


def rows(state: StateDatabase, statement: str, *values: Any) -> list[sqlite3.Row]:
    return state._connection.execute(statement, values).fetchall()


def full_count(state: StateDatabase) -> Counts:
    """`counts` the slow way, from the rows."""

    def of(what: str) -> int:
        found: int = rows(state, f"SELECT coalesce(sum({what}), 0) FROM envelope")[0][0]
        return found

    refusals = [
        row[0]
        for row in rows(state, "SELECT refused_reason FROM envelope WHERE state = 'pending'")
        if row[0] is not None
    ]
    pruned = sum(row["pruned"] for row in rows(state, "SELECT pruned FROM stream"))
    assert pruned == 0, "what the ledger has forgotten can't be counted again"
    oldest = rows(state, "SELECT committed_at FROM envelope WHERE state = 'pending' ORDER BY committed_at")
    return Counts(
        committed=of("1"),
        published=of("published_at IS NOT NULL"),
        receipted=of("state = 'receipted'"),
        pending=of("state = 'pending'"),
        refused=len(refusals),
        last_refusal=max(refusals, default=None),
        dead=of("state = 'dead'"),
        lost=of("state = 'lost'"),
        bytes_pending=of("CASE WHEN state = 'pending' THEN length(jws) ELSE 0 END"),
        bytes_dead=of("CASE WHEN state = 'dead' THEN length(jws) ELSE 0 END"),
        gaps_pending=rows(state, "SELECT count(*) FROM gap WHERE receipted_at IS NULL")[0][0],
        oldest_pending=datetime.fromtimestamp(oldest[0][0] / 1000, NOW.tzinfo) if oldest else None,
    )
