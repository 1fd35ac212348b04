"""Requests that wait for their answer: each audience in its turn, and none faster than its rate.

Takes time as an argument, does no I/O.
"""

from __future__ import annotations

from collections import deque
from typing import Final, Generic, TypeVar

from edged.uplink.replay import MAX_PAGE
from edged.uplink.token_bucket import TokenBucket

MAX_WAITING: Final = 4
"""Requests of one audience that wait at one worker. A client has one under way at a time; more is one that doesn't wait
for its answers, and those it gets are enough."""

LEAST: Final = 20
"""What any answer costs at least, in messages: one without any still asks the database."""

R = TypeVar("R")


class ReplayQueue(Generic[R]):
    """One worker's queue. Only audiences whose signature holds get in, so the fleet's authority bounds their number."""

    def __init__(self, messages_per_s: float) -> None:
        self._per_s = messages_per_s
        self._waiting: dict[str, deque[R]] = {}
        self._buckets: dict[str, TokenBucket] = {}

    def offer(self, audience: str, request: R) -> bool:
        """Whether there is room for it; otherwise it is dropped, and its asker has others that wait."""
        waiting = self._waiting.setdefault(audience, deque())
        if len(waiting) >= MAX_WAITING:
            return False
        waiting.append(request)
        return True

    def next(self, now: float) -> tuple[R | None, float | None]:
        """The request to answer now; or None and the seconds until there is one (None: nothing waits)."""
        soonest: float | None = None
        for audience, waiting in list(self._waiting.items()):
            bucket = self._buckets.get(audience)
            pause = bucket.wait(now) if bucket else 0.0
            if pause == 0.0:
                # To the end of the line: the others come first next time.
                del self._waiting[audience]
                request = waiting.popleft()
                if waiting:
                    self._waiting[audience] = waiting
                return request, 0.0
            soonest = pause if soonest is None else min(soonest, pause)
        return None, soonest

    def answered(self, audience: str, messages: int, now: float) -> None:
        """Charge `audience` for an answer of so many messages."""
        self._buckets = {name: kept for name, kept in self._buckets.items() if not kept.full(now)}
        bucket = self._buckets.setdefault(audience, TokenBucket(self._per_s, MAX_PAGE, now))
        bucket.spend(max(LEAST, messages), now)
