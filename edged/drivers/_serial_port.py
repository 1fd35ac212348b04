"""A tty through pyserial: opened the same way by every driver. Blocking: used in a driver's thread alone."""

from __future__ import annotations

import errno
import fcntl
import os
import select
import termios
from contextlib import suppress
from pathlib import Path
from typing import Final

import serial

from edged.drivers._port_reader import CHUNK, WRITE_S
from edged.drivers.ports import is_simulated

_USB_FIELDS: Final = ("idVendor", "idProduct", "serial")
_FIELD: Final = 64
"""Characters taken of what a USB device says of itself: it may be anybody's."""


def open_tty(path: str, baud: int, write_s: float | None = WRITE_S) -> serial.Serial:
    """The tty: raw, 8 bits, no parity, nobody else's at the same time. Raises `OSError`, always with its number."""
    try:
        port = serial.Serial(path, baud, timeout=0, write_timeout=write_s, exclusive=True)
    except serial.SerialException as error:
        raise _plain(error, path) from None
    except termios.error as error:
        raise OSError(*error.args) from None
    except ValueError as error:  # a baud rate that this port can't, a NUL in the path
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL)) from error
    with suppress(OSError, ValueError, NotImplementedError):
        # USB adapters wait 16 ms for more otherwise; others have no such mode.
        port.set_low_latency_mode(True)
    if not is_simulated(opened_name(port.fileno())):
        # The mark would outlive us on a pseudo-terminal, whose other end stays open.
        with suppress(OSError):
            # Beside pyserial's lock, which only those notice who ask for it.
            fcntl.ioctl(port.fileno(), termios.TIOCEXCL)
    return port


def opened_name(descriptor: int) -> str:
    """The device that is open: what the path led to before may be something else by now."""
    return os.path.realpath(f"/proc/self/fd/{descriptor}")


class SerialPort:
    """One open tty.

    Attributes:
        name: the device's own name.
        simulated: whether no hardware stands behind it.
    """

    def __init__(self, path: str, baud: int) -> None:
        """Raises `OSError`."""
        self._serial = open_tty(path, baud)
        self._descriptor: int = self._serial.fileno()
        self.name = opened_name(self._descriptor)
        self.simulated = is_simulated(self.name)

    def fileno(self) -> int:
        """For `select`."""
        return self._descriptor

    def read(self) -> bytes:
        """What is there. Raises `OSError` when the port is gone."""
        data = os.read(self._descriptor, CHUNK)
        if not data:  # readable, and nothing to read: it hung up
            raise _hung_up()
        return data

    def read_into(self, buffer: memoryview, wait_s: float) -> int:
        """What is there or comes within `wait_s`: how many octets of `buffer` it fills. Raises `OSError`."""
        poll = select.poll()
        poll.register(self._descriptor, select.POLLIN)
        if not poll.poll(max(1, round(wait_s * 1000))):
            return 0
        try:
            octets = os.readv(self._descriptor, [buffer])
        except BlockingIOError:
            return 0
        if not octets:
            raise _hung_up()
        return octets

    def write(self, data: bytes) -> None:
        """All of it, within `WRITE_S`. Raises `OSError`."""
        try:
            self._serial.write(data)
        except termios.error as error:
            raise OSError(*error.args) from None

    def drop_input(self) -> None:
        """Forget what came and wasn't read. Raises `OSError`."""
        try:
            self._serial.reset_input_buffer()
        except termios.error as error:
            raise OSError(*error.args) from None

    def close(self) -> None:
        """Never raises."""
        with suppress(OSError, termios.error):
            self._serial.close()


def _hung_up() -> OSError:
    return OSError(errno.EIO, os.strerror(errno.EIO))


def _plain(error: serial.SerialException, path: str) -> OSError:
    """pyserial's error with the number it lost: what it choked on has it, or nothing but its text."""
    number, choked = error.errno, error.__context__
    if number is None and isinstance(choked, termios.error):
        number = choked.args[0]
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
