"""From a candidate block of rows to the lines of an MRZ: whether it is one, which way up, and which rows belong to it.

A short piece of one row answers the first two questions at a third of a whole row's cost; most candidates of a page
are other print and end there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from edged.core import ocr
from edged.core.shape import LEGIBLE, Fragment, Reading, ReadRow, best_shape, legibility
from edged.core.strip import STRIP_CAP, cut, refine

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edged.core.page import Block, Row

__all__ = ["Budget", "Fragment", "Reading", "read_block"]

_PITCH: Final = 17.5
"""Strip pixels from character to character that the reader was trained around."""
_TOO_MANY: Final = 60
"""Characters in a row from which it is running text and no MRZ, whatever hangs on to it."""
_SENSIBLE: Final = 0.4
_UPRIGHT: Final = 0.88
"""Legibility below which a row isn't read either way up, and from which the other way up needn't be tried."""
_PIECE: Final = 256
_ROW: Final = 832
"""Strip pixels of the piece that is tried first, fourteen characters, and of a whole row of forty-four."""
_PIECE_SENSIBLE: Final = 0.5
"""Legibility below which a piece is no MRZ text; of 148 MRZs, worn and blurred ones too, none had less than 0.63."""
_PIECE_TELLS: Final = 0.12
"""Difference of legibility from which a piece tells which way up its row stands."""
_ASIDE: Final = 0.28
"""Where a second piece is tried, as a share of the row's length from its middle: glare may lie on the first."""
_LEAST_ROW: Final = (20.0, 14.0, 12.0)
"""Length of a block's rows, by their number, in heights of their capitals. Thirty characters are at least 24
long; several even rows may be what glare has left of an MRZ."""
_EXTENSIONS: Final = 3
_GOES_ON: Final = 0.75
"""How sure the characters must be that a longer row shows, against those it had: a table's grain is read as
characters too, none of them surely."""
_MOST_CHARACTERS: Final = 46
_SAME_SCALE: Final = 0.05
"""Difference of pitch up to which a line needn't be cut again by it."""
MAX_STRIPS: Final = 64
"""Strips read on one page, at a few milliseconds each; pages with an MRZ take up to 21."""
_WHOLE: Final = 0.9
"""How well lines must fill a shape before no others are looked for above and below: two of TD1's three fill two of
36 characters a little."""
_WORTH_A_SECOND_LOOK: Final = 0.5
"""Evidence of a block from which it is read as the locator saw it, where its own measures made no sense of it."""
_PROBE: Final = 1.95
"""Distance to a line the locator missed, in heights of capitals; `refine` looks about one height around it."""


class Budget:
    """How many more strips of one page may be read: the work on a page is bounded whatever is printed on it."""

    def __init__(self, strips: int = MAX_STRIPS) -> None:
        self.left: float = strips

    def spend(self, share: float = 1.0) -> bool:
        """Whether another strip, or a `share` of one, may be read; it is counted."""
        self.left -= share
        return self.left >= 0

    @property
    def exhausted(self) -> bool:
        """Whether a strip was asked for that wasn't read."""
        return self.left < 0


class _Sense(NamedTuple):
    """A way up in which a row may be read."""

    upside_down: bool
    pitch: float | None
    """Page pixels from character to character, where a piece of the row told it."""


def read_block(
    grey: NDArray[np.uint8], block: Block, budget: Budget | None = None, *, alone: bool = False
) -> Reading | Fragment | None:
    """Read a candidate; None when it isn't MRZ text, a fragment when only part of one is there.

    `alone` says that a line of its own probably is the whole MRZ: others above and below it are looked for only where
    it fills no layout's shape.

    What an exhausted budget leaves unread isn't there for it: the caller asks the budget.
    """
    budget = budget or Budget()
    for measured in (True, False):  # what was measured on the full page, or else what the locator saw
        seen = tuple(refine(grey, row) for row in block.rows) if measured else block.rows
        found, told = _read_seen(grey, block, seen, budget, alone)
        if told or block.evidence < _WORTH_A_SECOND_LOOK:
            break
    readings = [result for result in found if isinstance(result, Reading)]
    if readings:
        return max(readings, key=lambda reading: reading.legibility * reading.score)
    fragments = [result for result in found if isinstance(result, Fragment)]
    return max(fragments, key=lambda fragment: fragment.legibility, default=None)


def _read_seen(
    grey: NDArray[np.uint8], block: Block, seen: tuple[Row, ...], budget: Budget, alone: bool
) -> tuple[list[Reading | Fragment | None], bool]:
    """What each sensible way up gives of a block's rows, and whether there was one.

    Other print may have come along as a block's longest row, so the next one is asked where that has no sense.
    """
    rows = _common_extent(seen)
    for first in sorted(range(len(rows)), key=lambda i: -block.rows[i].length):
        if rows[first].length < _LEAST_ROW[len(rows) - 1] * rows[first].cap:
            continue
        senses = _senses(grey, rows[first], budget)
        found = [_read_rows(grey, rows, first, sense, budget, alone) for sense in senses]
        if len(senses) == 1 and any(isinstance(it, Reading) and it.legibility < _UPRIGHT for it in found):
            # A typewriter's letters upside down make some sense, too.
            other = senses[0]._replace(upside_down=not senses[0].upside_down)
            found.append(_read_rows(grey, rows, first, other, budget, alone))
        if any(found):
            return found, True
    return [], False


def _senses(grey: NDArray[np.uint8], row: Row, budget: Budget) -> list[_Sense]:
    """The ways up to read a row in: none for other print, one where a piece of it tells, else both, better first."""
    for aside in (0.0, -_ASIDE, _ASIDE):
        pieces = []
        for upside_down in (False, True):
            quality, pitch = _piece(grey, row, aside, upside_down, budget)
            pieces.append((quality, _Sense(upside_down, pitch)))
            if quality > _UPRIGHT:
                break
        pieces.sort(key=lambda piece: -piece[0])
        best = pieces[0][0]
        if best > _UPRIGHT or (best > _PIECE_SENSIBLE and best - pieces[-1][0] > _PIECE_TELLS):
            return [pieces[0][1]]
        if best > _PIECE_SENSIBLE:
            return [sense for _, sense in pieces]
        if row.length < 2 * _PIECE * row.cap / STRIP_CAP:
            break
    return []


def _piece(
    grey: NDArray[np.uint8], row: Row, aside: float, upside_down: bool, budget: Budget
) -> tuple[float, float | None]:
    """(legibility, pitch in page pixels) of a piece of a row, `aside` of its length from its middle."""
    if not budget.spend(_PIECE / _ROW):
        return 0.0, None
    length = min(row.length, _PIECE * row.cap / STRIP_CAP)
    piece = row.moved(aside * row.length, 0.0)._replace(length=length)
    strip = cut(grey, piece.reversed() if upside_down else piece, margin=0.0)
    line = ocr.read_strip(strip.pixels)
    return (0.0, None) if line is None else (legibility(line), line.pitch * strip.scale)


def _read_rows(
    grey: NDArray[np.uint8], rows: tuple[Row, ...], first: int, sense: _Sense, budget: Budget, alone: bool
) -> Reading | Fragment | None:
    """All rows one way up, `first` before the others: its characters' distance is a better ruler than their height."""
    if sense.upside_down:
        rows = tuple(row.reversed() for row in reversed(rows))
        first = len(rows) - 1 - first
    if sense.pitch is not None:
        rows = _scaled(rows, sense.pitch)
    read = _read_row(grey, rows[first], budget)
    if read is None or legibility(read.line) < _SENSIBLE or (read.line.presence > 0.5).sum() > _TOO_MANY:
        return None
    longer, read = _extended(grey, rows, read, budget)
    again = longer is not rows or abs(read.pitch / _pitch_of(rows[first]) - 1) > _SAME_SCALE
    rows = _scaled(longer, read.pitch) if again else rows
    lines = [read if i == first and not again else _read_row(grey, row, budget) for i, row in enumerate(rows)]
    found = best_shape(grey, lines) if len(rows) > 1 or alone else None
    if isinstance(found, Reading) and found.score > _WHOLE:
        return found
    more = best_shape(grey, _with_missed_rows(grey, lines, rows, read, budget))
    if isinstance(found, Reading) and not (isinstance(more, Reading) and more.score > found.score):
        return found
    return more


def _scaled(rows: tuple[Row, ...], pitch: float) -> tuple[Row, ...]:
    """The rows with the height of capitals that goes with a pitch."""
    return tuple(row._replace(cap=pitch * STRIP_CAP / _PITCH) for row in rows)


def _pitch_of(row: Row) -> float:
    return row.cap * _PITCH / STRIP_CAP


def _common_extent(rows: tuple[Row, ...]) -> tuple[Row, ...]:
    """Rows stretched to the ends of the longest: an MRZ's lines begin and end together."""
    lead = rows[0]
    spans = []
    for row in rows:
        along = (row.x - lead.x) * lead.dx + (row.y - lead.y) * lead.dy
        spans.append((along - row.length / 2, along + row.length / 2, along))
    left, right = min(s[0] for s in spans), max(s[1] for s in spans)
    middle = (left + right) / 2
    cap = float(np.median([row.cap for row in rows]))
    return tuple(
        row.moved(middle - span[2], 0.0)._replace(length=right - left, cap=max(row.cap, cap))
        for row, span in zip(rows, spans, strict=True)
    )


def _read_row(grey: NDArray[np.uint8], row: Row, budget: Budget) -> ReadRow | None:
    if not budget.spend():
        return None
    strip = cut(grey, row)
    line = ocr.read_strip(strip.pixels)
    if line is None:
        return None
    along = (line.x + 0.5 - strip.pixels.shape[1] / 2) * strip.scale + row.x * row.dx + row.y * row.dy
    return ReadRow(strip, line, along, line.pitch * strip.scale)


def _extended(
    grey: NDArray[np.uint8], rows: tuple[Row, ...], read: ReadRow, budget: Budget
) -> tuple[tuple[Row, ...], ReadRow]:
    """Rows made longer while their print runs on to the end of the strip: the locator saw only a part of them."""
    before = after = True
    for _ in range(_EXTENSIONS):
        held = read.line.x[read.line.presence > 0.5]
        if not len(held) or len(held) > _MOST_CHARACTERS:
            break
        reach, width = 1.3 * read.line.pitch, read.strip.pixels.shape[1]
        before, after = before and bool(held[0] < reach), after and bool(held[-1] > width - reach)
        longer = _longer(grey, rows, read, (before, after), budget)
        if longer is None:
            break
        rows, read, (before, after) = longer
    return rows, read


def _longer(
    grey: NDArray[np.uint8], rows: tuple[Row, ...], read: ReadRow, ends: tuple[bool, bool], budget: Budget
) -> tuple[tuple[Row, ...], ReadRow, tuple[bool, bool]] | None:
    """Rows made longer once at those ends, left and right, where their print goes on; None where it goes on at none."""
    while any(ends):
        before, after = ends
        more = _MOST_CHARACTERS / 3 * read.pitch
        shift, length = (after - before) * more / 2, rows[0].length + (after + before) * more
        again = _read_row(grey, read.strip.row.moved(shift, 0.0)._replace(length=length), budget)
        if again is None:
            break
        ends = before and _goes_on(read, again, -1), after and _goes_on(read, again, 1)
        if ends == (before, after):
            return tuple(row.moved(shift, 0.0)._replace(length=length) for row in rows), again, ends
    return None


def _goes_on(read: ReadRow, longer: ReadRow, sense: int) -> bool:
    """Whether what a longer strip shows beyond the end of a row's own (`sense` 1: the right one) is its print."""
    row, held = read.strip.row, longer.line.presence > 0.5
    aside = (longer.along - row.x * row.dx - row.y * row.dy) * sense
    beyond = aside > read.strip.pixels.shape[1] / 2 * read.strip.scale
    sure = longer.line.probabilities.max(axis=1)
    if not (held & beyond).any() or not (held & ~beyond).any():
        return True
    return bool(sure[held & beyond].mean() > _GOES_ON * sure[held & ~beyond].mean())


def _with_missed_rows(
    grey: NDArray[np.uint8],
    lines: list[ReadRow | None],
    rows: tuple[Row, ...],
    read: ReadRow,
    budget: Budget,
) -> list[ReadRow | None]:
    """The legible lines, and those the locator missed just above and below them."""
    found = [
        (row, line)
        for row, line in zip(rows, lines, strict=True)
        if line is not None and legibility(line.line) >= LEGIBLE
    ]
    gap = _PROBE * read.strip.row.cap
    if len(found) > 1:
        gap = _across(found[0][0], found[1][0])
    for below in (False, True):
        if not 0 < len(found) < 3:
            break
        edge = found[-1 if below else 0][0]
        probe = edge.moved(0.0, gap if below else -gap)
        if not _inside(grey, probe):
            continue
        probe = refine(grey, probe)._replace(cap=edge.cap)
        if abs(_across(edge, probe)) < 0.9 * edge.cap:
            continue
        line = _read_row(grey, probe, budget)
        if line is None or legibility(line.line) < LEGIBLE or abs(line.pitch / read.pitch - 1) > 0.12:
            continue
        found.insert(len(found) if below else 0, (probe, line))
        gap = abs(_across(edge, probe))
    return [line for _, line in found]


def _across(row: Row, other: Row) -> float:
    return -(other.x - row.x) * row.dy + (other.y - row.y) * row.dx


def _inside(grey: NDArray[np.uint8], row: Row) -> bool:
    height, width = grey.shape
    return bool(0 <= row.x < width and 0 <= row.y < height)
