"""Requests to the head and its replies, as they stand in DATA frames. Sans-IO; firmware/PROTOCOL.md §5.

A message with a wrong length or a value out of range can't be made (`ValueError`: our own bug) and is a `DecodeError`
(`reader_head.bad_message`) where it comes from the line.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Any, ClassVar, Final, Self

from edged.drivers.head_events import Fault, HeadTold, Lamp, decode_event
from edged.drivers.head_light_messages import Dark, Expose, LightUp, Step
from edged.drivers.head_octets import Octets, in_range, number, parsed, require
from edged.drivers.head_requests import Order, Request
from edged.drivers.head_update_messages import UPDATE_REQUESTS, UpdateRequest
from edged.errors import DecodeError

__all__ = [
    "MAX_RESULT",
    "REPLY",
    "UNKNOWN_TEMPERATURE",
    "AnyRequest",
    "Beep",
    "Counter",
    "CoverState",
    "Dark",
    "Expose",
    "HeadStatus",
    "Indicate",
    "LampLimit",
    "LightUp",
    "Limits",
    "Pattern",
    "Ping",
    "ReadCounters",
    "ReadStatus",
    "Reboot",
    "Reply",
    "Shown",
    "Status",
    "Step",
    "decode_from_head",
    "decode_request",
    "encode_reply",
    "encode_request",
]

REPLY: Final = 0x80
MAX_RESULT: Final = 237
"""A message has 240 octets; three are type, tag and status."""

UNKNOWN_TEMPERATURE: Final = -32768


class Status(IntEnum):
    """How a request went."""

    OK = 0x00
    UNSUPPORTED = 0x01
    BAD_REQUEST = 0x02
    BUSY = 0x03
    LIMIT = 0x04
    HOT = 0x05
    COVER_OPEN = 0x06
    FAULT = 0x07
    FLASH = 0x08
    REFUSED = 0x09
    ORDER = 0x0A


_DETAIL: Final = {Status.LIMIT: 4, Status.FAULT: 1, Status.REFUSED: 1, Status.ORDER: 4}
"""Octets of the number that follows a status other than ok."""


class Shown(IntEnum):
    """What the head's lights tell the clerk."""

    OFF = 0
    READY = 1
    PLACE_DOCUMENT = 2
    READING = 3
    TURN_OVER = 4
    REMOVE = 5
    SUCCESS = 6
    FAILED = 7
    LOOK_AT_SCREEN = 8
    READ_AGAIN = 9
    OFFLINE = 10
    FAULT = 11
    FIND_ME = 12


class Pattern(IntEnum):
    """How the buzzer sounds."""

    SHORT = 1
    DOUBLE = 2
    LONG = 3


class Counter(IntEnum):
    """What a head counts (§6.3)."""

    PRESSES = 0
    PRESSES_DROPPED = 1
    DOCUMENTS = 2
    FRAMES_GOOD = 3
    FRAMES_DAMAGED = 4
    FRAMES_REPEATED = 5
    SESSIONS = 6
    WATCHDOG_RESETS = 7
    EVENTS_DROPPED = 8
    EXPOSURES = 9
    LONGEST_STROBE_ERROR_US = 10


class CoverState(IntEnum):
    """How the cover is."""

    CLOSED = 0
    OPEN = 1
    NO_SWITCH = 2


# --- what can be asked -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Ping(Request[int]):
    """Are you there? The reply is the uptime in ms."""

    type: ClassVar[int] = 0x01

    def result(self, octets: Octets) -> int:
        """Uptime in ms."""
        return octets.number(4)


@dataclass(frozen=True)
class LampLimit:
    """How long a lamp may be lit: at a time, and `duty_permille` of any `window_ms`."""

    lamp: Lamp
    longest_ms: int
    duty_permille: int
    window_ms: int


@dataclass(frozen=True)
class Limits(Request[tuple[LampLimit, ...]]):
    """The limits of each lamp that the board has."""

    type: ClassVar[int] = 0x02

    def result(self, octets: Octets) -> tuple[LampLimit, ...]:
        """One for each lamp."""
        found = []
        while octets.left:
            lamp = Lamp(octets.number(1))
            found.append(LampLimit(lamp, octets.number(2), octets.number(2), octets.number(4)))
        return tuple(found)


@dataclass(frozen=True)
class HeadStatus:
    """How the head is.

    Attributes:
        document_present: whether something lies in the window.
        cover: open, closed, or nobody knows.
        button_down: whether somebody presses it.
        lamps: those that are lit.
        faults: those that are raised.
        temperature_c: None where there is no sensor.
        supply_mv: None where it isn't measured.
        uptime_ms: since the last reset, modulo 2^32.
    """

    document_present: bool
    cover: CoverState
    button_down: bool
    lamps: frozenset[Lamp]
    faults: frozenset[Fault]
    temperature_c: float | None
    supply_mv: int | None
    uptime_ms: int


@dataclass(frozen=True)
class ReadStatus(Request[HeadStatus]):
    """How the head is now."""

    type: ClassVar[int] = 0x03

    def result(self, octets: Octets) -> HeadStatus:
        """All of it."""
        present, cover, button = octets.number(1), CoverState(octets.number(1)), octets.number(1)
        in_range(0, 1, present, button)
        lamps, faults = _bits(octets.number(1)), _bits(octets.number(4))
        temperature, supply = octets.number(2, signed=True), octets.number(2)
        return HeadStatus(
            document_present=present == 1,
            cover=cover,
            button_down=button == 1,
            lamps=frozenset(map(Lamp, lamps)),
            faults=frozenset(map(Fault, faults)),
            temperature_c=None if temperature == UNKNOWN_TEMPERATURE else temperature / 10,
            supply_mv=supply or None,
            uptime_ms=octets.number(4),
        )


@dataclass(frozen=True)
class ReadCounters(Request[dict[int, int]]):
    """What the head has counted: by `Counter`, or by its number where this version doesn't know it."""

    type: ClassVar[int] = 0x04

    def result(self, octets: Octets) -> dict[int, int]:
        """Number of the counter to its value."""
        counters = {}
        while octets.left:
            counter = octets.number(1)
            counters[counter] = octets.number(4)
        return counters


@dataclass(frozen=True)
class Indicate(Order):
    """Show the clerk where things stand."""

    type: ClassVar[int] = 0x20
    shown: Shown

    def body(self) -> bytes:
        """What is shown."""
        return bytes((self.shown,))

    @classmethod
    def parse(cls, octets: Octets) -> Self:
        """Raises `ValueError`."""
        return cls(Shown(octets.number(1)))


@dataclass(frozen=True)
class Beep(Order):
    """Sound the buzzer."""

    type: ClassVar[int] = 0x21
    pattern: Pattern

    def body(self) -> bytes:
        """How it sounds."""
        return bytes((self.pattern,))

    @classmethod
    def parse(cls, octets: Octets) -> Self:
        """Raises `ValueError`."""
        return cls(Pattern(octets.number(1)))


@dataclass(frozen=True)
class Reboot(Order):
    """Start again."""

    type: ClassVar[int] = 0x3F


AnyRequest = (
    Ping
    | Limits
    | ReadStatus
    | ReadCounters
    | LightUp
    | Expose
    | Dark
    | Indicate
    | Beep
    | Reboot
    | UpdateRequest
)
_ASKED: Final[tuple[type[AnyRequest], ...]] = (
    *(Ping, Limits, ReadStatus, ReadCounters, LightUp, Expose, Dark, Indicate, Beep, Reboot),
    *UPDATE_REQUESTS,
)
_REQUESTS: Final[dict[int, type[AnyRequest]]] = {kind.type: kind for kind in _ASKED}


def encode_request(tag: int, request: Request[Any]) -> bytes:
    """The message as it stands in a DATA frame."""
    return bytes((request.type, tag)) + request.body()


def decode_request(message: bytes) -> tuple[int, AnyRequest]:
    """Tag and request. Raises `DecodeError` (`reader_head.bad_message`)."""
    kind = _REQUESTS.get(message[0]) if message else None
    if kind is None:
        raise DecodeError("head", "reader_head.bad_message")
    return parsed(lambda octets: (octets.number(1), kind.parse(octets)), message[1:])


# --- what the head says ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Reply:
    """How the request with this tag went; `result` is read by the request (`Request.decode_result`).

    Attributes:
        tag: of the request.
        status: ok, or why not.
        result: what an ok says.
        detail: the number behind a status that has one: wait in ms, fault, reason, or offset.
    """

    tag: int
    status: Status
    result: bytes = b""
    detail: int | None = None

    def __post_init__(self) -> None:
        in_range(0, 255, self.tag)
        in_range(0, MAX_RESULT, len(self.result))
        require(self.status is Status.OK or not self.result)
        octets = _DETAIL.get(self.status)
        require((self.detail is not None) == (octets is not None))
        if self.detail is not None and octets is not None:
            in_range(0, (1 << 8 * octets) - 1, self.detail)


def encode_reply(reply: Reply) -> bytes:
    """The message as it stands in a DATA frame."""
    detail = b"" if reply.detail is None else number(reply.detail, _DETAIL[reply.status])
    return bytes((REPLY, reply.tag, reply.status)) + detail + reply.result


def decode_from_head(message: bytes) -> Reply | HeadTold:
    """A reply or an event. Raises `DecodeError` (`reader_head.bad_message`)."""
    return parsed(_reply, message[1:]) if message[:1] == bytes((REPLY,)) else decode_event(message)


def _reply(octets: Octets) -> Reply:
    tag, status = octets.number(1), Status(octets.number(1))
    if status is Status.OK:
        return Reply(tag, status, octets.rest())
    detail = _DETAIL.get(status)
    return Reply(tag, status, detail=None if detail is None else octets.number(detail))


def _bits(value: int) -> list[int]:
    return [bit for bit in range(value.bit_length()) if value >> bit & 1]
