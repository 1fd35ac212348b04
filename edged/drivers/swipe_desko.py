"""DESKO's serial protocol for CUTE (document 7 000 310 001, release 2.12). Sans-IO.

A document is SODO STX line CR line CR [line CR] ETX EODO. Which bytes SODO and EODO are is not known here: a frame is
taken by its STX and ETX, and what stands outside is passed over. The same port carries magnetic stripes and bar codes
in frames of the same build; only one to three lines of 7 to 44 characters, each with its CR, are an MRZ. A character
that was not recognised is replaced, and stands there as it came.
"""

from __future__ import annotations

from typing import Final

from edged.drivers.swipe_protocol import (
    MAX_BUFFER,
    PARTIAL_S,
    Lines,
    Step,
    SwipeProtocol,
    lines_of,
    overwrite,
)

STX: Final = 0x02
_ETX: Final = 0x03
_LENGTHS: Final = range(7, 45)
_MOST_LINES: Final = 3


class DeskoProtocol(SwipeProtocol):
    """Frames of a DESKO reader; nothing is ever sent to it."""

    name = "desko"

    def __init__(self) -> None:
        super().__init__()
        self._frame: bytearray | None = None

    def opened(self, now: float) -> Step:  # noqa: ARG002 - nothing depends on it
        """Nothing to be asked."""
        return Step()

    def received(self, data: bytes, now: float) -> Step:
        """Collect the frame, and deliver its lines at its end."""
        found: list[Lines] = []
        for byte in data:
            if byte == STX:  # the frame before never ended
                self.wipe()
                self._frame = bytearray()
            elif self._frame is None:
                continue
            elif byte == _ETX:
                lines = _mrz(self._frame)
                if lines is not None:
                    found.append(lines)
                self.wipe()
            elif len(self._frame) >= MAX_BUFFER:
                self.wipe()
            else:
                self._frame.append(byte)
        self.deadline = None if self._frame is None else now + PARTIAL_S
        return Step(tuple(found))

    def passed(self, now: float) -> Step:
        """Give up a frame that doesn't go on: half a document is none."""
        if self.deadline is not None and now >= self.deadline:
            self.wipe()
        return Step()

    def wipe(self) -> None:
        """See `SwipeProtocol.wipe`."""
        if self._frame is not None:
            overwrite(self._frame)
        self._frame = None
        self.deadline = None


def _mrz(frame: bytearray) -> Lines | None:
    """The lines of an optical reader's frame; None for another device's."""
    lines = lines_of(frame)
    if lines is None or not frame.endswith(b"\r"):
        return None
    return lines if len(lines) <= _MOST_LINES and all(len(line) in _LENGTHS for line in lines) else None
