"""Values made coarser: a year for a date, a band for an age, a region for a state.

A value that lies at the border of two bands as far as it is known is withheld, never guessed. Today is the box's day by
a clock that can be believed.
"""

from __future__ import annotations

import calendar
from typing import TYPE_CHECKING, Final

from edged.privacy.regions import REGION_OF
from edged.privacy.withholding import WithheldError

if TYPE_CHECKING:
    from datetime import date

    from edged.core.mrz_dates import MrzDate

ADULT: Final = 18
"""Years of age from which `age_over_18` is true."""

AGES: Final = (0, 14, 18, 25, 35, 45, 55, 65, 75)
"""First year of age of each band; the last has no end."""

SOON_MONTHS: Final = 6
"""Months: many states let nobody in whose passport ends sooner."""

EXPIRED: Final = "expired"
SHORT_VALID: Final = "under_6_months"
LONG_VALID: Final = "over_6_months"
"""Validity bands. A document that never expires is in the last."""


def birth_date(birth: MrzDate, form: str, today: date) -> str:
    """`1974`, `1970s` or an age band (`45-54`, `75+`). Raises `WithheldError`."""
    year = _known(birth.year)
    match form:
        case "year":
            return f"{year:04d}"
        case "decade":
            return f"{year - year % 10:04d}s"
        case "age_band":
            first, last = _span(birth)
            youngest, oldest = (_band(_age(day, today)) for day in (last, first))
            if youngest != oldest:
                raise WithheldError("claim.date_incomplete")
            return youngest
    raise AssertionError(form)


def expiry_date(expiry: MrzDate, form: str, today: date) -> str:
    """`2028-04`, `2028-Q2`, `2028` or a validity band. Raises `WithheldError`."""
    year = _known(expiry.year)
    match form:
        case "month":
            return f"{year:04d}-{_known(expiry.month):02d}"
        case "quarter":
            return f"{year:04d}-Q{(_known(expiry.month) + 2) // 3}"
        case "year":
            return f"{year:04d}"
        case "validity_band":
            first, last = (_validity(day, today) for day in _span(expiry))
            if first != last:
                raise WithheldError("claim.date_incomplete")
            return first
    raise AssertionError(form)


def is_adult(birth: MrzDate, today: date) -> bool:
    """Whether the holder is of age on any birthday that the known parts of the date allow. Raises `WithheldError`."""
    limit = (today.year - ADULT, today.month, today.day)
    year = _known(birth.year)
    if (year, birth.month or 12, birth.day or 31) <= limit:
        return True
    if (year, birth.month or 1, birth.day or 1) > limit:
        return False
    raise WithheldError("claim.date_incomplete")


def region(code: str) -> str:
    """The part of the world that a state's code belongs to (`edged.privacy.regions`). Raises `WithheldError`."""
    found = REGION_OF.get(code)
    if found is None:
        raise WithheldError("claim.not_plausible")
    return found


def _known(number: int | None) -> int:
    if number is None:
        raise WithheldError("claim.date_incomplete")
    return number


def _span(known: MrzDate) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    """The first and the last day that the known parts of a date allow."""
    year = _known(known.year)
    return (year, known.month or 1, known.day or 1), (year, known.month or 12, known.day or 31)


def _age(born: tuple[int, int, int], today: date) -> int:
    return today.year - born[0] - ((today.month, today.day) < born[1:])


def _band(age: int) -> str:
    if age < 0:
        raise WithheldError("claim.not_plausible")
    place = sum(age >= first for first in AGES) - 1
    return f"{AGES[place]}-{AGES[place + 1] - 1}" if place + 1 < len(AGES) else f"{AGES[place]}+"


def _validity(last_day: tuple[int, int, int], today: date) -> str:
    if last_day < (today.year, today.month, today.day):
        return EXPIRED
    return LONG_VALID if last_day >= _months_on(today, SOON_MONTHS) else SHORT_VALID


def _months_on(day: date, months: int) -> tuple[int, int, int]:
    years, month = divmod(day.month - 1 + months, 12)
    year = day.year + years
    return year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1])
