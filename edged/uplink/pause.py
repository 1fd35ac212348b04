"""Holding the whole uplink back when the broker says that it is too much, not that something is wrong with a message.

Takes time as an argument, in seconds of any steady clock; does no I/O.
"""

from __future__ import annotations

from typing import Final

from edged.uplink.reason_codes import MESSAGE_RATE_TOO_HIGH, QUOTA_EXCEEDED

TOO_MUCH: Final = frozenset({MESSAGE_RATE_TOO_HIGH, QUOTA_EXCEEDED})
"""PUBACK reasons that are about all of us, not about the one message they answer."""

FIRST_S: Final = 1.0
LONGEST_S: Final = 60.0
"""Waits double from the first to the longest; a broker whose quota is free again is found within a minute."""


class Pause:
    """Closed while the broker has enough; then one publication asks whether it has room again."""

    def __init__(self) -> None:
        self._next_s = FIRST_S
        self._until = float("-inf")
        self._asking: bool = False
        self.code: str | None = None
        """Why the uplink is held back, as a code of the message catalogue; None when it isn't."""

    def refused(self, code: str, now: float) -> bool:
        """The broker has enough. Whether that begins a pause: of many answers at once only the first does."""
        if now < self._until:
            return False
        self.code = code
        self._until = now + self._next_s
        self._next_s = min(2 * self._next_s, LONGEST_S)
        self._asking = True
        return True

    def taken(self, now: float) -> None:
        """The broker took something."""
        if now >= self._until:
            self._next_s, self._asking, self.code = FIRST_S, False, None

    def room(self, in_flight: int, now: float) -> int | None:
        """How many publications may be begun because of this; None for any number."""
        if now < self._until:
            return 0
        return max(1 - in_flight, 0) if self._asking else None

    def wait_s(self, now: float) -> float | None:
        """Seconds until the next question may be asked; None when it may be, or nothing is held back."""
        return self._until - now if self._asking and now < self._until else None
