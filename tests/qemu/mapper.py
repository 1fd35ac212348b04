"""The kernel's device mapper, by its ioctls (include/uapi/linux/dm-ioctl.h).

A cut needs a device of its own, and under the emulator starting `dmsetup` twice costs more than all the rest of it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_HEAD = struct.Struct("=3I II I iI II Q 128s 129s 7x")
_TARGET = struct.Struct("=QQiI16s")
_CREATE, _REMOVE, _SUSPEND, _LOAD, _MESSAGE = 3, 4, 6, 9, 14
_READ_WRITE, _MAGIC = 3, 0xFD
_BUFFER = 16384


def _call(number: int, name: str, payload: bytes = b"", targets: int = 0) -> int:
    """The device's number."""
    head = _HEAD.pack(4, 0, 0, _BUFFER, _HEAD.size, targets, 0, 0, 0, 0, 0, name.encode(), b"")
    buffer = bytearray((head + payload).ljust(_BUFFER, b"\0"))
    control = os.open("/dev/mapper/control", os.O_RDWR)
    try:
        fcntl.ioctl(control, _READ_WRITE << 30 | _HEAD.size << 16 | _MAGIC << 8 | number, buffer)
    finally:
        os.close(control)
    return int(_HEAD.unpack_from(buffer)[10])


@contextlib.contextmanager
def mapped(name: str, sectors: int, kind: str, parameters: str) -> Iterator[str]:
    """A device of one target over `sectors` of 512 bytes; its path."""
    number = _call(_CREATE, name)
    try:
        text = parameters.encode() + b"\0"
        text += b"\0" * (-len(text) % 8)
        target = _TARGET.pack(0, sectors, 0, _TARGET.size + len(text), kind.encode())
        _call(_LOAD, name, target + text, targets=1)
        _call(_SUSPEND, name)  # without the flag that would suspend it, this starts it
        yield f"/dev/dm-{os.minor(number)}"
    finally:
        _call(_REMOVE, name)


def message(name: str, text: str) -> None:
    """Tell a device's target something."""
    _call(_MESSAGE, name, struct.pack("=Q", 0) + text.encode() + b"\0")
