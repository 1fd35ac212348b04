"""The three rates: what is counted, and what can't be known stays unknown between its bounds."""

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edged.journal.lodging import CheckIns, RecordLine
from edged.lodging.deadline import deadline
from edged.lodging.rates import MAX_DAYS, Rate, Report, report
from tests.trust_support import NOW

DAY = date(2026, 11, 21)


def line(number: int = 0, **changes: Any) -> RecordLine:
    content: dict[str, Any] = {
        "record_id": f"r{number}",
        "audience": "police",
        "kind": "live",
        "reference": None,
        "scanned": NOW,
        "scanned_day": DAY,
        "clock_trusted": True,
        "deadline": NOW + timedelta(hours=24),
        "state": "sealed",
        "changed": NOW,
        "arrival": DAY,
        "sealed": NOW,
        "corrects": None,
        "replied": None,
        "received": None,
        "fields": (),
        "ever_corrected": False,
    }
    return RecordLine(**(content | changes))


def answered(number: int, *, late: bool = False, corrected: bool = False, **changes: Any) -> RecordLine:
    received = NOW + timedelta(hours=25 if late else 1)
    state = "correction_wanted" if corrected else "accepted"
    return line(number, state=state, replied=received, received=received, ever_corrected=corrected, **changes)


def of(*lines: RecordLine, told: int | None = None, last: date = DAY) -> Report:
    check_ins = {} if told is None else {DAY: CheckIns(told, 0)}
    return report("police", lines, check_ins, DAY, last)


def numbers(rate: Rate) -> tuple[int, int, int, float | None, float | None, float | None, bool | None]:
    return (rate.numerator, rate.denominator, rate.unknown, rate.value, rate.lower, rate.upper, rate.met)


def test_everybody_registered_in_time_and_accepted_meets_the_target() -> None:
    total = of(answered(1), answered(2), told=2).total
    for rate in (total.registration, total.timeliness, total.accuracy):
        assert numbers(rate) == (2, 2, 0, 1.0, 1.0, 1.0, True)
    assert (total.check_ins, total.days_without_check_ins, total.abandoned) == (2, 0, 0)


def test_who_was_not_registered_counts_against_registration() -> None:
    total = of(answered(1), line(2, state="abandoned", sealed=None, arrival=None), told=4).total
    assert numbers(total.registration) == (1, 4, 0, 0.25, 0.25, 0.25, False)
    assert total.abandoned == 1


def test_without_check_ins_registration_is_unknown() -> None:
    rate = of(answered(1)).total.registration
    assert (rate.value, rate.met, rate.unknown) == (None, None, 1)
    assert (rate.lower, rate.upper) == (0.0, 1.0)


def test_fewer_check_ins_than_records_were_not_all_entered() -> None:
    total = of(answered(1), answered(2), told=1).total
    assert total.registration.value is None
    assert total.days_without_check_ins == 1


def test_a_day_without_guests_has_to_be_told() -> None:
    assert numbers(of(told=0).total.registration) == (0, 0, 0, None, None, None, None)
    assert of().total.registration.unknown == 1


def test_one_untold_day_makes_the_month_unknown_but_not_the_other_days() -> None:
    found = of(answered(1), told=2, last=DAY + timedelta(days=1))
    assert found.days[0].registration.value == 0.5
    assert found.days[1].registration.value is None
    assert found.total.registration.value is None
    assert found.total.registration.upper == 0.5  # of the other day there may be none, but no more than all
    assert [one.period for one in found.months] == ["2026-11"]


def test_unanswered_records_are_unknown_not_good_and_not_bad() -> None:
    total = of(answered(1), answered(2, late=True, corrected=True), line(3), told=3).total
    assert numbers(total.timeliness) == (1, 3, 1, None, 1 / 3, 2 / 3, False)
    assert numbers(total.accuracy) == (1, 2, 1, None, 1 / 3, 2 / 3, False)


def test_unanswered_records_alone_leave_the_target_open() -> None:
    total = of(line(1), told=1).total
    assert numbers(total.timeliness) == (0, 1, 1, None, 0.0, 1.0, None)
    assert numbers(total.accuracy) == (0, 0, 1, None, 0.0, 1.0, None)


def test_a_clock_that_was_not_believed_leaves_timeliness_unknown() -> None:
    total = of(answered(1, clock_trusted=False), told=1).total
    assert numbers(total.timeliness) == (0, 1, 1, None, 0.0, 1.0, None)
    assert total.accuracy.value == 1.0


def test_a_correction_counts_once_and_the_corrected_record_not_again() -> None:
    total = of(
        line(1, state="corrected", replied=NOW, received=NOW, ever_corrected=True),
        answered(2, corrects="r1"),
        told=1,
    ).total
    assert numbers(total.registration)[:4] == (1, 1, 0, 1.0)
    assert numbers(total.accuracy)[:4] == (0, 1, 0, 0.0)


def test_a_record_in_doubt_is_unknown() -> None:
    rate = of(answered(1), line(2, state="sealing"), told=2).total.registration
    assert numbers(rate) == (1, 2, 1, None, 0.5, 1.0, None)


def test_records_of_others_do_not_count() -> None:
    assert of(answered(1, audience="other"), told=0).total.timeliness.denominator == 0


def test_a_record_counts_for_the_day_of_arrival() -> None:
    found = of(answered(1, arrival=DAY + timedelta(days=1)), told=0, last=DAY + timedelta(days=1))
    assert [one.timeliness.denominator for one in found.days] == [0, 1]


def test_a_report_has_bounds() -> None:
    assert len(of(last=DAY + timedelta(days=MAX_DAYS - 1)).days) == MAX_DAYS
    for last in (DAY + timedelta(days=MAX_DAYS), DAY - timedelta(days=1)):
        with pytest.raises(ValueError, match="days"):
            of(last=last)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["sealed", "accepted", "correction_wanted", "abandoned", "sealing"]),
            st.booleans(),
            st.booleans(),
        ),
        max_size=6,
    ),
    st.none() | st.integers(0, 8),
)
def test_bounds_hold_whatever_the_unknown_turns_out_to_be(
    states: list[tuple[str, bool, bool]], told: int | None
) -> None:
    lines = []
    for number, (state, late, trusted) in enumerate(states):
        if state in ("accepted", "correction_wanted"):
            made = answered(number, late=late, corrected=state == "correction_wanted", clock_trusted=trusted)
        else:
            made = line(number, state=state)
        lines.append(made)
    total = of(*lines, told=told).total
    for rate in (total.registration, total.timeliness, total.accuracy):
        assert rate.numerator >= 0
        assert rate.unknown >= 0
        if rate.lower is None:
            assert rate.value is None
            assert rate.met is None
            continue
        assert rate.upper is not None
        assert 0.0 <= rate.lower <= rate.upper <= 1.0
        assert (rate.value is None) == bool(rate.unknown)
        assert rate.met is not True or rate.value == 1.0
    # The best and the worst that unanswered records can become lie between the bounds.
    for late, corrected in ((False, False), (True, True)):
        known = [
            answered(n, late=late, corrected=corrected) if one.state == "sealed" else one
            for n, one in enumerate(lines)
        ]
        later = of(*known, told=told).total
        for before, after in ((total.timeliness, later.timeliness), (total.accuracy, later.accuracy)):
            if after.value is not None and before.lower is not None:
                assert before.upper is not None
                assert before.lower - 1e-9 <= after.value <= before.upper + 1e-9


EAST = timezone(timedelta(hours=8))


@pytest.mark.parametrize(
    ("arrival", "due"),
    [
        (None, datetime(2026, 11, 22, 1, 30, tzinfo=EAST)),
        (date(2026, 11, 21), datetime(2026, 11, 22, 1, 30, tzinfo=EAST)),
        (date(2026, 11, 23), datetime(2026, 11, 22, 1, 30, tzinfo=EAST)),
        (date(2026, 11, 20), datetime(2026, 11, 22, 0, 0, tzinfo=EAST)),
        (date(2026, 11, 18), datetime(2026, 11, 20, 0, 0, tzinfo=EAST)),
    ],
)
def test_the_deadline_runs_from_the_arrival(arrival: date | None, due: datetime) -> None:
    scanned = datetime(2026, 11, 21, 1, 30, tzinfo=EAST)
    assert deadline(scanned, arrival, 24.0) == due
