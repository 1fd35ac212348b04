"""Where on a page an MRZ may stand: long rows of evenly spaced strokes, alone or in groups of two or three.

Nothing here reads a character. Candidates come out at any angle, best first; whether one is an MRZ, and which way
up, the line reader says. The work is done on reduced pictures and stops where it has found what is surely enough.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from edged.core.blocks import CONVINCING, MAX_CANDIDATES, Block, Candidates
from edged.core.direction import SIDE, directions
from edged.core.evenness import Halves
from edged.core.rows import MOST_INK, NOMINAL_CAP, Row, level_view, mapped, search, search_across
from edged.core.vision import cv2

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from edged.core.rows import Grey

__all__ = ["MAX_CANDIDATES", "Block", "Row", "locate"]

_SIDES: Final = (600, 900)
"""Long sides, in pixels, of the reduced pictures searched: capitals of 4.5 to 22 px are found in each, which covers
an MRZ from a quarter of the picture's longer side to all of it."""
_COARSE: Final = 400
"""Where nothing is found, this one is searched too: the far apart characters of a card that fills the picture run
together only here."""
_FINE: Final = 1800
"""And in larger pictures this one: an MRZ down to an eighth of the longer side. In pictures that are not much larger,
capitals that need it are too small to be read."""
_BUSY: Final = 0.03
"""Share of ink from which that one is searched once more for its darkest strokes alone: fine print may cover a small
document and be little of the picture."""
_UPRIGHT: Final = math.radians(8.0)
"""Angle up to which a page is searched as it is."""
_EVERY: Final = (0.0, math.radians(30), math.radians(-30))
"""With these three every angle is covered."""
_LEVEL: Final = math.radians(4.0)
_LEVEL_ANYHOW: Final = math.radians(7.0)
"""Tilt from which the picture is turned level and searched again: where nothing is found yet, and where something is:
a second document's small capitals are lost from here on."""
_LOOKS: Final = 2
_LOOK: Final = 0.2
"""How many of the candidates are looked at more closely, and the evidence they need."""
_SMALL: Final = 5.0
"""Capitals in the first picture, in pixels, below which the second is searched too, whatever was found: those of
another document may be a tenth smaller."""
_PERMIT: Final = 24.0
"""Length of a permit's only row, at least, in heights of its capitals."""
_WHOLE: Final = 48.0
_BESIDE: Final = (6.0, 24.0)
_ABOVE: Final = 4.5
"""Of what is looked at around a candidate, in heights of its capitals: the length that holds a whole MRZ, the least
and the most added at each end (what glare hid), and what is added above and below (another line or two)."""
_MOST: Final = 250.0
"""Longest row a page can have, in heights of its capitals: bounds what is looked at."""


def locate(
    grey: Grey,
    *,
    turned: float | None = None,
    hint: Sequence[Row] = (),
    alone: bool = False,
    exhaustive: bool = False,
) -> list[Block]:
    """Candidate blocks of a page, best first; at most `MAX_CANDIDATES`, none when nothing looks like rows of print.

    `turned` is the angle in radians around which to look, modulo right angles: rows up to about 15 degrees from it
    are found. Without it every angle is looked at, right ones first. The search ends at the first block that is
    `convincing`; with `exhaustive` it doesn't, for when that block turned out to be none.

    `hint` says where an MRZ probably is, in this picture's pixels: the lines of an earlier frame's, or one row for
    the place where readers of this kind show it. It is looked at first, and the rest only if it isn't there with at
    least as many lines. `alone` says that the MRZ probably is a single line: the search then ends at one row that is
    as long and even as a permit's, which else may be any print.
    """
    found = Candidates(Halves(grey))
    blocks: list[Block] = []
    longest = max(grey.shape)
    if hint:
        found.add(_look(found.halves, hint), looked=True)
        blocks = found.blocks()
        again = bool(blocks) and len(blocks[0].rows) >= len(hint) and blocks[0].evidence > CONVINCING
        if again and not exhaustive:
            return blocks
    for picture, angle, last in _views(found.halves, turned, exhaustive):
        if last and not exhaustive and _likely(blocks):
            break
        rows = _searched(picture, angle)
        if last and max(picture.picture.shape) > _SIDES[-1]:
            rows += _searched(picture, angle, _BUSY)
        blocks = _closer(found, rows)
        tilt = _tilt(rows, angle)
        if abs(tilt - angle) > (_LEVEL_ANYHOW if _enough(blocks, alone) else _LEVEL):
            blocks = _closer(found, _searched(picture, tilt))
        coarse = longest > 1.2 * _SIDES[0] and max(picture.picture.shape) <= _SIDES[0]
        if _enough(blocks, alone) and not exhaustive and not (coarse and _room(blocks[0], longest)):
            return blocks
    return blocks


def _views(halves: Halves, turned: float | None, exhaustive: bool) -> Iterator[tuple[_Reduced, float, bool]]:
    """Which picture to search around which angle, in order; each is made when it is its turn.

    The last of them, so marked, are for pages where nothing likely was found in the others.
    """
    start, longest = turned or 0.0, max(halves.grey.shape)
    first = _reduced(halves, _SIDES[0])
    yield first, start, False
    pictures = [first]
    if longest > 1.2 * _SIDES[0]:
        pictures.append(_reduced(halves, _SIDES[1]))
    angles = likely = [start]
    if turned is None:
        found = directions(_reduced(halves, SIDE).picture)
        likely = [0.0 if abs(angle) < _UPRIGHT else angle for angle in found]
        angles = likely + list(_EVERY if exhaustive else ())
    for angle in dict.fromkeys(angles):
        for picture in pictures:
            if angle != start or picture is not first:
                yield picture, angle, False
    for side in (_COARSE, _FINE):
        if longest > 1.2 * side:
            picture = _reduced(halves, side)
            for angle in dict.fromkeys(likely):
                yield picture, angle, True


def _enough(blocks: list[Block], alone: bool) -> bool:
    return bool(blocks) and (blocks[0].convincing or (alone and _likely(blocks)))


def _room(block: Block, longest: int) -> bool:
    """Whether a second document beside the block may have capitals too small for the first picture."""
    cap = float(np.median([row.cap for row in block.rows]))
    return cap * _SIDES[0] < _SMALL * longest


def _likely(blocks: list[Block]) -> bool:
    """Whether the best candidate is convincing or at least one row as long and even as a permit's."""
    if not blocks or blocks[0].evidence <= CONVINCING:
        return False
    row = blocks[0].rows[0]
    return blocks[0].convincing or row.length > _PERMIT * row.cap


def _closer(found: Candidates, rows: list[Row]) -> list[Block]:
    """The candidates with some more rows, after a closer look at the likeliest."""
    found.add(rows)
    blocks = found.blocks()
    looked = [block for block in blocks[:_LOOKS] if block.evidence > _LOOK]
    for block in looked:
        found.add(_look(found.halves, block.rows), looked=True)
    return found.blocks() if looked else blocks


def _look(halves: Halves, around: Sequence[Row]) -> list[Row]:
    """Rows in and around others, seen level and in the size the search is made for."""
    lead = max(around, key=lambda row: row.length)
    cap = max(1.0, float(np.median([row.cap for row in around])))
    offsets = [(row.y - lead.y) * lead.dx - (row.x - lead.x) * lead.dy for row in around]
    centre = lead.moved(0.0, (min(offsets) + max(offsets)) / 2)
    beside = min(max(_WHOLE - lead.length / cap, _BESIDE[0]), _BESIDE[1])
    along = min(lead.length, _MOST * cap) + 2 * beside * cap
    across = min(max(offsets) - min(offsets), _WHOLE * cap) + 2 * _ABOVE * cap
    step = cap / NOMINAL_CAP
    size = (max(1, int(along / step)), max(1, int(across / step)))
    turn = np.array([[lead.dx, -lead.dy], [lead.dy, lead.dx]]) * step
    to_page = np.column_stack([turn, (centre.x, centre.y) - turn @ (np.array(size) - 1) / 2])
    source, number = halves.finer_than(step)
    to_source = to_page * 0.5**number
    to_source[:, 2] += 0.5 * 0.5**number - 0.5
    flags = cv2.WARP_INVERSE_MAP | cv2.INTER_LINEAR
    band = cv2.warpAffine(source, to_source, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return [mapped(row, to_page) for row in search_across(band)]


class _Reduced(NamedTuple):
    """A smaller copy of the page, and the (2, 3) way back to the page's pixels."""

    picture: Grey
    to_page: NDArray[np.float64]


def _reduced(halves: Halves, long_side: int) -> _Reduced:
    """The page with its longer side this long, or as it is if that is shorter."""
    picture, number = halves.finer_than(max(halves.grey.shape) / long_side)
    factor = min(1.0, long_side / max(picture.shape))
    if factor < 1.0:
        size = (max(1, round(picture.shape[1] * factor)), max(1, round(picture.shape[0] * factor)))
        picture = cv2.resize(picture, size, interpolation=cv2.INTER_LINEAR)
    scale = 2.0**number / factor
    shift = 0.5 * scale - 0.5
    return _Reduced(picture, np.array([[scale, 0.0, shift], [0.0, scale, shift]]))


def _searched(reduced: _Reduced, tilt: float, most_ink: float = MOST_INK) -> list[Row]:
    """Rows of the reduced page around an angle, in page pixels; `most_ink` as in `search`."""
    picture, to_page = reduced
    if not tilt:
        return [mapped(row, to_page) for row in search(picture, most_ink)]
    level, back = level_view(picture, tilt)
    matrix = to_page[:, :2] @ back
    matrix[:, 2] += to_page[:, 2]
    return [mapped(row, matrix) for row in search(level, most_ink)]


def _tilt(rows: list[Row], near: float) -> float:
    """Angle in radians by which the page is turned: the longest rows' median, modulo right angles around `near`."""
    longest = sorted(rows, key=lambda row: -row.length / row.cap)[:7]
    if not longest:
        return near
    angles = [math.atan2(row.dy, row.dx) for row in longest]
    return float(np.median([(a - near + math.pi / 4) % (math.pi / 2) - math.pi / 4 for a in angles])) + near
