"""Milliseconds by stage, for tuning: nothing is decided by them."""

from __future__ import annotations

import time


class Laps:
    """A stop watch: called with a stage's name when the stage is done."""

    def __init__(self) -> None:
        self.began = self.last = time.perf_counter()
        self.milliseconds: dict[str, float] = {}

    def __call__(self, name: str) -> None:
        """The stage `name` ends here."""
        now = time.perf_counter()
        self.milliseconds[name] = round((now - self.last) * 1000, 3)
        self.last = now

    def finish(self) -> dict[str, float]:
        """All stages, and "total"."""
        self.milliseconds["total"] = round((time.perf_counter() - self.began) * 1000, 3)
        return self.milliseconds
