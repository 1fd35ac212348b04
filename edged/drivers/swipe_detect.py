"""Which protocol a reader of text speaks, by what it says first. Sans-IO.

An Elyctis reader says nothing until it is told to, so every reader is told what only that one understands; it answers
at once. An STX begins a DESKO frame, and every other printed character a line of text. Imagers that must be triggered
are never found out: they are named in the settings.
"""

from __future__ import annotations

from typing import Final

from edged.drivers.swipe_desko import STX, DeskoProtocol
from edged.drivers.swipe_elyctis import CONTINUOUS, ElyctisProtocol
from edged.drivers.swipe_lines import LinesProtocol
from edged.drivers.swipe_protocol import PARTIAL_S, Step, SwipeProtocol, overwrite
from edged.drivers.swipe_triggered import HoneywellProtocol, NewlandProtocol

_PRINTED: Final = range(0x20, 0x7F)
_ELYCTIS: Final = b"CI"
"""First letters of what an Elyctis reader says unasked; its lengths' high octet is 0, which no text has."""
AGAIN_S: Final = 5.0
"""Silence after which a reader that has said nothing yet is asked once more."""
_MOST: Final = 64
"""Octets by which it is clear."""


class AutoProtocol(SwipeProtocol):
    """The protocol that the reader turns out to speak; it stays the same until the port is opened again."""

    name = "auto"

    def __init__(self) -> None:
        super().__init__()
        self.found: SwipeProtocol | None = None
        """None as long as the reader has said nothing by which it can be told."""
        self._heard = bytearray()

    def opened(self, now: float) -> Step:
        """Say what only one of them understands."""
        self.deadline = now + AGAIN_S
        return Step(write=CONTINUOUS)

    def received(self, data: bytes, now: float) -> Step:
        """Choose by what came, and hand it on."""
        if self.found is None:
            self._heard += data
            self.found = _choose(self._heard)
            if self.found is None:
                del self._heard[:-_MOST]
                self.deadline = now + PARTIAL_S
                return Step()
            data = bytes(self._heard)
            overwrite(self._heard)
        step = self.found.received(data, now)
        self.deadline = self.found.deadline
        return step

    def passed(self, now: float) -> Step:
        """Forget noise and ask again: a reader that has just been plugged in may not have heard. Or what it does."""
        if self.found is None:
            if self.deadline is None or now < self.deadline:
                return Step()
            self.wipe()
            return self.opened(now)
        step = self.found.passed(now)
        self.deadline = self.found.deadline
        return step

    def closing(self) -> bytes:
        """What the protocol says; nothing to a reader that is not known."""
        return self.found.closing() if self.found is not None else b""

    def wipe(self) -> None:
        """See `SwipeProtocol.wipe`."""
        overwrite(self._heard)
        self.deadline = None
        if self.found is not None:
            self.found.wipe()


def _choose(heard: bytearray) -> SwipeProtocol | None:
    """By the first octets that say something; None until they do."""
    for place, byte in enumerate(heard):
        if byte == STX:
            return DeskoProtocol()
        if byte in _PRINTED:
            if place + 1 == len(heard):
                return None
            if byte in _ELYCTIS and heard[place + 1] == 0:
                return ElyctisProtocol()
            # A printed SODO would be a DESKO frame's: its STX comes next.
            return DeskoProtocol() if heard[place + 1] == STX else LinesProtocol()
    return None


PROTOCOLS: Final[dict[str, type[SwipeProtocol]]] = {
    protocol.name: protocol
    for protocol in (
        AutoProtocol,
        ElyctisProtocol,
        DeskoProtocol,
        LinesProtocol,
        HoneywellProtocol,
        NewlandProtocol,
    )
}
"""By their names in the settings."""
