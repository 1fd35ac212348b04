"""One frame, searched: which MRZ stands on it, if any, and what its characters say.

What is found is evidence, not yet a reading: `edged.core.reading` judges it, alone or with that of other frames.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from edged.core import quality
from edged.core.block import Budget, Reading, read_block
from edged.core.lattice import Decision, decide
from edged.core.layouts import LAYOUTS
from edged.core.page import locate
from edged.errors import DecodeError
from edged.identity import withheld
from edged.verdict import Reason

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from edged.core.laps import Laps
    from edged.core.layouts import MrzFormat
    from edged.core.page import Block, Row

_MAX_BLOCKS: Final = 6
"""Candidates read on one page: an MRZ is among the first two or three, and time is bounded."""
_LIKE_AN_MRZ: Final = 0.2
_LIKE_ANOTHER: Final = 0.5
"""Evidence of a block from which it is read, and from which it may be a second document: of blocks that hold an MRZ
99.5 % have 0.73 or more, of others 95 % have 0.30 or less."""
_ONE_LINE: Final = (24.0, 38.0)
"""Length of a permit's only line in heights of its capitals."""
_SAME_PRINT: Final = 1.0
"""Distance across, in heights of capitals, up to which two rows are one: the lines of two documents may lie close."""
_LEAST_SIDE: Final = 24
_MOST_OBLONG: Final = 30.0
"""Smallest side in pixels, and longest shape, of a picture in which an MRZ may be read: one line alone is 25 to 1."""
_NO_MRZ: Final = "reading.no_mrz"
_PART: Final = 8
_PART_LEGIBLE: Final = 0.8
"""Characters, and their legibility, from which a row is taken for a part of an MRZ."""


@withheld
class Sight(NamedTuple):
    """What one frame shows: an MRZ's cells with what they say alone, or the reason why there is none.

    `decision` is None where `reading` is, and where no layout fits the characters.
    """

    grey: NDArray[np.uint8]
    quality: quality.Quality
    reading: Reading | None = None
    decision: Decision | None = None
    missing: Reason | None = None


@withheld
class _Found(NamedTuple):
    """A block that fills a layout's shape, and what it says: a decision, none, or the code of why it is no document."""

    reading: Reading
    decision: Decision | str | None


def look(
    grey: NDArray[np.uint8], lap: Laps, hint: Sequence[Row] = (), likely: MrzFormat | None = None
) -> Sight:
    """Search a grey frame for its MRZ, any way up.

    `hint` says where it probably is (see `page.locate`), `likely` of which format.
    """
    measured = quality.measure(grey)
    lap("quality")
    if not measured.document_present:
        return Sight(grey, measured, missing=Reason("reading.no_document"))
    if min(grey.shape) < _LEAST_SIDE or max(grey.shape) > _MOST_OBLONG * min(grey.shape):
        return Sight(grey, measured, missing=Reason(_NO_MRZ))
    alone = likely is not None and LAYOUTS[likely].lines == 1
    blocks = locate(grey, hint=hint, alone=alone)
    lap("locate")
    budget = Budget()
    found, missing = _read_blocks(grey, blocks, budget, alone=alone)
    if alone and not any(isinstance(one.decision, Decision) for one in found):
        # What was expected isn't there.
        blocks, budget = locate(grey, hint=hint), Budget()
        found, missing = _read_blocks(grey, blocks, budget)
    if not found and missing == _NO_MRZ and blocks and blocks[0].convincing:
        # The search ended at what turned out to be no MRZ.
        found, missing = _read_blocks(grey, locate(grey, exhaustive=True), budget)
    lap("read")
    if budget.exhausted:  # what wasn't looked at may be a second document
        return Sight(grey, measured, missing=Reason("reading.illegible"))
    if len(found) > 1:
        return Sight(grey, measured, missing=Reason("reading.two_documents"))
    if not found:
        return Sight(grey, measured, missing=Reason(missing))
    reading, decision = found[0]
    if isinstance(decision, str):
        return Sight(grey, measured, missing=Reason(decision))
    if decision is None:
        return Sight(grey, measured, missing=Reason(_NO_MRZ))
    return Sight(grey, measured, reading, decision)


def closer(sight: Sight, reading: Reading) -> Sight:
    """The sight with other evidence of the same lines; as it was where that fits no layout."""
    decision = _decided(reading).decision
    return sight._replace(reading=reading, decision=decision) if isinstance(decision, Decision) else sight


def _read_blocks(
    grey: NDArray[np.uint8], blocks: list[Block], budget: Budget, *, alone: bool = False
) -> tuple[list[_Found], str]:
    """The MRZs among the candidates, best first, and the code of why there is none, should there be none."""
    readings: list[Reading] = []
    missing = _NO_MRZ
    for block in blocks[:_MAX_BLOCKS]:
        if block.evidence < (_LIKE_ANOTHER if readings else _LIKE_AN_MRZ):
            continue
        if readings and not _may_be_another(block, readings):
            continue
        if budget.exhausted:
            break
        result = read_block(grey, block, budget, alone=alone)
        if isinstance(result, Reading):
            if not any(_share_print(other.rows, result.rows) for other in readings):
                readings.append(result)
        elif result is not None and result.characters >= _PART:
            if result.at_border:
                missing = "reading.mrz_cut"
            elif result.rows > 1 and result.legibility > _PART_LEGIBLE and missing == _NO_MRZ:
                missing = "reading.illegible"
    readings.sort(key=lambda reading: -reading.legibility)
    # A row of print that fills one line of thirty by chance is no second document.
    found = [_decided(r) for r in readings if r.legibility > 0.75 * readings[0].legibility]
    return [one for one in found if one.decision is not None] or found[:1], missing


def _decided(reading: Reading) -> _Found:
    try:
        return _Found(reading, decide(reading.cells))
    except DecodeError as error:
        return _Found(reading, error.code)


def _may_be_another(block: Block, readings: list[Reading]) -> bool:
    """Whether a block may be a second document's MRZ: not the first one's own rows, nor a short line of print."""
    row = block.rows[0]
    if any(_share_print(reading.rows, block.rows) for reading in readings):
        return False
    return len(block.rows) > 1 or _ONE_LINE[0] < row.length / row.cap < _ONE_LINE[1]


def _overlap(row: Row, other: Row) -> bool:
    """Whether two rows are of the same print."""
    across = -(other.x - row.x) * row.dy + (other.y - row.y) * row.dx
    along = (other.x - row.x) * row.dx + (other.y - row.y) * row.dy
    return abs(across) < _SAME_PRINT * row.cap and abs(along) < row.length


def _share_print(rows: tuple[Row, ...], others: tuple[Row, ...]) -> bool:
    return any(_overlap(row, other) for row in rows for other in others)
