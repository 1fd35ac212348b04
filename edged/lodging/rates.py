"""The three rates (三率) that a hotel is measured by: registration 登记率, timeliness 及时率, accuracy 准确率. Pure.

What can't be known is counted as unknown, and the rate then lies between two bounds: no rate is made better, or worse,
by an answer that never came. Target of each: all of them.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import date, timedelta
from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from edged.journal.lodging import CheckIns, RecordLine

MAX_DAYS: Final = 366
"""Days of one report."""

_LEFT: Final = frozenset({"sealed", "accepted", "correction_wanted", "corrected"})


class Rate(msgspec.Struct, frozen=True):
    """`numerator` of `denominator`, and `unknown` more of which nobody knows whether they count.

    `value` is None while anything is unknown, or when there was nothing to count. `lower` and `upper` bound it.
    """

    numerator: int
    denominator: int
    unknown: int
    value: float | None
    lower: float | None
    upper: float | None
    met: bool | None
    """Whether the target is met; None while that can't be known, or there was nothing to count."""


class Rates(msgspec.Struct, frozen=True, kw_only=True):
    """The rates of a day, a month or all of a report."""

    period: str
    """`2026-08-01`, `2026-08`, or `2026-08-01/2026-08-31`."""
    check_ins: int | None
    """Foreigners who checked in, as far as days were told; None when none was."""
    days_without_check_ins: int
    """Days that nobody told the check-ins of, or told fewer than were registered."""
    abandoned: int
    """Inspections whose record was never completed: each is a guest to be registered again."""
    registration: Rate
    """Records sealed, of check-ins. Unknown: days without check-ins, and records that a power cut leaves in doubt."""
    timeliness: Rate
    """Records that the recipient had before their deadline, of records sealed. Unknown: unanswered ones."""
    accuracy: Rate
    """Records accepted without any correction, of those answered. Unknown: unanswered ones."""


class Report(msgspec.Struct, frozen=True):
    """Rates of one recipient."""

    audience: str
    total: Rates
    months: tuple[Rates, ...]
    days: tuple[Rates, ...]


class _Counted(msgspec.Struct):
    """One day's numbers; days add up."""

    check_ins: int = 0
    known_days: int = 0
    unknown_days: int = 0
    registered_known: int = 0
    """Records of days whose check-ins are known."""
    registered: int = 0
    doubtful: int = 0
    abandoned: int = 0
    in_time: int = 0
    time_unknown: int = 0
    accurate: int = 0
    answered: int = 0

    def add(self, other: _Counted) -> None:
        for name in self.__struct_fields__:
            setattr(self, name, getattr(self, name) + getattr(other, name))


def report(
    audience: str, lines: Iterable[RecordLine], check_ins: Mapping[date, CheckIns], first: date, last: date
) -> Report:
    """The rates of one recipient from `first` to `last`, by day and by month.

    `lines` are the records of those days, others' included. Raises `ValueError` for more than `MAX_DAYS`, or none.
    """
    if not 0 <= (last - first).days < MAX_DAYS:
        raise ValueError(f"1 to {MAX_DAYS} days")
    by_day: dict[date, list[RecordLine]] = defaultdict(list)
    for line in lines:
        if line.audience == audience:
            by_day[line.day].append(line)
    days = [first + timedelta(days=number) for number in range((last - first).days + 1)]
    counted = {day: _count(by_day[day], check_ins.get(day)) for day in days}
    months: dict[str, _Counted] = defaultdict(_Counted)
    total = _Counted()
    for day, found in counted.items():
        months[f"{day:%Y-%m}"].add(found)
        total.add(found)
    return Report(
        audience,
        _rates(f"{first}/{last}", total),
        tuple(_rates(month, found) for month, found in months.items()),
        tuple(_rates(day.isoformat(), found) for day, found in counted.items()),
    )


def _count(lines: Sequence[RecordLine], told: CheckIns | None) -> _Counted:
    found = _Counted()
    for line in lines:
        if line.corrects is not None:
            continue  # the same guest again: the first record has been counted, with its correction
        if line.state == "abandoned":
            found.abandoned += 1
        elif line.state == "sealing":
            found.doubtful += 1
        elif line.state in _LEFT:
            _count_sealed(found, line)
    # A check-in told by a reference of which no record has left is nobody that was registered, whatever the sums are.
    if told is None or told.total < found.registered + told.unregistered:
        found.unknown_days = 1
    else:
        found.known_days = 1
        found.check_ins = told.total
        found.registered_known = found.registered
    return found


def _count_sealed(found: _Counted, line: RecordLine) -> None:
    found.registered += 1
    if line.received is None or not line.clock_trusted:
        found.time_unknown += 1
    elif line.received <= line.deadline:
        found.in_time += 1
    if line.replied is not None:
        found.answered += 1
        found.accurate += not line.ever_corrected


def _rates(period: str, found: _Counted) -> Rates:
    return Rates(
        period=period,
        check_ins=found.check_ins if found.known_days else None,
        days_without_check_ins=found.unknown_days,
        abandoned=found.abandoned,
        registration=_registration(found),
        timeliness=_bounded(found.in_time, found.registered, found.time_unknown),
        accuracy=_accuracy(found),
    )


def _registration(found: _Counted) -> Rate:
    """Of a day without check-ins nothing bounds their number: any registered part of them is possible."""
    numerator, denominator = found.registered_known, found.check_ins
    unknown = found.unknown_days + found.doubtful
    if not unknown:
        return _bounded(numerator, denominator, 0)
    more = found.registered - numerator + found.doubtful
    lower = numerator / denominator if denominator and not found.unknown_days else 0.0
    of_all = denominator + (found.registered - numerator)
    upper = min(1.0, (numerator + more) / of_all) if of_all else 1.0
    return _rate(numerator, denominator, unknown, lower, upper)


def _accuracy(found: _Counted) -> Rate:
    unanswered = found.registered - found.answered
    everybody = found.answered + unanswered
    if not everybody:
        return _rate(0, 0, 0, None, None)
    return _rate(
        *(found.accurate, found.answered, unanswered),
        found.accurate / everybody,
        (found.accurate + unanswered) / everybody,
    )


def _bounded(numerator: int, denominator: int, unknown: int) -> Rate:
    """A part of `denominator`, of which `unknown` may belong to it as well."""
    if not denominator:
        return _rate(numerator, 0, unknown, None, None)
    return _rate(
        *(numerator, denominator, unknown), numerator / denominator, (numerator + unknown) / denominator
    )


def _rate(numerator: int, denominator: int, unknown: int, lower: float | None, upper: float | None) -> Rate:
    value = lower if not unknown and lower == upper else None
    met = None
    if value is not None:
        met = value == 1.0
    elif upper is not None and upper < 1.0:
        met = False
    return Rate(numerator, denominator, unknown, value, lower, upper, met)
