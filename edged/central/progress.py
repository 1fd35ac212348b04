"""A collector's batches as lines fit for reading: each at once while few come, one line an interval while many do.

Takes time as an argument, does no I/O.
"""

from __future__ import annotations

from typing import Final

from edged.central.events import Batch

EVERY_S: Final = 5.0
"""Seconds between lines while it is busy: read by eyes."""


class Progress:
    """Adds batches up. `now` is any clock's seconds that never go back."""

    def __init__(self, now: float) -> None:
        self._said_at = now - EVERY_S
        self._began = now
        self._sum: Batch | None = None

    def add(self, batch: Batch, now: float) -> Batch | None:
        """What to say now that `batch` has come; None: later."""
        if self._sum is None:
            self._began = now
            self._sum = batch
        else:
            self._sum = Batch(
                self._sum.stored + batch.stored,
                self._sum.duplicates + batch.duplicates,
                self._sum.refused + batch.refused,
                self._sum.gaps + batch.gaps,
            )
        return self.due(now)

    def due(self, now: float) -> Batch | None:
        """What has come since the last line, once that is long enough ago; None: nothing, or later."""
        if self._sum is None or now - self._said_at < EVERY_S:
            return None
        total, self._sum, self._said_at = self._sum, None, now
        return Batch(total.stored, total.duplicates, total.refused, total.gaps, round(now - self._began, 3))
