"""What the kernel knows of a device that libusb found: where it is, what it calls itself, whether it is a program.

Read from sysfs: asking the device itself takes a permission that only the chosen one needs.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from edged.drivers.ports import is_simulated_usb

SYSFS: Final = Path("/sys/bus/usb/devices")


def place_of(device: Any) -> str:
    """As the kernel names it: `1-1.2`; `usb1` for the bus itself."""
    ports = device.port_numbers or ()
    return f"{device.bus}-{'.'.join(map(str, ports))}" if ports else f"usb{device.bus}"


def simulated(device: Any) -> bool:
    """Whether it is a program of this machine."""
    return is_simulated_usb(SYSFS / place_of(device))


def serial_number(device: Any) -> str | None:
    """As the kernel read it; None where it has none."""
    try:
        return Path(SYSFS, place_of(device), "serial").read_text("utf-8").strip()
    except (OSError, ValueError):
        return None
