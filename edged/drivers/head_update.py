"""An update of the head's firmware, over a line that may be lost (firmware/PROTOCOL.md §7, firmware/BOOT.md §6).

The image is sent while the counter is free, and gone on with where it was after anything that interrupts it. Then the
head restarts with it, on trial; only when a session has begun and the head finds nothing wrong with itself that wasn't
wrong before is it confirmed. In every other case it goes back to the old one by itself.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, TypeVar

from edged.drivers import head_image
from edged.drivers.head_facts import dotted
from edged.drivers.head_messages import ReadStatus, Reboot, Status
from edged.drivers.head_traits import Capability
from edged.drivers.head_update_messages import MAX_UPDATE_DATA, NO_SLOT, SlotState
from edged.errors import DeviceError, DeviceGoneError, HeadRefusedError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from edged.drivers.head_client import HeadClient
    from edged.drivers.head_events import Fault
    from edged.drivers.head_frame import Welcome
    from edged.drivers.head_image import HeadImage
    from edged.drivers.head_update_messages import Slot

T = TypeVar("T")
Stage = Literal["sending", "verifying", "restarting"]

AT_ONCE: Final = 8
"""Requests with octets on their way: the head's window."""

BACK_S: Final = 60.0
"""So long is waited for a head whose line is lost while the image is sent."""

RESTART_S: Final = 20.0
"""From the restart to a session with the new image; less than the clerk's break between two inspections."""

TRIAL_S: Final = 65.0
"""A trial that nobody confirms is over by then (BOOT.md)."""

BUSY_PAUSE_S: Final = 0.1
BUSY_S: Final = 30.0
"""A head with a lamp on takes no octets; no exposure lasts this long."""

MAX_BEGINNINGS: Final = 10
"""Interruptions of one update; more is a line that is no good."""

LOOK_S: Final = 0.05


@dataclass(frozen=True)
class Updated:
    """How an update ended well.

    Attributes:
        outcome: "confirmed": the new firmware runs for good; "already": it ran before.
        version: of the firmware that runs.
        before: the version that ran before; None when there was only the boot loader.
    """

    outcome: Literal["confirmed", "already"]
    version: str
    before: str | None


async def at_once(work: Callable[[], Awaitable[T]]) -> T:
    """For whoever has the head to themselves: do it now."""
    return await work()


async def no_wait() -> None:
    """For whoever has the head to themselves: the counter is always free."""


class HeadUpdate:
    """One update of one head."""

    def __init__(
        self,
        client: HeadClient,
        data: bytes,
        *,
        on_progress: Callable[[Stage, int], None] = lambda *_: None,
        free: Callable[[], Awaitable[None]] = no_wait,
        alone: Callable[[Callable[[], Awaitable[Updated]]], Awaitable[Updated]] = at_once,
        restart_s: float = RESTART_S,
    ) -> None:
        """`data` is the image's file. `on_progress` hears the stage and per cent of the octets sent.

        `free` waits until nobody needs the line; `alone` runs the restart while nobody does. Raises `DecodeError`
        (`head_image.…`) for a file that is no image.
        """
        self._client = client
        self._data = data
        self.image: HeadImage = head_image.parse(data)
        self._on_progress = on_progress
        self._free = free
        self._alone = alone
        self._restart_s = restart_s
        self._percent = -1

    async def run(self) -> Updated:
        """Raises `HeadRefusedError` with the head's reason, `DeviceGoneError`, `DeviceError`.

        Codes of its own: `head_update.not_supported`, `.other_board`, `.older`, `.interrupted` (too often),
        `.not_started` (the head came back with the old firmware), `.unhealthy` (sent back because of a fault).
        """
        welcome = await self._session(BACK_S)
        if Capability.UPDATE not in welcome.capabilities:
            raise DeviceError("head", "head_update.not_supported")
        before = await self._running()
        self._check(self._client.welcome or welcome)
        if self._is(before, SlotState.CONFIRMED):
            return Updated("already", str(self.image.version), str(self.image.version))
        if self._is(before, SlotState.TRIAL):  # whoever began it has gone before it was confirmed
            return await self._alone(lambda: self._judge(frozenset(), None))
        if before is not None and before.state is SlotState.TRIAL:
            with suppress(DeviceError):  # else the head says what it thinks of another image
                await self._session(TRIAL_S, welcome.boots)
            before = await self._running()
        await self._bring()
        return await self._alone(lambda: self._try(None if before is None else dotted(before.version)))

    def _check(self, welcome: Welcome) -> None:
        """What the head would refuse anyway, before anything is sent. Raises `DeviceError`."""
        if self.image.board != welcome.board:
            raise DeviceError("head", "head_update.other_board", f"{self.image.board}, {welcome.board}")
        floor = welcome.security_version
        if self.image.security_version < floor:
            raise DeviceError("head", "head_update.older", f"{self.image.security_version} < {floor}")

    def _is(self, slot: Slot | None, state: SlotState) -> bool:
        """Whether it holds this image, and that is how things stand with it."""
        found = None if slot is None else (slot.state, slot.version, slot.security_version)
        return found == (state, self.image.version, self.image.security_version)

    async def _session(self, seconds: float, boots: int | None = None) -> Welcome:
        """Wait for a session, of another start than `boots`. Raises `DeviceGoneError`."""
        until = self._now() + seconds
        while (welcome := self._client.welcome) is None or welcome.boots == boots:
            if self._now() >= until:
                trouble = self._client.trouble
                if trouble is None:
                    raise DeviceError("head", "head_update.not_started")  # it is there, and hasn't restarted
                raise DeviceGoneError("head", trouble.code)
            await asyncio.sleep(LOOK_S)
        return welcome

    async def _asked(self, ask: Callable[[], Awaitable[T]]) -> T:
        """What the head answers, asked again when its line is lost meanwhile. Raises `DeviceError`."""
        for _ in range(MAX_BEGINNINGS):
            await self._session(BACK_S)
            with suppress(DeviceGoneError):
                return await ask()
        raise DeviceError("head", "head_update.interrupted")

    async def _running(self) -> Slot | None:
        """The slot that runs; None for a boot loader alone."""
        slots = await self._asked(self._client.slots)
        return None if slots.running == NO_SLOT else slots.slots[slots.running]

    # --- the image into its slot ---

    async def _bring(self) -> None:
        """Until the head has verified it in its slot."""
        for _ in range(MAX_BEGINNINGS):
            await self._session(BACK_S)
            try:
                await self._send()
                self._tell("verifying", 100)
                await self._when_free(self._client.update_end)
            except DeviceGoneError:
                continue
            except HeadRefusedError as error:
                if error.status != Status.ORDER:
                    raise
                continue
            return
        raise DeviceError("head", "head_update.interrupted")

    async def _send(self) -> None:
        data, size = self._data, len(self._data)
        offset = await self._when_free(lambda: self._client.update_begin(size, self.image.sha256))
        self._tell("sending", 100 * offset // size)
        moved = self._now()
        while offset < size:
            await self._free()
            before, offset = offset, await self._some(data, offset)
            if offset > before:
                moved = self._now()
            elif self._now() >= moved + BUSY_S:
                raise DeviceError("head", "reader_head.busy")
            self._tell("sending", 100 * offset // size)

    async def _some(self, data: bytes, offset: int) -> int:
        """As many octets as the window takes; the next offset."""
        starts = range(offset, len(data), MAX_UPDATE_DATA)[:AT_ONCE]
        parts = [self._client.update_data(start, data[start : start + MAX_UPDATE_DATA]) for start in starts]
        answers = await asyncio.gather(*parts, return_exceptions=True)
        for answer in answers:
            if isinstance(answer, HeadRefusedError) and answer.status == Status.BUSY:
                await asyncio.sleep(BUSY_PAUSE_S)  # a lamp is on; those behind it are out of order
                return offset
            if isinstance(answer, BaseException):
                raise answer
            offset = answer
        return offset

    async def _when_free(self, ask: Callable[[], Awaitable[T]]) -> T:
        """Ask, and again while the head is busy with something else. Raises `DeviceError`."""
        until = self._now() + BUSY_S
        while True:
            await self._free()
            try:
                return await ask()
            except HeadRefusedError as error:
                if error.status != Status.BUSY or self._now() >= until:
                    raise
            await asyncio.sleep(BUSY_PAUSE_S)

    # --- the trial ---

    async def _try(self, before: str | None) -> Updated:
        """Restart with it, look at it, confirm it."""
        self._tell("restarting", 100)
        faults = await self._asked(self._faults)
        boots = (await self._session(BACK_S)).boots
        with suppress(DeviceGoneError):  # it may restart before its reply has come through
            await self._client.update_boot()
        await self._session(self._restart_s, boots)
        return await self._judge(faults, before)

    async def _judge(self, faults: frozenset[Fault], before: str | None) -> Updated:
        """Confirm it, unless it finds something else wrong with itself than `faults`, or doesn't run any more."""
        new = await self._asked(self._faults) - faults
        if not self._is(await self._running(), SlotState.TRIAL):
            raise DeviceError("head", "head_update.not_started")
        if new:
            with suppress(DeviceGoneError):
                await self._client.request(Reboot())  # unconfirmed, so it goes back
            raise DeviceError("head", "head_update.unhealthy", ", ".join(fault.name for fault in sorted(new)))
        await self._asked(self._confirm)
        return Updated("confirmed", str(self.image.version), before)

    async def _confirm(self) -> None:
        """Also when the line was lost before it was known whether it had been."""
        running = await self._running()
        if self._is(running, SlotState.CONFIRMED):
            return
        if not self._is(running, SlotState.TRIAL):
            raise DeviceError("head", "head_update.not_started")
        await self._client.update_confirm()

    async def _faults(self) -> frozenset[Fault]:
        return (await self._client.request(ReadStatus())).faults

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()

    def _tell(self, stage: Stage, percent: int) -> None:
        if stage != "sending" or percent != self._percent:
            self._percent = percent
            self._on_progress(stage, percent)
