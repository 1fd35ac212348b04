"""How good a picture is: whether something lies in the window, and what a clerk can do to get a better one.

Cheap measures on a reduced picture. The thresholds are ours, set on specimens; they advise and never decide.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from edged.core.vision import cv2, reduced
from edged.verdict import Check, Reason, Result

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edged.core.page import Row

_SIDE: Final = 320
_STRUCTURE: Final = 14.0
"""Least difference of brightness (of 255) that counts as print, edges or a picture."""
_COVERED: Final = 0.012
"""Share of the window with structure from which something lies in it; sensor noise and dust stay below."""
_DARK: Final = 40.0
_GLARE: Final = 250
_GLARE_SHARE: Final = (0.003, 0.25)
_GLARE_FADES: Final = 215.0
_UNEVEN: Final = 0.85
"""Paper along an MRZ darker than this share of its brightest, blown-out part: a lamp reflects there."""
_SHARP: Final = 0.055
"""Least mean step between neighbouring pixels along a line of an MRZ, as a share of its contrast and at the
scale of its characters."""
_FOCUS_SIDE: Final = 1000
_EDGE: Final = 8
_SOFT: Final = 0.25
"""Share of an edge's height, seen over `_EDGE` pixels, that its steepest pixel step needs; a ramp has an eighth."""
_SMALL_CAP: Final = 9.0
"""Height of capitals, in pixels, below which more resolution would help."""


class Quality(NamedTuple):
    """Measures of one picture, each 0..1 unless said otherwise; `reasons` name what is wrong with it."""

    document_present: bool
    brightness: float
    contrast: float
    reasons: tuple[Reason, ...]

    def check(self) -> Check:
        """The evaluatory check `image_quality`."""
        return Check(
            "image_quality", Result.UNDETERMINED if self.reasons else Result.SUCCESSFUL, self.reasons
        )


def measure(grey: NDArray[np.uint8]) -> Quality:
    """Measure a page of any size."""
    small, _ = reduced(grey, _SIDE)
    soft = cv2.GaussianBlur(small, (0, 0), 1.0)
    reach = np.ones((7, 7), np.uint8)
    spread = cv2.subtract(cv2.dilate(soft, reach), cv2.erode(soft, reach))
    covered = float((spread > _STRUCTURE).mean())
    low, high = (float(v) for v in np.percentile(small, (5, 99)))
    present = covered > _COVERED
    reasons = []
    if present:
        if high < _DARK * 2:
            reasons.append(Reason("reading.too_dark"))
        elif _has_glare(small):
            reasons.append(Reason("reading.glare"))
    return Quality(present, high / 255.0, (high - low) / 255.0, tuple(reasons))


def _has_glare(small: NDArray[np.uint8]) -> bool:
    """A blown-out spot that fades at its edge: white paper and white print backgrounds end sharply or at the border."""
    spots = (small >= _GLARE).astype(np.uint8)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(spots)
    height, width = small.shape
    for label in range(1, count):
        left, top, wide, high, area = (int(v) for v in stats[label])
        if not _GLARE_SHARE[0] < area / small.size < _GLARE_SHARE[1]:
            continue
        if left == 0 or top == 0 or left + wide == width or top + high == height:
            continue
        spot = (labels == label).astype(np.uint8)
        ring = cv2.dilate(spot, np.ones((9, 9), np.uint8)) - spot
        if float(np.median(small[ring > 0])) > _GLARE_FADES:
            return True
    return False


def of_page(grey: NDArray[np.uint8]) -> tuple[Reason, ...]:
    """Whether the whole picture is out of focus: even its strongest edges take several pixels."""
    small, _ = reduced(grey, _FOCUS_SIDE)
    if small.shape[1] < 4 * _EDGE:
        return ()
    values = small.astype(np.float32)
    wide = np.abs(values[:, _EDGE:] - values[:, :-_EDGE])
    steps = np.abs(np.diff(values, axis=1))
    steepest = cv2.dilate(steps, np.ones((1, _EDGE), np.uint8))[:, _EDGE // 2 :][:, : wide.shape[1]]
    strong = wide > 0.5 * float(np.percentile(wide, 99.5)) + 1.0
    if not strong.any():
        return ()
    return (Reason("reading.blurred"),) if float(np.median(steepest[strong] / wide[strong])) < _SOFT else ()


def of_rows(grey: NDArray[np.uint8], rows: tuple[Row, ...]) -> tuple[Reason, ...]:
    """What is wrong with the picture where the MRZ stands: glare, too small, or too blurred to be sure of."""
    from edged.core.strip import cut

    found = []
    strips = [cut(grey, row, margin=0.0).pixels.astype(np.float32) for row in rows]
    paper = np.array([[np.percentile(part, 90) for part in np.array_split(s, 8, axis=1)] for s in strips])
    if paper.max() >= _GLARE and paper.min() < _UNEVEN * paper.max():
        found.append(Reason("reading.glare"))
    if min(row.cap for row in rows) < _SMALL_CAP:
        return (*found, Reason("reading.too_small"))
    steps = []
    for pixels in strips:
        contrast = float(np.percentile(pixels, 95) - np.percentile(pixels, 5))
        steps.append(float(np.abs(np.diff(pixels, axis=1)).mean()) / max(contrast, 1.0))
    if min(steps) < _SHARP:
        found.append(Reason("reading.blurred"))
    return tuple(found)
