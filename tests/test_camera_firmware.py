"""Camera and head together: the firmware's host build lights the window, over its real link, and the camera sees it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from edged.device_settings import HeadSettings
from edged.drivers import liveness
from edged.drivers.head import open_head
from edged.drivers.liveness import require_live
from edged.drivers.uvc import UvcCamera, open_camera
from edged.emulator import host_head
from edged.emulator.host_head import HostHead
from edged.errors import DeviceError, StateError
from edged.events import Light
from tests.camera_fake import FakeCamera, settings

LAMPS = {"white": Light.WHITE, "ir850": Light.IR, "ir940": Light.IR, "uv365": Light.UV}
BRIGHT = 60
FOREVER = 1e12


@pytest.fixture(scope="module")
def program() -> Path:
    try:
        return host_head.find() or host_head.build()
    except StateError as error:
        pytest.skip(f"the firmware can't be built here: {error.code}")


async def follow(board: HostHead, fake: FakeCamera) -> None:
    """The window is lit by what the firmware's lamp pins do."""
    times = fake.lamps.times
    async for line in board.lines():
        what, _, value = line.partition(" ")
        if what != "lamp":
            continue
        now = time.monotonic()
        if times and times[-1][3] == FOREVER:
            times[-1] = (*times[-1][:3], now)
        name, _, brightness = value.partition(" ")
        if name in LAMPS:
            times.append((LAMPS[name], int(brightness), now, FOREVER))


@asynccontextmanager
async def lit(program: Path, fake: FakeCamera) -> AsyncIterator[HostHead]:
    async with HostHead(program=program) as board:
        following = asyncio.create_task(follow(board, fake))
        try:
            yield board
        finally:
            following.cancel()
            with suppress(asyncio.CancelledError):
                await following


async def test_the_firmwares_light_is_in_the_frames(program: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A capture as an inspection makes it, then the proof that it is no recording; then one that is."""
    monkeypatch.setattr(liveness, "SLACK_MS", 100)
    fake = FakeCamera()
    chosen = settings(lights=("white", "ir"), exposure_us={"white": 2000, "ir": 2000})
    async with (
        lit(program, fake) as board,
        open_head(HeadSettings(driver="serial", port=board.port)) as head,
        UvcCamera(chosen, fake.opener) as camera,
    ):
        for light in (Light.WHITE, Light.IR):
            await head.illuminate(light, 400)
            frame = await camera.capture(light)
            assert frame.image().mean() > BRIGHT * 0.6, light
        assert await require_live(head, camera)
        still = fake.lit(fake.lamps.times[0][2], fake.lamps.times[0][2] + 0.001)
        fake.picture = lambda *_: still
        with pytest.raises(DeviceError, match="replayed_feed"):
            await require_live(head, camera)


async def test_a_triggered_camera_is_exposed_by_the_firmware(program: Path) -> None:
    fake = FakeCamera()
    chosen = settings(trigger="strobe", exposure_us={"white": 2000})
    async with lit(program, fake) as board, open_head(HeadSettings(driver="serial", port=board.port)) as head:
        made = open_camera(chosen, head)
        made._opener = fake.opener
        async with made as camera:
            assert (await camera.capture(Light.WHITE)).light is Light.WHITE
            assert [(one[0], one[1]) for one in fake.lamps.times] == [(Light.WHITE, 100)]
