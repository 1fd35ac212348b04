"""Two-digit years: which century they mean, whatever day it is."""

from __future__ import annotations

import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edged.core.mrz_dates import EXPIRY_HORIZON, birth_date, expiry_date, raw_date

NOW = datetime.date(2026, 11, 21)
clocks = st.dates(datetime.date(2020, 1, 1), datetime.date(2140, 12, 31))


@given(st.dates(datetime.date(1900, 1, 1), datetime.date(2140, 12, 31)), clocks)
def test_anyone_under_a_hundred_is_born_when_they_were(born: datetime.date, today: datetime.date) -> None:
    if not (born <= today and (today.year, today.month, today.day) < (born.year + 100, born.month, born.day)):
        return
    assert birth_date(raw_date(born), today).date == born


@given(clocks, st.integers(-49, EXPIRY_HORIZON), st.integers(1, 12), st.integers(1, 28))
def test_any_expiry_within_reach_is_meant(today: datetime.date, years: int, month: int, day: int) -> None:
    expiry = datetime.date(today.year + years, month, day)
    assert expiry_date(raw_date(expiry), today).date == expiry


@given(st.text("0123456789<", min_size=6, max_size=6), clocks)
def test_birth_never_lies_in_the_future(raw: str, today: datetime.date) -> None:
    found = birth_date(raw, today)
    assert found.raw == raw
    assert found.date is None or found.date <= today
    if found.year is not None:
        assert today.year - 100 <= found.year <= today.year
    assert found.complete == raw.isdecimal()
    assert not (found.date and found.problem)
    assert not (found.date and not found.complete)
    if found.complete:
        assert (found.date is None) == (found.problem is not None)


@given(st.text("0123456789<", min_size=6, max_size=6), clocks)
def test_a_date_is_one_that_the_calendar_knows(raw: str, today: datetime.date) -> None:
    """The obvious way: try every year of the right two digits."""
    found = expiry_date(raw, today)
    if raw.isdecimal():
        years = [
            year
            for year in range(today.year + EXPIRY_HORIZON - 99, today.year + EXPIRY_HORIZON + 1)
            if year % 100 == int(raw[:2])
        ]
        assert found.year in years
        assert len(years) == 1
        try:
            expected = datetime.date(years[0], int(raw[2:4]), int(raw[4:]))
        except ValueError:
            expected = None
        assert found.date == expected
    else:
        assert found.date is None


@pytest.mark.parametrize(
    ("raw", "year"),
    [
        ("261121", 2026),
        ("261122", 1926),
        ("2611<<", 2026),
        ("2612<<", 1926),
        ("26<<<<", 2026),
        ("27<<<<", 1927),
    ],
)
def test_a_day_around_today(raw: str, year: int) -> None:
    assert birth_date(raw, NOW).year == year


@pytest.mark.parametrize(
    ("raw", "year"), [("76", 2076), ("77", 1977), ("96", 1996), ("06", 2006), ("05", 2005)]
)
def test_an_expiry_out_of_reach_lies_long_ago(raw: str, year: int) -> None:
    assert expiry_date(raw + "0101", NOW).year == year


def test_leap_days() -> None:
    assert birth_date("000229", NOW).date == datetime.date(2000, 2, 29)
    assert birth_date("010229", NOW).problem == "mrz.date_impossible"
    assert birth_date("<<0229", NOW).problem is None
    assert birth_date("<<0230", NOW).problem == "mrz.date_impossible"


def test_a_printed_century_is_believed() -> None:
    assert birth_date("100101", NOW, 19).year == 1910
    assert birth_date("100101", NOW, 20).year == 2010
    assert birth_date("270101", NOW, 20).problem == "mrz.birth_in_future"
    assert birth_date("271301", NOW, 20).problem == "mrz.date_impossible"
    assert expiry_date("010616", NOW, 20).year == 2001
    assert expiry_date("010616", NOW, 19).year == 1901


def test_equality_and_unknown() -> None:
    assert birth_date("740812", NOW) == birth_date("740812", NOW)
    assert birth_date("740812", NOW) != birth_date("740813", NOW)
    assert len({birth_date("740812", NOW), birth_date("740812", NOW)}) == 1
    assert raw_date(None) == "<<<<<<"
    unknown = birth_date(raw_date(None), NOW)
    assert (unknown.year, unknown.month, unknown.day, unknown.date, unknown.problem) == (None,) * 5
