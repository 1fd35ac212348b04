"""The driver keeps edged's contracts; the plug-in that comes with edged brings the tests."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest
from acme_reader import sdk

from edged.events import Indication, Light
from edged.testing import CameraContract, HeadContract

_numbers = itertools.count(1)


class Desk:
    """A reader, and hands: what `edged.testing.HeadBench` and `CameraBench` ask for."""

    simulated = True

    def __init__(self, device: Any, hardware: sdk.Hardware) -> None:
        self.device = device
        self._hardware = hardware

    async def plug(self) -> None:
        self._hardware.plug()

    async def unplug(self) -> None:
        self._hardware.unplug()

    async def press(self) -> None:
        self._hardware.press()

    async def place(self) -> None:
        self._hardware.lay([90, 150])

    async def turn(self) -> None:
        self._hardware.turn()

    async def remove(self) -> None:
        self._hardware.lift()

    async def lit(self) -> Light | None:
        return Light(self._hardware.lit) if self._hardware.lit else None

    async def shown(self) -> Indication | None:
        return Indication(self._hardware.led) if self._hardware.led else None

    async def beeps(self) -> int:
        return self._hardware.beeps


@pytest.fixture
def bench_of(
    edged_driver: Callable[..., Any],
) -> Callable[[str], Callable[..., AbstractAsyncContextManager[Desk]]]:
    """Opened by its entry point, as a box does it."""

    def bench(name: str) -> Callable[..., AbstractAsyncContextManager[Desk]]:
        @asynccontextmanager
        async def made(*, attached: bool = True) -> AsyncIterator[Desk]:
            serial = str(next(_numbers))
            hardware = sdk.hardware(serial)
            if attached:
                hardware.plug()
            yield Desk(edged_driver(name, {"serial": serial}), hardware)

        return made

    return bench


class TestHead(HeadContract):
    @pytest.fixture
    def bench(self, bench_of: Callable[[str], Any]) -> Any:
        return bench_of("head.acme")


class TestCamera(CameraContract):
    @pytest.fixture
    def bench(self, bench_of: Callable[[str], Any]) -> Any:
        return bench_of("camera.acme")
