"""Which ports no hardware stands behind: what is read through one is simulated, whatever its driver says."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

SOCKET: Final = "unix:"
"""Prefix of a port that is a Unix socket: the host build and the emulators of our firmware listen on one."""

_PSEUDO_TERMINALS: Final = ("/dev/pts/", "/dev/pty")
_SOFTWARE_CONTROLLER: Final = "dummy_hcd"
"""The kernel's USB controller for gadgets of the same machine."""


def is_simulated(port: str) -> bool:
    """Whether a serial `port` (a device's path, or `unix:PATH`) can have no hardware behind it.

    Links are followed (`/dev/serial/by-id/…`, a test's own link). A port that isn't there is not simulated: there is
    nothing to be read through it either.
    """
    if port.startswith(SOCKET):
        return True
    path = os.path.realpath(port)
    return path.startswith(_PSEUDO_TERMINALS) or _in_software(path)


def is_simulated_usb(sysfs: Path) -> bool:
    """Whether the USB device at `sysfs` (`/sys/bus/usb/devices/1-1`) is a program of this machine."""
    return _SOFTWARE_CONTROLLER in os.path.realpath(sysfs)


def _in_software(path: str) -> bool:
    """Whether a tty hangs on a USB device that is a program."""
    return _SOFTWARE_CONTROLLER in os.path.realpath(Path("/sys/class/tty", Path(path).name))
