"""How evenly the strokes of a row stand: an MRZ is printed at one pitch, other print mostly isn't."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np

from edged.core.vision import cv2, half

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from edged.core.rows import Grey, Row

_CAP: Final = 8
"""Height in pixels that a row's capitals are brought to: its characters are about as far apart."""
_LONGEST: Final = 448
"""Pixels of a row looked at, from its middle: more than 44 characters."""
_LEAST_LONG: Final = 32
_LAGS: Final = (6, 13)
"""Distances from character to character looked for: 0.75 to 1.6 heights of capitals. OCR-B has 1.0 to 1.1, printed
narrow or wide, and the height is a rough one."""
_SLOW: Final = 13
_FADING: Final = 61
"""Windows, in pixels, of what is taken for the paper's brightness and for the print's local contrast."""
_FLOOR: Final = 2.0
"""Contrast, of 255, below which there is nothing to even out."""
_SMALLEST: Final = 8
"""Pixels a side needs to be halved."""


class Halves:
    """A picture and its halves, quarters and so on, each made when first asked for."""

    def __init__(self, grey: Grey) -> None:
        self.grey = grey
        self._levels = [grey]

    def finer_than(self, step: float) -> tuple[Grey, int]:
        """The smallest of them whose pixels are not larger than `step` page pixels, and its number: 0 is the page."""
        number = max(0, int(math.log2(max(step, 1.0))))
        while len(self._levels) <= number:
            last = self._levels[-1]
            if min(last.shape) < _SMALLEST:
                break
            self._levels.append(half(last))
        number = min(number, len(self._levels) - 1)
        return self._levels[number], number


def evenness(halves: Halves, rows: Sequence[Row]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """For each row how alike it is to itself one character further on (about 0 to 1), and that distance in page pixels.

    An MRZ has 0.6 to 0.9, running text 0.1 to 0.4.
    """
    profiles = np.zeros((len(rows), _LONGEST), np.float32)
    for row, profile in zip(rows, profiles, strict=True):
        values = _profile(halves, row)
        profile[: len(values)] = values
    counts = (profiles != 0).sum(axis=1)
    power = np.maximum((profiles * profiles).sum(axis=1) / np.maximum(counts, 1), 1e-6)
    first, last = _LAGS
    alike = np.empty((len(rows), last - first + 3))
    for i, lag in enumerate(range(first - 1, last + 2)):
        product = np.einsum("ij,ij->i", profiles[:, :-lag], profiles[:, lag:])
        alike[:, i] = product / np.maximum(counts - lag, _LEAST_LONG) / power
    inner = alike[:, 1:-1]
    best = inner.argmax(axis=1)
    at = np.arange(len(rows))
    before, peak, after = alike[at, best], inner[at, best], alike[at, best + 2]
    bend = np.minimum(before - 2 * peak + after, -1e-6)
    shift = np.clip((before - after) / (2 * bend), -0.5, 0.5)
    scale = np.array([row.cap for row in rows]) / _CAP
    return np.asarray(peak, float), np.asarray((best + first + shift) * scale, float)


def _profile(halves: Halves, row: Row) -> NDArray[np.float32]:
    """Brightness along the row, less the paper's and evened out in contrast."""
    source, number = halves.finer_than(row.cap / (0.9 * _CAP))
    factor = 0.5**number
    scale = row.cap * factor / _CAP
    x, y = (row.x + 0.5) * factor - 0.5, (row.y + 0.5) * factor - 0.5
    width = max(_LEAST_LONG, min(_LONGEST, int(row.length / row.cap * _CAP)))
    dx, dy, half, middle = row.dx * scale, row.dy * scale, (width - 1) / 2, (_CAP + 1) / 2
    matrix = np.array([[dx, -dy, x - dx * half + dy * middle], [dy, dx, y - dy * half - dx * middle]])
    flags = cv2.WARP_INVERSE_MAP | cv2.INTER_LINEAR
    strip = cv2.warpAffine(source, matrix, (width, _CAP + 2), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    line = cv2.reduce(strip, 0, cv2.REDUCE_AVG, dtype=cv2.CV_32F)
    line -= cv2.blur(line, (_SLOW, 1))
    line /= np.sqrt(cv2.blur(line * line, (_FADING, 1))) + _FLOOR
    return np.asarray(line[0], np.float32)
