"""OpenCV, set up once: quiet, and on one thread, because a terminal's other processes need the other core.

Everything in edged that needs OpenCV imports it from here. Its own type hints make every array's type a union
that says less than our signatures, so it is `Any` here.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final

import numpy as np

# Its warnings name files and bytes of documents; our reasons don't.
os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")
# Seconds that it waits for a camera's frame: its ten are longer than a counter waits, and can't be cut short.
os.environ.setdefault("OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT", "1")

import cv2 as _cv2

if TYPE_CHECKING:
    from numpy.typing import NDArray

_cv2.setNumThreads(1)

cv2: Final[Any] = _cv2


def grey_of(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A picture, (H, W, 3) BGR or (H, W) grey, in grey, contiguous."""
    return np.ascontiguousarray(picture if picture.ndim == 2 else cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY))


def reduced(grey: NDArray[np.uint8], long_side: int) -> tuple[NDArray[np.uint8], float]:
    """The picture with its longer side at most `long_side` pixels, averaged down, and the factor; never enlarged."""
    height, width = grey.shape
    scale = min(1.0, long_side / max(height, width))
    if scale == 1.0:
        return grey, 1.0
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return cv2.resize(grey, size, interpolation=cv2.INTER_AREA), scale


def halved(picture: NDArray[np.uint8], long_side: int) -> NDArray[np.uint8]:
    """The picture halved until its longer side is less than two of `long_side`: ten times faster than `reduced`.

    Averages 2 by 2 pixels at a time; an odd last row or column is left out.
    """
    while max(picture.shape[:2]) >= 2 * long_side and min(picture.shape[:2]) >= 2:
        picture = half(picture)
    return picture


def half(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The picture, grey or colour, at half its size."""
    height, width = picture.shape[0] // 2, picture.shape[1] // 2
    even = picture[: 2 * height, : 2 * width]
    return np.asarray(cv2.resize(even, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


def levels(grey: NDArray[np.uint8], *shares: float) -> tuple[float, ...]:
    """The brightness below which each of `shares` (0..1) of the pixels lie: percentiles by counting, not sorting."""
    below = np.cumsum(cv2.calcHist([grey], [0], None, [256], [0, 256]).ravel())
    return tuple(float(np.searchsorted(below, share * below[-1])) for share in shares)
