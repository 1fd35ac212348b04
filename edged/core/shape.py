"""From the lines that were read to the cells of an MRZ: which layout's shape they fill, and where each line starts."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from edged.core import layouts
from edged.core.fold import crossed
from edged.core.ocr import CLASSES
from edged.identity import withheld

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from edged.core.ocr import Line
    from edged.core.page import Row
    from edged.core.strip import Strip

_SHAPES: Final = sorted(set(layouts.SHAPES.values()), reverse=True)
LEGIBLE: Final = 0.55
"""Mean share of the best character below which a row isn't MRZ text (upside down, other print)."""
_FILLED: Final = 0.55
_FILLED_ALONE: Final = 0.8
"""Least score of a block's best shape: about three quarters of the cells hold a character, little stands
beside. A line alone, whose neighbours can't vouch for its ends, needs more."""
_DIRT_ROWS: Final = 4
_DIRT_DEPTH: Final = 0.6
_DIRT_SHARE: Final = 0.5
_PRINT: Final = slice(6, 26)
_INK, _WHITE = 0.04, 0.85
"""Rows of a strip at each edge that should be paper, how dark dirt is between paper and ink, and how much of a
character's width it covers; the rows of the print, and the shares of their pixels darker than ink and paper are."""
_BESIDE: Final = 0.5
_OTHER_PAPER: Final = 0.25
"""Share of the paper's brightness by which what isn't this paper differs."""
_PAPER: Final = 5
"""Characters whose paper it is: over more of them the slope of a shadow adds up to as much."""


@withheld
class Reading(NamedTuple):
    """The cells of one MRZ and where they stand.

    `cells` has one (characters, CLASSES) array a line; `presence` one (characters,) array. `score` (0..1)
    tells how well the lines fill a layout's shape, `legibility` how sure the characters are on average.
    `at_border` says that a line runs into the edge of the picture, `runs_on` that more characters stand right beside
    the lines, or that the paper ends where they do: they may be a part of longer ones. `fouled` (all characters, line
    after line) tells where something dark lies above or below a character and may hide a part of it, or where O and 0
    can't be told apart; `crossed` the same where a line, a fold's or a scratch's, goes through it.
    """

    cells: tuple[NDArray[np.float32], ...]
    presence: tuple[NDArray[np.float32], ...]
    rows: tuple[Row, ...]
    score: float
    legibility: float
    at_border: bool
    runs_on: bool
    fouled: NDArray[np.bool_]
    crossed: NDArray[np.bool_]


@withheld
class ReadRow(NamedTuple):
    """A row as it was read; `pitch` is in page pixels."""

    strip: Strip
    line: Line
    along: NDArray[np.float64]
    """Centre of each cell along the block's direction, in page pixels."""
    pitch: float


class Fragment(NamedTuple):
    """A block that reads as MRZ text but fills no layout's shape."""

    legibility: float
    characters: int
    rows: int
    at_border: bool


def legibility(line: Line) -> float:
    """How sure a line's characters are on average, and how evenly they stand (0..1); 0 for fewer than eight."""
    held = line.presence > 0.5
    if held.sum() < 8:
        return 0.0
    return float(line.probabilities[held].max(axis=1).mean() * (1 - min(1.0, 2 * line.residual)))


def best_shape(grey: NDArray[np.uint8], lines: list[ReadRow | None]) -> Reading | Fragment | None:
    """The layout's shape that lines, top first, fill best; a fragment when it is none, None when no line is legible."""
    legible = [line is not None and legibility(line.line) >= LEGIBLE for line in lines]
    if not any(legible):
        return None
    best: tuple[float, int, int, list[int]] | None = None
    for count, width in _SHAPES:
        for top in range(len(lines) - count + 1):
            picked = [line for line in lines[top : top + count] if line is not None]
            if len(picked) < count or not all(legible[top : top + count]):
                continue
            starts, score = _window(picked, width)
            unused = [line for i, line in enumerate(lines) if not top <= i < top + count and legible[i]]
            spare = sum(float(line.line.presence.sum()) for line in unused if line is not None)
            total = score - 0.5 * spare / (count * width)
            if best is None or total > best[0]:
                best = (total, top, width, starts)
    picked = [line for line, ok in zip(lines, legible, strict=True) if line is not None and ok]
    border = any(_at_border(grey, line) for line in picked)
    if best is None or best[0] < (_FILLED if len(best[3]) > 1 else _FILLED_ALONE):
        characters = max(int((line.line.presence > 0.5).sum()) for line in picked)
        return Fragment(max(legibility(line.line) for line in picked), characters, len(picked), border)
    score, top, width, starts = best
    used = [line for line in lines[top : top + len(starts)] if line is not None]
    cells, presence = [], []
    for line, start in zip(used, starts, strict=True):
        shares, held = taken(line.line, start, width)
        cells.append(shares)
        presence.append(held)
    return Reading(
        tuple(cells),
        tuple(presence),
        tuple(_extent(line, start, width) for line, start in zip(used, starts, strict=True)),
        score,
        sureness(np.concatenate(cells), np.concatenate(presence)),
        border,
        any(_runs_on(line, start, width) for line, start in zip(used, starts, strict=True)),
        np.concatenate([_fouled(line, start, width) for line, start in zip(used, starts, strict=True)]),
        np.concatenate([_crossed(line, start, width) for line, start in zip(used, starts, strict=True)]),
    )


def _fouled(line: ReadRow, start: int, width: int) -> NDArray[np.bool_]:
    """Which characters have dark dirt, a finger or an edge right above or below them, where paper should be.

    Dark is what is darker than the paper and the ink beside it say, so that a shadow, dark all over, is none.
    """
    pixels, pitch, cells = line.strip.pixels, line.line.pitch, within(line.line, start, width)
    found = np.zeros(width, bool)
    if not len(cells):
        return found
    centres = line.line.x[cells][:, None]

    def columns(reach: float) -> NDArray[np.intp]:
        """The columns around each character, those beyond the strip's ends replaced by the last ones."""
        aside = np.arange(-int(reach * pitch), max(1, int(reach * pitch)))
        return np.asarray(np.clip(centres + aside, 0, pixels.shape[1] - 1), np.intp)

    around = pixels[_PRINT][:, columns(1.5)].transpose(1, 0, 2).reshape(len(cells), -1)
    last = around.shape[1] - 1
    ranks = [round(share * last) for share in (_INK, _WHITE)]
    ink, paper = np.partition(around, ranks, axis=1)[:, ranks].T.astype(np.float32)
    dark = (paper - _DIRT_DEPTH * (paper - ink))[:, None]
    for edge in (pixels[:_DIRT_ROWS], pixels[-_DIRT_ROWS:]):
        here = edge[:, columns(0.5)]
        found[cells - start] |= (here < dark).mean(axis=(0, 2)) > _DIRT_SHARE
    return found


def _crossed(line: ReadRow, start: int, width: int) -> NDArray[np.bool_]:
    """Which characters a line crosses that goes on above and below them."""
    cells = within(line.line, start, width)
    found = np.zeros(width, bool)
    found[cells - start] = crossed(line.strip.pixels, line.line.x[cells], line.line.pitch, _PRINT)
    return found


def _runs_on(line: ReadRow, start: int, width: int) -> bool:
    """Whether something that reads as a character, or no paper, follows on either side of a line's characters."""
    beside = [cell for cell in (start - 1, start + width) if 0 <= cell < len(line.line.x)]
    if any(line.line.presence[cell] > _BESIDE for cell in beside):
        return True
    last = start + width - 1
    if not 0 <= last < len(line.line.x):
        return True
    pixels, pitch = line.strip.pixels, line.line.pitch
    end = line.line.x[last] + 0.5 * pitch
    after = pixels[8:24, int(end + 0.3 * pitch) : int(end + 1.6 * pitch)]
    paper = pixels[8:24, max(0, int(end - _PAPER * pitch)) : int(end)]
    if after.size == 0 or paper.size == 0:
        return False
    level = float(np.percentile(paper, 90))
    return abs(float(np.median(after)) - level) > _OTHER_PAPER * level


def within(line: Line, start: int, width: int) -> NDArray[np.intp]:
    """Those of the `width` cells from `start` that the line has."""
    return np.arange(max(0, start), min(start + width, len(line.x)))


def taken(line: Line, start: int, width: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """`width` cells from `start`, which may lie outside the line: what isn't there says nothing."""
    cells = np.full((width, CLASSES), 1.0 / CLASSES, np.float32)
    presence = np.zeros(width, np.float32)
    there = within(line, start, width)
    cells[there - start] = line.probabilities[there]
    presence[there - start] = line.presence[there]
    return cells, presence


def sureness(cells: NDArray[np.float32], presence: NDArray[np.float32]) -> float:
    """A `Reading`'s legibility: how sure its characters, (characters, CLASSES) and (characters,), are on average."""
    return float((cells.max(axis=1) * presence).mean())


def by_line(
    values: NDArray[np.float32], lines: Sequence[NDArray[np.float32]]
) -> tuple[NDArray[np.float32], ...]:
    """Values of all characters, line after line, parted as `lines` are."""
    return tuple(np.split(values, np.cumsum([len(line) for line in lines])[:-1]))


def _extent(line: ReadRow, start: int, width: int) -> Row:
    """The row cut to its characters: `width` of them from cell `start`."""
    row = line.strip.row
    index = np.arange(len(line.along))
    here = row.x * row.dx + row.y * row.dy
    slope, first = np.polyfit(index, line.along, 1)
    left, right = first + slope * (start - 0.5), first + slope * (start + width - 0.5)
    return row.moved(float((left + right) / 2 - here), 0.0)._replace(length=float(right - left))


def _window(lines: list[ReadRow], width: int) -> tuple[list[int], float]:
    """Where each line's `width` characters start, all at the same left edge, and how well that fits (at most 1)."""
    lines = _abreast(lines)
    scores = [_window_scores(line.line.presence, width) for line in lines]
    best: tuple[float, list[int]] = (-np.inf, [])
    for lead, (offset, values) in enumerate(scores):
        for k in np.argsort(-values)[:4]:
            start = int(k) - offset
            edge = _edge(lines[lead], start)
            starts, total = [], 0.0
            for line, (off, vals) in zip(lines, scores, strict=True):
                guess = round((edge - line.along[0]) / line.pitch + 0.5)
                near = [s for s in (guess - 1, guess, guess + 1) if 0 <= s + off < len(vals)]
                # Lines begin together to within a fraction of a character.
                near = [s for s in near if abs(_edge(line, s) - edge) <= 0.8 * line.pitch]
                if not near:
                    total = -np.inf
                    break
                worth = [float(vals[s + off]) - abs(_edge(line, s) - edge) / line.pitch for s in near]
                chosen = int(np.argmax(worth))
                starts.append(near[chosen])
                total += worth[chosen]
            if total > best[0]:
                best = (total, starts)
    starts, total = best[1], best[0] / (len(lines) * width)
    if len(starts) == len(lines) and all(abs(a.pitch / b.pitch - 1) < 0.15 for a, b in pairwise(lines)):
        return starts, total
    return starts, -np.inf


def _abreast(lines: list[ReadRow]) -> list[ReadRow]:
    """The lines with their characters' places along one direction: each row's own may differ a little from it."""
    dx, dy = (float(np.mean([getattr(line.strip.row, name) for line in lines])) for name in ("dx", "dy"))
    found = []
    for line in lines:
        row, pixels = line.strip.row, line.strip.pixels
        here = (line.line.x + 0.5 - pixels.shape[1] / 2) * line.strip.scale
        found.append(line._replace(along=(row.x + here * row.dx) * dx + (row.y + here * row.dy) * dy))
    return found


def _edge(line: ReadRow, start: int) -> float:
    """Left edge of cell `start` along the block's direction, in page pixels."""
    inside = min(max(start, 0), len(line.along) - 1)
    return float(line.along[inside] + (start - inside - 0.5) * line.pitch)


def _window_scores(presence: NDArray[np.float32], width: int) -> tuple[int, NDArray[np.float64]]:
    """(offset, scores): scores[i] is what a window of `width` cells from cell i - offset holds, less what it misses."""
    offset = width // 6
    padded = np.zeros(max(len(presence) + 2 * offset, width + 2 * offset + 1))
    padded[offset : offset + len(presence)] = presence
    total = np.concatenate([[0.0], np.cumsum(padded)])
    starts = np.arange(len(padded) - width + 1)
    inside = total[starts + width] - total[starts]
    return offset, inside - (width - inside) - 0.7 * (total[-1] - inside)


def _at_border(grey: NDArray[np.uint8], line: ReadRow) -> bool:
    """Whether characters of this line stand within one pitch of the picture's edge, or beyond it."""
    height, width = grey.shape
    held = np.flatnonzero(line.line.presence > 0.5)
    for cell in (held[0], held[-1]):
        x, y = line.strip.place(float(line.line.x[cell]))
        reach = 0.9 * line.pitch
        if not (reach <= x < width - reach and reach * 0.8 <= y < height - reach * 0.8):
            return True
    return False
