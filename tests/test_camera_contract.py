"""The contract every driver passes, for the camera that Linux films with and for the head that is made of one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from edged.drivers.bare import BareHead
from edged.drivers.uvc import UvcCamera
from edged.events import Indication, Light
from edged.testing import CameraContract, HeadContract
from edged.testing.benches import CameraBench, HeadBench, Maker
from tests.camera_fake import FakeCamera, settings
from tests.test_bare_head import EMPTY, Counter, page


class _Filmed:
    """A fake camera over a window that is always lit."""

    simulated = False

    def __init__(self) -> None:
        self.fake = FakeCamera()
        self.fake.lamps.light(Light.WHITE, 100, 0, 1e12)
        self.device = UvcCamera(settings(), self.fake.opener)

    async def unplug(self) -> None:
        self.fake.plugged = False

    async def plug(self) -> None:
        self.fake.plugged = True

    async def place(self) -> None:
        """It lies there."""

    async def remove(self) -> None:
        self.fake.picture = Counter().fake.picture


@asynccontextmanager
async def filmed(*, attached: bool = True) -> AsyncIterator[_Filmed]:
    made = _Filmed()
    made.fake.plugged = attached
    yield made


class TestUvcCamera(CameraContract):
    @pytest.fixture
    def bench(self) -> Maker[CameraBench]:
        return filmed


class _Bare:
    """A box with only a camera."""

    simulated = False

    def __init__(self, desk: Counter, camera: UvcCamera) -> None:
        self.desk = desk
        self.device = BareHead(camera, 0.005)

    async def unplug(self) -> None:
        self.desk.fake.plugged = False

    async def plug(self) -> None:
        self.desk.fake.plugged = True

    async def press(self) -> None:
        pytest.skip("it has no button")

    async def place(self) -> None:
        self.desk.lies = page(0)

    async def turn(self) -> None:
        self.desk.lies = page(2)

    async def remove(self) -> None:
        self.desk.lies = EMPTY

    async def lit(self) -> Light | None:
        return None

    async def shown(self) -> Indication | None:
        return self.device.indication

    async def beeps(self) -> int | None:
        return self.device.beeps


@asynccontextmanager
async def bare(*, attached: bool = True) -> AsyncIterator[_Bare]:
    desk = Counter()
    desk.fake.plugged = attached
    async with UvcCamera(settings(), desk.fake.opener) as camera:
        yield _Bare(desk, camera)


class TestBareHead(HeadContract):
    @pytest.fixture
    def bench(self) -> Maker[HeadBench]:
        return bare
