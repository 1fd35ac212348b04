"""Breaks between two inspections: others work while nothing is being inspected, and nothing begins meanwhile."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

MAX_BREAK_S: Final = 30.0
"""What is done between two inspections may take so long, and no clerk stands there for longer."""

T = TypeVar("T")


class Breaks:
    """Asked for by anybody, given by the one who inspects; `ask` has it look up."""

    def __init__(self, ask: Callable[[], None]) -> None:
        self._ask = ask
        self._asked: deque[tuple[asyncio.Future[None], asyncio.Event]] = deque()
        self._since: float | None = None

    async def take(self, work: Callable[[], Awaitable[T]]) -> T:
        """Run `work` in a break. Raises what it raises, and `TimeoutError` when it takes longer than `MAX_BREAK_S`."""
        begun, over = asyncio.get_running_loop().create_future(), asyncio.Event()
        self._asked.append((begun, over))
        self._ask()
        try:
            await begun
            async with asyncio.timeout(MAX_BREAK_S):
                return await work()
        finally:
            over.set()

    async def give(self, free: Callable[[], bool]) -> bool:
        """Give every break that is asked for while `free()`, one after the other; whether there was any."""
        given = False
        while self._asked and free():
            begun, over = self._asked.popleft()
            if begun.done():
                continue  # whoever asked has gone
            self._since = time.monotonic()
            begun.set_result(None)
            await over.wait()
            self._since = None
            given = True
        return given

    @property
    def goes_on(self) -> bool | None:
        """During a break whether it may still go on, for a watchdog; None when there is none."""
        return None if self._since is None else time.monotonic() - self._since < 2 * MAX_BREAK_S

    def end(self) -> None:
        """There will be none any more: whoever waits for one is cancelled."""
        for begun, _ in self._asked:
            begun.cancel()
