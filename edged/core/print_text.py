"""What a printed line's places may be taken for: figures and letters that look alike count for one another.

Many faces print the figure 0 as the letter O, 1 as I: where a date must have a figure, an O is one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from edged.core.print_reader import OTHER, PRINTED

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edged.core.print_reader import PrintLine

_ALIKE: Final = ("0OQD", "1IL", "2Z", "5S", "8B", "6G")


def _folding() -> NDArray[np.float32]:
    """(classes, characters): which classes count for each of `PRINTED`."""
    fold = np.zeros((OTHER + 1, len(PRINTED)), np.float32)
    np.fill_diagonal(fold, 1.0)
    for group in _ALIKE:
        figure = PRINTED.index(group[0])
        for letter in group[1:]:
            fold[PRINTED.index(letter), figure] = fold[figure, PRINTED.index(letter)] = 1.0
    for pair in ("OQ", "OD", "IL"):
        first, second = map(PRINTED.index, pair)
        fold[first, second] = fold[second, first] = 1.0
    return fold


_FOLD: Final = _folding()
_SEPARATORS: Final = slice(36, OTHER)


class Places:
    """The shares of a line's places, folded: `of` (n, 39) by character, `figure` (n, 10), `separator` and `other`
    (n,)."""

    __slots__ = ("figure", "figure_alone", "line", "of", "other", "separator")

    def __init__(self, line: PrintLine) -> None:
        self.line = line
        self.of: NDArray[np.float32] = line.shares @ _FOLD
        self.figure: NDArray[np.float32] = self.of[:, :10]
        self.figure_alone: NDArray[np.float32] = line.shares[:, :10].sum(axis=1)
        self.separator: NDArray[np.float32] = line.shares[:, _SEPARATORS].sum(axis=1)
        self.other: NDArray[np.float32] = line.shares[:, OTHER]

    def __len__(self) -> int:
        return len(self.line)

    def word(self, start: int, word: str) -> float:
        """The least share of a word's letters from a place on; 0 where it doesn't fit."""
        if start + len(word) > len(self):
            return 0.0
        least = 1.0
        for i, char in enumerate(word):
            least = min(least, float(self.of[start + i, PRINTED.index(char)]))
            if least < 0.05:
                return 0.0
        return least
