"""How good a picture is: whether something lies in the window, and what a clerk can do to get a better one.

Cheap measures on a reduced picture. The thresholds are ours, set on specimens; they advise and never decide.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from edged.core.vision import cv2
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
_GLARE_SHARE: Final = 0.02
_SHARP: Final = 0.055
"""Least mean step between neighbouring pixels along a line of an MRZ, as a share of its contrast and at the
scale of its characters."""
_SMALL_CAP: Final = 9.0
"""Height of capitals, in pixels, below which more resolution would help."""


class Quality(NamedTuple):
    """Measures of one picture, each 0..1 unless said otherwise; `reasons` name what is wrong with it."""

    document_present: bool
    brightness: float
    contrast: float
    glare: float
    reasons: tuple[Reason, ...]

    def check(self) -> Check:
        """The evaluatory check `image_quality`."""
        return Check(
            "image_quality", Result.UNDETERMINED if self.reasons else Result.SUCCESSFUL, self.reasons
        )


def measure(grey: NDArray[np.uint8]) -> Quality:
    """Measure a page of any size."""
    scale = _SIDE / max(grey.shape)
    small = cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1 else grey
    soft = cv2.GaussianBlur(small, (0, 0), 1.0)
    reach = np.ones((7, 7), np.uint8)
    spread = cv2.subtract(cv2.dilate(soft, reach), cv2.erode(soft, reach))
    covered = float((spread > _STRUCTURE).mean())
    low, high = (float(v) for v in np.percentile(small, (5, 99)))
    present = covered > _COVERED
    glare = float((small >= _GLARE).mean())
    reasons = []
    if present:
        if high < _DARK * 2:
            reasons.append(Reason("reading.too_dark"))
        elif _is_glare(small, glare):
            reasons.append(Reason("reading.glare"))
    return Quality(present, high / 255.0, (high - low) / 255.0, glare, tuple(reasons))


def _is_glare(small: NDArray[np.uint8], share: float) -> bool:
    """A white spot inside a picture that is not white all over (a scan's paper is)."""
    if not _GLARE_SHARE < share < 0.3:
        return False
    return float(np.percentile(small, 75)) < 225


def of_rows(grey: NDArray[np.uint8], rows: tuple[Row, ...]) -> tuple[Reason, ...]:
    """What is wrong with the picture where the MRZ stands: too small or too blurred to be sure of."""
    from edged.core.strip import cut

    cap = min(row.cap for row in rows)
    if cap < _SMALL_CAP:
        return (Reason("reading.too_small"),)
    steps = []
    for row in rows:
        pixels = cut(grey, row).pixels.astype(np.float32)
        contrast = float(np.percentile(pixels, 95) - np.percentile(pixels, 5))
        steps.append(float(np.abs(np.diff(pixels, axis=1)).mean()) / max(contrast, 1.0))
    return (Reason("reading.blurred"),) if min(steps) < _SHARP else ()
