"""The slips of one box at work: issued with each inspection, printed, fetched by clerks' commands, withdrawn."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, cast, get_args

from edged import log
from edged.drafting import Sender
from edged.errors import ControlError, EdgedError
from edged.slip import content, url
from edged.slip.book import Output, SlipBook
from edged.slip.making import facts_of
from edged.slip.publishing import SlipPublisher

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edged.box import Box, Inspected
    from edged.config import SlipSettings
    from edged.control import Method
    from edged.drivers import Printer
    from edged.journal.database import Journal
    from edged.journal.slips import SlipRow
    from edged.slip.signing import SignedSlip
    from edged.uplink.database import DatabaseThread

MAX_LISTED: Final = 500
"""Slips that one `slip_list` answers with."""

MAX_WAITING: Final = 8
"""Slips that wait for the printer; a clerk who scans faster than paper moves prints the others by hand."""


class Slips:
    """The box's slips. `run` is a task: it prints and tidies up."""

    def __init__(self, box: Box, journal: DatabaseThread[Journal]) -> None:
        self._box = box
        self._book = SlipBook(journal, signer=lambda: box.held.signer, settings=lambda: self._settings)
        self._waiting: asyncio.Queue[str] = asyncio.Queue(MAX_WAITING)
        self._log = log.get("slip")
        self.rider = SlipPublisher(self._book, signer=lambda: box.held.signer, clock=_now)

    @property
    def _settings(self) -> SlipSettings:
        settings = self._box.held.settings.slip
        if settings is None:
            raise ControlError("slip.not_configured")
        return settings

    @property
    def methods(self) -> dict[str, Method]:
        """Of the control socket."""
        return {
            "slip_list": self._on_list,
            "slip_get": self._on_get,
            "slip_print": self._on_print,
            "slip_withdraw": self._on_withdraw,
        }

    async def issue(self, inspected: Inspected) -> None:
        """Sign the slip of an inspection and keep it for copies; have it printed where that is wanted.

        Raises nothing: a slip that can't be made is told in the log, and the verdict stands.
        """
        settings = inspected.held.settings
        if inspected.slip is None or settings.slip is None:
            return
        principal = inspected.held.signer.principal
        facts = facts_of(
            inspected.judgement,
            number=inspected.slip,
            settings=settings,
            slip=settings.slip,
            sender=Sender(principal.fleet, principal.name),
            now=inspected.clock.now,
            clock_trusted=inspected.clock.trusted,
        )
        try:
            await self._book.issue(facts, now=inspected.clock.now)
        except EdgedError as error:
            self._log.error("no slip was made", exc_info=error)
            return
        if settings.slip.print_after and self._printer is not None:
            try:
                self._waiting.put_nowait(inspected.slip)
            except asyncio.QueueFull:
                self._log.warning("the printer is far behind: a slip was not printed")

    async def run(self) -> None:
        """Print what waits, and erase what is kept no longer, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._keep_tidy(), name="slips kept tidy")
            while True:
                await self._print_after(await self._waiting.get())

    async def _keep_tidy(self) -> None:
        await self._book.keep_tidy(self._time_and_trust)

    async def _time_and_trust(self) -> tuple[datetime, bool]:
        reading = await self._box.read_clock()
        return reading.now, reading.trusted

    @property
    def _printer(self) -> Printer | None:
        return self._box.attached.printer

    async def _print_after(self, number: str) -> None:
        """A printer without paper must cost nobody a verdict: the clerk prints again when it has some."""
        try:
            await self._print(await self._book.copy(number, "print", now=_now()))
        except EdgedError as error:
            self._log.warning("a slip was not printed", exc_info=error)

    async def _print(self, signed: SignedSlip) -> None:
        printer, paper = self._printer, self._box.held.settings.printer
        if printer is None or paper is None:
            raise ControlError("printer.not_configured")
        from edged.slip.receipt import print_job

        job = await asyncio.to_thread(
            print_job,
            content.lines(signed.facts),
            self._url_of(signed),
            content.watermark(signed.facts),
            paper.width_mm,
        )
        await printer.print(job)

    def _url_of(self, signed: SignedSlip) -> str:
        return url.build(self._settings.url, signed.cose)

    async def _number(self, params: Mapping[str, Any]) -> str:
        number = params.get("number")
        if number is None:
            return await self._book.latest()
        if not isinstance(number, str):
            raise ControlError("control.bad_parameter")
        return number

    async def _on_list(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """`{limit?}` → `slips`, the newest first, without what they say."""
        limit = params.get("limit", MAX_LISTED)
        if set(params) - {"limit"} or not isinstance(limit, int) or not 1 <= limit <= MAX_LISTED:
            raise ControlError("control.bad_parameter")
        return {"slips": [_told(row) for row in await self._book.listed(limit)]}

    async def _on_get(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """`{number?, output?}` → one more copy, signed: its number, which copy it is, and the URL of its QR code."""
        output = params.get("output", "screen")
        if set(params) - {"number", "output"} or output not in get_args(Output):
            raise ControlError("control.bad_parameter")
        signed = await self._book.copy(await self._number(params), cast("Output", output), now=_now())
        return {"number": signed.facts.number, "copy": signed.facts.copy, "url": self._url_of(signed)}

    async def _on_print(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """`{number?}` → the copy that the box's own printer has printed."""
        if set(params) - {"number"}:
            raise ControlError("control.bad_parameter")
        if self._printer is None:
            raise ControlError("printer.not_configured")
        signed = await self._book.copy(await self._number(params), "print", now=_now())
        await self._print(signed)
        return {"number": signed.facts.number, "copy": signed.facts.copy}

    async def _on_withdraw(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """`{number, reason}`: from now on the slip counts for nothing."""
        number, reason = params.get("number"), params.get("reason")
        if set(params) != {"number", "reason"} or not isinstance(number, str) or not isinstance(reason, str):
            raise ControlError("control.bad_parameter")
        await self._book.withdraw(number, reason, now=_now())
        return {"number": number}


def _told(row: SlipRow) -> dict[str, Any]:
    return {
        "number": row.number,
        "issued": row.issued,
        "expires": row.expires,
        "copies": row.copies,
        "copies_until": row.keep_until,
        "status": row.status,
        "superseded_by": row.superseded_by,
    }


def _now() -> datetime:
    return datetime.now(UTC)
