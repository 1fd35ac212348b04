"""A specimen under other lamps: infrared and ultraviolet frames made from its picture in white light.

Print darker than `INK` is carbon and stays in infrared; everything else vanishes there. Security paper is dark in
ultraviolet and one pattern on it shines.
"""

from __future__ import annotations

import datetime
import functools
from pathlib import Path

import cv2
import numpy as np

from edged.core.image import decode_image
from edged.core.layouts import MrzFormat
from edged.core.reading import PageReading, read_page
from edged.core.ruler import Box, Ruler, ruler

TODAY = datetime.date(2026, 11, 21)
SPECIMENS = Path(__file__).parents[1] / "edged" / "specimens"
INK = 105
PAPER = 190


@functools.cache
def white(name: str = "passport.jpg") -> np.ndarray:
    """The specimen with some coloured print in its visual zone."""
    image = decode_image((SPECIMENS / name).read_bytes()).copy()
    on = ruler(read_page(image, today=TODAY).rows, MrzFormat.TD3)
    for step in range(14):
        x, y = on.place(48.0 + 4 * step, -30.0 + (step % 3) * 6)
        cv2.circle(image, (int(x), int(y)), int(1.6 * on.unit), (120, 150, 235), -1)
    return image


@functools.cache
def reading(name: str = "passport.jpg") -> PageReading:
    return read_page(white(name), today=TODAY)


def scale(name: str = "passport.jpg") -> Ruler:
    return ruler(reading(name).rows, MrzFormat.TD3)


def infrared(name: str = "passport.jpg") -> np.ndarray:
    """What a genuine document shows: ink, and nothing else but the page on the glass."""
    grey = cv2.cvtColor(white(name), cv2.COLOR_BGR2GRAY)
    on_glass = (
        cv2.morphologyEx((grey > 60).astype(np.uint8), cv2.MORPH_CLOSE, np.ones((41, 41), np.uint8)) > 0
    )
    ink = np.where(grey < INK, grey.astype(float) * 0.8, PAPER)
    noise = np.random.default_rng(5).normal(0, 2, grey.shape)
    return np.clip(np.where(on_glass, ink, grey) + noise, 0, 255).astype(np.uint8)


def ultraviolet(name: str = "passport.jpg", *, paper: tuple[int, int, int] = (9, 6, 5)) -> np.ndarray:
    """Dark paper with a shining pattern; `paper` is its colour, blue first."""
    image = np.zeros_like(white(name))
    image[cv2.cvtColor(white(name), cv2.COLOR_BGR2GRAY) > 60] = paper
    on = scale(name)
    x, y = on.place(60.0, -20.0)
    cv2.circle(image, (int(x), int(y)), int(8 * on.unit), (30, 160, 40), -1)
    return image


def faded(picture: np.ndarray, box: Box, name: str = "passport.jpg") -> np.ndarray:
    """The frame with whatever stands in a part of the document gone."""
    on, picture = scale(name), picture.copy()
    corners = [
        on.place(x, y)
        for x, y in (
            (box.left, box.top),
            (box.right, box.top),
            (box.right, box.bottom),
            (box.left, box.bottom),
        )
    ]
    cv2.fillPoly(
        picture, [np.array(corners).round().astype(np.int32)], (PAPER,) * (1 if picture.ndim == 2 else 3)
    )
    return picture


def moved(picture: np.ndarray, x: float, y: float, degrees: float) -> np.ndarray:
    """The frame of a document that a hand moved between two flashes."""
    height, width = picture.shape[:2]
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1.0)
    turn[:, 2] += (x, y)
    return cv2.warpAffine(picture, turn, (width, height), borderMode=cv2.BORDER_REPLICATE)
