"""How long the journal's entries stay: deleted by age and by size, in bounded steps, and never what still matters.

What still matters: entries about a slip that the box knows (it may be copied, withdrawn or listed as withdrawn), about
a record that is open, on its way or not answered for good, and what the tables beside the entries say of them, which
have retentions of their own. Every step leaves an entry that says how many went, up to which time. Time is an argument.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import msgspec

from edged import log
from edged.errors import StateError
from edged.uplink.database import from_ms, to_ms, translated

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Awaitable, Callable

    from edged.journal.database import Journal
    from edged.uplink.database import DatabaseThread

PRUNED: Final = "journal.pruned"
"""The kind of the entry that a step leaves."""

ALL: Final = "-"
"""Its subject: no slip, no record."""

AT_ONCE: Final = 500
"""Entries deleted in one transaction: some 20 ms, and a slip that is being issued waits for it."""

LOOKED_AT: Final = 20 * AT_ONCE
"""Entries looked at in one step, where most still matter: the step stays short all the same."""

ROOM: Final = 0.95
"""Down to this share of the size: deleted now and then, not at every look."""

EVERY_S: Final = 3600.0
"""Between two looks: what is kept for years isn't late by an hour."""

BEGAN: Final = datetime(2026, 1, 1, tzinfo=UTC)
"""No box wrote before: an earlier time is that of a clock that had been lost (1970), and says nothing of an age."""

_MATTERS: Final = (
    "(subject IN (SELECT number FROM slips) OR subject IN (SELECT record_id FROM lodging_records"
    " WHERE state NOT IN ('abandoned', 'accepted', 'corrected')))"
)

_OLD: Final = (
    "(at >= :began AND at < :cutoff) OR (at < :began AND number <"
    " (SELECT max(number) FROM entries WHERE at >= :began AND at < :cutoff))"
)
"""A lost clock's entry is old when one that was written after it is."""


class Bounds(msgspec.Struct, frozen=True):
    """How long, and how much: `max_bytes` of the whole database."""

    keep: timedelta
    max_bytes: int


class Pruned(msgspec.Struct, frozen=True):
    """What a step did: `entries` deleted, the newest of them written at `upto`; `more`: whether another must follow."""

    entries: int
    upto: datetime | None
    more: bool


def size(journal: Journal) -> int:
    """Bytes in use: what was deleted is used again before the file grows. Raises `StateError`."""
    with translated():
        pages, free, page = (
            journal.connection.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("page_count", "freelist_count", "page_size")
        )
    return int((pages - free) * page)


def prune(
    journal: Journal,
    bounds: Bounds,
    now: datetime,
    *,
    clock_trusted: bool,
    after: int = 0,
    room: bool = False,
) -> tuple[Pruned, int]:
    """One step, within a transaction; and the number to go on `after`. Raises `StateError`.

    By age only while the clock can be believed; by size, the oldest first, whatever it says. `room`: an earlier step of
    this round has begun to make room, down to `ROOM`.
    """
    with translated():
        too_much = size(journal) > bounds.max_bytes * (ROOM if room else 1)
        values = {
            "began": to_ms(BEGAN),
            "cutoff": to_ms(now - bounds.keep),
            "pruned": PRUNED,
            "after": after,
            "looked": LOOKED_AT,
            "most": AT_ONCE,
        }
        if not too_much and not clock_trusted:
            return Pruned(0, None, more=False), after
        which = "kind <> :pruned" if too_much else _OLD  # what went for room is told for as long as anything
        looked = journal.connection.execute(
            f"SELECT number, at, {_MATTERS} AS matters FROM entries WHERE number > :after AND ({which})"  # noqa: S608  # our own words
            " ORDER BY number LIMIT :looked",
            values,
        ).fetchall()
        return _delete(journal, looked, now, "size" if too_much else "age", after)


def _delete(
    journal: Journal, looked: list[sqlite3.Row], now: datetime, why: str, after: int
) -> tuple[Pruned, int]:
    gone = [row for row in looked if not row["matters"]][:AT_ONCE]
    if gone:
        journal.connection.executemany(
            "DELETE FROM entries WHERE number = ?", [(row["number"],) for row in gone]
        )
        upto = from_ms(max(row["at"] for row in gone))
        detail = {"entries": len(gone), "upto": upto.isoformat(), "why": why}
        journal.append(PRUNED, ALL, detail, now)
    else:
        upto = None
    full = len(gone) == AT_ONCE
    reached = gone[-1]["number"] if full else looked[-1]["number"] if looked else after
    return Pruned(len(gone), upto, more=full or len(looked) == LOOKED_AT), reached


async def keep_pruned(
    journal: DatabaseThread[Journal],
    bounds: Bounds,
    time_and_trust: Callable[[], Awaitable[tuple[datetime, bool]]],
    *,
    every_s: float = EVERY_S,
) -> None:
    """At once, and then now and then, until cancelled. What the disk says against it is logged: it is tried again."""
    said = log.get("journal")
    while True:
        try:
            entries, upto = await prune_round(journal, bounds, time_and_trust)
            if entries:
                said.info("entries of the journal were pruned", entries=entries, upto=str(upto))
        except StateError as error:
            said.error("the journal can't be pruned", code=error.code)
        await asyncio.sleep(every_s)


async def prune_round(
    journal: DatabaseThread[Journal],
    bounds: Bounds,
    time_and_trust: Callable[[], Awaitable[tuple[datetime, bool]]],
) -> tuple[int, datetime | None]:
    """Steps until nothing is left to delete; how many entries went, up to when. Raises `StateError`.

    Each step is a transaction of its own: whoever writes meanwhile waits for one step at most.
    """
    entries, after, upto = 0, 0, None
    while True:
        now, trusted = await time_and_trust()

        def step(
            journal: Journal, now: datetime = now, trusted: bool = trusted, after: int = after
        ) -> tuple[Pruned, int]:
            return prune(journal, bounds, now, clock_trusted=trusted, after=after, room=after > 0)

        done, after = await journal.write(step)
        entries += done.entries
        upto = max((moment for moment in (upto, done.upto) if moment is not None), default=None)
        if not done.more:
            return entries, upto
