"""Dates of an MRZ: unknown parts, two-digit years, explicit centuries (ICAO Doc 9303-3 §4.8).

Doc 9303 gives no rule for the century; the rules here are the house's, and take today's date as an argument.
"""

from __future__ import annotations

import datetime
from typing import Final

from edged.identity import Identity

EXPIRY_HORIZON: Final = 50
"""Years ahead that an expiry date may lie: more than any document is valid for, a card for life included.

A year that lies further ahead is meant a century earlier: the document expired long ago.
"""

_LONGEST_MONTHS: Final = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


class MrzDate(Identity):
    """One date, as printed and as meant.

    Attributes:
        raw: the characters: `YYMMDD`, or `YYMM` on the French identity card's date of issue.
        year, month, day: numbers, the year with its century; None when unknown or not made of digits.
        date: None when any part is unknown or the date can't be.
        problem: reason code of why the date can't be, or None: "mrz.date_malformed" (a part is neither two
            digits nor two fillers), "mrz.date_impossible" (30 February), "mrz.birth_in_future".
    """

    __slots__ = ("date", "day", "month", "problem", "raw", "year")

    def __init__(self, raw: str, year: int | None, month: int | None, day: int | None) -> None:
        self.raw: str = raw
        self.year: int | None = year
        self.month: int | None = month
        self.day: int | None = day
        self.date: datetime.date | None = None
        self.problem: str | None = None
        if year is not None and month is not None and day is not None:
            try:
                self.date = datetime.date(year, month, day)
            except ValueError:
                self.problem = "mrz.date_impossible"
        elif not _may_be(month, day):
            self.problem = "mrz.date_impossible"
        elif not raw.isdecimal() and _malformed(raw):
            self.problem = "mrz.date_malformed"

    @property
    def complete(self) -> bool:
        """Whether no part is unknown; the date may be impossible all the same."""
        return self.raw.isdecimal()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, MrzDate) and (self.raw, self.year) == (other.raw, other.year)

    def __hash__(self) -> int:
        return hash((self.raw, self.year))


def birth_date(raw: str, today: datetime.date, century: int | None = None) -> MrzDate:
    """A birth date: in the latest century in which it doesn't lie ahead of `today`.

    A printed `century` (19, 20) is believed instead; if it puts the birth in the future, that is a problem.
    """
    short, month, day = _parts(raw)
    year = None if short is None else short + 100 * (today.year // 100 if century is None else century)
    if year is not None and _after(today, year, month, day):
        if century is None:
            year -= 100
        else:
            found = MrzDate(raw, year, month, day)
            found.date, found.problem = None, found.problem or "mrz.birth_in_future"
            return found
    return MrzDate(raw, year, month, day)


def expiry_date(raw: str, today: datetime.date, century: int | None = None) -> MrzDate:
    """An expiry date: no more than `EXPIRY_HORIZON` years ahead, and less than a century before that."""
    short, month, day = _parts(raw)
    if short is None:
        return MrzDate(raw, None, month, day)
    if century is not None:
        return MrzDate(raw, 100 * century + short, month, day)
    latest = today.year + EXPIRY_HORIZON
    return MrzDate(raw, latest - (latest - short) % 100, month, day)


def raw_date(date: datetime.date | None) -> str:
    """`YYMMDD` as an MRZ prints it; all fillers for an unknown date."""
    return "<<<<<<" if date is None else date.strftime("%y%m%d")


def _parts(raw: str) -> tuple[int | None, int | None, int | None]:
    if raw.isdecimal() and len(raw) == 6:
        return int(raw[:2]), int(raw[2:4]), int(raw[4:])
    year, month, day = (
        int(part) if len(part) == 2 and part.isdecimal() else None for part in (raw[:2], raw[2:4], raw[4:])
    )
    return year, month, day


def _malformed(raw: str) -> bool:
    return any(
        not part.isdecimal() and part != "<<" for part in (raw[at : at + 2] for at in range(0, len(raw), 2))
    )


def _may_be(month: int | None, day: int | None) -> bool:
    """Whether a date with unknown parts may exist in some year."""
    if month is not None and not 1 <= month <= 12:
        return False
    longest = 31 if month is None else _LONGEST_MONTHS[month - 1]
    return day is None or 1 <= day <= longest


def _after(today: datetime.date, year: int, month: int | None, day: int | None) -> bool:
    """Whether the date certainly lies after `today`; unknown parts get the benefit of the doubt."""
    if year != today.year or month is None:
        return year > today.year
    if month != today.month or day is None:
        return month > today.month
    return day > today.day
