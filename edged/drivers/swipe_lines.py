"""Readers that send an MRZ as lines of text, and keyboard wedges. Sans-IO.

Line ends are CR, LF or both; the last line may have none. Two lines of 36 or 44 characters, three of 30 and merged ones
of 72, 88 and 90 are complete with their last line's end; anything else is when the reader has fallen silent: a single
line of 30 may be a permit's, or the first of three.
"""

from __future__ import annotations

from typing import Final

from edged.drivers.swipe_protocol import (
    MAX_BUFFER,
    QUIET_S,
    Lines,
    Step,
    SwipeProtocol,
    lines_of,
    overwrite,
)

_COMPLETE: Final = frozenset(((36, 36), (44, 44), (30, 30, 30), (72,), (88,), (90,)))
_LINE_ENDS: Final = b"\r\n"


class LinesProtocol(SwipeProtocol):
    """Lines of text, with nothing around them; nothing is ever sent to the reader."""

    name = "lines"

    def __init__(self) -> None:
        super().__init__()
        self._buffer = bytearray()
        self._flooded = False

    def opened(self, now: float) -> Step:  # noqa: ARG002 - nothing depends on it
        """Nothing to be asked."""
        return Step()

    def received(self, data: bytes, now: float) -> Step:
        """Collect, and deliver what is complete."""
        found: list[Lines] = []
        for byte in data:
            if self._flooded:
                break
            self._buffer.append(byte)
            if byte in _LINE_ENDS:
                self._deliver(found, only_complete=True)
            if len(self._buffer) > MAX_BUFFER:  # no reader says so much at once: ignored until it is quiet
                self._flooded = True
                overwrite(self._buffer)
        self.deadline = now + QUIET_S if self._buffer or self._flooded else None
        return Step(tuple(found))

    def passed(self, now: float) -> Step:
        """Deliver what stands there, once it is quiet."""
        found: list[Lines] = []
        if self.deadline is not None and now >= self.deadline:
            self._deliver(found)
            self.wipe()
        return Step(tuple(found))

    def _deliver(self, found: list[Lines], *, only_complete: bool = False) -> None:
        lines = lines_of(self._buffer)
        if lines is not None and (not only_complete or tuple(map(len, lines)) in _COMPLETE):
            found.append(lines)
            overwrite(self._buffer)

    def wipe(self) -> None:
        """See `SwipeProtocol.wipe`."""
        overwrite(self._buffer)
        self._flooded = False
        self.deadline = None
