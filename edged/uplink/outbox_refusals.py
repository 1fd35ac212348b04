"""Refusals: counted, tried again ever more slowly, and final after a bounded number.

What is refused for good is a dead letter: not sent any more, its body kept, its place named to the centre by a gap
record. An operator may retry it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from edged.uplink import outbox_gaps
from edged.uplink.database import from_ms, to_ms
from edged.uplink.outbox_types import FINAL_CODES, PASSING_CODES, DeadLetter, Finality

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable
    from datetime import datetime

    from edged.uplink.outbox_types import RetryPolicy

RETRY_AT_ONCE: Final = 1000
"""Dead letters brought back in one transaction."""

_PENDING: Final = "SELECT * FROM envelope WHERE id = ? AND state = 'pending'"


def published(connection: sqlite3.Connection, retry: RetryPolicy, identifier: int, now: datetime) -> None:
    """The broker took it: its earlier refusals are mended; the collector's are not."""
    row = connection.execute(_PENDING, (identifier,)).fetchone()
    if (
        row is None
    ):  # its receipt was faster than the broker's acknowledgement, or it was pushed out meanwhile
        return
    attempts = row["attempts"] + 1
    connection.execute(
        "UPDATE envelope SET attempts = ?, next_try = ?, published_at = coalesce(published_at, ?),"
        " broker_refusals = 0,"
        " refused_reason = CASE WHEN refused_by = 'collector' THEN refused_reason END,"
        " refused_since = CASE WHEN refused_by = 'collector' THEN refused_since END,"
        " refused_by = CASE WHEN refused_by = 'collector' THEN refused_by END WHERE id = ?",
        (attempts, to_ms(now + retry.wait(retry.receipt_s, attempts)), to_ms(now), identifier),
    )


def by_broker(
    connection: sqlite3.Connection,
    retry: RetryPolicy,
    finality: Finality,
    identifier: int,
    code: str,
    now: datetime,
) -> bool:
    """The broker refused it; whether it is dead now."""
    row = connection.execute(_PENDING, (identifier,)).fetchone()
    if row is None:
        return False
    attempts, before = row["attempts"] + 1, row["broker_refusals"]
    refusals = before + (code not in PASSING_CODES)
    since = row["refused_since"] if before and row["refused_by"] == "broker" else to_ms(now)
    connection.execute(
        "UPDATE envelope SET attempts = ?, next_try = ?, refused_by = 'broker', refused_reason = ?,"
        " refused_since = ?, broker_refusals = ? WHERE id = ?",
        (attempts, to_ms(now + retry.wait(retry.refused_s, attempts)), code, since, refusals, identifier),
    )
    if code in PASSING_CODES:
        return False
    long = refusals >= finality.patient_tries and now - from_ms(since) >= finality.patient
    if long or (code in FINAL_CODES and refusals >= finality.final_tries):
        _bury(connection, row, code, to_ms(now))
        return True
    return False


def by_collector(
    connection: sqlite3.Connection,
    retry: RetryPolicy,
    finality: Finality,
    sha256: str,
    code: str,
    now: datetime,
) -> tuple[int, bool] | None:
    """The collector will never store it: its id, and whether it is dead now. None for a hash that isn't pending here.

    Told twice of one publication (a worker's receipt comes again) it counts once.
    """
    row = connection.execute(
        "SELECT * FROM envelope WHERE sha256 = ? AND state = 'pending'", (sha256,)
    ).fetchone()
    if row is None:
        return None
    if row["refused_attempt"] == row["attempts"]:
        return row["id"], False
    refusals = row["collector_refusals"] + 1
    since = row["refused_since"] if row["refused_by"] == "collector" else to_ms(now)
    # It arrived to be refused: that also proves the publication.
    connection.execute(
        "UPDATE envelope SET next_try = ?, refused_by = 'collector', refused_reason = ?, refused_since = ?,"
        " collector_refusals = ?, refused_attempt = attempts, published_at = coalesce(published_at, ?) WHERE id = ?",
        (
            to_ms(now + retry.wait(retry.refused_s, max(row["attempts"], 1))),
            code,
            since,
            refusals,
            to_ms(now),
            row["id"],
        ),
    )
    if refusals >= finality.collector_tries:
        _bury(connection, row, code, to_ms(now))
        return row["id"], True
    return row["id"], False


def _bury(connection: sqlite3.Connection, row: sqlite3.Row, code: str, moment: int) -> None:
    gap = outbox_gaps.note(
        connection,
        row["log_id"],
        row["audience"],
        row["seq"],
        row["seq"],
        reason="refused",
        code=code,
        moment=moment,
    )
    connection.execute("UPDATE envelope SET state = 'dead', gap = ? WHERE id = ?", (gap, row["id"]))


def gap_tried(
    connection: sqlite3.Connection, retry: RetryPolicy, identifier: int, code: str | None, now: datetime
) -> None:
    """A gap record was published (or refused, with `code`); it is tried until it is receipted, however often."""
    row = connection.execute(
        "SELECT attempts FROM gap WHERE id = ? AND receipted_at IS NULL AND jws IS NOT NULL", (identifier,)
    ).fetchone()
    if row is None:
        return
    attempts = row["attempts"] + 1
    wait = retry.wait(retry.receipt_s if code is None else retry.refused_s, attempts)
    connection.execute(
        "UPDATE gap SET attempts = ?, next_try = ?, refused_reason = ?, published_at ="
        " CASE WHEN ? IS NULL THEN coalesce(published_at, ?) ELSE published_at END WHERE id = ?",
        (attempts, to_ms(now + wait), code, code, to_ms(now), identifier),
    )


def revive(connection: sqlite3.Connection, ids: Iterable[int] | None, now: datetime) -> int:
    """Bring dead letters back (all with None, `RETRY_AT_ONCE` at most): pending, due at once; how many."""
    if ids is None:
        rows = connection.execute(
            "SELECT id FROM envelope WHERE state IN ('pending', 'dead') AND loss_rank = 0 ORDER BY id LIMIT ?",
            (RETRY_AT_ONCE,),
        )
        ids = [row["id"] for row in rows]
    back = 0
    for identifier in ids:
        row = connection.execute(
            "SELECT * FROM envelope WHERE id = ? AND state = 'dead'", (identifier,)
        ).fetchone()
        if row is None:
            continue
        # Tried before, so never of the live lane; its waits begin again.
        connection.execute(
            "UPDATE envelope SET state = 'pending', attempts = 1, next_try = ?, refused_by = NULL,"
            " refused_reason = NULL, refused_since = NULL, broker_refusals = 0, collector_refusals = 0,"
            " refused_attempt = NULL, gap = NULL WHERE id = ?",
            (to_ms(now), identifier),
        )
        _withdraw(connection, row, to_ms(now))
        back += 1
    return back


def _withdraw(connection: sqlite3.Connection, row: sqlite3.Row, moment: int) -> None:
    """Take one number out of its tombstone if that isn't signed yet. A signed one stays: the envelope may come."""
    draft = connection.execute(
        "SELECT * FROM gap WHERE id = ? AND jws IS NULL AND receipted_at IS NULL", (row["gap"],)
    ).fetchone()
    if draft is None:
        return
    seq, first, last = row["seq"], draft["first"], draft["last"]
    key = (row["log_id"], row["audience"])
    if first == last:
        connection.execute("DELETE FROM gap WHERE id = ?", (draft["id"],))
    elif seq == first:
        connection.execute("UPDATE gap SET first = ? WHERE id = ?", (first + 1, draft["id"]))
    else:
        connection.execute("UPDATE gap SET last = ? WHERE id = ?", (seq - 1, draft["id"]))
        if seq < last:
            rest = connection.execute(
                "INSERT INTO gap (log_id, audience, first, last, reason, code, made_at, next_try)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (*key, seq + 1, last, draft["reason"], draft["code"], moment, moment),
            ).lastrowid
            connection.execute(
                "UPDATE envelope SET gap = ? WHERE log_id = ? AND audience = ? AND seq > ? AND seq <= ? AND gap = ?",
                (rest, *key, seq, last, draft["id"]),
            )


def dead(connection: sqlite3.Connection, limit: int) -> list[DeadLetter]:
    """Dead letters, oldest first."""
    rows = connection.execute(
        "SELECT * FROM envelope WHERE state IN ('pending', 'dead') AND loss_rank = 0 ORDER BY id LIMIT ?",
        (limit,),
    )
    return [
        DeadLetter(
            row["id"],
            row["log_id"],
            row["audience"],
            row["seq"],
            row["sha256"],
            row["size"],
            from_ms(row["committed_at"]),
            row["refused_by"],
            row["refused_reason"],
            row["broker_refusals"] if row["refused_by"] == "broker" else row["collector_refusals"],
        )
        for row in rows
    ]
