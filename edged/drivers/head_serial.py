"""The head on a serial port: opened by pyserial, exclusively and with low latency."""

from __future__ import annotations

import errno
import os
import select
import termios
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from edged.drivers.head_threads import ThreadedLine, opened
from edged.drivers.head_transport import DEVICE
from edged.drivers.ports import is_simulated
from edged.errors import DeviceError, DeviceGoneError

if TYPE_CHECKING:
    from collections.abc import Callable

    from serial import Serial

    from edged.drivers.head_transport import Connection

BAUD: Final = 115_200
_READ: Final = 4096

_CODES: Final = {
    errno.EACCES: "reader_head.no_permission",
    errno.EPERM: "reader_head.no_permission",
    errno.EBUSY: "reader_head.port_busy",
    errno.EAGAIN: "reader_head.port_busy",
}
_GONE: Final = (errno.ENOENT, errno.ENODEV, errno.ENXIO, errno.EIO)
"""EIO: hung up while it was being opened, or a port that only has a name."""


class SerialTransport:
    """`Transport` to the head at the tty `port`: better its stable name (/dev/serial/by-id/…)."""

    driver: Final = "serial"

    def __init__(self, port: str) -> None:
        """Simulated is what was opened last: its path may be gone while its data is still judged."""
        self.name = port
        self.simulated = is_simulated(port)

    async def connect(self, hear: Callable[[bytes], None]) -> Connection:
        """See `Transport.connect`."""
        port = await opened(lambda: SerialPort(self.name), SerialPort.close)
        self.simulated = port.simulated
        return ThreadedLine(port, hear, "head serial")


class SerialPort:
    """`BlockingPort` on a tty. Opening it raises `DeviceError`."""

    def __init__(self, path: str) -> None:
        from edged.drivers._serial_port import opened_name

        self._serial = _open(path)
        try:
            self._descriptor: int = self._serial.fileno()
            self.simulated = is_simulated(opened_name(self._descriptor))
            self._stop_read, self._stop_write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError as error:  # it went away, or this process has no descriptor left
            self._serial.close()
            raise _failure(error) from error

    def read(self) -> bytes:
        """See `BlockingPort.read`."""
        if self._stopped_before(select.POLLIN):
            return b""
        try:
            data = os.read(self._descriptor, _READ)
        except BlockingIOError:
            return b""
        if not data:  # readable, and nothing to read: it hung up
            raise OSError(errno.EIO, "hung up")
        return data

    def write(self, data: bytes) -> None:
        """See `BlockingPort.write`."""
        left = memoryview(data)
        while left:
            if self._stopped_before(select.POLLOUT):
                return
            with suppress(BlockingIOError):
                left = left[os.write(self._descriptor, left) :]

    def _stopped_before(self, ready: int) -> bool:
        """Wait until the port is `ready`; whether `stop` was called."""
        waiting = select.poll()
        waiting.register(self._descriptor, ready)
        waiting.register(self._stop_read, select.POLLIN)
        return any(descriptor == self._stop_read for descriptor, _ in waiting.poll())

    def stop(self) -> None:
        """See `BlockingPort.stop`."""
        os.write(self._stop_write, b"\0")  # never read: both threads see it

    def close(self) -> None:
        """See `BlockingPort.close`."""
        # What a dead adapter doesn't take would hold the port for 30 s.
        with suppress(OSError, termios.error):
            termios.tcflush(self._descriptor, termios.TCOFLUSH)
        with suppress(OSError):
            self._serial.close()
        os.close(self._stop_read)
        os.close(self._stop_write)


def _open(path: str) -> Serial:
    """Raises `DeviceError`."""
    from edged.drivers._serial_port import open_tty

    try:
        return open_tty(path, BAUD, write_s=0)
    except OSError as error:
        raise _failure(error) from error


def _failure(error: OSError) -> DeviceError:
    if error.errno in _GONE:
        return DeviceGoneError(DEVICE, "reader_head.no_port")
    return DeviceError(DEVICE, _CODES.get(error.errno or 0, "reader_head.port_failed"))
