"""The host's end of a head's line for tests: the product's link over a Unix socket, on a line that may misbehave."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, Self, TypeVar

from edged.drivers.head_frame import Welcome
from edged.drivers.head_link import HeadLink, LinkFact, Opened, Told
from edged.drivers.head_messages import Reply, Status
from edged.drivers.ports import SOCKET
from edged.errors import DeviceGoneError
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable

    from edged.drivers.head_requests import Request

T = TypeVar("T")

Line = "Callable[[bytes], bytes]"


def clear(octets: bytes) -> bytes:
    """A line that is what it should be."""
    return octets


class BoardLink:
    """A session with the head at `port`, anew whenever one ends; `out` and `into` are what the line does to octets.

    Attributes:
        facts: all that the link told.
    """

    def __init__(
        self,
        port: str,
        *,
        session: int = 1,
        out: Callable[[bytes], bytes] = clear,
        into: Callable[[bytes], bytes] = clear,
    ) -> None:
        assert port.startswith(SOCKET)
        self._path = port.removeprefix(SOCKET)
        self.link = HeadLink(session)
        self.out, self.into = out, into
        self.facts: list[LinkFact] = []
        self._changed = asyncio.Event()

    async def __aenter__(self) -> Self:
        self._reader, self.writer = await asyncio.open_unix_connection(self._path)
        self.link.connected(time.monotonic())
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(self, *error: object) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self.writer.close()

    async def opened(self, sessions: int = 1) -> Welcome:
        """The WELCOME of so many sessions."""
        await until(lambda: len(self.every(Opened)) >= sessions, so_far=lambda: self.facts)
        return self.every(Opened)[sessions - 1].welcome

    def every(self, kind: type[T]) -> list[T]:
        """What of this kind has been told so far."""
        return [fact for fact in self.facts if isinstance(fact, kind)]

    def events(self, kind: type[T]) -> list[T]:
        """What of this kind the head has told so far."""
        return [told.event for told in self.every(Told) if isinstance(told.event, kind)]

    async def told(self, kind: type[T], count: int = 1) -> list[T]:
        """The first `count` events of this kind."""
        await until(lambda: len(self.events(kind)) >= count, so_far=lambda: self.facts)
        return self.events(kind)[:count]

    async def reply(self, request: Request[Any]) -> Reply:
        """What the head answers."""
        tag = self.link.request(request, time.monotonic())
        since = len(self.facts)
        self._pump(b"")

        def answers() -> list[Reply]:
            return [fact for fact in self.facts[since:] if isinstance(fact, Reply) and fact.tag == tag]

        await until(lambda: answers() or self.link.welcome is None, so_far=lambda: self.facts)
        if not answers():
            raise DeviceGoneError("head", "head.gone")
        return answers()[0]

    async def ask(self, request: Request[T]) -> T:
        """What the head answers, which is ok."""
        reply = await self.reply(request)
        assert reply.status is Status.OK, reply
        return request.decode_result(reply.result)

    def _pump(self, octets: bytes) -> None:
        now = time.monotonic()
        if octets:
            self.link.receive(octets, now)
        self.link.tick(now)
        self.facts += self.link.facts()
        if (out := self.link.bytes_to_send()) and (out := self.out(out)):
            self.writer.write(out)

    async def _run(self) -> None:
        while True:
            self._pump(b"")
            deadline = self.link.deadline
            assert deadline is not None
            try:
                async with asyncio.timeout(max(deadline - time.monotonic(), 0.001)):
                    octets = await self._reader.read(4096)
            except TimeoutError:
                continue
            if not octets:
                return
            self._pump(self.into(octets))
