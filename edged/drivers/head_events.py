"""Events that the head tells of itself. Sans-IO; firmware/PROTOCOL.md §6."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import ClassVar, Final, Self

from edged.drivers.head_octets import Octets, in_range, number, parsed, require
from edged.errors import DecodeError

AGE_LONGER: Final = 0xFFFFFFFF
"""An age that doesn't fit."""

_U64: Final = (1 << 64) - 1


class Lamp(IntEnum):
    """What the window can be lit with, one at a time."""

    WHITE = 1
    IR_850 = 2
    IR_940 = 3
    UV_365 = 4


class Action(IntEnum):
    """What happened to the button."""

    PRESSED = 1
    RELEASED = 2
    HELD = 3


class Presence(IntEnum):
    """What happened in the window."""

    OUT = 0
    IN = 1
    TURNED = 2


class Fault(IntEnum):
    """What a head finds wrong with itself."""

    LAMP = 0
    OVERHEATED = 1
    SUPPLY_LOW = 2
    BUTTON_STUCK = 3
    PRESENCE_BLIND = 4
    STORE_DAMAGED = 5
    WATCHDOG = 6


@dataclass(frozen=True)
class Button:
    """The button; `press` counts presses since the head's reset, modulo 65 536."""

    type: ClassVar[int] = 0x81
    age_ms: int
    action: Action
    press: int

    def __post_init__(self) -> None:
        in_range(0, AGE_LONGER, self.age_ms)
        in_range(0, 0xFFFF, self.press)

    def body(self) -> bytes:
        """What follows the age."""
        return bytes((self.action,)) + number(self.press, 2)

    @classmethod
    def parse(cls, age_ms: int, octets: Octets) -> Self:
        """Raises `ValueError`."""
        return cls(age_ms, Action(octets.number(1)), octets.number(2))


@dataclass(frozen=True)
class Document:
    """Something was laid in the window, taken away, or turned over."""

    type: ClassVar[int] = 0x82
    age_ms: int
    presence: Presence

    def __post_init__(self) -> None:
        in_range(0, AGE_LONGER, self.age_ms)

    def body(self) -> bytes:
        """What follows the age."""
        return bytes((self.presence,))

    @classmethod
    def parse(cls, age_ms: int, octets: Octets) -> Self:
        """Raises `ValueError`."""
        return cls(age_ms, Presence(octets.number(1)))


@dataclass(frozen=True)
class Cover:
    """The cover was opened or closed."""

    type: ClassVar[int] = 0x83
    age_ms: int
    opened: bool

    def __post_init__(self) -> None:
        in_range(0, AGE_LONGER, self.age_ms)

    def body(self) -> bytes:
        """What follows the age."""
        return bytes((self.opened,))

    @classmethod
    def parse(cls, age_ms: int, octets: Octets) -> Self:
        """Raises `ValueError`."""
        return cls(age_ms, flag(octets))


@dataclass(frozen=True)
class FaultChanged:
    """A fault was found, or is over."""

    type: ClassVar[int] = 0x84
    age_ms: int
    fault: Fault
    raised: bool

    def __post_init__(self) -> None:
        in_range(0, AGE_LONGER, self.age_ms)

    def body(self) -> bytes:
        """What follows the age."""
        return bytes((self.fault, self.raised))

    @classmethod
    def parse(cls, age_ms: int, octets: Octets) -> Self:
        """Raises `ValueError`."""
        return cls(age_ms, Fault(octets.number(1)), flag(octets))


@dataclass(frozen=True)
class Exposed:
    """One step of EXPOSE is over.

    Attributes:
        age_ms: as of every event.
        step: its number, from 1.
        lamp: None for a dark step.
        strobe_us: when the strobe line rose, in the head's time.
        window_us: for how long it was up, as measured.
        complete: False when it was cut short.
    """

    type: ClassVar[int] = 0x85
    age_ms: int
    step: int
    lamp: Lamp | None
    strobe_us: int
    window_us: int
    complete: bool

    def __post_init__(self) -> None:
        in_range(0, AGE_LONGER, self.age_ms, self.window_us)
        in_range(1, 255, self.step)
        in_range(0, _U64, self.strobe_us)

    def body(self) -> bytes:
        """What follows the age."""
        return b"".join(
            (
                bytes((self.step, self.lamp or 0)),
                number(self.strobe_us, 8),
                number(self.window_us, 4),
                bytes((self.complete,)),
            )
        )

    @classmethod
    def parse(cls, age_ms: int, octets: Octets) -> Self:
        """Raises `ValueError`."""
        step, lamp = octets.number(1), lamp_or_dark(octets)
        return cls(age_ms, step, lamp, octets.number(8), octets.number(4), flag(octets))


HeadTold = Button | Document | Cover | FaultChanged | Exposed
_EVENTS: Final[dict[int, type[HeadTold]]] = {
    event.type: event for event in (Button, Document, Cover, FaultChanged, Exposed)
}


def encode_event(event: HeadTold) -> bytes:
    """The message as it stands in a DATA frame."""
    return bytes((event.type,)) + number(event.age_ms, 4) + event.body()


def decode_event(message: bytes) -> HeadTold:
    """The event that a message tells. Raises `DecodeError` (`reader_head.bad_message`)."""
    kind = _EVENTS.get(message[0]) if message else None
    if kind is None:
        raise DecodeError("head", "reader_head.bad_message")
    return parsed(lambda octets: kind.parse(octets.number(4), octets), message[1:])


def flag(octets: Octets) -> bool:
    """One octet that is 0 or 1. Raises `ValueError`."""
    value = octets.number(1)
    require(value <= 1)
    return value == 1


def lamp_or_dark(octets: Octets) -> Lamp | None:
    """One octet that is a lamp's number, or 0. Raises `ValueError`."""
    value = octets.number(1)
    return Lamp(value) if value else None
