"""One camera that is open: set up, warmed up, and asked for frames. Blocking; used in the camera's own thread alone."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, NamedTuple

from edged.core.calibration import Calibration, Situation
from edged.core.frame_faults import fault, looks
from edged.core.illumination_order import sight
from edged.drivers import Glimpse, _camera_setup
from edged.drivers.v4l2 import DEVICE, Capability, Control
from edged.errors import DeviceError, DeviceGoneError
from edged.events import Light

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from edged.device_settings import CameraSettings
    from edged.drivers._camera_setup import Refused
    from edged.drivers._camera_stream import Controls, Stream

SETTLE_FRAMES: Final = 2
"""Frames until a changed exposure shows: the one being exposed, and the one that the camera had set up already."""
SILENT: Final = 2
"""Waits for a frame, a second each, after which a camera that is still there has stopped filming."""
MOST_FRAMES: Final = 64
"""Looked at for one picture; a camera whose clock stands still would keep us here."""
_CLOCKS_AGREE_S: Final = 30.0
"""A stamp further away from now is of another clock than ours."""
_WAITED_S: Final = 0.002
"""A frame that took longer than this to grab wasn't lying in a buffer."""


class Opened(NamedTuple):
    """A camera's two ways, and which one it is."""

    controls: Controls
    stream: Stream
    identity: str
    simulated: bool


Opener = Callable[["CameraSettings"], Opened]
"""Opens the camera that the settings name. Raises `DeviceGoneError`, `DeviceError`."""


class Standing(NamedTuple):
    """A camera as it stands, for those who list devices.

    Attributes:
        refused: what it didn't take of the settings.
        exposure_us: by light; None where the camera chooses.
        auto_gain: whether it chooses the gain.
    """

    capability: Capability
    identity: str
    simulated: bool
    width: int
    height: int
    pixel_format: str
    period_s: float
    refused: tuple[Refused, ...]
    exposure_us: dict[Light, int | None]
    gain: int | None
    auto_gain: bool


class Taken(NamedTuple):
    """A picture, when its exposure had ended, and how it was exposed; `fault` is the code of what is wrong with it."""

    image: NDArray[np.uint8]
    at: float
    exposure_us: int | None
    calibrated: bool
    fault: str | None


class GivenUpError(Exception):
    """Nobody waits for this picture any more."""


class Eye:
    """Opens at once, and closes with `close`. Every method raises `DeviceGoneError` when the camera is gone."""

    def __init__(
        self,
        settings: CameraSettings,
        opener: Opener,
        calibration: Calibration | None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Raises also `DeviceError` when the camera can't be used as the settings say."""
        self._settings = settings
        self._calibration = calibration
        self._clock = clock
        self._triggered = settings.trigger == "strobe"
        opened = opener(settings)
        self._controls, self._stream = opened.controls, opened.stream
        self._light: Light | None = None
        self._exposure_us: int | None = None
        self._settling = 0
        self._silent = 0
        self._looks: int | None = None
        try:
            self.standing = self._set_up(opened)
            for _ in range(0 if self._triggered else settings.warm_up_frames):
                self._next()
        except BaseException:
            self.close()
            raise

    def _set_up(self, opened: Opened) -> Standing:
        wanted = _camera_setup.choose_format(self._settings, self._controls)
        width, height, pixel_format = _camera_setup.check_format(wanted, self._controls)
        now = Situation(opened.identity, width, height, pixel_format)
        if self._calibration is not None and (code := self._calibration.fits(now)) is not None:
            raise DeviceError(DEVICE, code)
        refused = _camera_setup.set_up(self._settings, self._controls)
        exposures: dict[Light, int | None] = {}
        for name in reversed(dict.fromkeys(("white", *self._settings.lights))):  # white last: it comes first
            light = Light(name)
            exposures[light], more = _camera_setup.expose(self._settings, light, self._controls)
            refused += more
            self._light, self._exposure_us = light, exposures[light]
            self._check_exposure(light)
        return Standing(
            self._controls.capability(),
            opened.identity,
            opened.simulated,
            width,
            height,
            pixel_format,
            self._stream.period_s,
            refused,
            exposures,
            self._controls.get(Control.GAIN),
            self._controls.get(Control.AUTO_GAIN) == 1,
        )

    def _check_exposure(self, light: Light) -> None:
        calibration = self._calibration
        if calibration is None or light not in calibration.lights:
            return
        if not calibration.exposed_alike(light, self._exposure_us):
            raise DeviceError(DEVICE, "camera.calibration_other_exposure")

    def close(self) -> None:
        """Let go of the camera. Never raises."""
        self._stream.release()
        self._controls.close()

    def still_there(self) -> None:
        """Raise `DeviceGoneError` when it was unplugged."""
        self._controls.capability()

    def take(self, light: Light | None, since: float, wanted: Callable[[], bool]) -> Taken:
        """The first picture whose exposure began after `since` (monotonic clock); dark when `light` is None.

        Raises `GivenUpError` when it isn't `wanted` any more, `DeviceError` when no such frame comes or none can be
        decoded.
        """
        self._expose_for(light or Light.WHITE)
        for _ in range(MOST_FRAMES):
            if not wanted():
                raise GivenUpError
            began, ended = self._next()
            if began < since:
                continue
            if self._settling > 0:
                self._settling -= 1
                continue
            image = self._stream.retrieve()
            if image is None:
                raise DeviceError(DEVICE, "camera.no_picture")
            return self._taken(image, ended, light)
        raise DeviceError(DEVICE, "camera.too_slow")

    def film(self, seconds: float, wanted: Callable[[], bool]) -> list[Glimpse]:
        """What every frame looks like from now on for so long; at least one."""
        since = self._clock()
        seen: list[Glimpse] = []
        while not seen or self._clock() < since + seconds:
            if not wanted():
                raise GivenUpError
            began, ended = self._next()
            if began < since:
                continue
            image = self._stream.retrieve()
            if image is not None:
                seen.append(Glimpse(began, ended, sight(image)))
            elif self._clock() > since + seconds + SILENT:
                raise DeviceError(DEVICE, "camera.no_picture")
        return seen

    def _expose_for(self, light: Light) -> None:
        if light is self._light:
            return
        before = self._exposure_us
        self._light = light
        self._exposure_us, _ = _camera_setup.expose(self._settings, light, self._controls)
        if self._exposure_us != before and not self._triggered:
            self._settling = SETTLE_FRAMES

    def _next(self) -> tuple[float, float]:
        """Grab one frame: its exposure began not before the first and had ended by the second time.

        A stamp is taken when a frame's first or last octet arrives, by the camera's driver; rows are read out one after
        another over a whole period at most. So the first row's exposure began no sooner than stamp less period less
        exposure.
        """
        asked = self._clock()
        if not self._stream.grab():
            self.still_there()
            self._silent += 1
            if self._silent >= SILENT:
                raise DeviceGoneError(DEVICE, "camera.silent")
            return float("-inf"), asked
        self._silent = 0
        now = self._clock()
        stamp = self._stream.stamp()
        if abs(now - stamp) > _CLOCKS_AGREE_S:
            stamp = now if now - asked > _WAITED_S else float("-inf")
        period = self._stream.period_s
        exposure = period if self._exposure_us is None else self._exposure_us / 1e6
        return min(stamp, now) - period - exposure, now

    def _taken(self, image: NDArray[np.uint8], at: float, light: Light | None) -> Taken:
        wrong = None
        if light is not None:
            same, self._looks = self._looks, looks(image)
            wrong = fault(image, light) or ("camera.frozen" if same == self._looks else None)
        calibration = self._calibration if light is not None and wrong is None else None
        if calibration is not None:
            assert light is not None
            image = calibration.apply(image, light)
        return Taken(image, at, self._exposure_us, calibration is not None, wrong)
