"""Dates of an MRZ: unknown parts, two-digit years, explicit centuries (ICAO Doc 9303-3 §4.8).

Doc 9303 gives no rule for the century; the rules here are the house's, and take today's date as an argument. The
work is done in `edged.core._mrzdate`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from edged.core import _mrzdate
from edged.core._mrzdate import MrzDate

if TYPE_CHECKING:
    import datetime

__all__ = ["EXPIRY_HORIZON", "MrzDate", "birth_date", "expiry_date", "raw_date"]

EXPIRY_HORIZON: Final = _mrzdate.EXPIRY_HORIZON
"""Years ahead that an expiry date may lie: more than any document is valid for, a card for life included.

A year that lies further ahead is meant a century earlier: the document expired long ago.
"""

_mrzdate.name_troubles(("mrz.date_malformed", "mrz.date_impossible", "mrz.birth_in_future"))


def birth_date(raw: str, today: datetime.date, century: int | None = None) -> MrzDate:
    """A birth date: in the latest century in which it doesn't lie ahead of `today`.

    A printed `century` (19, 20) is believed instead; if it puts the birth in the future, that is a problem.
    """
    return _mrzdate.birth_date(raw, today, century)


def expiry_date(raw: str, today: datetime.date, century: int | None = None) -> MrzDate:
    """An expiry date: no more than `EXPIRY_HORIZON` years ahead, and less than a century before that."""
    return _mrzdate.expiry_date(raw, today, century)


def raw_date(date: datetime.date | None) -> str:
    """`YYMMDD` as an MRZ prints it; all fillers for an unknown date."""
    return "<<<<<<" if date is None else date.strftime("%y%m%d")
