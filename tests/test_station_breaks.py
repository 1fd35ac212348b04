"""What others do between two inspections: nothing runs meanwhile, and no press is lost."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import pytest

from edged import breaks
from edged.events import ButtonPressed, DocumentPlaced, Indication
from edged.orders import Limits
from tests.test_station import Counter, code, serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

LIMITS = Limits(
    document_s=5.0, turn_over_s=5.0, capture_s=5.0, reading_s=0.3, remind_s=5.0, frames=1, pause_s=0.02
)


@pytest.fixture
async def counter() -> AsyncIterator[Counter]:
    made = Counter(LIMITS)
    async with serving(made):
        yield made


async def test_a_break_waits_for_the_inspection_that_runs(counter: Counter) -> None:
    order: list[str] = []
    scanning = asyncio.create_task(counter.scan())
    await counter.until(lambda: counter.station.state == "waiting")

    async def work() -> str:
        order.append(f"work, {len(counter.committed)} committed")
        return "done"

    pausing = asyncio.create_task(counter.station.between_inspections(work))
    await asyncio.sleep(0.05)
    assert order == [], "an inspection runs"
    counter.head.place()
    assert code(await scanning) == ("committed", None)
    assert await pausing == "done"
    assert order == ["work, 1 committed"]
    assert counter.head.shown[-1] is Indication.SUCCESSFUL, (
        "the document is still there, and so is its result"
    )


async def test_a_press_during_a_break_begins_after_it(counter: Counter) -> None:
    counter.head.place()
    over = asyncio.Event()
    began = asyncio.Event()

    async def work() -> None:
        began.set()
        await over.wait()
        counter.station.configure(default_scene="bank", limits=LIMITS)

    pausing = asyncio.create_task(counter.station.between_inspections(work))
    await began.wait()
    counter.head.happened.put_nowait(ButtonPressed())
    await asyncio.sleep(0.05)
    assert counter.station.state == "ready"
    assert await counter.station.alive(), "a break is no hang"
    over.set()
    await pausing
    await counter.until(lambda: counter.committed)
    assert counter.committed[0][1].scene == "bank", "the press was answered by what the break put in force"


async def test_a_break_that_fails_opens_the_counter_again(counter: Counter) -> None:
    async def work() -> None:
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        await counter.station.between_inspections(work)
    counter.head.place()
    assert code(await counter.scan()) == ("committed", None)


async def test_a_break_that_hangs_is_ended(counter: Counter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(breaks, "MAX_BREAK_S", 0.1)
    with pytest.raises(TimeoutError):
        await counter.station.between_inspections(asyncio.Event().wait)
    counter.head.place()
    assert code(await counter.scan()) == ("committed", None)


async def test_whoever_gives_up_waiting_for_a_break_holds_nothing_up(counter: Counter) -> None:
    scanning = asyncio.create_task(counter.scan())
    await counter.until(lambda: counter.station.state == "waiting")
    pausing = asyncio.create_task(counter.station.between_inspections(asyncio.Event().wait))
    await asyncio.sleep(0)
    pausing.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await pausing
    counter.head.happened.put_nowait(DocumentPlaced())
    assert code(await scanning) == ("committed", None)
    counter.head.remove()
    await counter.until(lambda: counter.station.state == "ready")
    counter.head.place()
    assert code(await counter.scan()) == ("committed", None)


async def test_breaks_end_with_the_station() -> None:
    made = Counter(LIMITS)
    running = asyncio.create_task(made.station.run())
    scanning = asyncio.create_task(made.scan())
    await made.until(lambda: made.station.state == "waiting")
    pausing = asyncio.create_task(made.station.between_inspections(asyncio.Event().wait))
    await asyncio.sleep(0)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await pausing
    await scanning
    with contextlib.suppress(asyncio.CancelledError):
        await running
