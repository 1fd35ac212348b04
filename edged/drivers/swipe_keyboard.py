"""A keyboard wedge: a reader that types. Read from the kernel's input device, so that no window ever gets it.

The device is grabbed (EVIOCGRAB) for as long as it is open: an MRZ that lands in a browser's address line has left the
box. What it types is read as on a US keyboard, which is what wedges are set to when they leave the factory; `<` is also
known by its own key of European layouts. Sources: linux/input.h, linux/input-event-codes.h.
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct
from contextlib import suppress
from pathlib import Path
from typing import Final

from edged.drivers._port_reader import OpenReader

EVENT: Final = struct.Struct("@llHHi")
"""`struct input_event`: seconds, microseconds, type, code, value, in this machine's own sizes."""
EVIOCGRAB: Final = 0x40044590
"""_IOW('E', 0x90, int)"""
_KEYS_DOWN: Final = 96
"""Octets of a bit for each of the 768 keys (KEY_CNT)."""
_EVIOCGKEY: Final = 0x80004518 | _KEYS_DOWN << 16
"""_IOC(_IOC_READ, 'E', 0x18, octets)"""
_EVIOCGID: Final = 0x80084502
"""_IOR('E', 0x02, struct input_id)"""
_IDENTITY: Final = struct.Struct("@HHHH")
_EV_KEY: Final = 1
_DROPPED: Final = (0, 3)
"""The kernel has dropped events (SYN_DROPPED): characters are missing here, nobody knows which."""
_RELEASED, _PRESSED = 0, 1
_SHIFTS: Final = frozenset((42, 54))
_CAPS_LOCK: Final = 58
_MOST_EVENTS: Final = 64

_ROWS: Final = ((2, "1234567890"), (16, "qwertyuiop"), (30, "asdfghjkl"), (44, "zxcvbnm"))
_SIGNS: Final = (12, 13, 51, 52, 53, 57, 86, 28, 96)
_KEYPAD: Final = (82, 79, 80, 81, 75, 76, 77, 71, 72, 73)
_PLAIN: Final = (
    {first + place: key for first, row in _ROWS for place, key in enumerate(row)}
    | dict(zip(_SIGNS, "-=,./ <\n\n", strict=True))
    | dict(zip(_KEYPAD, "0123456789", strict=True))
)
_SHIFTED: Final = (
    {code: key.upper() for code, key in _PLAIN.items() if key.isalpha()}
    | {2 + place: key for place, key in enumerate("!@#$%^&*()")}
    | dict(zip(_SIGNS, "_+<>? >\n\n", strict=True))
)


class Keys:
    """Key events to text. Sans-IO."""

    def __init__(self) -> None:
        self._shifts: set[int] = set()
        self._capitals = False

    def text(self, events: bytes) -> bytes:
        """What whole events type; a key that is held down types once: no reader means it."""
        typed = []
        for _, _, kind, code, value in EVENT.iter_unpack(events):
            if (kind, code) == _DROPPED:
                typed.append("?")
            if kind != _EV_KEY:
                continue
            if code in _SHIFTS:
                (self._shifts.discard if value == _RELEASED else self._shifts.add)(code)
            elif value == _PRESSED and code == _CAPS_LOCK:
                self._capitals = not self._capitals
            elif value == _PRESSED:
                typed.append(self._key(code))
        return "".join(typed).encode("ascii")

    def _key(self, code: int) -> str:
        """One key; a key that no MRZ needs is a question mark, none at all those that type nothing."""
        shifted = bool(self._shifts)
        if self._capitals and _PLAIN.get(code, "").isalpha():
            shifted = not shifted
        return (_SHIFTED if shifted else _PLAIN).get(code, "?" if code in _TYPING else "")


_TYPING: Final = frozenset(range(2, 54)) - _SHIFTS - {14, 15, 28, 29}
"""Codes of the main block's keys that type something: all but backspace, tab, enter and control."""


class KeyboardPort:
    """One input device, grabbed."""

    def __init__(self, device: Path) -> None:
        """Raises `OSError`: also when it is no input device, grabbed by another program, or typing at this moment."""
        self._keys = Keys()
        self._descriptor = os.open(device, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
        try:
            # Whoever saw a key go down must see it come up: else the screen repeats it for ever.
            if any(fcntl.ioctl(self._descriptor, _EVIOCGKEY, bytes(_KEYS_DOWN))):
                raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))
            fcntl.ioctl(self._descriptor, EVIOCGRAB, 1)
        except OSError:
            os.close(self._descriptor)
            raise
        self.name = os.path.realpath(f"/proc/self/fd/{self._descriptor}")
        """Of the device that is open: a link to it may lead elsewhere by now."""

    def fileno(self) -> int:
        """For `select`."""
        return self._descriptor

    def read(self) -> bytes:
        """What was typed. The kernel hands out whole events only. Raises `OSError` when the device is gone."""
        events = os.read(self._descriptor, _MOST_EVENTS * EVENT.size)
        if not events or len(events) % EVENT.size:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return self._keys.text(events)

    def write(self, data: bytes) -> None:
        """A keyboard is told nothing."""

    def identity(self) -> str | None:
        """The device's `vendor:product`."""
        try:
            told = fcntl.ioctl(self._descriptor, _EVIOCGID, bytes(_IDENTITY.size))
        except OSError:
            return None
        _, vendor, product, _ = _IDENTITY.unpack(told)
        return f"{vendor:04x}:{product:04x}"

    def close(self) -> None:
        """Let go of it. Never raises."""
        with suppress(OSError):
            os.close(self._descriptor)


class KeyboardWay:
    """The input device at `device`, better a stable name (`/dev/input/by-id/…-event-kbd`)."""

    driver = "keyboard"

    def __init__(self, device: Path) -> None:
        self._device = device

    def open(self) -> OpenReader:
        """Raises `OSError`."""
        port = KeyboardPort(self._device)
        return OpenReader(port, port.identity(), _is_virtual(port.name))


def _is_virtual(device: str) -> bool:
    """Whether a program made it (uinput)."""
    event = Path("/sys/class/input", Path(device).name)
    return os.path.realpath(event).startswith("/sys/devices/virtual/")
