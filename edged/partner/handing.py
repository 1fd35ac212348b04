"""Handing on: what the inbox keeps goes out in order, is marked when it was taken, and is offered again when it wasn't.

A mark is made after a verdict was taken, so whoever takes them sees one twice when we are killed in between, and none
never. What isn't taken holds up its stream and no other.
"""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, Any, Final

import msgspec

from edged import log
from edged.errors import StateError
from edged.uplink.intake import BATCH
from edged.uplink.reconnect import Backoff, first_to_end, within
from edged.uplink.replay import MAX_PAGE

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from edged.partner.command import Command
    from edged.partner.store import Inbox, Waiting
    from edged.uplink.database import DatabaseThread, StreamKey

MAX_WAITING: Final = 1000
"""Verdicts that wait to be handed on before no more are taken from the broker, which then keeps them: a slow command
costs disk there, not here, and memory nowhere."""

MAX_REPLAYED: Final = MAX_PAGE
"""Replayed verdicts that wait before no further page is asked for."""

MAX_HELD: Final = 20
"""Streams that are held up at once. When so many aren't taken, it isn't the verdicts: nothing is offered until the
first of them is due again."""

RETRY_S: Final = (1.0, 300.0)
"""Waits before what wasn't taken is offered again: from, doubling, up to."""

STOP_S: Final = 5.0
"""How long a command in hand may go on when we are to stop. After that it is killed, and its verdict comes again."""


class VerdictEvent(msgspec.Struct, frozen=True, tag="verdict", tag_field="event"):
    """A verified verdict, each once. `verdict` is the payload as in the JSON Schema; `lane` isn't signed.

    `lane`: `live`, `backlog`, `replay` for what came out of the archive, or null when the box didn't say.
    """

    verdict: dict[str, Any]
    sha256: str
    lane: str | None


class GapEvent(msgspec.Struct, frozen=True, tag="gap", tag_field="event"):
    """A verified gap record: verdicts that will not come. `gap` is the payload as in the JSON Schema."""

    gap: dict[str, Any]
    sha256: str


class NotTaken(msgspec.Struct, frozen=True, tag="not_taken", tag_field="event"):
    """The command didn't take something; it is offered again in `retry_s` seconds. `exit` as the command ended.

    `sha256` is that of the verdict or gap record, `times` how often in a row something of its stream wasn't taken.
    """

    device: str
    code: str
    exit: int | None
    retry_s: float
    sha256: str
    times: int


class HandingFailed(msgspec.Struct, frozen=True, tag="handing_failed", tag_field="event"):
    """The inbox can't be read or marked; the next attempt is in `retry_s` seconds."""

    code: str
    retry_s: float


HandingEvent = VerdictEvent | GapEvent | NotTaken | HandingFailed


class _Held:
    """A stream of which something wasn't taken; `due` when it is offered again."""

    def __init__(self, backoff: Backoff) -> None:
        self.backoff = backoff
        self.due = 0.0
        self.times = 0


class Handing:
    """Hands on what an inbox keeps: to `command`, or as events when there is none. `run` is a task.

    `retry_s`: see `RETRY_S`. `on_mark` is called when room was made.
    """

    def __init__(
        self,
        inbox: DatabaseThread[Inbox],
        *,
        on_event: Callable[[HandingEvent], None],
        clock: Callable[[], datetime],
        command: Command | None = None,
        on_mark: Callable[[], None] = lambda: None,
        retry_s: tuple[float, float] = RETRY_S,
    ) -> None:
        self._inbox = inbox
        self._on_event = on_event
        self._clock = clock
        self._command = command
        self._on_mark = on_mark
        self._retry_s = retry_s
        self._held: dict[StreamKey, _Held] = {}
        self._disk = self._backoff()
        self._news = asyncio.Event()
        self._marked = asyncio.Event()
        self._stopping = asyncio.Event()
        self._log = log.get("handing")

    def _backoff(self) -> Backoff:
        return Backoff(*self._retry_s, random.Random())  # noqa: S311  # no secret, only different

    def wake(self) -> None:
        """There may be something to hand on."""
        self._news.set()

    def stop(self) -> None:
        """Let `run` return after what is in hand, within `STOP_S`."""
        self._stopping.set()

    async def room(self) -> None:
        """Wait until there is room for what the broker brings, or we are to stop. Raises `StateError`."""
        while not self._stopping.is_set():
            self._marked.clear()
            first, replayed = await self._inbox.run(lambda inbox: inbox.count_waiting())
            # Replays nobody asked for count, too: they are bounded by what was asked for otherwise.
            if first < MAX_WAITING and replayed < MAX_WAITING + MAX_REPLAYED:
                return
            await first_to_end(self._marked.wait(), self._stopping.wait())

    async def room_for_page(self) -> bool:
        """Whether another page may be asked for. Raises `StateError`.

        Not when nothing is taken from the broker: the answer would fill our queue there, and push live verdicts out.
        """
        first, replayed = await self._inbox.run(lambda inbox: inbox.count_waiting())
        return first < MAX_WAITING and replayed < MAX_REPLAYED

    async def run(self) -> None:
        """Hand on until `stop`."""
        while not self._stopping.is_set():
            try:
                wait = await self._round()
            except StateError as error:
                wait = round(self._disk.next(), 3)
                self._log.warning("handing failed", code=error.code, detail=str(error), retry_s=wait)
                self._on_event(HandingFailed(error.code, wait))
                await within(self._stopping.wait(), wait)
                continue
            if wait is not None:
                await within(first_to_end(self._news.wait(), self._stopping.wait()), wait)

    async def _round(self) -> float | None:
        """Hand on what can be; how long to wait for news, or None when there is more."""
        self._news.clear()
        now = asyncio.get_running_loop().time()
        held = [stream for stream, one in self._held.items() if one.due > now]
        next_due = min((self._held[stream].due for stream in held), default=now + 3600.0)
        if len(held) >= MAX_HELD:
            await within(self._stopping.wait(), next_due - now)
            return None
        # One at a time to a command: a fresh verdict is next, however many replayed ones wait.
        limit = 1 if self._command else BATCH
        ready = await self._inbox.run(lambda inbox: inbox.waiting(limit, held))
        taken = [one for one in ready if await self._offer(one)]
        if taken:
            await self._inbox.run(lambda inbox: inbox.mark_handed(taken, self._clock()))
            self._disk = self._backoff()
            for one in taken:
                self._held.pop(one.stream, None)
            self._marked.set()
            self._on_mark()
        return None if ready else next_due - now

    async def _offer(self, one: Waiting) -> bool:
        content = msgspec.json.decode(one.body)
        event = GapEvent(**content) if one.table == "gap" else VerdictEvent(**content)
        if self._command is None:
            self._on_event(event)
            return True
        taking = asyncio.create_task(self._command.take(msgspec.json.encode(event) + b"\n"))
        try:
            await asyncio.wait(
                {taking, stopping := asyncio.create_task(self._stopping.wait())},
                return_when=asyncio.FIRST_COMPLETED,
            )
            stopping.cancel()
            if not taking.done():
                await asyncio.wait({taking}, timeout=STOP_S)
        finally:
            taking.cancel()
            await asyncio.gather(taking, return_exceptions=True)
        if taking.cancelled():
            return False
        untaken = taking.result()
        if untaken is None:
            return True
        held = self._held.setdefault(one.stream, _Held(self._backoff()))
        wait = round(held.backoff.next(), 3)
        held.times += 1
        held.due = asyncio.get_running_loop().time() + wait
        told = NotTaken(one.stream[0], untaken.code, untaken.exit, wait, event.sha256, held.times)
        self._log.warning("not taken", **msgspec.structs.asdict(told))
        self._on_event(told)
        return False
