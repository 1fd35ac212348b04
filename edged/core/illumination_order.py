"""Whether a camera sees the window of this moment: light in a random order, looked for again in the frames.

A feed that was recorded before, or a still picture, can't know the order that was drawn just now. What lights itself in
the window, a telephone's screen, is bright in the dark.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Sight(NamedTuple):
    """How bright a frame is where.

    Attributes:
        blocks: (ROWS, COLUMNS) mean brightness, 0 to 255.
        burnt: share of each block that is blown out, 0..1.
    """

    blocks: NDArray[np.float32]
    burnt: NDArray[np.float32]
