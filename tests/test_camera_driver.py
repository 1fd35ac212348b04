"""The camera's driver on a fake camera: what it sets, which frame it takes, and all that cameras do wrong."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import pytest

from edged.drivers import LiveCamera, uvc
from edged.drivers._camera_setup import Refused
from edged.drivers.facts import Described
from edged.drivers.uvc import UvcCamera
from edged.drivers.v4l2 import Control
from edged.errors import DeviceError, DeviceGoneError
from edged.events import DeviceBack, DeviceGone, Frame, Light
from edged.verdict import Reason
from tests.camera_fake import PERIOD_S, FakeCamera, FlashHead, Lamps, settings
from tests.waiting import until

BRIGHT = 60
"""Mean of the window when it is lit; dark it has below 40."""


@asynccontextmanager
async def opened(fake: FakeCamera, **more: Any) -> AsyncIterator[UvcCamera]:
    async with UvcCamera(settings(**more), fake.opener) as camera:
        yield camera
    assert fake.open_now == 0
    assert not [thread for thread in threading.enumerate() if thread.name == "camera"]


def lit_forever() -> FakeCamera:
    fake = FakeCamera()
    fake.lamps.light(Light.WHITE, 100, 0, 1e12)
    return fake


async def code_of(camera: UvcCamera, light: Light = Light.WHITE) -> str:
    with pytest.raises(DeviceError) as caught:
        await camera.capture(light)
    return caught.value.code


async def test_a_frame_is_never_older_than_the_light() -> None:
    fake = FakeCamera()
    async with opened(fake) as camera:
        for _ in range(5):
            await asyncio.sleep(8 * PERIOD_S)  # every buffer is full of frames from the dark
            now = time.monotonic()
            fake.lamps.light(Light.WHITE, 100, now, now + camera.hold_ms(Light.WHITE) / 1000)
            frame = await camera.capture(Light.WHITE)
            assert frame.image().mean() > BRIGHT
            assert frame.shot is not None
            assert frame.shot.at > now
            fake.lamps.times.clear()


async def test_a_camera_whose_clock_is_another_is_flushed_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fake = FakeCamera()
    async with opened(fake) as camera:
        from tests import camera_fake

        monkeypatch.setattr(camera_fake._Stream, "stamp", lambda _: 0.0)
        await asyncio.sleep(8 * PERIOD_S)
        now = time.monotonic()
        fake.lamps.light(Light.WHITE, 100, now, now + 1)
        assert (await camera.capture(Light.WHITE)).image().mean() > BRIGHT


async def test_what_the_settings_say_is_set_and_read_back() -> None:
    fake = lit_forever()
    async with opened(
        fake,
        gain=40,
        white_balance_k=5200,
        width=80,
        height=60,
        pixel_format="YUYV",
        lights=("white", "ir"),
        exposure_us={"white": 2000, "ir": 3000},
    ) as camera:
        facts = camera.standing
        assert facts is not None
        assert (facts.width, facts.height, facts.pixel_format) == (80, 60, "YUYV")
        assert facts.refused == ()
        assert facts.exposure_us == {Light.WHITE: 2000, Light.IR: 3000}
        assert fake.values[Control.GAIN] == 40
        assert fake.values[Control.AUTO_GAIN] == 0
        assert fake.values[Control.WHITE_BALANCE_K] == 5200
        assert fake.values[Control.AUTO_EXPOSURE] == 1
        assert fake.values[Control.EXPOSURE_MAY_SLOW] == 0
        assert camera.exposure_is_fixed
        assert camera.lights == {Light.WHITE, Light.IR}
        assert isinstance(camera, LiveCamera)
        frame = await camera.capture(Light.WHITE)
        assert frame.light is Light.WHITE
        assert frame.shot is not None
        assert (frame.shot.exposure_us, frame.shot.gain) == (2000, 40)
        assert frame.shot.provenance == camera.provenance
        assert camera.provenance.identity == "046d:0825:AB12"
        assert isinstance(camera, Described)
        assert camera.facts().versions == {"driver": "uvcvideo", "format": "YUYV 80x60"}
        assert not camera.provenance.simulated


async def test_what_the_camera_refuses_is_told() -> None:
    fake = lit_forever()
    fake.limits = {Control.GAIN: (0, 20), Control.EXPOSURE_100US: (0, 10)}
    del fake.values[Control.WHITE_BALANCE_K]
    async with opened(fake, gain=40, white_balance_k=5000) as camera:
        assert camera.standing is not None
        assert camera.standing.refused == (
            Refused("gain", 40, 20),
            Refused("white_balance_k", 5000, None),
            Refused("exposure_us.white", 2000, 1000),
        )
        assert (await camera.capture(Light.WHITE)).shot.exposure_us == 1000  # type: ignore[union-attr]
        assert camera.facts().versions["refused gain"] == "40: 20"
        assert camera.facts().versions["refused white_balance_k"] == "5000: –"


async def test_an_exposure_that_the_camera_keeps_to_itself_is_not_fixed() -> None:
    fake = lit_forever()
    del fake.values[Control.EXPOSURE_100US]
    fake.values[Control.EXPOSURE_100US] = 20
    fake.limits = {Control.AUTO_EXPOSURE: (3, 3)}
    async with opened(fake) as camera:
        assert not camera.exposure_is_fixed
        assert camera.standing is not None
        assert camera.standing.refused == (Refused("exposure_us.white", 2000, None),)
    fake = lit_forever()
    async with opened(fake, gain=None) as camera:
        assert not camera.exposure_is_fixed  # its gain makes up for what light there is


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"width": 123, "height": 120}, "camera.format_refused"),
        ({"pixel_format": "NV12"}, "camera.no_such_format"),
    ],
)
async def test_another_format_than_asked_for_is_no_camera(more: dict[str, Any], code: str) -> None:
    fake = lit_forever()
    fake.formats |= {"NV12": ()} if code == "camera.format_refused" else {}

    def opener(chosen: Any) -> Any:
        return fake.opener(chosen if chosen.pixel_format in (None, *fake.formats) else settings())

    async with UvcCamera(settings(**more), opener) as camera:
        assert camera.trouble is not None
        assert camera.trouble.code == code
        assert await code_of(camera) == code
        events = camera.events()
        assert await anext(events) == DeviceGone("camera")


async def test_a_changed_exposure_has_settled_in_the_frame() -> None:
    """The frame under way, and the one after it, were exposed as before."""
    fake = lit_forever()
    seen: list[float] = []
    real = fake.lit

    def noting(begin: float, end: float) -> np.ndarray[Any, Any]:
        seen.append(begin)
        return real(begin, end)

    fake.picture = noting
    async with opened(fake, lights=("white", "ir"), exposure_us={"white": 2000, "ir": 3000}) as camera:
        await camera.capture(Light.WHITE)
        asked = time.monotonic()
        await camera.capture(Light.IR)
        assert seen[-1] >= asked + 2 * PERIOD_S
        assert fake.values[Control.EXPOSURE_100US] == 30


@pytest.mark.parametrize(
    ("picture", "code"),
    [
        (lambda *_: np.zeros((120, 160, 3), np.uint8), "camera.black"),
        (lambda *_: np.full((120, 160, 3), 255, np.uint8), "camera.over_exposed"),
        (lambda *_: None, "camera.no_picture"),
    ],
    ids=["black", "burnt", "none"],
)
async def test_what_is_no_picture_is_taken_once_more_and_then_told(picture: Any, code: str) -> None:
    fake = lit_forever()
    async with opened(fake) as camera:
        fake.picture = picture
        assert await code_of(camera) == code
        fake.picture = fake.lit
        assert isinstance(await camera.capture(Light.WHITE), Frame)
        if code == "camera.no_picture":
            return
        left = iter([picture])

        def once(begin: float, end: float) -> Any:
            return next(left, fake.lit)(begin, end)

        fake.picture = once
        assert (await camera.capture(Light.WHITE)).image().mean() > BRIGHT


async def test_black_is_no_fault_in_ultraviolet_or_in_the_dark() -> None:
    fake = FakeCamera()
    rng = np.random.default_rng(6)
    fake.picture = lambda *_: rng.integers(0, 9, (120, 160, 3)).astype(np.uint8)
    async with opened(fake, lights=("white", "uv")) as camera:
        await camera.capture(Light.UV)
        assert (await camera.look(None)).image().max() < 9


async def test_a_frozen_camera_is_told_and_opened_again() -> None:
    fake = lit_forever()
    async with opened(fake) as camera:
        still = fake.lit(0, 1)
        fake.picture = lambda *_: still
        await camera.capture(Light.WHITE)  # the first of them can't be known
        assert await code_of(camera) == "camera.frozen"
        await until(lambda: fake.opened == 2)
        fake.picture = fake.lit
        await camera.capture(Light.WHITE)


async def test_a_camera_that_goes_silent_is_gone_and_comes_back() -> None:
    fake = lit_forever()
    async with opened(fake) as camera:
        events = camera.events()
        fake.silent = True
        assert await code_of(camera) == "camera.silent"
        assert await anext(events) == DeviceGone("camera")
        assert camera.trouble == Reason("camera.silent")
        fake.silent = False
        assert await anext(events) == DeviceBack("camera")
        await camera.capture(Light.WHITE)


async def test_a_camera_is_unplugged_in_a_capture_and_plugged_in_again() -> None:
    fake = lit_forever()
    async with opened(fake) as camera:
        events = camera.events()
        fake.hangs.clear()
        fake.grabbing.clear()
        capturing = asyncio.ensure_future(camera.capture(Light.WHITE))
        assert await asyncio.to_thread(fake.grabbing.wait, 10)
        fake.plugged = False
        fake.hangs.set()
        with pytest.raises(DeviceGoneError):
            await capturing
        assert await anext(events) == DeviceGone("camera")
        assert await code_of(camera) == "camera.unplugged"
        fake.plugged = True
        assert await anext(events) == DeviceBack("camera")
        await camera.capture(Light.WHITE)


async def test_unplugging_is_noticed_while_nobody_wants_a_picture() -> None:
    fake = lit_forever()
    async with opened(fake) as camera:
        events = camera.events()
        fake.plugged = False
        async with asyncio.timeout(60):
            assert await anext(events) == DeviceGone("camera")
        fake.plugged = True
        assert await anext(events) == DeviceBack("camera")
        assert fake.opened == 2


async def test_a_camera_that_was_never_there_is_waited_for() -> None:
    fake = lit_forever()
    fake.plugged = False
    async with opened(fake) as camera:
        events = camera.events()
        assert await anext(events) == DeviceGone("camera")
        assert camera.trouble == Reason("camera.not_there")
        fake.plugged = True
        assert await anext(events) == DeviceBack("camera")
        assert camera.trouble is None
        await camera.capture(Light.WHITE)


async def test_a_camera_that_hangs_holds_up_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uvc, "CAPTURE_S", 0.05)
    fake = lit_forever()
    async with opened(fake) as camera:
        fake.hangs.clear()
        assert await code_of(camera) == "camera.too_slow"
        waiting = asyncio.ensure_future(camera.capture(Light.WHITE))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        fake.hangs.set()


async def test_a_capture_nobody_waits_for_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uvc, "CAPTURE_S", 5.0)
    fake = lit_forever()
    taken: list[float] = []
    async with opened(fake) as camera:

        def noting(begin: float, end: float) -> Any:
            taken.append(begin)
            return fake.lit(begin, end)

        fake.picture = noting
        fake.hangs.clear()
        fake.grabbing.clear()
        waiting = asyncio.ensure_future(camera.capture(Light.WHITE))
        assert await asyncio.to_thread(fake.grabbing.wait, 10)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        fake.hangs.set()
        await camera.capture(Light.WHITE)
        assert len(taken) == 1


async def test_a_triggered_camera_asks_the_head_for_each_picture() -> None:
    lamps = Lamps()
    fake, head = FakeCamera(lamps), FlashHead(lamps)
    async with opened(fake, trigger="strobe") as camera:
        assert camera.hold_ms(Light.WHITE) == 0
        assert await code_of(camera) == "camera.no_strobe"
        camera.use_strobe(head)
        await camera.capture(Light.WHITE)
        (step,) = head.asked[0]
        assert (step.light, step.brightness, step.window_us) == (Light.WHITE, 100, 2000)
        head.cut = True
        assert await code_of(camera) == "camera.light_cut_short"


async def test_frames_are_watched_without_keeping_any() -> None:
    fake = lit_forever()
    async with opened(fake) as camera:
        asked = time.monotonic()
        seen = await camera.watch(0.05)
        assert len(seen) >= 3
        assert all(one.began >= asked for one in seen)
        assert all(one.began < one.ended for one in seen)
        assert len(await camera.watch(0.0)) == 1


async def test_vivid_is_simulated_in_the_provenance() -> None:
    fake = lit_forever()
    fake.driver, fake.identity = "vivid", "platform:vivid-000"
    async with opened(fake) as camera:
        assert camera.provenance.simulated
        assert camera.provenance.identity == "platform:vivid-000"
