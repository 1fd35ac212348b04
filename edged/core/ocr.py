"""The line reader: strips in, what stands at each place of a line out, with how sure it is.

The network is our own (`tools/train_mrz`), 295 thousand parameters, run by `edged.core._fastnet`. It knows
shapes, not words: which characters may stand where is the decoder's business (`edged.core.lattice`).
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from edged.core._fastgrid import fit
from edged.core.network import load

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edged.core._fastnet import Net

ALPHABET: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ<"
"""The network's classes in order; one more stands for no character."""
CLASSES: Final = len(ALPHABET)
_STRIDE: Final = 4
_MODEL: Final = "mrz_lines.net"


class Line(NamedTuple):
    """What stands on one strip, on a regular grid.

    `probabilities` is (cells, CLASSES): the share of each character given that one stands there; `presence`
    (cells,) is how surely one does. `x` (cells,) are the cells' centres in strip pixels, `pitch` their
    distance; `residual` tells how far the characters stray from the grid, as a share of the pitch.
    """

    probabilities: NDArray[np.float32]
    presence: NDArray[np.float32]
    x: NDArray[np.float64]
    pitch: float
    residual: float


@cache
def _net() -> Net:
    return load(files("edged.core").joinpath("models", _MODEL).read_bytes())


def columns(strip: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(W / 4, CLASSES + 1) probabilities of one (32, W) strip; any number of threads may ask at once."""
    shares: NDArray[np.float32] = _net().probabilities(np.ascontiguousarray(strip[None]))[0]
    return shares


def read_strip(strip: NDArray[np.uint8]) -> Line | None:
    """The line on a strip, or None where fewer than eight characters stand in a regular row."""
    return to_grid(columns(strip))


def to_grid(probabilities: NDArray[np.float32]) -> Line | None:
    """Fit a regular grid to the columns' characters, and gather what each of its cells holds."""
    found = fit(np.ascontiguousarray(probabilities))
    if found is None:
        return None
    shares, presence, centres, pitch, residual = found
    return Line(shares, presence, centres * _STRIDE + (_STRIDE - 1) / 2, pitch * _STRIDE, residual)
