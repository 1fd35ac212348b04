"""The head on USB: one interface of our own class with a bulk endpoint each way, found by what it says of itself."""

from __future__ import annotations

import errno
import re
import threading
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from edged.drivers._usb_device import place_of, serial_number, simulated
from edged.drivers.head_threads import ThreadedLine, opened
from edged.drivers.head_transport import DEVICE
from edged.errors import DeviceError, DeviceGoneError

if TYPE_CHECKING:
    from collections.abc import Callable

    from edged.drivers.head_transport import Connection

INTERFACE: Final = (0xFF, 0x45, 0x48)
"""Class (vendor's own), subclass and protocol of the head's interface (firmware/PROTOCOL.md): "E" and "H"."""

READ_MS: Final = 100
"""One wait for data: how long closing takes at most. What comes ends the wait at once."""

WRITE_MS: Final = 1000
"""A head that takes nothing for so long is gone."""

_READ: Final = 4096
"""A multiple of every packet size."""

_SELECTOR: Final = re.compile(r"([0-9a-fA-F]{4}):([0-9a-fA-F]{4})(?::(.{1,126}))?")

_CODES: Final = {
    errno.EACCES: "reader_head.no_permission",
    errno.EPERM: "reader_head.no_permission",
    errno.EBUSY: "reader_head.port_busy",
}
_GONE: Final = (errno.ENOENT, errno.ENODEV, errno.ENXIO)


class UsbHeadFound(NamedTuple):
    """A head on the bus, before it is opened.

    Attributes:
        name: where it is: `usb:1-1.2`.
        vendor: USB number of the vendor.
        product: of the product.
        simulated: whether it is a program of this machine.
    """

    name: str
    vendor: int
    product: int
    simulated: bool


class UsbTransport:
    """`Transport` to the head on USB; `selector` is `[head] usb`: `vendor:product[:serial number]`, or None: ours."""

    driver: Final = "usb"

    def __init__(self, selector: str | None = None) -> None:
        self._selector = selector
        self.name = "usb" if selector is None else f"usb:{selector}"
        self.simulated = False

    async def connect(self, hear: Callable[[bytes], None]) -> Connection:
        """See `Transport.connect`."""
        port = await opened(lambda: UsbPort(self._selector), UsbPort.close)
        self.name, self.simulated = port.name, port.simulated
        return ThreadedLine(port, hear, "head usb")


class UsbPort:
    """`BlockingPort` on the head's two bulk endpoints. Opening it raises `DeviceError`."""

    def __init__(self, selector: str | None) -> None:
        import usb.core

        self._timed_out = usb.core.USBTimeoutError
        self._stopped = threading.Event()
        try:
            self._device, interface = _choose(selector)
            self.name = _name(self._device)
            self.simulated = simulated(self._device)
            self._claim(interface)
        except usb.core.NoBackendError as error:
            raise DeviceError(DEVICE, "reader_head.no_libusb") from error
        except usb.core.USBError as error:
            raise _failure(error) from error

    def _claim(self, interface: Any) -> None:
        import usb.util

        try:
            usb.util.claim_interface(self._device, interface.bInterfaceNumber)
            self._in, self._out = _endpoints(interface)
        except BaseException:
            usb.util.dispose_resources(self._device)
            raise

    def read(self) -> bytes:
        """See `BlockingPort.read`."""
        try:
            return bytes(self._device.read(self._in, _READ, READ_MS))
        except self._timed_out:
            return b""

    def write(self, data: bytes) -> None:
        """See `BlockingPort.write`."""
        left = data
        while left and not self._stopped.is_set():
            left = left[self._device.write(self._out, left, WRITE_MS) :]

    def stop(self) -> None:
        """See `BlockingPort.stop`."""
        self._stopped.set()

    def close(self) -> None:
        """See `BlockingPort.close`."""
        import usb.util

        usb.util.dispose_resources(self._device)


def usb_heads() -> tuple[UsbHeadFound, ...]:
    """The heads on the bus. Blocks for some milliseconds. Raises `DeviceError` (`reader_head.no_libusb`)."""
    import usb.core

    try:
        found = list(usb.core.find(find_all=True, custom_match=lambda device: _interface(device) is not None))
    except usb.core.NoBackendError as error:
        raise DeviceError(DEVICE, "reader_head.no_libusb") from error
    return tuple(
        UsbHeadFound(_name(device), device.idVendor, device.idProduct, simulated(device)) for device in found
    )


def _choose(selector: str | None) -> tuple[Any, Any]:
    """The device and its interface. Raises `DeviceError`, `usb.core.USBError`."""
    import usb.core

    wanted = None if selector is None else _SELECTOR.fullmatch(selector)
    if selector is not None and wanted is None:
        raise DeviceError(DEVICE, "reader_head.bad_usb")
    numbers = {}
    if wanted is not None:
        numbers = {"idVendor": int(wanted[1], 16), "idProduct": int(wanted[2], 16)}
    serial = wanted[3] if wanted is not None else None
    found = [
        (device, interface)
        for device in usb.core.find(find_all=True, **numbers)
        if (interface := _interface(device)) is not None
        and (serial is None or serial_number(device) == serial)
    ]
    if not found:
        raise DeviceGoneError(DEVICE, "reader_head.not_attached")
    if len(found) > 1:
        raise DeviceError(DEVICE, "reader_head.several_attached")
    return found[0]


def _interface(device: Any) -> Any:
    """The head's interface of a device; None when it has none. Descriptors are cached: nothing is asked on the bus."""
    import usb.core

    try:
        for configuration in device:
            for interface in configuration:
                described = (
                    interface.bInterfaceClass,
                    interface.bInterfaceSubClass,
                    interface.bInterfaceProtocol,
                )
                if described == INTERFACE and None not in _endpoints(interface):
                    return interface
    except usb.core.USBError:
        pass  # it went away while it was looked at, or its descriptors are broken
    return None


def _endpoints(interface: Any) -> tuple[int | None, int | None]:
    """Addresses of the bulk endpoints: in, out."""
    import usb.util

    found: dict[int, int] = {}
    for endpoint in interface:
        if usb.util.endpoint_type(endpoint.bmAttributes) == usb.util.ENDPOINT_TYPE_BULK:
            found.setdefault(
                usb.util.endpoint_direction(endpoint.bEndpointAddress), endpoint.bEndpointAddress
            )
    return found.get(usb.util.ENDPOINT_IN), found.get(usb.util.ENDPOINT_OUT)


def _name(device: Any) -> str:
    return f"usb:{place_of(device)}"


def _failure(error: Any) -> DeviceError:
    if error.errno in _GONE:
        return DeviceGoneError(DEVICE, "reader_head.not_attached")
    return DeviceError(DEVICE, _CODES.get(error.errno, "reader_head.port_failed"))
