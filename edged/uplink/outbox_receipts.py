"""What a verified receipt does to the state database: the only thing that forgets a body because it is delivered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from edged.uplink import outbox_gaps, outbox_refusals
from edged.uplink.database import to_ms
from edged.uplink.outbox_types import ReceiptOutcome

if TYPE_CHECKING:
    import sqlite3
    from datetime import datetime

    from edged.uplink.outbox_types import Finality, RetryPolicy
    from edged.uplink.receipts import Receipt, ReceiptRange

MAX_RANGE: Final = 10_000
"""Envelopes in one range of a receipt: ours cover a batch; a longer one would hold up a live commit."""


def apply(
    connection: sqlite3.Connection, retry: RetryPolicy, finality: Finality, receipt: Receipt, now: datetime
) -> ReceiptOutcome:
    """See `StateDatabase.apply_receipt`; within a transaction."""
    moment = to_ms(now)
    receipted: list[int] = []
    disagree: list[str] = []
    for claimed in receipt.ranges:
        reason = _range(connection, claimed, moment, receipted)
        if reason is not None:
            disagree.append(reason)
    gaps = [identifier for sha256 in receipt.gaps for identifier in _gap(connection, sha256, moment)]
    refusals: list[tuple[int, str]] = []
    dead: list[int] = []
    for refusal in receipt.refused:
        found = outbox_refusals.by_collector(connection, retry, finality, refusal.sha256, refusal.code, now)
        if found is not None:
            refusals.append((found[0], refusal.code))
            dead += [found[0]] if found[1] else []
    return ReceiptOutcome(tuple(receipted), tuple(disagree), tuple(gaps), tuple(refusals), tuple(dead))


def _gap(connection: sqlite3.Connection, sha256: str, moment: int) -> list[int]:
    """The record has done its work: its body goes, the row stays as long as the ledger of what it names."""
    rows = connection.execute(
        "UPDATE gap SET receipted_at = ?, jws = NULL, refused_reason = NULL,"
        " published_at = coalesce(published_at, ?) WHERE sha256 = ? AND receipted_at IS NULL RETURNING id",
        (moment, moment, sha256),
    )
    return [row["id"] for row in rows.fetchall()]


def _range(
    connection: sqlite3.Connection, claimed: ReceiptRange, moment: int, receipted: list[int]
) -> str | None:
    key = (claimed.log_id, claimed.audience)
    stream = connection.execute("SELECT * FROM stream WHERE log_id = ? AND audience = ?", key).fetchone()
    if stream is None:
        known = connection.execute("SELECT 1 FROM stream WHERE log_id = ? LIMIT 1", key[:1]).fetchone()
        return "receipt.unknown_envelope" if known is not None else "receipt.other_log"
    length = claimed.last - claimed.first + 1
    if length > MAX_RANGE:
        return "receipt.too_long"
    if claimed.first <= stream["pruned"] < stream["next_seq"] and claimed.last < stream["next_seq"]:
        # Late: the ledger has forgotten some of these numbers as settled, so the hash can't be compared. What of the
        # range isn't settled yet is published again, and receipted by itself.
        return None
    span = (*key, claimed.first, claimed.last)
    rows = connection.execute(
        "SELECT sha256 FROM envelope WHERE log_id = ? AND audience = ? AND seq BETWEEN ? AND ? ORDER BY seq",
        span,
    ).fetchall()
    if len(rows) != length:
        return None if _unreadable(connection, claimed) else "receipt.unknown_envelope"
    if outbox_gaps.hash_of_range(row["sha256"] for row in rows) != claimed.sha256:
        return "receipt.hash_mismatch"
    # Dead and lost ones too: whoever has it, has it. A receipt also proves the publication whose acknowledgement a
    # crash swallowed.
    settled = connection.execute(
        "UPDATE envelope SET state = 'receipted', jws = NULL, receipted_at = ?, refused_by = NULL,"
        " refused_reason = NULL, published_at = coalesce(published_at, ?)"
        " WHERE log_id = ? AND audience = ? AND seq BETWEEN ? AND ? AND state <> 'receipted' RETURNING id",
        (moment, moment, *span),
    )
    receipted += sorted(row["id"] for row in settled.fetchall())
    return None


def _unreadable(connection: sqlite3.Connection, claimed: ReceiptRange) -> bool:
    """Whether some of these numbers went with a broken database: the centre may well have them, we can't compare."""
    found = connection.execute(
        "SELECT 1 FROM gap WHERE log_id = ? AND audience = ? AND reason = 'unreadable' AND first <= ?"
        " AND (last IS NULL OR last >= ?) LIMIT 1",
        (claimed.log_id, claimed.audience, claimed.last, claimed.first),
    )
    return found.fetchone() is not None
