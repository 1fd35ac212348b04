"""A box that is to be found blinks and beeps; a press comes first."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from edged import panel
from edged.errors import ControlError, DeviceError
from edged.events import Indication
from tests.test_station import Counter, code, serving
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture
async def counter(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Counter]:
    monkeypatch.setattr(panel, "BLINK_S", 0.005)
    made = Counter()
    async with serving(made):
        yield made


async def test_it_blinks_and_beeps_and_then_shows_what_it_showed(counter: Counter) -> None:
    await counter.station.identify(0.05)
    assert counter.head.beeps > 1
    assert set(counter.head.shown) == {Indication.PLACE_DOCUMENT, Indication.READY}
    assert counter.head.shown[-1] is Indication.READY
    assert counter.station.indication is Indication.READY


async def test_a_press_ends_it_at_once(counter: Counter) -> None:
    blinking = asyncio.create_task(counter.station.identify(60))
    await until(lambda: counter.head.beeps > 1)
    counter.head.place()
    assert code(await counter.scan()) == ("committed", None)
    await asyncio.wait_for(blinking, 60)
    at = counter.head.shown.index(Indication.READING)
    assert counter.head.shown[at:] == [Indication.READING, Indication.SUCCESSFUL], "and no blinking into it"


async def test_never_during_an_inspection_and_one_at_a_time(counter: Counter) -> None:
    blinking = asyncio.create_task(counter.station.identify(60))
    await until(lambda: counter.head.beeps)
    with pytest.raises(ControlError, match=r"inspection\.busy"):
        await counter.station.identify(1)
    counter.head.place()
    await counter.scan()
    await blinking
    beeps = counter.head.beeps
    with pytest.raises(ControlError, match=r"inspection\.busy"):
        await counter.station.identify(1)
    assert counter.head.beeps == beeps


async def test_given_up_it_leaves_the_head_as_it_was(counter: Counter) -> None:
    blinking = asyncio.create_task(counter.station.identify(60))
    await until(lambda: Indication.PLACE_DOCUMENT in counter.head.shown)
    blinking.cancel()
    await asyncio.wait((blinking,))
    assert counter.head.shown[-1] is Indication.READY


async def test_a_head_that_cannot_is_no_reason_to_fail(counter: Counter) -> None:
    counter.head.fault = DeviceError("head", "device.unplugged")
    await counter.station.identify(0.02)
    assert counter.head.beeps
