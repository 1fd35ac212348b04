"""Publications on their way on one connection: how many there may be, who waits for which, and how long.

A broker counts what it hasn't acknowledged, so a slot is free again when the PUBACK is here, not when somebody has
stopped waiting. Time is an argument; futures are the only thing of asyncio in it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

SKIPPED: Final = 3
"""A publication that others overtake is given so many times the patience: acknowledgements come in order (MQTT 5
§4.6), so a broker that leaves one out has lost it, but a slow one deserves doubt."""


class Answer(NamedTuple):
    """A PUBACK: its reason code, and what the broker says to it, printable and bounded."""

    value: int
    said: str


class InFlight:
    """What one connection waits for. `limit` publications at once; `patience_s` seconds without any answer."""

    def __init__(self, limit: int, patience_s: float) -> None:
        self.limit = limit
        self._patience_s = patience_s
        self._waiting: dict[int, tuple[float, asyncio.Future[Answer | None]]] = {}
        self._reserved = 0
        self._queue: deque[asyncio.Future[None]] = deque()
        self._heard_at = 0.0
        self.on_free: Callable[[], None] = lambda: None
        """Called when a slot is free that nobody queues for."""

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def free(self) -> int:
        """Publications that may be sent now; those who queue for a slot come first."""
        return max(self.limit - len(self._waiting) - self._reserved - len(self._queue), 0)

    async def slot(self) -> None:
        """Wait for a slot, in turn; it is kept for the caller until `sent` or `give_back`."""
        if self.free:
            self._reserved += 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.give_back()
            else:
                self._queue.remove(turn)
            raise

    def give_back(self) -> None:
        """Return a slot that nothing was sent in."""
        self._reserved -= 1
        self._next()

    def sent(self, mid: int, now: float, *, reserved: bool) -> asyncio.Future[Answer | None]:
        """Note a publication; the future brings its PUBACK, or None when the connection ends first."""
        if reserved:
            self._reserved -= 1
        answer: asyncio.Future[Answer | None] = asyncio.get_running_loop().create_future()
        self._waiting[mid] = (now, answer)
        return answer

    def answered(self, mid: int, answer: Answer, now: float) -> bool:
        """Take a PUBACK; whether anything of ours had that packet identifier."""
        sent = self._waiting.pop(mid, None)
        if sent is None:
            return False
        self._heard_at = now
        if not sent[1].done():
            sent[1].set_result(answer)
        self._next()
        return True

    def end(self) -> None:
        """The connection has ended: nobody will ever know."""
        waiting, self._waiting = self._waiting, {}
        for _, answer in waiting.values():
            if not answer.done():
                answer.set_result(None)
        while self._queue:
            self._hand(self._queue.popleft())

    def deadline(self) -> float | None:
        """When the oldest will have waited too long, unless an answer comes before; None when nothing waits."""
        if not self._waiting:
            return None
        oldest = next(iter(self._waiting.values()))[0]
        return min(max(oldest, self._heard_at) + self._patience_s, oldest + SKIPPED * self._patience_s)

    def _next(self) -> None:
        while self._queue and len(self._waiting) + self._reserved < self.limit:
            self._hand(self._queue.popleft())
        if self.free:
            self.on_free()

    def _hand(self, turn: asyncio.Future[None]) -> None:
        if not turn.done():
            self._reserved += 1
            turn.set_result(None)
