"""A picture of a page becomes an MRZ, judged: `read_page`.

What stands on the page is read, never guessed: a reading is valid only when its layout is known, its check
digits and fields are right, and every character, those no check digit covers above all, is sure in the
picture itself.
"""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from edged.core import quality
from edged.core.block import Budget, Reading, read_block
from edged.core.lattice import Decision, decide
from edged.core.layouts import MrzFormat
from edged.core.margins import too_narrow_for_more
from edged.core.mrz import parse_mrz
from edged.core.page import locate
from edged.core.vision import cv2
from edged.errors import DecodeError
from edged.identity import Identity
from edged.verdict import Check, Reason, Result

if TYPE_CHECKING:
    import datetime

    from numpy.typing import NDArray

    from edged.core.mrz import Mrz
    from edged.core.page import Block, Row

_MAX_BLOCKS: Final = 6
"""Candidates read on one page: an MRZ is among the first two or three, and time is bounded."""
_ASKEW: Final = (math.radians(30), math.radians(-30))
_MAX_BLOCKS_ASKEW: Final = 3
"""Where to look when no MRZ stands near a right angle: with these two every angle is covered."""
_ONE_LINE: Final = (24.0, 38.0)
"""Length of a permit's only line in heights of its capitals."""
_LEAST_SIDE: Final = 24
_MOST_OBLONG: Final = 30.0
"""Smallest side in pixels, and longest shape, of a picture in which an MRZ may be read: one line alone is 25 to 1."""
_NO_MRZ: Final = "reading.no_mrz"
_PART: Final = 8
_PART_LEGIBLE: Final = 0.8
"""Characters, and their legibility, from which a row is taken for a part of an MRZ."""
_SURE_COVERED: Final = 0.50
"""Confidence a character needs where a check digit speaks for it too."""
_SURE_ALONE: Final = 0.97
"""Confidence a character needs where nothing else speaks for it: names, states, nationality, sex."""
_SURE_ODD: Final = 0.99
"""The same where the fields hold something unusual."""
_ILLEGIBLE: Final = 0.80
"""Mean confidence below which a page's characters are no reading at all."""
_MAX_UNSURE: Final = 0.2
"""Share of unsure characters above which a page's characters are no reading at all."""
_MAY_BE_LONGER: Final = frozenset((MrzFormat.TD2, MrzFormat.MRVB))
"""What the first 36 characters of a passport's or a visa's 44 look like, check digits and all but one included. A page
that the picture's edge cuts there, or a document code of passports in this size, isn't trusted."""
_BLIND: Final = 0.5
_MAX_BLIND: Final = 3
"""So many characters that are more likely wrong than right, in an MRZ whose checks fail: nothing was read."""


class PageReading(Identity):
    """What one picture of a page says. Holds raw identity behind `mrz`; everything else is safe to log.

    Attributes:
        document_present: something lies in the window.
        mrz: the MRZ as printed, right or wrong; None when there is none or it can't be made out.
        valid: `mrz` is right in itself and every character of it is sure.
        confidence: 0..1, the least sure character; 0 without an MRZ.
        name_confidence: the same over the characters that no check digit covers.
        changed: characters the layout or the check digits decided against the picture's first choice.
        reasons: why it isn't valid, or what to do for a better picture.
        rotation: degrees (0, 90, 180, 270) clockwise that make the MRZ upright.
        rows: where the MRZ's lines stand, top line first, in pixels of the picture; empty without lines.
        timings_ms: milliseconds by stage ("quality", "locate", "read", "decide", "total").
        portrait_seen: always False so far: portraits are found by a later release.
        checks: document_detected, mrz_read, mrz_check_digits, mrz_fields, image_quality.
    """

    __slots__ = (
        "changed",
        "checks",
        "confidence",
        "document_present",
        "mrz",
        "name_confidence",
        "portrait_seen",
        "reasons",
        "rotation",
        "rows",
        "timings_ms",
        "valid",
    )

    def __init__(self, page: _Page, timings_ms: dict[str, float]) -> None:
        self.document_present: bool = page.quality.document_present
        self.mrz: Mrz | None = page.mrz
        self.confidence: float = page.confidence
        self.name_confidence: float = page.name_confidence
        self.changed: int = page.changed
        self.rotation: int = page.rotation
        self.rows: tuple[Row, ...] = page.rows
        self.portrait_seen: bool = False
        self.timings_ms: dict[str, float] = timings_ms
        self.valid: bool = page.mrz is not None and page.sure and page.mrz.valid
        self.checks: tuple[Check, ...] = _checks(page)
        self.reasons: tuple[Reason, ...] = _reasons(page, self.valid)


class _Page(NamedTuple):
    """Everything found out about one page."""

    quality: quality.Quality
    mrz: Mrz | None = None
    sure: bool = False
    digits_prove: bool = True
    """Whether check digits that hold say something: not where they chose what was read."""
    confidence: float = 0.0
    name_confidence: float = 0.0
    changed: int = 0
    rotation: int = 0
    why: tuple[Reason, ...] = ()
    advice: tuple[Reason, ...] = ()
    rows: tuple[Row, ...] = ()


def read_page(image: NDArray[np.uint8], *, today: datetime.date) -> PageReading:
    """Find and read the MRZ of a page picture, (H, W, 3) BGR or (H, W) grey, 8 bits, any way up.

    Never raises on content; whatever is wrong with it is in `reasons` and `checks`. Blocks for tens of
    milliseconds and lets other threads run meanwhile (OpenCV releases the GIL).
    """
    clock = _Clock()
    grey = np.ascontiguousarray(image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_BGR2GRAY))
    measured = quality.measure(grey)
    clock.lap("quality")
    page = _Page(measured, why=(Reason("reading.no_document"),))
    if measured.document_present and (
        min(grey.shape) < _LEAST_SIDE or max(grey.shape) > _MOST_OBLONG * min(grey.shape)
    ):
        page = _Page(measured, why=(Reason(_NO_MRZ),))
    elif measured.document_present:
        page = _read(grey, measured, today, clock)
    return PageReading(page, clock.finish())


class _Clock:
    """Milliseconds by stage, for tuning: nothing is decided by them."""

    def __init__(self) -> None:
        self.began = self.last = time.perf_counter()
        self.laps: dict[str, float] = {}

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        self.laps[name] = round((now - self.last) * 1000, 3)
        self.last = now

    def finish(self) -> dict[str, float]:
        self.laps["total"] = round((time.perf_counter() - self.began) * 1000, 3)
        return self.laps


def _read(grey: NDArray[np.uint8], measured: quality.Quality, today: datetime.date, clock: _Clock) -> _Page:
    blocks = locate(grey)
    clock.lap("locate")
    budget = Budget()
    readings, missing = _read_blocks(grey, blocks, budget)
    for angle in _ASKEW:
        if readings or missing != _NO_MRZ:
            break
        readings, missing = _read_blocks(grey, locate(grey, turned=angle)[:_MAX_BLOCKS_ASKEW], budget)
    clock.lap("read")
    if budget.exhausted:  # what wasn't looked at may be a second document
        return _Page(measured, why=(Reason("reading.illegible"),), advice=quality.of_page(grey))
    if len(readings) > 1:
        return _Page(measured, why=(Reason("reading.two_documents"),))
    if not readings:
        return _Page(measured, why=(Reason(missing),), advice=quality.of_page(grey))
    reading = readings[0]
    advice = quality.of_rows(grey, reading.rows)
    try:
        decision = decide(reading.cells)
    except DecodeError as error:
        return _Page(measured, why=(Reason(error.code),), advice=advice)
    finally:
        clock.lap("decide")
    if decision is None:
        return _Page(measured, why=(Reason("reading.no_mrz"),), advice=advice)
    return _judge(grey, measured, reading, decision, today, advice)._replace(rows=reading.rows)


def _read_blocks(grey: NDArray[np.uint8], blocks: list[Block], budget: Budget) -> tuple[list[Reading], str]:
    """The MRZs among the candidates, best first, and the code of why there is none, should there be none."""
    readings: list[Reading] = []
    missing = _NO_MRZ
    for block in blocks[:_MAX_BLOCKS]:
        if readings and not _may_be_another(block, readings):
            continue
        if budget.exhausted:
            break
        found = read_block(grey, block, budget)
        if isinstance(found, Reading):
            if not any(_overlap(found.rows[0], other.rows[0]) for other in readings):
                readings.append(found)
        elif found is not None and found.characters >= _PART:
            if found.at_border:
                missing = "reading.mrz_cut"
            elif found.rows > 1 and found.legibility > _PART_LEGIBLE and missing == _NO_MRZ:
                missing = "reading.illegible"
    readings.sort(key=lambda reading: -reading.legibility)
    # A row of print that fills one line of thirty by chance is no second document.
    strong = [r for r in readings if r.legibility > 0.75 * readings[0].legibility and _is_mrz(r)]
    return strong or readings[:1], missing


def _may_be_another(block: Block, readings: list[Reading]) -> bool:
    """Whether a block may be a second document's MRZ: not the first one's own rows, nor a short line of print."""
    row = block.rows[0]
    if any(_overlap(reading.rows[0], row) for reading in readings):
        return False
    return len(block.rows) > 1 or _ONE_LINE[0] < row.length / row.cap < _ONE_LINE[1]


def _is_mrz(reading: Reading) -> bool:
    try:
        return decide(reading.cells) is not None
    except DecodeError:
        return True


def _overlap(row: Row, other: Row) -> bool:
    across = -(other.x - row.x) * row.dy + (other.y - row.y) * row.dx
    along = (other.x - row.x) * row.dx + (other.y - row.y) * row.dy
    return abs(across) < 8 * row.cap and abs(along) < row.length


def _judge(
    grey: NDArray[np.uint8],
    measured: quality.Quality,
    reading: Reading,
    decision: Decision,
    today: datetime.date,
    advice: tuple[Reason, ...],
) -> _Page:
    confidence = decision.confidence * np.minimum(1.0, np.concatenate(reading.presence) * 1.1)
    unsure = _unsure(decision, confidence, _SURE_ALONE) | reading.fouled
    least, least_alone = float(confidence.min()), float(confidence[~decision.covered].min(initial=1.0))
    rotation = _rotation(reading.rows[0])
    cut_off = _leaves(grey, reading.rows)
    if unsure.any() and cut_off:
        return _Page(measured, rotation=rotation, why=(Reason("reading.mrz_cut"),), advice=advice)
    if float(confidence.mean()) < _ILLEGIBLE or float(unsure.mean()) > _MAX_UNSURE:
        return _Page(measured, rotation=rotation, why=(Reason("reading.illegible"),), advice=advice)
    mrz = parse_mrz(decision.lines, today=today)
    blind = int((confidence < _BLIND).sum())
    if blind >= _MAX_BLIND and not (mrz.check_digits_ok and mrz.fields_ok):
        return _Page(measured, rotation=rotation, why=(Reason("reading.illegible"),), advice=advice)
    if decision.format in _MAY_BE_LONGER and (reading.at_border or reading.runs_on):
        return _Page(measured, rotation=rotation, why=(Reason("reading.mrz_cut"),), advice=advice)
    if decision.format is MrzFormat.MRVB and not too_narrow_for_more(
        grey, reading.rows, len(decision.lines[0])
    ):
        return _Page(measured, rotation=rotation, why=(Reason("reading.may_be_longer"),), advice=advice)
    sure = not unsure.any() and not decision.ambiguous
    if decision.format is MrzFormat.TD2 and mrz.document_code.startswith("P"):
        sure = False
    if reading.runs_on and not (mrz.check_digits_ok and mrz.fields_ok):
        sure = False  # it may be ours, read one place off
    if not sure and all(check.result is not Result.SUCCESSFUL for check in mrz.check_digits):
        return _Page(measured, rotation=rotation, why=(Reason("reading.illegible"),), advice=advice)
    if sure and any(check.reason is not None for check in mrz.field_checks):
        # Odd contents (an unknown state, a number of unusual form) are more often misread than odd.
        unsure = _unsure(decision, confidence, _SURE_ODD)
        sure = not unsure.any()
    if sure:
        return _Page(measured, mrz, sure, True, least, least_alone, decision.changed, rotation)
    doubt = Reason("reading.uncertain", {"count": str(max(1, int(unsure.sum())))})
    proven = not decision.ambiguous
    return _Page(
        measured, mrz, sure, proven, least, least_alone, decision.changed, rotation, (doubt,), advice
    )


def _unsure(decision: Decision, confidence: NDArray[np.float32], alone: float) -> NDArray[np.bool_]:
    """The characters that are not sure: by themselves, or among those a check digit can't tell from them."""
    covered = (confidence < _SURE_COVERED) | (decision.distinct < alone)
    return np.asarray(np.where(decision.covered, covered, confidence < alone), np.bool_)


def _leaves(grey: NDArray[np.uint8], rows: tuple[Row, ...]) -> bool:
    """Whether a corner of the MRZ lies outside the picture by more than a sixth of a character."""
    height, width = grey.shape
    for row in rows:
        slack = row.cap / 6
        for along in (-row.length / 2, row.length / 2):
            for across in (-row.cap * 0.45, row.cap * 0.45):
                corner = row.moved(along, across)
                if not (-slack <= corner.x < width + slack and -slack <= corner.y < height + slack):
                    return True
    return False


def _rotation(row: Row) -> int:
    """Clockwise degrees that turn the row's reading direction to the right."""
    angle = np.degrees(np.arctan2(row.dy, row.dx))
    return int(round(-angle / 90.0) * 90) % 360


def _checks(page: _Page) -> tuple[Check, ...]:
    present = page.quality.document_present
    detected = Check(
        "document_detected",
        Result.SUCCESSFUL if present else Result.UNDETERMINED,
        () if present else (Reason("reading.no_document"),),
    )
    image = page.quality.check()
    if page.sure:  # a picture in which every character is sure is good enough
        image = Check("image_quality", Result.SUCCESSFUL)
    elif page.advice:
        reasons = (*image.reasons, *(advice for advice in page.advice if advice not in image.reasons))
        image = Check("image_quality", Result.UNDETERMINED, reasons)
    mrz = page.mrz
    if mrz is None:
        unread = [Check(name, Result.UNDETERMINED, page.why) for name in _MRZ_CHECKS]
        return (detected, *unread, image)
    read = Check("mrz_read", Result.SUCCESSFUL if page.sure else Result.UNDETERMINED, page.why)
    digits = tuple(check.reason for check in mrz.check_digits if check.reason is not None)
    fields = tuple(check.reason for check in mrz.field_checks if check.reason is not None)
    return (
        detected,
        read,
        _judged("mrz_check_digits", mrz.check_digits_ok and page.digits_prove, page, digits),
        _judged("mrz_fields", mrz.fields_ok, page, fields),
        image,
    )


_MRZ_CHECKS: Final = ("mrz_read", "mrz_check_digits", "mrz_fields")


def _judged(name: str, ok: bool, page: _Page, reasons: tuple[Reason, ...]) -> Check:
    """A wrong check digit in a reading that isn't sure may be our misreading: undetermined, not failed."""
    if ok:
        return Check(name, Result.SUCCESSFUL, reasons)
    if page.sure:
        return Check(name, Result.FAILED, reasons)
    return Check(name, Result.UNDETERMINED, (*page.why, *reasons))


def _reasons(page: _Page, valid: bool) -> tuple[Reason, ...]:
    found = list(page.why)
    if page.mrz is not None and not valid:
        found += [reason for reason in page.mrz.reasons if reason not in found]
    if not valid:
        found += [reason for reason in (*page.quality.reasons, *page.advice) if reason not in found]
    return tuple(found)
