"""Gap records in the state database: drafts that grow while nobody has signed them, then signed and delivered.

A draft is on the disk in the very transaction that loses something. It is signed when the box is online: until then a
further loss beside it makes it longer, so that months offline leave a few long records and not thousands of short ones.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

from edged.errors import StateError
from edged.uplink.gaps import Gap
from edged.uplink.receipts import range_sha256

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterable, Iterator

    from edged.uplink.gaps import GapReason

SEAL_AT_ONCE: Final = 16
"""Records signed in one transaction: about a millisecond, during which no verdict can be committed."""

_INSERT: Final = (
    "INSERT INTO gap (log_id, audience, first, last, reason, code, made_at, next_try)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
)
_BESIDE: Final = (
    "SELECT id FROM gap WHERE log_id = ? AND audience = ? AND {} = ? AND reason = ? AND code IS ?"
    " AND jws IS NULL AND receipted_at IS NULL ORDER BY id LIMIT 1"
)

Place = tuple[str, str, int]
"""(log_id, audience, seq)"""


def runs(places: Iterable[Place]) -> Iterator[tuple[str, str, int, int]]:
    """(log_id, audience, first, last) of the runs that single places make."""
    run: tuple[str, str, int, int] | None = None
    for log_id, audience, seq in sorted(places):
        if run is not None and (log_id, audience, seq) == (run[0], run[1], run[3] + 1):
            run = (*run[:3], seq)
            continue
        if run is not None:
            yield run
        run = (log_id, audience, seq, seq)
    if run is not None:
        yield run


def note(
    connection: sqlite3.Connection,
    log_id: str,
    audience: str,
    first: int,
    last: int | None,
    *,
    reason: GapReason,
    code: str | None,
    moment: int,
) -> int:
    """Note, within the transaction that loses it, that a run won't come: the record's id (a grown draft's, too)."""
    key = (log_id, audience)
    before = (
        None
        if last is None
        else connection.execute(_BESIDE.format("last"), (*key, first - 1, reason, code)).fetchone()
    )
    after = (
        None
        if last is None
        else connection.execute(_BESIDE.format("first"), (*key, last + 1, reason, code)).fetchone()
    )
    if before is not None:
        connection.execute("UPDATE gap SET last = ? WHERE id = ?", (last, before["id"]))
        identifier = int(before["id"])
        if after is not None:
            far = connection.execute("SELECT first, last FROM gap WHERE id = ?", (after["id"],)).fetchone()
            connection.execute("DELETE FROM gap WHERE id = ?", (after["id"],))
            connection.execute("UPDATE gap SET last = ? WHERE id = ?", (far["last"], identifier))
            _refer(connection, log_id, audience, far["first"], far["last"], identifier, only=after["id"])
    elif after is not None:
        connection.execute("UPDATE gap SET first = ? WHERE id = ?", (first, after["id"]))
        identifier = int(after["id"])
    else:
        made = connection.execute(_INSERT, (*key, first, last, reason, code, moment, moment))
        assert made.lastrowid is not None
        identifier = made.lastrowid
    return identifier


def _refer(
    connection: sqlite3.Connection, log_id: str, audience: str, first: int, last: int, gap: int, *, only: int
) -> None:
    connection.execute(
        "UPDATE envelope SET gap = ? WHERE log_id = ? AND audience = ? AND seq BETWEEN ? AND ? AND gap = ?",
        (gap, log_id, audience, first, last, only),
    )


def seal(connection: sqlite3.Connection, sign: Callable[[Gap], str], limit: int = SEAL_AT_ONCE) -> int:
    """Sign drafts, oldest first, within a transaction; how many. What `sign` raises undoes it."""
    drafts = connection.execute(
        "SELECT * FROM gap INDEXED BY gap_drafts WHERE jws IS NULL AND receipted_at IS NULL ORDER BY id LIMIT ?",
        (limit,),
    ).fetchall()
    for row in drafts:
        jws = sign(_gap(connection, row))
        connection.execute(
            "UPDATE gap SET jws = ?, sha256 = ? WHERE id = ?",
            (jws, hashlib.sha256(jws.encode()).hexdigest(), row["id"]),
        )
    return len(drafts)


def _gap(connection: sqlite3.Connection, row: sqlite3.Row) -> Gap:
    return Gap(
        log_id=row["log_id"],
        audience=row["audience"],
        first=row["first"],
        last=row["last"],
        sha256=None if row["last"] is None else _hash(connection, row),
        reason=row["reason"],
        code=row["code"],
    )


def hash_of_range(hashes: Iterable[str]) -> str:
    """`range_sha256` of what the ledger says. Raises `StateError` (`state.corrupt`) where that is no hash."""
    try:
        return range_sha256(hashes)
    except (ValueError, TypeError):
        raise StateError("state.corrupt", "a hash that can't be one") from None


def _hash(connection: sqlite3.Connection, row: sqlite3.Row) -> str | None:
    """Of the envelopes, whose hashes the ledger keeps at least until their record is receipted; None without one."""
    count = 0

    def hashes() -> Iterator[str]:
        nonlocal count
        for found in connection.execute(
            "SELECT sha256 FROM envelope WHERE log_id = ? AND audience = ? AND seq BETWEEN ? AND ? ORDER BY seq",
            (row["log_id"], row["audience"], row["first"], row["last"]),
        ):
            count += 1
            yield found["sha256"]

    digest = hash_of_range(hashes())
    return digest if count == row["last"] - row["first"] + 1 else None
