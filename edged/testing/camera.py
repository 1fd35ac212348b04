"""What every camera does alike."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pytest

from edged.errors import IdentityLeakError
from edged.events import Frame, Light
from edged.testing.device import DeviceContract
from edged.testing.stories import story

if TYPE_CHECKING:
    from edged.testing.benches import CameraBench, Maker

SMALLEST = 16
"""Pixels of a side: less is no picture of anything."""


class CameraContract(DeviceContract):
    """Inherit it, and give a fixture `bench` of `CameraBench`."""

    section: ClassVar[str] = "camera"
    name: ClassVar[str] = "camera"
    tells: ClassVar[bool] = False

    async def used(self, bench: Any) -> None:
        """Look at the window, whatever lies in it."""
        _is_frame(await bench.device.look(Light.WHITE), Light.WHITE)

    @story
    async def test_a_frame_under_every_light_it_names(self, bench: Maker[CameraBench]) -> None:
        """White is always among them; each frame says under which light it was taken."""
        async with bench() as world, world.device as camera:
            await world.place()
            assert Light.WHITE in camera.lights
            for light in sorted(camera.lights):
                _is_frame(await camera.capture(light), light)

    @story
    async def test_a_frame_stays_as_it_is(self, bench: Maker[CameraBench]) -> None:
        """The next one is no part of its memory: pictures of one side are read together."""
        async with bench() as world, world.device as camera:
            await world.place()
            first = (await camera.capture(Light.WHITE)).image()
            kept = first.copy()
            second = (await camera.capture(Light.WHITE)).image()
            assert not np.shares_memory(first, second)
            assert np.array_equal(first, kept)

    @story
    async def test_a_frame_is_identity(self, bench: Maker[CameraBench]) -> None:
        """It can't be shown by mistake."""
        async with bench() as world, world.device as camera:
            await world.place()
            frame = await camera.capture(Light.WHITE)
            with pytest.raises(IdentityLeakError):
                format(frame, "")

    @story
    async def test_an_empty_window_can_be_looked_at(self, bench: Maker[CameraBench]) -> None:
        """Lit and dark: that is how a box tests itself."""
        async with bench() as world, world.device as camera:
            _is_frame(await camera.look(Light.WHITE), Light.WHITE)
            dark = await camera.look(None)
            assert dark.image().shape == (await camera.look(None)).image().shape

    @story
    async def test_a_cancelled_capture_ends_and_the_next_one_is_sound(
        self, bench: Maker[CameraBench]
    ) -> None:
        """Whoever cancels doesn't wait for the camera, and nobody gets the frame that comes too late."""
        async with bench() as world, world.device as camera:
            await world.place()
            for _ in range(3):
                capturing = asyncio.ensure_future(camera.capture(Light.WHITE))
                await asyncio.sleep(0)
                capturing.cancel()
                await asyncio.wait([capturing])
                assert capturing.cancelled() or capturing.exception() is None
            for light in sorted(camera.lights):
                _is_frame(await camera.capture(light), light)

    @story
    async def test_captures_wait_for_one_another(self, bench: Maker[CameraBench]) -> None:
        """Two at a time are two frames, each under its own light."""
        async with bench() as world, world.device as camera:
            await world.place()
            lights = sorted(camera.lights)
            frames = await asyncio.gather(*(camera.capture(light) for light in lights))
            for frame, light in zip(frames, lights, strict=True):
                _is_frame(frame, light)


def _is_frame(frame: Frame, light: Light) -> None:
    image = frame.image()
    assert frame.light is light
    assert image.dtype == np.uint8
    assert image.ndim == 3
    assert image.shape[2] == 3
    assert min(image.shape[:2]) >= SMALLEST
