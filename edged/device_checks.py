"""What the types of the device settings can't say. Every function raises `ConfigError` with the path of the bad key."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from edged.errors import ConfigError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint
    from pathlib import Path

    from edged.config import ChipReaderSettings
    from edged.device_settings import (
        CameraSettings,
        HeadSettings,
        IdCardSettings,
        PrinterSettings,
        SwipeSettings,
    )

_PRINTER_PORT = re.compile(
    r"usb(:[0-9a-f]{4}:[0-9a-f]{4})?|tcp:[^\s]+:[1-9][0-9]{0,4}|/[^\0]+", re.IGNORECASE
)

BUILT_IN = {
    "head": ("simulated", "serial", "usb", "bare"),
    "camera": ("simulated", "uvc"),
    "chip_reader": ("pcsc", "simulated"),
    "id_card": ("sam",),
    "swipe": ("serial", "keyboard"),
    "printer": ("escpos",),
}
"""Drivers that come with edged, by the section they are named in."""

NAMES = {section: "chip" if section == "chip_reader" else section for section in BUILT_IN}
"""What the device of a section is called in events, errors and provenance."""

OUTSIDE = "edged.drivers"
"""Group of the entry points by which other packages bring drivers; each is named `SECTION.NAME` (docs/drivers.md)."""


def outside(section: str) -> dict[str, tuple[EntryPoint, ...]]:
    """Drivers that installed packages bring for `section`, by their names; no package is imported for it.

    A name that comes with edged is not among them: no package takes its place. More than one entry point of a name is
    a mistake that `check_driver` names.
    """
    from importlib.metadata import entry_points  # slow to load, and most boxes name no driver from outside

    found: dict[str, tuple[EntryPoint, ...]] = {}
    for one in entry_points(group=OUTSIDE):
        kind, _, name = one.name.partition(".")
        if kind == section and name and name not in BUILT_IN[section]:
            found[name] = (*found.get(name, ()), one)
    return found


def package_of(entry_point: EntryPoint) -> str:
    """The package that brings it, as pip knows it."""
    return entry_point.dist.name if entry_point.dist is not None else entry_point.value.partition(":")[0]


def check_driver(section: str, driver: str) -> None:
    """Some package brings exactly one driver of this name. Raises `ConfigError` that names those there are."""
    if driver in BUILT_IN[section]:
        return
    known = outside(section)
    if driver not in known:
        names = ", ".join((*BUILT_IN[section], *sorted(known)))
        raise ConfigError(f"{section}.driver", "drivers.unknown", driver=driver, known=names)
    if len(known[driver]) > 1:
        packages = ", ".join(sorted(map(package_of, known[driver])))
        raise ConfigError(f"{section}.driver", "drivers.twice", driver=driver, packages=packages)


_NUMBERED_INPUT = re.compile(r"/dev/input/(event|js|mouse)[0-9]+|/dev/input/mice")
"""Names that the kernel gives in the order of plugging in: after a start this may be the clerk's own keyboard, which
would be taken away from the clerk."""
ID_CARD_BAUDS = (115200, 57600, 38400, 19200, 9600)
"""Speeds that a SAM module can be set to, in the order in which they are tried: the usual one first."""

USB_DEVICE = re.compile(r"[0-9A-Fa-f]{4}:[0-9A-Fa-f]{4}(:[!-~]{1,126})?")
"""`vendor:product`, or with a serial number behind it: a string descriptor, 126 characters at most."""


def only_with(settings: object, section: str, key: str, *drivers: str) -> None:
    """Refuse `key` of a section whose driver is none of these."""
    if getattr(settings, key) is not None and getattr(settings, "driver") not in drivers:  # noqa: B009
        raise ConfigError(
            f"{section}.{key}", "config.only_with", other=f"{section}.driver = {' | '.join(drivers)}"
        )


def required(settings: object, section: str, key: str, driver: str) -> None:
    """Demand `key` of a section with this driver."""
    if getattr(settings, "driver") == driver and getattr(settings, key) is None:  # noqa: B009
        raise ConfigError(f"{section}.{key}", "config.required_by", other=f"{section}.driver = {driver}")


def same_path(one: Path, other: Path) -> bool:
    """Whether two settings name the same place."""
    return os.path.normpath(one) == os.path.normpath(other)


def check_window(head: HeadSettings, camera: CameraSettings | None) -> None:
    """Head and camera, each in itself, and what the one demands of the other."""
    check_head(head)
    if camera is not None:
        check_camera(camera)
    elif not head.simulated:
        raise ConfigError("camera", "config.required_by", other=f"head.driver = {head.driver}")


def check_head(head: HeadSettings) -> None:
    """The head's keys fit its driver."""
    check_driver("head", head.driver)
    required(head, "head", "socket", "simulated")
    required(head, "head", "port", "serial")
    only_with(head, "head", "socket", "simulated")
    only_with(head, "head", "port", "serial")
    only_with(head, "head", "usb", "usb")
    _check_options(head.options, "head", head.driver)


def check_camera(camera: CameraSettings) -> None:
    """The camera's keys fit its driver."""
    check_driver("camera", camera.driver)
    required(camera, "camera", "socket", "simulated")
    required(camera, "camera", "device", "uvc")
    only_with(camera, "camera", "socket", "simulated")
    only_with(camera, "camera", "device", "uvc")
    _check_options(camera.options, "camera", camera.driver)
    for key in _OF_UVC:
        _default_without(camera, key)
    _check_picture(camera)


_OF_UVC = (
    *("width", "height", "pixel_format", "lights", "exposure_us", "gain", "white_balance_k"),
    *("warm_up_frames", "trigger", "calibration", "prove_live"),
)
_BOUNDS = {
    "width": (160, 16384),
    "height": (120, 16384),
    "gain": (-(1 << 31), (1 << 31) - 1),
    "white_balance_k": (1000, 20000),
    "warm_up_frames": (0, 120),
}
"""What no camera is beyond. A second has thirty frames, and nobody waits four for a sensor to warm up."""
_EXPOSURE_US = (100, 1_000_000)
"""V4L2 counts in 100 microseconds; a longer exposure than a second is a lamp that doesn't work."""


def _default_without(camera: CameraSettings, key: str) -> None:
    """Only a camera that Linux films with has a picture to be set."""
    default = getattr(type(camera)(), key)
    if camera.driver != "uvc" and getattr(camera, key) != default:
        raise ConfigError(f"camera.{key}", "config.only_with", other="camera.driver = uvc")


def _check_picture(camera: CameraSettings) -> None:
    if (camera.width is None) != (camera.height is None):
        missing, given = ("width", "height") if camera.width is None else ("height", "width")
        raise ConfigError(f"camera.{missing}", "config.required_by", other=f"camera.{given}")
    for key, (least, most) in _BOUNDS.items():
        value = getattr(camera, key)
        if value is not None and not least <= value <= most:
            raise ConfigError(f"camera.{key}", "config.out_of_range", least=str(least), most=str(most))
    if camera.pixel_format is not None and not re.fullmatch(r"[A-Z0-9]{3,4}", camera.pixel_format):
        key = "pixel_format"
        raise ConfigError(f"camera.{key}", "camera.not_four_characters")
    for light, exposure in camera.exposure_us.items():
        least, most = _EXPOSURE_US
        if not least <= exposure <= most:
            raise ConfigError(
                f"camera.exposure_us.{light}", "config.out_of_range", least=str(least), most=str(most)
            )
        if light not in camera.lights:
            raise ConfigError(
                f"camera.exposure_us.{light}", "config.only_with", other=f"camera.lights: {light}"
            )
    if camera.trigger == "strobe":
        for light in camera.lights:
            if light not in camera.exposure_us:
                raise ConfigError(
                    f"camera.exposure_us.{light}", "config.required_by", other="camera.trigger = strobe"
                )


def check_chip_reader(chip: ChipReaderSettings) -> None:
    """The chip reader's keys fit its driver."""
    check_driver("chip_reader", chip.driver)
    required(chip, "chip_reader", "socket", "simulated")
    only_with(chip, "chip_reader", "socket", "simulated")
    only_with(chip, "chip_reader", "reader", "pcsc")
    _check_options(chip.options, "chip_reader", chip.driver)


def check_id_card(id_card: IdCardSettings) -> None:
    """The module's keys fit its driver."""
    check_driver("id_card", id_card.driver)
    for key in ("port", "baud", "usb", "usb_out", "usb_in"):
        only_with(id_card, "id_card", key, "sam")
    if id_card.port is not None:
        for key in ("usb", "usb_out", "usb_in"):
            if getattr(id_card, key) is not None:
                raise ConfigError(f"id_card.{key}", "idcard.usb_or_port")
    elif id_card.baud is not None:
        raise ConfigError("id_card.baud", "config.only_with", other="id_card.port")
    if id_card.baud is not None and id_card.baud not in ID_CARD_BAUDS:
        known = ", ".join(map(str, ID_CARD_BAUDS))
        raise ConfigError("id_card.baud", "idcard.bad_baud", known=known)
    if id_card.usb is not None and not USB_DEVICE.fullmatch(id_card.usb):
        raise ConfigError("id_card.usb", "idcard.bad_usb_device")
    _check_endpoints("id_card.usb_out", id_card.usb_out, 0x00)
    _check_endpoints("id_card.usb_in", id_card.usb_in, 0x80)
    _check_options(id_card.options, "id_card", id_card.driver)


def check_swipe(swipe: SwipeSettings) -> None:
    """The swipe reader's keys fit its driver."""
    check_driver("swipe", swipe.driver)
    required(swipe, "swipe", "port", "serial")
    required(swipe, "swipe", "device", "keyboard")
    only_with(swipe, "swipe", "port", "serial")
    only_with(swipe, "swipe", "device", "keyboard")
    if swipe.device is not None and _NUMBERED_INPUT.fullmatch(str(swipe.device)):
        section = "swipe"
        raise ConfigError(f"{section}.device", "swipe.numbered_device")
    _check_options(swipe.options, "swipe", swipe.driver)


def check_printer(printer: PrinterSettings) -> None:
    """The printer's keys fit its driver."""
    check_driver("printer", printer.driver)
    required(printer, "printer", "port", "escpos")
    only_with(printer, "printer", "port", "escpos")
    if printer.port is not None and not _PRINTER_PORT.fullmatch(printer.port):
        section = "printer"
        raise ConfigError(f"{section}.port", "printer.bad_port")
    _check_options(printer.options, "printer", printer.driver)


def _check_endpoints(key: str, endpoints: tuple[int, ...] | None, direction: int) -> None:
    """One or two addresses of endpoints, 1 to 15, that lead the right way."""
    if endpoints is not None and not (
        1 <= len(endpoints) <= 2 and all(direction < one <= direction | 0x0F for one in endpoints)
    ):
        raise ConfigError(
            key, "idcard.bad_endpoints", first=f"0x{direction | 1:02x}", last=f"0x{direction | 15:02x}"
        )


def _check_options(options: object, section: str, driver: str) -> None:
    if options and driver in BUILT_IN[section]:
        raise ConfigError(f"{section}.options", "config.options_from_outside")
