"""Pseudonyms that change with the time: who is told of two periods can't join them, but for the overlap."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edged.privacy.disclosing import disclose
from edged.privacy.policy import MAX_OVERLAP, WITHHELD, Policy
from edged.privacy.pseudonym import Pseudonymiser, period, periods
from tests.test_privacy_policy import passport

KEY = bytes(range(32))
KINDS = ("month", "quarter", "year")
DAYS = st.dates(date(2020, 1, 1), date(2099, 12, 31))


def told(day: date | None, kind: str, overlap: int = 0, scope: str = "box:bank") -> Any:
    policy = msgspec.convert(
        {
            "claims": {"document": "pseudonymise"},
            "pseudonym_period": kind,
            "pseudonym_overlap_days": overlap,
        },
        Policy,
    )
    made = disclose(passport(), policy, pseudonyms=Pseudonymiser(KEY, scope), today=day)
    return made["document"] if made["document"] is not None else made[WITHHELD]


@pytest.mark.parametrize(
    ("kind", "day", "label"),
    [
        ("month", date(2026, 11, 30), "2026-11"),
        ("quarter", date(2026, 10, 1), "2026-Q4"),
        ("quarter", date(2026, 9, 30), "2026-Q3"),
        ("year", date(2026, 1, 1), "2026"),
    ],
)
def test_labels(kind: str, day: date, label: str) -> None:
    assert period(kind, day) == label


def test_without_a_period_nothing_has_changed() -> None:
    """The value of releases that knew no periods; the day doesn't matter, nor whether there is one."""
    assert {told(day, "none") for day in (date(2026, 11, 1), date(2030, 1, 1), None)} == {
        Pseudonymiser(KEY, "box:bank").pseudonym("document", "UTO", "passport", "L898902C3")
    }


@settings(max_examples=60)
@given(DAYS, DAYS, st.sampled_from(KINDS))
def test_one_period_one_pseudonym(first: date, second: date, kind: str) -> None:
    same = period(kind, first) == period(kind, second)
    assert (told(first, kind) == told(second, kind)) is same


@given(
    st.lists(
        st.tuples(
            st.binary(min_size=32, max_size=32), st.sampled_from(("box:a", "box:b", "organisation:a")), DAYS
        ),
        min_size=2,
        max_size=6,
        unique=True,
    ),
    st.sampled_from(KINDS),
)
def test_keys_scopes_and_periods_never_agree_and_the_same_do(
    makers: list[tuple[bytes, str, date]], kind: str
) -> None:
    def made(key: bytes, scope: str, day: date) -> str:
        return Pseudonymiser(key, scope).of_period(period(kind, day)).pseudonym("holder", "X", "Y")

    different = {(key, scope, period(kind, day)) for key, scope, day in makers}
    assert len({made(*maker) for maker in makers}) == len(different)
    assert [made(*maker) for maker in makers] == [made(*maker) for maker in makers]
    unperiodic = {Pseudonymiser(key, scope).pseudonym("holder", "X", "Y") for key, scope, _ in makers}
    assert not unperiodic & {made(*maker) for maker in makers}


@settings(max_examples=60)
@given(DAYS, st.sampled_from(KINDS), st.integers(0, 92))
def test_the_earlier_one_is_told_for_so_many_days(day: date, kind: str, overlap: int) -> None:
    overlap = min(overlap, MAX_OVERLAP[kind])
    found = told(day, kind, overlap)
    days_in = next(back for back in range(400) if period(kind, day - timedelta(back)) != period(kind, day))
    if days_in > overlap:
        assert found == told(day, kind)
        return
    last = day - timedelta(days_in)
    assert found == {"current": told(day, kind), "previous": told(last, kind)}


@pytest.mark.parametrize(
    ("day", "overlap", "earlier"),
    [(1, 0, None), (1, 1, "2026-10"), (2, 1, None), (14, 14, "2026-10"), (15, 14, None)],
)
def test_days_of_overlap(day: int, overlap: int, earlier: str | None) -> None:
    assert periods("month", overlap, date(2026, 11, day)) == ("2026-11", earlier)


def test_a_clock_that_cannot_be_believed_knows_no_period() -> None:
    assert told(None, "month") == {"document": "claim.clock_not_trusted"}


def test_periods_at_the_beginning_of_time() -> None:
    assert periods("year", 92, date.min) == ("0001", None)
