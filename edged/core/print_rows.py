"""Where on a page ordinary print stands: rows of characters of any size, in one direction of reading.

Unlike an MRZ's rows (`edged.core.page`) these are short, of many sizes, and close to one another. Characters' boxes
are joined sideways with boxes of their own size; nothing here reads a character.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from edged.core.page import Row
from edged.core.vision import cv2

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SMALLEST: Final = 4.5
_BANDS: Final = ((4.5, 9.0), (7.0, 14.0), (11.0, 22.0), (17.0, 40.0))
"""Heights in level pixels of boxes that are joined with one another: a line's capitals and small letters differ by
less than half an octave, a caption and its value by more."""
_GAP: Final = 1.7
"""Widest gap inside a row, in heights of its boxes: a space, also one before a figure 1, but no column's."""
_LEAST_WIDTH: Final = 3.6
"""Shortest row, in capitals: `1.1.80`."""
_STEEPEST: Final = 0.2
"""Slope up to which rows hold together."""
_MOST_BOXES: Final = 4000
"""Boxes looked at: a page of small print has half as many. Bounds the time."""
_MOST_ROWS: Final = 240


class Level(NamedTuple):
    """A part of a page turned so that its print reads to the right.

    `pixels` is (H, W) grey; `left`, `top` are the first pixel's place along the direction of reading and across
    it, in page pixels; `step` page pixels make one of its own.
    """

    pixels: NDArray[np.uint8]
    dx: float
    dy: float
    left: float
    top: float
    step: float

    def place(self, x: float, y: float) -> tuple[float, float]:
        """Where on the page the level picture's pixel (x, y) lies."""
        along, across = self.left + x * self.step, self.top + y * self.step
        return along * self.dx - across * self.dy, along * self.dy + across * self.dx


def turn_level(grey: NDArray[np.uint8], direction: tuple[float, float], step: float) -> Level:
    """The whole page, turned so that the unit vector `direction` points right, at `step` page pixels a pixel."""
    dx, dy = direction
    height, width = grey.shape
    corners = np.array([[0, 0], [width - 1, 0], [0, height - 1], [width - 1, height - 1]], float)
    along, across = corners @ (dx, dy), corners @ (-dy, dx)
    left, top = float(along.min()), float(across.min())
    size = (int(np.ptp(along) / step) + 1, int(np.ptp(across) / step) + 1)
    shrink = 1.0
    if step > 1.3:
        shrink = 1.0 / step
        small = (max(2, round(width * shrink)), max(2, round(height * shrink)))
        grey = cv2.resize(grey, small, interpolation=cv2.INTER_AREA)
    # From a level pixel to the page, and on to the reduced page: (p + 1/2) * shrink - 1/2.
    linear = np.array([[dx, -dy], [dy, dx]]) * step * shrink
    origin = np.array([left * dx - top * dy, left * dy + top * dx])
    matrix = np.column_stack([linear, (origin + 0.5) * shrink - 0.5])
    flags = cv2.WARP_INVERSE_MAP | cv2.INTER_LINEAR
    pixels = cv2.warpAffine(grey, matrix, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return Level(np.asarray(pixels, np.uint8), dx, dy, left, top, step)


def print_rows(level: Level) -> list[Row]:
    """Rows of print in page pixels, from top to bottom; at most `_MOST_ROWS`, the widest of them."""
    boxes = _boxes(_ink(level.pixels))
    found: list[tuple[float, float, float, float, float]] = []
    for low, high in _BANDS:
        of_size = boxes[(boxes[:, 3] >= low) & (boxes[:, 3] < high)]
        found += _joined(of_size, level.pixels.shape)
    rows = []
    for x, y, slope, length, cap in _distinct(found)[:_MOST_ROWS]:
        px, py = level.place(x, y)
        norm = float(np.hypot(1.0, slope))
        dx, dy = (level.dx - slope * level.dy) / norm, (level.dy + slope * level.dx) / norm
        rows.append((y, Row(px, py, dx, dy, length * level.step, cap * level.step)))
    rows.sort(key=lambda row: row[0])
    return [row for _, row in rows]


def _ink(grey: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Dark thin strokes as 255 on 0: darker than their surroundings by a share of the strongest ink near them."""
    closed = cv2.morphologyEx(grey, cv2.MORPH_CLOSE, np.ones((11, 11), np.uint8))
    contrast = cv2.divide(cv2.subtract(closed, grey), cv2.max(closed, 24), scale=255)
    strongest = cv2.blur(cv2.dilate(contrast, np.ones((15, 31), np.uint8)), (31, 15))
    level = cv2.min(cv2.max(cv2.multiply(strongest, 0.42), 16), 100)
    return np.asarray(cv2.compare(contrast, level, cv2.CMP_GT), np.uint8)


def _boxes(ink: NDArray[np.uint8]) -> NDArray[np.int32]:
    """(n, 4) left, top, width, height of what may be a character, or several that run together."""
    _count, _labels, stats, _ = cv2.connectedComponentsWithStats(ink, connectivity=8)
    stats = stats[1:]
    width, height, area = stats[:, 2], stats[:, 3], stats[:, 4]
    keep = (
        (height >= _SMALLEST)
        & (height < _BANDS[-1][1])
        & (width < 14 * height)
        & (area > 0.1 * width * height)
    )
    boxes = stats[keep]
    if len(boxes) > _MOST_BOXES:
        boxes = boxes[np.argsort(-boxes[:, 4])[:_MOST_BOXES]]
    return np.asarray(boxes[:, :4], np.int32)


def _joined(
    boxes: NDArray[np.int32], shape: tuple[int, ...]
) -> list[tuple[float, float, float, float, float]]:
    """(centre x, centre y, slope, length, height of capitals) of the rows that boxes of about one size make."""
    if not len(boxes):
        return []
    mask = np.zeros(shape, np.uint8)
    for left, top, width, height in boxes.tolist():
        # The middle of a box and the gap behind it: lines above and below don't touch.
        mask[top + height // 4 : top + (3 * height + 3) // 4, left : left + width + int(_GAP * height)] = 255
    _count, labels = cv2.connectedComponents(mask, connectivity=4)
    of = labels[boxes[:, 1] + boxes[:, 3] // 2, boxes[:, 0] + boxes[:, 2] // 2]
    order = np.argsort(of, kind="stable")
    groups = np.split(boxes[order], np.flatnonzero(np.diff(of[order])) + 1)
    return [row for row in map(_row, groups) if row is not None]


def _row(boxes: NDArray[np.int32]) -> tuple[float, float, float, float, float] | None:
    left, right = int(boxes[:, 0].min()), int((boxes[:, 0] + boxes[:, 2]).max())
    cap = float(np.sort(boxes[:, 3])[len(boxes) * 65 // 100])
    if right - left < _LEAST_WIDTH * cap:
        return None
    middles = boxes[:, 0] + boxes[:, 2] / 2
    bottoms = (boxes[:, 1] + boxes[:, 3]).astype(float)
    slope = 0.0
    if len(boxes) >= 6 and right - left > 8 * cap:
        slope = float(np.clip(np.polyfit(middles, bottoms, 1)[0], -_STEEPEST, _STEEPEST))
    centre = (left + right - 1) / 2
    base = float(np.sort(bottoms - slope * (middles - centre))[len(boxes) // 2])
    return centre, base - cap / 2 - 0.5, slope, float(right - left), cap


def _distinct(
    rows: list[tuple[float, float, float, float, float]],
) -> list[tuple[float, float, float, float, float]]:
    """Widest first, without those that lie in another of nearly their own height."""
    kept: list[tuple[float, float, float, float, float]] = []
    for row in sorted(rows, key=lambda row: -row[3]):
        x, y, _, length, cap = row
        for other in kept:
            near = abs(y - other[1]) < 0.5 * min(cap, other[4])
            inside = abs(x - other[0]) + length / 2 < other[3] / 2 + cap
            if near and inside and 0.6 < cap / other[4] < 1.6:
                break
        else:
            kept.append(row)
    return kept
