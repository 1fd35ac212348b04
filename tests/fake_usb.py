"""A USB bus made of Python, for pyusb: a SAM module behind bulk endpoints. pyusb's own code runs above it."""

from __future__ import annotations

import errno
from array import array
from types import SimpleNamespace
from typing import Any

import usb.backend
import usb.core

from edged.emulator.sam_module import SamModule

PACKET = 64
HEADER = 7


class FakeUsb(usb.backend.IBackend):  # type: ignore[misc]
    """One device. `split`: header and rest through endpoints of their own, as most modules have it.

    Attributes:
        plugged: whether it is there.
        refuse: errno of opening it; 0: it opens.
        written: (endpoint, octets) of every transfer out.
        packet: octets a packet that comes in holds at most.
        late: answers that come one question late.
    """

    def __init__(
        self,
        module: SamModule,
        *,
        out: tuple[int, ...] = (0x02, 0x06),
        into: tuple[int, ...] = (0x81, 0x85),
        serial: str = "A1",
    ) -> None:
        self.module = module
        self.out, self.into, self.serial = out, into, serial
        self.plugged = True
        self.refuse = 0
        self.mute = False
        self.packet = PACKET
        self.cut: int | None = None
        self.written: list[tuple[int, bytes]] = []
        self.claimed: set[int] = set()
        self.detached: list[int] = []
        self._waiting: dict[int, bytearray] = {endpoint: bytearray() for endpoint in into}

    def enumerate_devices(self) -> list[str]:
        return ["module"] if self.plugged else []

    def get_device_descriptor(self, _dev: Any) -> Any:
        return SimpleNamespace(
            bLength=18, bDescriptorType=1, bcdUSB=0x0110, bDeviceClass=0, bDeviceSubClass=0, bDeviceProtocol=0,
            bMaxPacketSize0=64, idVendor=0x0400, idProduct=0xC35A, bcdDevice=0x100, iManufacturer=0, iProduct=0,
            iSerialNumber=3, bNumConfigurations=1, address=5, bus=1, port_number=2, port_numbers=(2,), speed=2,
        )  # fmt: skip

    def get_configuration_descriptor(self, _dev: Any, _config: int) -> Any:
        return SimpleNamespace(
            bLength=9, bDescriptorType=2, wTotalLength=0, bNumInterfaces=1, bConfigurationValue=1, iConfiguration=0,
            bmAttributes=0x80, bMaxPower=50, extra_descriptors=[],
        )  # fmt: skip

    def get_interface_descriptor(self, _dev: Any, intf: int, alt: int, _config: int) -> Any:
        if intf or alt:
            raise IndexError
        return SimpleNamespace(
            bLength=9, bDescriptorType=4, bInterfaceNumber=0, bAlternateSetting=0,
            bNumEndpoints=len({*self.out, *self.into}), bInterfaceClass=0xFF, bInterfaceSubClass=0,
            bInterfaceProtocol=0, iInterface=0, extra_descriptors=[],
        )  # fmt: skip

    def get_endpoint_descriptor(self, _dev: Any, ep: int, _intf: int, _alt: int, _config: int) -> Any:
        address = sorted({*self.out, *self.into})[ep]
        return SimpleNamespace(
            bLength=7, bDescriptorType=5, bEndpointAddress=address, bmAttributes=2, wMaxPacketSize=PACKET,
            bInterval=0, bRefresh=0, bSynchAddress=0, extra_descriptors=[],
        )  # fmt: skip

    def open_device(self, _dev: Any) -> str:
        self._there()
        if self.refuse:
            raise usb.core.USBError("refused", None, self.refuse)
        return "handle"

    def close_device(self, _handle: Any) -> None:
        pass

    def get_configuration(self, _handle: Any) -> int:
        self._there()
        return 1

    def is_kernel_driver_active(self, _handle: Any, intf: int) -> bool:
        return intf not in self.detached

    def detach_kernel_driver(self, _handle: Any, intf: int) -> None:
        self.detached.append(intf)

    def claim_interface(self, _handle: Any, intf: int) -> None:
        self._there()
        self.claimed.add(intf)

    def release_interface(self, _handle: Any, intf: int) -> None:
        self.claimed.discard(intf)

    def ctrl_transfer(
        self, _handle: Any, _kind: int, request: int, value: int, _index: int, data: Any, _timeout: int
    ) -> int:
        """String descriptors: the languages, and the serial number."""
        self._there()
        assert request == 6, "GET_DESCRIPTOR"
        text = b"\x09\x04" if not value & 0xFF else self.serial.encode("utf-16-le")
        descriptor = bytes((len(text) + 2, 3)) + text
        octets = descriptor[: len(data)]
        data[: len(octets)] = array("B", octets)
        return len(octets)

    def bulk_write(self, _handle: Any, ep: int, _intf: int, data: Any, _timeout: int) -> int:
        self._there()
        self.written.append((ep, bytes(data)))
        for answer in self.module.hear(bytes(data)):
            if self.mute:
                continue
            first, *rest = self.into
            whole = answer if self.cut is None or len(answer) < 100 else answer[: self.cut]
            self._waiting[first] += whole[:HEADER] if rest else whole
            if rest:
                self._waiting[rest[0]] += whole[HEADER:]
            if self.cut is not None and len(answer) > 100:
                self.plugged = False
        return len(data)

    def bulk_read(self, _handle: Any, ep: int, _intf: int, buff: Any, timeout: int) -> int:
        waiting = self._waiting[ep]
        if not waiting:
            self._there()
            raise usb.core.USBTimeoutError("timeout", None, errno.ETIMEDOUT)
        assert len(buff) % PACKET == 0, "the host controller would report an overflow"
        assert timeout >= 1, "0 waits for ever"
        octets = bytes(waiting[: min(self.packet, len(buff))])
        del waiting[: len(octets)]
        buff[: len(octets)] = array("B", octets)
        return len(octets)

    def unplug(self) -> None:
        """Pull the plug."""
        self.plugged = False
        for waiting in self._waiting.values():
            waiting.clear()

    def plug(self) -> None:
        """And put it in again."""
        self.module.power()
        self.claimed.clear()
        self.detached.clear()
        self.cut = None
        self.plugged = True

    def _there(self) -> None:
        if not self.plugged:
            raise usb.core.USBError("no such device", None, errno.ENODEV)
