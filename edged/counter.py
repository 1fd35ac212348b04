"""What a counter has beside verdicts: the holder's slip, a handover to the application that asked, records to complete.

It takes over when every envelope of an inspection is on the disk (`edged.box.Afterwards`). Whatever goes wrong here
costs the slip or the handover, never the verdict.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Self

import msgspec

from edged import log
from edged.box import Held
from edged.config import SCENES
from edged.errors import ControlError, EdgedError, StateError
from edged.handover.service import HandoverService
from edged.journal.database import JOURNAL_FILE
from edged.journal.operators import pseudonymiser
from edged.journal.retention import Bounds, keep_pruned
from edged.lodging.desk import LodgingDesk
from edged.lodging.figures import Figures
from edged.noticing import notice_of
from edged.sealing import load_recipient
from edged.slips import Slips
from edged.uplink.record_rider import RecordReplyRider

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Mapping
    from datetime import datetime
    from types import TracebackType

    from edged.box import Box, Inspected
    from edged.config import BoxSettings
    from edged.control import Method
    from edged.drafting import Unfinished
    from edged.events import ScanRequest
    from edged.journal.database import Journal
    from edged.privacy.held import HeldFields
    from edged.uplink.database import DatabaseThread
    from edged.uplink.envelope import EnvelopeDraft
    from edged.uplink.riding import Rider


class Counter:
    """`async with Counter(box, journal, notify)`, while the box is open: leaving it overwrites all that is held."""

    def __init__(
        self, box: Box, journal: DatabaseThread[Journal], notify: Callable[[Mapping[str, Any]], None]
    ) -> None:
        principal = box.held.signer.principal
        self._box = box
        self._journal = journal
        self._slips = Slips(box, journal)
        self._lodging = LodgingDesk(
            journal,
            self._add_record,
            fleet=principal.fleet,
            device=principal.name,
            clock=box.read_clock,
            notify=notify,
        )
        self._figures = Figures(journal, clock=box.read_clock, recipients=self._recipients)
        self._replies = RecordReplyRider(
            fleet=principal.fleet,
            device=principal.name,
            anchor=lambda: box.held.anchor,
            time_and_trust=self._time_and_trust,
            on_reply=self._lodging.reply,
        )
        self._handover: HandoverService | None = None
        self._log = log.get("counter")

    async def __aenter__(self) -> Self:
        """Serve applications, if the boot file says where. Raises `EdgedError` when that can't be."""
        async with AsyncExitStack() as stack:
            await self._lodging.start()
            stack.push_async_callback(self._lodging.forget_all)
            if (settings := self._box.boot.handover) is not None:
                held = self._box.held
                self._handover = HandoverService(
                    settings,
                    audiences=held.settings.audiences,
                    anchor=held.anchor,
                    ca=held.settings.identity.fleet_ca,
                    inspect=self._box.station.scan,
                    check=self.check,
                    notice=self.notice,
                    cancel=self._box.station.cancel,
                    journal=self._journal,
                    pseudonym=await asyncio.to_thread(pseudonymiser, self._box.boot.state.directory),
                )
                await stack.enter_async_context(self._handover)
            self._box.afterwards = self._committed
            self._box.on_switch = self._switched
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._box.afterwards = None
        await self._stack.aclose()

    @property
    def riders(self) -> tuple[Rider, ...]:
        """What speaks and listens on the line."""
        return (self._slips.rider, self._replies)

    @property
    def parts(self) -> dict[str, Coroutine[Any, Any, None]]:
        """Tasks, by name."""
        kept = self._box.boot.journal
        bounds = Bounds(timedelta(days=kept.keep_days), kept.max_mib << 20)
        return {
            "lodging": self._lodging.run(),
            "slips": self._slips.run(),
            "journal": self._watch_journal(),
            "journal kept short": keep_pruned(self._journal, bounds, self._time_and_trust),
        }

    @property
    def methods(self) -> dict[str, Method]:
        """Of the control socket."""
        return {
            "notice": self._on_notice,
            "lodging_list": self._lodging.list,
            "lodging_complete": self._lodging.complete,
            "lodging_checkin": self._figures.checkin,
            "lodging_rates": self._figures.rates,
            **self._slips.methods,
        }

    def notice(self, scene: str) -> dict[str, Any]:
        """What a holder is told before a document is read in `scene`, as plain data.

        `consent`: whether somebody gets nothing without it; `sha256`: what the consent refers to.
        """
        said: dict[str, Any] = msgspec.to_builtins(notice_of(self._box.held.settings, scene))
        return said

    async def check(self, request: ScanRequest) -> None:
        """Refuse what can't be done here before a document is inspected for it. Raises `EdgedError`."""
        if request.supersedes is None:
            return
        if request.training:
            raise ControlError("slip.training_replaces_nothing")  # practice must cost nobody a real slip
        await self._slips.check_replaceable(request.supersedes)

    def publish(self, event: Mapping[str, Any]) -> None:
        """What subscribers of the control socket hear, applications hear of their own inspections."""
        if self._handover is not None:
            self._handover.publish(event)

    async def _committed(self, inspected: Inspected) -> Held:
        outgoing = inspected.judgement.outgoing
        offered, opened = False, set()
        try:
            await self._part(inspected, self._slips.issue(inspected))
            if outgoing.handover is not None:
                offered = await self._part(inspected, self._offer(inspected), outgoing.handover)
            for record in outgoing.unfinished:
                if await self._part(inspected, self._open_record(inspected, record), record.held):
                    opened.add(record.draft.audience)
        except BaseException:  # the box stops
            outgoing.forget()
            raise
        return Held(offered, frozenset(opened))

    async def _part(
        self, inspected: Inspected, doing: Awaitable[object], held: HeldFields | None = None
    ) -> bool:
        """One of them: the verdict is on the disk, and must be told whatever happens here, and the others be done."""
        try:
            return bool(await doing)
        except Exception as error:  # noqa: BLE001 - as above
            if held is not None:
                held.forget()
            self._log.error(
                "something after a verdict failed; please report this",
                scene=inspected.request.scene,
                exc_info=error,
            )
            return False

    async def _open_record(self, inspected: Inspected, record: Unfinished) -> str | None:
        audience = inspected.held.settings.audiences[record.draft.audience]
        assert audience.policy.record is not None  # edged.drafting
        return await self._lodging.opened(
            record.draft,
            record.held,
            audience.policy.record,
            load_recipient(audience.encryption_keys[0]),
            host=_host(inspected.held.settings),
            reading=inspected.clock,
            reference=inspected.request.reference,
        )

    async def _offer(self, inspected: Inspected) -> bool:
        request, held = inspected.request, inspected.judgement.outgoing.handover
        assert held is not None
        settings = inspected.held.settings
        policy = settings.audiences[request.application or ""].policy
        if self._handover is None or policy.handover is None:
            held.forget()
            return False
        needed = policy.consent == "required"
        return await self._handover.offer(
            request.application or "",
            inspected.inspection,
            held,
            asker=request.asker,
            within_s=policy.handover.within_s,
            operator=request.operator,
            reference=request.reference,
            consent=notice_of(settings, request.scene).sha256 if needed else None,
        )

    async def _watch_journal(self) -> None:
        """Raises `StateError` once SQLite has found the journal broken: the next start sets it aside.

        Until then neither slip nor handover nor record is to be had. Whoever lies on the glass is finished first.
        """
        await self._journal.corrupt.wait()
        self._log.error("the journal is broken: starting again without it")

        async def nothing() -> None:
            """Between two inspections."""

        await self._box.station.between_inspections(nothing)
        raise StateError("state.corrupt", JOURNAL_FILE)

    def _recipients(self) -> list[str]:
        audiences = self._box.held.settings.audiences
        return [name for name, audience in audiences.items() if audience.policy.record is not None]

    async def _add_record(self, draft: EnvelopeDraft) -> None:
        assert draft.record_id is not None
        await self._box.add(f"record-{draft.record_id}", draft)

    async def _switched(self, settings: BoxSettings) -> None:
        """Between two inspections: what was laid ready under other policies is overwritten."""
        if self._handover is not None:
            try:
                await self._handover.configure(settings.audiences)
            except EdgedError as error:  # its certificate can't be read anew: the one before serves on
                self._log.error("the handover's certificate was not renewed", exc_info=error)

    async def _time_and_trust(self) -> tuple[datetime, bool]:
        reading = await self._box.read_clock()
        return reading.now, reading.trusted

    async def _on_notice(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """`{scene?}` → the notice of a scene."""
        scene = params.get("scene", self._box.held.settings.default_scene)
        if set(params) - {"scene"} or scene not in SCENES:
            raise ControlError("control.bad_parameter")
        return self.notice(scene)


def _host(settings: BoxSettings) -> str:
    return "" if settings.slip is None else settings.slip.site
