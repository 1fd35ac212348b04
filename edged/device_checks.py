"""What the types of the device settings can't say. Every function raises `ConfigError` with the path of the bad key."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from edged.errors import ConfigError

if TYPE_CHECKING:
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


def check_head(head: HeadSettings) -> None:
    """The head's keys fit its driver."""
    required(head, "head", "socket", "simulated")
    required(head, "head", "port", "serial")
    only_with(head, "head", "socket", "simulated")
    only_with(head, "head", "port", "serial")
    only_with(head, "head", "usb", "usb")
    _check_options(head.options, "head", head.driver)


def check_camera(camera: CameraSettings) -> None:
    """The camera's keys fit its driver."""
    required(camera, "camera", "socket", "simulated")
    required(camera, "camera", "device", "uvc")
    only_with(camera, "camera", "socket", "simulated")
    only_with(camera, "camera", "device", "uvc")
    _check_options(camera.options, "camera", camera.driver)


def check_chip_reader(chip: ChipReaderSettings) -> None:
    """The chip reader's keys fit its driver."""
    required(chip, "chip_reader", "socket", "simulated")
    only_with(chip, "chip_reader", "socket", "simulated")
    only_with(chip, "chip_reader", "reader", "pcsc")
    _check_options(chip.options, "chip_reader", chip.driver)


def check_id_card(id_card: IdCardSettings) -> None:
    """The module's keys fit its driver."""
    only_with(id_card, "id_card", "port", "sam")
    _check_options(id_card.options, "id_card", id_card.driver)


def check_swipe(swipe: SwipeSettings) -> None:
    """The swipe reader's keys fit its driver."""
    required(swipe, "swipe", "port", "serial")
    required(swipe, "swipe", "device", "keyboard")
    only_with(swipe, "swipe", "port", "serial")
    only_with(swipe, "swipe", "device", "keyboard")
    _check_options(swipe.options, "swipe", swipe.driver)


def check_printer(printer: PrinterSettings) -> None:
    """The printer's keys fit its driver."""
    required(printer, "printer", "port", "escpos")
    only_with(printer, "printer", "port", "escpos")
    if printer.port is not None and not _PRINTER_PORT.fullmatch(printer.port):
        raise ConfigError("printer.port", "printer.bad_port")
    _check_options(printer.options, "printer", printer.driver)


def _check_options(options: object, section: str, driver: str) -> None:
    if options and driver in BUILT_IN[section]:
        raise ConfigError(f"{section}.options", "config.options_from_outside")
