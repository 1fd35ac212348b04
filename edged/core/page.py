"""Where on a page an MRZ may stand: long rows of evenly spaced strokes, alone or in groups of two or three.

Nothing here reads a character. Candidates come out at every right angle with small tilts, best first; whether
one is an MRZ, and which way up, the line reader says.
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edged.core.vision import cv2, reduced

Grey = NDArray[np.uint8]

_ANALYSIS_SIDES: Final = (1000, 500)
"""Long sides, in pixels, of the reduced pictures searched: capitals of about 7–17 px are found in each, which
covers an MRZ from a third of the picture's width to all of it."""
_NOMINAL_CAP: Final = 10
"""Height in pixels of the capitals the kernels below are made for."""
_LEVEL: Final = math.radians(1.0)
"""Tilt from which the picture is turned level and searched again."""
MAX_CANDIDATES: Final = 24
"""Rows kept per picture: bounds the time a page full of print can take."""


class Row(NamedTuple):
    """One row of print in page pixels: centre, unit direction of reading, length, height of the capitals."""

    x: float
    y: float
    dx: float
    dy: float
    length: float
    cap: float

    def moved(self, along: float, across: float) -> Row:
        """The row shifted by `along` pixels in its reading direction and `across` pixels downwards from it."""
        return self._replace(
            x=self.x + along * self.dx - across * self.dy, y=self.y + along * self.dy + across * self.dx
        )

    def reversed(self) -> Row:
        """The same row read upside down."""
        return self._replace(dx=-self.dx, dy=-self.dy)

    def offset(self, other: Row) -> tuple[float, float]:
        """Where `other`'s centre lies, seen from this row: along its direction and downwards across it."""
        x, y = other.x - self.x, other.y - self.y
        return x * self.dx + y * self.dy, -x * self.dy + y * self.dx


class Block(NamedTuple):
    """Rows that belong together, top to bottom in their reading direction; `score` orders candidates."""

    rows: tuple[Row, ...]
    score: float

    def reversed(self) -> Block:
        """The same block upside down."""
        return Block(tuple(row.reversed() for row in reversed(self.rows)), self.score)


def locate(grey: Grey, *, turned: float = 0.0) -> list[Block]:
    """Candidate blocks of a page, best first; at most `MAX_CANDIDATES`, none when nothing looks like rows of print.

    `turned` is the angle in radians around which to look, modulo right angles: rows up to about 15 degrees from it
    are found.
    """
    rows: list[Row] = []
    long_side = max(grey.shape)
    for side in _ANALYSIS_SIDES:
        if rows and long_side <= 1.2 * side:
            break
        small, scale = reduced(grey, side)
        found = _search_level(small, turned) if turned else _search(small)
        tilt = _tilt(found, turned)
        if abs(tilt - turned) > _LEVEL:
            found += _search_level(small, tilt)
        rows += [
            row._replace(
                x=(row.x + 0.5) / scale - 0.5,
                y=(row.y + 0.5) / scale - 0.5,
                length=row.length / scale,
                cap=row.cap / scale,
            )
            for row in found
        ]
    return _blocks(_distinct(rows))


def _search(picture: Grey) -> list[Row]:
    """Rows reading to the right and rows reading downwards."""
    ink = _ink(picture)
    rows = _rows(ink)
    # Left to right in the transposed picture is top to bottom here, with the lines in reverse order: a page
    # turned by a quarter, since mirrored print does not occur.
    turned = [row._replace(x=row.y, y=row.x, dx=row.dy, dy=row.dx) for row in _rows(ink.T)]
    return rows + turned


def _tilt(rows: list[Row], near: float) -> float:
    """Angle in radians by which the page is turned: the longest rows' median, modulo right angles around `near`."""
    longest = sorted(rows, key=lambda row: -row.length / row.cap)[:7]
    if not longest:
        return near
    angles = [math.atan2(row.dy, row.dx) for row in longest]
    return float(np.median([(a - near + math.pi / 4) % (math.pi / 2) - math.pi / 4 for a in angles])) + near


def _search_level(picture: Grey, tilt: float) -> list[Row]:
    """Rows of the picture turned level, in the coordinates of the picture as it is."""
    height, width = picture.shape
    cos, sin = math.cos(tilt), math.sin(tilt)
    size = (int(width * cos + height * abs(sin)) + 1, int(height * cos + width * abs(sin)) + 1)
    # From level coordinates to the picture's: a turn by `tilt` about the centres.
    turn = np.array([[cos, -sin], [sin, cos]])
    shift = np.array([width - 1, height - 1]) / 2 - turn @ (np.array(size) - 1) / 2
    matrix = np.column_stack([turn, shift])
    flags = cv2.WARP_INVERSE_MAP | cv2.INTER_LINEAR
    level = cv2.warpAffine(picture, matrix, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)
    rows = []
    for row in _search(level):
        x, y = turn @ (row.x, row.y) + shift
        dx, dy = turn @ (row.dx, row.dy)
        rows.append(row._replace(x=float(x), y=float(y), dx=float(dx), dy=float(dy)))
    return rows


def _ink(grey: Grey) -> NDArray[np.uint8]:
    """Dark thin strokes as 255 on 0, whatever the paper's brightness."""
    kernel = cv2.getStructuringElement(cv2.MORPH_RECT, (_NOMINAL_CAP - 1, _NOMINAL_CAP - 1))
    closed = cv2.morphologyEx(grey, cv2.MORPH_CLOSE, kernel)
    contrast = cv2.divide(cv2.subtract(closed, grey), cv2.max(closed, 24), scale=255)
    level, _ = cv2.threshold(contrast, 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    threshold = min(max(level * 0.8, 18.0), 70.0)
    return np.asarray(cv2.threshold(contrast, threshold, 255, cv2.THRESH_BINARY)[1], np.uint8)


def _rows(ink: NDArray[np.uint8]) -> list[Row]:
    """Long thin streaks of the smeared ink, in the pixels of `ink`, reading left to right."""
    cap = _NOMINAL_CAP
    ink = np.ascontiguousarray(ink)
    streaks = cv2.morphologyEx(ink, cv2.MORPH_CLOSE, np.ones((1, int(cap * 1.5)), np.uint8))
    streaks = cv2.morphologyEx(streaks, cv2.MORPH_OPEN, np.ones((1, int(cap * 3.0)), np.uint8))
    streaks = cv2.morphologyEx(streaks, cv2.MORPH_OPEN, np.ones((int(cap * 0.4), 1), np.uint8))
    _count, labels, stats, _ = cv2.connectedComponentsWithStats(streaks, connectivity=4)
    found = []
    order = np.argsort(-stats[1:, cv2.CC_STAT_WIDTH])[: 4 * MAX_CANDIDATES] + 1
    for label in order:
        left, top, width, height, area = (int(value) for value in stats[label])
        if width < 12 * cap or area < 8 * cap * cap or height > width:
            continue
        row = _streak_row(labels[top : top + height, left : left + width] == label, left, top)
        if row is not None:
            found.append(row)
    return found


def _streak_row(mask: NDArray[np.bool_], left: int, top: int) -> Row | None:
    """A row through a streak: a straight line fitted to the middles of its columns."""
    thickness = mask.sum(axis=0)
    columns = np.flatnonzero(thickness)
    middles = (mask * np.arange(mask.shape[0])[:, None]).sum(axis=0)[columns] / thickness[columns]
    cap = float(np.median(thickness[columns]))
    # Other print may hang on to the streak: fit again without the columns that stray.
    keep = np.ones(len(columns), bool)
    slope = intercept = 0.0
    for _ in range(3):
        slope, intercept = np.polyfit(columns[keep], middles[keep], 1)
        stray = np.abs(middles - (slope * columns + intercept))
        keep = stray <= max(0.35 * cap, 1.5)
        if keep.sum() < 0.4 * len(columns):
            return None
    first, last = float(columns[keep][0]), float(columns[keep][-1])
    cap = float(np.median(thickness[columns[keep]])) / math.hypot(1, slope)
    length = (last - first) * math.hypot(1, slope)
    if not _NOMINAL_CAP * 0.45 <= cap <= _NOMINAL_CAP * 2.2 or length < 11 * cap or abs(slope) > 0.4:
        return None
    norm = math.hypot(1, slope)
    x = (first + last) / 2
    return Row(left + x, top + slope * x + intercept, 1 / norm, slope / norm, length, cap)


def _distinct(rows: list[Row]) -> list[Row]:
    """Without the rows another, longer one already covers (the same print found in both pictures)."""
    kept: list[Row] = []
    for row in sorted(rows, key=lambda r: -r.length):
        if len(kept) >= 4 * MAX_CANDIDATES:
            break
        for other in kept:
            along, across = other.offset(row)
            parallel = abs(row.dx * other.dx + row.dy * other.dy) > 0.97
            if parallel and abs(across) < 0.5 * min(other.cap, row.cap) and abs(along) < other.length * 0.5:
                break
        else:
            kept.append(row)
    return kept


def _blocks(rows: list[Row]) -> list[Block]:
    """Rows grouped by equal direction, length and spacing; a row alone is a candidate too (one-line permits)."""
    blocks = []
    for row in rows:
        members = [(0.0, row)]
        for other in rows:
            if other is row or row.dx * other.dx + row.dy * other.dy < 0.995:
                continue
            along, across = row.offset(other)
            cap = max(row.cap, other.cap)
            if abs(across) > 5.6 * cap or abs(across) < 1.1 * min(row.cap, other.cap):
                continue
            if not 0.6 < other.cap / row.cap < 1.7 or not 0.55 < other.length / row.length <= 1.0:
                continue
            if abs(along) > 0.3 * row.length:
                continue
            members.append((across, other))
        members.sort(key=lambda member: member[0])
        picked = _evenly_spaced(members, row)
        regular = sum(min(r.length / r.cap, 50.0) for r in picked)
        blocks.append(Block(tuple(picked), regular))
    blocks.sort(key=lambda block: -block.score)
    taken: set[Row] = set()
    result = []
    for block in blocks:
        if not taken.intersection(block.rows):
            taken.update(block.rows)
            result.append(block)
    return result[:MAX_CANDIDATES]


def _evenly_spaced(members: list[tuple[float, Row]], row: Row) -> list[Row]:
    """The run of at most three neighbouring rows around `row` whose spacing is alike, the longest rows first."""
    at = next(i for i, (_, member) in enumerate(members) if member is row)
    above = members[max(0, at - 2) : at][::-1]
    below = members[at + 1 : at + 3]
    best = [members[at]]
    for up in range(len(above) + 1):
        for down in range(len(below) + 1):
            if not 0 < up + down <= 2:
                continue
            run = [*above[:up][::-1], members[at], *below[:down]]
            gaps = np.diff([across for across, _ in run])
            if gaps.max() > 1.35 * gaps.min() or gaps.max() > 3.4 * row.cap:
                continue
            if sum(r.length for _, r in run) > sum(r.length for _, r in best):
                best = run
    return [member for _, member in best]
