"""Lines that cross the print from above to below: a fold, a scratch. What stands in one may have lost a stroke.

The O whose right side lies in a fold is a clear C, the K whose stem does is a clear filler: nothing of the character
itself says so. The line does, since it goes on in the paper above and below the print.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from edged.core.vision import cv2

if TYPE_CHECKING:
    from numpy.typing import NDArray

_EDGE: Final = 4
"""Rows of a strip above and below its print."""
_SMOOTH: Final = 3
_AROUND: Final = 25
"""Columns a line is made even over, and those it must stand out from."""
_NOISES: Final = 4.0
_DEEP: Final = 0.08
"""How far it must stand out, in noises of the paper there and as a share of the print's contrast; of 1 374 drawn pages
without a fold 9 have such a line, of 109 with one (which may cross the paper beside the print) 49."""
_LEAST_CONTRAST: Final = 8.0
_REACH: Final = 0.55
"""Distance from a character's middle, in widths, up to which a line is in its way."""


def crossed(
    strip: NDArray[np.uint8], centres: NDArray[np.float64], pitch: float, print_: slice
) -> NDArray[np.bool_]:
    """Which characters, by the columns of their middles, a line crosses; `print_` are the rows of the print."""
    if not len(centres):
        return np.zeros(0, bool)
    left = max(0, int(centres[0] - pitch))
    here = slice(left, max(left + 1, min(strip.shape[1], int(centres[-1] + pitch))))
    ink, paper = np.percentile(strip[print_, here], (4, 85))
    least = _DEEP * max(float(paper - ink), _LEAST_CONTRAST)
    above, below = (_standing_out(edge, here) for edge in (strip[:_EDGE], strip[-_EDGE:]))
    noise = [1.48 * float(np.median(np.abs(side))) + 0.5 for side in (above, below)]
    deep = np.minimum(np.abs(above), np.abs(below)) > least
    clear = np.minimum(np.abs(above) / noise[0], np.abs(below) / noise[1]) > _NOISES
    lines = np.flatnonzero(deep & clear & (np.sign(above) == np.sign(below))) + here.start
    near = np.abs(centres[:, None] - lines[None, :]) < _REACH * pitch
    return np.asarray(near.any(axis=1), np.bool_)


def _standing_out(edge: NDArray[np.uint8], here: slice) -> NDArray[np.float32]:
    """How much lighter or darker each column of some rows is than those around it."""
    profile = cv2.blur(edge.mean(axis=0, dtype=np.float32)[None], (_SMOOTH, 1))
    around = cv2.medianBlur(np.asarray(profile, np.uint8), _AROUND)
    return np.asarray((profile - around)[0, here], np.float32)
