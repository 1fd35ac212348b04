"""Finding the document again in a frame of another light: by its MRZ, which white and infrared both show.

A reader's camera stands still and so, nearly always, does the document; but a hand moves it now and then between two
flashes.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from edged.core.layouts import SHAPES
from edged.core.ruler import PITCH_MM, Box, Ruler, view
from edged.core.vision import cv2

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edged.core.layouts import MrzFormat

_RESOLUTION: Final = 4.0
_MOST_MM: Final = 6.0
"""How far a document may have moved; further, and the clerk has taken it away."""
_SURE: Final = 0.35
"""Correlation of the print from which the document counts as found: other print of the same pitch stays below 0.25."""
_PART: Final = 0.4
"""Share of a line's length compared at each end: two places give the turn as well."""
_LINE_MM: Final = 4.3
"""From one line of an MRZ to the next, about."""
_SQUEEZED: Final = 1.5
"""Millimetres by which the two ends may disagree about the shift along the line: they can't, on one stiff page."""


class Aligned(NamedTuple):
    """Where the document lies in another frame, and how well its print agrees.

    Attributes:
        ruler: its millimetres in that frame.
        agreement: 0..1; 0 when its print was not found and it is taken to lie where it lay.
    """

    ruler: Ruler
    agreement: float


def align(
    white: NDArray[np.uint8],
    other: NDArray[np.uint8],
    on: Ruler,
    format: MrzFormat,  # noqa: A002
) -> Aligned:
    """The ruler of `other`, given that of `white`; both grey, of one camera, sizes in one proportion."""
    scale = other.shape[1] / white.shape[1]
    same = on._replace(x=on.x * scale, y=on.y * scale, unit=on.unit * scale)
    lines, width = SHAPES[format]
    length = width * PITCH_MM
    ends = []
    for left in (0.0, length * (1 - _PART)):
        part = Box(left, -2.0, left + length * _PART, (lines - 1) * _LINE_MM + 2.0)
        found = _shift(view(white, on, part, _RESOLUTION), view(other, same, _grown(part), _RESOLUTION))
        ends.append((found, (part.left + part.right) / 2))
    (first, at_first), (last, at_last) = ends
    agreement = min(first.agreement, last.agreement)
    if agreement < _SURE or abs(first.along - last.along) > _SQUEEZED:
        return Aligned(same, 0.0)
    turn = math.atan2(last.down - first.down, at_last - at_first)
    along = (first.along + last.along) / 2
    down = first.down - (last.down - first.down) / (at_last - at_first) * at_first
    x, y = same.place(along, down)
    cos, sin = math.cos(turn), math.sin(turn)
    moved = same._replace(x=x, y=y, dx=same.dx * cos - same.dy * sin, dy=same.dy * cos + same.dx * sin)
    return Aligned(moved, agreement)


class _Shift(NamedTuple):
    along: float
    down: float
    agreement: float


def _grown(part: Box) -> Box:
    return Box(part.left - _MOST_MM, part.top - _MOST_MM, part.right + _MOST_MM, part.bottom + _MOST_MM)


def _shift(print_: NDArray[np.uint8], around: NDArray[np.uint8]) -> _Shift:
    """By how many millimetres the print lies off the middle of its surroundings."""
    pattern, field = _ink(print_), _ink(around)
    if float(pattern.std()) < 1e-3:
        return _Shift(0.0, 0.0, 0.0)
    like = cv2.matchTemplate(field, pattern, cv2.TM_CCOEFF_NORMED)
    _, best, _, (x, y) = cv2.minMaxLoc(like)
    middle_x, middle_y = (like.shape[1] - 1) / 2, (like.shape[0] - 1) / 2
    return _Shift((x - middle_x) / _RESOLUTION, (y - middle_y) / _RESOLUTION, float(best))


def _ink(picture: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Thin dark strokes, whatever the paper's brightness."""
    closed = cv2.morphologyEx(picture, cv2.MORPH_CLOSE, np.ones((7, 7), np.uint8))
    return np.asarray(cv2.subtract(closed, picture), np.float32)
