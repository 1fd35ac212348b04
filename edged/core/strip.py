"""Rows of print, cut straight from the full-resolution page: what the line reader looks at.

A strip is `STRIP_HEIGHT` pixels high with capitals `STRIP_CAP` pixels high around its middle, as in the
training.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from edged.core.vision import cv2

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edged.core.page import Row

STRIP_HEIGHT: Final = 32
STRIP_CAP: Final = 18.0
MAX_STRIP: Final = 1280
"""Longest strip in pixels: 44 characters of a wide face with margins. Bounds the reader's time."""
_MARGIN: Final = 2.6
"""Extra length at each end of a row, in heights of its capitals: fillers too faint for the locator."""
_SEGMENTS: Final = 8
_SOFTENED: Final = 1 / 0.6
"""Page pixels per strip pixel from which a strip is softened before it is sampled."""
_FINE_STEP: Final = 1.3
_FINEST: Final = 9
"""Page pixels per finer pixel, about, and the most finer pixels per strip pixel: bounds the time, whatever the page."""


class Strip(NamedTuple):
    """A straightened row: its pixels, the row it was cut along, and page pixels per strip pixel."""

    pixels: NDArray[np.uint8]
    row: Row
    scale: float

    def place(self, x: float) -> tuple[float, float]:
        """Where on the page the middle of strip column `x` lies."""
        along = (x + 0.5 - self.pixels.shape[1] / 2) * self.scale
        moved = self.row.moved(along, 0.0)
        return moved.x, moved.y


def cut(grey: NDArray[np.uint8], row: Row, *, margin: float = _MARGIN) -> Strip:
    """The strip along a row, extended by `margin` capitals at both ends. What lies beyond the page repeats its edge."""
    scale = row.cap / STRIP_CAP
    width = int((row.length + 2 * margin * row.cap) / scale)
    width = max(64, min(MAX_STRIP, -(-width // 32) * 32))
    return Strip(straighten(grey, row, scale, width, STRIP_HEIGHT), row, scale)


def straighten(grey: NDArray[np.uint8], row: Row, scale: float, width: int, height: int) -> NDArray[np.uint8]:
    """(`height`, `width`) pixels around the row's centre, level with it, `scale` page pixels each."""
    dx, dy = row.dx * scale, row.dy * scale
    to_page = np.array(
        [
            [dx, -dy, row.x - dx * (width - 1) / 2 + dy * (height - 1) / 2],
            [dy, dx, row.y - dy * (width - 1) / 2 - dx * (height - 1) / 2],
        ]
    )
    if scale <= _SOFTENED:
        return _sampled(grey, to_page, width, height, cv2.INTER_CUBIC if scale < 1 else cv2.INTER_LINEAR)
    # The same softening as in training, against aliasing; on a finer strip, since the page around a tilted row is far
    # larger than the row. Of an odd number of finer pixels the middle one stands where the strip's does.
    finer = min(_FINEST, int(scale / _FINE_STEP) // 2 * 2 + 1)
    to_page = np.column_stack(
        [to_page[:, :2] / finer, to_page[:, 2] - to_page[:, :2].sum(axis=1) * (finer // 2) / finer]
    )
    fine = _sampled(grey, to_page, width * finer, height * finer, cv2.INTER_LINEAR)
    fine = cv2.GaussianBlur(fine, (0, 0), 0.4 * finer)
    return np.ascontiguousarray(fine[finer // 2 :: finer, finer // 2 :: finer])


def _sampled(
    grey: NDArray[np.uint8], to_page: NDArray[np.float64], width: int, height: int, method: int
) -> NDArray[np.uint8]:
    """`height` by `width` pixels, each where `to_page` says; what lies beyond the page repeats its edge."""
    corners = to_page @ np.array([[0, width, 0, width], [0, 0, height, height], [1, 1, 1, 1]], float)
    left, top = (int(v) - 4 for v in corners.min(axis=1))
    right, bottom = (int(v) + 5 for v in corners.max(axis=1))
    left, top = max(0, min(left, grey.shape[1] - 2)), max(0, min(top, grey.shape[0] - 2))
    part = grey[top : max(bottom, top + 2), left : max(right, left + 2)]
    shifted = to_page - np.array([[0, 0, left], [0, 0, top]])
    flags = cv2.WARP_INVERSE_MAP | method
    strip = cv2.warpAffine(part, shifted, (width, height), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(strip, np.uint8)


def refine(grey: NDArray[np.uint8], row: Row) -> Row:
    """The row with its height, place and slope measured on the full-resolution page."""
    scale = row.cap / STRIP_CAP
    height = int(STRIP_CAP * 3)
    width = max(64, min(MAX_STRIP, int(row.length / scale)))
    rough = straighten(grey, row, scale, width, height)
    kernel = np.ones((13, 13), np.uint8)
    ink = cv2.morphologyEx(rough, cv2.MORPH_BLACKHAT, kernel).astype(np.float32)
    level = np.percentile(ink, 90)
    ink = np.minimum(ink / max(float(level), 1.0), 1.0)
    segments = np.array([part.mean(axis=1) for part in np.array_split(ink, _SEGMENTS, axis=1)])
    cap, centre = _best_band(segments.mean(axis=0)[None], np.arange(11.0, 26.0))[0]
    fitted = np.array([_best_band(s[None], np.array([cap]))[0][1] for s in segments])
    x = (np.arange(_SEGMENTS) + 0.5) / _SEGMENTS - 0.5
    slope = _median_slope(x, fitted)
    centre = float(np.median(fitted - slope * x))
    angle = slope / width
    dx, dy = row.dx - row.dy * angle, row.dy + row.dx * angle
    norm = float(np.hypot(dx, dy))
    moved = row.moved(0.0, (centre - (height - 1) / 2) * scale)
    return moved._replace(dx=dx / norm, dy=dy / norm, cap=cap * scale)


def _median_slope(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    """Theil–Sen: no single stray segment tilts the row."""
    i, j = np.triu_indices(len(x), 1)
    return float(np.median((y[j] - y[i]) / (x[j] - x[i])))


def _best_band(profiles: NDArray[np.float32], caps: NDArray[np.float64]) -> list[tuple[float, float]]:
    """For each profile of ink by row: (height, centre) of the band that stands out most from its surroundings."""
    out = []
    gap = 4
    for profile in profiles:
        total = np.concatenate([[0.0], np.cumsum(profile)])
        best = (-1e9, STRIP_CAP, len(profile) / 2)
        for cap in caps:
            size = int(cap)
            tops = np.arange(gap, len(profile) - size - gap + 1)
            inside = (total[tops + size] - total[tops]) / size
            around = (total[tops] - total[tops - gap] + total[tops + size + gap] - total[tops + size]) / (
                2 * gap
            )
            middle = tops + (size - 1) / 2
            off = np.abs(middle - (len(profile) - 1) / 2)
            # Neighbouring lines lie within the picture: stay near where the locator pointed.
            score = (inside - around) * np.sqrt(size) - 0.004 * off
            k = int(np.argmax(score))
            if score[k] > best[0]:
                best = (float(score[k]), float(size), float(middle[k]))
        out.append((best[1], best[2]))
    return out
