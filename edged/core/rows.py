"""Rows of print in a small picture: long thin streaks of smeared ink, each with a straight line through it.

Nothing here reads a character. The kernels are made for capitals of about `NOMINAL_CAP` pixels; half to twice that
is found too.
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edged.core.vision import cv2

Grey = NDArray[np.uint8]
Numbers = NDArray[np.float64]

NOMINAL_CAP: Final = 10
"""Height in pixels of the capitals the kernels below are made for."""
_CAPS: Final = (0.45 * NOMINAL_CAP, 2.2 * NOMINAL_CAP)
_DARK: Final = 32
"""Added to the paper's brightness that ink is measured against: in the dark, noise is no ink."""
_FAINTEST: Final = 18.0
"""Contrast, of 255, below which nothing is ink."""
MOST_INK: Final = 0.17
_MOST_INK_ACROSS: Final = 0.3
"""Share of ink from which it is not print alone, on a whole page and around a row: of pages without
fine patterns 99 % have at most 0.10, a page full of text 0.13 to 0.17."""
_SMOOTH: Final = 3
_DARK_SMOOTH: Final = 96
_KEPT_INK: Final = 0.5
"""What is taken for ink then: what is dark over this many pixels, in the dark even less, and of it the darkest,
this share of the most there may be. Hair lines, wood grain and noise are thinner or fainter than strokes."""
_LEAST_LENGTH: Final = 11.0
"""Length of a row in heights of its capitals: shorter ones are words."""
_STEEPEST: Final = 0.4
"""Slope of a row, against the direction looked in, up to which the smearing keeps it in one piece."""
_STRAY: Final = 0.35
_KEPT: Final = 0.4
"""Distance from a row's line, in heights of capitals, from which a column is other print that hangs on, and the
share of columns that must be left."""
_LEAST_WIDTH: Final = 90
"""Pixels from which a streak is looked at: thirty small capitals, or the part of larger ones that glare has left."""
_HOLE: Final = 16.0
_OFF_LINE: Final = 0.06
_AS_TALL: Final = 1.5
"""Two pieces are of one row with at most so many heights of capitals between them, a middle so little off the other's
line (and its direction), and capitals so much alike."""
MAX_STREAKS: Final = 96
"""Longest streaks looked at in one direction: bounds the time a page full of print can take."""


class Row(NamedTuple):
    """One row of print in page pixels: centre, unit direction of reading, length, height of the capitals."""

    x: float
    y: float
    dx: float
    dy: float
    length: float
    cap: float

    def moved(self, along: float, across: float) -> Row:
        """The row shifted by `along` pixels in its reading direction and `across` pixels downwards from it."""
        return self._replace(
            x=self.x + along * self.dx - across * self.dy, y=self.y + along * self.dy + across * self.dx
        )

    def reversed(self) -> Row:
        """The same row read upside down."""
        return self._replace(dx=-self.dx, dy=-self.dy)

    def offset(self, other: Row) -> tuple[float, float]:
        """Where `other`'s centre lies, seen from this row: along its direction and downwards across it."""
        x, y = other.x - self.x, other.y - self.y
        return x * self.dx + y * self.dy, -x * self.dy + y * self.dx


def search(picture: Grey, most_ink: float = MOST_INK) -> list[Row]:
    """Rows reading to the right and rows reading downwards, in pixels of the picture.

    `most_ink` is the share of ink from which only the darkest strokes are looked at.
    """
    ink = _ink(picture, most_ink)
    rows = _rows(ink)
    # Left to right in the transposed picture is top to bottom here, with the lines in reverse order: a page
    # turned by a quarter, since mirrored print does not occur.
    turned = [row._replace(x=row.y, y=row.x, dx=row.dy, dy=row.dx) for row in _rows(cv2.transpose(ink))]
    return rows + turned


def search_across(picture: Grey) -> list[Row]:
    """Only the rows reading to the right."""
    return _rows(_ink(picture, _MOST_INK_ACROSS))


def _ink(grey: Grey, most: float) -> Grey:
    """Dark thin strokes as 255 on 0, whatever the paper's brightness; `most` is the share they may have of it."""
    contrast = _contrast(grey, _DARK)
    level, _ = cv2.threshold(contrast, 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    threshold = min(max(level * 0.8, _FAINTEST), 70.0)
    ink = cv2.threshold(contrast, threshold, 255, cv2.THRESH_BINARY)[1]
    if cv2.countNonZero(ink) > most * ink.size:
        contrast = _contrast(cv2.blur(grey, (_SMOOTH, _SMOOTH)), _DARK_SMOOTH)
        below = np.cumsum(np.bincount(contrast.ravel(), minlength=256))
        darkest = float(np.searchsorted(below, (1 - _KEPT_INK * most) * contrast.size))
        ink = cv2.threshold(contrast, max(darkest, _FAINTEST), 255, cv2.THRESH_BINARY)[1]
    return np.asarray(ink, np.uint8)


def _contrast(grey: Grey, dark: int) -> Grey:
    """How much darker than the paper around it each pixel is, of 255; `dark` is added to the paper's brightness."""
    kernel = cv2.getStructuringElement(cv2.MORPH_RECT, (NOMINAL_CAP - 1, NOMINAL_CAP - 1))
    closed = cv2.morphologyEx(grey, cv2.MORPH_CLOSE, kernel)
    paper = cv2.convertScaleAbs(
        closed, alpha=1.0, beta=dark
    )  # `add` takes a column of four pixels for a scalar
    return np.asarray(cv2.divide(cv2.subtract(closed, grey), paper, scale=255), np.uint8)


def _rows(ink: Grey) -> list[Row]:
    """Long thin streaks of the smeared ink, in the pixels of `ink`, reading left to right."""
    cap = NOMINAL_CAP
    streaks = cv2.morphologyEx(ink, cv2.MORPH_CLOSE, np.ones((1, int(cap * 1.5)), np.uint8))
    streaks = cv2.morphologyEx(streaks, cv2.MORPH_OPEN, np.ones((1, int(cap * 3.0)), np.uint8))
    streaks = cv2.morphologyEx(streaks, cv2.MORPH_OPEN, np.ones((int(cap * 0.4), 1), np.uint8))
    contours, _ = cv2.findContours(streaks, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    boxes = [cv2.boundingRect(contour) for contour in contours]
    picked = [i for i, (_, _, width, height) in enumerate(boxes) if width >= _LEAST_WIDTH and height <= width]
    picked = sorted(picked, key=lambda i: -boxes[i][2])[:MAX_STREAKS]
    if not picked:
        return []
    return _fitted([contours[i][:, 0, :] for i in picked], [boxes[i] for i in picked])


def _fitted(outlines: list[NDArray[np.int32]], boxes: list[tuple[int, int, int, int]]) -> list[Row]:
    """A row through each streak, given its outline: a straight line through the middles of its columns.

    All streaks at once: their columns stand in one long array, `which` says whose each is.
    """
    left, _, width, _ = np.array(boxes).T
    first = np.concatenate([[0], np.cumsum(width)])
    which = np.repeat(np.arange(len(boxes)), width)
    column = np.arange(first[-1]) - first[which]
    points = np.concatenate(outlines)
    at = points[:, 0] + np.repeat(first[:-1] - left, [len(outline) for outline in outlines])
    top, bottom = np.full(first[-1], 1 << 20, np.int32), np.full(first[-1], -1, np.int32)
    np.minimum.at(top, at, points[:, 1])
    np.maximum.at(bottom, at, points[:, 1])
    middle, thick = (top + bottom) / 2.0, bottom - top + 1.0

    def total(values: Numbers) -> Numbers:
        return np.asarray(np.bincount(which, weights=values, minlength=len(boxes)), float)

    keep = np.ones(len(which))
    reach = np.maximum(_STRAY * total(thick) / width, 1.5)
    # Other print may hang on to the streak: fit again without the columns that stray.
    for _ in range(3):
        count = np.maximum(total(keep), 1.0)
        x0, y0 = total(keep * column) / count, total(keep * middle) / count
        dx, dy = column - x0[which], middle - y0[which]
        slope = total(keep * dx * dy) / np.maximum(total(keep * dx * dx), 1e-9)
        keep = (np.abs(dy - slope[which] * dx) <= reach[which]).astype(float)
    count = total(keep)
    norm = np.hypot(1.0, slope)
    cap = total(keep * thick) / np.maximum(count, 1.0) / norm
    start = np.minimum.reduceat(np.where(keep > 0, column, first[-1]), first[:-1])
    end = np.maximum.reduceat(np.where(keep > 0, column, 0), first[:-1])
    length, x = (end - start) * norm, (start + end) / 2
    good = (count >= _KEPT * width) & (cap >= _CAPS[0]) & (cap <= _CAPS[1])
    good &= (length >= _LEAST_LENGTH * cap) & (np.abs(slope) <= _STEEPEST)
    y = y0 + slope * (x - x0)
    rows = np.column_stack([left + x, y, 1 / norm, slope / norm, length, cap])[good]
    return [Row(*values) for values in rows.tolist()]


def joined(rows: list[Row]) -> list[Row]:
    """The longest rows that a few pieces make together: glare may have taken what is between them."""
    found: list[Row] = []
    for first in rows:
        whole = first
        for row in sorted(rows, key=lambda row: first.offset(row)[0]):
            if _continues(whole, row):
                whole = _over(whole, row)
        if whole is not first:
            found.append(whole)
    return found


def _continues(row: Row, other: Row) -> bool:
    """Whether `other` may be the next piece of the same row."""
    along, across = row.offset(other)
    cap = max(row.cap, other.cap)
    hole = along - (row.length + other.length) / 2
    return (
        -cap < hole < _HOLE * cap
        and abs(across) < _OFF_LINE * along
        and abs(row.dx * other.dy - row.dy * other.dx) < _OFF_LINE
        and row.dx * other.dx + row.dy * other.dy > 0
        and cap < _AS_TALL * min(row.cap, other.cap)
    )


def _over(row: Row, other: Row) -> Row:
    """The row from the beginning of one to the end of the other."""
    start, end = row.moved(-row.length / 2, 0.0), other.moved(other.length / 2, 0.0)
    length = math.hypot(end.x - start.x, end.y - start.y)
    cap = (row.cap * row.length + other.cap * other.length) / (row.length + other.length)
    dx, dy = (end.x - start.x) / length, (end.y - start.y) / length
    return Row((start.x + end.x) / 2, (start.y + end.y) / 2, dx, dy, length, cap)


def level_view(picture: Grey, tilt: float) -> tuple[Grey, Numbers]:
    """The picture turned level by `tilt` radians, and the (2, 3) matrix from its pixels to the picture's."""
    height, width = picture.shape
    cos, sin = math.cos(tilt), math.sin(tilt)
    size = (int(width * cos + height * abs(sin)) + 1, int(height * cos + width * abs(sin)) + 1)
    # From level coordinates to the picture's: a turn by `tilt` about the centres.
    turn = np.array([[cos, -sin], [sin, cos]])
    shift = np.array([width - 1, height - 1]) / 2 - turn @ (np.array(size) - 1) / 2
    matrix = np.column_stack([turn, shift])
    flags = cv2.WARP_INVERSE_MAP | cv2.INTER_LINEAR
    level = cv2.warpAffine(picture, matrix, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return level, matrix


def mapped(row: Row, matrix: Numbers) -> Row:
    """The row under a turn and an even scaling, (2, 3)."""
    scale = math.hypot(matrix[0, 0], matrix[1, 0])
    x, y = matrix @ (row.x, row.y, 1.0)
    dx, dy = matrix[:, :2] @ (row.dx, row.dy) / scale
    return Row(float(x), float(y), float(dx), float(dy), row.length * scale, row.cap * scale)
