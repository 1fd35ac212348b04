"""One connection of one application: lines in and out, bounded; what was secret in a line is overwritten."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final

from edged import log
from edged.errors import CodedError, ControlError
from edged.handover import protocol
from edged.handover.answer import wipe
from edged.listener import leave

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edged.handover.peers import Peer

MAX_REQUESTS: Final = 4
"""Open at a time: an inspection, its cancellation, and a question."""

MAX_QUEUED: Final = 256
"""Lines that wait to be read: an application this far behind isn't reading, and is disconnected."""

MAX_REFUSALS: Final = 16
"""Refused requests of one connection: each takes of the journal, and no clerk is that often wrong."""

WRITE_S: Final = 5.0
"""How long a line may take to be read: until then it lies in a buffer, and it may hold fields."""

Answer = Callable[["Connection", protocol.Request], Awaitable[bytes | bytearray]]
"""Makes the line that answers; raises `CodedError` to refuse. A `bytearray` is overwritten once it is written."""


class Connection:
    """`run` serves it until it ends.

    Attributes:
        number: tells it from every other of this process.
        peer: who it is.
        subscribed: whether it wants to hear of progress.
    """

    def __init__(
        self,
        number: int,
        peer: Peer,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        answer: Answer,
    ) -> None:
        self.number = number
        self.peer = peer
        self.subscribed = False
        self._reader = reader
        self._writer = writer
        self._answer = answer
        self._outgoing: asyncio.Queue[bytes | bytearray | None] = asyncio.Queue(MAX_QUEUED)
        self._open: set[asyncio.Task[None]] = set()
        self._refusals = 0
        self._log = log.get("handover")
        # `drain` returns once nothing waits in the transport's own buffer, so that the line can be overwritten. With
        # TLS the mark is 1: at 0 asyncio takes an empty buffer for a full one.
        tls = writer.get_extra_info("ssl_object") is not None
        writer.transport.set_write_buffer_limits(high=1 if tls else 0, low=0)

    def tell(self, event: Mapping[str, Any]) -> None:
        """Send an event, if it is to hear of them."""
        if self.subscribed:
            self._send(protocol.event(event))

    def hang_up(self, code: str) -> None:
        """Say why, and end."""
        self._send(protocol.refusal(None, code))
        self._send(None)

    def _send(self, line: bytes | bytearray | None) -> None:
        try:
            self._outgoing.put_nowait(line)
        except asyncio.QueueFull:
            if isinstance(line, bytearray):
                wipe(line)
            self._writer.transport.abort()

    async def run(self) -> None:
        """Serve it until the application or `hang_up` ends it."""
        listening = asyncio.create_task(self._listen())
        writing = asyncio.create_task(self._write())
        try:
            await asyncio.wait([listening, writing], return_when=asyncio.FIRST_COMPLETED)
            if not writing.done():  # it has left: what it was told already is still written
                self._send(None)
                await asyncio.wait([writing])
            else:  # it was told to leave
                listening.cancel()
                await asyncio.wait([listening])
                await leave(self._reader, self._writer)
        finally:
            for task in (listening, writing, *self._open):
                task.cancel()
            await asyncio.gather(listening, writing, *self._open, return_exceptions=True)
            while not self._outgoing.empty():
                line = self._outgoing.get_nowait()
                if isinstance(line, bytearray):
                    wipe(line)

    async def _listen(self) -> None:
        with contextlib.suppress(ConnectionError):
            while True:
                try:
                    line = await self._reader.readline()
                except ValueError:  # longer than the limit
                    self.hang_up("handover.request_too_long")
                    return
                if not line:
                    return
                if len(self._open) >= MAX_REQUESTS:
                    self._refuse(protocol.number_of(line), "handover.too_many_requests")
                    continue
                task = asyncio.create_task(self._handle(line))
                self._open.add(task)
                task.add_done_callback(self._open.discard)

    async def _handle(self, line: bytes) -> None:
        number: int | None = None
        try:
            number = protocol.number_of(line)
            self._send(await self._answer(self, protocol.parse(line)))
        except ControlError as error:
            self._refuse(number, error.code)
        except CodedError as error:  # it may not be here any more
            self.hang_up(error.code)
        except Exception as error:  # noqa: BLE001 - whoever asked must not wait for ever
            self._log.error("a request failed; please report this", exc_info=error)
            self._refuse(number, "handover.internal_error")

    def _refuse(self, number: int | None, code: str) -> None:
        self._send(protocol.refusal(number, code))
        self._refusals += 1
        if self._refusals >= MAX_REFUSALS:
            self.hang_up("handover.too_many_refusals")

    async def _write(self) -> None:
        with contextlib.suppress(ConnectionError, TimeoutError):
            while (line := await self._outgoing.get()) is not None:
                try:
                    async with asyncio.timeout(WRITE_S):
                        self._writer.write(line)
                        await self._writer.drain()
                except BaseException:
                    self._writer.transport.abort()  # and what is in its buffer with it
                    raise
                finally:
                    if isinstance(line, bytearray):
                        wipe(line)
