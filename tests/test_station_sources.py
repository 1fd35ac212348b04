"""A counter with a swipe reader and an ID-card module: what is used first is inspected; trouble closes the counter."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from edged import optics
from edged.card_module import CardModule
from edged.errors import DeviceError, DeviceGoneError
from edged.events import (
    ButtonPressed,
    DeviceBack,
    DeviceGone,
    DocumentSwiped,
    IdCardPlaced,
    IdCardRead,
    IdCardRemoved,
    Indication,
    ScanRequest,
    TroubleBegan,
    TroubleOver,
)
from edged.verdict import Reason
from tests.test_station import LIMITS, Counter, FakeModule, FakeSwipe, code, page, serving

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
    module.happened.put_nowait(IdCardPlaced())
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
    module.happened.put_nowait(IdCardPlaced())
    assert code(await scanning) == ("committed", None)


async def test_a_card_alone_begins_nothing(desk: Desk) -> None:
    counter, _, module = desk
    module.answer = CARD
    module.happened.put_nowait(IdCardPlaced())
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
    module.happened.put_nowait(IdCardPlaced())
    await counter.until(module.happened.empty)
    assert code(await counter.scan()) == ("aborted", said)
    assert counter.committed == []


async def test_a_card_that_is_not_genuine_is_judged(desk: Desk) -> None:
    counter, _, module = desk
    module.answer = DeviceError("id_card", "idcard.card_not_genuine")
    module.happened.put_nowait(IdCardPlaced())
    await counter.until(module.happened.empty)
    assert code(await counter.scan()) == ("committed", None)
    assert counter.cards == [IdCardRead(None, Reason("idcard.card_not_genuine"))]


async def test_a_card_that_is_lifted_or_cancelled_is_left_at_once(desk: Desk) -> None:
    counter, _, module = desk
    for leave in (lambda: module.happened.put_nowait(IdCardRemoved()), lambda: None):
        module.stopped.clear()
        module.happened.put_nowait(IdCardPlaced())
        await counter.until(module.happened.empty)
        scanning = asyncio.create_task(counter.scan())
        await counter.until(lambda: counter.station.state == "id_card")
        leave()
        answer = code(await scanning)
        assert answer in (("aborted", "inspection.removed_early"), ("aborted", "inspection.timed_out"))
        await asyncio.wait_for(module.stopped.wait(), 5)
        await counter.until(lambda: counter.station.state == "ready")


async def test_readers_beside_the_window_close_no_counter_when_they_are_gone(desk: Desk) -> None:
    counter, swipe, module = desk
    swipe.happened.put_nowait(DeviceGone("swipe"))
    module.happened.put_nowait(DeviceGone("id_card"))
    await counter.until(lambda: counter.station.devices_gone == {"swipe", "id_card"})
    counter.head.place()
    assert code(await counter.scan()) == ("committed", None)
    assert counter.station.indication is Indication.SUCCESSFUL
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


async def test_swiped_lines_that_are_none_abort_nothing_but_themselves(desk: Desk) -> None:
    counter, swipe, _ = desk
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
