"""The visual zone against the machine-readable one: birth date, expiry date, document number.

What is printed beside the MRZ is read as it stands, then compared. Each check is successful when the same value is
read, failed only when another value is read beyond doubt and can't be anything else on the page, and undetermined
otherwise: small, faint or unusual print is common, and says nothing about the document.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from edged.core import viz_captions
from edged.core.layouts import DocumentClass, MrzFormat
from edged.core.print_reader import PRINTED, PrintLine, joined, read_rows
from edged.core.print_rows import print_rows, turn_level
from edged.core.print_text import Places
from edged.core.ruler import ruler
from edged.core.vision import grey_of
from edged.core.viz_dates import PrintedDate, find_dates
from edged.identity import Identity
from edged.verdict import Check, Reason, Result

if TYPE_CHECKING:
    import datetime
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from edged.core.mrz import Mrz
    from edged.core.page import Row
    from edged.core.reading import PageReading

CHECK_NAMES: Final = ("viz_birth_date", "viz_expiry_date", "viz_document_number")

_PER_MM: Final = 5.0
"""Pixels a millimetre in which rows are looked for: print from 1 to 8 mm is found."""
_MOST: Final = 18_000
"""Pixels of strips read on one page: a full visual zone has half as many."""
_SIZES_MM: Final = {
    MrzFormat.TD3: (125.0, 88.0),
    MrzFormat.MRVA: (120.0, 80.0),
    MrzFormat.TD2: (105.0, 74.0),
    MrzFormat.MRVB: (105.0, 74.0),
    MrzFormat.FRA_ID: (105.0, 74.0),
}
"""Width and height (Doc 9303-4 §2, -6 §2, -7 §3); every other layout is a card of 85.6 by 54 mm (-5 §2)."""
_CARD_MM: Final = (85.6, 54.0)
_BELOW_MM: Final = 11.0
"""From an MRZ's last line to farther than the document's lower edge."""
_LEGIBLE: Final = 0.55
"""Share that each character needs where a value equals the expected one: all of them are right by chance once in
millions."""
_BEYOND_DOUBT: Final = 0.98
_CLEAR: Final = 13.0
"""Share that each character of a contradiction needs, and height of its capitals in page pixels: on drawn lines of
every quality, small ones included, 0.08 % of such characters are wrong."""
_ALIKE: Final = 0.75
_FAR: Final = 7.0
_MOST_PAIRS: Final = 60
"""How different in height, and how far apart in capitals, two parts of one date may be; pairs tried, which bounds the
time."""
_LEAST_NUMBER: Final = 5
_MOST_WRONG: Final = 2
"""Characters by which a printed number may differ and still be meant as the same one."""


class VisualZone(Identity):
    """What is printed on one page outside its MRZ.

    Attributes:
        lines: rows with characters, from top to bottom as far as they were read.
        inside: for each line whether it certainly stands on the document itself, not beside it.
    """

    __slots__ = ("inside", "lines")

    def __init__(self, lines: tuple[PrintLine, ...], inside: tuple[bool, ...]) -> None:
        self.lines = lines
        self.inside = inside


class _Frame(NamedTuple):
    """Where the document lies, seen from its MRZ: page pixels along and across the reading direction."""

    top_row: Row
    per_mm: float
    left: float
    right: float
    top: float
    bottom: float
    mrz: tuple[float, float]

    def place(self, row: Row) -> tuple[bool, bool]:
        """(whether the row is the MRZ's own print, whether it stands on the document)."""
        along, across = self.top_row.offset(row)
        own = self.mrz[0] < across < self.mrz[1]
        return own, self.left < along < self.right and self.top < across < self.bottom


def read_visual_zone(image: NDArray[np.uint8], reading: PageReading) -> VisualZone | None:
    """Read the print around the MRZ of a page, (H, W, 3) BGR or (H, W) grey, 8 bits; None without an MRZ.

    Takes tens of milliseconds; lets other threads run meanwhile.
    """
    if reading.mrz is None or not reading.rows:
        return None
    grey = grey_of(image)
    frame = _frame(reading.rows, reading.mrz.format)
    top = reading.rows[0]
    rows = print_rows(turn_level(grey, (top.dx, top.dy), frame.per_mm / _PER_MM))
    placed = [(not inside, row) for row in rows for own, inside in [frame.place(row)] if not own]
    placed.sort(key=lambda one: one[0])  # the document's own print first: time is bounded
    lines = tuple(read_rows(grey, [row for _, row in placed], most=_MOST))
    return VisualZone(lines, tuple(frame.place(line.row)[1] for line in lines))


def visual_zone_checks(reading: PageReading, zones: Sequence[VisualZone | None]) -> tuple[Check, ...]:
    """The checks of `CHECK_NAMES`: the MRZ of `reading` against what was read on the document's sides."""
    mrz = reading.mrz
    read = [zone for zone in zones if zone is not None]
    if mrz is None:
        return tuple(_undetermined(name, "viz.no_mrz") for name in CHECK_NAMES)
    if not any(zone.lines for zone in read):
        return tuple(_undetermined(name, "viz.nothing_legible") for name in CHECK_NAMES)
    sure = any(check.name == "mrz_read" and check.result is Result.SUCCESSFUL for check in reading.checks)
    dates = [(date, zone, on) for zone in read for date, on in _dates(zone)]
    birth = mrz.birth_date.date if mrz.birth_date is not None else None
    expiry = mrz.expiry_date.date if mrz.expiry_date is not None else None
    known = frozenset(date for date in (birth, expiry) if date is not None)
    visa = mrz.document_class is DocumentClass.VISA
    return (
        _date_check("viz_birth_date", birth, known, dates, viz_captions.BIRTH, sure),
        # A visa names several ends: of its validity, of the stay, of the passport.
        _date_check("viz_expiry_date", expiry, known, dates, viz_captions.EXPIRY, sure and not visa),
        _number_check(mrz, read, sure and not visa),
    )


def _undetermined(name: str, code: str) -> Check:
    return Check(name, Result.UNDETERMINED, (Reason(code),))


def _frame(rows: tuple[Row, ...], format_: MrzFormat) -> _Frame:
    top = rows[0]
    per_mm = ruler(rows, format_).unit
    width, height = _SIZES_MM.get(format_, _CARD_MM)
    _, last = top.offset(rows[-1])
    band = (-1.1 * top.cap, last + 1.1 * top.cap)
    bottom = last + _BELOW_MM * per_mm
    return _Frame(
        top, per_mm, -width / 2 * per_mm, width / 2 * per_mm, bottom - height * per_mm, bottom, band
    )


def _dates(zone: VisualZone) -> list[tuple[PrintedDate, bool]]:
    """The zone's dates, and whether each may speak against the document: not one put together from two rows."""
    found = [
        (date, inside)
        for line, inside in zip(zone.lines, zone.inside, strict=True)
        for date in find_dates(line)
    ]
    return found + [(date, False) for pair in _neighbours(zone.lines) for date in find_dates(joined(*pair))]


def _neighbours(lines: Sequence[PrintLine]) -> list[tuple[PrintLine, PrintLine]]:
    """Pairs of lines on one level, of one size, and not far from one another."""
    pairs = []
    for left in lines:
        for right in lines:
            along, across = left.row.offset(right.row)
            gap = along - (left.row.length + right.row.length) / 2
            alike = _ALIKE < left.row.cap / right.row.cap < 1 / _ALIKE
            if alike and abs(across) < 0.4 * left.row.cap and 0 < gap < _FAR * left.row.cap:
                pairs.append((left, right))
    return pairs[:_MOST_PAIRS]


def _date_check(
    name: str,
    expected: datetime.date | None,
    known: frozenset[datetime.date],
    dates: Sequence[tuple[PrintedDate, VisualZone, bool]],
    caption: tuple[str, ...],
    may_fail: bool,
) -> Check:
    if expected is None:
        return _undetermined(name, "viz.not_in_mrz")
    if any(date.may_be(expected) and date.sureness >= _LEGIBLE for date, _, _ in dates):
        return Check(name, Result.SUCCESSFUL)
    for date, zone, inside in dates:
        called = viz_captions.is_called(date, caption, zone.lines)
        if not called or any(date.may_be(one) for one in known):
            continue
        clear = date.sureness >= _BEYOND_DOUBT and date.line.row.cap >= _CLEAR
        if may_fail and inside and date.in_full and clear:
            return Check(name, Result.FAILED, (Reason("viz.differs"),))
        return _undetermined(name, "viz.seems_to_differ")
    return _undetermined(name, "viz.not_found")


def _number_check(mrz: Mrz, zones: Sequence[VisualZone], may_fail: bool) -> Check:
    name = "viz_document_number"
    expected = mrz.document_number.reveal()
    if len(expected) < _LEAST_NUMBER or not set(expected) <= set(PRINTED):
        return _undetermined(name, "viz.not_in_mrz")
    other = False
    for zone in zones:
        for line, inside in zip(zone.lines, zone.inside, strict=True):
            found = _number_on(Places(line), expected)
            if found is Result.SUCCESSFUL:
                return Check(name, Result.SUCCESSFUL)
            other = other or (found is Result.FAILED and inside and line.row.cap >= _CLEAR)
    if other and may_fail:
        return Check(name, Result.FAILED, (Reason("viz.differs"),))
    return _undetermined(name, "viz.seems_to_differ" if other else "viz.not_found")


def _number_on(places: Places, expected: str) -> Result:
    """Whether a line shows the number: successful, or failed where one stands alone that differs a little.

    That is in one or two characters, every one of the whole number beyond doubt.
    """
    kept = np.flatnonzero(np.array(places.separator) < 0.5)
    count = len(expected)
    if len(kept) < count:
        return Result.UNDETERMINED
    windows = kept[np.arange(len(kept) - count + 1)[:, None] + np.arange(count)]
    shares = places.of[windows, [PRINTED.index(char) for char in expected]]
    if bool((shares.min(axis=1) >= _LEGIBLE).any()):
        return Result.SUCCESSFUL
    doubt = 1 - _BEYOND_DOUBT
    wrong = (shares < doubt).sum(axis=1)
    clear = ((shares < doubt) | (shares >= _BEYOND_DOUBT)).all(axis=1)
    clear &= places.line.sureness[windows].min(axis=1) >= _BEYOND_DOUBT
    for window in windows[clear & (wrong > 0) & (wrong <= _MOST_WRONG)]:
        if places.line.space(int(window[0])) and places.line.space(int(window[-1]) + 1):
            return Result.FAILED
    return Result.UNDETERMINED
