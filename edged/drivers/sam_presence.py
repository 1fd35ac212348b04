"""Whether a card lies on a SAM module, out of the answers to "is there a card?". Sans-IO.

Most modules find a card until they have read it, and then no more until it is lifted and laid down again. Others go on
finding it. So a card that was read and is still found is the same one; one that isn't found any more counts as taken
away, although on most modules it may still lie there.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import Final

from edged.events import IdCardPlaced, IdCardRemoved

MISSES: Final = 2
"""So many times in a row an unread card isn't found until it counts as taken away: a field has dead spots."""


class _State(Enum):
    EMPTY = auto()
    LIES = auto()
    READ = auto()


class Presence:
    """One module's; each method returns what happened thereby."""

    def __init__(self) -> None:
        self._state = _State.EMPTY
        self._missed = 0

    @property
    def unread(self) -> bool:
        """Whether a card lies there that was not read yet."""
        return self._state is _State.LIES

    def looked(self, found: bool) -> tuple[IdCardPlaced | IdCardRemoved, ...]:
        """The module was asked and finds a card, or none."""
        if found:
            self._missed = 0
            if self._state is not _State.EMPTY:
                return ()
            self._state = _State.LIES
            return (IdCardPlaced(),)
        self._missed += 1
        if self._state is _State.LIES and self._missed < MISSES:
            return ()
        return self.gone()

    def was_read(self) -> tuple[IdCardPlaced | IdCardRemoved, ...]:
        """A card was read; it may have been laid down since the module was asked last."""
        placed = (IdCardPlaced(),) if self._state is _State.EMPTY else ()
        self._state, self._missed = _State.READ, 0
        return placed

    def gone(self) -> tuple[IdCardPlaced | IdCardRemoved, ...]:
        """Nothing lies there, for certain: it was told that there is none, or the module itself is gone."""
        lay = self._state is not _State.EMPTY
        self._state, self._missed = _State.EMPTY, 0
        return (IdCardRemoved(),) if lay else ()
