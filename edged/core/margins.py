"""How much paper lies beside an MRZ: the first 36 characters of a visa's 44 look like a whole MRZ of the smaller size.

A machine-readable visa of the smaller size (MRV-B) ends with no check digit over all of it, and the check digits it
has stand where the larger one's (MRV-A) do, so nothing that is read tells them apart (ICAO Doc 9303-7 §4.2, §5.2).
Their sizes do: a sheet that ends before 44 characters are full never held them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from edged.core.strip import cut

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edged.core.page import Row

_MISSING: Final = 8
"""Characters by which the larger size is longer. A smaller one has about 4 places of paper after its last character,
on a passport's page up to 7; a larger one whose end is hidden has 10 and more."""
_OTHER_TONE: Final = 0.25
"""Share of the paper's brightness by which what isn't this paper differs: the table, the lid, a dark edge."""
_LEAST: Final = 1.0
"""Places nearer than which no paper ends, but something covers it."""
_STEPS: Final = 2
"""Steps per character in which the paper is followed."""


class _End(NamedTuple):
    """Where the paper ends: so many places away, or not within reach (None); and whether the picture ends there too."""

    places: float | None
    of_picture: bool


def too_narrow_for_more(grey: NDArray[np.uint8], rows: tuple[Row, ...], characters: int) -> bool:
    """Whether the paper ends so soon after the lines, of so many characters each, that 8 more never stood there.

    Where the picture ends before the paper does, it must do so on both sides: a picture cut to its document. Else the
    document may lie half outside the window.
    """
    pitch = rows[0].length / characters
    right = [_end(grey, row, 1, pitch) for row in rows]
    if any(end.places is None or end.places < _LEAST for end in right):
        return False
    if not any(end.of_picture for end in right):
        return True
    return all(_end(grey, row, -1, pitch).of_picture for row in rows)


def _end(grey: NDArray[np.uint8], row: Row, sense: int, pitch: float) -> _End:
    """The paper's end beside a row, rightwards (`sense` 1) or leftwards (-1)."""
    height, width = grey.shape
    strip = cut(grey, row, margin=(_MISSING + 1) * pitch / row.cap)
    tones = np.percentile(strip.pixels[8:24], 75, axis=0)[::sense]
    place = pitch / strip.scale
    last = len(tones) / 2 + row.length / 2 / strip.scale
    paper = float(np.percentile(tones[max(0, int(last - 10 * place)) : int(last)], 75))
    for step in range(1, _MISSING * _STEPS):
        at = row.moved(sense * (row.length / 2 + step * pitch / _STEPS), 0.0)
        if not (0 <= at.x < width and 0 <= at.y < height):
            return _End(step / _STEPS, True)
        part = tones[int(last + (step - 1) * place / _STEPS) : int(last + step * place / _STEPS)]
        if part.size and abs(float(np.median(part)) - paper) > _OTHER_TONE * paper:
            return _End(step / _STEPS, False)
    return _End(None, False)
