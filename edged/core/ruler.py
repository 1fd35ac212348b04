"""Millimetres on a page: where something stands on the document, seen from its MRZ, whichever way it lies.

The MRZ is the ruler: OCR-B of size 1 stands 2.54 mm apart (Doc 9303-3, ISO 1073-2), and where portrait, visual zone
and edges lie from there is known by format (Doc 9303-4 to -7). x runs along the lines from the first character's left
edge, y downwards from the middle of the first line; what stands above the MRZ has a negative y.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from edged.core.layouts import SHAPES
from edged.core.vision import cv2, half

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from edged.core.layouts import MrzFormat
    from edged.core.page import Row

PITCH_MM: Final = 2.54
"""From one character of an MRZ to the next (Doc 9303-3, OCR-B of size 1: ten to the inch)."""


class Box(NamedTuple):
    """A part of the document, in millimetres."""

    left: float
    top: float
    right: float
    bottom: float


class Ruler(NamedTuple):
    """The page's pixels in millimetres: where (0, 0) lies, the unit direction of x, and pixels per millimetre."""

    x: float
    y: float
    dx: float
    dy: float
    unit: float

    def place(self, x: float, y: float) -> tuple[float, float]:
        """The page pixel of a place on the document."""
        along, across = x * self.unit, y * self.unit
        return self.x + along * self.dx - across * self.dy, self.y + along * self.dy + across * self.dx

    def measured(self, x: float, y: float) -> tuple[float, float]:
        """The place on the document, in millimetres, of a page pixel."""
        right, down = (x - self.x) / self.unit, (y - self.y) / self.unit
        return right * self.dx + down * self.dy, -right * self.dy + down * self.dx

    def halved(self) -> Ruler:
        """The ruler of the same page at half its size."""
        return self._replace(x=self.x / 2 - 0.25, y=self.y / 2 - 0.25, unit=self.unit / 2)

    def shows(self, width: int, height: int) -> Box:
        """The document's millimetres that a picture of this size covers; more, at the corners of a tilted one."""
        corners = np.array([[0, 0], [width, 0], [0, height], [width, height]], float) - (self.x, self.y)
        along = corners @ (self.dx, self.dy) / self.unit
        across = corners @ (-self.dy, self.dx) / self.unit
        return Box(float(along.min()), float(across.min()), float(along.max()), float(across.max()))


def ruler(rows: Sequence[Row], format: MrzFormat) -> Ruler:  # noqa: A002
    """The ruler of an MRZ's lines, top line first; `rows` has at least one."""
    first = rows[0]
    start = first.moved(-first.length / 2, 0.0)
    return Ruler(
        float(start.x),
        float(start.y),
        float(first.dx),
        float(first.dy),
        float(first.length) / (SHAPES[format][1] * PITCH_MM),
    )


def fitted(picture: NDArray[np.uint8], on: Ruler, resolution: float) -> tuple[NDArray[np.uint8], Ruler]:
    """The picture halved as often as leaves it finer than `resolution` pixels per millimetre, and its ruler."""
    while on.unit >= 2 * resolution and min(picture.shape[:2]) >= 2:
        picture = half(picture)
        on = on.halved()
    return picture, on


def view(picture: NDArray[np.uint8], on: Ruler, box: Box, resolution: float) -> NDArray[np.uint8]:
    """A part of the document, upright, with `resolution` pixels per millimetre; grey or colour like the picture.

    Black where the picture doesn't reach.
    """
    picture, on = fitted(picture, on, resolution)
    width = max(1, round((box.right - box.left) * resolution))
    height = max(1, round((box.bottom - box.top) * resolution))
    # The middle of the first pixel, and one pixel to the right and down.
    inset = 0.5 / resolution
    x, y = on.place(box.left + inset, box.top + inset)
    step = on.unit / resolution
    to_page = np.array([[on.dx * step, -on.dy * step, x], [on.dy * step, on.dx * step, y]])
    flags = cv2.WARP_INVERSE_MAP | cv2.INTER_LINEAR
    return np.asarray(cv2.warpAffine(picture, to_page, (width, height), flags=flags), np.uint8)
