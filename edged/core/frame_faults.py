"""Pictures that no working camera takes: black in full light, blown out, the very same as the one before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from edged.core.vision import grey_of, halved, levels
from edged.events import Light

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_SIDE: Final = 320
_BLACK: Final = 14.0
"""Brightness (of 255) that less than a hundredth of a black frame exceeds. The empty window's plate has 24."""
_BURNT: Final = 250.0
_BURNT_MOST: Final = 0.05
"""Nearly everything is brighter than `_BURNT` in a blown-out frame: not even a document's print is left."""
_STEP: Final = 3
"""Every so many pixels are compared: noise differs in all of them."""


def fault(image: NDArray[np.uint8], light: Light) -> str | None:
    """The code of what is wrong with a frame, or None. A third of a millisecond.

    In ultraviolet light black is what a document without fluorescence looks like.
    """
    grey = halved(grey_of(image), _SIDE)
    low, high = levels(grey, _BURNT_MOST, 0.99)
    if low >= _BURNT:
        return "camera.over_exposed"
    if high <= _BLACK and light is not Light.UV:
        return "camera.black"
    return None


def looks(image: NDArray[np.uint8]) -> int:
    """A number that two frames of a sensor never share, since their noise differs; a frozen camera's do.

    It says nothing of the picture, and means nothing to another process.
    """
    return hash(image[::_STEP, ::_STEP].tobytes())
