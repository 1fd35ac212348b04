"""How many bytes of backlog may be on their way, so that a fresh verdict waits behind little of it.

Whatever is in flight goes out before what is sent now: through our kernel, the line and the broker. The delay of each
PUBACK tells how long that took; what it exceeds the line's own delay by is the queue ahead. The budget grows while that
queue is short and shrinks when it takes longer than `TARGET_S` (the idea of LEDBAT, RFC 6817). Once in a while
nothing but single publications go out for a moment, to see the line's own delay anew (as LEDBAT++ and BBR do), because
a queue that never empties would pass for a long line.

Takes time as an argument, in seconds of any steady clock; does no I/O.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Hashable

TARGET_S: Final = 0.5
"""What is in flight ahead of a fresh verdict may take this long."""

FIRST_BYTES: Final = 4096
"""Two or three envelopes: on a GPRS line a second or two; a fast line doubles it at every answer."""

MOST_BYTES: Final = 1 << 20
"""Enough for 16 Mbit/s over half a second; beyond it the number of publications is the bound anyway."""

LOOK_S: Final = 30.0
"""The line's own delay is measured anew this often; it costs one round trip."""

SHRINK: Final = 0.5
"""The most that one answer takes off the budget."""


class Budget:
    """The bytes in flight, and how many more there may be."""

    def __init__(self) -> None:
        self._limit = float(FIRST_BYTES)
        self._sent: dict[Hashable, tuple[float, int, bool]] = {}
        self._in_flight = 0
        self._starting = True
        self._base_s: float | None = None
        self._base_at = 0.0
        self._looking = False
        self._shrunk_at = float("-inf")

    @property
    def limit(self) -> int:
        """Bytes of backlog that may be in flight."""
        return int(self._limit)

    @property
    def in_flight(self) -> int:
        """Bytes that are."""
        return self._in_flight

    @property
    def delay_s(self) -> float | None:
        """The line's own delay as last seen; None before the first answer."""
        return self._base_s

    def allows(self, size: int, now: float) -> bool:
        """Whether `size` more bytes of backlog may go out. One publication always may: it measures the line."""
        if not self._sent:
            return True
        if self._base_s is not None and now - self._base_at >= LOOK_S:
            self._looking = True
        return not self._looking and self._in_flight + size <= self._limit

    def sent(self, key: Hashable, size: int, now: float) -> None:
        """A publication is on its way, of backlog or not; only an idle line's first one measures its own delay."""
        self._sent[key] = (now, size, not self._sent)
        self._in_flight += size

    def answered(self, key: Hashable, now: float) -> None:
        """Its PUBACK is here."""
        began, size, alone = self._sent.pop(key)
        before, self._in_flight = self._in_flight, self._in_flight - size
        delay = now - began
        if self._base_s is None or delay < self._base_s or (alone and self._looking):
            self._base_s, self._base_at, self._looking = delay, now, False
        queued = delay - self._base_s
        if queued > TARGET_S:
            self._shrink(began, now, max(SHRINK, TARGET_S / queued))
        elif before >= self._limit / 2 or before + size > self._limit:
            self._grow(size, queued)  # only what was used proves that more would fit

    def _grow(self, size: int, queued: float) -> None:
        if self._starting and queued < TARGET_S / 4:
            self._limit += size
        else:
            self._starting = False
            self._limit += size * min((1 - queued / TARGET_S) * size / self._limit, 1.0)
        self._limit = min(self._limit, float(MOST_BYTES))

    def _shrink(self, began: float, now: float, factor: float) -> None:
        """Once a round: what was sent before the last shrinking has seen the old queue."""
        self._starting = False
        if began >= self._shrunk_at:
            self._shrunk_at = now
            self._limit = max(self._limit * factor, 1.0)
