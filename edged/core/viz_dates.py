"""Dates among printed lines, in every form that documents use: `12 AUG/AOÛT 74`, `12.08.1974`, `1974年8月12日`.

A date is read as it stands: what is expected has no say. Where the form leaves open what is day and what is month,
or which century, the reading has every meaning.
"""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Final, NamedTuple

from edged.core.months import MONTHS
from edged.core.print_text import Places
from edged.identity import Identity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edged.core.print_reader import PrintLine

_FIGURE: Final = 0.35
"""Share from which a place may hold a figure, or a name's letter."""
_LETTER: Final = 0.2
_FORMS: Final = (
    (2, 2, 4),
    (4, 2, 2),
    (1, 2, 4),
    (2, 1, 4),
    (1, 1, 4),
    (4, 1, 2),
    (4, 2, 1),
    (4, 1, 1),
    (2, 2, 2),
)
"""Lengths of a date's figures, in the order in which they are tried."""
_BY_LETTER: Final = {
    first: [name for name in MONTHS if name[0] == first] for first in sorted({n[0] for n in MONTHS})
}
_LONGEST_NAME: Final = 10
_LONGEST_REST: Final = 13
"""Places between a month's name and the year: the name in a second language, or `/ 8月`."""


class PrintedDate(Identity):
    """One date on one line.

    Attributes:
        line, start, end: where it stands.
        sureness: share of the least sure of its characters.
        full_year: whether the year has four figures.
        in_full: whether day and month in figures have two each as well: one of `11` is easily lost.
        meanings: every date it may be, as (year, month, day); the year modulo 100 without `full_year`.
    """

    __slots__ = ("end", "full_year", "in_full", "line", "meanings", "start", "sureness")

    def __init__(
        self,
        line: PrintLine,
        span: tuple[int, int],
        sureness: float,
        lengths: tuple[int, ...],
        meanings: frozenset[tuple[int, int, int]],
    ) -> None:
        self.line = line
        self.start, self.end = span
        self.sureness = sureness
        self.full_year: bool = 4 in lengths
        self.in_full: bool = self.full_year and 1 not in lengths
        self.meanings = meanings

    def may_be(self, date: datetime.date) -> bool:
        """Whether `date` is one of its meanings, but for the century: an MRZ doesn't say it."""
        return any(
            (year % 100, month, day) == (date.year % 100, date.month, date.day)
            for year, month, day in self.meanings
        )


class _Group(NamedTuple):
    """Some figures: their value, least share, first place and end."""

    value: int
    share: float
    start: int
    end: int


def find_dates(line: PrintLine) -> list[PrintedDate]:
    """Every date on a line, from left to right; none overlaps another."""
    places = Places(line)
    found: list[PrintedDate] = []
    start = 0
    while start < len(places) - 4:
        date = None
        if places.figures[start][1] >= _FIGURE and _stands_free(places, start):
            date = _in_figures(places, start) or _with_name(places, start)
        if date is None:
            start += 1
        else:
            found.append(date)
            start = date.end
    return found


def _stands_free(places: Places, place: int) -> bool:
    """Whether no other figure touches a place from the left."""
    return places.line.space(place) or places.figure_alone[place - 1] < 0.5


def _group(places: Places, start: int, length: int) -> _Group | None:
    """`length` figures from a place on, with no space among them."""
    value, share = 0, 1.0
    if start + length > len(places):
        return None
    for place in range(start, start + length):
        best, likely = places.figures[place]
        if likely < _FIGURE or (place > start and places.line.space(place)):
            return None
        value, share = 10 * value + best, min(share, likely)
    return _Group(value, share, start, start + length)


def _ends(places: Places, place: int) -> bool:
    """Whether the figures before a place end there."""
    return places.line.space(place) or places.figure_alone[place] < 0.5


def _in_figures(places: Places, start: int) -> PrintedDate | None:
    for form in _FORMS:
        groups: list[_Group] = []
        at, marks = start, 0
        for length in form:
            if groups:
                if at < len(places) and max(places.separator[at], places.other[at]) >= 0.5:
                    at, marks = at + 1, marks + 1
                elif places.line.space(at):
                    marks += 1
            group = _group(places, at, length)
            if group is None:
                break
            groups.append(group)
            at = group.end
        # Eight figures in a row are a date only where they stand alone.
        alone = form in _FORMS[:2] and places.line.space(start) and places.line.space(at)
        if len(groups) < 3 or not _ends(places, at) or not (marks == 2 or (marks == 0 and alone)):
            continue
        meanings = frozenset(_meanings(form, *(group.value for group in groups)))
        if meanings:
            share = min(group.share for group in groups)
            return PrintedDate(places.line, (start, at), share, form, meanings)
    return None


def _meanings(form: tuple[int, ...], a: int, b: int, c: int) -> Iterator[tuple[int, int, int]]:
    """What three numbers may mean, as (year, month, day), of those that exist."""
    orders = [(a, b, c)] if form[0] == 4 else [(c, b, a), (c, a, b)]
    if form == (2, 2, 2):
        orders.append((a, b, c))
    return (order for order in orders if _exists(*order))


def _exists(year: int, month: int, day: int) -> bool:
    # A year without its century is judged in a leap year's place: 29 February may exist.
    century = 0 if year >= 1000 else 2000 if year % 4 == 0 else 1900
    try:
        datetime.date(year + century, month, day)
    except ValueError:
        return False
    return year < 100 or 1800 <= year < 2200


def _with_name(places: Places, start: int) -> PrintedDate | None:
    """Day, name of the month in one or two languages, year."""
    for length in (2, 1):
        day = _group(places, start, length)
        if day is None or not 1 <= day.value <= 31:
            continue
        at = day.end
        if at < len(places) and places.separator[at] >= 0.5:
            at += 1
        for place, (name, share) in _any_names(places, at):
            year = _year(places, place + len(name))
            if year is None:
                continue
            group, second = year
            digits = (length, group.end - group.start)
            meanings = frozenset(
                (group.value, month, day.value)
                for month in (*MONTHS[name], *second)
                if _exists(group.value, month, day.value)
            )
            if meanings:
                least = min(day.share, share, group.share)
                return PrintedDate(places.line, (start, group.end), least, digits, meanings)
    return None


def _names(places: Places, at: int) -> list[tuple[str, float]]:
    """Months' names that may stand at a place, the longest first, likeliest of each length first."""
    found = [
        (name, share)
        for first, names in _BY_LETTER.items()
        if places.word(at, first) >= _LETTER
        for name in names
        if (share := places.word(at, name)) >= _LETTER
    ]
    return sorted(found, key=lambda one: (-len(one[0]), -one[1]))


def _any_names(places: Places, at: int) -> Iterator[tuple[int, tuple[str, float]]]:
    """Months' names at a place; failing these, behind a stroke: the first language isn't written in Latin letters."""
    names = _names(places, at)
    for place in range(at + 2, min(at + _LONGEST_NAME, len(places) - 1)):
        if names or places.figure_alone[place] >= 0.5:
            break
        if places.separator[place] >= 0.5:
            at, names = place + 1, _names(places, place + 1)
    return ((at, name) for name in names)


def _year(places: Places, at: int) -> tuple[_Group, tuple[int, ...]] | None:
    """The year behind a month's name, and the months that a second name means."""
    second: tuple[int, ...] = ()
    for place in range(at, min(at + _LONGEST_REST, len(places) - 1)):
        if places.figure_alone[place] < 0.5:
            if not second and (names := _names(places, place)):
                second = MONTHS[names[0][0]]
            continue
        for length in (4, 2):
            group = _group(places, place, length)
            followed = group is not None and group.end < len(places) and places.other[group.end] >= 0.5
            if group is not None and _ends(places, group.end) and not (length == 2 and followed):
                return group, second
        if not _is_month_sign(places, place):
            return None
    return None


def _is_month_sign(places: Places, place: int) -> bool:
    """Whether a figure belongs to a month as Chinese and Japanese print it: one or two figures and 月."""
    ahead = range(place + 1, min(place + 3, len(places)))
    return any(places.other[one] >= 0.5 for one in ahead)
