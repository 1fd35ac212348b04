"""Staying connected: waits that grow, and the few moves around tasks that every party needs."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import random
    from collections.abc import Awaitable, Coroutine


SPREAD_S: Final = 5.0
"""Whoever a broker loses when it ends comes back over so many seconds. Nobody at a counter notices: a verdict is
committed, and shown, without a connection."""


class Backoff:
    """Waits between attempts: doubling from `first_s` to `bound_s`, each cut by up to a half at random.

    The randomness keeps a fleet from knocking all at once. `spread_s` is for the moment when it is needed most: a
    broker that ends loses all its boxes in the same instant, so the first wait after a connection that was well is
    drawn from up to so many seconds (`bound_s` at most). Ten thousand boxes over five seconds are two thousand
    handshakes a second; those that find the broker full wait longer, and spread further.
    """

    def __init__(self, first_s: float, bound_s: float, chance: random.Random, spread_s: float = 0.0) -> None:
        self._first_s = first_s
        self._bound_s = bound_s
        self._spread_s = min(spread_s, bound_s)
        self._chance = chance
        self._next_s = first_s

    def next(self) -> float:
        """Seconds to wait now."""
        wait, self._next_s = self._next_s, min(2 * self._next_s, self._bound_s)
        return wait * (0.5 + self._chance.random() / 2)

    def lasted(self, seconds: float) -> None:
        """A connection held so long; one that outlived the wait before it starts the waits anew."""
        if seconds > self._next_s:
            self._next_s = self._first_s

    def after_loss(self, lasted_s: float) -> float:
        """Seconds to wait now that a connection has ended which held for `lasted_s`."""
        self.lasted(lasted_s)
        return max(self.next(), self._chance.random() * self._spread_s)

    def longest(self) -> float:
        """Seconds to wait when haste would do harm; the waits don't start anew before a connection holds that long."""
        self._next_s = self._bound_s
        return self.next()


async def within(waiting: Awaitable[object], seconds: float) -> None:
    """Wait for something, at most so long."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await waiting


async def first_to_end(*coroutines: Coroutine[None, None, object]) -> None:
    """Run all until one returns or raises; end the others; raise what it raised."""
    tasks = [asyncio.ensure_future(coroutine) for coroutine in coroutines]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        task.result()
