"""The chip reader under the window, as a station uses it: one chip read at a time, with the key its page gives."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from edged import log
from edged.core.emrtd.access_keys import key_of_mrz
from edged.core.emrtd.reader import ReadPlan, read_chip
from edged.core.emrtd.steps import FileProgress, Phase, PhaseBegan, Step
from edged.drivers import told
from edged.errors import ChipError, DeviceError
from edged.events import ChipPlaced, ChipRead, ChipRemoved, DeviceBack, DeviceGone
from edged.verdict import Reason

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from edged.config import ChipReaderSettings
    from edged.core.reading import PageReading
    from edged.drivers import Chip

BUDGET_S: Final[Mapping[Phase, float]] = {
    Phase.SELECT: 3.0,
    Phase.ACCESS: 8.0,
    Phase.DATA: 8.0,
    Phase.AUTHENTICATION: 8.0,
    Phase.PORTRAIT: 20.0,
}
"""Of one phase. Real chips take up to 7 s for PACE and 10 s for a portrait; a hundred times the usual is no chip."""
_TELL_OCTETS: Final = 2048
"""Progress within a file is told every so many octets: about as often as an eye can follow."""


class Antenna:
    """Reads the chip of the document in the window. `tell` hears of phases and octets; nothing it hears is identity."""

    def __init__(
        self, chip: Chip, settings: ChipReaderSettings, tell: Callable[[Mapping[str, Any]], None]
    ) -> None:
        self._chip = chip
        self._settings = settings
        self._tell = tell
        self._placed = asyncio.Event()
        self._gone = False
        self._task: asyncio.Task[ChipRead] | None = None
        self._log = log.get("chip")

    def configure(self, settings: ChipReaderSettings) -> None:
        """How chips are read from the next one on."""
        self._settings = settings

    @property
    def gone(self) -> bool:
        """Whether the reader doesn't answer. The counter stays open: pages can be read without it."""
        return self._gone

    async def run(self) -> None:
        """Follow what happens at the reader until cancelled."""
        if told.is_true(self._chip, "card_present"):
            self._placed.set()
        async for event in told.events_of(self._chip.events, "chip"):
            match event:
                case ChipPlaced():
                    self._placed.set()
                case ChipRemoved():
                    self._placed.clear()
                case DeviceGone() | DeviceBack():
                    self._gone = isinstance(event, DeviceGone)
                    if self._gone:
                        self._placed.clear()
                    self._tell({"event": "device", "device": "chip", "answers": not self._gone})

    def read(self, page: PageReading, phase: Callable[[str], None]) -> Awaitable[ChipRead]:
        """Read the chip that `page` opens; `phase` hears the name of each phase as it begins.

        It is under way, and `stop` ends it, from the moment this returns. Never raises but for cancellation, and is
        then over at once: the driver sees to that.
        """
        self._task = asyncio.ensure_future(self._read(page, phase))
        self._task.add_done_callback(self._forget)
        return self._task

    def _forget(self, task: asyncio.Task[ChipRead]) -> None:
        """It holds what was read, which nobody may keep."""
        if self._task is task:
            self._task = None

    def stop(self) -> None:
        """Give up what is being read, if anything is."""
        if self._task is not None:
            self._task.cancel()

    async def _read(self, page: PageReading, phase: Callable[[str], None]) -> ChipRead:
        key = None if page.mrz is None else key_of_mrz(page.mrz)
        if key is None:
            return ChipRead(None, Reason("chip.no_key"), found=self._placed.is_set())
        try:
            async with asyncio.timeout(self._settings.find_s):
                await self._placed.wait()
        except TimeoutError:
            trouble = told.trouble_of(self._chip)
            return ChipRead(None, trouble or Reason("chip.not_found"), found=trouble is not None)
        plan = ReadPlan(
            key,
            bac_after_failed_pace=self._settings.bac_after_failed_pace,
            portrait=self._settings.portrait,
            max_apdu=self._chip.max_apdu,
        )
        watch = _Watch(self._tell, phase)
        try:
            return ChipRead(await self._chip.read(read_chip(plan), watch=watch, budget_s=BUDGET_S))
        except (DeviceError, ChipError) as error:
            return ChipRead(None, Reason(error.code), found=True)
        except Exception as error:  # noqa: BLE001 - a chip must never be able to take the daemon down
            self._log.error("reading a chip failed; please report this", exc_info=error)
            return ChipRead(None, Reason("inspection.internal_error"), found=True)


class _Watch:
    """Called with every fact of a reading; passes on what a person can follow."""

    def __init__(self, tell: Callable[[Mapping[str, Any]], None], phase: Callable[[str], None]) -> None:
        self._tell = tell
        self._phase = phase
        self._told = ("", 0)

    def __call__(self, step: Step) -> None:
        if isinstance(step, PhaseBegan):
            self._phase(step.phase.value)
        elif isinstance(step, FileProgress) and self._worth_telling(step):
            self._told = (step.file, step.octets)
            self._tell({"event": "chip", "file": step.file, "octets": step.octets, "total": step.total})

    def _worth_telling(self, step: FileProgress) -> bool:
        file, octets = self._told
        return step.file != file or step.octets - octets >= _TELL_OCTETS or step.octets == step.total
