"""What the protocols of readers of MRZ text have in common. Sans-IO: bytes and the time in; documents and bytes out.

Times are seconds of any clock that doesn't go back.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from typing import ClassVar, Final, NamedTuple

from edged.identity import withheld

Lines = tuple[str, ...]

SHORTEST: Final = 7
"""Characters below which what came is noise on the line and no attempt at a document: DESKO's shortest line."""
MAX_BUFFER: Final = 1024 + 16
"""Bytes of one document with what frames it; DESKO's frames have 1024 at most, the others far less."""
QUIET_S: Final = 0.3
"""Silence after which a document without an end has ended. Keyboards pause up to 30 ms between characters, serial
adapters 16 ms; a hand needs longer for the next swipe."""
PARTIAL_S: Final = 1.0
"""Silence after which a frame that began is given up: at 9600 baud the longest takes as long in all."""

_UNPRINTED: Final = re.compile(rb"[\x00-\x1f\x7f-\xff]")
_ENDS: Final = re.compile(rb"[\r\n]+")


@withheld
class Step(NamedTuple):
    """What follows from what came: documents, as read, and what is to be written to the reader."""

    documents: tuple[Lines, ...] = ()
    write: bytes = b""


class SwipeProtocol(ABC):
    """One protocol on one open port. Holds raw identity between the bytes of one document, and no longer."""

    name: ClassVar[str]
    """As the settings name it."""

    def __init__(self) -> None:
        self.deadline: float | None = None
        """When `passed` is to be called at the latest; None: no need to."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"

    @abstractmethod
    def opened(self, now: float) -> Step:
        """The port was opened; nothing is known of the reader's state."""

    @abstractmethod
    def received(self, data: bytes, now: float) -> Step:
        """Bytes came: any number, in any pieces."""

    @abstractmethod
    def passed(self, now: float) -> Step:
        """Time passed."""

    def closing(self) -> bytes:
        """What is to be written before the port is closed."""
        return b""

    @abstractmethod
    def wipe(self) -> None:
        """Forget what came so far, and overwrite it."""


def lines_of(text: bytes | bytearray) -> Lines | None:
    """Text as lines, without empty ones and control characters; None for what is too short to be a document.

    Bytes outside ASCII become question marks: a reader that sends them has not made out a character.
    """
    lines = (line for line in _ENDS.split(bytes(text)) if line)
    found = tuple(_plain(line) for line in lines)
    kept = tuple(line for line in found if line.strip())
    return kept if sum(map(len, kept)) >= SHORTEST else None


def _plain(line: bytes) -> str:
    return _UNPRINTED.sub(lambda byte: b"?" if byte[0] >= b"\x80" else b"", line).decode("ascii")


def overwrite(buffer: bytearray) -> None:
    """Zero what a document's text stood in, and empty it."""
    buffer[:] = bytes(len(buffer))
    buffer.clear()
