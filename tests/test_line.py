"""The line to the centre: one uplink after another, in order."""

from __future__ import annotations

import asyncio

import pytest

from edged.line import Line


class FakeUplink:
    def __init__(self, name: str, record: list[str]) -> None:
        self.name, self.record = name, record
        self._stop = asyncio.Event()
        self._ended = asyncio.Event()

    async def run(self) -> None:
        self.record.append(f"{self.name} runs")
        await self._stop.wait()
        self.record.append(f"{self.name} ends")
        self._ended.set()

    async def stop(self) -> None:
        self._stop.set()
        await self._ended.wait()


async def test_another_uplink_takes_the_line_after_the_first_has_left() -> None:
    record: list[str] = []
    made = iter(["first", "second"])
    line = Line(lambda: FakeUplink(next(made), record))  # type: ignore[arg-type,return-value]
    running = asyncio.create_task(line.run())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    await line.replace()
    async with asyncio.timeout(60):
        while record[-1] != "second runs":
            await asyncio.sleep(0)
    await line.stop()
    await running
    assert record == ["first runs", "first ends", "second runs", "second ends"]


async def test_an_uplink_that_cannot_be_made_leaves_the_one_that_works() -> None:
    record: list[str] = []

    def make() -> FakeUplink:
        if record:
            raise ValueError("no certificate")
        return FakeUplink("first", record)

    line = Line(make)  # type: ignore[arg-type]
    running = asyncio.create_task(line.run())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    with pytest.raises(ValueError, match="no certificate"):
        await line.replace()
    assert record == ["first runs"]
    await line.stop()
    await running


async def test_whoever_stops_waiting_for_a_replacement_leaves_the_line_going() -> None:
    record: list[str] = []
    made = iter(["first", "second"])
    line = Line(lambda: FakeUplink(next(made), record))  # type: ignore[arg-type,return-value]
    running = asyncio.create_task(line.run())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    replacing = asyncio.create_task(line.replace(lambda: record.append("told")))
    await asyncio.sleep(0)
    replacing.cancel()
    async with asyncio.timeout(60):
        while record[-1] != "second runs":
            await asyncio.sleep(0)
    await line.stop()
    await running
    assert record == ["first runs", "first ends", "told", "second runs", "second ends"]


async def test_a_line_that_is_stopped_in_the_middle_of_a_replacement_ends() -> None:
    record: list[str] = []
    made = iter(["first", "second"])
    line = Line(lambda: FakeUplink(next(made), record))  # type: ignore[arg-type,return-value]
    running = asyncio.create_task(line.run())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    async with asyncio.timeout(60):
        await asyncio.gather(line.replace(), line.stop(), running)
    assert record == ["first runs", "first ends"]
