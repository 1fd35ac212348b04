"""The shipped contracts, kept by printer, keyboard wedge and camera against emulated devices."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from edged.device_settings import CameraSettings, PrinterSettings, SwipeSettings
from edged.drivers import swipe, swipe_keyboard
from edged.drivers.escpos import EscposPrinter
from edged.drivers.swipe_keyboard import EVENT
from edged.drivers.uvc import UvcCamera
from edged.emulator.escpos_printer import EscposEmulator, pty
from edged.testing import CameraContract, PrinterContract, SwipeContract
from tests.camera_fake import FakeCamera

Maker = Callable[..., AbstractAsyncContextManager[Any]]


class PaperAtWork:
    """An emulated printer on a pseudo-terminal."""

    simulated = True

    def __init__(self, link: Path) -> None:
        self._link = link
        self._printer = EscposEmulator()
        self._cable = AsyncExitStack()
        self.device = EscposPrinter(PrinterSettings(port=str(link)))

    async def plug(self) -> None:
        await self._cable.enter_async_context(pty(self._printer, self._link))

    async def unplug(self) -> None:
        await self._cable.aclose()

    async def paper(self, there: bool) -> None:
        self._printer.paper = there

    async def printed(self) -> bytes:
        return self._printer.picture().tobytes()


class TestPrinter(PrinterContract):
    @pytest.fixture
    def bench(self, tmp_path: Path) -> Maker:
        @asynccontextmanager
        async def made(*, attached: bool = True) -> AsyncIterator[PaperAtWork]:
            bench = PaperAtWork(tmp_path / "paper")
            if attached:
                await bench.plug()
            try:
                yield bench
            finally:
                await bench.unplug()

        return made


class WedgeAtWork:
    """A keyboard made of a pipe; what the kernel is asked of it is answered by a test."""

    simulated = False

    def __init__(self, path: Path) -> None:
        self._path = path
        self._end: int | None = None
        self.device = swipe.open(SwipeSettings(driver="keyboard", device=path))

    async def plug(self) -> None:
        os.mkfifo(self._path)
        self._end = os.open(self._path, os.O_RDWR | os.O_NONBLOCK)

    async def unplug(self) -> None:
        if self._end is not None:
            self._path.unlink()
            os.close(self._end)
            self._end = None

    async def swipe(self, lines: Sequence[str]) -> None:
        assert self._end is not None
        codes = {sign.upper(): code for code, sign in swipe_keyboard._PLAIN.items() if code < 54}
        codes |= {"\n": 28, "<": 86}
        for sign in "\n".join(lines) + "\n":
            keys = [(42, 1), (codes[sign], 1), (codes[sign], 0), (42, 0)] if sign.isalpha() else []
            for code, value in keys or [(codes[sign], 1), (codes[sign], 0)]:
                os.write(self._end, EVENT.pack(0, 0, 1, code, value))


class TestKeyboard(SwipeContract):
    @pytest.fixture
    def bench(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Maker:
        def ioctl(_descriptor: object, _request: int, argument: Any) -> Any:
            return argument if isinstance(argument, bytes) else 0

        monkeypatch.setattr(swipe_keyboard.fcntl, "ioctl", ioctl)

        @asynccontextmanager
        async def made(*, attached: bool = True) -> AsyncIterator[WedgeAtWork]:
            bench = WedgeAtWork(tmp_path / "event0")
            if attached:
                await bench.plug()
            try:
                yield bench
            finally:
                await bench.unplug()

        return made


class FilmAtWork:
    """A camera that opens as V4L2's does."""

    simulated = False

    def __init__(self) -> None:
        self._fake = FakeCamera()
        self._fake.plugged = False
        settings = CameraSettings(device=Path("/dev/v4l/by-id/usb-cam"), warm_up_frames=0)
        self.device = UvcCamera(settings, self._fake.opener)

    async def plug(self) -> None:
        self._fake.plugged = True

    async def unplug(self) -> None:
        self._fake.plugged = False

    async def place(self) -> None:
        """A document lies there from the beginning."""

    async def remove(self) -> None:
        """See `place`."""


class TestUvc(CameraContract):
    @pytest.fixture
    def bench(self) -> Maker:
        @asynccontextmanager
        async def made(*, attached: bool = True) -> AsyncIterator[FilmAtWork]:
            bench = FilmAtWork()
            if attached:
                await bench.plug()
            yield bench

        return made
