"""Frames of the SAM protocol (the module that reads Chinese ID cards): bytes in, frames out. Sans-IO.

    request:  AA AA AA 96 69 | length | command parameter [data] | check
    response: AA AA AA 96 69 | length | SW1 SW2 SW3 [data]       | check

The length, two octets, high one first, counts what follows it, the check included. The check is the exclusive or of
everything between the preamble and itself.
"""

from __future__ import annotations

from enum import Enum, auto
from functools import reduce
from operator import xor
from typing import Final

from edged.identity import Identity

PREAMBLE: Final = bytes.fromhex("AA AA AA 96 69")

MAX_LENGTH: Final = 0x0FFF
"""Longest length that is believed: the longest answer there is has 2314; more is noise that looks like one."""

HEADER: Final = len(PREAMBLE) + 2
"""Octets of preamble and length: what travels through an endpoint of its own where USB parts a frame in two."""

_STATUS: Final = 3
_CHECK: Final = 1
_CAPACITY: Final = HEADER + MAX_LENGTH


class Broken(Enum):
    """What came instead of an answer."""

    LENGTH = auto()
    """A length that no answer has."""
    CHECK = auto()
    """A frame whose check doesn't hold."""


class Response(Identity):
    """One answer of the module.

    Attributes:
        sw1, sw2, sw3: the status octets; the third says how it went, the others only add to it.
        data: what came behind them, in a buffer of its own, for `wipe` to overwrite.
    """

    __slots__ = ("data", "sw1", "sw2", "sw3")

    def __init__(self, status: bytes, data: bytearray) -> None:
        self.sw1, self.sw2, self.sw3 = status
        self.data = data

    def wipe(self) -> None:
        """Overwrite the data: a card's text and photo may be in it."""
        self.data[:] = bytes(len(self.data))


def check_of(octets: bytes | bytearray | memoryview) -> int:
    """The exclusive or of `octets`: of a frame, everything behind the preamble but the check itself."""
    return reduce(xor, octets, 0)


def request(command: int, parameter: int, data: bytes = b"") -> bytes:
    """One request as it goes over the wire."""
    counted = (2 + len(data) + _CHECK).to_bytes(2, "big") + bytes((command, parameter)) + data
    return PREAMBLE + counted + bytes((check_of(counted),))


def frame_octets(header: bytes | bytearray | memoryview) -> int | None:
    """How long the frame with this header is in all; None for what is no header, or not yet a whole one."""
    if len(header) < HEADER or bytes(header[: len(PREAMBLE)]) != PREAMBLE:
        return None
    length = int.from_bytes(header[len(PREAMBLE) : HEADER], "big")
    return HEADER + length if _STATUS + _CHECK <= length <= MAX_LENGTH else None


class ResponseParser:
    """Finds answers in what a port delivers, in pieces of any size; noise before a preamble is skipped.

    A frame that is broken is told, and the search goes on right behind its first octet: what was lost may have been
    in the middle, and the next frame already in what came. One buffer of fixed size, overwritten as it is used.
    """

    def __init__(self) -> None:
        self._held = bytearray(_CAPACITY)
        self._filled = 0

    def reset(self) -> None:
        """Forget, and overwrite, what has come so far."""
        self._drop(self._filled)

    def feed(self, octets: bytes | bytearray | memoryview) -> list[Response | Broken]:
        """What the next octets complete, in order."""
        found: list[Response | Broken] = []
        rest = memoryview(octets)
        while rest:
            piece = rest[: _CAPACITY - self._filled]
            self._held[self._filled : self._filled + len(piece)] = piece
            self._filled += len(piece)
            rest = rest[len(piece) :]
            while (one := self._next()) is not None:
                found.append(one)
        return found

    def _next(self) -> Response | Broken | None:
        at = self._held.find(PREAMBLE, 0, self._filled)
        if at < 0:  # its first octets may have come already
            self._drop(max(0, self._filled - len(PREAMBLE) + 1))
            return None
        self._drop(at)
        if self._filled < HEADER:
            return None
        octets = frame_octets(memoryview(self._held)[:HEADER])
        if octets is None:
            self._drop(1)
            return Broken.LENGTH
        if self._filled < octets:
            return None
        body = memoryview(self._held)[len(PREAMBLE) : octets]
        if check_of(body):
            self._drop(1)
            return Broken.CHECK
        found = Response(bytes(body[2 : 2 + _STATUS]), bytearray(body[2 + _STATUS : -_CHECK]))
        self._drop(octets)
        return found

    def _drop(self, octets: int) -> None:
        """Forget the first `octets` and overwrite where the last ones stood."""
        left = self._filled - octets
        self._held[:left] = self._held[octets : self._filled]
        self._held[left : self._filled] = bytes(octets)
        self._filled = left
