"""The head's driver against the firmware itself, built for this machine."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from edged.drivers.head import SerialHead
from edged.drivers.head_events import Lamp
from edged.drivers.head_frame import ResetCause
from edged.drivers.head_messages import Counter, Ping, Step
from edged.emulator import host_head
from edged.emulator.host_head import HostHead
from edged.errors import DeviceGoneError, HeadRefusedError, StateError
from edged.events import (
    ButtonPressed,
    DeviceBack,
    DeviceGone,
    DocumentPlaced,
    DocumentRemoved,
    DocumentTurned,
    Indication,
    Light,
    TroubleBegan,
    TroubleOver,
)
from tests.head_line import MANNERS
from tests.head_proxy import Proxy
from tests.head_tty import TtyHost
from tests.test_head_driver import Heard
from tests.waiting import until


@pytest.fixture(scope="module", autouse=True)
def _built() -> None:
    try:
        host_head.build()
    except StateError as error:
        pytest.skip(f"the firmware can't be built here: {error.code}")


@asynccontextmanager
async def running() -> AsyncIterator[tuple[HostHead, SerialHead, Heard]]:
    async with HostHead() as board, SerialHead(board.port) as head:
        heard = Heard(head)
        yield board, head, heard
        await heard.end()


async def press(board: HostHead) -> None:
    await board.button(down=True)
    await board.button(down=False)


async def test_the_pins_are_what_the_driver_tells() -> None:
    async with running() as (board, head, heard):
        await board.document(present=True)
        await press(board)
        await board.document(present=False)
        await board.document(present=True)
        await heard.told(DocumentPlaced(), ButtonPressed(), DocumentRemoved(), DocumentTurned())
        assert head.document_present
        assert head.lights == set(Light)
        assert head.provenance.simulated
        assert head.identity is not None
        assert head.provenance.identity == head.identity.unique_id
        counters = await head.counters()
        assert (counters[Counter.PRESSES], counters[Counter.SESSIONS]) == (1, 1)


async def test_lamps_indication_and_buzzer() -> None:
    async with running() as (board, head, _):
        await head.indicate(Indication.TURN_OVER)
        await head.beep()
        await head.illuminate(Light.WHITE, 500)
        await until(lambda: board.outputs.get("beep") == "short" and "white" in board.outputs["lamp"])
        assert board.outputs["indication"] == "turn-over"
        await head.illuminate(Light.IR, 500)
        await until(lambda: "ir850" in board.outputs["lamp"])
        await head.dark()
        await until(lambda: board.outputs["lamp"] == "off")


async def test_exposures_are_measured_in_the_head() -> None:
    async with running() as (_, head, __):
        windows = await head.expose(
            (Step(None, 0, 0, 2_000), Step(Lamp.WHITE, 80, 500, 5_000), Step(Lamp.UV_365, 100, 500, 5_000))
        )
        assert [window.lamp for window in windows] == [None, Lamp.WHITE, Lamp.UV_365]
        for window, asked_us in zip(windows, (2_000, 5_000, 5_000), strict=True):
            assert window.complete
            assert window.window_us >= asked_us
        assert [window.strobe_us for window in windows] == sorted(window.strobe_us for window in windows)


async def test_the_heads_limits_are_a_coded_refusal() -> None:
    async with running() as (_, head, __):
        with pytest.raises(HeadRefusedError) as refused:
            for _ in range(5):
                await head.illuminate(Light.UV, 400)
                await head.dark()
                await head.expose((Step(Lamp.UV_365, 100, 0, 400_000),))
        assert refused.value.code == "reader_head.lamp_rests"
        assert refused.value.number is not None
        assert 0 < refused.value.number <= 10_000


async def test_troubles_come_from_the_pins() -> None:
    async with running() as (board, head, heard):
        await board.cover(opened=True)
        await heard.told(TroubleBegan("head", "reader_head.cover_open"))
        with pytest.raises(HeadRefusedError, match="cover_open"):
            await head.illuminate(Light.UV, 10)
        await board.cover(opened=False)
        await heard.told(TroubleOver("head", "reader_head.cover_open"))
        await board.temperature(720)
        await heard.told(TroubleBegan("head", "reader_head.overheated"))
        with pytest.raises(HeadRefusedError, match="overheated"):
            await head.illuminate(Light.WHITE, 10)
        await board.temperature(400)
        await heard.told(TroubleOver("head", "reader_head.overheated"))


async def test_pulling_the_reset_pin_and_the_plug() -> None:
    async with running() as (board, head, heard):
        await head.indicate(Indication.READING)
        await board.reset()
        await heard.told(DeviceGone("head"), DeviceBack("head"))
        assert head.identity is not None
        assert head.identity.reset_cause is ResetCause.PIN
        assert head.identity.boots == 2
        await until(lambda: board.outputs["indication"] == "reading")
        await board.unplug()
        await heard.told(DeviceGone("head"))
        await board.plug()
        await heard.told(DeviceBack("head"))
        await until(lambda: board.outputs.get("indication") == "reading")
        await press(board)
        await heard.told(ButtonPressed())


async def test_a_hang_is_told_and_hinders_nothing() -> None:
    async with running() as (board, head, heard):
        await board.hang()
        watchdog = "head", "reader_head.watchdog"
        await heard.told(
            DeviceGone("head"), DeviceBack("head"), TroubleBegan(*watchdog), TroubleOver(*watchdog)
        )
        assert head.trouble is None
        assert head.identity is not None
        assert head.identity.reset_cause is ResetCause.WATCHDOG
        await head.beep()


async def test_the_firmware_behind_a_serial_port() -> None:
    async with TtyHost() as board, SerialHead(board.port) as head:
        heard = Heard(head)
        assert head.trouble is None
        assert head.provenance.simulated
        await board.say("document in")
        await board.button(down=True)
        await heard.told(DocumentPlaced(), ButtonPressed())
        for _ in range(50):
            await head.client.request(Ping())
        await heard.end()


SLOW = [pytest.param(manners, marks=pytest.mark.slow) for manners in ("garbage", "everything", "slow")]


@pytest.mark.parametrize("manners", ["one octet at a time", "loses", "damages", "repeats", *SLOW])
async def test_nothing_twice_and_no_press_lost_on_a_line_that_misbehaves(
    tmp_path: Path, manners: str
) -> None:
    chance = random.Random(manners)
    answered = failed = pressed = 0
    async with (
        HostHead() as board,
        Proxy(tmp_path / "line", board.port, MANNERS[manners], seed=3) as proxy,
        SerialHead(proxy.port) as head,
    ):
        heard = Heard(head)
        dark = (Step(None, 0, 0, 10),)
        for _ in range(12):
            if chance.random() < 0.6:
                await press(board)
                pressed += 1
            await until(lambda: head.trouble is None, 30)
            try:
                await head.expose(dark)
                answered += 1
            except DeviceGoneError:
                failed += 1
        proxy.to_head.manners = proxy.to_host.manners = MANNERS["perfect"]
        counters: dict[int, int] = {}
        while not counters:
            await until(lambda: head.trouble is None, 30)
            with suppress(DeviceGoneError):
                counters = await head.counters()

        def accounted() -> int:
            told = heard.events.count(ButtonPressed())
            return told + head.client.counts.stale_presses + counters[Counter.PRESSES_DROPPED]

        await until(lambda: accounted() >= pressed, 10, so_far=lambda: (accounted(), pressed))
        assert accounted() == pressed
        assert counters[Counter.PRESSES] == pressed
        assert answered <= counters[Counter.EXPOSURES] <= answered + failed
        await heard.end()
