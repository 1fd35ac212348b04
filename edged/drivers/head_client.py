"""A head at the other end of a line: opens it again and again, keeps a session, asks and waits for the answer.

What the head's driver and `edged head` have in common; knows nothing of lights and documents.
"""

from __future__ import annotations

import asyncio
import secrets
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar

from edged import log
from edged.drivers.head_link import HeadLink, Incompatible, LinkFact, Lost, Opened
from edged.drivers.head_messages import Reply, Status
from edged.drivers.head_refusals import refusal
from edged.drivers.head_traits import WelcomeFlag
from edged.drivers.head_transport import DEVICE
from edged.drivers.head_update_messages import (
    NO_SLOT,
    Slots,
    SlotsResult,
    SlotState,
    UpdateBegin,
    UpdateBoot,
    UpdateCancel,
    UpdateConfirm,
    UpdateData,
    UpdateEnd,
)
from edged.errors import DecodeError, DeviceError, DeviceGoneError, HeadRefusedError
from edged.verdict import Reason

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from edged.drivers.head_frame import Welcome
    from edged.drivers.head_link import LinkCounts
    from edged.drivers.head_requests import Request
    from edged.drivers.head_transport import Connection, Transport
    from edged.drivers.head_update_messages import Slot

T = TypeVar("T")

PAUSES_S: Final = (0.2, 0.5, 1.0, 2.0, 5.0)
"""Between attempts to open the line; the last one repeats."""

NOT_THERE_S: Final = 1.0
"""Longest pause while nothing is attached: looking costs nothing, and whoever plugs a head in waits for it."""

SILENT_S: Final = 3.0
"""An open line on which no session began for so long has no head at its other end."""

MAX_WAITING: Final = 64
"""Requests that wait until the head has answered others; more is a program that went wrong."""

BUSY_AGAIN_S: Final = 0.05
"""Until a head that was busy is asked again."""

AT_ONCE: Final = 12
"""Requests that are open at a time: fewer than the protocol's 16, for what is given up and still open."""


class HeadClient:
    """Enter it to begin; it goes on until it is left, whatever happens to the line.

    Attributes:
        welcome: of the running session; None when there is none.
        known: of the last session that there was.
        trouble: why there is no session, and what to do about it; None when there is one.
        on_fact: hears what happens, in order, in the event loop; replies excepted.
        on_trouble: hears that `trouble` is another one.
    """

    def __init__(self, transport: Transport) -> None:
        self.transport = transport
        self.known: Welcome | None = None
        self.trouble: Reason | None = Reason("reader_head.gone")
        self.on_fact: Callable[[LinkFact], None] = lambda _: None
        self.on_trouble: Callable[[], None] = lambda: None
        self._link = HeadLink(secrets.randbelow(255) + 1)
        self._connection: Connection | None = None
        self._answers: dict[int, asyncio.Future[Reply]] = {}
        self._free = asyncio.Semaphore(AT_ONCE)
        self._waiting = 0
        self._timer: asyncio.TimerHandle | None = None
        self._silence: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None
        self._log = log.get(DEVICE)

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.create_task(self._run(), name="head line")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait((task,))

    @property
    def welcome(self) -> Welcome | None:
        """Of the running session; None when there is none."""
        return self._link.welcome

    @property
    def counts(self) -> LinkCounts:
        """What went wrong on this side of the line so far."""
        return self._link.counts

    async def request(self, request: Request[T]) -> T:
        """Ask, and wait for the answer.

        Raises `DeviceGoneError` when there is no session, or it ends before the answer; `HeadRefusedError` when the
        head won't; `DeviceError` when it answers what can't be understood, or too many wait
        (`reader_head.too_many_requests`).
        """
        if self._waiting >= MAX_WAITING:
            raise DeviceError(DEVICE, "reader_head.too_many_requests")
        self._waiting += 1
        try:
            async with self._free:
                reply = await self._ask(request)
        finally:
            self._waiting -= 1
        if reply.status is not Status.OK:
            raise refusal(reply)
        try:
            return request.decode_result(reply.result)
        except DecodeError as error:
            raise DeviceError(DEVICE, error.code) from error

    async def request_when_free(self, request: Request[T], seconds: float) -> T:
        """`request`, again while the head is busy with something else or a lamp rests.

        For `seconds` at most: who would have to wait longer hears at once. Raises as `request` does.
        """
        until = self._loop.time() + seconds
        while True:
            try:
                return await self.request(request)
            except HeadRefusedError as error:
                if error.status == Status.LIMIT and error.number is not None:
                    pause = max(error.number / 1000, BUSY_AGAIN_S)
                elif error.status == Status.BUSY:
                    pause = BUSY_AGAIN_S
                else:
                    raise
                if self._loop.time() + pause > until:
                    raise
            await asyncio.sleep(pause)

    async def _ask(self, request: Request[Any]) -> Reply:
        tag = self._link.request(request, self._loop.time())
        answer: asyncio.Future[Reply] = self._loop.create_future()
        self._answers[tag] = answer
        self._pump()
        return await answer

    # --- the update of its firmware, PROTOCOL.md §7; each raises as `request` does ---

    async def slots(self) -> SlotsResult:
        """What the slots hold, and which one runs. `known` and `welcome` are as new from then on."""
        session = self.welcome
        found = await self.request(Slots())
        if self.welcome is session and session is not None and found.running != NO_SLOT:
            self._runs(session, found.slots[found.running])
        return found

    def _runs(self, welcome: Welcome, slot: Slot) -> None:
        """WELCOME is as old as the session; what runs may have been confirmed in it."""
        confirmed = slot.state is SlotState.CONFIRMED
        self.known = self._link.welcome = replace(
            welcome,
            flags=welcome.flags & ~WelcomeFlag.ON_TRIAL
            | (WelcomeFlag.ON_TRIAL if slot.state is SlotState.TRIAL else 0),
            security_version=max(welcome.security_version, slot.security_version if confirmed else 0),
        )

    async def update_begin(self, size: int, digest: bytes) -> int:
        """Begin an image of `size` octets with this SHA-256; returns the offset to go on from."""
        return await self.request(UpdateBegin(size, digest))

    async def update_data(self, offset: int, octets: bytes) -> int:
        """Up to 224 octets of the image; returns the next offset. Several may be on their way at a time, in order."""
        return await self.request(UpdateData(offset, octets))

    async def update_end(self) -> None:
        """Have the image verified in its slot."""
        await self.request(UpdateEnd())

    async def update_boot(self) -> None:
        """Mark the slot for trial; the head restarts."""
        await self.request(UpdateBoot())

    async def update_confirm(self) -> None:
        """The image that runs is good."""
        await self.request(UpdateConfirm())
        with suppress(DeviceError):  # it is; only what is known of it is older
            await self.slots()

    async def update_cancel(self) -> None:
        """Forget what was begun."""
        await self.request(UpdateCancel())

    # --- the line ---

    async def _run(self) -> None:
        failures = 0
        while True:
            pause = PAUSES_S[min(failures, len(PAUSES_S) - 1)]
            failures += 1
            try:
                if await self._keep_open():
                    failures = 0
            except DeviceGoneError as error:
                pause = min(pause, NOT_THERE_S)
                self._say(error.code)
            except DeviceError as error:
                self._say(error.code)
            except Exception as error:  # noqa: BLE001 - this must not end: nothing would look for the head any more
                self._log.error("the head's line failed; please report this", exc_info=error)
                self._say("reader_head.port_failed")
            await asyncio.sleep(pause)

    async def _keep_open(self) -> bool:
        """Open the line and serve it until it ends; whether there was a head. Raises `DeviceError`."""
        connection = await self.transport.connect(self._hear)
        known, self.known = self.known, None
        try:
            self._connected(connection)
            await connection.ended()
        finally:
            self._disconnected()
            found = self.known is not None
            self.known = self.known or known
            await asyncio.shield(asyncio.ensure_future(connection.close()))
        self._say("reader_head.gone")
        return found

    def _connected(self, connection: Connection) -> None:
        self._connection = connection
        self._silence = self._loop.call_later(SILENT_S, self._silent)
        self._link.connected(self._loop.time())
        self._pump()

    def _disconnected(self) -> None:
        self._link.disconnected(self._loop.time())
        self._connection = None
        self._pump()
        if self._silence is not None:
            self._silence.cancel()

    def _hear(self, data: bytes) -> None:
        self._link.receive(data, self._loop.time())
        self._pump()

    def _tick(self) -> None:
        self._link.tick(self._loop.time())
        self._pump()

    def _silent(self) -> None:
        if self.welcome is None and self.trouble is not None and self.trouble.code == "reader_head.gone":
            self._say("reader_head.silent")

    def _pump(self) -> None:
        """Hand on what the link has for the line, for whoever waits, and for the clock."""
        if self._connection is not None and (data := self._link.bytes_to_send()):
            self._connection.send(data)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._connection is not None and (deadline := self._link.deadline) is not None:
            self._timer = self._loop.call_at(deadline, self._tick)
        for fact in self._link.facts():
            self._happened(fact)

    def _happened(self, fact: LinkFact) -> None:
        match fact:
            case Reply():
                answer = self._answers.pop(fact.tag, None)
                if answer is not None and not answer.done():
                    answer.set_result(fact)
                return
            case Opened(welcome):
                self.known = welcome
                self._say(None)
            case Lost(code):
                self._fail(code)
                self._say(code)
            case Incompatible(code):
                self._say(code)
            case _:
                pass
        self.on_fact(fact)

    def _fail(self, code: str) -> None:
        answers, self._answers = self._answers, {}
        for answer in answers.values():
            if not answer.done():
                answer.set_exception(DeviceGoneError(DEVICE, code))

    def _say(self, code: str | None) -> None:
        """Remember, and tell, why there is no session; None when there is one."""
        reason = None if code is None else Reason(code)
        if reason != self.trouble:
            self.trouble = reason
            self._log.info("head", port=self.transport.name, trouble=code)
            self.on_trouble()
