"""The drivers of readers of MRZ text, on a pseudo-terminal and on an input device made of a pipe."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import io
import os
import threading
from typing import TYPE_CHECKING, Any

import pytest
from structlog.testing import capture_logs

from edged.config import SwipeSettings
from edged.drivers import swipe, swipe_keyboard, swipe_serial
from edged.drivers.swipe_keyboard import EVENT, EVIOCGRAB
from edged.emulator.swipe_reader import SwipeReaderEmulator
from edged.events import DeviceBack, DeviceGone, DocumentSwiped, SwipeEvent
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

PASSPORT = ("P<UTOERIKSSON<<ANNA<MARIA<<<<<<<<<<<<<<<<<<<", "L898902C36UTO7408122F1204159ZE184226B<<<<<10")


def reader(port: Path, protocol: Any = "auto") -> swipe.SwipeReader:
    return swipe.open(SwipeSettings(port=str(port), protocol=protocol))


async def following(driver: swipe.SwipeReader) -> AsyncIterator[SwipeEvent]:
    async with asyncio.timeout(60):
        async for event in driver.events():
            yield event


def told(event: SwipeEvent) -> Any:
    return event.lines() if isinstance(event, DocumentSwiped) else event


@pytest.mark.parametrize("protocol", ["auto", "named"])
@pytest.mark.parametrize("kind", ["elyctis", "desko", "lines"])
async def test_a_swipe_is_an_event(tmp_path: Path, kind: str, protocol: str) -> None:
    named = protocol if protocol == "auto" else kind
    async with (
        SwipeReaderEmulator(tmp_path / "port", kind, one_by_one=True) as device,
        reader(tmp_path / "port", named) as driver,
    ):
        await device.ready()
        for _ in range(2):
            assert await device.swipe(PASSPORT)
            assert told(await anext(following(driver))) == PASSPORT
            if kind == "elyctis":
                break  # the same document again would be one left in
        assert driver.trouble is None
        assert driver.provenance.simulated
        assert driver.provenance.driver == "serial"


@pytest.mark.parametrize("kind", ["honeywell", "newland"])
async def test_an_imager_is_told_to_read(tmp_path: Path, kind: str) -> None:
    async with (
        SwipeReaderEmulator(tmp_path / "port", kind) as device,
        reader(tmp_path / "port", kind) as driver,
    ):
        await device.ready()
        assert await device.swipe(PASSPORT)
        assert told(await anext(following(driver))) == PASSPORT


async def test_a_reader_may_come_later_go_and_come_back(tmp_path: Path) -> None:
    device = SwipeReaderEmulator(tmp_path / "port", "elyctis")
    async with reader(tmp_path / "port") as driver:
        events = following(driver)
        assert await anext(events) == DeviceGone("swipe")
        assert driver.trouble is not None
        assert driver.trouble.code == "swipe.not_there"
        for _ in range(2):
            device.plug()
            assert await anext(events) == DeviceBack("swipe")
            await device.ready()
            await device.send(b"I\x00\x5d" + PASSPORT[0].encode())  # pulled out in the middle of a document
            device.unplug()
            assert await anext(events) == DeviceGone("swipe")
        device.plug()
        assert await anext(events) == DeviceBack("swipe")
        await device.ready()
        assert await device.swipe(PASSPORT)
        assert told(await anext(events)) == PASSPORT
    device.unplug()


async def test_a_port_that_another_holds_is_busy_until_it_lets_go(tmp_path: Path) -> None:
    async with SwipeReaderEmulator(tmp_path / "port", "lines"):
        with (tmp_path / "port").open("rb", buffering=0) as other:
            fcntl.flock(other, fcntl.LOCK_EX)
            async with reader(tmp_path / "port") as driver:
                assert driver.trouble is not None
                assert driver.trouble.code == "swipe.busy"
                fcntl.flock(other, fcntl.LOCK_UN)
                await until(lambda: driver.trouble is None)


async def test_what_is_no_port_is_unusable_and_harmless(tmp_path: Path) -> None:
    (tmp_path / "port").write_text("x")
    async with reader(tmp_path / "port") as driver:
        assert driver.trouble is not None
        assert driver.trouble.code in {"swipe.unusable", "swipe.not_there"}


async def test_leaving_ends_the_thread_and_elyctis_reading_also_when_cancelled(tmp_path: Path) -> None:
    threads = threading.active_count()
    async with SwipeReaderEmulator(tmp_path / "port", "elyctis") as device:

        async def use() -> None:
            async with reader(tmp_path / "port", "elyctis") as driver:
                await anext(following(driver))

        task = asyncio.create_task(use())
        await device.ready()
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        await until(lambda: not device.armed)
        assert threading.active_count() <= threads + 1  # the event loop's own worker


async def test_entering_that_is_cancelled_leaves_no_thread_and_frees_the_port(tmp_path: Path) -> None:
    begun, go_on = threading.Event(), threading.Event()

    class Slow(swipe_serial.SerialWay):
        def open(self) -> Any:
            begun.set()
            go_on.wait(10)
            return super().open()

    async with SwipeReaderEmulator(tmp_path / "port", "lines"):
        entering = asyncio.create_task(swipe.SwipeReader(Slow(str(tmp_path / "port"), 9600)).__aenter__())
        await until(begun.is_set)
        entering.cancel()
        asyncio.get_running_loop().call_later(0.01, go_on.set)
        with pytest.raises(asyncio.CancelledError):
            await entering
        assert "swipe port" not in {thread.name for thread in threading.enumerate()}
        async with reader(tmp_path / "port") as next_one:
            assert next_one.trouble is None


async def test_nothing_of_a_document_is_logged(tmp_path: Path) -> None:
    with capture_logs() as logs:
        async with (
            SwipeReaderEmulator(tmp_path / "port", "lines") as device,
            reader(tmp_path / "port") as driver,
        ):
            await device.swipe(PASSPORT)
            event = await anext(following(driver))
    assert isinstance(event, DocumentSwiped)
    assert any(line["event"] == "swiped" for line in logs)
    assert "ERIKSSON" not in repr((logs, event, driver))
    assert "L898902C3" not in repr(logs)


async def test_documents_that_nobody_takes_are_bounded_and_keep_none_from_coming_later(
    tmp_path: Path,
) -> None:
    async with (
        SwipeReaderEmulator(tmp_path / "port", "lines") as device,
        reader(tmp_path / "port", "lines") as driver,
    ):
        with capture_logs() as logs:
            for _ in range(swipe.MAX_WAITING + 1):
                await device.swipe(PASSPORT)
            await until(lambda: any("dropped" in line["event"] for line in logs))
        events = following(driver)
        for _ in range(swipe.MAX_WAITING):
            assert told(await anext(events)) == PASSPORT
        later = tuple(line.replace("ERIKSSON", "SPECIMEN") for line in PASSPORT)
        await device.swipe(later)
        assert told(await anext(events)) == later


async def test_a_wedge_is_grabbed_before_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(tmp_path / "event0")
    grabbed: list[tuple[int, Any]] = []

    def ioctl(descriptor: int | io.IOBase, request: int, argument: Any) -> Any:
        grabbed.append((request, argument))
        return argument if isinstance(argument, bytes) else 0

    monkeypatch.setattr(swipe_keyboard.fcntl, "ioctl", ioctl)
    keys = {"\n": 28, "<": 86} | {
        sign.upper(): code for code, sign in swipe_keyboard._PLAIN.items() if code < 51
    }
    settings = SwipeSettings(driver="keyboard", device=tmp_path / "event0")
    with os.fdopen(os.open(tmp_path / "event0", os.O_RDWR), "r+b", buffering=0) as keyboard:
        async with swipe.open(settings) as driver:
            await until(lambda: driver.trouble is None and grabbed)
            assert [request for request, _ in grabbed[:2]] == [swipe_keyboard._EVIOCGKEY, EVIOCGRAB]
            for sign in "\n".join(PASSPORT) + "\n":
                keyboard.write(EVENT.pack(0, 0, 1, keys[sign], 1) + EVENT.pack(0, 0, 1, keys[sign], 0))
            event = await anext(following(driver))
            assert tuple(line.upper() for line in told(event)) == PASSPORT
            assert driver.provenance.driver == "keyboard"


async def test_a_key_that_is_down_comes_up_before_whoever_saw_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Taken away in between, the key would be repeated on the clerk's screen for ever."""
    os.mkfifo(tmp_path / "event0")
    down = bytearray(96)
    down[28 // 8] = 1 << 28 % 8
    asked: list[int] = []

    def ioctl(_: int, request: int, argument: Any) -> Any:
        asked.append(request)
        return bytes(down) if request == swipe_keyboard._EVIOCGKEY else argument

    monkeypatch.setattr(swipe_keyboard.fcntl, "ioctl", ioctl)
    with os.fdopen(os.open(tmp_path / "event0", os.O_RDWR), "r+b", buffering=0):
        settings = SwipeSettings(driver="keyboard", device=tmp_path / "event0")
        async with swipe.open(settings) as driver:
            assert driver.trouble is not None
            assert driver.trouble.code == "swipe.busy"
            assert EVIOCGRAB not in asked
            down[:] = bytes(96)
            await until(lambda: driver.trouble is None)


async def test_what_can_not_be_grabbed_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "event0")
    async with swipe.open(SwipeSettings(driver="keyboard", device=tmp_path / "event0")) as driver:
        assert driver.trouble is not None
        assert driver.trouble.code == "swipe.unusable"
