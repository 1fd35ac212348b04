"""What Linux says of its cameras: Video for Linux 2 by ioctl, and udev's stable names. No frames; those are OpenCV's.

Numbers and layouts: linux/videodev2.h and linux/v4l2-controls.h. Everything blocks for microseconds; a USB camera's
controls for some milliseconds.
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct
from contextlib import suppress
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple, Self

from edged.drivers.ports import is_simulated_usb
from edged.errors import DeviceError, DeviceGoneError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

DEVICE: Final = "camera"

SOFTWARE: Final = frozenset({"vivid", "vimc", "v4l2 loopback", "vicodec"})
"""Kernel drivers behind which no camera stands, as QUERYCAP names them."""

MOST_FORMATS: Final = 64
MOST_SIZES: Final = 256
MOST_CAMERAS: Final = 64
"""More than any camera or machine has; a driver that never says "no more" ends here."""

_CAPTURES: Final = 0x1  # V4L2_CAP_VIDEO_CAPTURE, single-planar: what OpenCV reads
_STREAMS: Final = 0x04000000
_HAS_DEVICE_CAPS: Final = 0x80000000
_DISCRETE: Final = 1
_UNUSABLE: Final = 0x1 | 0x4  # disabled, read only
_INACTIVE: Final = 0x10
_GONE: Final = frozenset({errno.ENODEV, errno.ENXIO, errno.EBADF})


class Control(IntEnum):
    """The controls that edged sets, by V4L2's numbers."""

    AUTO_WHITE_BALANCE = 0x0098090C
    AUTO_GAIN = 0x00980912
    GAIN = 0x00980913
    WHITE_BALANCE_K = 0x0098091A
    AUTO_EXPOSURE = 0x009A0901
    """A menu: 0 auto, 1 manual, 2 shutter priority, 3 aperture priority."""
    EXPOSURE_100US = 0x009A0902
    """V4L2_CID_EXPOSURE_ABSOLUTE, in units of 100 µs."""
    EXPOSURE_MAY_SLOW = 0x009A0903
    """Whether automatic exposure may lower the frame rate."""


class Capability(NamedTuple):
    """What a device says of itself.

    Attributes:
        driver: the kernel's: "uvcvideo".
        card: the camera's name, as its maker wrote it.
        bus: where it is plugged in: "usb-0000:00:14.0-3".
        captures: whether it delivers frames; a UVC camera has a second device for metadata, which doesn't.
    """

    driver: str
    card: str
    bus: str
    captures: bool


class Range(NamedTuple):
    """What a control can be set to; `active` is False while an automatic one has it."""

    least: int
    most: int
    step: int
    default: int
    active: bool


class Camera(NamedTuple):
    """One camera of this machine.

    Attributes:
        path: its stable name where udev gave one (by-id before by-path), /dev/videoN otherwise.
        node: /dev/videoN.
        identity: vendor, product and serial number of the USB device; the bus where there is none.
        capability: None when it can't be opened; then `error` says why.
        simulated: whether it is made of software.
        error: a code of the message catalogue.
    """

    path: Path
    node: Path
    identity: str
    capability: Capability | None
    simulated: bool
    error: str | None


def _request(direction: int, number: int, size: int) -> int:
    return direction << 30 | size << 16 | ord("V") << 8 | number


_READ, _BOTH = 2, 3
_QUERYCAP: Final = (_request(_READ, 0, 104), struct.Struct("=16s32s32sIII12x"))
_ENUM_FMT: Final = (_request(_BOTH, 2, 64), struct.Struct("=III32s4s16x"))
_G_FMT: Final = (_request(_BOTH, 4, 208), struct.Struct("=I4xII4s188x"))
_G_CTRL: Final = (_request(_BOTH, 27, 8), struct.Struct("=Ii"))
_S_CTRL: Final = (_request(_BOTH, 28, 8), struct.Struct("=Ii"))
_QUERYCTRL: Final = (_request(_BOTH, 36, 68), struct.Struct("=II32siiiiI8x"))
_ENUM_FRAMESIZES: Final = (_request(_BOTH, 74, 44), struct.Struct("=I4sIIIIIII8x"))


class Node:
    """An open /dev/videoN, for its facts and controls, beside whoever reads frames from it.

    Every method raises `DeviceGoneError` when the camera was unplugged.
    """

    def __init__(self, path: Path) -> None:
        """Raises `DeviceGoneError` when nothing is there, `DeviceError` when it isn't for us to open."""
        try:
            self._handle = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        except PermissionError as error:
            raise DeviceError(DEVICE, "camera.not_allowed") from error
        except OSError as error:
            raise DeviceGoneError(DEVICE, "camera.not_there") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of it."""
        if self._handle >= 0:
            handle, self._handle = self._handle, -1
            os.close(handle)

    def capability(self) -> Capability:
        """VIDIOC_QUERYCAP. Raises `DeviceError` when this is no video device."""
        found = self._ask(_QUERYCAP, b"", b"", b"", 0, 0, 0)
        if found is None:
            raise DeviceError(DEVICE, "camera.not_a_camera")
        driver, card, bus, _, whole, part = found
        caps = part if whole & _HAS_DEVICE_CAPS else whole
        return Capability(
            _text(driver), _text(card), _text(bus), caps & (_CAPTURES | _STREAMS) == _CAPTURES | _STREAMS
        )

    def formats(self) -> tuple[str, ...]:
        """The pixel formats it delivers, as V4L2's four characters, in its own order."""
        formats = []
        for index in range(MOST_FORMATS):
            if (found := self._ask(_ENUM_FMT, index, 1, 0, b"", b"")) is None:
                break
            formats.append(_text(found[4]))
        return tuple(formats)

    def sizes(self, pixel_format: str) -> tuple[tuple[int, int], ...]:
        """(width, height) of its frames in a format; of a range of sizes the smallest and the largest."""
        sizes: list[tuple[int, int]] = []
        for index in range(MOST_SIZES):
            found = self._ask(_ENUM_FRAMESIZES, index, pixel_format.ljust(4).encode(), *[0] * 7)
            if found is None:
                break
            kind, values = found[2], found[3:]
            if kind == _DISCRETE:
                sizes.append((values[0], values[1]))
            else:
                sizes += [(values[0], values[3]), (values[1], values[4])]
                break
        return tuple(sizes)

    def format(self) -> tuple[int, int, str] | None:
        """Width, height and pixel format of the frames as they come now."""
        found = self._ask(_G_FMT, 1, 0, 0, b"")
        return None if found is None else (found[1], found[2], _text(found[3]))

    def range(self, control: Control) -> Range | None:
        """What a control can be set to; None when the camera hasn't got it or lets nobody set it."""
        found = self._ask(_QUERYCTRL, control, 0, b"", 0, 0, 0, 0, 0)
        if found is None or found[7] & _UNUSABLE:
            return None
        least, most, step, default, flags = found[3:8]
        return Range(least, most, step, default, not flags & _INACTIVE)

    def get(self, control: Control) -> int | None:
        """A control's value; None when the camera doesn't say."""
        found = self._ask(_G_CTRL, control, 0)
        return None if found is None else int(found[1])

    def set(self, control: Control, value: int) -> int | None:
        """Set a control, and read back what the camera made of it: None when it refused."""
        if self._ask(_S_CTRL, control, value) is None:
            return None
        return self.get(control)

    def _ask(self, call: tuple[int, struct.Struct], *values: object) -> tuple[int, ...] | None:
        """One ioctl; None when the device says it can't. Raises `DeviceGoneError` when there is none any more."""
        if self._handle < 0:
            raise DeviceGoneError(DEVICE, "camera.unplugged")
        request, layout = call
        buffer = bytearray(layout.pack(*values))
        assert len(buffer) == request >> 16 & 0x3FFF
        try:
            fcntl.ioctl(self._handle, request, buffer)
        except OSError as error:
            if error.errno in _GONE:
                raise DeviceGoneError(DEVICE, "camera.unplugged") from error
            return None
        return layout.unpack(buffer)


def _text(field: object) -> str:
    """A fixed field of a C struct: up to its NUL, whatever it holds made printable."""
    assert isinstance(field, bytes)
    text = field.split(b"\0")[0].decode("ascii", "replace").strip()
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def cameras(dev: Path = Path("/dev"), sysfs: Path = Path("/sys")) -> tuple[Camera, ...]:
    """Every camera of this machine, by node. Opens each for a moment; a busy one can be looked at all the same."""
    nodes = sorted(
        (path.name for path in _entries(sysfs / "class" / "video4linux") if path.name.startswith("video")),
        key=lambda name: (len(name), name),
    )
    names = _stable_names(dev)
    found = []
    for name in nodes[:MOST_CAMERAS]:
        node = dev / name
        capability, error = None, None
        try:
            with Node(node) as opened:
                capability = opened.capability()
        except DeviceError as failed:
            error = failed.code
        if capability is None or capability.captures:
            path = names.get(node, node)
            identity = identity_of(node, sysfs, capability)
            simulated = is_software(node, sysfs, capability)
            found.append(Camera(path, node, identity, capability, simulated, error))
    return tuple(found)


def _stable_names(dev: Path) -> dict[Path, Path]:
    """Node to its stable name, by-id before by-path."""
    names: dict[Path, Path] = {}
    for directory in ("by-path", "by-id"):
        for link in _entries(dev / "v4l" / directory):
            with suppress(OSError, RuntimeError):  # RuntimeError: links in a circle
                names[link.resolve()] = link
    return names


def _entries(directory: Path) -> Iterator[Path]:
    try:
        yield from sorted(directory.iterdir())
    except OSError:
        return


def is_stable(path: Path) -> bool:
    """Whether this name means the same camera after a restart: udev's own, or that of our rule (`70-edged.rules`)."""
    return path.parent.name in {"by-id", "by-path", "edged"}


def identity_of(node: Path, sysfs: Path, capability: Capability | None) -> str:
    """Which camera this is, the same wherever it is plugged in if it has a serial number; printable, no secrets."""
    usb = _usb_device(node, sysfs)
    if usb is not None:
        parts = [_line(usb / name) for name in ("idVendor", "idProduct", "serial")]
        return ":".join(part for part in parts if part)
    return capability.bus if capability is not None else node.name


def is_software(node: Path, sysfs: Path, capability: Capability | None) -> bool:
    """Whether no camera stands behind a node: a test driver, a loopback, a gadget of this machine."""
    if capability is not None and capability.driver in SOFTWARE:
        return True
    usb = _usb_device(node, sysfs)
    if usb is not None:
        return is_simulated_usb(usb)
    return "/devices/virtual/" in os.path.realpath(sysfs / "class" / "video4linux" / node.name)


def _usb_device(node: Path, sysfs: Path) -> Path | None:
    """The USB device whose interface a node is."""
    interface = Path(os.path.realpath(sysfs / "class" / "video4linux" / node.name / "device"))
    for directory in (interface, interface.parent):
        if (directory / "idVendor").is_file():
            return directory
    return None


def _line(file: Path) -> str:
    """The text of a small file of sysfs."""
    try:
        with file.open("rb") as stream:
            return _text(stream.read(128))
    except OSError:
        return ""
