"""O and 0 of a page whose face has them the other way round, told by the page's own print.

OCR-B's 0 is nearly the O of some typewriters, and its O their 0: one line reader can't know both. A page can: the
digits of its dates are digits and the letters of its names letters, whatever they look like, and what one press prints
twice looks the same twice. Where such a page is seen, what the line reader says of O and 0 counts for nothing, and each
is compared with those whose place has room for only one of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from edged.core import layouts
from edged.core.ocr import ALPHABET
from edged.core.strip import straighten
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
_MOST_PLACES: Final = 12
_MOST_EXAMPLES: Final = 8
"""Places weighed on a page and examples of each: bounds the time."""
_PITCH: Final = 17.5
_SIZE: Final = (16, 24)
_REACH: Final = (4, 3)
"""Pixels from character to character; of a character looked at, across and down; and by how much it may lie beside its
place."""
_SCATTER: Final = 0.03
"""Least scatter of likeness among examples: a few may be alike by chance."""
_STRANGER: Final = 0.86
"""Likeness of an O and a 0, where a page has examples of one only: 0.83 on average, in OCR-B and in Latin Modern."""
_CLEAR: Final = 0.06
"""How much more alike examples must be to each other than to the others, to tell anything."""
_MOST: Final = 6.0
_MOST_ALONE: Final = 3.0
"""Natural logarithm of the most the comparison says, with examples of both and of one only: dirt makes a character
unlike anything."""


def swapped(cells: Sequence[NDArray[np.float32]], decision: Decision) -> bool:
    """Whether this page's O looks like another face's 0, or its 0 like an O.

    So it is where there is room for one of them only, and the line reader saw the other. `cells` has one (characters,
    classes) array a line: what was read for the decision.
    """
    shares = np.concatenate(list(cells))
    certain, _ = _places(decision)
    return any(
        bool(at) and float(shares[at, twin].mean()) > float(shares[at, mine].mean())
        for at, mine, twin in zip(certain, _CLASSES, _CLASSES[::-1], strict=True)
    )


def settled(grey: NDArray[np.uint8], reading: Reading, decision: Decision) -> Reading:
    """The reading of a `swapped` page with the shares of O and 0 as its own print tells them, even where it doesn't."""
    certain, open_ = _places(decision)
    if not open_:
        return reading
    pictures = _pictures(grey, reading)
    sure = [[i for i in at if decision.confidence[i] >= _SURE][:_MOST_EXAMPLES] for at in certain]
    letters, zeros = ([pictures[i] for i in at] for at in sure)
    cells = np.concatenate(reading.cells)
    for rank, i in enumerate(open_):
        weight = _weight(pictures[i], letters, zeros) if rank < _MOST_PLACES else 0.0
        share = 1 / (1 + np.exp(-weight))
        cells[i, _CLASSES] = cells[i, _CLASSES].sum() * np.array([share, 1 - share])
    ends = np.cumsum([len(line) for line in reading.cells])[:-1]
    return reading._replace(cells=tuple(np.split(cells, ends)))


def _places(decision: Decision) -> tuple[list[list[int]], list[int]]:
    """Where O stands and there is no room for 0, the same for 0; and where one of them stands and either may."""
    certain: list[list[int]] = [[], []]
    open_ = []
    room = (chars for line in layouts.alphabet(decision.format) for chars in line)
    for i, (char, chars) in enumerate(zip("".join(decision.lines), room, strict=True)):
        if char in _TWINS:
            mine = _TWINS.index(char)
            if _TWINS[1 - mine] in chars:
                open_.append(i)
            else:
                certain[mine].append(i)
    return certain, open_


def _pictures(grey: NDArray[np.uint8], reading: Reading) -> list[NDArray[np.uint8]]:
    """Each character with a little around it: `_SIZE` and `_REACH` on every side."""
    found = []
    (across, down), (x, y) = _SIZE, _REACH
    for row, cells in zip(reading.rows, reading.cells, strict=True):
        count = len(cells)
        width, height = int((count + 2) * _PITCH), down + 2 * y + 2
        strip = straighten(grey, row, row.length / count / _PITCH, width, height)
        for i in range(count):
            centre = (width - 1) / 2 + (i + 0.5 - count / 2) * _PITCH
            part = cv2.getRectSubPix(strip, (across + 2 * x, down + 2 * y), (centre, (height - 1) / 2))
            found.append(np.asarray(part, np.uint8))
    return found


def _likeness(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    """How alike two characters are, -1..1, the second moved to where it fits best."""
    x, y = _REACH
    return float(cv2.matchTemplate(other, one[y:-y, x:-x], cv2.TM_CCOEFF_NORMED).max())


def _mean_likeness(ones: list[NDArray[np.uint8]], others: list[NDArray[np.uint8]]) -> float:
    return float(np.mean([_likeness(one, other) for one in ones for other in others]))


def _weight(
    picture: NDArray[np.uint8], mine: list[NDArray[np.uint8]], others: list[NDArray[np.uint8]]
) -> float:
    """Natural logarithm of the odds that a character is one of `mine` and not of `others`; 0 where nothing is told.

    Two bells of likeness, as far apart as the examples of one kind are liker each other than the other kind.
    """
    within = [_likeness(a, b) for kind in (mine, others) for a in kind for b in kind if a is not b]
    if not within:
        return 0.0
    typical, scatter = float(np.mean(within)), max(float(np.std(within)), _SCATTER)
    if mine and others:
        gap = typical - _mean_likeness(mine, others)
        off = _mean_likeness(mine, [picture]) - _mean_likeness(others, [picture])
        weight, most = 2 * gap * off / scatter**2, _MOST
    else:
        gap = typical - _STRANGER
        off = _mean_likeness(mine or others, [picture]) - (typical + _STRANGER) / 2
        weight, most = (1 if mine else -1) * gap * off / scatter**2, _MOST_ALONE
    return float(np.clip(weight, -most, most)) if gap > _CLEAR else 0.0
