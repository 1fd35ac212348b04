"""Requests 30 to 36, the update of the head's firmware. Sans-IO; firmware/PROTOCOL.md §7."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import ClassVar, Final, Self

from edged.drivers.head_octets import Octets, in_range, number, require
from edged.drivers.head_requests import Order, Request

MAX_UPDATE_DATA: Final = 224
"""Octets of an image in one request (PROTOCOL.md §7)."""

FLASH_S: Final = 30.0
"""Erasing a slot, or verifying a whole image on a slow microcontroller, takes seconds."""

SHA_256: Final = 32
NO_SLOT: Final = 0xFF
"""Runs in a head that has a boot loader only."""
_U32: Final = 0xFFFFFFFF


class SlotState(IntEnum):
    """How things stand with what is in a slot."""

    EMPTY = 0
    WRITING = 1
    READY = 2
    TRIAL = 3
    CONFIRMED = 4
    BAD = 5


class UpdateRefusal(IntEnum):
    """Why the head refused an update."""

    NOT_BEGUN = 1
    TOO_LARGE = 2
    NOT_AN_IMAGE = 3
    OTHER_BOARD = 4
    SIGNATURE = 5
    DIGEST = 6
    OLDER = 7
    BUSY = 8
    ON_TRIAL = 9
    INCOMPLETE = 10


@dataclass(frozen=True)
class Slot:
    """One of the two places for an image."""

    state: SlotState
    version: tuple[int, int, int]
    security_version: int

    def __post_init__(self) -> None:
        major, minor, patch = self.version
        in_range(0, 255, major, minor)
        in_range(0, 0xFFFF, patch)
        in_range(0, _U32, self.security_version)

    def to_bytes(self) -> bytes:
        """As in the reply."""
        major, minor, patch = self.version
        return bytes((self.state, major, minor)) + number(patch, 2) + number(self.security_version, 4)

    @classmethod
    def parse(cls, octets: Octets) -> Self:
        """Raises `ValueError`."""
        state = SlotState(octets.number(1))
        return cls(state, (octets.number(1), octets.number(1), octets.number(2)), octets.number(4))


@dataclass(frozen=True)
class SlotsResult:
    """Both slots, which one runs (0: A, 1: B, `NO_SLOT`), and the next octet to be written; 0 when nothing is being."""

    running: int
    slots: tuple[Slot, Slot]
    next_offset: int

    def __post_init__(self) -> None:
        require(self.running in (0, 1, NO_SLOT))
        in_range(0, _U32, self.next_offset)

    def to_bytes(self) -> bytes:
        """As in the reply."""
        a, b = self.slots
        return bytes((self.running,)) + a.to_bytes() + b.to_bytes() + number(self.next_offset, 4)


@dataclass(frozen=True)
class Slots(Request[SlotsResult]):
    """What the slots hold."""

    type: ClassVar[int] = 0x30

    def result(self, octets: Octets) -> SlotsResult:
        """Both slots."""
        running = octets.number(1)
        return SlotsResult(running, (Slot.parse(octets), Slot.parse(octets)), octets.number(4))


@dataclass(frozen=True)
class UpdateBegin(Request[int]):
    """Begin, or go on with, an image of `size` octets with this SHA-256; the reply is the offset to go on from."""

    type: ClassVar[int] = 0x31
    patience_s: ClassVar[float] = FLASH_S
    size: int
    digest: bytes

    def __post_init__(self) -> None:
        in_range(0, _U32, self.size)
        require(len(self.digest) == SHA_256)

    def body(self) -> bytes:
        """Size and digest."""
        return number(self.size, 4) + self.digest

    @classmethod
    def parse(cls, octets: Octets) -> Self:
        """Raises `ValueError`."""
        return cls(octets.number(4), octets.take(SHA_256))

    def result(self, octets: Octets) -> int:
        """The offset to go on from."""
        return octets.number(4)


@dataclass(frozen=True)
class UpdateData(Request[int]):
    """Octets of the image from `offset`; the reply is the next offset."""

    type: ClassVar[int] = 0x32
    patience_s: ClassVar[float] = FLASH_S
    offset: int
    octets: bytes

    def __post_init__(self) -> None:
        in_range(0, _U32, self.offset)
        in_range(1, MAX_UPDATE_DATA, len(self.octets))

    def body(self) -> bytes:
        """Offset and octets."""
        return number(self.offset, 4) + self.octets

    @classmethod
    def parse(cls, octets: Octets) -> Self:
        """Raises `ValueError`."""
        return cls(octets.number(4), octets.rest())

    def result(self, octets: Octets) -> int:
        """The next offset."""
        return octets.number(4)


@dataclass(frozen=True)
class UpdateEnd(Order):
    """Verify the image in its slot."""

    type: ClassVar[int] = 0x33
    patience_s: ClassVar[float] = FLASH_S


@dataclass(frozen=True)
class UpdateBoot(Order):
    """Mark the slot for trial, and restart."""

    type: ClassVar[int] = 0x34
    patience_s: ClassVar[float] = FLASH_S


@dataclass(frozen=True)
class UpdateConfirm(Order):
    """The running image is good."""

    type: ClassVar[int] = 0x35
    patience_s: ClassVar[float] = FLASH_S


@dataclass(frozen=True)
class UpdateCancel(Order):
    """Forget what was begun."""

    type: ClassVar[int] = 0x36
    patience_s: ClassVar[float] = FLASH_S


UpdateRequest = Slots | UpdateBegin | UpdateData | UpdateEnd | UpdateBoot | UpdateConfirm | UpdateCancel
UPDATE_REQUESTS: Final[tuple[type[UpdateRequest], ...]] = (
    Slots,
    UpdateBegin,
    UpdateData,
    UpdateEnd,
    UpdateBoot,
    UpdateConfirm,
    UpdateCancel,
)
