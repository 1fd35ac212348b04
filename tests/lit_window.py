"""A window with a document, a lamp and a camera, as far as light goes: for what is judged by brightness alone.

Light is linear until the camera's gamma: what a pixel shows is (reflectance x (lamp + ambient)) to the power 1/gamma,
with noise, cut off at 255.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from edged.events import Light
from edged.specimens import shipped

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edged.core.illumination_order import Step

SIZE = (160, 120)


@cache
def reflectances() -> list[NDArray[np.float64]]:
    """Documents as they lie in the window, 0..1, small."""
    found = []
    for specimen in shipped():
        for side in specimen.sides:
            picture = cv2.imread(str(side), cv2.IMREAD_GRAYSCALE)
            if picture is not None:
                small = cv2.resize(picture, SIZE, interpolation=cv2.INTER_AREA)
                page = (small / 255.0) ** 2.2
                if page.mean() > 0.05:  # the bare black lid is no document
                    found.append(page)
    return found


@dataclass
class Window:
    """One counter at one moment."""

    page: NDArray[np.float64]
    rng: np.random.Generator
    gamma: float = 2.2
    exposure: float = 0.7
    """Of white paper in full light, linear: above 1 it is blown out."""
    ambient: float = 0.05
    """Light of the room, as a share of the lamp's."""
    noise: float = 2.0
    infrared: float = 0.6
    restless: int = 0
    """How many pixels the document moves between frames, at most."""
    lamp_varies: float = 0.02
    room_flickers: float = 0.1

    @classmethod
    def somewhere(cls, rng: np.random.Generator) -> Window:
        """A counter as counters are: dim or sunny, new lamp or old, good camera or cheap one."""
        pages = reflectances()
        return cls(
            page=pages[rng.integers(len(pages))],
            rng=rng,
            gamma=rng.uniform(1.0, 2.4),
            exposure=rng.uniform(0.25, 1.6),
            ambient=rng.uniform(0.0, 0.35),
            noise=rng.uniform(0.5, 6.0),
            infrared=rng.uniform(0.3, 1.5),
            restless=int(rng.integers(0, 4)),
        )

    def frame(self, step: Step | None) -> NDArray[np.uint8]:
        """What the camera delivers under a step's light; None is dark."""
        rng = self.rng
        lamp = 0.0
        if step is not None and step.light is not None:
            lamp = step.brightness / 100 * (self.infrared if step.light is Light.IR else 1.0)
            lamp *= 1 + rng.uniform(-self.lamp_varies, self.lamp_varies)
        room = self.ambient * (1 + rng.uniform(-self.room_flickers, self.room_flickers))
        page = self.page
        if self.restless:
            page = np.roll(page, rng.integers(-self.restless, self.restless + 1, 2), axis=(0, 1))
        linear = self.exposure * page * (lamp + room)
        shown = 255 * linear ** (1 / self.gamma) + rng.normal(0, self.noise, page.shape)
        return np.clip(shown + 0.5, 0, 255).astype(np.uint8)


def noisy(picture: NDArray[Any], rng: np.random.Generator, noise: float = 2.0) -> NDArray[np.uint8]:
    """The same picture as a sensor would deliver it once more."""
    return np.clip(picture + rng.normal(0, noise, picture.shape) + 0.5, 0, 255).astype(np.uint8)
