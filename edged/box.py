"""The box at work: its devices, its station and its line to the centre, by what is in force.

`switch` puts other settings in force between two inspections: devices, control socket and state stay open, so nobody
at the counter notices. Everything that can fail is prepared before anything in use is touched.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from edged import RELEASED, clock, devices, in_force, log, start_up
from edged.card_module import CardModule
from edged.committing import commit, judged, sealer
from edged.errors import StateError
from edged.events import CommitFailed, Committed, ScanRequest
from edged.judging import kind_of, recipients
from edged.line import Line
from edged.noticing import notice_of, noticed_of
from edged.side import ReadDocument, Side
from edged.slip.book import new_number
from edged.station import Station
from edged.uplink.publisher import Uplink, UplinkSettings
from edged.uplink.status import Connected, Disconnected
from edged.verdict import Reason

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from edged.antenna import Antenna
    from edged.config import BoxSettings
    from edged.core.reading import PageReading
    from edged.devices import Devices
    from edged.in_force import InForce
    from edged.judging import Judgement
    from edged.privacy.noticed import Noticed
    from edged.uplink.database import DatabaseThread
    from edged.uplink.envelope import EnvelopeDraft, Provenance
    from edged.uplink.outbox import StateDatabase
    from edged.uplink.riding import Rider
    from edged.uplink.status import UplinkEvent


@dataclass(frozen=True)
class Inspected:
    """A judged document, and by what and whose asking it was judged.

    Attributes:
        held: what was in force.
        inspection: its id, as the control socket knows it.
        slip: number of the holder's feedback slip; None where none is made.
    """

    judgement: Judgement
    held: InForce
    request: ScanRequest
    inspection: str
    clock: clock.ClockReading
    slip: str | None

    @property
    def drafts(self) -> tuple[EnvelopeDraft, ...]:
        """Drafts as they are stored: those audiences that may know of the slip are told its number."""
        audiences = self.held.settings.audiences
        return tuple(
            msgspec.structs.replace(draft, slip=self.slip) if audiences[draft.audience].slip else draft
            for draft in self.judgement.drafts
        )


class Held(NamedTuple):
    """What of an inspection is still held when its outcome is told."""

    offered: bool = False
    """Whether the application that asked may take fields."""
    opened: frozenset[str] = frozenset()
    """Audiences whose record the clerk may complete."""


Afterwards = Callable[[Inspected], Awaitable[Held]]
"""What a counter has beside verdicts (the holder's slip, a handover, a record to be completed), when every envelope is
on the disk and the outcome isn't told yet. Raises nothing; it forgets what `Outgoing` holds."""


class Box:
    """One box. `opened` opens its devices; the daemon runs `station` and `line`.

    Attributes:
        held: what is in force.
        state: the state database.
        riders: what else listens on the line, for every uplink that is made.
        attached: the devices, while they are open.
        online: set while the line is connected, by what is in force.
        on_event: hears what the uplink tells, beside the control socket.
        afterwards: takes it on from a commit; None: nobody.
        on_switch: told of settings that are in force now, before the next inspection begins; raises nothing.
    """

    station: Station
    line: Line
    attached: Devices

    def __init__(
        self,
        boot: BoxSettings,
        held: InForce,
        state: DatabaseThread[StateDatabase],
        publish: Callable[[Mapping[str, Any]], None],
    ) -> None:
        self.boot = boot
        self.held = held
        self.state = state
        self.riders: tuple[Rider, ...] = ()
        self.online = asyncio.Event()
        self.on_event: Callable[[UplinkEvent], None] = lambda _: None
        self.afterwards: Afterwards | None = None
        self.on_switch: Callable[[BoxSettings], Awaitable[None]] | None = None
        self._publish = publish
        self._antenna: Antenna | None = None
        self._open = False
        self._switching = asyncio.Lock()
        self._floor = RELEASED
        self._witnesses: dict[str, Provenance] = {}
        self._log = log.get("daemon")

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        """Open the devices, and make the station and the line; close the devices in the end.

        Raises `DeviceError`, `StateError`, `ConfigError`.
        """
        async with devices.opened(self.held.settings, self._today) as attached:
            self.attached = attached
            chip, module = attached.chip, attached.id_card
            if chip is not None:
                from edged.antenna import Antenna

                assert self.held.settings.chip_reader is not None
                self._antenna = Antenna(chip, self.held.settings.chip_reader, self._publish)
            self.station = Station(
                attached.head,
                attached.camera,
                default_scene=self.held.settings.default_scene,
                limits=self.held.limits,
                begin_side=self._begin_side,
                read_text=self._read_text,
                commit=self._commit,
                notify=self._publish,
                admit=self._admit,
                antenna=self._antenna,
                module=None if module is None else CardModule(module),
                swipe=attached.swipe,
            )
            self.line = Line(self._make_uplink)
            self._open = True
            yield

    async def switch(self, settings: BoxSettings) -> None:
        """Put other settings in force between two inspections.

        Raises what `edged.in_force.prepare` raises, `CertificateError` for authorities of another fleet, `StateError`;
        then the ones before are still in force.
        """
        async with self._switching:
            await self._switch(settings)

    async def renew(self) -> None:
        """Put what is in force there again, with the keys and certificates of now. Raises what `switch` does."""
        async with self._switching:  # nobody else's settings are undone by it
            await self._switch(self.held.settings)

    async def _switch(self, settings: BoxSettings) -> None:
        before, held = self.held, await asyncio.to_thread(in_force.prepare, settings)
        anchor, believed = before.anchor, held.anchor
        held = replace(held, anchor=anchor)  # the one that everybody has, with what was revoked meanwhile

        async def exchange() -> None:
            # Whatever can fail, be late or be cancelled comes first: after it all is exchanged, or nothing is.
            await self._configure_outbox(settings)
            anchor.believe(believed)
            self.held = held
            log.set_level(settings.log.level)
            if not self._open:
                return
            self.station.configure(default_scene=settings.default_scene, limits=held.limits)
            if self._antenna is not None and settings.chip_reader is not None:
                self._antenna.configure(settings.chip_reader)
            if self.on_switch is not None:
                await self.on_switch(settings)

        if not self._open:
            await exchange()
            return
        try:
            await self.station.between_inspections(exchange)
        except TimeoutError as error:
            raise StateError("state.too_slow") from error
        self._log.info("in force", config_version=settings.version, before=before.settings.version)
        if held.connects_like(before):
            self.line.uplink.set_config_version(settings.version)
        else:
            await self.line.replace(self.online.clear)

    async def _configure_outbox(self, settings: BoxSettings) -> None:
        retry, bounds = start_up.retry(settings), start_up.bounds(settings)
        await self.state.run(lambda database: database.configure(retry, bounds))

    def _make_uplink(self) -> Uplink:
        return Uplink(
            UplinkSettings.of_box(self.held.settings),
            state=self.state,
            signer=self.held.signer,
            anchor=self.held.anchor,
            on_event=self._on_uplink,
            clock_trusted=self._clock_holds,
            riders=self.riders,
        )

    def _on_uplink(self, event: UplinkEvent) -> None:
        self._publish({"event": "uplink", **msgspec.to_builtins(event)})
        if isinstance(event, Connected | Disconnected):
            self.station.set_online(isinstance(event, Connected))
            (self.online.set if isinstance(event, Connected) else self.online.clear)()
        self.on_event(event)

    # --- the clock ---

    async def read_clock(self) -> clock.ClockReading:
        """The clock, and whether it may be believed. Raises `StateError`."""
        last_commit, last_receipt = await self.state.run(
            lambda database: (database.last_commit(), database.last_receipt())
        )
        self._floor = clock.clock_floor(last_commit, last_receipt)
        return self._judge_clock(last_commit, last_receipt)

    def _clock_holds(self, last_commit: datetime | None, last_receipt: datetime | None) -> bool:
        return self._judge_clock(last_commit, last_receipt).trusted

    def _judge_clock(self, last_commit: datetime | None, last_receipt: datetime | None) -> clock.ClockReading:
        settings = self.held.settings.clock
        return clock.read_clock(
            datetime.now(UTC),
            last_commit=last_commit,
            last_receipt=last_receipt,
            synchronised=not settings.require_synchronised or clock.synchronised(),
            fixed_today=settings.fixed_today,
        )

    # --- what the station asks ---

    def _begin_side(self) -> Side:
        from edged.core.burst import Burst

        self._note_witnesses()
        return Side(Burst(today=self._today()))

    def _note_witnesses(self) -> dict[str, Provenance]:
        """Who contributes to this inspection: one that is simulated may be changed for a real one before it is over."""
        self._witnesses = self.attached.witnesses(self._witnesses)
        return self._witnesses

    def _read_text(self, lines: tuple[str, ...]) -> PageReading:
        from edged.core.text_reading import read_text

        return read_text(lines, self._today())

    def _today(self) -> date:
        """The day against which two-digit years are understood: a lost clock's 1970 would misplace centuries."""
        fixed = self.held.settings.clock.fixed_today
        return fixed or max(datetime.now(UTC), self._floor).astimezone().date()

    def _admit(self, request: ScanRequest) -> str | None:
        """A verdict that nobody would receive is not worth a document's time, nor a green light."""
        self._witnesses = provenance = self.attached.provenance()
        if not self.held.anchor.demo and any(device.simulated for device in provenance.values()):
            return "device.demo_only"
        kind = kind_of(request, provenance)
        if not recipients(request, self.held.settings, kind):
            return "inspection.no_recipient"
        # Settings may have changed since it was shown; while a document is inspected they don't.
        shown, now = request.notice, notice_of(self.held.settings, request.scene).sha256
        return "inspection.notice_changed" if shown not in (None, now) else None

    async def _commit(
        self, document: ReadDocument, request: ScanRequest, inspection: str
    ) -> Committed | CommitFailed:
        held, provenance = self.held, self._note_witnesses()
        try:
            reading = await self.read_clock()
            judgement = await judged(document, request, held=held, clock=reading, provenance=provenance)
        except StateError as error:
            self._log.error("nothing was stored", exc_info=error)
            return CommitFailed(Reason("inspection.not_stored", {"reason": error.code}))
        finally:
            document.forget()
        slip = None if held.settings.slip is None else new_number()
        return await self._store(Inspected(judgement, held, request, inspection, reading, slip))

    async def _store(self, inspected: Inspected) -> Committed | CommitFailed:
        """Its envelopes to the disk; then what follows."""
        held, taken_over = inspected.held, False
        try:
            done = await commit(
                inspected.judgement.verdict,
                inspected.drafts,
                inspected.inspection,
                state=self.state,
                signer=held.signer,
                config_version=held.settings.version,
                clock=inspected.clock,
            )
            self.line.uplink.wake()
            if isinstance(done, CommitFailed):
                return done
            left = Held()
            if self.afterwards is not None:
                taken_over = True
                left = await self.afterwards(inspected)
            return replace(done, noticed=_noticed(inspected, left))
        finally:
            if not taken_over:
                inspected.judgement.outgoing.forget()

    async def add(self, inspection: str, draft: EnvelopeDraft) -> None:
        """One more envelope of an inspection whose others are on the disk. Raises `StateError`."""
        reading, held = await self.read_clock(), self.held
        await self.state.write(
            lambda database: database.commit_inspection(
                inspection,
                (draft,),
                sealer(
                    held.signer,
                    log_id=database.log_id,
                    now=reading.now,
                    config_version=held.settings.version,
                ),
                reading.now,
                clock_trusted=reading.trusted,
            )
        )
        self.line.uplink.wake()


def _noticed(inspected: Inspected, left: Held) -> Noticed:
    """What the holder is told of it."""
    judgement = inspected.judgement
    return noticed_of(
        inspected.request,
        judgement.outgoing,
        judgement.read,
        inspected.held.settings,
        offered=left.offered,
        opened=left.opened,
    )
