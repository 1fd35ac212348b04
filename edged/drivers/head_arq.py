"""Go-back-N, one direction each: what is sent until it is acknowledged, what is taken in order. Sans-IO.

firmware/PROTOCOL.md §3.
"""

from __future__ import annotations

from collections import deque
from typing import Final

SEQUENCE: Final = 256
REPEAT_S: Final = 0.2
LONGEST_REPEAT_S: Final = 1.6
ACK_S: Final = 0.010
BETWEEN_REPETITIONS_S: Final = 0.020
WINDOW: Final = 8
"""Frames that this side takes before it acknowledges; it takes them as fast as they come."""

HAD: Final = 128
"""How far back a number counts as one that was had."""


class Sender:
    """Messages out: numbered, at most `window` unacknowledged, repeated until they are.

    What waits is bounded by whoever puts it (16 requests without a reply).

    Attributes:
        repeated: frames that were sent again.
    """

    def __init__(self) -> None:
        self.repeated = 0
        self.begin(1)

    def begin(self, window: int) -> None:
        """A new session: forget everything."""
        self._window = window
        self._base = 0
        self._on_the_way = 0
        self._next = 0
        self._messages: deque[bytes] = deque()
        self._repeat_s = REPEAT_S
        self._repeat_at: float | None = None
        self._repeated_at = float("-inf")

    def put(self, message: bytes) -> None:
        """Send this after what was put before."""
        self._messages.append(message)

    @property
    def deadline(self) -> float | None:
        """When `tick` is due; None when everything is acknowledged."""
        return self._repeat_at

    def due(self, now: float) -> list[tuple[int, bytes, bool]]:
        """What is to be sent now: its number, the message, whether it has been sent before."""
        until = min(len(self._messages), self._window)
        frames = [
            ((self._base + at) % SEQUENCE, self._messages[at], at < self._on_the_way)
            for at in range(self._next, until)
        ]
        self._next = until
        self._on_the_way = max(self._on_the_way, until)
        if frames and self._repeat_at is None:
            self._repeat_at = now + self._repeat_s
        return frames

    def acknowledged(self, ack: int, now: float) -> bool:
        """The other side expects `ack` next. False when it acknowledges what was never sent."""
        ahead = (ack - self._base) % SEQUENCE
        if ahead > self._on_the_way:
            return SEQUENCE - ahead <= HAD  # an old one, that was late
        if ahead:
            for _ in range(ahead):
                self._messages.popleft()
            self._base = ack
            self._on_the_way -= ahead
            self._next = max(0, self._next - ahead)
            self._repeat_s = REPEAT_S
            self._repeat_at = now + self._repeat_s if self._on_the_way else None
        return True

    def asked_to_repeat(self, now: float) -> None:
        """A NAK came."""
        if now >= self._repeated_at + BETWEEN_REPETITIONS_S:
            self._repeat(now)

    def tick(self, now: float) -> None:
        """Repeat when nothing new has been acknowledged for too long."""
        if self._repeat_at is not None and now >= self._repeat_at:
            self._repeat_s = min(self._repeat_s * 2, LONGEST_REPEAT_S)
            self._repeat(now)

    def _repeat(self, now: float) -> None:
        if not self._on_the_way:
            return
        self.repeated += self._on_the_way
        self._next = 0
        self._repeated_at = now
        self._repeat_at = now + self._repeat_s


class Receiver:
    """Messages in: taken in order, acknowledged soon, asked for again when one is missing.

    Attributes:
        window: frames that may be on their way to this side.
        expected: number of the next frame.
        wants_repetition: whether a NAK is to be sent now.
        deadline: when an ACK is due; None when nothing has to be acknowledged.
    """

    window: Final = WINDOW

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """A new session: forget everything."""
        self.expected = 0
        self.wants_repetition = False
        self.deadline: float | None = None
        self._asked = False

    def take(self, seq: int, now: float) -> bool:
        """Whether the frame with this number is the next one, and its message news."""
        if seq == self.expected:
            self.expected = (self.expected + 1) % SEQUENCE
            self._asked = self.wants_repetition = False
            self.deadline = now + ACK_S if self.deadline is None else self.deadline
            return True
        if (self.expected - seq) % SEQUENCE <= HAD:
            self.deadline = now  # its acknowledgement was lost
        else:
            self.damaged()
        return False

    def damaged(self) -> None:
        """A frame is missing, or came damaged: ask for it, once until it comes."""
        if not self._asked:
            self._asked = self.wants_repetition = True

    def wants_ack(self, now: float) -> bool:
        """Whether an ACK is to be sent now."""
        return self.deadline is not None and now >= self.deadline

    def told(self, *, repetition: bool) -> None:
        """A frame with `expected` was sent; a NAK asked for `repetition`."""
        self.deadline = None
        if repetition:
            self.wants_repetition = False
