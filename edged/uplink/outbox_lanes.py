"""What of the outbox is due: the live lane, the backlog, and gap records.

Every statement here reads as many rows as it gives, however many wait behind them: each has an index of its own.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Final

from edged.errors import StateError
from edged.uplink.database import from_ms, to_ms
from edged.uplink.outbox_types import Due, DueGap, Look, RetryPolicy

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator
    from collections.abc import Set as AbstractSet
    from datetime import datetime

GAPS_AT_ONCE: Final = 16
"""Gap records in one look: few and small, they never hold up verdicts."""

# Never tried is due by definition, whatever the clock says.
LIVE: Final = (
    "SELECT * FROM envelope INDEXED BY untried"
    " WHERE state = 'pending' AND attempts = 0 AND id > ? ORDER BY id DESC LIMIT ?"
)
UNTRIED: Final = (
    "SELECT * FROM envelope INDEXED BY untried"
    " WHERE state = 'pending' AND attempts = 0 AND id <= ? ORDER BY id LIMIT ?"
)
RETRIES: Final = (
    "SELECT * FROM envelope INDEXED BY retries"
    " WHERE state = 'pending' AND attempts > 0 AND next_try > ? AND next_try <= ? ORDER BY next_try, id LIMIT ?"
)
GAPS: Final = (
    "SELECT id, log_id, audience, sha256, jws, attempts, next_try FROM gap INDEXED BY gap_retries"
    " WHERE jws IS NOT NULL AND receipted_at IS NULL AND next_try > ? AND next_try <= ? ORDER BY next_try, id LIMIT ?"
)
DRAFTS: Final = "SELECT 1 FROM gap INDEXED BY gap_drafts WHERE jws IS NULL AND receipted_at IS NULL LIMIT 1"

_NEVER: Final = 2**63 - 1
_EVER: Final = -(2**63)


def look(
    connection: sqlite3.Connection,
    retry: RetryPolicy,
    now: datetime,
    *,
    since: int,
    skip: AbstractSet[int],
    skip_gaps: AbstractSet[int],
    live: int,
    backlog: int,
) -> Look:
    """See `StateDatabase.look`."""
    fresh = _first(connection.execute(LIVE, (since, live + len(skip))), skip, live) if live > 0 else []
    waiting = _backlog(connection, retry, now, since=since, skip=skip, limit=backlog) if backlog > 0 else []
    gaps: list[sqlite3.Row] = []
    for low, high in _spans(retry, now):
        wanted = GAPS_AT_ONCE - len(gaps)
        gaps += _first(connection.execute(GAPS, (low, high, wanted + len(skip_gaps))), skip_gaps, wanted)
    return Look(
        [_due(row) for row in fresh],
        [_due(row) for row in waiting],
        [_due_gap(row) for row in gaps],
        connection.execute(DRAFTS).fetchone() is not None,
        _wait(connection, retry, now, skip, skip_gaps),
    )


def _backlog(
    connection: sqlite3.Connection,
    retry: RetryPolicy,
    now: datetime,
    *,
    since: int,
    skip: AbstractSet[int],
    limit: int,
) -> list[sqlite3.Row]:
    rows = _first(connection.execute(UNTRIED, (since, limit + len(skip))), skip, limit)
    for low, high in _spans(retry, now):
        rows += _first(connection.execute(RETRIES, (low, high, limit + len(skip))), skip, limit)
    return sorted(rows, key=_order)[:limit]


def _spans(retry: RetryPolicy, now: datetime) -> Iterator[tuple[int, int]]:
    """When what is due now fell due. Further ahead than any wait of ours: noted before the clock was set back."""
    moment = to_ms(now)
    yield _EVER, moment
    yield moment + int(retry.bound_s * 1000), _NEVER


def _wait(
    connection: sqlite3.Connection,
    retry: RetryPolicy,
    now: datetime,
    skip: AbstractSet[int],
    skip_gaps: AbstractSet[int],
) -> float | None:
    moment = to_ms(now)
    horizon = moment + int(retry.bound_s * 1000)
    waits = [
        row["next_try"] - moment
        for statement, flying in ((RETRIES, skip), (GAPS, skip_gaps))
        for row in _first(connection.execute(statement, (moment, horizon, 1 + len(flying))), flying, 1)
    ]
    return min(waits) / 1000 if waits else None


def _first(rows: sqlite3.Cursor, skip: AbstractSet[int], limit: int) -> list[sqlite3.Row]:
    return [row for row in rows if row["id"] not in skip][: max(limit, 0)]


def _order(row: Any) -> tuple[int, int]:
    return row["next_try"], row["id"]


def _due(row: sqlite3.Row) -> Due:
    check_body(row)
    return Due(
        row["id"],
        row["inspection"],
        row["audience"],
        row["seq"],
        row["sha256"],
        row["jws"],
        from_ms(row["committed_at"]),
        row["attempts"],
        row["log_id"],
    )


def _due_gap(row: sqlite3.Row) -> DueGap:
    check_body(row)
    return DueGap(*(row[name] for name in DueGap.__struct_fields__))


def check_body(row: sqlite3.Row) -> None:
    """Raises `StateError` (`state.corrupt`) for a body that doesn't have its hash.

    SQLite doesn't notice a bit that fell over within a text; nobody would take the body, and it'd be sent for ever. The
    repair after it carries over what agrees with its hash and tells the centre of what doesn't.
    """
    body = row["jws"]
    if not isinstance(body, str) or hashlib.sha256(body.encode()).hexdigest() != row["sha256"]:
        raise StateError("state.corrupt", "a body doesn't have its hash")
