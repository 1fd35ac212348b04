"""The print reader: rows of ordinary print in, what stands at each of their places out, with how sure it is.

The network is our own (`tools/train_print`), 166 thousand parameters, run by `edged.core._fastnet`. It folds case and
accents: a letter is its base capital. It knows no words; what a line may say is decided by who asks.
"""

from __future__ import annotations

import itertools
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Final

import numpy as np

from edged.core.network import load
from edged.core.strip import straighten
from edged.identity import Identity, Sensitive

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from edged.core._fastnet import Net
    from edged.core.page import Row

PRINTED: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ./-"
"""The network's classes in order; two more stand for any other sign, and for none."""
OTHER: Final = len(PRINTED)
_BLANK: Final = OTHER + 1
_HEIGHT: Final = 24
_CAP: Final = 14.0
_STRIDE: Final = 2
_LONGEST: Final = 1024
"""Pixels of a row that are read: some ninety characters."""
_MARGIN: Final = 10
_MODEL: Final = "print_lines.net"
_INK: Final = 0.55
"""Share of some character from which a column holds ink."""
_WIDE: Final = 6
_DIP: Final = 0.75
"""Columns from which a run may be two of the same character, and the share of ink to which it falls between them."""
_SURE_PART: Final = 0.9
"""Share that each of two touching characters needs: one alone has unsure columns at its rim."""
_SPACE: Final = 0.42
_SPACE_PITCHES: Final = 1.3
"""Blank from which a space is read, in capitals, and distance of the characters around it, in pitches of the line: a
figure 1 in wide-set print stands as alone as a word."""


class PrintLine(Identity):
    """What stands on one row.

    Attributes:
        row: where it stands.
        shares: (n, `OTHER` + 1) probabilities of each character's classes, the last of them any other sign.
        at: (n,) characters' centres, and `gaps` (n,) the blank before each, both in heights of the capitals.
    """

    __slots__ = ("_spaces", "_text", "at", "gaps", "row", "shares")

    def __init__(
        self, row: Row, shares: NDArray[np.float32], at: NDArray[np.float64], gaps: NDArray[np.float64]
    ) -> None:
        self.row = row
        self.shares = shares
        self.at = at
        self.gaps = gaps
        best = shares.argmax(axis=1).tolist() if len(shares) else []
        self._text = "".join((PRINTED + "?")[one] for one in best)
        steps = np.diff(at, prepend=at[:1])
        pitch = float(np.sort(steps[1:])[len(steps) // 2 - 1]) if len(at) > 2 else 0.0
        self._spaces: list[bool] = ((gaps > _SPACE) & (steps > _SPACE_PITCHES * pitch)).tolist()

    def __len__(self) -> int:
        return len(self._text)

    @property
    def text(self) -> Sensitive[str]:
        """The likeliest characters, one each place, `?` for other signs; without spaces."""
        return Sensitive(self._text)

    @property
    def spaced(self) -> Sensitive[str]:
        """The same with a space wherever the print leaves one."""
        parts = [" " + char if i and self.space(i) else char for i, char in enumerate(self._text)]
        return Sensitive("".join(parts))

    def space(self, place: int) -> bool:
        """Whether a space stands before a place; true at both ends."""
        return not 0 < place < len(self._text) or self._spaces[place]

    @property
    def sureness(self) -> NDArray[np.float32]:
        """(n,) probability of each place's likeliest class."""
        return np.asarray(self.shares.max(axis=1), np.float32) if len(self) else np.zeros(0, np.float32)


def joined(left: PrintLine, right: PrintLine) -> PrintLine:
    """Two lines on one level as one, the second with its distance from the first: a year set far from its month."""
    along, _ = left.row.offset(right.row)
    gap = (along - (left.row.length + right.row.length) / 2) / left.row.cap
    shift = float(left.at[-1]) + gap + 1.0 - float(right.at[0])
    length = (left.row.length + right.row.length) / 2 + along
    row = left.row.moved((length - left.row.length) / 2, 0.0)._replace(length=length)
    return PrintLine(
        row,
        np.concatenate([left.shares, right.shares]),
        np.concatenate([left.at, right.at + shift]),
        np.concatenate([left.gaps, [max(gap, 2 * _SPACE)], right.gaps[1:]]),
    )


def read_rows(grey: NDArray[np.uint8], rows: Sequence[Row], *, most: int) -> list[PrintLine]:
    """Read rows of a page in their order, up to `most` pixels of strips in all; what comes after isn't looked at.

    `grey` is (H, W), 8 bits. A row on which no character stands is left out. Any number of threads may read at once.
    """
    lines: list[PrintLine] = []
    for row in rows:
        width = min(_LONGEST, int(row.length / row.cap * _CAP) // _STRIDE * _STRIDE + 2 * _MARGIN)
        most -= width
        if most < 0:
            break
        strip = np.ascontiguousarray(straighten(grey, row, row.cap / _CAP, width, _HEIGHT))
        lines.append(to_line(_net().probabilities(strip[None])[0], row))
    return [line for line in lines if len(line)]


@cache
def _net() -> Net:
    return load(files("edged.core").joinpath("models", _MODEL).read_bytes())


def to_line(columns: NDArray[np.float32], row: Row) -> PrintLine:
    """Gather the characters of a row from its (n, classes) columns: one for each run of columns that holds one."""
    shares, at, gaps, last = [], [], [], 0.0
    for first, end in _runs(columns):
        weight = 1.0 - columns[first:end, _BLANK]
        if end - first > 2:  # the rim of a character was never taught
            weight = weight * (1.0 - 0.6 * np.abs(np.linspace(-1.0, 1.0, end - first)))
        mean = (weight[:, None] * columns[first:end, :_BLANK]).sum(axis=0)
        shares.append(mean / mean.sum())
        middle = float((weight * np.arange(first, end)).sum() / weight.sum())
        at.append((middle * _STRIDE + (_STRIDE - 1) / 2) / _CAP)
        gaps.append((first * _STRIDE - last) / _CAP)
        last = end * _STRIDE
    values = np.array(shares, np.float32).reshape(-1, _BLANK)
    return PrintLine(row, values, np.array(at, np.float64), np.array(gaps, np.float64))


def _runs(columns: NDArray[np.float32]) -> list[tuple[int, int]]:
    """(first, end) of each character's columns: a run of ink is one, unless two parts of it are sure of two."""
    ink = 1.0 - columns[:, _BLANK]
    edges = np.flatnonzero(np.diff(ink > _INK, prepend=False, append=False)).tolist()
    pieces: list[tuple[int, int]] = []
    for first, end in zip(edges[::2], edges[1::2], strict=True):
        if end - first >= _WIDE:
            dip = first + 2 + int(ink[first + 2 : end - 2].argmin())
            if ink[dip] < _DIP * min(ink[first:dip].max(), ink[dip + 1 : end].max()):
                pieces += [(first, dip), (dip, end)]
                continue
        pieces.append((first, end))
    runs: list[tuple[int, int]] = []
    for first, end in pieces:
        if end - first <= 3:
            runs.append((first, end))
            continue
        best = columns[first:end, :_BLANK].argmax(axis=1)
        turns = [0, *(np.flatnonzero(np.diff(best)) + 1).tolist(), end - first]
        parts = [
            (first + start, first + stop)
            for start, stop in itertools.pairwise(turns)
            if stop - start >= 2 and columns[first + start : first + stop, best[start]].max() >= _SURE_PART
        ]
        cuts = [first, *((left[1] + right[0] + 1) // 2 for left, right in itertools.pairwise(parts)), end]
        runs += itertools.pairwise(cuts)
    return runs
