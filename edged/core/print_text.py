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
_PLACE: Final = {char: place for place, char in enumerate(PRINTED)}
_SEPARATORS: Final = slice(36, OTHER)
_NEGLIGIBLE: Final = 0.05


class Places:
    """The shares of a line's places, folded.

    Attributes:
        of: (n, 39) by character, as `PRINTED` orders them.
        figures: for each place the likeliest figure and its share.
        figure_alone: for each place the share of all figures, letters that look like them not counted.
        separator, other: for each place the share of `./-`, and of other signs.
    """

    __slots__ = ("_rows", "figure_alone", "figures", "line", "of", "other", "separator")

    def __init__(self, line: PrintLine) -> None:
        self.line = line
        self.of: NDArray[np.float32] = line.shares @ _FOLD
        self._rows: list[list[float]] = self.of.tolist()
        best = self.of[:, :10].argmax(axis=1)
        self.figures: list[tuple[int, float]] = [
            (int(figure), row[figure]) for figure, row in zip(best, self._rows, strict=True)
        ]
        self.figure_alone: list[float] = line.shares[:, :10].sum(axis=1).tolist()
        self.separator: list[float] = line.shares[:, _SEPARATORS].sum(axis=1).tolist()
        self.other: list[float] = line.shares[:, OTHER].tolist()

    def __len__(self) -> int:
        return len(self._rows)

    def word(self, start: int, word: str) -> float:
        """The least share of a word's letters from a place on; 0 where it doesn't fit."""
        rows = self._rows
        if start + len(word) > len(rows):
            return 0.0
        least = 1.0
        for row, char in zip(rows[start : start + len(word)], word, strict=True):
            share = row[_PLACE[char]]
            if share < least:
                least = share
                if least < _NEGLIGIBLE:
                    return 0.0
        return least
