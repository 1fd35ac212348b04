"""Which way a page's print runs, before anything of it is found: lines, strokes and edges all stand along two axes."""

from __future__ import annotations

import math
from functools import cache
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from edged.core.vision import cv2

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edged.core.rows import Grey

SIDE: Final = 256
"""Longer side, in pixels, of the picture whose spectrum is looked at: its lines of print are 6 to 20 px apart."""
_BANDS: Final = (12.0, 110.0)
"""Periods per `SIDE` pixels looked at: not those of the page's own shape and shadows, nor the noise's."""
_STEPS: Final = 180
"""Directions told apart in a right angle."""
_SMOOTH: Final = 2.0
_APART: Final = 20
_AS_STRONG: Final = 0.5
"""Steps between two directions, and how strong, against the first, another one must be to be named."""


def directions(picture: Grey) -> list[float]:
    """Angles in radians, modulo right angles within ±45°, along which the print may run, likelier first; one or two.

    The picture is at most `SIDE` pixels on either side. On pages turned anyhow the first is within 3° of the print's.
    """
    thin = cv2.morphologyEx(picture, cv2.MORPH_BLACKHAT, np.ones((5, 5), np.uint8)).astype(np.float32)
    square = np.zeros((SIDE, SIDE), np.float32)
    square[: thin.shape[0], : thin.shape[1]] = thin - thin.mean()
    waves = cv2.dft(square, flags=cv2.DFT_COMPLEX_OUTPUT)
    plane = _plane()
    real, imaginary = cv2.split(waves)
    power = (cv2.multiply(real, real) + cv2.multiply(imaginary, imaginary)).ravel()[
        plane.where
    ] * plane.weight
    strength = np.bincount(plane.step, weights=power, minlength=_STEPS) / plane.total
    strength = np.convolve(np.tile(strength, 3), _kernel(), "same")[_STEPS : 2 * _STEPS]
    first = int(strength.argmax())
    apart = np.abs((np.arange(_STEPS) - first + _STEPS // 2) % _STEPS - _STEPS // 2)
    rest = np.where(apart < _APART, 0.0, strength - np.median(strength))
    found = [first]
    second = int(rest.argmax())
    if rest[second] > _AS_STRONG * (strength[first] - np.median(strength)):
        found.append(second)
    return [math.radians((step + 0.5 + _STEPS / 2) % _STEPS * 90 / _STEPS - 45) for step in found]


class _Plane(NamedTuple):
    """The waves looked at: which of the half plane's, how much each counts, its direction, and a direction's total."""

    where: NDArray[np.intp]
    weight: NDArray[np.float32]
    step: NDArray[np.intp]
    total: NDArray[np.float64]


@cache
def _plane() -> _Plane:
    down, right = np.meshgrid(*[np.fft.fftfreq(SIDE) * SIDE] * 2, indexing="ij")
    radius = np.hypot(down, right).ravel()
    where = np.flatnonzero((radius > _BANDS[0]) & (radius < _BANDS[1]) & (right.ravel() >= 0))
    angle = np.degrees(np.arctan2(down, right)).ravel()[where] % 90
    step = np.minimum((angle * (_STEPS / 90)).astype(np.intp), _STEPS - 1)
    weight = (1 / radius[where]).astype(np.float32)
    total = np.bincount(step, weights=weight, minlength=_STEPS)
    return _Plane(where, weight, step, np.maximum(total, 1e-6))


@cache
def _kernel() -> NDArray[np.float64]:
    values = np.exp(-0.5 * (np.arange(-8, 9) / _SMOOTH) ** 2)
    return np.asarray(values / values.sum(), np.float64)
