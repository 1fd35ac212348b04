"""A SAM module on USB, through libusb: whole frames through one pair of endpoints, or header and rest through two."""

from __future__ import annotations

from array import array
from contextlib import suppress
from errno import EACCES, EBUSY, EPERM, ETIMEDOUT
from typing import Any, Final, NamedTuple

from edged.drivers._sam_wire import BUFFER
from edged.drivers._usb_device import serial_number, simulated
from edged.drivers.sam_frame import HEADER, frame_octets
from edged.drivers.sam_session import DEVICE
from edged.errors import DeviceGoneError

VENDOR_PRODUCT: Final = "0400:c35a"
"""What most modules say they are."""

WRITE_MS: Final = 1000
STALE_MS: Final = 2
"""For what a module had still to say before the next question; it lies ready or it doesn't come."""
STALE_READS: Final = 16
"""More than one late answer has packets for: who goes on sending unasked is asked all the same."""


class Endpoints(NamedTuple):
    """Addresses of the endpoints for requests and answers: one each for whole frames, two for header and rest."""

    out: tuple[int, ...] = (0x02, 0x06)
    into: tuple[int, ...] = (0x81, 0x85)


def find_device(wanted: str, backend: Any = None) -> Any:
    """The device with this `vendor:product[:serial number]`. Raises `DeviceGoneError`."""
    import usb.core

    vendor, product, *serial = wanted.split(":", 2)

    def right(device: Any) -> bool:
        return not serial or serial_number(device) == serial[0]

    try:
        found = usb.core.find(
            idVendor=int(vendor, 16), idProduct=int(product, 16), custom_match=right, backend=backend
        )
    except usb.core.NoBackendError:
        raise DeviceGoneError(DEVICE, "idcard.no_libusb") from None
    except usb.core.USBError as error:
        raise _why(error) from None
    if found is None:
        raise DeviceGoneError(DEVICE, "idcard.no_module")
    return found


class UsbPort:
    """`edged.drivers._sam_wire.SamPort` on USB."""

    def __init__(self, wanted: str, endpoints: Endpoints, backend: Any = None) -> None:
        import usb.core

        self._device = find_device(wanted, backend)
        self._endpoints = endpoints
        self._read = array("B", bytes(BUFFER))
        self._header = bytearray()
        self._rest = 0
        self.simulated = simulated(self._device)
        try:
            self._claim()
        except usb.core.USBError as error:
            self.close()
            raise _why(error) from None
        except BaseException:
            self.close()
            raise

    def _claim(self) -> None:
        """Take the interfaces that the endpoints belong to. Raises `DeviceGoneError` when there are none."""
        import usb.core
        import usb.util

        try:
            configuration = self._device.get_active_configuration()
        except usb.core.USBError:
            self._device.set_configuration()
            configuration = self._device.get_active_configuration()
        wanted = {*self._endpoints.out, *self._endpoints.into}
        for interface in configuration:
            mine = wanted & {endpoint.bEndpointAddress for endpoint in interface}
            if not mine:
                continue
            number = interface.bInterfaceNumber
            with suppress(NotImplementedError):
                if self._device.is_kernel_driver_active(number):
                    self._device.detach_kernel_driver(number)
            usb.util.claim_interface(self._device, number)
            wanted -= mine
        if wanted:
            raise DeviceGoneError(DEVICE, "idcard.other_endpoints")

    def start(self) -> None:
        """See `SamPort.start`."""
        self._expect_header()
        for endpoint in self._endpoints.into:
            for _ in range(STALE_READS):
                if not self._from(endpoint, STALE_MS):
                    break
        self._wipe(BUFFER)

    def write(self, octets: bytes) -> None:
        """See `SamPort.write`."""
        import usb.core

        first, rest = self._endpoints.out[0], self._endpoints.out[1:]
        parts = [(rest[0], octets[HEADER:])] if rest else []
        parts.insert(0, (first, octets[:HEADER] if rest else octets))
        try:
            whole = all(self._device.write(endpoint, part, WRITE_MS) == len(part) for endpoint, part in parts)
        except usb.core.USBError:
            whole = False
        if not whole:
            raise DeviceGoneError(DEVICE, "idcard.gone")

    def read_into(self, buffer: memoryview, wait_s: float) -> int:
        """See `SamPort.read_into`: of header and rest, only the one that is due is waited for."""
        into = self._endpoints.into
        octets = self._from(into[-1] if self._rest else into[0], max(1, round(wait_s * 1000)))
        taken = memoryview(self._read)[: min(octets, len(buffer))]
        buffer[: len(taken)] = taken
        if len(into) == 2:
            self._follow(taken)
        self._wipe(octets)
        return len(taken)

    def close(self) -> None:
        """See `SamPort.close`."""
        import usb.core
        import usb.util

        with suppress(usb.core.USBError, ValueError):
            usb.util.dispose_resources(self._device)
        self._wipe(BUFFER)

    def _follow(self, taken: memoryview) -> None:
        """Which endpoint the next octets come from."""
        if self._rest:
            self._rest = max(0, self._rest - len(taken))
            return
        self._header += taken
        octets = frame_octets(self._header[:HEADER])
        if octets is not None:
            self._rest = max(0, octets - len(self._header))
        if octets is not None or len(self._header) >= HEADER:
            self._header[:] = bytes(len(self._header))
            self._header.clear()

    def _expect_header(self) -> None:
        self._rest = 0
        self._header.clear()

    def _from(self, endpoint: int, wait_ms: int) -> int:
        """How many octets have come into `_read`; 0 for none in time."""
        import usb.core

        try:
            return int(self._device.read(endpoint, self._read, wait_ms))
        except usb.core.USBTimeoutError:
            return 0
        except usb.core.USBError as error:
            if error.errno == ETIMEDOUT:
                return 0
            raise DeviceGoneError(DEVICE, "idcard.gone") from None

    def _wipe(self, octets: int) -> None:
        memoryview(self._read)[:octets] = array("B", bytes(octets))


_CODES: Final = {
    EACCES: "idcard.no_permission",
    EPERM: "idcard.no_permission",
    EBUSY: "idcard.port_busy",
}


def _why(error: Any) -> DeviceGoneError:
    return DeviceGoneError(DEVICE, _CODES.get(error.errno, "idcard.gone"))
