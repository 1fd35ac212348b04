"""A camera and a lamp without hardware, with what makes real ones hard: buffers full of old frames, exposure times,
controls that refuse, and every way of misbehaving. Time is real; a frame comes every four milliseconds."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edged.core.illumination_order import Step
from edged.device_settings import CameraSettings
from edged.drivers import Exposed, StrobeStep
from edged.drivers._camera_eye import Opened
from edged.drivers.v4l2 import Capability, Control, Range
from edged.errors import DeviceGoneError
from edged.events import Light
from tests.lit_window import Window

PERIOD_S = 0.004
BUFFERS = 4


class Lamps:
    """When which lamp was on: asked about the past as well."""

    def __init__(self) -> None:
        self.times: list[tuple[Light, int, float, float]] = []

    def light(self, light: Light, brightness: int, on: float, off: float) -> None:
        self.times.append((light, brightness, on, off))

    def during(self, begin: float, end: float) -> list[tuple[Light, float]]:
        """Each lamp's share of this time, times its brightness, 0..1."""
        return [
            (light, brightness / 100 * (min(off, end) - max(on, begin)) / (end - begin))
            for light, brightness, on, off in self.times
            if min(off, end) > max(on, begin)
        ]


class FakeCamera:
    """Opened by `opener`. What it films is `picture(begin, end)`, by default a document under `lamps`."""

    def __init__(self, lamps: Lamps | None = None, seed: int = 1) -> None:
        self.lamps = lamps or Lamps()
        rng = np.random.default_rng(seed)
        from tests.lit_window import reflectances

        self.window = Window(reflectances()[0], rng, ambient=0.02)
        self.picture: Callable[[float, float], NDArray[np.uint8] | None] = self.lit
        self.plugged = True
        self.silent = False
        self.hangs = threading.Event()
        self.hangs.set()
        self.grabbing = threading.Event()
        self.formats = {"MJPG": ((160, 120), (80, 60)), "YUYV": ((80, 60),)}
        self.identity = "046d:0825:AB12"
        self.driver = "uvcvideo"
        self.values: dict[Control, int] = {
            Control.AUTO_EXPOSURE: 3,
            Control.EXPOSURE_100US: 20,
            Control.EXPOSURE_MAY_SLOW: 1,
            Control.GAIN: 16,
            Control.AUTO_GAIN: 1,
            Control.AUTO_WHITE_BALANCE: 1,
            Control.WHITE_BALANCE_K: 4500,
        }
        self.limits: dict[Control, tuple[int, int]] = {}
        self.opened = 0
        self.open_now = 0
        self.changed_at = 0.0

    def opener(self, settings: CameraSettings) -> Opened:
        if not self.plugged:
            raise DeviceGoneError("camera", "camera.not_there")
        self.opened += 1
        self.open_now += 1
        wanted = settings.pixel_format or "MJPG"
        size = (settings.width or 160, settings.height or 120)
        size = size if size in self.formats[wanted] else self.formats[wanted][0]
        return Opened(_Controls(self, (*size, wanted)), _Stream(self), self.identity, self.driver == "vivid")

    def lit(self, begin: float, end: float) -> NDArray[np.uint8]:
        """The window as the lamps lit it, three equal channels."""
        lamps = self.lamps.during(begin, end)
        white = sum(share for light, share in lamps if light is Light.WHITE)
        infrared = sum(share for light, share in lamps if light is Light.IR)
        uv = sum(share for light, share in lamps if light is Light.UV)
        total = white + self.window.infrared * infrared + 0.1 * uv
        step = Step(Light.WHITE, round(100 * total)) if total else None
        frame = self.window.frame(step)
        return np.ascontiguousarray(np.repeat(frame[..., None], 3, axis=2))

    @property
    def exposure_s(self) -> float:
        return self.values[Control.EXPOSURE_100US] * 1e-4


class _Stream:
    def __init__(self, camera: FakeCamera) -> None:
        self._camera = camera
        self._next = time.monotonic() + PERIOD_S
        self._buffer: deque[float] = deque()
        self._at = 0.0

    @property
    def period_s(self) -> float:
        return PERIOD_S

    def grab(self) -> bool:
        camera = self._camera
        camera.grabbing.set()
        camera.hangs.wait()
        if not camera.plugged:
            return False
        if camera.silent:
            time.sleep(PERIOD_S)
            return False
        now = time.monotonic()
        while self._next <= now:
            if len(self._buffer) < BUFFERS:  # as the kernel: the oldest stay
                self._buffer.append(self._next)
            self._next += PERIOD_S
        if not self._buffer:
            time.sleep(self._next - now)
            self._buffer.append(self._next)
            self._next += PERIOD_S
        self._at = self._buffer.popleft()
        return True

    def stamp(self) -> float:
        return self._at

    def retrieve(self) -> NDArray[np.uint8] | None:
        return self._camera.picture(self._at - self._camera.exposure_s, self._at)

    def release(self) -> None:
        self._camera.open_now -= 1


class _Controls:
    def __init__(self, camera: FakeCamera, now: tuple[int, int, str]) -> None:
        self._camera = camera
        self._now = now

    def capability(self) -> Capability:
        if not self._camera.plugged:
            raise DeviceGoneError("camera", "camera.unplugged")
        return Capability(self._camera.driver, "Fake", "usb-1", True)

    def formats(self) -> tuple[str, ...]:
        return tuple(self._camera.formats)

    def sizes(self, pixel_format: str) -> tuple[tuple[int, int], ...]:
        return self._camera.formats[pixel_format]

    def format(self) -> tuple[int, int, str] | None:
        return self._now

    def range(self, control: Control) -> Range | None:
        if control not in self._camera.values:
            return None
        return Range(*self._camera.limits.get(control, (0, 10_000)), 1, 0, True)

    def get(self, control: Control) -> int | None:
        return self._camera.values.get(control)

    def set(self, control: Control, value: int) -> int | None:
        values = self._camera.values
        if control not in values:
            return None
        if control is Control.WHITE_BALANCE_K and values.get(Control.AUTO_WHITE_BALANCE):
            return None
        if control is Control.GAIN and values.get(Control.AUTO_GAIN):
            return None
        least, most = self._camera.limits.get(control, (0, 10_000))
        values[control] = min(max(value, least), most)
        return values[control]

    def close(self) -> None:
        pass


class FlashHead:
    """A head with a strobe over `lamps`: begins some milliseconds after it was asked, as over a line."""

    def __init__(
        self, lamps: Lamps, *, late_s: float = 0.005, lights: Sequence[Light] = (Light.WHITE,)
    ) -> None:
        self.lamps = lamps
        self.late_s = late_s
        self.lights = frozenset(lights)
        self.asked: list[tuple[StrobeStep, ...]] = []
        self.cut = False

    async def flash(self, steps: Sequence[StrobeStep]) -> tuple[Exposed, ...]:
        self.asked.append(tuple(steps))
        on = time.monotonic() + self.late_s
        for step in steps:
            off = on + (step.lead_us + step.window_us) / 1e6
            if step.light is not None:
                self.lamps.light(step.light, step.brightness, on, off)
            on = off
        await asyncio.sleep(on - time.monotonic() + self.late_s / 2)
        return tuple(Exposed(0, step.window_us, not self.cut) for step in steps)

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(name)


def settings(**more: Any) -> CameraSettings:
    """Exposed for two milliseconds in white light."""
    from pathlib import Path

    plain: dict[str, Any] = {
        "device": Path("/dev/v4l/by-id/fake"),
        "exposure_us": {"white": 2000},
        "gain": 16,
        "warm_up_frames": 2,
    }
    return CameraSettings(**{**plain, **more})
