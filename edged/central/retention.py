"""Retention: how long the archive keeps the bodies of envelopes, for each audience, and taking them away in portions.

A body goes; number, hash, `prev` and `jti` stay, so that streams stay countable, provable, and closed to a second
story. Gap records hold nothing of anybody and stay. What an alarm rests on is evidence, and has its own time.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Final, Literal, Protocol

import msgspec

from edged import log
from edged.errors import StateError
from edged.uplink.database import DatabaseThread
from edged.uplink.fields import Name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from edged.central.archive import AudienceCount

MIN_DAYS: Final = 7
"""Nobody keeps bodies for less: a partner that was away over a long week-end gets them by replay, and an operator has
the time to find a wrong setting before what it takes is all there was."""

MAX_DAYS: Final = 36_500
"""A hundred years: longer is "forever"."""

PORTION: Final = 500
"""Bodies in one transaction: some hundredths of a second, for which a collector may have to wait."""

PAUSE_S: Final = 0.2
"""Between two portions of the background task: whoever waits for the database goes first, and still 2 500 bodies a
second are dropped, more than a fleet of a million boxes commits."""

EVERY_S: Final = 3600.0
"""Between two rounds of the background task. Days are what is promised; an hour is soon enough."""

Days = Annotated[int, msgspec.Meta(ge=MIN_DAYS, le=MAX_DAYS)] | Literal["forever"]


class Retention(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[retention]` of the collector's configuration, in days since an envelope was received.

    Nothing is ever taken that nobody has set a time for.
    """

    days: Days = "forever"
    """For audiences that aren't named."""
    audiences: dict[Name, Days] = {}
    evidence_days: Days = "forever"
    """For what alarms rest on: messages that a device has signed and that contradict each other."""

    def before(self, audience: str, now: datetime) -> datetime | None:
        """Bodies for `audience` that were received before then may go; None when none may."""
        return _before(self.audiences.get(audience, self.days), now)

    def evidence_before(self, now: datetime) -> datetime | None:
        """Evidence of alarms last raised before then may go; None when none may."""
        return _before(self.evidence_days, now)

    @property
    def takes_anything(self) -> bool:
        """Whether there is anything to do at all."""
        return {"forever"} != {self.days, self.evidence_days, *self.audiences.values()}


def _before(days: Days, now: datetime) -> datetime | None:
    return None if days == "forever" else now - timedelta(days=days)


class Forgetting(Protocol):
    """What retention wants of an archive. Methods block; an object belongs to one thread. All raise `StateError`."""

    def audiences(self) -> Sequence[AudienceCount]:
        """Everybody there is an envelope for, by name."""

    def forget(self, audience: str, before: datetime, limit: int, now: datetime) -> int:
        """Drop the bodies of at most `limit` envelopes of `audience` received before then; how many."""

    def forget_evidence(self, before: datetime, limit: int) -> int:
        """Drop what at most `limit` alarms rest on that were last raised before then; how many."""

    def close(self) -> None:
        """Release the connection."""


class Pruned(msgspec.Struct, frozen=True, tag="pruned", tag_field="event"):
    """What a round of retention took."""

    bodies: dict[str, int]
    """Audience to how many; only those that lost any."""
    evidence: int


class PruningFailed(msgspec.Struct, frozen=True, tag="pruning_failed", tag_field="event"):
    """A round ended early; the next one goes on."""

    code: str


RetentionEvent = Pruned | PruningFailed


class Portion(msgspec.Struct, frozen=True):
    """One transaction of a round: for whom (None: evidence), until when, and what it took."""

    audience: str | None
    before: datetime
    taken: int


def portions(archive: Forgetting, retention: Retention, now: datetime) -> Iterator[Portion]:
    """Take what `retention` says, one portion at each step, until nothing is left to take."""
    for counted in archive.audiences():
        audience = counted.audience
        before = retention.before(audience, now)
        while before is not None and counted.oldest is not None:
            taken = archive.forget(audience, before, PORTION, now)
            yield Portion(audience, before, taken)
            if taken < PORTION:
                break
    before = retention.evidence_before(now)
    while before is not None:
        taken = archive.forget_evidence(before, PORTION)
        yield Portion(None, before, taken)
        if taken < PORTION:
            break


class Tally:
    """Adds up portions into what a round took."""

    def __init__(self) -> None:
        self._bodies: dict[str, int] = {}
        self._evidence = 0

    def add(self, portion: Portion) -> None:
        """Count one portion."""
        if portion.audience is None:
            self._evidence += portion.taken
        elif portion.taken:
            self._bodies[portion.audience] = self._bodies.get(portion.audience, 0) + portion.taken

    def pruned(self) -> Pruned:
        """What was taken so far."""
        return Pruned(dict(self._bodies), self._evidence)


async def retain(
    opener: Callable[[], Forgetting],
    retention: Retention,
    on_event: Callable[[RetentionEvent], None] = lambda _: None,
    *,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    every_s: float = EVERY_S,
    pause_s: float = PAUSE_S,
) -> None:
    """A collector's background task: keep to `retention` until cancelled; returns at once where all is kept forever.

    `opener` opens a connection of its own, for each round, in a thread of its own. Small portions with pauses: a
    collector never waits long. What fails (`clock`, too, may raise `StateError`) is told, and tried again in the next
    round.
    """
    if not retention.takes_anything:
        return
    logger = log.get("retention")
    while True:
        tally = Tally()
        try:
            await _round(opener, retention, clock(), pause_s, tally)
        except StateError as error:
            logger.warning("retention round failed", code=error.code)
            on_event(PruningFailed(error.code))
        pruned = tally.pruned()
        if pruned.bodies or pruned.evidence:
            on_event(pruned)
        await asyncio.sleep(every_s)


async def _round(
    opener: Callable[[], Forgetting], retention: Retention, now: datetime, pause_s: float, tally: Tally
) -> None:
    thread = await DatabaseThread.open("retention", opener)
    try:
        steps = await thread.run(lambda archive: portions(archive, retention, now))
        while (portion := await thread.run(lambda _: next(steps, None))) is not None:
            tally.add(portion)
            await asyncio.sleep(pause_s)
    finally:
        await thread.close()
