"""Ways to a receipt printer: a tty, `/dev/usb/lp0`, USB, TCP. Blocking; used in the thread of one operation.

Whoever waits here waits for a printer or for `Abort`, whichever comes first, and never longer than is said.
"""

from __future__ import annotations

import errno
import os
import select
import socket
import stat
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from edged.drivers._port_reader import common_cause
from edged.drivers.ports import is_simulated, is_simulated_usb
from edged.errors import DeviceError, DeviceGoneError

if TYPE_CHECKING:
    from collections.abc import Callable

DEVICE: Final = "printer"
OPEN_S: Final = 3.0
"""For a printer on the network to answer."""
STUCK_S: Final = 10.0
"""For a printer to take the next bytes: it prints what it has first, at 50 mm a second and more."""
_CHUNK: Final = 2048
_USB_CHUNK: Final = 512
_USB_WAIT_MS: Final = 250
"""A single wait inside libusb, which nothing interrupts."""
_PRINTER_CLASS: Final = 7
_LOOPBACK: Final = ("127.", "localhost", "::1")


class AbandonedError(Exception):
    """Nobody waits for this operation any more."""


class Abort:
    """Ends an operation in another thread, wherever it waits."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self.waking, self._wake = os.pipe()

    def set(self) -> None:
        """End it. May be called again, and after it has ended."""
        self._event.set()
        with suppress(OSError):
            os.write(self._wake, b"\0")

    def check(self) -> None:
        """Raise `AbandonedError` once it is set."""
        if self._event.is_set():
            raise AbandonedError

    def close(self) -> None:
        """When the operation is over and nobody sets it any more."""
        os.close(self.waking)
        os.close(self._wake)


class Way(Protocol):
    """An open way to a printer."""

    def write(self, data: memoryview) -> None:
        """All of it. Raises `OSError`, `TimeoutError` when the printer takes no more, `AbandonedError`."""
        ...

    def read(self, seconds: float) -> bytes:
        """What comes within the time; nothing when nothing does. Raises as `write`."""
        ...

    def close(self) -> None:
        """Never raises."""
        ...


def open_way(port: str, baud: int, abort: Abort) -> Way:
    """Open the port of the settings. Raises `DeviceGoneError`, `DeviceError`, `AbandonedError`."""
    try:
        if port == "usb" or port.startswith("usb:"):
            return _UsbWay(port, abort)
        if port.startswith("tcp:"):
            return _tcp(port, abort)
        return _file(port, baud, abort)
    except TimeoutError as error:
        raise DeviceGoneError(DEVICE, "printer.gone") from error
    except OSError as error:
        raise failure(error) from error


def failure(error: OSError) -> DeviceError:
    """What is wrong with the port, as it is told."""
    if isinstance(error, TimeoutError):
        return DeviceError(DEVICE, "printer.stuck")
    match common_cause(error):
        case "no_permission":
            return DeviceError(DEVICE, "printer.no_permission")
        case "busy":
            return DeviceError(DEVICE, "printer.busy")
    return DeviceGoneError(DEVICE, "printer.gone")


def simulated(port: str) -> bool:
    """Whether no paper can come out of this port: a pseudo-terminal, this machine's own network, a gadget."""
    if port.startswith("tcp:"):
        return port[4:].lstrip("[").startswith(_LOOPBACK)
    if port == "usb" or port.startswith("usb:"):
        return _usb_simulated(port)
    if is_simulated_usb(Path("/sys/class/usbmisc", Path(os.path.realpath(port)).name)):
        return True
    return is_simulated(port)


class _FileWay:
    """A descriptor that `select` knows."""

    def __init__(self, descriptor: int, close: Callable[[], Any], abort: Abort) -> None:
        self._descriptor = descriptor
        self._close = close
        self._abort = abort

    def write(self, data: memoryview) -> None:
        """See `Way.write`."""
        while data:
            self._abort.check()
            awake, ready, _ = select.select([self._abort.waking], [self._descriptor], [], STUCK_S)
            if awake:
                raise AbandonedError
            if not ready:
                raise TimeoutError
            with suppress(BlockingIOError):
                data = data[os.write(self._descriptor, data[:_CHUNK]) :]

    def read(self, seconds: float) -> bytes:
        """See `Way.read`."""
        ready, _, _ = select.select([self._descriptor, self._abort.waking], [], [], seconds)
        self._abort.check()
        if self._descriptor not in ready:
            return b""
        try:
            data = os.read(self._descriptor, _CHUNK)
        except BlockingIOError:
            return b""
        if not data:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return data

    def close(self) -> None:
        """See `Way.close`."""
        with suppress(OSError):
            self._close()


def _file(port: str, baud: int, abort: Abort) -> _FileWay:
    if not stat.S_ISCHR(Path(port).stat().st_mode):
        raise OSError(errno.ENOTTY, os.strerror(errno.ENOTTY))
    descriptor = os.open(port, os.O_RDWR | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    if not os.isatty(descriptor):  # /dev/usb/lp0
        return _FileWay(descriptor, lambda: os.close(descriptor), abort)
    os.close(descriptor)
    from edged.drivers._serial_port import SerialPort

    tty = SerialPort(port, baud)
    return _FileWay(tty.fileno(), tty.close, abort)


def _tcp(port: str, abort: Abort) -> _FileWay:
    host, _, number = port[4:].rpartition(":")
    connection = socket.create_connection((host.strip("[]"), int(number)), OPEN_S)
    try:
        abort.check()
    except AbandonedError:
        connection.close()
        raise
    connection.setblocking(False)
    return _FileWay(connection.fileno(), connection.close, abort)


def _numbers(port: str) -> dict[str, int]:
    _, *ids = port.split(":")
    return dict(zip(("idVendor", "idProduct"), (int(one, 16) for one in ids), strict=True)) if ids else {}


def _find(port: str) -> Any:
    """The first USB printer, or the one with these numbers; None when there is none. Raises `OSError`."""
    import usb.core
    import usb.util

    def prints(device: Any) -> bool:
        try:
            return any(
                usb.util.find_descriptor(configuration, bInterfaceClass=_PRINTER_CLASS) is not None
                for configuration in device
            )
        except usb.core.USBError:
            return False

    try:
        return usb.core.find(custom_match=prints, **_numbers(port))
    except usb.core.NoBackendError as error:
        raise DeviceError(DEVICE, "printer.no_libusb") from error


def _usb_simulated(port: str) -> bool:
    """Whether the printer that would be used is a program; False when there is none."""
    from edged.drivers import _usb_device

    try:
        device = _find(port)
    except (OSError, DeviceError):
        return False
    return device is not None and _usb_device.simulated(device)


class _UsbWay:
    """The bulk endpoints of a USB printer's interface, taken from the kernel's own driver while it is open."""

    def __init__(self, port: str, abort: Abort) -> None:
        import usb.core
        import usb.util

        self._abort = abort
        self._device = _find(port)
        if self._device is None:
            raise OSError(errno.ENODEV, os.strerror(errno.ENODEV))
        interface = next(
            one
            for configuration in self._device
            for one in configuration
            if one.bInterfaceClass == _PRINTER_CLASS
        )
        self._number = interface.bInterfaceNumber
        self._detached = False
        with suppress(NotImplementedError):
            if self._device.is_kernel_driver_active(self._number):
                self._device.detach_kernel_driver(self._number)
                self._detached = True
        try:
            usb.util.claim_interface(self._device, self._number)
        except usb.core.USBError:
            self.close()
            raise
        ends = {usb.util.endpoint_direction(end.bEndpointAddress): end for end in interface}
        self._out = ends.get(usb.util.ENDPOINT_OUT)
        self._in = ends.get(usb.util.ENDPOINT_IN)
        if self._out is None:
            self.close()
            raise OSError(errno.ENODEV, os.strerror(errno.ENODEV))

    def write(self, data: memoryview) -> None:
        """See `Way.write`. A printer that takes a part of a chunk in the time of one wait gets the rest in the next."""
        import usb.core

        assert self._out is not None
        stuck = time.monotonic() + STUCK_S
        while data:
            self._abort.check()
            try:
                taken = self._out.write(bytes(data[:_USB_CHUNK]), _USB_WAIT_MS)
            except usb.core.USBTimeoutError:  # nothing was taken: pyusb returns what was
                taken = 0
            data = data[taken:]
            if taken:
                stuck = time.monotonic() + STUCK_S
            elif time.monotonic() >= stuck:
                raise TimeoutError

    def read(self, seconds: float) -> bytes:
        """See `Way.read`."""
        import usb.core

        if self._in is None:
            return b""
        ends = time.monotonic() + seconds
        while (left := ends - time.monotonic()) > 0:
            self._abort.check()
            with suppress(usb.core.USBTimeoutError):
                return bytes(self._in.read(64, min(_USB_WAIT_MS, max(1, int(left * 1000)))))
        return b""

    def close(self) -> None:
        """See `Way.close`; the kernel's driver gets it back."""
        import usb.core
        import usb.util

        with suppress(usb.core.USBError, OSError):
            usb.util.release_interface(self._device, self._number)
        with suppress(usb.core.USBError, OSError, NotImplementedError):
            if self._detached:
                self._device.attach_kernel_driver(self._number)
        usb.util.dispose_resources(self._device)
