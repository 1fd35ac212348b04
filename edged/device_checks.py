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

BUILT_IN = {
    "head": ("simulated", "serial", "usb", "bare"),
    "camera": ("simulated", "uvc"),
    "chip_reader": ("pcsc", "simulated"),
    "id_card": ("sam",),
    "swipe": ("serial",),
    "printer": ("escpos",),
}
"""Drivers that come with edged, by the section they are named in."""


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
    required(swipe, "swipe", "port", "serial")
    only_with(swipe, "swipe", "port", "serial")
    _check_options(swipe.options, "swipe", swipe.driver)


def check_printer(printer: PrinterSettings) -> None:
    """The printer's keys fit its driver."""
    required(printer, "printer", "port", "escpos")
    only_with(printer, "printer", "port", "escpos")
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
