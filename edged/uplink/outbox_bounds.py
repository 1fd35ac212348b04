"""The outbox's bounds: what is pushed out when there is too much or it is too old, and what the ledger forgets.

Nothing goes in silence: whatever loses its body here is in a gap record of the same transaction.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from edged.uplink import outbox_gaps
from edged.uplink.database import to_ms
from edged.uplink.outbox_types import Bounds, Tidied

if TYPE_CHECKING:
    import sqlite3
    from datetime import datetime, timedelta

    from edged.uplink.gaps import GapReason

ROOM: Final = 0.95
"""Down to this share of the bound: one long run is lost now and then, not one envelope at every commit."""

AT_ONCE: Final = 500
"""Envelopes pushed out beyond need, or rows pruned, in one transaction: some 20 ms, and whoever scans waits for it."""

_OLDEST: Final = (
    "SELECT id, log_id, audience, seq, size FROM envelope INDEXED BY losses"
    " WHERE state IN ('pending', 'dead') AND loss_rank = ? AND id < ? ORDER BY id LIMIT ?"
)
_RANKS: Final = 4
"""Dead letters first, then tests and trainings, then what a broker once took, then the oldest."""

_TOO_OLD: Final = (
    "SELECT id, log_id, audience, seq, size FROM envelope INDEXED BY ages"
    " WHERE state IN ('pending', 'dead') AND aged_from < ? ORDER BY aged_from, id LIMIT ?"
)


def newest(connection: sqlite3.Connection) -> int:
    """The first id of the inspection that was committed last: it and what comes after is never pushed out for room."""
    rows = connection.execute("SELECT id, inspection FROM envelope ORDER BY id DESC LIMIT 64").fetchall()
    return min((row["id"] for row in rows if row["inspection"] == rows[0]["inspection"]), default=0)


def make_room(connection: sqlite3.Connection, bounds: Bounds, before: int, now: datetime) -> int:
    """Push out what is too much, of ids below `before`, if anything is; within a transaction. How many went."""
    stored = _stored(connection)
    if stored <= bounds.max_bytes:
        return 0
    target = int(bounds.max_bytes * ROOM)
    gone: list[sqlite3.Row] = []
    for rank in range(_RANKS):
        rows = connection.execute(_OLDEST, (rank, before, -1))
        for row in rows:
            if stored <= target or (stored <= bounds.max_bytes and len(gone) >= AT_ONCE):
                break
            gone.append(row)
            stored -= row["size"]
        rows.close()
    _lose(connection, gone, "too_many_bytes", to_ms(now))
    return len(gone)


def drop_old(connection: sqlite3.Connection, bounds: Bounds, now: datetime) -> int:
    """Push out what a trusted clock has watched for too long; within a transaction. How many went."""
    cutoff = to_ms(now - bounds.max_age)
    gone = connection.execute(_TOO_OLD, (cutoff, AT_ONCE)).fetchall()
    _lose(connection, gone, "too_old", to_ms(now))
    return len(gone)


def _stored(connection: sqlite3.Connection) -> int:
    return int(connection.execute("SELECT bytes_pending + bytes_dead FROM tally").fetchone()[0])


def _lose(connection: sqlite3.Connection, rows: list[sqlite3.Row], reason: GapReason, moment: int) -> None:
    for log_id, audience, first, last in outbox_gaps.runs(
        (row["log_id"], row["audience"], row["seq"]) for row in rows
    ):
        gap = outbox_gaps.note(
            connection, log_id, audience, first, last, reason=reason, code=None, moment=moment
        )
        connection.execute(
            "UPDATE envelope SET state = 'lost', jws = NULL, refused_by = NULL, refused_reason = NULL, gap = ?"
            " WHERE log_id = ? AND audience = ? AND seq BETWEEN ? AND ?",
            (gap, log_id, audience, first, last),
        )


def tidy(connection: sqlite3.Connection, bounds: Bounds, now: datetime, *, clock_trusted: bool) -> Tidied:
    """See `StateDatabase.tidy`; within a transaction."""
    lost = make_room(connection, bounds, newest(connection), now)
    old = pruned = aged = 0
    if clock_trusted:
        # What was committed under a clock that nobody could trust grows old from now on.
        aged = connection.execute(
            "UPDATE envelope SET aged_from = ? WHERE id IN (SELECT id FROM envelope INDEXED BY ages"
            " WHERE state IN ('pending', 'dead') AND aged_from IS NULL LIMIT ?)",
            (to_ms(now), AT_ONCE),
        ).rowcount
        old = drop_old(connection, bounds, now)
        pruned = _prune(connection, bounds.ledger, now)
    return Tidied(lost + old, pruned, AT_ONCE in (old, aged) or pruned >= AT_ONCE or lost >= AT_ONCE)


def _prune(connection: sqlite3.Connection, keep: timedelta, now: datetime) -> int:
    """Forget the oldest settled numbers of each stream, up to the first that isn't settled or not old enough."""
    cutoff = to_ms(now - keep)
    pruned = 0
    for stream in connection.execute("SELECT * FROM stream").fetchall():
        key = (stream["log_id"], stream["audience"])
        # The last number stays: a stream's end is then known from the ledger alone, too.
        rows = connection.execute(
            "SELECT e.seq, e.state, e.receipted_at, e.gap, g.receipted_at AS told FROM envelope e"
            " LEFT JOIN gap g ON g.id = e.gap"
            " WHERE e.log_id = ? AND e.audience = ? AND e.seq > ? AND e.seq < ? ORDER BY e.seq LIMIT ?",
            (*key, stream["pruned"], stream["next_seq"] - 1, AT_ONCE),
        )
        upto = stream["pruned"]
        for row in rows:
            if not _settled(row, cutoff):
                break
            upto = row["seq"]
        rows.close()
        if upto == stream["pruned"]:
            continue
        pruned += connection.execute(
            "DELETE FROM envelope WHERE log_id = ? AND audience = ? AND seq <= ?", (*key, upto)
        ).rowcount
        connection.execute("UPDATE stream SET pruned = ? WHERE log_id = ? AND audience = ?", (upto, *key))
        connection.execute(
            "DELETE FROM gap WHERE log_id = ? AND audience = ? AND last <= ? AND receipted_at < ?",
            (*key, upto, cutoff),
        )
        if pruned >= AT_ONCE:
            break
    return pruned


def _settled(row: sqlite3.Row, cutoff: int) -> bool:
    """Receipted long ago, or lost and the centre has long known; and no record still to be signed needs its hash."""
    if row["state"] not in ("receipted", "lost") or (row["gap"] is not None and row["told"] is None):
        return False
    settled = row["receipted_at"] if row["state"] == "receipted" else row["told"]
    return bool(settled < cutoff)
