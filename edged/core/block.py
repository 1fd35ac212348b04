"""From a candidate block of rows to the cells of an MRZ: which way up, which rows, where each line starts and ends."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from edged.core import layouts, ocr
from edged.core.ocr import CLASSES
from edged.core.strip import STRIP_CAP, cut, refine

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edged.core.ocr import Line
    from edged.core.page import Block, Row
    from edged.core.strip import Strip

_PITCH: Final = 17.5
"""Strip pixels from character to character that the reader was trained around."""
_SHAPES: Final = sorted(set(layouts.SHAPES.values()), reverse=True)
_LEGIBLE: Final = 0.55
"""Mean share of the best character below which a row isn't MRZ text (upside down, other print)."""
_FILLED: Final = 0.55
_FILLED_ALONE: Final = 0.8
"""Least score of a block's best shape: about three quarters of the cells hold a character, little stands
beside. A line alone, whose neighbours can't vouch for its ends, needs more."""
_TOO_MANY: Final = 60
"""Characters in a row from which it is running text and no MRZ, whatever hangs on to it."""
_SENSIBLE: Final = 0.4
_UPRIGHT: Final = 0.88
"""Legibility below which a row isn't read either way up, and from which the other way up needn't be tried."""
_LEAST_ROW: Final = (20.0, 14.0, 12.0)
"""Length of a block's rows, by their number, in heights of their capitals. Thirty characters are at least 24
long; several even rows may be what glare has left of an MRZ."""
_EXTENSIONS: Final = 3
_MOST_CHARACTERS: Final = 46
_DIRT_ROWS: Final = 4
_DIRT_DEPTH: Final = 0.6
_DIRT_SHARE: Final = 0.5
_BESIDE: Final = 0.5
_OTHER_PAPER: Final = 0.25
MAX_STRIPS: Final = 64
"""Strips read on one page, at about ten milliseconds each; pages with an MRZ take up to 21."""
_PROBE: Final = 1.95
"""Distance to a line the locator missed, in heights of capitals; `refine` looks about one height around it."""


class Reading(NamedTuple):
    """The cells of one MRZ and where they stand.

    `cells` has one (characters, CLASSES) array a line; `presence` one (characters,) array. `score` (0..1)
    tells how well the lines fill a layout's shape, `legibility` how sure the characters are on average.
    `at_border` says that a line runs into the edge of the picture, `runs_on` that more characters stand right beside
    the lines, or that the paper ends where they do: they may be a part of longer ones. `fouled` (all characters, line
    after line) tells where something dark lies above or below a character and may hide a part of it.
    """

    cells: tuple[NDArray[np.float32], ...]
    presence: tuple[NDArray[np.float32], ...]
    rows: tuple[Row, ...]
    score: float
    legibility: float
    at_border: bool
    runs_on: bool
    fouled: NDArray[np.bool_]


class _ReadRow(NamedTuple):
    strip: Strip
    line: Line
    along: NDArray[np.float64]
    """Centre of each cell along the block's direction, in page pixels."""
    pitch: float


class Budget:
    """How many more strips of one page may be read: the work on a page is bounded whatever is printed on it."""

    def __init__(self, strips: int = MAX_STRIPS) -> None:
        self.left = strips

    def spend(self) -> bool:
        """Whether another strip may be read; it is counted."""
        self.left -= 1
        return self.left >= 0

    @property
    def exhausted(self) -> bool:
        """Whether a strip was asked for that wasn't read."""
        return self.left < 0


class Fragment(NamedTuple):
    """A block that reads as MRZ text but fills no layout's shape."""

    legibility: float
    characters: int
    rows: int
    at_border: bool


def read_block(
    grey: NDArray[np.uint8], block: Block, budget: Budget | None = None
) -> Reading | Fragment | None:
    """Read a candidate both ways up; None when it isn't MRZ text, a fragment when only part of one is there.

    What an exhausted budget leaves unread isn't there for it: the caller asks the budget.
    """
    budget = budget or Budget()
    rows = tuple(refine(grey, row) for row in block.rows)
    rows = _common_extent(rows)
    first = max(range(len(rows)), key=lambda i: block.rows[i].length)
    if rows[first].length < _LEAST_ROW[len(rows) - 1] * rows[first].cap:
        return None
    senses = _senses(grey, rows[first], budget)
    results = [_read_rows(grey, rows, read, upside_down, budget) for _, upside_down, read in senses]
    readings = [result for result in results if isinstance(result, Reading)]
    if readings:
        return max(readings, key=lambda reading: reading.legibility * reading.score)
    fragments = [result for result in results if result is not None]
    return max(fragments, key=lambda fragment: fragment.legibility, default=None)


def _read_rows(
    grey: NDArray[np.uint8], rows: tuple[Row, ...], read: _ReadRow, upside_down: bool, budget: Budget
) -> Reading | Fragment | None:
    """All rows the way up one of them was read."""
    if upside_down:
        rows = tuple(row.reversed() for row in reversed(rows))
    rows, read = _extended(grey, rows, read, budget)
    # The characters' distance is a better ruler than their height: every line is cut again by it.
    cap = read.pitch * STRIP_CAP / _PITCH
    rows = tuple(row._replace(cap=cap) for row in rows)
    lines = [_read_row(grey, row, budget) for row in rows]
    found = _best_shape(grey, lines) if len(rows) > 1 else None
    if isinstance(found, Reading):
        return found
    return _best_shape(grey, _with_missed_rows(grey, lines, rows, read, budget))


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


def _read_row(grey: NDArray[np.uint8], row: Row, budget: Budget) -> _ReadRow | None:
    if not budget.spend():
        return None
    strip = cut(grey, row)
    line = ocr.read_strip(strip.pixels)
    if line is None:
        return None
    along = (line.x + 0.5 - strip.pixels.shape[1] / 2) * strip.scale + row.x * row.dx + row.y * row.dy
    return _ReadRow(strip, line, along, line.pitch * strip.scale)


def _legibility(line: Line) -> float:
    held = line.presence > 0.5
    if held.sum() < 8:
        return 0.0
    return float(line.probabilities[held].max(axis=1).mean() * (1 - min(1.0, 2 * line.residual)))


def _senses(grey: NDArray[np.uint8], row: Row, budget: Budget) -> list[tuple[float, bool, _ReadRow]]:
    """(legibility, upside down, what was read) of the row, better first; one only where there is no doubt."""
    found = []
    for upside_down in (False, True):
        read = _read_row(grey, row.reversed() if upside_down else row, budget)
        quality = 0.0 if read is None else _legibility(read.line)
        if read is not None and quality > _SENSIBLE and (read.line.presence > 0.5).sum() <= _TOO_MANY:
            found.append((quality, upside_down, read))
        if quality > _UPRIGHT:
            break
    found.sort(key=lambda sense: -sense[0])
    return found[:1] if found and found[0][0] > _UPRIGHT else found


def _extended(
    grey: NDArray[np.uint8], rows: tuple[Row, ...], read: _ReadRow, budget: Budget
) -> tuple[tuple[Row, ...], _ReadRow]:
    """Rows made longer while their print runs on to the end of the strip: the locator saw only a part of them."""
    for _ in range(_EXTENSIONS):
        held = read.line.x[read.line.presence > 0.5]
        reach = 1.3 * read.line.pitch
        if not len(held):
            break
        before, after = held[0] < reach, held[-1] > read.strip.pixels.shape[1] - reach
        if not (before or after) or len(held) > _MOST_CHARACTERS:
            break
        more = _MOST_CHARACTERS / 3 * read.pitch
        shift = (int(after) - int(before)) * more / 2
        longer = [row.moved(shift, 0.0) for row in rows]
        rows = tuple(r._replace(length=r.length + (int(after) + int(before)) * more) for r in longer)
        again = _read_row(grey, read.strip.row.moved(shift, 0.0)._replace(length=rows[0].length), budget)
        if again is None:
            break
        read = again
    return rows, read


def _with_missed_rows(
    grey: NDArray[np.uint8],
    lines: list[_ReadRow | None],
    rows: tuple[Row, ...],
    read: _ReadRow,
    budget: Budget,
) -> list[_ReadRow | None]:
    """The legible lines, and those the locator missed just above and below them."""
    found = [
        (row, line)
        for row, line in zip(rows, lines, strict=True)
        if line is not None and _legibility(line.line) >= _LEGIBLE
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
        if line is None or _legibility(line.line) < _LEGIBLE or abs(line.pitch / read.pitch - 1) > 0.12:
            continue
        found.insert(len(found) if below else 0, (probe, line))
        gap = abs(_across(edge, probe))
    return [line for _, line in found]


def _across(row: Row, other: Row) -> float:
    return -(other.x - row.x) * row.dy + (other.y - row.y) * row.dx


def _inside(grey: NDArray[np.uint8], row: Row) -> bool:
    height, width = grey.shape
    return bool(0 <= row.x < width and 0 <= row.y < height)


def _best_shape(grey: NDArray[np.uint8], lines: list[_ReadRow | None]) -> Reading | Fragment | None:
    legible = [line is not None and _legibility(line.line) >= _LEGIBLE for line in lines]
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
        return Fragment(max(_legibility(line.line) for line in picked), characters, len(picked), border)
    score, top, width, starts = best
    used = [line for line in lines[top : top + len(starts)] if line is not None]
    cells, presence = [], []
    for line, start in zip(used, starts, strict=True):
        taken, held = _take(line.line, start, width)
        cells.append(taken)
        presence.append(held)
    sure = np.concatenate([c.max(axis=1) * p for c, p in zip(cells, presence, strict=True)])
    return Reading(
        tuple(cells),
        tuple(presence),
        tuple(_extent(line, start, width) for line, start in zip(used, starts, strict=True)),
        score,
        float(sure.mean()),
        border,
        any(_runs_on(line, start, width) for line, start in zip(used, starts, strict=True)),
        np.concatenate([_fouled(line, start, width) for line, start in zip(used, starts, strict=True)]),
    )


def _fouled(line: _ReadRow, start: int, width: int) -> NDArray[np.bool_]:
    """Which characters have dark dirt, a finger or an edge right above or below them, where paper should be."""
    pixels, pitch = line.strip.pixels.astype(np.float32), line.line.pitch
    paper, ink = (float(v) for v in np.percentile(pixels[6:26], (85, 4)))
    dark = pixels < paper - _DIRT_DEPTH * (paper - ink)
    edges = np.stack([dark[:_DIRT_ROWS].mean(axis=0), dark[-_DIRT_ROWS:].mean(axis=0)])
    found = np.zeros(width, bool)
    for i in range(width):
        if 0 <= start + i < len(line.line.x):
            x = line.line.x[start + i]
            part = edges[:, max(0, int(x - pitch / 2)) : max(1, int(x + pitch / 2))]
            found[i] = part.size > 0 and float(part.mean(axis=1).max()) > _DIRT_SHARE
    return found


def _runs_on(line: _ReadRow, start: int, width: int) -> bool:
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
    paper = pixels[8:24, max(0, int(end - 10 * pitch)) : int(end)]
    if after.size == 0 or paper.size == 0:
        return False
    level = float(np.percentile(paper, 90))
    return abs(float(np.median(after)) - level) > _OTHER_PAPER * level


def _take(line: Line, start: int, width: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """`width` cells from `start`, which may lie outside the line: what isn't there says nothing."""
    cells = np.full((width, CLASSES), 1.0 / CLASSES, np.float32)
    presence = np.zeros(width, np.float32)
    first, last = max(0, start), min(len(line.x), start + width)
    cells[first - start : last - start] = line.probabilities[first:last]
    presence[first - start : last - start] = line.presence[first:last]
    return cells, presence


def _extent(line: _ReadRow, start: int, width: int) -> Row:
    """The row cut to its characters: `width` of them from cell `start`."""
    row = line.strip.row
    index = np.arange(len(line.along))
    here = row.x * row.dx + row.y * row.dy
    slope, first = np.polyfit(index, line.along, 1)
    left, right = first + slope * (start - 0.5), first + slope * (start + width - 0.5)
    return row.moved(float((left + right) / 2 - here), 0.0)._replace(length=float(right - left))


def _window(lines: list[_ReadRow], width: int) -> tuple[list[int], float]:
    """Where each line's `width` characters start, all at the same left edge, and how well that fits (at most 1)."""
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
                chosen = near[int(np.argmax([vals[s + off] for s in near]))]
                starts.append(chosen)
                total += float(vals[chosen + off])
            if total > best[0]:
                best = (total, starts)
    starts, total = best[1], best[0] / (len(lines) * width)
    if len(starts) == len(lines) and all(abs(a.pitch / b.pitch - 1) < 0.15 for a, b in pairwise(lines)):
        return starts, total
    return starts, -np.inf


def _edge(line: _ReadRow, start: int) -> float:
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


def _at_border(grey: NDArray[np.uint8], line: _ReadRow) -> bool:
    """Whether characters of this line stand within one pitch of the picture's edge, or beyond it."""
    height, width = grey.shape
    held = np.flatnonzero(line.line.presence > 0.5)
    for cell in (held[0], held[-1]):
        x, y = line.strip.place(float(line.line.x[cell]))
        reach = 0.9 * line.pitch
        if not (reach <= x < width - reach and reach * 0.8 <= y < height - reach * 0.8):
            return True
    return False
