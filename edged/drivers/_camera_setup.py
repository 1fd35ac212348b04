"""A camera set as the settings say, each value read back: what it made of them counts, not what it was told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from edged.drivers.v4l2 import DEVICE, Control
from edged.errors import DeviceError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from edged.device_settings import CameraSettings
    from edged.drivers._camera_stream import Controls
    from edged.events import Light

PREFERRED: Final = "MJPG"
"""Of the formats of a USB 2 camera the only one in which two megapixels come thirty times a second."""
_MANUAL, _APERTURE_PRIORITY = 1, 3
_UNIT_US: Final = 100
_CLOSE: Final = 0.1
"""Share by which an exposure may differ from what was asked for: cameras have steps, some of them coarse."""


class Refused(NamedTuple):
    """A setting that the camera didn't take; `got` is what it has instead, None when it doesn't have it at all."""

    setting: str
    asked: int
    got: int | None


def choose_format(settings: CameraSettings, camera: Controls) -> tuple[str, int, int]:
    """Pixel format, width and height to ask for. Raises `DeviceError` when the camera doesn't have them."""
    formats = camera.formats()
    if not formats:
        raise DeviceError(DEVICE, "camera.no_format")
    wanted = settings.pixel_format or (PREFERRED if PREFERRED in formats else formats[0])
    if wanted not in formats:
        raise DeviceError(DEVICE, "camera.no_such_format", f"{wanted}; {', '.join(formats)}")
    sizes = camera.sizes(wanted)
    if settings.width is not None and settings.height is not None:
        return wanted, settings.width, settings.height
    if not sizes:
        raise DeviceError(DEVICE, "camera.no_format")
    width, height = max(sizes, key=lambda size: size[0] * size[1])
    return wanted, width, height


def check_format(wanted: tuple[str, int, int], camera: Controls) -> tuple[int, int, str]:
    """What the frames are, once they flow. Raises `DeviceError` when it isn't what was asked for.

    A picture of another size would be read worse, and no calibration would fit it.
    """
    now = camera.format()
    if now is None or now != (wanted[1], wanted[2], wanted[0]):
        name, width, height = wanted
        asked = f"{name} {width}x{height}"
        known = ", ".join(f"{one[0]}x{one[1]}" for one in camera.sizes(name)[:16])
        raise DeviceError(DEVICE, "camera.format_refused", f"{asked}; {name}: {known}")
    return now


def set_up(settings: CameraSettings, camera: Controls) -> tuple[Refused, ...]:
    """Gain, white balance, and no slower frames for a brighter picture; what was refused."""
    refused: list[Refused] = []
    if camera.range(Control.EXPOSURE_MAY_SLOW) is not None:
        camera.set(Control.EXPOSURE_MAY_SLOW, 0)
    if settings.gain is not None:
        if camera.range(Control.AUTO_GAIN) is not None:
            camera.set(Control.AUTO_GAIN, 0)
        refused += _set(camera, "gain", Control.GAIN, settings.gain)
    if settings.white_balance_k is not None:
        if camera.range(Control.AUTO_WHITE_BALANCE) is not None:
            camera.set(Control.AUTO_WHITE_BALANCE, 0)
        refused += _set(camera, "white_balance_k", Control.WHITE_BALANCE_K, settings.white_balance_k)
    return tuple(refused)


def expose(
    settings: CameraSettings, light: Light, camera: Controls
) -> tuple[int | None, tuple[Refused, ...]]:
    """Expose as the settings say for a light: the exposure that came of it in microseconds, and what was refused.

    None is an exposure that the camera chooses, because the settings name none or because it can't be told.
    """
    asked = settings.exposure_us.get(light.value)
    if asked is None:
        if camera.range(Control.AUTO_EXPOSURE) is not None:
            camera.set(Control.AUTO_EXPOSURE, _APERTURE_PRIORITY)
        return None, ()
    camera.set(Control.AUTO_EXPOSURE, _MANUAL)
    got = camera.set(Control.EXPOSURE_100US, max(1, round(asked / _UNIT_US)))
    auto = camera.get(Control.AUTO_EXPOSURE)
    setting = f"exposure_us.{light.value}"
    if got is None or auto != _MANUAL:
        return None, (Refused(setting, asked, None),)
    now = got * _UNIT_US
    if abs(now - asked) > max(_CLOSE * asked, _UNIT_US):
        return now, (Refused(setting, asked, now),)
    return now, ()


def _set(camera: Controls, setting: str, control: Control, asked: int) -> Iterable[Refused]:
    got = camera.set(control, asked)
    if got != asked:
        yield Refused(setting, asked, got)
