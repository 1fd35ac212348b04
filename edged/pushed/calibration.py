"""What the window must look like dark and lit: measured on this very box where it was, the release's bounds elsewhere.

`calibration.json` in the state directory holds what was measured when the box was made or serviced:

    {"format": 1, "dark_most": 0.04, "lit_least": 0.31, "burnt_most": 0.2}

All are shares of full brightness or of the window, 0 to 1. Bounds are wide on purpose: a document may lie on the glass,
and the lid of a box in a window front stands open. They find a lamp that doesn't burn, a camera that sees nothing and
one that is blinded, not a lamp that has aged.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final, Literal

import msgspec

from edged.errors import ConfigError
from edged.uplink.fields import decoder

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

CALIBRATION_FILE: Final = "calibration.json"

Share = Annotated[float, msgspec.Meta(ge=0, le=1)]

_MOST_BYTES: Final = 4096
_BURNT: Final = 250
"""Brightness of 255 from which a pixel says nothing more, as in `edged.core.exposure`."""
_SIDE: Final = 240
"""Pictures are measured at this to twice this many pixels: single hot pixels average out."""


class Calibration(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Bounds; the defaults are the release's."""

    format: Literal[1] = 1
    dark_most: Share = 0.4
    """The median of a frame without light is at most this: a bright room, but not a lamp that never goes out."""
    lit_least: Share = 0.05
    """The brightest hundredth of a lit frame is at least so much brighter than that of a dark one: an empty window with
    black behind it is (0.09 in the specimens), and so is black leather."""
    burnt_most: Share = 0.7
    """So much of a lit frame is blown out at most: white paper that fills the window isn't all of it."""


class Seen(msgspec.Struct, frozen=True):
    """One frame: its median, the brightness below which 99 % lie, and the share that is blown out; each 0..1."""

    middle: float
    high: float
    burnt: float


def load(path: Path) -> Calibration:
    """The box's own bounds, or the release's where there is no file. Raises `ConfigError` for a broken one."""
    try:
        with path.open("rb") as file:
            data = file.read(_MOST_BYTES)
        return decoder(Calibration).decode(data)
    except FileNotFoundError:
        return Calibration()
    except OSError as error:
        raise ConfigError(str(path), "config.unreadable", error=error.strerror or "") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise ConfigError(str(path), "probe.calibration_broken") from None


def measure(picture: NDArray[np.uint8]) -> Seen:
    """Measure a frame, (H, W, 3) BGR; some milliseconds."""
    from edged.core.vision import cv2, grey_of, halved, levels

    small = halved(grey_of(picture), _SIDE)
    middle, high = levels(small, 0.5, 0.99)
    blown = cv2.countNonZero(cv2.threshold(small, _BURNT - 1, 1, cv2.THRESH_BINARY)[1])
    return Seen(middle / 255, high / 255, blown / small.size)


def judge(bounds: Calibration, dark: Seen, lit: Seen) -> str | None:
    """The code of what is wrong; None when nothing is."""
    if dark.middle > bounds.dark_most:
        return "probe.never_dark"
    if lit.high - dark.high < bounds.lit_least:
        return "probe.never_lit"
    if lit.burnt > bounds.burnt_most:
        return "probe.blinded"
    return None
