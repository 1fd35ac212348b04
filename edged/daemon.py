"""Composition root of `edged run`: one task group of named tasks, signals, service manager, watchdog.

Order of start: what must hold before anything can be promised (identity, state, lock), then the counter, then
the uplink. Order of stop: no new press, finish what is being committed, drain for a bounded time, leave.
"""

from __future__ import annotations

import asyncio
import re
import secrets
import signal
from contextlib import AsyncExitStack
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import msgspec

from edged import RELEASED, __version__, clock, log, service, start_up
from edged.config import SCENES
from edged.control import ControlServer
from edged.drivers.simulated import FileCamera, SimulatedGlass, SimulatedHead
from edged.errors import ConfigError, ControlError, StateError
from edged.events import ChipRead, CommitFailed, Committed, ScanRequest
from edged.judging import judge_inspection, kind_of, recipients
from edged.orders import Limits
from edged.privacy.pseudonym import Pseudonymiser
from edged.side import ReadSide, Side
from edged.station import Station
from edged.uplink import outbox_retry, outbox_upkeep
from edged.uplink.envelope import Envelope, EnvelopeDraft, StreamPosition, seal
from edged.uplink.keys import read_private, write_private
from edged.uplink.publisher import Uplink, UplinkSettings
from edged.uplink.roles import Role, TrustAnchor
from edged.uplink.sign import Signer
from edged.uplink.state_lock import StateLock
from edged.uplink.status import Connected, Disconnected
from edged.verdict import Reason

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from edged.config import AudienceSettings, BoxSettings
    from edged.drivers import Chip, Device
    from edged.uplink.envelope import Provenance
    from edged.uplink.status import UplinkEvent

PSEUDONYM_FILE = "pseudonym-{audience}.key"
PSEUDONYM_KEY_BYTES = 32

_OPAQUE = re.compile(r"[A-Za-z0-9._:/-]{1,64}")
"""References are opaque: without spaces and letters beyond ASCII, names don't slip in by mistake."""


class Daemon:
    """One box. `run` returns after SIGTERM or SIGINT; raises `EdgedError` when it can't start."""

    def __init__(self, settings: BoxSettings) -> None:
        self._settings = settings
        self._log = log.get("daemon")
        self._stop = asyncio.Event()
        self._floor = RELEASED
        self._chip: Chip | None = None
        self._devices: dict[str, Device] = {}

    async def run(self) -> None:
        """Start everything, serve, stop cleanly."""
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(log.log_loop_exception)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        settings = self._settings
        identity = settings.identity
        self._anchor = TrustAnchor.from_file(identity.fleet_ca)
        self._signer = Signer.from_files(identity.signing_key, identity.signing_certificate)
        self._check_identity()
        self._thresholds = start_up.thresholds(settings.head.optical_thresholds)
        self._trust = start_up.trust(settings.chip_reader)
        directory = settings.state.directory
        start_up.make_private(directory)
        with StateLock(directory):
            self._pseudonyms = {
                name: self._pseudonymiser(name, audience) for name, audience in settings.audiences.items()
            }
            self._state = await start_up.state(settings, self._signer.principal.name)
            try:
                await self._serve()
            finally:
                await self._state.close()

    def _check_identity(self) -> None:
        principal = self._signer.principal
        if principal.role is not Role.DEVICE:
            raise ConfigError("identity.signing_certificate", "cert.wrong_role")
        if principal.fleet != self._anchor.fleet:
            raise ConfigError("identity.signing_certificate", "cert.wrong_fleet")
        # The anchor isn't asked whether the certificate is valid today: a box whose clock was never set must
        # still judge documents and keep its verdicts; who reads them checks the chain.
        if self._settings.head.simulated and not self._anchor.demo:
            raise ConfigError("head.driver", "device.demo_only")
        if (
            self._settings.chip_reader is not None
            and self._settings.chip_reader.simulated
            and not self._anchor.demo
        ):
            raise ConfigError("chip_reader.driver", "device.demo_only")

    def _pseudonymiser(self, name: str, audience: AudienceSettings) -> Pseudonymiser:
        """The audience's own key: the organisation's, or one drawn on this box that never leaves it."""
        if audience.policy.pseudonym_scope == "organisation":
            assert audience.pseudonym_key is not None  # edged.config.check_box
            return Pseudonymiser(read_private(audience.pseudonym_key), f"organisation:{name}")
        path = self._settings.state.directory / PSEUDONYM_FILE.format(audience=name)
        if not path.exists():
            write_private(path, secrets.token_bytes(PSEUDONYM_KEY_BYTES))
        return Pseudonymiser(read_private(path), f"box:{name}")

    async def _serve(self) -> None:
        settings = self._settings
        assert settings.head.socket is not None  # edged.config.check_box
        glass = SimulatedGlass(settings.head.socket)
        async with AsyncExitStack() as devices:
            head = await devices.enter_async_context(SimulatedHead(glass))
            camera = await devices.enter_async_context(FileCamera(glass))
            self._devices = {"head": head, "camera": camera}
            antenna = None
            if settings.chip_reader is not None:
                from edged.antenna import Antenna

                self._chip = await devices.enter_async_context(start_up.chip_reader(settings.chip_reader))
                self._devices["chip"] = self._chip
                antenna = Antenna(self._chip, settings.chip_reader, self._publish)
            timeouts = settings.timeouts
            self._station = Station(
                head,
                camera,
                default_scene=settings.default_scene,
                limits=Limits(
                    timeouts.document_s,
                    timeouts.turn_over_s,
                    timeouts.capture_s,
                    timeouts.reading_s,
                    timeouts.remind_s,
                    settings.reading.frames,
                    settings.reading.pause_s,
                    None if settings.chip_reader is None else settings.chip_reader.total_s,
                ),
                begin_side=self._begin_side,
                commit=self._commit,
                notify=self._publish,
                admit=self._admit,
                antenna=antenna,
            )
            self._uplink = Uplink(
                UplinkSettings.of_box(settings),
                state=self._state,
                signer=self._signer,
                anchor=self._anchor,
                on_event=self._on_uplink,
                clock_trusted=self._clock_holds,
            )
            methods = {
                "scan": self._on_scan,
                "cancel": self._on_cancel,
                "complete": self._on_complete,
                "status": self._on_status,
                "outbox_retry": self._on_outbox_retry,
            }
            async with ControlServer(settings.control.socket, methods) as self._control:
                await self._until_stopped()

    async def _until_stopped(self) -> None:
        await self._read_clock()
        await asyncio.to_thread(start_up.warm_up, chip=self._chip is not None)
        try:
            async with asyncio.TaskGroup() as group:
                await self._serve_until_stopped(group)
        except BaseExceptionGroup as ended:
            broken, more = ended.split(StateError)
            if broken is None or more is not None:
                raise
            # A broken database: the next start sets it aside and saves what can be read of it.
            raise _first_of(broken) from ended

    async def _serve_until_stopped(self, group: asyncio.TaskGroup) -> None:
        parts = {
            "station": self._station.run(),
            "uplink": self._uplink.run(),
            "upkeep": outbox_upkeep.keep(
                self._state, start_up.state_path(self._settings), self._time_and_trust
            ),
            "watchdog": self._watchdog(),
        }
        if (directory := self._settings.metrics.textfile) is not None:
            parts["textfile"] = self._uplink.textfile(directory).run(self._uplink.refresh)
        tasks = [group.create_task(part, name=name) for name, part in parts.items()]
        self._log.info("ready", version=__version__, device=self._signer.principal.name)
        service.notify("READY=1", "STATUS=ready")
        await self._stop.wait()
        service.notify("STOPPING=1")
        self._log.info("stopping")
        await self._station.stop()
        await self._uplink.stop()
        for task in tasks:
            task.cancel()

    async def _time_and_trust(self) -> tuple[datetime, bool]:
        reading = await self._read_clock()
        return reading.now, reading.trusted

    async def _watchdog(self) -> None:
        """Signs of life, only while every part that could hang has just moved."""
        interval = service.watchdog_interval()
        if interval is None:
            return
        while True:
            try:
                await self._state.run(lambda database: database.last_commit())
                if await self._station.alive():
                    service.notify("WATCHDOG=1")
            except StateError as error:
                # No sign of life: if the disk stays like this, starting again is the best that can be done.
                self._log.error("the state can't be read", exc_info=error)
            await asyncio.sleep(interval)

    def _provenance(self) -> dict[str, Provenance]:
        """Of every device, as it is now: a chip reader may have been changed for another."""
        return {name: device.provenance for name, device in self._devices.items()}

    def _begin_side(self) -> Side:
        from edged.core.burst import Burst

        return Side(Burst(today=self._today()))

    def _today(self) -> date:
        """The day against which two-digit years are understood: a lost clock's 1970 would misplace centuries."""
        return self._settings.clock.fixed_today or max(datetime.now(UTC), self._floor).astimezone().date()

    def _admit(self, request: ScanRequest) -> str | None:
        """A verdict that nobody would receive is not worth a document's time, nor a green light."""
        kind = kind_of(request, self._provenance())
        return None if recipients(request, self._settings, kind) else "inspection.no_recipient"

    async def _read_clock(self) -> clock.ClockReading:
        last_commit, last_receipt = await self._state.run(
            lambda database: (database.last_commit(), database.last_receipt())
        )
        self._floor = clock.clock_floor(last_commit, last_receipt)
        return self._judge_clock(last_commit, last_receipt)

    def _clock_holds(self, last_commit: datetime | None, last_receipt: datetime | None) -> bool:
        return self._judge_clock(last_commit, last_receipt).trusted

    def _judge_clock(self, last_commit: datetime | None, last_receipt: datetime | None) -> clock.ClockReading:
        settings = self._settings.clock
        return clock.read_clock(
            datetime.now(UTC),
            last_commit=last_commit,
            last_receipt=last_receipt,
            synchronised=not settings.require_synchronised or clock.synchronised(),
            fixed_today=settings.fixed_today,
        )

    async def _commit(
        self, sides: Sequence[ReadSide], chip: ChipRead | None, request: ScanRequest, inspection: str
    ) -> Committed | CommitFailed:
        try:
            reading = await self._read_clock()
            judgement = await asyncio.to_thread(
                judge_inspection,
                sides,
                request=request,
                settings=self._settings,
                clock=reading,
                provenance=self._provenance(),
                pseudonyms=self._pseudonyms,
                thresholds=self._thresholds,
                chip=chip,
                anchors=await self._trust.anchors() if self._trust is not None else None,
            )
            envelopes = await self._state.write(
                lambda database: database.commit_inspection(
                    inspection,
                    judgement.drafts,
                    self._seal_in(database.log_id, reading.now),
                    reading.now,
                    clock_trusted=reading.trusted,
                )
            )
        except StateError as error:
            self._log.error("nothing was stored", exc_info=error)
            return CommitFailed(Reason("inspection.not_stored", {"reason": error.code}))
        self._uplink.wake()
        return Committed(judgement.verdict, len(envelopes), sum(len(envelope.jws) for envelope in envelopes))

    def _seal_in(self, log_id: str, now: datetime) -> Any:
        def sealed(draft: EnvelopeDraft, position: StreamPosition) -> Envelope:
            return seal(
                draft,
                position=position,
                log_id=log_id,
                jti=secrets.token_hex(16),
                iat=int(now.timestamp()),
                config_version=self._settings.version,
                signer=self._signer,
            )

        return sealed

    def _publish(self, event: Mapping[str, Any]) -> None:
        self._control.publish(event)

    def _on_uplink(self, event: UplinkEvent) -> None:
        self._publish({"event": "uplink", **msgspec.to_builtins(event)})
        if isinstance(event, Connected | Disconnected):
            self._station.set_online(isinstance(event, Connected))

    async def _on_scan(self, params: Mapping[str, Any]) -> Any:
        return await self._station.scan(_scan_request(params, self._settings.default_scene))

    async def _on_cancel(self, params: Mapping[str, Any]) -> bool:
        _no_parameters(params)
        return await self._station.cancel()

    async def _on_complete(self, params: Mapping[str, Any]) -> bool:
        _no_parameters(params)
        return await self._station.complete()

    async def _chip_status(self) -> dict[str, Any] | None:
        """The chip reader's part of the status; None without one."""
        if self._chip is None:
            return None
        trouble = self._chip.trouble
        return {
            "present": self._chip.card_present,
            "trouble": None if trouble is None else trouble.code,
            "authorities": 0 if self._trust is None else len(await self._trust.anchors()),
        }

    async def _on_outbox_retry(self, params: Mapping[str, Any]) -> Any:
        retried = await outbox_retry.retry(self._state, params, datetime.now(UTC))
        self._uplink.wake()
        return retried

    async def _on_status(self, params: Mapping[str, Any]) -> Any:
        _no_parameters(params)
        reading = await self._read_clock()
        await self._uplink.refresh()  # what it knows by itself is as old as its last connection
        return {
            "version": __version__,
            "device": self._signer.principal.name,
            "fleet": self._signer.principal.fleet,
            "demo": self._anchor.demo,
            "config_version": self._settings.version,
            "state": self._station.state,
            "indication": self._station.indication.value,
            "devices_gone": sorted(self._station.devices_gone),
            "clock": {"trusted": reading.trusted},
            "chip": await self._chip_status(),
            "uplink": msgspec.to_builtins(self._uplink.health),
        }


def _first_of(group: BaseExceptionGroup[StateError]) -> StateError:
    """The first error in a group, however deep it lies."""
    error: StateError | BaseExceptionGroup[StateError] = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _no_parameters(params: Mapping[str, Any]) -> None:
    if params:
        raise ControlError("control.bad_parameter")


def _scan_request(params: Mapping[str, Any], default_scene: str) -> ScanRequest:
    known = {"scene", "reference", "purpose", "operator", "training"}
    scene, training = params.get("scene", default_scene), params.get("training", False)
    opaque = {name: params.get(name) for name in ("reference", "purpose", "operator")}
    good = (
        set(params) <= known
        and scene in SCENES
        and isinstance(training, bool)
        and all(
            value is None or (isinstance(value, str) and _OPAQUE.fullmatch(value))
            for value in opaque.values()
        )
    )
    if not good:
        raise ControlError("control.bad_parameter")
    return ScanRequest(scene, training=training, **opaque)
