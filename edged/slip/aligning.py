"""A photographed slip laid flat: where each place of the page lies in the picture, found from the QR code outwards.

The code's corners give a first view. Paper bends and a code is small beside what stands above it, so bands of text
are sought one after the other, nearest the code first, each where those before it say, and the error of each is kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from edged.core.vision import cv2

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from edged.slip.layout import Code

    Plane = NDArray[np.float32]

BAND: Final = 64
"""Dots of one band's height: two or three printed lines."""
_REACH: Final = 14
"""Dots by which a band may lie elsewhere than those before it say."""
_FAR: Final = 72
"""Dots up or down by which a band may lie elsewhere that isn't there: where a line was put in or taken out."""
_FINE: Final = 32
_FINE_REACH: Final = 8
"""The same of the second pass."""
_BELIEVED: Final = 0.35
"""Correlation from which a band counts as found: chance gives 0.2."""
_SOFT: Final = 1.2
"""Blur of both, in dots, while bands are sought."""
_LEAST_INK: Final = 40
"""Dots of ink that something has to be sought by."""


class Aligned(NamedTuple):
    """The picture, drawn as the page is.

    Attributes:
        dark: (rows, columns) as the page has dots, 0 paper to 1 ink, roughly.
        inside: where the picture shows the page at all.
        found: share of the bands that were found.
    """

    dark: Plane
    inside: NDArray[np.bool_]
    found: float


def align(
    grey: NDArray[np.uint8], corners: NDArray[np.float32], expected: Plane, code: Code, scale: int
) -> Aligned:
    """`grey` as `expected` has it (0 paper to 1 ink, `scale` dots a millimetre); `corners`: see `finding.Found`."""
    square = np.array([(0, 0), (1, 0), (1, 1), (0, 1)], np.float32) * code.side * scale
    square += np.array((code.x, code.y), np.float32) * scale
    view = cv2.getPerspectiveTransform(square, corners)
    dark = darkness(grey, _pixels_a_dot(corners, code, scale))
    places, bands = _steps(expected, dark, view, round((code.y + code.side) * scale))
    shifts = _spread(places, expected.shape[0])
    flat, inside = _drawn(dark, view, shifts, 0, expected.shape[0], expected.shape[1], 0)
    sought = [step for step in bands if step.sought]
    found = sum(step.found for step in sought) / len(sought) if sought else 0.0
    return Aligned(flat, inside, found)


def darkness(grey: NDArray[np.uint8], pixels_a_dot: float) -> Plane:
    """How dark each pixel is beside the paper around it: uneven light and pale print taken out."""
    size = max(3, 2 * round(12 * pixels_a_dot) + 1)
    small = (
        cv2.resize(grey, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA)
        if min(grey.shape) > 64
        else grey
    )
    kernel = np.ones((max(3, size // 4), max(3, size // 4)), np.uint8)
    paper = cv2.GaussianBlur(cv2.dilate(small, kernel), (0, 0), max(1.0, size / 8))
    paper = cv2.resize(paper, (grey.shape[1], grey.shape[0]), interpolation=cv2.INTER_LINEAR).astype(
        np.float32
    )
    return np.asarray(np.clip(1 - grey / np.maximum(paper, 1), 0, 1), np.float32)


def _pixels_a_dot(corners: NDArray[np.float32], code: Code, scale: int) -> float:
    sides = np.linalg.norm(corners - np.roll(corners, 1, axis=0), axis=1)
    return float(sides.mean()) / (code.side * scale)


class _Step(NamedTuple):
    """One band: its middle row, and by how much its left and right half lie elsewhere (x and y each), in dots."""

    row: float
    shifts: NDArray[np.float32]
    sought: bool
    found: float


def _steps(
    expected: Plane, dark: Plane, view: NDArray[np.float64], bottom: int
) -> tuple[list[_Step], list[_Step]]:
    """Band after band from the code's lower edge upwards, and then all of them once more, in finer ones."""
    soft = cv2.GaussianBlur(expected, (0, 0), _SOFT)
    steps = [_Step(bottom, np.zeros((2, 2), np.float32), False, 1.0)]
    for end in range(bottom, 0, -BAND):
        start = max(0, end - BAND)
        here = _predicted(steps, start, end)
        step = _sought(soft, dark, view, here, start, _REACH)
        if step.sought and not step.found:
            far = _sought(soft, dark, view, here, start, _FAR)
            step = far if far.found else step
        steps.append(step)
    known = _spread(steps, len(expected))
    finer = [
        _sought(soft, dark, view, known[start : start + _FINE], start, _FINE_REACH)
        for start in range(0, len(expected) - _FINE, _FINE)
    ]
    # The finer bands say where; the first ones, how much was found at all.
    return [step for step in finer if step.found] or steps, steps


def _sought(
    soft: Plane, dark: Plane, view: NDArray[np.float64], here: NDArray[np.float32], start: int, reach: int
) -> _Step:
    """One band of the page, up to `reach` dots above and below where `here` (a shift a row) has it."""
    height, width = len(here), soft.shape[1]
    wanted = soft[start : start + height]
    rows = np.clip(np.arange(-reach, height + reach), 0, height - 1)
    beyond = np.arange(-reach, height + reach) - rows
    slope = (here[-1] - here[0]) / max(1, height - 1)
    shifts = here[rows] + beyond[:, None, None] * slope
    flat, _ = _drawn(dark, view, shifts, start - reach, start + height + reach, width, _REACH)
    flat = cv2.GaussianBlur(flat, (0, 0), _SOFT)
    middle = here[height // 2]
    moved, found, sought = middle.copy(), [], 0
    halves = ((0, width // 2), (width - width // 2, width))
    for half, (left, right) in enumerate(halves):
        part = wanted[:, left:right]
        if float(part.sum()) < _LEAST_INK:
            continue
        sought += 1
        match = cv2.matchTemplate(flat[:, left : right + 2 * _REACH], part, cv2.TM_CCOEFF_NORMED)
        _, best, _, (x, y) = cv2.minMaxLoc(match)
        if best >= _BELIEVED:
            moved[half] += (x - _REACH, y - reach)
            found.append(half)
    if len(found) == 1:  # the other half goes along
        moved[1 - found[0]] += moved[found[0]] - middle[found[0]]
    return _Step(start + height / 2, moved, sought > 0, len(found) / sought if sought else 0.0)


def _predicted(steps: Sequence[_Step], start: int, end: int) -> NDArray[np.float32]:
    """A shift for each row of the next band, as the trend of those before it has it."""
    rows = np.arange(start, end, dtype=np.float32)
    last = steps[-4:]
    if len(last) < 3:
        return np.broadcast_to(last[-1].shifts, (end - start, 2, 2)).copy()
    at = np.array([step.row for step in last], np.float32)
    flat = np.stack([step.shifts.reshape(-1) for step in last])
    slope, base = np.polyfit(at - last[-1].row, flat, 1)
    base = (base + flat[-1]) / 2
    trend = base + slope * (rows - last[-1].row)[:, None]
    return np.asarray(trend.reshape(-1, 2, 2), np.float32)


def _spread(steps: Sequence[_Step], rows: int) -> NDArray[np.float32]:
    """(rows, half, x and y): the shifts of every row, between bands in proportion."""
    ordered = sorted(steps, key=lambda step: step.row)
    at = [step.row for step in ordered]
    flat = np.stack([step.shifts.reshape(-1) for step in ordered])
    every = np.arange(rows)
    spread = np.stack([np.interp(every, at, flat[:, one]) for one in range(4)], axis=1)
    return spread.reshape(rows, 2, 2).astype(np.float32)


def _drawn(
    dark: Plane,
    view: NDArray[np.float64],
    shifts: NDArray[np.float32],
    top: int,
    end: int,
    width: int,
    margin: int,
) -> tuple[Plane, NDArray[np.bool_]]:
    """Rows `top` to `end` of the page with `margin` dots left and right, out of the picture."""
    rows, columns = np.mgrid[top:end, -margin : width + margin].astype(np.float32)
    right = np.clip((columns - width / 4) / (width / 2), -0.5, 1.5)[..., None]
    moved = shifts[:, None, 0] * (1 - right) + shifts[:, None, 1] * right
    x, y = columns + moved[..., 0], rows + moved[..., 1]
    weight = view[2, 0] * x + view[2, 1] * y + view[2, 2]
    across = ((view[0, 0] * x + view[0, 1] * y + view[0, 2]) / weight).astype(np.float32)
    down = ((view[1, 0] * x + view[1, 1] * y + view[1, 2]) / weight).astype(np.float32)
    inside = (across >= 0) & (down >= 0) & (across < dark.shape[1] - 1) & (down < dark.shape[0] - 1)
    return cv2.remap(dark, across, down, cv2.INTER_LINEAR, borderValue=0), inside & (weight > 0)
