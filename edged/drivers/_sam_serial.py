"""A SAM module on a tty: pyserial sets it up; octets come by `readv` into the caller's buffer, which it overwrites."""

from __future__ import annotations

import os
import select
import termios
from contextlib import suppress
from errno import EACCES, EAGAIN, EBUSY, EPERM
from typing import TYPE_CHECKING, Any, Final

from edged.drivers.ports import is_simulated
from edged.drivers.sam_session import DEVICE
from edged.errors import DeviceGoneError

if TYPE_CHECKING:
    from collections.abc import Iterator

WRITE_S: Final = 1.0
"""For a request of ten octets to be taken: a port that doesn't take it within that doesn't work."""


class SerialPort:
    """`edged.drivers._sam_wire.SamPort` on a tty: 8 data bits, no parity, 1 stop bit, held exclusively."""

    def __init__(self, path: str, baud: int) -> None:
        import serial

        try:
            self._port: Any = serial.Serial(path, baud, timeout=0, write_timeout=WRITE_S, exclusive=True)
        except OSError as error:
            raise _why(error) from None
        except termios.error:
            raise DeviceGoneError(DEVICE, "idcard.gone") from None
        # Asked after the opening: what the path leads to before it may be something else afterwards.
        self.simulated = is_simulated(f"/proc/self/fd/{self._port.fd}")

    def start(self) -> None:
        """See `SamPort.start`."""
        try:
            self._port.reset_input_buffer()
        except (OSError, termios.error):
            raise DeviceGoneError(DEVICE, "idcard.gone") from None

    def write(self, octets: bytes) -> None:
        """See `SamPort.write`."""
        try:
            self._port.write(octets)
        except (OSError, termios.error):  # pyserial's own errors are OSErrors
            raise DeviceGoneError(DEVICE, "idcard.gone") from None

    def read_into(self, buffer: memoryview, wait_s: float) -> int:
        """See `SamPort.read_into`."""
        try:
            poll = select.poll()
            poll.register(self._port.fd, select.POLLIN)
            if not poll.poll(max(1, round(wait_s * 1000))):
                return 0
            octets = os.readv(self._port.fd, [buffer])
        except BlockingIOError:
            return 0
        except OSError:
            raise DeviceGoneError(DEVICE, "idcard.gone") from None
        if not octets:  # a tty that is ready and has nothing was hung up
            raise DeviceGoneError(DEVICE, "idcard.gone")
        return octets

    def close(self) -> None:
        """See `SamPort.close`."""
        with suppress(OSError, termios.error):
            self._port.close()


def serial_ports(path: str, bauds: tuple[int, ...]) -> Iterator[SerialPort]:
    """The tty at one speed after another; whoever takes one closes it. Raises `DeviceError`."""
    for baud in bauds:
        yield SerialPort(path, baud)


_CODES: Final = {
    EACCES: "idcard.no_permission",
    EPERM: "idcard.no_permission",
    EAGAIN: "idcard.port_busy",
    EBUSY: "idcard.port_busy",
}
"""Why a tty can't be opened, where it isn't that there is none; EAGAIN: another program has locked it."""


def _why(error: OSError) -> DeviceGoneError:
    return DeviceGoneError(DEVICE, _CODES.get(error.errno or 0, "idcard.no_module"))
