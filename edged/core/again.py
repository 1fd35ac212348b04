"""A second look at lines that weren't sure: cut a little larger, smaller, higher and lower, and read again.

One picture shows its characters on one grid of pixels; cut differently, a doubtful one falls on other strip pixels, and
what the line reader says of it on the whole is surer than what it says once. The looks are of one print, so they are
averaged, not multiplied: they can settle a doubt, they can't make evidence.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from edged.core import ocr
from edged.core.shape import sureness, taken
from edged.core.strip import cut

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edged.core.ocr import Line
    from edged.core.page import Row
    from edged.core.shape import Reading
    from edged.core.strip import Strip

_LOOKS: Final = ((0.93, -0.04), (0.97, 0.04), (1.03, -0.05), (1.08, 0.03))
"""Height of the capitals and shift across, both in heights of capitals, of each further look."""
_LEAST_SHARE: Final = 1e-4
_ASTRAY: Final = 0.4
"""Share of a character's width by which a look's grid may lie beside the first one's."""


def look_again(grey: NDArray[np.uint8], reading: Reading) -> Reading:
    """The reading with the cells of all looks averaged; those whose grid doesn't fit the first one's are left out."""
    cells, presence, looks = [], [], 0
    for row, first, held in zip(reading.rows, reading.cells, reading.presence, strict=True):
        seen = [(first, held)]
        for size, shift in _LOOKS:
            strip = cut(grey, row.moved(0.0, shift * row.cap)._replace(cap=row.cap * size))
            line = ocr.read_strip(strip.pixels)
            start = None if line is None else first_cell(strip, line, row, len(first))
            if line is not None and start is not None:
                seen.append(taken(line, start, len(first)))
                looks += 1
        logs = np.mean([np.log(np.maximum(one, _LEAST_SHARE)) for one, _ in seen], axis=0)
        shares = np.exp(logs - logs.max(axis=1, keepdims=True))
        cells.append((shares / shares.sum(axis=1, keepdims=True)).astype(np.float32))
        presence.append(np.mean([there for _, there in seen], axis=0).astype(np.float32))
    if not looks:
        return reading
    sure = sureness(np.concatenate(cells), np.concatenate(presence))
    return reading._replace(cells=tuple(cells), presence=tuple(presence), legibility=sure)


def first_cell(strip: Strip, line: Line, row: Row, width: int) -> int | None:
    """Which cell of a line, read along a row of `width` characters, is the first of them; None where none fits."""
    pitch = row.length / width / strip.scale
    middle = (strip.pixels.shape[1] - 1) / 2
    found = []
    for place in (0.25, 0.5, 0.75):  # perspective moves the ends most
        cell = round(place * width)
        at = middle + (cell + 0.5 - width / 2) * pitch
        nearest = int(np.abs(line.x - at).argmin())
        if abs(float(line.x[nearest]) - at) < _ASTRAY * pitch:
            found.append(nearest - cell)
    return found[0] if found and len(set(found)) == 1 and len(found) > 1 else None
