"""Composition root of `edged run`: one task group of named tasks, signals, service manager, watchdog.

Order of start: what must hold before anything can be promised (identity, state, lock), then the counter, then
the uplink. Order of stop: no new press, finish what is being committed, drain for a bounded time, leave.

What the settings say is in force until others are (`Daemon.switch`), between two inspections: devices, control socket
and state stay open, so nobody at the counter notices.
"""

from __future__ import annotations

import asyncio
import signal
from contextlib import AsyncExitStack
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import msgspec

from edged import RELEASED, __version__, clock, in_force, log, service, start_up
from edged.committing import commit, judged
from edged.control import ControlServer
from edged.control_methods import no_parameters, scan_request
from edged.drivers.simulated import FileCamera, SimulatedGlass, SimulatedHead
from edged.errors import ConfigError, StateError
from edged.events import ChipRead, CommitFailed, Committed, ScanRequest
from edged.judging import kind_of, recipients
from edged.line import Line
from edged.side import ReadSide, Side
from edged.station import Station
from edged.uplink import outbox_retry, outbox_upkeep
from edged.uplink.publisher import Uplink, UplinkSettings
from edged.uplink.roles import Role, TrustAnchor
from edged.uplink.sign import Signer
from edged.uplink.state_lock import StateLock
from edged.uplink.status import Connected, Disconnected
from edged.verdict import Reason

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from edged.antenna import Antenna
    from edged.config import BoxSettings
    from edged.drivers import Chip, Device
    from edged.in_force import InForce
    from edged.uplink.envelope import Provenance
    from edged.uplink.status import UplinkEvent


class Daemon:
    """One box. `run` returns after SIGTERM or SIGINT; raises `EdgedError` when it can't start."""

    def __init__(self, settings: BoxSettings) -> None:
        self._boot = settings
        self._held: InForce
        self._log = log.get("daemon")
        self._stop = asyncio.Event()
        self._floor = RELEASED
        self._chip: Chip | None = None
        self._antenna: Antenna | None = None
        self._devices: dict[str, Device] = {}

    async def run(self) -> None:
        """Start everything, serve, stop cleanly."""
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(log.log_loop_exception)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        settings = self._boot
        identity = settings.identity
        self._anchor = TrustAnchor.from_file(identity.fleet_ca)
        self._signer = Signer.from_files(identity.signing_key, identity.signing_certificate)
        self._check_identity()
        directory = settings.state.directory
        start_up.make_private(directory)
        with StateLock(directory):
            self._held = await asyncio.to_thread(in_force.prepare, settings)
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
        if self._boot.head.simulated and not self._anchor.demo:
            raise ConfigError("head.driver", "device.demo_only")
        if self._boot.chip_reader is not None and self._boot.chip_reader.simulated and not self._anchor.demo:
            raise ConfigError("chip_reader.driver", "device.demo_only")

    async def _serve(self) -> None:
        settings = self._boot
        assert settings.head.socket is not None  # edged.config.check_box
        glass = SimulatedGlass(settings.head.socket)
        async with AsyncExitStack() as devices:
            head = await devices.enter_async_context(SimulatedHead(glass))
            camera = await devices.enter_async_context(FileCamera(glass))
            self._devices = {"head": head, "camera": camera}
            if settings.chip_reader is not None:
                from edged.antenna import Antenna

                self._chip = await devices.enter_async_context(start_up.chip_reader(settings.chip_reader))
                self._devices["chip"] = self._chip
                self._antenna = Antenna(self._chip, settings.chip_reader, self._publish)
            self._station = Station(
                head,
                camera,
                default_scene=self._held.settings.default_scene,
                limits=self._held.limits,
                begin_side=self._begin_side,
                commit=self._commit,
                notify=self._publish,
                admit=self._admit,
                antenna=self._antenna,
            )
            self._line = Line(self._make_uplink)
            methods = {
                "scan": self._on_scan,
                "cancel": self._on_cancel,
                "complete": self._on_complete,
                "status": self._on_status,
                "outbox_retry": self._on_outbox_retry,
            }
            async with ControlServer(settings.control.socket, methods) as self._control:
                await self._until_stopped()

    def _make_uplink(self) -> Uplink:
        return Uplink(
            UplinkSettings.of_box(self._held.settings),
            state=self._state,
            signer=self._signer,
            anchor=self._anchor,
            on_event=self._on_uplink,
            clock_trusted=self._clock_holds,
        )

    async def switch(self, settings: BoxSettings) -> None:
        """Put other settings in force, between two inspections.

        Raises what `edged.in_force.prepare` raises, and then the ones before are still in force.
        """
        held = await asyncio.to_thread(in_force.prepare, settings)
        before = self._held

        async def exchange() -> None:
            self._held = held
            self._station.configure(default_scene=settings.default_scene, limits=held.limits)
            if self._antenna is not None and settings.chip_reader is not None:
                self._antenna.configure(settings.chip_reader)
            log.set_level(settings.log.level)
            await self._state.run(
                lambda database: database.configure(start_up.retry(settings), start_up.bounds(settings))
            )

        await self._station.between_inspections(exchange)
        self._log.info("in force", config_version=settings.version, before=before.settings.version)
        if settings.broker != before.settings.broker:
            await self._line.replace()
        else:
            self._line.uplink.set_config_version(settings.version)

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
            "uplink": self._line.run(self._boot.metrics.textfile),
            "upkeep": outbox_upkeep.keep(self._state, start_up.state_path(self._boot), self._time_and_trust),
            "watchdog": self._watchdog(),
        }
        tasks = [group.create_task(part, name=name) for name, part in parts.items()]
        self._log.info("ready", version=__version__, device=self._signer.principal.name)
        service.notify("READY=1", "STATUS=ready")
        await self._stop.wait()
        service.notify("STOPPING=1")
        self._log.info("stopping")
        await self._station.stop()
        await self._line.stop()
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
        return (
            self._held.settings.clock.fixed_today or max(datetime.now(UTC), self._floor).astimezone().date()
        )

    def _admit(self, request: ScanRequest) -> str | None:
        """A verdict that nobody would receive is not worth a document's time, nor a green light."""
        kind = kind_of(request, self._provenance())
        return None if recipients(request, self._held.settings, kind) else "inspection.no_recipient"

    async def _read_clock(self) -> clock.ClockReading:
        last_commit, last_receipt = await self._state.run(
            lambda database: (database.last_commit(), database.last_receipt())
        )
        self._floor = clock.clock_floor(last_commit, last_receipt)
        return self._judge_clock(last_commit, last_receipt)

    def _clock_holds(self, last_commit: datetime | None, last_receipt: datetime | None) -> bool:
        return self._judge_clock(last_commit, last_receipt).trusted

    def _judge_clock(self, last_commit: datetime | None, last_receipt: datetime | None) -> clock.ClockReading:
        settings = self._held.settings.clock
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
        held = self._held
        try:
            reading = await self._read_clock()
        except StateError as error:
            self._log.error("nothing was stored", exc_info=error)
            return CommitFailed(Reason("inspection.not_stored", {"reason": error.code}))
        judgement = await judged(
            sides, chip, request, held=held, clock=reading, provenance=self._provenance()
        )
        done = await commit(
            judgement,
            inspection,
            state=self._state,
            signer=self._signer,
            config_version=held.settings.version,
            clock=reading,
        )
        self._line.uplink.wake()
        return done

    def _publish(self, event: Mapping[str, Any]) -> None:
        self._control.publish(event)

    def _on_uplink(self, event: UplinkEvent) -> None:
        self._publish({"event": "uplink", **msgspec.to_builtins(event)})
        if isinstance(event, Connected | Disconnected):
            self._station.set_online(isinstance(event, Connected))

    async def _on_scan(self, params: Mapping[str, Any]) -> Any:
        return await self._station.scan(scan_request(params, self._held.settings.default_scene))

    async def _on_cancel(self, params: Mapping[str, Any]) -> bool:
        no_parameters(params)
        return await self._station.cancel()

    async def _on_complete(self, params: Mapping[str, Any]) -> bool:
        no_parameters(params)
        return await self._station.complete()

    async def _chip_status(self) -> dict[str, Any] | None:
        """The chip reader's part of the status; None without one."""
        if self._chip is None:
            return None
        trouble = self._chip.trouble
        return {
            "present": self._chip.card_present,
            "trouble": None if trouble is None else trouble.code,
            "authorities": 0 if self._held.trust is None else len(await self._held.trust.anchors()),
        }

    async def _on_outbox_retry(self, params: Mapping[str, Any]) -> Any:
        retried = await outbox_retry.retry(self._state, params, datetime.now(UTC))
        self._line.uplink.wake()
        return retried

    async def _on_status(self, params: Mapping[str, Any]) -> Any:
        no_parameters(params)
        reading = await self._read_clock()
        await self._line.uplink.refresh()  # what it knows by itself is as old as its last connection
        return {
            "version": __version__,
            "device": self._signer.principal.name,
            "fleet": self._signer.principal.fleet,
            "demo": self._anchor.demo,
            "config_version": self._held.settings.version,
            "state": self._station.state,
            "indication": self._station.indication.value,
            "devices_gone": sorted(self._station.devices_gone),
            "clock": {"trusted": reading.trusted},
            "chip": await self._chip_status(),
            "uplink": msgspec.to_builtins(self._line.uplink.health),
        }


def _first_of(group: BaseExceptionGroup[StateError]) -> StateError:
    """The first error in a group, however deep it lies."""
    error: StateError | BaseExceptionGroup[StateError] = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
