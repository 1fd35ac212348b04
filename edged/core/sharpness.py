"""How sharp a picture is: the whole of it by its strongest edges, an MRZ by the steps between its pixels."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from edged.core.strip import STRIP_CAP, cut
from edged.core.vision import cv2, levels

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from edged.core.page import Row

_FOCUS_SIDE: Final = 1000
_EDGE: Final = 8
"""Pixels over which an edge's whole height is seen."""
_PARTS: Final = 8
"""Parts of a line whose paper is compared: a lamp brightens one or two."""
_CAP_MM: Final = 2.6
"""Height of OCR-B's capitals as the locator measures them, strokes included: 0.975 of the pitch of 2.54 mm (Doc 9303-3,
ISO 1073-2), the median over real documents of every format."""
_MM_PER_INCH: Final = 25.4
_QUIET: Final = 0.5
"""Space beyond a line's end, in heights of its capitals, that must lie in the picture, or it may go on outside."""


class Print(NamedTuple):
    """How an MRZ stands in the picture.

    Attributes:
        cap: height of its capitals in pixels, the smallest line's.
        dpi: resolution, estimated from the capitals.
        sharpness: mean step between neighbouring pixels along a line as a share of its contrast, at 18-pixel capitals;
            the worst line's. About 0.1 is sharp, 0.05 is hard to read.
        contrast: of ink to paper, 0..1, the worst line's.
        paper: brightness of the brightest part of the paper, 0..1.
        uneven: 0..1, by how much the darkest part of the paper falls short of the brightest.
        tilt: degrees by which the lines are turned from the nearest right angle.
        converging: degrees between the first and the last line; a page lying flat under the camera has none.
        sides: "top", "right", "bottom", "left" of the picture that a line's end touches or crosses.
    """

    cap: float
    dpi: float
    sharpness: float
    contrast: float
    paper: float
    uneven: float
    tilt: float
    converging: float
    sides: tuple[str, ...]


def focus(grey: NDArray[np.uint8]) -> float | None:
    """Share of an edge's height that its steepest pixel step takes: 0.125 is a ramp, 1 as sharp as pixels can be.

    The median over the strongest edges of the picture at 1000 pixels' side; None without any edge.
    """
    scale = min(1.0, _FOCUS_SIDE / max(grey.shape))
    width, height = round(grey.shape[1] * scale), round(grey.shape[0] * scale / 2)
    if width < 4 * _EDGE or height < 1:
        return None
    small = cv2.resize(
        grey[::2], (width, height), interpolation=cv2.INTER_AREA
    )  # every other row says the same
    wide = cv2.absdiff(small[:, _EDGE:], small[:, :-_EDGE])
    steps = cv2.absdiff(small[:, 1:], small[:, :-1])
    steepest = cv2.dilate(steps, np.ones((1, _EDGE), np.uint8))[:, _EDGE // 2 :][:, : wide.shape[1]]
    strong = wide > 0.5 * levels(wide, 0.995)[0] + 1.0
    if not strong.any():
        return None
    return float(np.median(steepest[strong] / wide[strong].astype(np.float32)))


def of_print(grey: NDArray[np.uint8], rows: Sequence[Row]) -> Print:
    """Measure the picture where an MRZ's lines stand; `rows` has at least one."""
    strips = [cut(grey, row, margin=0.0).pixels for row in rows]
    paper = np.array([_paper(pixels) for pixels in strips])
    ends = [levels(pixels, 0.05, 0.95) for pixels in strips]
    steps = [
        float(cv2.mean(cv2.absdiff(pixels[:, 1:], pixels[:, :-1]))[0]) / max(light - dark, 1.0)
        for pixels, (dark, light) in zip(strips, ends, strict=True)
    ]
    cap = min(row.cap for row in rows)
    angles = [math.degrees(math.atan2(row.dy, row.dx)) for row in rows]
    return Print(
        cap=float(cap),
        dpi=float(cap) / _CAP_MM * _MM_PER_INCH,
        sharpness=min(1.0, *steps) if len(steps) > 1 else min(1.0, steps[0]),
        contrast=min(light - dark for dark, light in ends) / 255,
        paper=float(paper.max()) / 255,
        uneven=1.0 - float(paper.min()) / max(float(paper.max()), 1.0),
        tilt=max(abs((angle + 45.0) % 90.0 - 45.0) for angle in angles),
        converging=abs((angles[-1] - angles[0] + 180.0) % 360.0 - 180.0),
        sides=_touched(grey.shape[1], grey.shape[0], rows),
    )


def _paper(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The brightness of the paper in each part of a line, left to right: below it lie 90 % of the pixels."""
    width = pixels.shape[1] // _PARTS
    parts = pixels[:, : width * _PARTS].reshape(-1, _PARTS, width).transpose(1, 0, 2).reshape(_PARTS, -1)
    at = int(0.9 * (parts.shape[1] - 1))
    return np.partition(parts, at, axis=1)[:, at]


def _touched(width: int, height: int, rows: Sequence[Row]) -> tuple[str, ...]:
    found = set()
    for row in rows:
        for along in (-row.length / 2 - _QUIET * row.cap, row.length / 2 + _QUIET * row.cap):
            for across in (-row.cap / 2, row.cap / 2):
                corner = row.moved(along, across)
                found |= {"left"} if corner.x < 0 else {"right"} if corner.x > width - 1 else set()
                found |= {"top"} if corner.y < 0 else {"bottom"} if corner.y > height - 1 else set()
    return tuple(side for side in ("top", "right", "bottom", "left") if side in found)


assert STRIP_CAP == 18.0, "`sharpness` is measured at this scale"
