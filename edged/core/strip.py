"""Rows of print, cut straight from the full-resolution page: what the line reader looks at.

A strip is `STRIP_HEIGHT` pixels high with capitals `STRIP_CAP` pixels high around its middle, as in the
training.
"""

from __future__ import annotations

import math
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
_TALL: Final = int(STRIP_CAP * 3)
_SIZES: Final = (11, 26)
_GAP: Final = 4
"""A row is measured in so many parts, on so many pixels of height, in which its capitals are 11 to 25 high and stand
out from these pixels above and below."""
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


def _to_page(row: Row, along: float, across: float, width: int, height: int) -> NDArray[np.float64]:
    """The (2, 3) way to the page from `height` by `width` pixels around the row's centre, of this size on the page."""
    right, down = (width - 1) / 2, (height - 1) / 2
    a, b, c, d = row.dx * along, -row.dy * across, row.dy * along, row.dx * across
    return np.array([[a, b, row.x - a * right - b * down], [c, d, row.y - c * right - d * down]])


def straighten(grey: NDArray[np.uint8], row: Row, scale: float, width: int, height: int) -> NDArray[np.uint8]:
    """(`height`, `width`) pixels around the row's centre, level with it, `scale` page pixels each."""
    to_page = _to_page(row, scale, scale, width, height)
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
    span = max(64.0, min(float(MAX_STRIP), row.length / scale))
    # Along the row every other pixel is enough to measure it across.
    columns = int(span / 2 / _SEGMENTS) * _SEGMENTS
    step = span / columns
    rough = _sampled(
        grey, _to_page(row, scale * step, scale, columns, _TALL), columns, _TALL, cv2.INTER_LINEAR
    )
    ink = cv2.morphologyEx(rough, cv2.MORPH_BLACKHAT, np.ones((13, 7), np.uint8))
    counts = np.cumsum(cv2.calcHist([ink], [0], None, [256], [0, 256]))
    level = max(int(np.searchsorted(counts, 0.9 * ink.size)), 1)
    ink = cv2.convertScaleAbs(ink, alpha=255.0 / level)
    segments = ink.reshape(_TALL, _SEGMENTS, -1).mean(axis=2).T / 255.0
    whole = _band_scores(segments.mean(axis=0)[None])[0]
    best = int(whole.argmax())
    size = _BANDS.size[best]
    alike = np.flatnonzero(_BANDS.size == size)
    fitted = _BANDS.middle[alike[_band_scores(segments)[:, alike].argmax(axis=1)]]
    # Theil–Sen: no single stray segment tilts the row.
    slope = float(np.median((fitted[_LATER] - fitted[_EARLIER]) / _APART))
    centre = float(np.median(fitted - slope * _PLACES))
    angle = slope / span
    dx, dy = row.dx - row.dy * angle, row.dy + row.dx * angle
    norm = math.hypot(dx, dy)
    moved = row.moved(0.0, (centre - (_TALL - 1) / 2) * scale)
    return moved._replace(dx=dx / norm, dy=dy / norm, cap=float(size) * scale)


class _Bands(NamedTuple):
    """Every height and place that the band of a row's capitals may have, in pixels: (bands,) each."""

    top: NDArray[np.intp]
    size: NDArray[np.intp]
    middle: NDArray[np.float64]
    off: NDArray[np.float64]


def _bands() -> _Bands:
    pairs = [(top, size) for size in range(*_SIZES) for top in range(_GAP, _TALL - size - _GAP + 1)]
    top, size = np.array(pairs).T
    middle = top + (size - 1) / 2
    # Neighbouring lines lie within the picture: stay near where the locator pointed.
    return _Bands(top, size, middle, 0.004 * np.abs(middle - (_TALL - 1) / 2))


_BANDS: Final = _bands()
_EARLIER, _LATER = np.triu_indices(_SEGMENTS, 1)
_PLACES: Final = (np.arange(_SEGMENTS) + 0.5) / _SEGMENTS - 0.5
_APART: Final = _PLACES[_LATER] - _PLACES[_EARLIER]


def _band_scores(profiles: NDArray[np.float64]) -> NDArray[np.float64]:
    """(profiles, bands): how much each band stands out from its surroundings in ink by pixel row."""
    top, size, _, off = _BANDS
    total = np.zeros((len(profiles), _TALL + 1))
    np.cumsum(profiles, axis=1, out=total[:, 1:])
    upper, lower = total[:, top], total[:, top + size]
    around = (upper - total[:, top - _GAP] + total[:, top + size + _GAP] - lower) / (2 * _GAP)
    return np.asarray(((lower - upper) / size - around) * np.sqrt(size) - off)
