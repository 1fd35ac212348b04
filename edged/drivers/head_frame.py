"""Frames on the line to the head: COBS, CRC-32, kinds. Sans-IO; firmware/PROTOCOL.md §1, §2 and §4."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from edged.drivers.head_traits import Capability, ResetCause, WelcomeFlag
from edged.errors import DecodeError

MAX_PAYLOAD: Final = 240
MAX_LINE: Final = 250
"""Octets between two delimiters, the ending one included (PROTOCOL.md §1)."""

_HEADER: Final = 4
_CRC: Final = 4
_MAX_CONTENT: Final = _HEADER + MAX_PAYLOAD + _CRC
DELIMITER: Final = b"\x00"

MAX_WINDOW: Final = 8
MAX_BOARD: Final = 24
UNIQUE_ID: Final = 12
_WELCOME_FIXED: Final = 32


class Kind(IntEnum):
    """First octet of a frame."""

    HELLO = 0x01
    WELCOME = 0x02
    REFUSED = 0x03
    DATA = 0x10
    ACK = 0x11
    NAK = 0x12
    RESET = 0x13


@dataclass(frozen=True)
class Hello:
    """The host opens a session."""

    session: int
    lowest: int
    highest: int
    window: int

    def __post_init__(self) -> None:
        _session(self.session)
        _require(1 <= self.lowest <= self.highest <= 255 and 1 <= self.window <= MAX_WINDOW)


@dataclass(frozen=True)
class Welcome:
    """The head says who it is.

    Attributes:
        session: of the HELLO that it answers.
        version: of the protocol, chosen.
        window: of the head's receiver, in frames.
        flags: what it says of itself.
        reset_cause: why it started.
        boots: how often it has started.
        unique_id: of the microcontroller, 12 octets.
        firmware: major, minor, patch.
        security_version: anti-rollback counter.
        capabilities: what the board has; bits that this version doesn't know are kept.
        board: its name.
    """

    session: int
    version: int
    window: int
    flags: WelcomeFlag
    reset_cause: ResetCause
    boots: int
    unique_id: bytes
    firmware: tuple[int, int, int]
    security_version: int
    capabilities: Capability
    board: str

    def __post_init__(self) -> None:
        _session(self.session)
        _require(1 <= self.version <= 255 and 1 <= self.window <= MAX_WINDOW)
        _require(0 <= self.flags <= 255 and len(self.unique_id) == UNIQUE_ID)
        _u32(self.boots, self.security_version, self.capabilities)
        major, minor, patch = self.firmware
        _require(0 <= major <= 255 and 0 <= minor <= 255 and 0 <= patch <= 0xFFFF)
        _require(1 <= len(self.board) <= MAX_BOARD)
        _require(self.board.isascii() and self.board.isprintable())


@dataclass(frozen=True)
class Refused:
    """The head knows no version that the host knows."""

    session: int
    lowest: int
    highest: int

    def __post_init__(self) -> None:
        _session(self.session)
        _require(1 <= self.lowest <= self.highest <= 255)


@dataclass(frozen=True)
class Data:
    """One message."""

    session: int
    seq: int
    ack: int
    payload: bytes

    def __post_init__(self) -> None:
        _session(self.session)
        _octets(self.seq, self.ack)
        _require(len(self.payload) <= MAX_PAYLOAD)


@dataclass(frozen=True)
class Ack:
    """Everything before `ack` has come; also the sign of life."""

    session: int
    ack: int

    def __post_init__(self) -> None:
        _session(self.session)
        _octets(self.ack)


@dataclass(frozen=True)
class Nak:
    """A frame was damaged or is missing; go on from `ack`."""

    session: int
    ack: int

    def __post_init__(self) -> None:
        _session(self.session)
        _octets(self.ack)


@dataclass(frozen=True)
class Reset:
    """The head has no such session."""

    session: int

    def __post_init__(self) -> None:
        _session(self.session)


Frame = Hello | Welcome | Refused | Data | Ack | Nak | Reset


@dataclass(frozen=True)
class Damaged:
    """Something between two delimiters was no frame."""


def encode_frame(frame: Frame) -> bytes:
    """The frame as it goes on the line, its ending delimiter included."""
    body = _body(frame)
    return cobs_encode(body + zlib.crc32(body).to_bytes(4, "little")) + DELIMITER


def decode_frame(stuffed: bytes) -> Frame:
    """The frame that stands between two delimiters. Raises `DecodeError` (`reader_head.bad_frame`)."""
    if len(stuffed) >= MAX_LINE:
        raise _bad("length")
    content = cobs_decode(stuffed)
    if not _HEADER + _CRC <= len(content) <= _MAX_CONTENT:
        raise _bad("length")
    body, crc = content[:-_CRC], content[-_CRC:]
    if zlib.crc32(body) != int.from_bytes(crc, "little"):
        raise _bad("crc")
    try:
        return _parse(body)
    except ValueError as error:
        raise _bad("content") from error


def cobs_encode(content: bytes) -> bytes:
    """Consistent Overhead Byte Stuffing of up to 253 octets: no frame is longer, so no block is ever full."""
    assert len(content) <= _MAX_CONTENT
    return b"".join(bytes((len(block) + 1,)) + block for block in content.split(DELIMITER))


def cobs_decode(stuffed: bytes) -> bytes:
    """Undo `cobs_encode`. Raises `DecodeError`."""
    out = bytearray()
    at = 0
    while at < len(stuffed):
        code = stuffed[at]
        block = stuffed[at + 1 : at + code]
        if code == 0 or len(block) != code - 1 or 0 in block:
            raise _bad("cobs")
        out += block
        at += code
        if code != 0xFF and at < len(stuffed):
            out.append(0)
    return bytes(out)


class FrameDecoder:
    """Octets in, frames out; holds at most one frame. What is no frame comes out as `Damaged`, once.

    Attributes:
        good: frames that came whole.
        damaged: what stood where a frame should, and was none.
    """

    def __init__(self) -> None:
        self._held = bytearray()
        self._too_long = False
        self.good = 0
        self.damaged = 0

    def feed(self, data: bytes | bytearray | memoryview) -> list[Frame | Damaged]:
        """What `data` completes, in order. Never raises."""
        *complete, rest = bytes(data).split(DELIMITER)
        found: list[Frame | Damaged] = []
        for piece in complete:
            self._hold(piece)
            if (frame := self._end()) is not None:
                found.append(frame)
        self._hold(rest)
        return found

    def _hold(self, piece: bytes) -> None:
        if self._too_long or len(self._held) + len(piece) >= MAX_LINE:
            self._too_long = True
            self._held.clear()
        else:
            self._held += piece

    def _end(self) -> Frame | Damaged | None:
        content, too_long = bytes(self._held), self._too_long
        self._held.clear()
        self._too_long = False
        if not content and not too_long:
            return None
        try:
            if too_long:
                raise _bad("length")
            frame = decode_frame(content)
        except DecodeError:
            self.damaged += 1
            return Damaged()
        self.good += 1
        return frame


def _body(frame: Frame) -> bytes:
    """Header and payload."""
    match frame:
        case Hello(session, lowest, highest, window):
            return bytes((Kind.HELLO, session, 0, 0, lowest, highest, window))
        case Welcome():
            return bytes((Kind.WELCOME, frame.session, 0, 0)) + _welcome(frame)
        case Refused(session, lowest, highest):
            return bytes((Kind.REFUSED, session, 0, 0, lowest, highest))
        case Data(session, seq, ack, payload):
            return bytes((Kind.DATA, session, seq, ack)) + payload
        case Ack(session, ack):
            return bytes((Kind.ACK, session, 0, ack))
        case Nak(session, ack):
            return bytes((Kind.NAK, session, 0, ack))
        case Reset(session):
            return bytes((Kind.RESET, session, 0, 0))


def _parse(body: bytes) -> Frame:
    """Raises `ValueError`."""
    kind, session, seq, ack = body[:_HEADER]
    payload = body[_HEADER:]
    match Kind(kind):
        case Kind.HELLO:
            _require(len(payload) >= 3)  # a later version may add to it
            return Hello(session, payload[0], payload[1], payload[2])
        case Kind.WELCOME:
            return _parse_welcome(session, payload)
        case Kind.REFUSED:
            _require(len(payload) >= 2)
            return Refused(session, payload[0], payload[1])
        case Kind.DATA:
            return Data(session, seq, ack, payload)
        case Kind.ACK:
            _require(not payload)
            return Ack(session, ack)
        case Kind.NAK:
            _require(not payload)
            return Nak(session, ack)
        case Kind.RESET:
            _require(not payload)
            return Reset(session)


def _welcome(frame: Welcome) -> bytes:
    major, minor, patch = frame.firmware
    return b"".join(
        (
            bytes((frame.version, frame.window, frame.flags, frame.reset_cause)),
            frame.boots.to_bytes(4, "little"),
            frame.unique_id,
            bytes((major, minor)),
            patch.to_bytes(2, "little"),
            frame.security_version.to_bytes(4, "little"),
            int(frame.capabilities).to_bytes(4, "little"),
            frame.board.encode("ascii"),
        )
    )


def _parse_welcome(session: int, payload: bytes) -> Welcome:
    _require(len(payload) > _WELCOME_FIXED)

    def number(at: int, octets: int) -> int:
        return int.from_bytes(payload[at : at + octets], "little")

    return Welcome(
        session=session,
        version=payload[0],
        window=payload[1],
        flags=WelcomeFlag(payload[2]),
        reset_cause=ResetCause(payload[3]),
        boots=number(4, 4),
        unique_id=payload[8:20],
        firmware=(payload[20], payload[21], number(22, 2)),
        security_version=number(24, 4),
        capabilities=Capability(number(28, 4)),
        board=payload[32:].decode("ascii"),
    )


def _require(holds: bool) -> None:
    if not holds:
        raise ValueError("out of range")


def _session(session: int) -> None:
    _require(1 <= session <= 255)


def _octets(*values: int) -> None:
    _require(all(0 <= value <= 255 for value in values))


def _u32(*values: int) -> None:
    _require(all(0 <= value <= 0xFFFFFFFF for value in values))


def _bad(what: str) -> DecodeError:
    return DecodeError("head", "reader_head.bad_frame", what)
