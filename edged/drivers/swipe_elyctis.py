"""Elyctis ID BOX, Scanner Command Set 1.7. Sans-IO.

Every message, either way, is a letter, two octets of length (high first) and as many of data. `C 00 01 01` begins
continuous reading and is echoed; the reader then sends `I` with the lines of each document that is put in. It ends
continuous reading itself after a good one, so it is asked for again each time. Of presence detection the opcode is not
known to us; it excludes continuous reading, which we use, and its messages would be passed over.
"""

from __future__ import annotations

from typing import Final

from edged.drivers.swipe_protocol import (
    PARTIAL_S,
    Lines,
    Step,
    SwipeProtocol,
    lines_of,
    overwrite,
)

CONTINUOUS: Final = b"C\x00\x01\x01"
_STOP: Final = b"C\x00\x01\x00"
_DOCUMENTS: Final = b"IL"
"""Answers to an inquiry, what continuous reading sends, and the lines of a single one."""
_KNOWN: Final = b"ILCVWRT"
"""Beside them the echo, and answers that tell versions, serial number and product."""
_HEADER: Final = 3
_LONGEST: Final = 256
"""Octets of data: an MRZ with its line ends has 98."""
ECHO_S: Final = 2.0
"""For the echo of a command; it comes at once, and a reader that starts takes a second."""
LEFT_IN_S: Final = 2.0
"""The same lines again without so much time between is the same document, left in the slot: it was read already."""


class ElyctisProtocol(SwipeProtocol):
    """An Elyctis reader, kept in continuous reading."""

    name = "elyctis"

    def __init__(self) -> None:
        super().__init__()
        self._buffer = bytearray()
        self._partial: float | None = None
        self._echo: float | None = None
        self._last: tuple[int, float] | None = None

    def opened(self, now: float) -> Step:
        """Ask for continuous reading."""
        return Step(write=self._ask(now))

    def received(self, data: bytes, now: float) -> Step:
        """Take messages off what came; what can't begin one is passed over octet by octet."""
        found: list[Lines] = []
        write = b""
        self._buffer += data
        while len(self._buffer) >= _HEADER:
            length = int.from_bytes(self._buffer[1:_HEADER], "big")
            if self._buffer[0] not in _KNOWN or length > _LONGEST:
                del self._buffer[0]
                continue
            if len(self._buffer) < _HEADER + length:
                break
            write += self._message(self._buffer[0], self._buffer[_HEADER : _HEADER + length], found, now)
            self._buffer[: _HEADER + length] = bytes(_HEADER + length)
            del self._buffer[: _HEADER + length]
        self._partial = now + PARTIAL_S if self._buffer else None
        self._due()
        return Step(tuple(found), write)

    def passed(self, now: float) -> Step:
        """Give up half a message; ask again where no echo came."""
        write = b""
        if self._partial is not None and now >= self._partial:
            self.wipe()
        if self._echo is not None and now >= self._echo:
            write = self._ask(now)
        self._due()
        return Step(write=write)

    def closing(self) -> bytes:
        """End continuous reading: nobody listens."""
        return _STOP

    def wipe(self) -> None:
        """See `SwipeProtocol.wipe`."""
        overwrite(self._buffer)
        self._partial = None

    def _ask(self, now: float) -> bytes:
        self._echo = now + ECHO_S
        self._due()
        return CONTINUOUS

    def _message(self, kind: int, data: bytearray, found: list[Lines], now: float) -> bytes:
        if kind == CONTINUOUS[0] and data == CONTINUOUS[_HEADER:]:
            self._echo = None
        if kind not in _DOCUMENTS:
            return b""
        lines = lines_of(data)
        overwrite(data)
        if lines is not None and not self._left_in(lines, now):
            found.append(lines)
        return self._ask(now)

    def _left_in(self, lines: Lines, now: float) -> bool:
        """Whether these are the lines of the document before, which nobody has taken out yet."""
        seen = hash(lines)  # with this process' secret: the lines themselves aren't kept
        same = self._last is not None and self._last[0] == seen and now < self._last[1] + LEFT_IN_S
        self._last = (seen, now)
        return same

    def _due(self) -> None:
        times = [time for time in (self._partial, self._echo) if time is not None]
        self.deadline = min(times, default=None)
