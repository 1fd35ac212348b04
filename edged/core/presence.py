"""Whether a document lies in the window, and whether it was turned, seen in a few small pictures a second.

With hysteresis: what lies there must be seen twice to have come, and be missed twice to have gone; while a hand moves
in the picture nothing is told.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edged.core.illumination_order import Sight

_COMES: Final = 0.02
_GOES: Final = 0.008
"""Share of the window with structure above which something has come, and below which it has gone. `edged.core.quality`
takes something to lie there from 0.012 on; dust stays below 0.005."""
_STILL: Final = 6.0
"""Mean difference of two pictures' blocks, of 255, up to which nothing moves: noise and flicker have 1 to 3."""
_OTHER: Final = 14.0
"""The same from which it is another page that lies still there; pushed by a finger's breadth one has up to 10."""
_SURE: Final = 2


class Change(Enum):
    """What has happened in the window."""

    PLACED = auto()
    TURNED = auto()
    REMOVED = auto()


class Presence:
    """Told one sight after another, says what has changed."""

    def __init__(self) -> None:
        self.present = False
        self._for = 0
        self._last: NDArray[np.float32] | None = None
        self._page: NDArray[np.float32] | None = None

    def see(self, sight: Sight) -> Change | None:
        """One more look, two to ten a second."""
        last, self._last = self._last, sight.blocks
        still = last is not None and _difference(last, sight.blocks) <= _STILL
        if self.present:
            return self._while_there(sight, still)
        self._for = self._for + 1 if still and sight.covered > _COMES else 0
        if self._for < _SURE:
            return None
        self.present, self._for, self._page = True, 0, sight.blocks
        return Change.PLACED

    def _while_there(self, sight: Sight, still: bool) -> Change | None:
        if sight.covered < _GOES:
            self._for += 1
            if self._for < _SURE:
                return None
            self.present, self._for, self._page = False, 0, None
            return Change.REMOVED
        self._for = 0
        if not still:
            return None
        page, self._page = self._page, sight.blocks
        assert page is not None
        if _difference(page, sight.blocks) <= _OTHER:
            return None
        return Change.TURNED


def _difference(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    return float(np.abs(one - other).mean())
