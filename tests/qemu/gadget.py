"""A USB device of this machine that a program is, on the kernel's dummy controller: configfs and FunctionFS.

The kernel enumerates it like any other; libusb opens it like any other. Needs root and the modules `usb` of
`tests.qemu.kernel`. Sources: Documentation/usb/functionfs.rst, linux/usb/functionfs.h, linux/usb/ch9.h.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
import threading
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

CONTROLLER = "dummy_udc.0"
_CONFIGFS = Path("/sys/kernel/config")
_GADGETS = _CONFIGFS / "usb_gadget"
_LIBC = ctypes.CDLL(None, use_errno=True)

_DESCRIPTORS_V2, _STRINGS = 3, 2
_FULL_SPEED, _HIGH_SPEED = 1, 2
BULK, INTERRUPT = 2, 3
_SETUP = 4
_PIECE = 500
"""Less than a packet at high speed: a transfer's end is told by a short one, so each of these is one."""


class Identity(NamedTuple):
    """What the device says it is."""

    vendor: int
    product: int
    manufacturer: str = ""
    name: str = ""
    serial: str = ""


def mount(kind: str, source: str, point: Path) -> None:
    point.mkdir(parents=True, exist_ok=True)
    if _LIBC.mount(source.encode(), os.fsencode(point), kind.encode(), 0, b""):
        raise OSError(ctypes.get_errno(), f"mount {kind}")


class Gadget:
    """One device with one configuration. Plugged in and out at will."""

    def __init__(self, name: str, identity: Identity) -> None:
        if not _GADGETS.is_dir():
            mount("configfs", "none", _CONFIGFS)
        self._name = name
        self._root = _GADGETS / name
        configuration = self._root / "configs" / "c.1"
        for place in (self._root / "strings" / "0x409", configuration / "strings" / "0x409"):
            place.mkdir(parents=True)
        (self._root / "idVendor").write_text(f"{identity.vendor:#06x}")
        (self._root / "idProduct").write_text(f"{identity.product:#06x}")
        for key, text in (
            ("manufacturer", identity.manufacturer),
            ("product", identity.name),
            ("serialnumber", identity.serial),
        ):
            (self._root / "strings" / "0x409" / key).write_text(text + "\n")

    def add(self, function: str) -> Path:
        """Add one of the kernel's own functions (`acm.0`, `printer.0`, `ffs.NAME`); where its settings are."""
        place = self._root / "functions" / function
        place.mkdir()
        (self._root / "configs" / "c.1" / function).symlink_to(place)
        return place

    def plug(self) -> None:
        (self._root / "UDC").write_text(CONTROLLER)

    def unplug(self) -> None:
        (self._root / "UDC").write_text("\n")


class Function:
    """A vendor's interface with endpoints of its own, served by this program. Made before its gadget is plugged in.

    Which addresses endpoints get is the controller's affair, whatever is asked for: it takes the next one it has that
    fits. The dummy controller has for bulk, in this order, 0x02 0x07 0x0c 0x01 and then numbers from 0x01 on, which are
    the same ones twice; and 0x81 0x86 0x8b …; for interrupts 0x85 …: who needs one further on asks for all before it.
    """

    def __init__(
        self,
        gadget: Gadget,
        name: str,
        interface: tuple[int, int, int],
        endpoints: Mapping[int, int],
        hear: Callable[[int, bytes], None],
    ) -> None:
        """`endpoints` are addresses and kinds; `hear` is called with an address and what came to it, in a thread."""
        gadget.add(f"ffs.{name}")
        point = Path("/dev", f"ffs-{name}")
        mount("functionfs", name, point)
        self._control = os.open(point / "ep0", os.O_RDWR)
        os.write(self._control, _descriptors(interface, endpoints))
        os.write(self._control, struct.pack("<IIII", _STRINGS, 16, 0, 0))
        self._files = {
            address: os.open(point / f"ep{number}", os.O_RDWR) for number, address in enumerate(endpoints, 1)
        }
        self._hear = hear
        threading.Thread(target=self._serve_control, daemon=True).start()
        for address in endpoints:
            if not address & 0x80:
                threading.Thread(target=self._serve_out, args=(address,), daemon=True).start()

    def say(self, address: int, data: bytes) -> bool:
        """To the host, when it asks; whether all of it was taken. Blocks until then, or until it is unplugged."""
        for at in range(0, len(data), _PIECE):
            try:
                os.write(self._files[address], data[at : at + _PIECE])
            except OSError as error:
                if error.errno not in _GONE:
                    raise
                return False
        return True

    def _serve_control(self) -> None:
        while True:
            event = os.read(self._control, 12)
            if event[8] == _SETUP:  # no request of our own: refused by asking the other way round
                try:
                    (os.read(self._control, 0) if event[0] & 0x80 else os.write(self._control, b""))
                except OSError as error:
                    if error.errno not in (errno.EL2HLT, *_GONE):
                        raise

    def _serve_out(self, address: int) -> None:
        while True:
            try:
                data = os.read(self._files[address], 4096)
            except OSError as error:
                if error.errno not in _GONE:
                    raise
                continue  # the next one waits until it is plugged in again
            if data:
                self._hear(address, data)


_GONE = (errno.ESHUTDOWN, errno.ENODEV, errno.EINTR, errno.EIDRM)


def _descriptors(interface: tuple[int, int, int], endpoints: Mapping[int, int]) -> bytes:
    """The interface and its endpoints, at full and high speed."""

    def at(bulk: int) -> bytes:
        ends = b"".join(
            struct.pack("<BBBBHB", 7, 5, address, kind, bulk if kind == BULK else 64, int(kind == INTERRUPT))
            for address, kind in endpoints.items()
        )
        return struct.pack("<BBBBBBBBB", 9, 4, 0, 0, len(endpoints), *interface, 0) + ends

    count = 1 + len(endpoints)
    body = struct.pack("<II", count, count) + at(64) + at(512)
    return struct.pack("<III", _DESCRIPTORS_V2, 12 + len(body), _FULL_SPEED | _HIGH_SPEED) + body
