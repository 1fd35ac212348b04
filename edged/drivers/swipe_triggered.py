"""Imagers that read when they are told to: Honeywell's, and Newland's and those built alike. Sans-IO.

Known from one public program each: the trigger's bytes, and that lines of text come back. That they read MRZs at all is
a setting of their own, left to whoever sets the reader up. They are told to read when the port is opened, after each
document, and again when nothing came for a while: an imager gives up by itself.
"""

from __future__ import annotations

from typing import Final

from edged.drivers.swipe_lines import LinesProtocol
from edged.drivers.swipe_protocol import Step, SwipeProtocol

AGAIN_S: Final = 5.0
"""Silence after which the imager is told again. Nothing is lost when it still was looking."""

_REPLY_ENDS: Final = frozenset(b"\x05\x06\x15")
"""ENQ, ACK, NAK: what stands before them in the same line is an answer to a command, no document."""
_AFTER_REPLY: Final = b"!.,;\x03"


class _Triggered(SwipeProtocol):
    """Lines of text that come when asked for."""

    _begin: bytes
    _read: bytes
    _end: bytes

    def __init__(self) -> None:
        super().__init__()
        self._lines = LinesProtocol()
        self._again: float | None = None
        self._replied = False

    def opened(self, now: float) -> Step:
        """Tell it to read."""
        return self._after(Step(), now, self._begin + self._read)

    def received(self, data: bytes, now: float) -> Step:
        """Lines, without the answers to commands."""
        documents: tuple[tuple[str, ...], ...] = ()
        for byte in data:
            if byte in _REPLY_ENDS:
                self._lines.wipe()
                self._replied = True
            elif not (self._replied and byte in _AFTER_REPLY):
                self._replied = False
                documents += self._lines.received(bytes((byte,)), now).documents
        return self._after(Step(documents), now, self._read if documents else b"")

    def passed(self, now: float) -> Step:
        """What stands there when it is quiet; and the trigger again."""
        step = self._lines.passed(now)
        late = self._again is not None and now >= self._again and not step.documents
        return self._after(step, now, self._read if late or step.documents else b"")

    def closing(self) -> bytes:
        """Let go of the trigger."""
        return self._end

    def wipe(self) -> None:
        """See `SwipeProtocol.wipe`."""
        self._lines.wipe()

    def _after(self, step: Step, now: float, write: bytes) -> Step:
        if write or self._again is None:
            self._again = now + AGAIN_S
        self.deadline = min(time for time in (self._again, self._lines.deadline) if time is not None)
        return step._replace(write=write)


class HoneywellProtocol(_Triggered):
    """SYN T CR begins to read, SYN U CR ends it."""

    name = "honeywell"
    _begin = b""
    _read = b"\x16T\r"
    _end = b"\x16U\r"


class NewlandProtocol(_Triggered):
    """`7E 01 "0000@…;" 03`: SCNTCE1 lets commands trigger, SCNTRG1 begins to read."""

    name = "newland"
    _begin = b"\x7e\x010000@SCNTCE1;\x03"
    _read = b"\x7e\x010000@SCNTRG1;\x03"
    _end = b""
