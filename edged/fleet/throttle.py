"""How often one address may come: a bucket of turns an address, that fills while nobody comes. Time is an argument."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

MAX_ADDRESSES: Final = 4096
"""Addresses remembered at once; whoever was away longest is forgotten, and begins with a full bucket again."""


class Throttle:
    """Lets each address have `burst` turns at once and one more every `every_s` seconds."""

    def __init__(self, burst: int, every_s: float) -> None:
        self._burst = burst
        self._every_s = every_s
        self._full_at: OrderedDict[str, float] = OrderedDict()
        """When each address's bucket would be full again."""

    def allows(self, address: str, now: float) -> bool:
        """Whether `address` has a turn left at `now` (seconds of a clock that only goes on); takes none."""
        return self._full_at.get(address, now) - now <= (self._burst - 1) * self._every_s

    def take(self, address: str, now: float) -> bool:
        """Take a turn, if one is left."""
        if not self.allows(address, now):
            return False
        self._full_at[address] = max(self._full_at.get(address, now), now) + self._every_s
        self._full_at.move_to_end(address)
        while len(self._full_at) > MAX_ADDRESSES:
            self._full_at.popitem(last=False)
        return True
