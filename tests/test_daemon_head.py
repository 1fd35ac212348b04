"""A real daemon behind our own firmware: the button scans, and whatever is unplugged may be plugged in again."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from edged.demo.hand import Hand
from edged.emulator.host_head import HostHead
from edged.emulator.id_cards import id_cards
from edged.emulator.sam import SamTty
from edged.emulator.swipe_reader import SwipeReaderEmulator
from tests.box import SPECIMENS, Box
from tests.head_boot import program

FIRMWARE = """
[head]
driver = "serial"
port = "{port}"

[camera]
driver = "simulated"
socket = "glass.sock"

[swipe]
port = "{swipe}"

[id_card]
port = "{card}"
"""


class Counter:
    """A daemon with a firmware head, a swipe reader and an ID-card module around it."""

    def __init__(self, box: Box, head: HostHead, swipe: SwipeReaderEmulator, module: SamTty) -> None:
        self.box, self.head, self.swipe, self.module = box, head, swipe, module
        self.hand: Hand = box.hand

    async def status(self) -> dict[str, Any]:
        return dict(await self.box.control.call("status"))

    async def until(self, condition: Callable[[dict[str, Any]], bool]) -> None:
        async with asyncio.timeout(60):
            while not condition(await self.status()):
                await asyncio.sleep(0.02)

    async def until_ready(self) -> None:
        await self.until(lambda status: status["state"] == "ready" and not status["devices_gone"])

    async def event(self, name: str) -> dict[str, Any]:
        async with asyncio.timeout(60):
            async for event in self.box.control.events():
                if event["event"] == name:
                    return dict(event)
        raise AssertionError("the daemon went away")

    async def lay(self) -> None:
        await self.hand.place(SPECIMENS["passport"].sides)
        await self.head.document(present=True)

    async def lift(self) -> None:
        await self.head.document(present=False)
        await self.hand.remove()

    async def press(self) -> None:
        await self.head.button(down=True)
        await self.head.button(down=False)


@pytest.fixture
async def counter(tmp_path: Path) -> AsyncIterator[Counter]:
    store = tmp_path / "head"
    store.mkdir()
    async with contextlib.AsyncExitStack() as stack:
        head = await stack.enter_async_context(HostHead(store, program=program()))
        swipe = await stack.enter_async_context(SwipeReaderEmulator(tmp_path / "swipe", "desko"))
        module = await stack.enter_async_context(SamTty(tmp_path / "card"))
        sections = FIRMWARE.format(port=head.port, swipe=tmp_path / "swipe", card=tmp_path / "card")
        box = await stack.enter_async_context(Box(tmp_path, head=sections))
        made = Counter(box, head, swipe, module)
        await made.until_ready()
        await box.control.call("subscribe")
        yield made


async def test_a_press_of_the_heads_button_scans(counter: Counter) -> None:
    await counter.lay()
    await counter.press()
    assert (await counter.event("pressed"))["scene"] == "bank"
    outcome = await counter.event("outcome")
    assert (outcome["verdict"]["kind"], outcome["verdict"]["result"]) == ("test", "successful")
    async with asyncio.timeout(60):
        while counter.head.outputs["indication"] != "success":
            await asyncio.sleep(0.01)
    await counter.lift()
    await counter.until_ready()
    async with asyncio.timeout(60):
        while counter.head.outputs["indication"] not in {"ready", "offline"}:
            await asyncio.sleep(0.01)


async def test_an_open_cover_closes_the_counter(counter: Counter) -> None:
    await counter.head.cover(opened=True)
    await counter.until(lambda status: bool(status["troubles"]))
    refused = await counter.box.control.call("scan", scene="bank")
    assert refused["outcome"] == "refused"
    assert "cover" in refused["reason"]["code"]
    await counter.head.cover(opened=False)
    await counter.until(lambda status: not status["troubles"])
    await counter.lay()
    assert (await counter.box.control.call("scan", scene="bank"))["outcome"] == "committed"


async def test_a_five_star_card_and_a_swipe_each_lead_to_a_test_verdict(counter: Counter) -> None:
    counter.module.lay(id_cards()["resident-2023"])
    answer = await counter.box.control.call("scan", scene="bank")
    assert (answer["verdict"]["kind"], answer["verdict"]["result"]) == ("test", "successful")
    assert "id_card_read" in {check["name"] for check in answer["verdict"]["checks"]}
    counter.module.lift()
    await counter.until_ready()
    expected = SPECIMENS["passport"].expected
    assert expected is not None
    assert expected.lines is not None
    assert await counter.swipe.swipe(expected.lines)
    while (outcome := await counter.event("outcome"))["inspection"] == answer["inspection"]:
        pass
    assert (outcome["verdict"]["kind"], outcome["verdict"]["result"]) == ("test", "successful")
    assert b"911124198108030024" not in counter.box.errors


@pytest.mark.parametrize("seed", range(4))
async def test_any_device_may_be_pulled_out_at_any_moment(counter: Counter, seed: int) -> None:
    """Head, camera, swipe reader and ID-card module, at a random moment of a scan; each time scanning goes on."""
    rng = random.Random(seed)
    for device in rng.sample(["head", "camera", "swipe", "id_card"], 4):
        await counter.lay()
        scanning = asyncio.ensure_future(counter.box.control.call("scan", scene="bank"))
        await asyncio.sleep(rng.random() * 0.15)
        await _pull(counter, device)
        await asyncio.sleep(rng.random() * 0.1)
        await _put(counter, device)
        assert (await asyncio.wait_for(scanning, 60))["outcome"] in {"committed", "aborted", "refused"}
        await counter.lift()
        await counter.until_ready()
    await counter.lay()
    assert (await counter.box.control.call("scan", scene="bank"))["outcome"] == "committed"


async def _pull(counter: Counter, device: str) -> None:
    match device:
        case "head":
            await counter.head.unplug()
        case "camera":
            await counter.hand.do("unplug", device="camera")
        case "swipe":
            counter.swipe.unplug()
        case _:
            await counter.module.unplug()


async def _put(counter: Counter, device: str) -> None:
    match device:
        case "head":
            await counter.head.plug()
            await counter.head.document(present=True)
        case "camera":
            await counter.hand.do("plug", device="camera")
        case "swipe":
            counter.swipe.plug()
        case _:
            counter.module.plug()


async def test_a_firmware_that_hangs_is_reset_and_comes_back(counter: Counter) -> None:
    await counter.head.hang()
    await counter.until_ready()
    await counter.lay()
    await counter.press()
    assert (await counter.event("outcome"))["outcome"] == "committed"
