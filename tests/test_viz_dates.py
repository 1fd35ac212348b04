"""Dates in the forms that documents print, and what must not be taken for one."""

from __future__ import annotations

import datetime

import pytest

from edged.core.months import MONTHS
from edged.core.viz_dates import find_dates
from tests.printed import line

BIRTH = datetime.date(1974, 8, 12)


@pytest.mark.parametrize(
    "text",
    [
        "12 AUG 1974",
        "12AUG74",
        "12 AUG 74",
        "12 AUG/AOUT 74",
        "12 AUG / AOUT 1974",
        "12 AUG. 1974",
        "12 AUGUST 1974",
        "12-AUG-1974",
        "12 AGO/AUG 1974",
        "12.08.1974",
        "12/08/74",
        "12 08 1974",
        "08/12/1974",  # month first
        "12081974",
        "1974-08-12",
        "1974.08.12",
        "1974年08月12日",
        "1974年8月12日",
        "12 AUG/8月 1974",
        "12 RGP/AUG 1974",  # Lithuanian
        "12 АВГ/AUG 74",  # the first language in other letters
        "12 CEPП / AUG 1974",
        "DATE OF BIRTH 12.08.1974 SEX F",
        "74 08 12",
        "I2.O8.I974",  # a face in which figures look like letters
    ],
)
def test_the_birth_date_is_read_in_every_form(text: str) -> None:
    dates = find_dates(line(text))
    assert len(dates) == 1
    assert dates[0].may_be(BIRTH)
    assert dates[0].sureness > 0.9


def test_a_short_year_leaves_the_century_open_and_so_does_the_mrz() -> None:
    (date,) = find_dates(line("12.08.74"))
    assert not date.full_year
    assert not date.in_full
    assert date.may_be(datetime.date(2074, 8, 12))


def test_what_two_languages_call_differently_keeps_both_meanings() -> None:
    (date,) = find_dates(line("05 LIS 1990"))  # October in Croatian, November in Polish
    assert {month for _, month, _ in date.meanings} == {10, 11}
    (date,) = find_dates(line("05 MEI/JUN 1988"))  # Irish June, not Dutch May
    assert date.may_be(datetime.date(1988, 6, 5))


@pytest.mark.parametrize(
    "text",
    [
        "912345678901234",  # a number
        "810000199408120021",  # a number that has a date in it
        "31.02.1974",
        "12.32.1974",
        "00 AUG 1974",
        "12 STREET 1974",
        "ROOM 12 AUG",
        "1.2",
        "AUGUST",
        "",
    ],
)
def test_no_date_is_seen_where_none_stands(text: str) -> None:
    assert not any(date.may_be(BIRTH) or date.full_year for date in find_dates(line(text)))


def test_a_validity_period_has_two_dates() -> None:
    dates = find_dates(line("2019.03.05-2029.03.05"))
    assert [sorted(date.meanings) for date in dates] == [[(2019, 3, 5)], [(2029, 3, 5)]]


def test_another_date_is_read_as_it_stands() -> None:
    (date,) = find_dates(line("12 AUG 1979"))
    assert not date.may_be(BIRTH)
    assert date.in_full


def test_a_lost_figure_is_no_full_date() -> None:
    (date,) = find_dates(line("03.1.1992"))
    assert date.full_year
    assert not date.in_full


def test_sureness_is_the_least_sure_characters() -> None:
    (date,) = find_dates(line("12.08.1974", sure=0.7))
    assert 0.68 < date.sureness < 0.75


def test_every_month_has_its_names() -> None:
    assert {month for months in MONTHS.values() for month in months} == set(range(1, 13))
    assert all(name.isalpha() and name.isupper() and len(name) >= 3 for name in MONTHS)
    assert len(MONTHS["AUG"]) == len(MONTHS["MAY"]) == 1
