"""O and 0 of a page whose face has them the other way round, told by the page's own print.

OCR-B's 0 is nearly the O of some typewriters, and its O their 0: one line reader can't know both. A page can: the
digits of its dates are digits and the letters of its names letters, whatever they look like, and what one press prints
twice looks the same twice. Where such a page is seen, what the line reader says of O and 0 counts for nothing, and each
is compared with those whose place has room for only one of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from edged.core import ocr
from edged.core.again import first_cell
from edged.core.lattice import room
from edged.core.ocr import ALPHABET
from edged.core.shape import by_line, within
from edged.core.strip import STRIP_CAP, STRIP_HEIGHT, cut
from edged.core.vision import cv2

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from edged.core.lattice import Decision
    from edged.core.shape import Reading

_TWINS: Final = "O0"
_CLASSES: Final = [ALPHABET.index(char) for char in _TWINS]
_SURE: Final = 0.98
"""Confidence from which a character is an example of its kind."""
_FEWEST: Final = 2
"""Examples of one kind that tell how a page's face has it; of both together one is enough."""
_MOST_PLACES: Final = 12
_MOST_EXAMPLES: Final = 8
"""Places weighed on a page and examples of each: bounds the time."""
_PITCH: Final = 17.5
_SIZE: Final = (16, 24)
_REACH: Final = (5, 3)
"""Pixels from character to character; of a character looked at, across and down; and by how much it may lie beside its
place."""
_SCATTER: Final = 0.03
_MOST_SCATTER: Final = 0.12
"""Least scatter of likeness among examples, since a few may be alike by chance, and the most they may have: beyond it
they are worn, or not where they were looked for."""
_STRANGER: Final = 0.86
_STRANGEST: Final = 0.45
"""Likeness of an O and a 0 where a page has examples of one only, and the least where it has both: 0.83 on average in
OCR-B and in Latin Modern, 0.56 in Courier. What is less alike was not looked at rightly."""
_CLEAR: Final = 0.06
"""How much more alike examples must be to each other than to the others, to tell anything."""
_MOST: Final = 6.0
_MOST_ALONE: Final = 3.0
"""Natural logarithm of the most the comparison says, with examples of both and of one only: dirt makes a character
unlike anything."""
_TOLD: Final = 4.0
"""What it must say for the character to be sure: more than examples of one kind alone can."""


def swapped(cells: Sequence[NDArray[np.float32]], decision: Decision) -> bool:
    """Whether this page's O looks like another face's 0, or its 0 like an O.

    So it is where there is room for one of them only, and the line reader saw the other. `cells` has one (characters,
    classes) array a line: what was read for the decision.
    """
    shares = np.concatenate(list(cells))
    certain, _ = _places(decision)
    amiss = [
        [float(shares[i, twin] - shares[i, mine]) for i in at]
        for at, mine, twin in zip(certain, _CLASSES, _CLASSES[::-1], strict=True)
    ]
    if any(len(kind) >= _FEWEST and sum(kind) > 0 for kind in amiss):
        return True
    return sum(amiss[0]) + sum(amiss[1]) > 0


def settled(grey: NDArray[np.uint8], reading: Reading, decision: Decision) -> Reading:
    """The reading of a `swapped` page with the shares of O and 0 as its own print tells them.

    Where it doesn't tell surely, or no check digit speaks for what it tells, the character is `fouled`: it isn't sure.
    """
    certain, open_ = _places(decision)
    if not open_:
        return reading
    pictures = _pictures(grey, reading)
    letters, zeros = (
        [pictures[i] for i in at if decision.confidence[i] >= _SURE][:_MOST_EXAMPLES] for at in certain
    )
    scale = _Scale.of(letters, zeros)
    cells, fouled = np.concatenate(reading.cells), reading.fouled.copy()
    for rank, i in enumerate(open_):
        weight = scale.weight(pictures[i]) if rank < _MOST_PLACES else 0.0
        share = 1 / (1 + np.exp(-weight))
        cells[i, _CLASSES] = cells[i, _CLASSES].sum() * np.array([share, 1 - share])
        fouled[i] |= abs(weight) < _TOLD or not decision.covered[i]
    return reading._replace(cells=by_line(cells, reading.cells), fouled=fouled)


def _places(decision: Decision) -> tuple[list[list[int]], list[int]]:
    """Where O stands and there is no room for 0, the same for 0; and where one of them stands and either may."""
    certain: list[list[int]] = [[], []]
    open_: list[int] = []
    has = room(decision.format)
    for i, char in enumerate("".join(decision.lines)):
        if char in _TWINS:
            mine = _TWINS.index(char)
            (open_ if has[i, _CLASSES[1 - mine]] else certain[mine]).append(i)
    return certain, open_


def _pictures(grey: NDArray[np.uint8], reading: Reading) -> list[NDArray[np.uint8]]:
    """Each character with a little around it: `_SIZE` and `_REACH` on every side, where the reader's grid has it."""
    found = []
    size = (_SIZE[0] + 2 * _REACH[0], _SIZE[1] + 2 * _REACH[1])
    for row, cells in zip(reading.rows, reading.cells, strict=True):
        count = len(cells)
        strip = cut(grey, row._replace(cap=row.length / count * STRIP_CAP / _PITCH))
        middle = (strip.pixels.shape[1] - 1) / 2
        places = middle + (np.arange(count) + 0.5 - count / 2) * _PITCH
        line = ocr.read_strip(strip.pixels)
        start = None if line is None else first_cell(strip, line, row, count)
        if (
            line is not None and start is not None
        ):  # perspective and bent paper move characters off an even pitch
            known = within(line, start, count)
            places[known - start] = line.x[known]
        for place in places:
            centre = (float(place), (STRIP_HEIGHT - 1) / 2)
            found.append(np.asarray(cv2.getRectSubPix(strip.pixels, size, centre), np.uint8))
    return found


def _likeness(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    """How alike two characters are, -1..1, the second moved to where it fits best."""
    x, y = _REACH
    return float(cv2.matchTemplate(other, one[y:-y, x:-x], cv2.TM_CCOEFF_NORMED).max())


def _mean_likeness(ones: list[NDArray[np.uint8]], others: list[NDArray[np.uint8]]) -> float:
    return float(np.mean([_likeness(one, other) for one in ones for other in others]))


class _Scale(NamedTuple):
    """What a page's examples weigh a character with: two bells of likeness, `gap` either way from their middle.

    `gap` is 0 where the examples tell nothing, `scatter` how wide the bells are; `typical` is how alike examples of one
    kind are.
    """

    letters: list[NDArray[np.uint8]]
    zeros: list[NDArray[np.uint8]]
    typical: float
    gap: float
    scatter: float

    @classmethod
    def of(cls, letters: list[NDArray[np.uint8]], zeros: list[NDArray[np.uint8]]) -> _Scale:
        """The scale that these examples make."""
        within = [_likeness(a, b) for kind in (letters, zeros) for a in kind for b in kind if a is not b]
        if not within:
            return cls(letters, zeros, 0.0, 0.0, _SCATTER)
        typical, scatter = float(np.mean(within)), max(float(np.std(within)), _SCATTER)
        across = _mean_likeness(letters, zeros) if letters and zeros else _STRANGER
        told = typical - across >= _CLEAR and across >= _STRANGEST and scatter <= _MOST_SCATTER
        return cls(letters, zeros, typical, typical - across if told else 0.0, scatter)

    def weight(self, picture: NDArray[np.uint8]) -> float:
        """Natural logarithm of the odds that a character is an O and no 0; 0 where nothing is told."""
        if not self.gap:
            return 0.0
        if self.letters and self.zeros:
            off = _mean_likeness(self.letters, [picture]) - _mean_likeness(self.zeros, [picture])
            return float(np.clip(2 * self.gap * off / self.scatter**2, -_MOST, _MOST))
        off = _mean_likeness(self.letters or self.zeros, [picture]) - (self.typical + _STRANGER) / 2
        weight = (1 if self.letters else -1) * self.gap * off / self.scatter**2
        return float(np.clip(weight, -_MOST_ALONE, _MOST_ALONE))
