"""Sending over one connection: what goes next, how much at once, and the note of what became of it.

Two lanes. A verdict that was committed since the connection was made goes out next, whatever waits. The backlog follows
in order, with no more bytes in flight than the line carries in about half a second (`edged.uplink.budget`), so that
the next fresh verdict doesn't queue behind it in some buffer. Nobody waits for a slow acknowledgement of something
else, and what was acknowledged is noted in groups, one sync for many.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final, Literal

from edged import log
from edged.errors import SignatureRefusedError, StateError
from edged.uplink import topics
from edged.uplink.budget import Budget
from edged.uplink.mqtt import PublishRefusedError, packet_size
from edged.uplink.outbox_lanes import GAPS_AT_ONCE
from edged.uplink.outbox_types import Due, DueGap
from edged.uplink.pause import TOO_MUCH, Pause
from edged.uplink.reason_codes import FAILURE, reason_code
from edged.uplink.reconnect import first_to_end, within
from edged.uplink.status import DeadLettered, GapMade, HeldBack, Published, Refused, UplinkEvent

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from edged.uplink.database import DatabaseThread
    from edged.uplink.gaps import Gap
    from edged.uplink.known import Known
    from edged.uplink.mqtt import Answer, Connection
    from edged.uplink.outbox import StateDatabase
    from edged.uplink.outbox_types import Counts, Look

PREFETCH: Final = 64
"""Envelopes of the backlog in memory at most, beside those in flight; half of it left, more are fetched."""

RESERVE: Final = 4
"""Slots of the window that backlog leaves free for fresh verdicts and the status, where the broker allows so many."""

IDLE_LOOK_S: Final = 60.0
"""With nothing to come the outbox is looked at this often anyway: another process may bring dead letters back. `wake`
is what normally does it."""

Lane = Literal["live", "backlog"]


@dataclass(frozen=True)
class Place:
    """Whose outbox, and how its gap records are signed."""

    fleet: str
    device: str
    sign: Callable[[Gap], str]


@dataclass(frozen=True, slots=True)
class _Flight:
    """One publication on its way."""

    item: Due | DueGap
    lane: Lane


class Lanes:
    """Publishes what is due over one connection. `run` returns when told to drain and nothing is pending."""

    def __init__(
        self,
        connection: Connection,
        place: Place,
        *,
        state: DatabaseThread[StateDatabase],
        since: int,
        known: Known,
        clock: Callable[[], datetime],
        on_event: Callable[[UplinkEvent], None],
    ) -> None:
        self._connection = connection
        self._since = since
        self._place = place
        self._state = state
        self._known = known
        self._clock = clock
        self._on_event = on_event
        self._log = log.get("uplink")
        self._steady = asyncio.get_running_loop().time
        self._budget = Budget()
        self._pause = Pause()
        self._live: deque[Due] = deque()
        self._backlog: deque[Due | DueGap] = deque()
        self._held: set[tuple[type, int]] = set()
        """What is queued here, in flight, or answered and not noted yet: not to be fetched again."""
        self._flying = 0
        self._more_live = self._more = False
        """Whether the outbox has more of either lane than was fetched."""
        self._sealing = True
        self._results: list[tuple[Due | DueGap, str | None]] = []
        self._look_again = True
        self._draining = False
        self._wake = asyncio.Event()
        self._answers = asyncio.Event()

    def wake(self) -> None:
        """Something was committed, or is to be tried again."""
        self._look_again = True
        self._wake.set()

    def drain(self) -> None:
        """Let `run` return once nothing is pending."""
        self._draining = True
        self.wake()

    def settled(self) -> None:
        """A receipt has changed the counts."""
        if self._draining:
            self._wake.set()

    async def run(self) -> None:
        """Publish. Raises `UplinkError` when the connection ends, `StateError` when the disk fails."""
        self._connection.when_free(self._wake.set)
        try:
            await first_to_end(self._send(), self._note())
        finally:
            # What the broker took is known, even if the connection ended in the same breath.
            try:
                await self._note_results()
            except StateError as error:
                self._log.warning("not noted", code=error.code)

    # --- sending ---

    async def _send(self) -> None:
        wait = IDLE_LOOK_S
        while True:
            self._wake.clear()
            if self._look_again or self._short():
                wait = await self._fetch()
            # Before publishing: a pause that ends in between would otherwise be slept through.
            pause = self._pause.wait_s(self._steady())
            self._publish()
            if self._draining and self._drained():
                return
            if self._look_again or (self._short() and self._slots()):
                continue
            await within(self._wake.wait(), wait if pause is None else min(wait, pause))
            if not self._wake.is_set():
                self._look_again = True  # the time has come that the last look named, or a pause is over

    def _drained(self) -> bool:
        counts = self._known.counts
        return not self._held and counts is not None and not (counts.pending or counts.gaps_pending)

    def _short(self) -> bool:
        """Whether there is more in the outbox than here, and too little here."""
        return (self._more_live and not self._live) or (self._more and len(self._backlog) <= PREFETCH // 2)

    async def _fetch(self) -> float:
        """Ask the outbox what is due; seconds until more will be."""
        self._look_again = False
        envelopes = {identifier for kind, identifier in self._held if kind is Due}
        gaps = {identifier for kind, identifier in self._held if kind is DueGap}
        live, backlog = self._connection.window, max(PREFETCH - len(self._backlog), 0)

        def look(database: StateDatabase) -> tuple[Look, Counts]:
            found = database.look(
                self._clock(), since=self._since, skip=envelopes, skip_gaps=gaps, live=live, backlog=backlog
            )
            return found, database.counts()

        found, self._known.counts = await self._state.run(look)
        waiting = sum(isinstance(item, DueGap) for item in self._backlog)
        records = found.gaps[: max(GAPS_AT_ONCE - waiting, 0)]  # each answer looks again, for the others
        fetched: list[Due | DueGap] = [*found.live, *records, *found.backlog]
        self._held.update(map(_key, fetched))
        self._live.extendleft(reversed(found.live))  # the newest of all first
        self._backlog.extendleft(reversed(records))
        self._backlog.extend(found.backlog)
        self._more_live = len(found.live) == live
        while len(self._live) > live:  # a broker that is full for days: the outbox keeps them, not this queue
            self._release(self._live.pop())
            self._more_live = True
        self._more = len(found.backlog) == backlog and (backlog > 0 or self._more)
        if found.drafts and self._sealing:
            await self._seal()
            self._look_again = True
        return IDLE_LOOK_S if found.wait_s is None else max(found.wait_s, 0.0)

    async def _seal(self) -> None:
        made: list[Gap] = []

        def sign(gap: Gap) -> str:
            made.append(gap)
            return self._place.sign(gap)

        try:
            await self._state.write(lambda database: database.seal_gaps(sign))
        except SignatureRefusedError as error:
            self._sealing = False  # a draft that no reader would take: the rest goes on, and the log says so
            self._log.error("gap record not sealed", code=error.code, detail=str(error))
            return
        for gap in made:
            self._log.error(
                "a gap is told", audience=gap.audience, first=gap.first, last=gap.last, reason=gap.reason
            )
            self._on_event(GapMade(gap.audience, gap.first, gap.last, gap.reason))
        self._known.changed.set()

    def _slots(self) -> int:
        free, asked = self._connection.free, self._pause.room(self._flying, self._steady())
        return free if asked is None else min(free, asked)

    def _publish(self) -> None:
        """Hand the connection as much as may go."""
        # The newest that there is room for, but those in order: a reader that keeps up sees no number out of turn.
        newest = [self._live.popleft() for _ in range(min(self._slots(), len(self._live)))]
        for item in reversed(newest):
            self._begin(item, "live")
        reserve = min(RESERVE, self._connection.window // 2)
        while self._backlog and (slots := self._slots()):
            size = self._size(self._backlog[0], "backlog")
            if (slots <= reserve and self._flying) or not self._budget.allows(size, self._steady()):
                break
            self._begin(self._backlog.popleft(), "backlog")

    def _begin(self, item: Due | DueGap, lane: Lane) -> None:
        flight = _Flight(item, lane)
        try:
            # Signed at the commit and sent verbatim ever after: how it travels can't be part of the payload.
            answer = self._connection.begin(
                self._topic(item), item.jws.encode(), user_properties={"lane": lane}
            )
        except PublishRefusedError as error:
            self._refused(flight, error.code)
            return
        self._flying += 1
        self._budget.sent(_key(item), self._size(item, lane), self._steady())
        answer.add_done_callback(partial(self._answered, flight))

    def _topic(self, item: Due | DueGap) -> str:
        make = topics.verdict if isinstance(item, Due) else topics.gap
        return make(self._place.fleet, self._place.device, item.audience)

    def _size(self, item: Due | DueGap, lane: Lane) -> int:
        return packet_size(self._topic(item), item.jws.encode(), {"lane": lane})

    # --- answers ---

    def _answered(self, flight: _Flight, future: asyncio.Future[Answer | None]) -> None:
        now, answer = self._steady(), future.result()
        self._flying -= 1
        self._budget.answered(_key(flight.item), now)
        self._wake.set()
        if answer is None:  # the connection has ended first: nobody knows, so it is due again
            self._release(flight.item)
        elif answer.value < FAILURE:
            self._taken(flight, now)
        elif answer.value in TOO_MUCH:
            self._too_much(flight, reason_code(answer.value), now)
        else:
            self._refused(flight, reason_code(answer.value))

    def _release(self, item: Due | DueGap) -> None:
        self._held.discard(_key(item))

    def _taken(self, flight: _Flight, now: float) -> None:
        self._pause.taken(now)
        self._known.paused = self._pause.code
        self._results.append((flight.item, None))
        self._answers.set()
        if isinstance(item := flight.item, Due):
            self._on_event(Published(item.inspection, item.audience, item.seq, flight.lane))

    def _too_much(self, flight: _Flight, code: str, now: float) -> None:
        """Nothing is wrong with this one: it is due as before, and everything waits."""
        self._known.refuse(code)
        self._release(flight.item)
        self._look_again = True
        if self._pause.refused(code, now):
            wait = round(self._pause.wait_s(now) or 0.0, 3)
            self._known.paused = code
            self._known.changed.set()
            self._log.warning("held back", code=code, wait_s=wait)
            self._on_event(HeldBack(code, wait))

    def _refused(self, flight: _Flight, code: str) -> None:
        item = flight.item
        self._known.refuse(code)
        self._results.append((item, code))
        self._answers.set()
        if isinstance(item, Due):
            self._log.error("refused", audience=item.audience, seq=item.seq, code=code)
            self._on_event(Refused(item.inspection, item.audience, item.seq, code))
        else:
            self._log.error("gap record refused", audience=item.audience, code=code)

    # --- the note of it ---

    async def _note(self) -> None:
        while True:
            await self._answers.wait()
            self._answers.clear()
            await self._note_results()

    async def _note_results(self) -> None:
        results, self._results = self._results, []
        if not results:
            return
        now = self._clock()
        try:
            dead, self._known.counts = await self._state.write(lambda database: _mark(database, results, now))
        except StateError:
            self._results = results + self._results
            raise
        for item, code in results:
            self._release(item)
            if isinstance(item, Due) and item.id in dead and code is not None:
                self._log.error("dead letter", audience=item.audience, seq=item.seq, code=code)
                self._on_event(DeadLettered(item.audience, item.seq, code))
        self._known.changed.set()
        self.wake()  # each is due again some time, and a dead letter's gap record is to be signed


def _key(item: Due | DueGap) -> tuple[type, int]:
    return type(item), item.id


def _mark(
    database: StateDatabase, results: list[tuple[Due | DueGap, str | None]], now: datetime
) -> tuple[frozenset[int], Counts]:
    """In the database's thread and a transaction: note what the broker took and refused; ids of new dead letters."""
    taken: dict[type, list[int]] = {Due: [], DueGap: []}
    refused: dict[type, dict[int, str]] = {Due: {}, DueGap: {}}
    for item, code in results:
        if code is None:
            taken[type(item)].append(item.id)
        else:
            refused[type(item)][item.id] = code
    dead = database.mark(taken[Due], refused[Due], now)
    if taken[DueGap] or refused[DueGap]:
        database.mark_gaps(taken[DueGap], refused[DueGap], now)
    return frozenset(dead), database.counts()
