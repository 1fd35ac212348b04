"""The manager's figures: check-ins entered or fed by the hotel's system, and the three rates made of them.

What the control socket calls; the rules are in `edged.lodging.rates`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from edged.errors import ControlError
from edged.journal import lodging as journal_of
from edged.lodging import asked
from edged.lodging.rates import report
from edged.verdict import Kind

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping
    from datetime import date

    from edged.clock import ClockReading
    from edged.journal.database import Journal
    from edged.journal.lodging import RecordLine
    from edged.uplink.database import DatabaseThread


class Figures:
    """One box's. `clock` reads the clock and raises `StateError`."""

    def __init__(
        self,
        journal: DatabaseThread[Journal],
        *,
        clock: Callable[[], Awaitable[ClockReading]],
        recipients: Callable[[], Iterable[str]] = tuple,
    ) -> None:
        """`recipients`: audiences that get records now; of them there are rates though no record was ever made."""
        self._journal = journal
        self._clock = clock
        self._recipients = recipients

    async def checkin(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """`{count, day?}` or `{reference, day?}` → the day's total. The count of a day replaces the one before."""
        reading = await self._clock()
        if not reading.trusted and params.get("day") is None:
            raise ControlError(
                "lodging.which_day"
            )  # a count replaces the one of its day: it must not be another's
        wanted = asked.check_in(params, reading.now.astimezone().date())

        def enter(journal: Journal) -> tuple[bool, int]:
            new = True
            if wanted.reference is None:
                assert wanted.total is not None
                journal_of.count_check_ins(journal, wanted.day, wanted.total, reading.now)
            else:
                new = journal_of.check_in(journal, wanted.reference, wanted.day, reading.now)
            told = journal_of.check_ins(journal, wanted.day, wanted.day)
            return new, told[wanted.day].total if wanted.day in told else 0

        new, total = await self._journal.write(enter)
        return {"day": wanted.day.isoformat(), "check_ins": total, "new": new}

    async def rates(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """`{from?, to?, audience?, tests?}` → the three rates of each recipient, by default of this month."""
        reading = await self._clock()
        wanted = asked.span(params, reading.now.astimezone().date())

        def look(journal: Journal) -> tuple[list[RecordLine], dict[date, journal_of.CheckIns]]:
            return (
                journal_of.lines(journal, wanted.first, wanted.last),
                journal_of.check_ins(journal, wanted.first, wanted.last, tests=wanted.tests),
            )

        known, told = await self._journal.run(look)
        counted = [line for line in known if wanted.tests or line.kind == Kind.LIVE]
        audiences = (
            sorted({line.audience for line in counted} | set(self._recipients() if told else ()))
            if wanted.audience is None
            else [wanted.audience]
        )
        reports = [report(name, counted, told, wanted.first, wanted.last) for name in audiences]
        return {
            "from": wanted.first.isoformat(),
            "to": wanted.last.isoformat(),
            "clock_trusted": reading.trusted,
            "reports": msgspec.to_builtins(reports),
        }
