"""Everything that happens at a station, in order: presses, requests, facts. One consumer."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edged.events import CancelRequested, CompletionRequested, Event, ScanRequest

Answer = asyncio.Future[dict[str, Any]]


@dataclass(frozen=True)
class Press:
    """Somebody pressed scan and waits for `answer`."""

    request: ScanRequest
    answer: Answer


@dataclass(frozen=True)
class Ask:
    """Somebody asks for a change and waits to hear whether it was possible."""

    event: CancelRequested | CompletionRequested
    answer: asyncio.Future[bool]


@dataclass(frozen=True)
class Fact:
    """Something happened; `answers` is the number of the command it answers, None for the world at large."""

    answers: int | None
    event: Event


class Wake:
    """Nothing happened: look at the deadline and the idle light again."""


Item = Press | Ask | Fact | Wake


class Inbox:
    """Takes everything at once and in order; nothing that is put in waits."""

    def __init__(self) -> None:
        self._items: asyncio.Queue[Item] = asyncio.Queue()

    def press(self, request: ScanRequest) -> Answer:
        """A press of scan; its outcome comes as the future's result."""
        answer: Answer = asyncio.get_running_loop().create_future()
        self._items.put_nowait(Press(request, answer))
        return answer

    def ask(self, event: CancelRequested | CompletionRequested) -> asyncio.Future[bool]:
        """A request for a change; whether it was possible comes as the future's result."""
        answer: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._items.put_nowait(Ask(event, answer))
        return answer

    def tell(self, event: Event, *, answers: int | None = None) -> None:
        """A fact, and which command it answers."""
        self._items.put_nowait(Fact(answers, event))

    def wake(self) -> None:
        """Have the consumer take one turn."""
        self._items.put_nowait(Wake())

    async def next(self, deadline: float | None) -> Item | None:
        """The next item, or None when `deadline` (of `time.monotonic`) comes first."""
        loop = asyncio.get_running_loop()
        until = None if deadline is None else loop.time() + max(0.0, deadline - time.monotonic())
        try:
            async with asyncio.timeout_at(until):
                return await self._items.get()
        except TimeoutError:
            return None

    def left(self) -> Iterator[Item]:
        """What nobody will take any more."""
        while not self._items.empty():
            yield self._items.get_nowait()
