"""Rows that belong together: lines of one MRZ, evenly spaced and alike, the likeliest first."""

from __future__ import annotations

from itertools import pairwise
from statistics import median
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from edged.core.evenness import evenness
from edged.core.rows import joined

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from edged.core.evenness import Halves
    from edged.core.rows import Row

MAX_CANDIDATES: Final = 24
"""Blocks kept per picture: bounds the time a page full of print can take."""
_MAX_ROWS: Final = 4 * MAX_CANDIDATES
_EVEN: Final = (0.25, 0.6)
"""Evenness from which a row may be an MRZ's, and from which nothing speaks against it."""
_CHARACTERS: Final = (14.0, 26.0, 50.0, 62.0)
"""Characters of a row: an MRZ has 30 to 44; fewer may be what is left of one, more have other print beside it."""
_OTHER: Final = 0.12
"""What a row counts that nothing speaks for: it may still be an MRZ's, under glare or in a broken face."""
_PIECE: Final = 0.2
_MAX_PIECES: Final = 12
"""What a row counts, and how many of the best are tried, from which it may be a piece of one that glare has parted."""
_LOOKED: Final = 1.3
"""How much more a row counts, against the same row seen from afar, that was found by a closer look."""
_WIDEST: Final = 3.4
"""Most distance from line to line of an MRZ, in heights of its capitals."""
_OUT: Final = 2.5
"""How far a row stands out beside the two others of a block, in heights of its capitals, to be cut."""
CONVINCING: Final = 0.6
"""Evidence from which a block of several rows needs no further search."""


class Block(NamedTuple):
    """Rows that belong together, top to bottom in their reading direction; `score` orders candidates.

    `evidence` (0..1) tells how much the rows are like an MRZ's in the distance of their characters and in length.
    """

    rows: tuple[Row, ...]
    score: float
    evidence: float = 0.0

    def reversed(self) -> Block:
        """The same block upside down."""
        return self._replace(rows=tuple(row.reversed() for row in reversed(self.rows)))

    @property
    def convincing(self) -> bool:
        """Whether this is an MRZ as far as can be said without reading it."""
        return len(self.rows) > 1 and self.evidence > CONVINCING


class Candidates:
    """Rows found so far on one page, with how much each is like an MRZ's."""

    def __init__(self, halves: Halves) -> None:
        self.halves = halves
        self._rows: list[Row] = []
        self._worth = np.zeros(0)
        self._trust = np.zeros(0)

    def add(self, rows: Sequence[Row], *, looked: bool = False) -> None:
        """More rows, in page pixels; those already there may be among them."""
        if rows:
            worth = _worth(rows, self.halves)
            pieces = [i for i in np.argsort(-worth)[:_MAX_PIECES] if worth[i] > _PIECE]
            wholes = joined([rows[i] for i in pieces])
            if wholes:
                rows = [*rows, *wholes]
                worth = np.concatenate([worth, _worth(wholes, self.halves)])
            self._rows += rows
            self._worth = np.concatenate([self._worth, worth])
            self._trust = np.concatenate([self._trust, np.full(len(rows), _LOOKED if looked else 1.0)])

    def blocks(self) -> list[Block]:
        """The rows grouped by equal direction, length and spacing, best first, at most `MAX_CANDIDATES`.

        A row alone is a candidate too (one-line permits); each row is in one block.
        """
        if not self._rows:
            return []
        table = np.array(self._rows, float)
        value = np.minimum(table[:, 4] / table[:, 5], 50.0) * (_OTHER + self._worth)
        order = np.argsort(-value * self._trust, kind="stable")
        order = order[_distinct(table[order])][:_MAX_ROWS]
        table, value, worth = table[order], value[order], self._worth[order]
        made = [
            _evenly_spaced(table, value, lead, neighbours)
            for lead, neighbours in enumerate(_neighbours(table))
        ]
        made.sort(key=lambda block: -block[0])
        taken: set[int] = set()
        result = []
        for score, members in made:
            if taken.isdisjoint(members):
                taken.update(members)
                rows = _trimmed([self._rows[order[i]] for i in members])
                result.append(Block(rows, score, float(np.median(worth[members]))))
        return result[:MAX_CANDIDATES]


def _trimmed(rows: list[Row]) -> tuple[Row, ...]:
    """Of three rows, the one that stands out at an end cut to where the second longest ends: it has other print on."""
    if len(rows) < 3:
        return tuple(rows)
    lead = rows[len(rows) // 2]
    middles = [lead.offset(row)[0] for row in rows]
    starts = [middle - row.length / 2 for middle, row in zip(middles, rows, strict=True)]
    ends = [middle + row.length / 2 for middle, row in zip(middles, rows, strict=True)]
    first, last = sorted(starts)[1], sorted(ends)[-2]
    cut = []
    for row, middle, start, end in zip(rows, middles, starts, ends, strict=True):
        left = first if start < first - _OUT * row.cap else start
        right = last if end > last + _OUT * row.cap else end
        cut.append(row.moved((left + right) / 2 - middle, 0.0)._replace(length=right - left))
    return tuple(cut)


def _worth(rows: Sequence[Row], halves: Halves) -> NDArray[np.float64]:
    """How much each row is like an MRZ's, 0..1, by the distance and the number of its characters."""
    even, pitch = evenness(halves, rows)
    count = np.array([row.length for row in rows]) / pitch
    regular = np.clip((even - _EVEN[0]) / (_EVEN[1] - _EVEN[0]), 0.0, 1.0)
    return np.asarray(regular * np.interp(count, _CHARACTERS, (0.3, 1.0, 1.0, 0.3)), float)


class _Relations(NamedTuple):
    """Of each pair of rows (n, n): cosine of their angle, and where the second's centre lies seen from the first."""

    cosine: NDArray[np.float64]
    along: NDArray[np.float64]
    across: NDArray[np.float64]


def _relations(table: NDArray[np.float64]) -> _Relations:
    x, y, dx, dy = table[:, :4].T
    right, down = x - x[:, None], y - y[:, None]
    cosine = np.outer(dx, dx) + np.outer(dy, dy)
    return _Relations(
        cosine, right * dx[:, None] + down * dy[:, None], down * dx[:, None] - right * dy[:, None]
    )


def _distinct(table: NDArray[np.float64]) -> list[int]:
    """Which rows of (n, 6), best first, no better one covers already (the same print found twice)."""
    seen = _relations(table)
    length, cap = table[:, 4], table[:, 5]
    covers = np.abs(seen.across) < 0.5 * np.minimum(cap[:, None], cap)
    covers &= (np.abs(seen.cosine) > 0.97) & (np.abs(seen.along) < 0.5 * length[:, None])
    kept: list[int] = []
    gone = np.zeros(len(table), bool)
    for i in range(len(table)):
        if not gone[i]:
            kept.append(i)
            gone |= covers[i]
    return kept


def _neighbours(table: NDArray[np.float64]) -> list[list[tuple[float, int]]]:
    """For each row (offset across, row) of those that may be lines of the same MRZ, none of them longer, top first."""
    seen = _relations(table)
    length, cap = table[:, 4], table[:, 5]
    across = np.abs(seen.across)
    near = (across <= 5.6 * np.maximum(cap[:, None], cap)) & (across >= 1.1 * np.minimum(cap[:, None], cap))
    near &= (seen.cosine > 0.995) & (np.abs(seen.along) <= 0.3 * length[:, None])
    taller, longer = cap / cap[:, None], length / length[:, None]
    near &= (taller > 0.6) & (taller < 1.7) & (longer > 0.55) & (longer <= 1.0)
    np.fill_diagonal(near, False)
    return [
        sorted((float(seen.across[i, j]), int(j)) for j in np.flatnonzero(near[i])) for i in range(len(table))
    ]


def _evenly_spaced(
    table: NDArray[np.float64], value: NDArray[np.float64], lead: int, members: list[tuple[float, int]]
) -> tuple[float, list[int]]:
    """(score, rows): at most three neighbouring rows with `lead` whose spacing is alike, the likeliest ones."""
    above = [member for member in members if member[0] < 0][-2:]
    below = [member for member in members if member[0] > 0][:2]
    best = (float(value[lead]), [lead])
    caps = {i: float(table[i, 5]) for i in (lead, *(i for _, i in above + below))}
    for up in range(len(above) + 1):
        for down in range(min(len(below), 2 - up) + 1):
            run = [*above[len(above) - up :], (0.0, lead), *below[:down]]
            gaps = [b[0] - a[0] for a, b in pairwise(run)]
            picked = [i for _, i in run]
            widest = _WIDEST * median(caps[i] for i in picked)  # one row's own height may be mistaken
            if not gaps or max(gaps) > min(1.35 * min(gaps), widest):
                continue
            best = max(best, (float(value[picked].sum()), picked))
    return best
