"""A serial port through pyserial, for `PortReader`. Blocking: used in its thread alone."""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from pathlib import Path
from typing import Final

import serial

from edged.drivers._port_reader import CHUNK, WRITE_S

_USB_FIELDS: Final = ("idVendor", "idProduct", "serial")
_FIELD: Final = 64
"""Characters taken of what a USB device says of itself: it may be anybody's."""


class SerialPort:
    """One open tty: 8 bits, no parity, nobody else's at the same time."""

    def __init__(self, path: str, baud: int) -> None:
        """Raises `OSError` (pyserial's own errors are such)."""
        try:
            self._serial = serial.Serial(path, baud, timeout=0, write_timeout=WRITE_S, exclusive=True)
        except serial.SerialException as error:
            raise _plain(error, path) from None
        except ValueError as error:  # a baud rate that this port can't
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL)) from error
        self._descriptor: int = self._serial.fileno()

    def fileno(self) -> int:
        """For `select`."""
        return self._descriptor

    def read(self) -> bytes:
        """What is there. Raises `OSError` when the port is gone."""
        data = os.read(self._descriptor, CHUNK)
        if not data:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return data

    def write(self, data: bytes) -> None:
        """Raises `OSError`."""
        self._serial.write(data)

    def close(self) -> None:
        """Never raises."""
        with suppress(OSError):
            self._serial.close()


def _plain(error: serial.SerialException, path: str) -> OSError:
    """pyserial's error with the number it lost: its text is the only place where some of them stand."""
    number = error.errno
    if number is None:
        number = (
            errno.EBUSY if "lock" in str(error) else errno.ENOENT if not Path(path).exists() else errno.EIO
        )
    return OSError(number, os.strerror(number))


def usb_identity(path: str) -> str | None:
    """`vendor:product` or `vendor:product:serial number` of the USB device behind a tty; None where there is none."""
    device = Path("/sys/class/tty", Path(os.path.realpath(path)).name, "device")
    try:
        folder = device.resolve(strict=True)
    except OSError:
        return None
    for place in (folder, *folder.parents):
        if (place / "idVendor").is_file():
            told = (_field(place / name) for name in _USB_FIELDS)
            return ":".join(text for text in told if text)
    return None


def _field(file: Path) -> str:
    try:
        text = file.read_text(errors="replace")
    except OSError:
        return ""
    return "".join(one for one in text if one.isprintable())[:_FIELD].strip()
