"""The chip reader as a station uses it: what becomes of every way in which a chip is not read."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import weakref
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from edged.antenna import BUDGET_S, Antenna
from edged.config import ChipReaderSettings
from edged.core.emrtd.chip_reading import ChipReading
from edged.core.emrtd.steps import FileProgress, Phase, PhaseBegan
from edged.core.mrz import parse_mrz
from edged.errors import ChipError, ChipGoneError, DeviceError, DeviceGoneError
from edged.events import ChipPlaced, ChipRead, ChipRemoved, DeviceBack, DeviceGone
from edged.specimens import FIXED_TODAY
from edged.verdict import Reason
from tests.box import SPECIMENS

READING = ChipReading()


def page(name: str = "passport") -> Any:
    expected = SPECIMENS[name].expected
    assert expected is not None
    mrz = None if expected.lines is None else parse_mrz(expected.lines, today=FIXED_TODAY)
    return SimpleNamespace(mrz=mrz)


class FakeChip:
    """Answers, raises, or reads until it is cancelled."""

    def __init__(self, answer: Any, *, present: bool = True) -> None:
        self.answer = answer
        self.card_present = present
        self.trouble: Reason | None = None
        self.max_apdu: int | None = None
        self.happened: asyncio.Queue[Any] = asyncio.Queue()
        self.steps: list[Any] = []
        self.begun = self.cancelled = False

    async def events(self) -> AsyncIterator[Any]:
        while True:
            yield await self.happened.get()

    async def read(self, exchange: Any, *, watch: Any, budget_s: Any) -> Any:
        assert budget_s is BUDGET_S
        self.begun = True
        exchange.close()
        for step in self.steps:
            watch(step)
        if self.answer is None:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                self.cancelled = True
                raise
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@contextlib.asynccontextmanager
async def at(chip: FakeChip, told: list[Any] | None = None) -> AsyncIterator[Antenna]:
    settings = ChipReaderSettings(driver="simulated", socket=Path("x"), find_s=0.05)
    antenna = Antenna(chip, settings, ([] if told is None else told).append)  # type: ignore[arg-type]
    running = asyncio.create_task(antenna.run())
    await asyncio.sleep(0)
    yield antenna
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running


async def read(antenna: Antenna, what: Any = None) -> ChipRead:
    async with asyncio.timeout(60):
        return await antenna.read(what or page(), lambda _: None)


async def test_a_chip_in_the_field_is_read_at_once() -> None:
    async with at(FakeChip(READING)) as antenna:
        assert await read(antenna) == ChipRead(READING)


async def test_a_chip_that_comes_late_is_read_and_one_that_left_is_not() -> None:
    chip = FakeChip(READING, present=False)
    async with at(chip) as antenna:
        assert await read(antenna) == ChipRead(None, Reason("chip.not_found"))
        reading = asyncio.create_task(read(antenna))
        await asyncio.sleep(0)
        chip.happened.put_nowait(ChipPlaced())
        assert await reading == ChipRead(READING)
        chip.happened.put_nowait(ChipRemoved())
        await asyncio.sleep(0.01)
        assert await read(antenna) == ChipRead(None, Reason("chip.not_found"))


async def test_no_page_and_a_page_without_the_key_open_nothing() -> None:
    async with at(FakeChip(READING)) as antenna:
        for name in ("half-out", "driving-licence"):
            assert await read(antenna, page(name)) == ChipRead(None, Reason("chip.no_key"), found=True)
    async with at(FakeChip(READING, present=False)) as antenna:
        assert await read(antenna, page("half-out")) == ChipRead(None, Reason("chip.no_key"))


async def test_a_reader_that_is_gone_says_what_to_do_and_closes_no_counter() -> None:
    chip, told = FakeChip(READING), []
    async with at(chip, told) as antenna:
        chip.trouble = Reason("chip.no_service")
        chip.happened.put_nowait(DeviceGone("chip"))
        await asyncio.sleep(0.01)
        assert antenna.gone
        assert await read(antenna) == ChipRead(None, Reason("chip.no_service"), found=True)
        chip.trouble = None
        chip.happened.put_nowait(DeviceBack("chip"))
        chip.happened.put_nowait(ChipPlaced())
        await asyncio.sleep(0.01)
        assert not antenna.gone
        assert await read(antenna) == ChipRead(READING)
    assert [event["answers"] for event in told if event["event"] == "device"] == [False, True]


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (DeviceGoneError("chip", "chip.no_service"), "chip.no_service"),
        (DeviceError("chip", "chip.busy"), "chip.busy"),
        (ChipGoneError("chip.gone"), "chip.gone"),
        (ChipError("chip.mute"), "chip.mute"),
        (RuntimeError("a bug, perhaps with a name in it"), "inspection.internal_error"),
    ],
)
async def test_every_error_is_a_reason(error: Exception, code: str) -> None:
    async with at(FakeChip(error)) as antenna:
        assert await read(antenna) == ChipRead(None, Reason(code), found=True)


class Watched:
    """Stands for a reading; its end can be seen."""


async def test_what_was_read_is_not_kept() -> None:
    chip = FakeChip(Watched())
    gone = weakref.ref(chip.answer)
    async with at(chip) as antenna:
        assert (await read(antenna)).reading is chip.answer
        chip.answer = None
        await asyncio.sleep(0)  # the loop itself holds on to what it runs right now
        gc.collect()
        assert gone() is None, "a chip's data outlives its inspection"


async def test_what_is_stopped_before_it_began_never_begins() -> None:
    chip = FakeChip(None)
    async with at(chip) as antenna:
        stopped = antenna.read(page(), lambda _: None)
        antenna.stop()
        with pytest.raises(asyncio.CancelledError):
            async with asyncio.timeout(60):
                await stopped
        assert not chip.begun


async def test_stopping_cancels_the_driver() -> None:
    chip = FakeChip(None)
    async with at(chip) as antenna:
        reading = asyncio.create_task(read(antenna))
        await asyncio.sleep(0.01)
        antenna.stop()
        with pytest.raises(asyncio.CancelledError):
            await reading
        assert chip.cancelled
        antenna.stop()  # nothing to stop


async def test_phases_and_octets_are_told_as_often_as_an_eye_can_follow() -> None:
    chip, told, phases = FakeChip(READING), [], []
    chip.steps = [
        PhaseBegan(Phase.ACCESS),
        *(FileProgress("DG2", octets, 15_000) for octets in range(0, 15_001, 100)),
        FileProgress("DG11", 10, 10),
    ]
    async with at(chip, told) as antenna:
        await antenna.read(page(), phases.append)
    assert phases == ["access"]
    octets = [event["octets"] for event in told if event["file"] == "DG2"]
    assert octets[0] == 0
    assert octets[-1] == 15_000
    assert len(octets) < 10
    assert [event["octets"] for event in told if event["file"] == "DG11"] == [10]
