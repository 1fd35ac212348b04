"""A counter with a swipe reader and an ID-card module: what is used first is inspected; trouble closes the counter."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from edged import optics
from edged.card_module import CardModule
from edged.drivers import told
from edged.errors import DeviceError, DeviceGoneError
from edged.events import (
    ButtonPressed,
    CancelRequested,
    CaptureFailed,
    DeviceBack,
    DeviceGone,
    DocumentSwiped,
    Event,
    Frame,
    FrameCaptured,
    IdCardRead,
    Indication,
    Light,
    ScanRequest,
    Shot,
    TroubleBegan,
    TroubleOver,
)
from edged.orders import Capture
from edged.verdict import Reason
from tests.test_station import LIMITS, Counter, FakeAntenna, FakeModule, FakeSwipe, code, page, serving

LINES = ("first line", "second line")
CARD: Any = object()


@pytest.fixture
async def desk() -> AsyncIterator[tuple[Counter, FakeSwipe, FakeModule]]:
    swipe, module = FakeSwipe(), FakeModule()
    counter = Counter(
        replace(LIMITS, show_s=0.1, id_card_s=0.3),
        module=CardModule(module),  # type: ignore[arg-type]
        swipe=swipe,
    )
    async with serving(counter):
        yield counter, swipe, module


Desk = tuple[Counter, FakeSwipe, FakeModule]


async def test_a_swipe_begins_an_inspection_by_itself(desk: Desk) -> None:
    counter, swipe, _ = desk
    swipe.happened.put_nowait(DocumentSwiped(LINES))
    await counter.until(lambda: counter.committed)
    assert counter.swiped == [LINES]
    assert counter.committed[0][1] == ScanRequest("hotel")
    assert counter.head.lit == [], "nothing is photographed"
    await counter.until(lambda: counter.head.shown[-1] is Indication.READY)
    assert counter.head.shown[-3:] == [Indication.READING, Indication.SUCCESSFUL, Indication.READY]


async def test_a_press_and_then_a_swipe_is_one_inspection_of_its_scene(desk: Desk) -> None:
    counter, swipe, _ = desk
    scanning = asyncio.create_task(counter.scan("bank"))
    await counter.until(lambda: counter.station.state == "waiting")
    swipe.happened.put_nowait(DocumentSwiped(LINES))
    assert code(await scanning) == ("committed", None)
    assert [request.scene for _, request, _ in counter.committed] == ["bank"]


async def test_the_next_swipe_need_not_wait_for_the_outcome_to_fade(desk: Desk) -> None:
    counter, swipe, _ = desk
    counter.station.configure(default_scene="hotel", limits=replace(LIMITS, show_s=60))
    swipe.happened.put_nowait(DocumentSwiped(LINES))
    await counter.until(lambda: counter.station.indication is Indication.SUCCESSFUL)
    swipe.happened.put_nowait(DocumentSwiped(LINES))
    await counter.until(lambda: len(counter.committed) == 2)


async def test_a_swipe_while_another_document_is_inspected_is_refused_and_changes_nothing(desk: Desk) -> None:
    counter, swipe, _ = desk
    counter.commit_delay = 1.0
    counter.head.place()
    scanning = asyncio.create_task(counter.scan())
    await counter.until(lambda: counter.station.state == "committing")
    swipe.happened.put_nowait(DocumentSwiped(LINES))
    assert code(await scanning) == ("committed", None)
    assert counter.swiped == []
    assert [e["reason"]["code"] for e in counter.events if e["event"] == "press_refused"] == [
        "inspection.busy"
    ]


async def test_a_press_reads_the_card_that_lies_on_the_module(desk: Desk) -> None:
    counter, _, module = desk
    module.answer = CARD
    module.lay()
    await counter.until(module.happened.empty)
    assert code(await counter.scan()) == ("committed", None)
    assert counter.cards == [IdCardRead(CARD)]
    assert counter.committed[0][0] == (), "no side was photographed"
    await counter.until(lambda: counter.station.state == "ready")


async def test_a_card_may_be_laid_down_after_the_press(desk: Desk) -> None:
    counter, _, module = desk
    module.answer = CARD
    scanning = asyncio.create_task(counter.scan())
    await counter.until(lambda: counter.station.state == "waiting")
    module.lay()
    assert code(await scanning) == ("committed", None)


async def test_a_card_alone_begins_nothing(desk: Desk) -> None:
    counter, _, module = desk
    module.answer = CARD
    module.lay()
    await counter.until(module.happened.empty)
    assert await counter.station.alive()
    assert counter.station.state == "ready"
    assert counter.cards == []


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (DeviceError("id_card", "idcard.card_unreadable"), "idcard.card_unreadable"),
        (DeviceGoneError("id_card", "device.unplugged"), "device.unplugged"),
        (RuntimeError("a bug"), "inspection.internal_error"),
    ],
)
async def test_a_card_that_cannot_be_read_aborts_with_its_reason(
    desk: Desk, error: Exception, said: str
) -> None:
    counter, _, module = desk
    module.answer = error
    module.lay()
    await counter.until(module.happened.empty)
    assert code(await counter.scan()) == ("aborted", said)
    assert counter.committed == []


async def test_a_card_that_is_not_genuine_is_judged(desk: Desk) -> None:
    counter, _, module = desk
    module.answer = DeviceError("id_card", "idcard.card_not_genuine")
    module.lay()
    await counter.until(module.happened.empty)
    assert code(await counter.scan()) == ("committed", None)
    assert counter.cards == [IdCardRead(None, Reason("idcard.card_not_genuine"))]


async def test_a_card_that_is_lifted_or_cancelled_is_left_at_once(desk: Desk) -> None:
    counter, _, module = desk
    for leave in (module.lift, lambda: None):
        module.stopped.clear()
        module.lay()
        await counter.until(module.happened.empty)
        scanning = asyncio.create_task(counter.scan())
        await counter.until(lambda: counter.station.state == "id_card")
        leave()
        answer = code(await scanning)
        assert answer in (("aborted", "inspection.removed_early"), ("aborted", "inspection.timed_out"))
        await asyncio.wait_for(module.stopped.wait(), 60)
        await counter.until(lambda: counter.station.state == "ready")


async def test_readers_beside_the_window_close_no_counter_when_they_are_gone(desk: Desk) -> None:
    counter, swipe, module = desk
    swipe.happened.put_nowait(DeviceGone("swipe"))
    module.happened.put_nowait(DeviceGone("id_card"))
    await counter.until(lambda: counter.station.devices_gone == {"swipe", "id_card"})
    counter.head.place()
    assert code(await counter.scan()) == ("committed", None)
    assert Indication.SUCCESSFUL in counter.head.shown
    swipe.happened.put_nowait(DeviceBack("swipe"))
    module.happened.put_nowait(DeviceBack("id_card"))
    await counter.until(lambda: not counter.station.devices_gone)


async def test_a_swipe_reader_that_goes_ends_no_inspection(desk: Desk) -> None:
    counter, swipe, _ = desk
    scanning = asyncio.create_task(counter.scan())
    await counter.until(lambda: counter.station.state == "waiting")
    swipe.happened.put_nowait(DeviceGone("swipe"))
    await counter.until(lambda: counter.station.devices_gone == {"swipe"})
    counter.head.place()
    assert code(await scanning) == ("committed", None)


async def test_trouble_closes_the_counter_says_why_and_is_over(desk: Desk) -> None:
    counter, _, _ = desk
    counter.head.happened.put_nowait(TroubleBegan("head", "device.unplugged"))
    await counter.until(lambda: counter.station.indication is Indication.FAULT)
    assert code(await counter.scan()) == ("refused", "device.unplugged")
    counter.head.happened.put_nowait(ButtonPressed())
    counter.head.happened.put_nowait(TroubleOver("head", "device.unplugged"))
    await counter.until(lambda: counter.station.indication is Indication.READY)
    counter.head.place()
    assert code(await counter.scan()) == ("committed", None)


async def test_a_head_that_goes_takes_its_trouble_with_it(desk: Desk) -> None:
    counter, _, _ = desk
    for event in (TroubleBegan("head", "device.unplugged"), DeviceGone("head"), DeviceBack("head")):
        counter.head.happened.put_nowait(event)
    await counter.until(lambda: counter.station.indication is Indication.READY)
    assert counter.station.troubles == frozenset()


async def test_a_camera_that_was_plugged_in_proves_again_what_it_sees(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    counter, _, _ = desk
    proofs: list[str | None] = ["camera.replayed_feed", None, "camera.replayed_feed"]

    async def proved(head: Any, camera: Any) -> bool:
        if (code := proofs.pop(0)) is not None:
            raise DeviceError("camera", code)
        return True

    monkeypatch.setattr(optics, "require_live", proved)
    for expected in (("aborted", "camera.replayed_feed"), ("committed", None), ("committed", None)):
        counter.head.place()
        assert code(await counter.scan()) == expected
        counter.head.remove()
        await counter.until(lambda: counter.station.state == "ready")
    for event in (DeviceGone("camera"), DeviceBack("camera")):
        counter.head.happened.put_nowait(event)
    await counter.until(counter.head.happened.empty)
    counter.head.place()
    assert code(await counter.scan()) == ("aborted", "camera.replayed_feed")
    assert proofs == []


async def test_a_driver_that_raises_is_gone_for_a_while_and_ends_nothing(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    counter, swipe, _ = desk
    monkeypatch.setattr(told, "PAUSES_S", (0.05,))
    swipe.happened.put_nowait(RuntimeError("P<UTOERIKSSON"))
    swipe.happened.put_nowait(DocumentSwiped(LINES))
    await counter.until(lambda: counter.committed)
    devices = [(e["device"], e["answers"]) for e in counter.events if e["event"] == "device"]
    assert devices == [("swipe", False), ("swipe", True)]
    assert "ERIKSSON" not in str(counter.events)


async def test_swiped_lines_that_are_none_abort_nothing_but_themselves(desk: Desk) -> None:
    counter, swipe, _ = desk
    patient = replace(LIMITS, capture_s=2, reading_s=2, show_s=0.1)  # the first traceback is slow to write
    counter.station.configure(default_scene="hotel", limits=patient)
    counter.reading = page("reading.illegible", mrz=False, sure=False)
    swipe.happened.put_nowait(DocumentSwiped(LINES))
    await counter.until(lambda: counter.committed)
    counter.reading = RuntimeError("a bug")
    await counter.until(lambda: counter.station.state == "ready")
    swipe.happened.put_nowait(DocumentSwiped(LINES))
    await counter.until(
        lambda: any(e["event"] == "outcome" and e["outcome"] == "aborted" for e in counter.events)
    )
    assert Reason("inspection.internal_error").code in str(counter.events)


@pytest.mark.parametrize("beside", ["window", "module"])
async def test_what_is_swiped_is_inspected_whatever_else_lies_there(desk: Desk, beside: str) -> None:
    """The clerk who swipes one person's document must not be shown the verdict of another's."""
    counter, swipe, module = desk
    module.answer = CARD
    counter.head.place() if beside == "window" else module.lay()
    await counter.until(lambda: counter.head.happened.empty() and module.happened.empty())
    swipe.happened.put_nowait(DocumentSwiped(LINES))
    await counter.until(lambda: counter.committed)
    assert counter.swiped == [LINES]
    assert (counter.cards, counter.head.lit) == ([None], [])
    assert code(await counter.scan()) == ("committed", None), "and the other one is the next"
    assert len(counter.committed) == 2


async def test_the_next_document_may_be_laid_down_while_a_swipes_outcome_is_shown(desk: Desk) -> None:
    counter, swipe, _ = desk
    swipe.happened.put_nowait(DocumentSwiped(LINES))
    await counter.until(lambda: counter.station.indication is Indication.SUCCESSFUL)
    counter.head.place()
    await counter.until(lambda: counter.station.state == "ready")
    assert Indication.REMOVE not in counter.head.shown
    assert code(await counter.scan()) == ("committed", None)
    assert counter.head.lit == [Light.WHITE]


async def test_a_document_that_leaves_the_window_ends_no_swipes_chip() -> None:
    antenna, swipe = FakeAntenna(None), FakeSwipe()
    counter = Counter(replace(LIMITS, chip_s=0.3, show_s=0.1), antenna, swipe=swipe)
    async with serving(counter):
        counter.head.place()
        await counter.until(counter.head.happened.empty)
        swipe.happened.put_nowait(DocumentSwiped(LINES))
        await counter.until(lambda: counter.station.state == "chip")
        counter.head.remove()
        await counter.until(lambda: counter.committed)


async def test_a_card_that_could_not_be_read_is_read_at_the_next_press(desk: Desk) -> None:
    counter, _, module = desk
    module.answer = DeviceError("id_card", "idcard.card_unreadable")
    module.lay()
    await counter.until(module.happened.empty)
    assert code(await counter.scan()) == ("aborted", "idcard.card_unreadable")
    await counter.until(lambda: counter.station.state == "ready")
    module.answer = CARD
    assert code(await counter.scan()) == ("committed", None), "it still lies there"


@pytest.mark.parametrize("end", [CancelRequested(), DeviceGone("head")])
async def test_a_page_that_is_dropped_before_it_is_read_is_no_side_of_the_next_document(
    desk: Desk, end: Event
) -> None:
    """What ends the inspection is in the inbox already when the picture comes; the head answers, or fails, at once."""
    counter, _, _ = desk
    station = counter.station
    counter.head.place()

    async def at_once(_: Indication) -> None:
        return

    counter.head.indicate = at_once  # type: ignore[method-assign]
    taken = counter.camera.capture

    async def capture(light: Light) -> Any:
        frame = await taken(light)
        loop = asyncio.get_running_loop()
        loop.call_soon(loop.call_soon, station._inbox.tell, end)  # right behind the picture
        return frame

    counter.camera.capture = capture  # type: ignore[method-assign]
    assert code(await counter.scan())[0] == "aborted"
    counter.camera.capture = taken  # type: ignore[method-assign]
    counter.head.happened.put_nowait(DeviceBack("head"))
    counter.head.remove()
    await counter.until(lambda: station.state == "ready" and not station.devices_gone)
    counter.head.place()
    await counter.until(counter.head.happened.empty)
    assert code(await counter.scan()) == ("committed", None)
    assert len(counter.committed[0][0]) == 1


async def test_a_picture_that_nobody_waits_for_is_given_up(desk: Desk) -> None:
    counter, _, _ = desk
    begun, ended = asyncio.Event(), asyncio.Event()

    async def capture(_: Light) -> Any:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    counter.camera.capture = capture  # type: ignore[method-assign]
    counter.head.place()
    scanning = asyncio.create_task(counter.scan())
    await asyncio.wait_for(begun.wait(), 60)
    assert await counter.station.cancel()
    await asyncio.wait_for(ended.wait(), 60)
    assert code(await scanning) == ("aborted", "inspection.cancelled")


async def test_a_slow_proof_costs_no_document_its_time(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    counter, _, _ = desk

    async def proved(head: Any, camera: Any) -> bool:
        await asyncio.sleep(1.5 * LIMITS.capture_s)
        return True

    monkeypatch.setattr(optics, "require_live", proved)
    monkeypatch.setattr(optics, "longest_s", lambda head, camera: 10.0)
    counter.head.place()
    assert code(await counter.scan()) == ("committed", None)


@pytest.mark.parametrize(("light", "late"), [(Light.IR, True), (Light.WHITE, False)])
async def test_an_infrared_picture_taken_when_the_lamp_was_out_is_none(light: Light, late: bool) -> None:
    counter = Counter()
    shown = Frame(np.zeros((4, 4, 3), np.uint8), light, Shot(time.monotonic() + 60))
    counter.camera.answer = shown
    answer = await counter.station._optics.capture(Capture(light), lambda: True)
    assert isinstance(answer, CaptureFailed if late else FrameCaptured)
    counter.station._optics.close()


async def test_trouble_of_any_device_goes_with_it(desk: Desk) -> None:
    counter, _, _ = desk
    for event in (TroubleBegan("camera", "device.unplugged"), DeviceGone("camera"), DeviceBack("camera")):
        counter.head.happened.put_nowait(event)
    await counter.until(lambda: counter.head.happened.empty() and not counter.station.devices_gone)
    assert counter.station.troubles == frozenset()
