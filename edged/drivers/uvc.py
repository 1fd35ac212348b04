"""The camera behind the window: any that Linux films with, a USB camera (UVC) as a rule. `edged.drivers.LiveCamera`.

It films all the time and delivers the first frame that was exposed after it was asked; or, with `trigger = "strobe"`,
takes one when the head's strobe line rises. Exposure, gain, white balance, size and pixel format are set and read back.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Self

from edged import log
from edged.core.calibration import MOST_BYTES, Calibration, decode
from edged.drivers import Strobe, StrobeStep, _camera_setup, v4l2
from edged.drivers._camera_eye import Eye, Opened, Opener, Standing, Taken
from edged.drivers._camera_stream import OpenCvStream
from edged.drivers._camera_worker import CameraWorker
from edged.drivers.facts import DeviceFacts
from edged.drivers.head_strobe import strobe_of
from edged.drivers.v4l2 import DEVICE
from edged.errors import DeviceError, DeviceGoneError
from edged.events import Attached, DeviceBack, DeviceGone, Frame, Light, Shot
from edged.uplink.envelope import Provenance
from edged.verdict import Reason

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path
    from types import TracebackType

    from edged.device_settings import CameraSettings
    from edged.drivers import Glimpse

CAPTURE_S: Final = 4.0
"""For one picture, second try included: shorter than an inspection waits for one (`timeouts.capture_s`)."""

LOOK_S: Final = 5.0
"""For the first look at the camera: opening takes half a second, its first frames as long."""

TRIES: Final = 2
"""A frame that no working camera takes is taken once more."""

LEAD_US: Final = 2_000
"""Of a lamp before a triggered exposure: LEDs need microseconds, the driver of a UV LED up to a millisecond."""

_FRAMES_TO_HOLD: Final = 5
"""Periods that may pass from the request to the end of the exposure: the one under way, one to read it out, two to
settle a changed exposure, one more try."""
_FRAMES_TO_BE_SURE: Final = 3
_MARGIN_MS: Final = 50
_USUAL_PERIOD_S: Final = 1 / 15
_MOST_IDENTITY: Final = 128


class UvcCamera:
    """`opener` is how the camera is opened; a test brings its own."""

    def __init__(self, settings: CameraSettings, opener: Opener | None = None) -> None:
        self._settings = settings
        self._opener = opener or open_device
        self._strobe: Strobe | None = None
        self._worker: CameraWorker | None = None
        self._standing: Standing | None = None
        self._known: Provenance | None = None
        self._trouble: Reason | None = None
        self._told: bool | None = None
        self._calibration: Calibration | None = None
        self._calibration_file: tuple[int, ...] | None = None
        self._happened: asyncio.Queue[Attached] = asyncio.Queue()
        self._looked = asyncio.Event()
        self._bad_frames = 0
        self._times_opened = 0
        self._log = log.get("camera")

    def use_strobe(self, strobe: Strobe) -> None:
        """The head whose strobe line triggers this camera, for `trigger = "strobe"`. Before the first picture."""
        self._strobe = strobe

    @property
    def provenance(self) -> Provenance:
        """The camera that is there now, or was last."""
        return self._known or Provenance(driver="uvc", identity=None, simulated=False)

    @property
    def standing(self) -> Standing | None:
        """What the camera is and how it is set, what it refused among it; None while it isn't there."""
        return self._standing

    def facts(self) -> DeviceFacts:
        """See `edged.drivers.facts.Described`."""
        standing = self._standing
        versions = {}
        if standing is not None:
            size = f"{standing.width}x{standing.height}"
            versions = {"driver": standing.capability.driver, "format": f"{standing.pixel_format} {size}"}
            for one in standing.refused:
                versions[f"refused {one.setting}"] = f"{one.asked}: {'–' if one.got is None else one.got}"
        if self._calibration is not None:
            versions["calibration"] = self._calibration.name
        return DeviceFacts(
            present=standing is not None,
            model=standing.capability.card if standing else None,
            port=str(self._settings.device),
            versions=versions,
            counters={"bad_frames": self._bad_frames, "opened": self._times_opened},
            trouble=self._trouble,
        )

    @property
    def trouble(self) -> Reason | None:
        """Why there is no camera; None when there is one."""
        return self._trouble

    @property
    def lights(self) -> frozenset[Light]:
        """Those that the settings name, and white."""
        return frozenset({Light.WHITE, *(Light(name) for name in self._settings.lights)})

    @property
    def exposure_is_fixed(self) -> bool:
        """Whether the camera took the exposures, the settings name one for each light, and the gain stays as it is."""
        now = self._standing
        return now is not None and None not in now.exposure_us.values() and not now.auto_gain

    def hold_ms(self, light: Light) -> int:
        """See `LiveCamera`."""
        if self._settings.trigger == "strobe":
            return 0
        return self._periods_ms(_FRAMES_TO_HOLD, light) + _MARGIN_MS

    def sure_ms(self, light: Light) -> int:
        """See `LiveCamera`: a frame's rows are exposed and read out, then it travels; the next one had begun before."""
        return self._periods_ms(_FRAMES_TO_BE_SURE, light)

    def _periods_ms(self, periods: int, light: Light) -> int:
        period = self._standing.period_s if self._standing else _USUAL_PERIOD_S
        return round(1000 * (periods * period + max(self._exposure_us(light) / 1e6, period)))

    def _exposure_us(self, light: Light) -> int:
        return self._settings.exposure_us.get(light.value, 0)

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()

        def tell(seen: Standing | Reason) -> None:
            with suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(self._saw, seen)

        self._worker = CameraWorker(self._open_eye, tell)
        self._worker.start()
        try:
            async with asyncio.timeout(LOOK_S):
                await self._looked.wait()
        except TimeoutError:
            self._saw(Reason("camera.too_slow"))
        except BaseException:
            await self._worker.stop()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._worker is not None:
            worker, self._worker = self._worker, None
            await worker.stop()

    async def events(self) -> AsyncIterator[Attached]:
        """Gone and back."""
        while True:
            yield await self._happened.get()

    async def capture(self, light: Light) -> Frame:
        """One picture whose exposure began after this was called."""
        since = time.monotonic()
        for left in reversed(range(TRIES)):
            taken = await self._take(light, since)
            if taken.fault is None:
                return self._frame(taken, light)
            self._bad_frames += 1
            self._log.warning("a bad frame", code=taken.fault, light=light.value)
            if not left:
                if taken.fault == "camera.frozen":
                    self._at_work().reopen()
                raise DeviceError(DEVICE, taken.fault)
        raise AssertionError("every try returns or raises")

    async def look(self, light: Light | None) -> Frame:
        """See `Camera.look`."""
        taken = await self._take(light, time.monotonic())
        return self._frame(taken, light or Light.WHITE)

    async def watch(self, seconds: float) -> Sequence[Glimpse]:
        """See `LiveCamera.watch`."""
        return await self._at_work().do(lambda eye, wanted: eye.film(seconds, wanted), seconds + CAPTURE_S)

    async def _take(self, light: Light | None, since: float) -> Taken:
        worker = self._at_work()
        if self._settings.trigger == "free":
            return await worker.do(lambda eye, wanted: eye.take(light, since, wanted), CAPTURE_S)
        if self._strobe is None:
            raise DeviceError(DEVICE, "camera.no_strobe")
        since = time.monotonic()
        brightness = 0 if light is None else 100
        step = StrobeStep(light, brightness, LEAD_US, max(self._exposure_us(light or Light.WHITE), 10))
        taking = asyncio.ensure_future(
            worker.do(lambda eye, wanted: eye.take(light, since, wanted), CAPTURE_S)
        )
        try:
            exposed = await self._strobe.flash([step])
            if not all(one.complete for one in exposed):
                raise DeviceError("head", "camera.light_cut_short")
            return await taking
        finally:
            taking.cancel()

    def _at_work(self) -> CameraWorker:
        if self._worker is None:
            raise DeviceGoneError(DEVICE, "camera.not_there")
        if self._trouble is not None:
            raise DeviceGoneError(DEVICE, self._trouble.code)
        return self._worker

    def _frame(self, taken: Taken, light: Light) -> Frame:
        gain = self._standing.gain if self._standing else None
        name = self._calibration.name if self._calibration and taken.calibrated else None
        return Frame(taken.image, light, Shot(taken.at, taken.exposure_us, gain, name, self.provenance))

    def _open_eye(self) -> Eye:
        """In the camera's thread."""
        path = self._settings.calibration
        if path is not None and ((file := _which(path)) is None or file != self._calibration_file):
            self._calibration, self._calibration_file = load_calibration(path), file
        return Eye(self._settings, self._opener, self._calibration)

    def _saw(self, seen: Standing | Reason) -> None:
        """In the event loop: what has changed at the camera."""
        there = isinstance(seen, Standing)
        if isinstance(seen, Standing):
            self._standing, self._trouble = seen, None
            self._times_opened += 1
            self._known = Provenance(
                driver="uvc", identity=seen.identity[:_MOST_IDENTITY], simulated=seen.simulated
            )
        else:
            if self._trouble != seen:
                self._log.warning("no camera", code=seen.code)
            self._standing, self._trouble = None, seen
        if there and self._told is False:
            self._happened.put_nowait(DeviceBack(DEVICE))
        elif not there and self._told is not False:
            self._happened.put_nowait(DeviceGone(DEVICE))
        if isinstance(seen, Standing) and self._told is not True:
            self._log.info(
                "camera",
                identity=seen.identity,
                format=f"{seen.pixel_format} {seen.width}x{seen.height}",
                refused=[one.setting for one in seen.refused],
            )
        self._told = there
        self._looked.set()


def open_device(settings: CameraSettings) -> Opened:
    """The camera's node and its frames. Blocks. Raises `DeviceGoneError`, `DeviceError`."""
    from pathlib import Path

    assert settings.device is not None  # edged.device_checks.check_camera
    node = Path(settings.device).resolve()
    controls = v4l2.Node(node)
    try:
        capability = controls.capability()
        if not capability.captures:
            raise DeviceError(DEVICE, "camera.not_a_camera")
        stream = OpenCvStream(node, *_camera_setup.choose_format(settings, controls))
    except BaseException:
        controls.close()
        raise
    sysfs = Path("/sys")
    return Opened(
        controls,
        stream,
        v4l2.identity_of(node, sysfs, capability),
        v4l2.is_software(node, sysfs, capability),
    )


def _which(path: Path) -> tuple[int, ...] | None:
    """Other numbers when there is another file by this name: a camera is calibrated anew while the daemon runs."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def load_calibration(path: Path) -> Calibration:
    """Raises `DeviceError` when there is no such file, `DecodeError` when it is none or damaged."""
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise DeviceError(DEVICE, "camera.calibration_missing", str(path)) from error
    return decode(data)


def open_camera(settings: CameraSettings, head: object = None) -> UvcCamera:
    """The driver, to be entered; a camera with a trigger is triggered by `head`."""
    camera = UvcCamera(settings)
    if settings.trigger == "strobe" and (strobe := strobe_of(head)) is not None:
        camera.use_strobe(strobe)
    return camera
