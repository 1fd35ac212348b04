"""Composition root of `edged run`: one task group of named tasks, signals, service manager, watchdog.

Order of start: what must hold before anything can be promised (identity, state, lock), then the counter, then
the uplink. Order of stop: no new press, finish what is being committed, drain for a bounded time, leave.
"""

from __future__ import annotations

import asyncio
import signal
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec

from edged import __version__, in_force, log, process, service, start_up
from edged.box import Box
from edged.control import ControlServer
from edged.control_methods import device_list, no_parameters, scan_request
from edged.counter import Counter
from edged.errors import StateError
from edged.membership import Membership
from edged.uplink import outbox_retry, outbox_upkeep
from edged.uplink.state_lock import StateLock

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edged.config import BoxSettings
    from edged.journal.database import Journal
    from edged.uplink.database import DatabaseThread


class Daemon:
    """One box. `run` returns after SIGTERM or SIGINT; raises `EdgedError` when it can't start."""

    def __init__(self, settings: BoxSettings) -> None:
        self._boot = settings
        self._log = log.get("daemon")
        self._stop = asyncio.Event()
        self._control: ControlServer
        self._counter: Counter
        self._journal: DatabaseThread[Journal]
        self._box: Box
        self._membership: Membership

    async def run(self) -> None:
        """Start everything, serve, stop cleanly."""
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(log.log_loop_exception)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        boot = self._boot
        start_up.make_private(boot.state.directory)
        with StateLock(boot.state.directory):
            held = await asyncio.to_thread(in_force.prepare, boot)
            state = await start_up.state(boot, held.signer.principal.name)
            try:
                self._journal = await start_up.journal(boot)
                try:
                    self._box = Box(boot, held, state, self._publish)
                    await self._in_fleet()
                finally:
                    await self._journal.close()
            finally:
                await state.close()

    async def _in_fleet(self) -> None:
        self._membership = await Membership.open(
            self._box, status=self._status, stop=self._stop.set, publish=self._publish
        )
        try:
            await self._membership.begin()
            await self._serve()
        finally:
            await self._membership.close()

    async def _serve(self) -> None:
        methods = {
            "scan": self._on_scan,
            "cancel": self._on_cancel,
            "complete": self._on_complete,
            "status": self._on_status,
            "devices": self._on_devices,
            "outbox_retry": self._on_outbox_retry,
            "head_status": self._membership.head_firmware.status,
            "head_image": self._membership.head_firmware.part,
            "head_update": self._membership.head_firmware.update,
        }
        self._counter = Counter(self._box, self._journal, self._publish)
        self._box.riders += self._counter.riders  # before the first line is made, which takes them along
        async with (
            self._box.opened(),
            self._counter,
            ControlServer(self._boot.control.socket, methods | self._counter.methods) as self._control,
        ):
            self._membership.managed.share()
            await self._until_stopped()

    async def _until_stopped(self) -> None:
        await self._box.read_clock()
        await asyncio.to_thread(start_up.warm_up, chip=self._box.attached.chip is not None)
        try:
            async with asyncio.TaskGroup() as group:
                await self._serve_until_stopped(group)
        except BaseExceptionGroup as ended:
            broken, more = ended.split(StateError)
            if broken is None or more is not None:
                raise
            # A broken database: the next start sets it aside and saves what can be read of it. Anything else ends as
            # the bug it is, also a `ConfigError`: its exit status would keep the service manager from starting again.
            raise _first_of(broken) from ended

    async def _serve_until_stopped(self, group: asyncio.TaskGroup) -> None:
        box = self._box
        parts = {
            "station": box.station.run(),
            "uplink": box.line.run(self._boot.metrics.textfile),
            "upkeep": outbox_upkeep.keep(box.state, start_up.state_path(self._boot), self._time_and_trust),
            "watchdog": self._watchdog(),
            **self._membership.parts,
            **self._counter.parts,
        }
        tasks = [group.create_task(part, name=name) for name, part in parts.items()]
        self._log.info("ready", version=__version__, device=box.held.signer.principal.name)
        service.notify("READY=1", "STATUS=ready")
        await self._stop.wait()
        service.notify("STOPPING=1")
        self._log.info("stopping")
        await box.station.stop()
        await box.line.stop()
        for task in tasks:
            task.cancel()

    async def _time_and_trust(self) -> tuple[datetime, bool]:
        reading = await self._box.read_clock()
        return reading.now, reading.trusted

    async def _watchdog(self) -> None:
        """Signs of life, only while every part that could hang has just moved."""
        interval = service.watchdog_interval()
        if interval is None:
            return
        while True:
            try:
                await self._box.state.run(lambda database: database.last_commit())
                if await self._box.station.alive():
                    service.notify("WATCHDOG=1")
            except StateError as error:
                # No sign of life: if the disk stays like this, starting again is the best that can be done.
                self._log.error("the state can't be read", exc_info=error)
            await asyncio.sleep(interval)

    def _publish(self, event: Mapping[str, Any]) -> None:
        self._control.publish(event)
        self._counter.publish(event)

    async def _on_scan(self, params: Mapping[str, Any]) -> Any:
        request = scan_request(params, self._box.held.settings.default_scene)
        await self._counter.check(request)
        return await self._box.station.scan(request)

    async def _on_cancel(self, params: Mapping[str, Any]) -> bool:
        no_parameters(params)
        return await self._box.station.cancel()

    async def _on_complete(self, params: Mapping[str, Any]) -> bool:
        no_parameters(params)
        return await self._box.station.complete()

    async def _on_outbox_retry(self, params: Mapping[str, Any]) -> Any:
        retried = await outbox_retry.retry(self._box.state, params, datetime.now(UTC))
        self._box.line.uplink.wake()
        return retried

    async def _on_devices(self, params: Mapping[str, Any]) -> Any:
        no_parameters(params)
        return device_list(self._box.attached.by_name(), self._box.station.devices_gone)

    async def _on_status(self, params: Mapping[str, Any]) -> Any:
        no_parameters(params)
        return await self._status()

    async def _status(self) -> dict[str, Any]:
        box = self._box
        reading = await box.read_clock()
        await box.line.uplink.refresh()  # what it knows by itself is as old as its last connection
        principal = box.held.signer.principal
        return {
            "version": __version__,
            "device": principal.name,
            "fleet": principal.fleet,
            "demo": box.held.anchor.demo,
            "config_version": box.held.settings.version,
            "state": box.station.state,
            "indication": box.station.indication.value,
            "devices_gone": sorted(box.station.devices_gone),
            "troubles": sorted(box.station.troubles),
            "clock": {"trusted": reading.trusted},
            "chip": await self._chip_status(),
            "uplink": msgspec.to_builtins(box.line.uplink.health),
            "push": self._membership.push_status(),
            "memory_locked": process.memory_locked(),
        }

    async def _chip_status(self) -> dict[str, Any] | None:
        """The chip reader's part of the status; None without one."""
        chip, trust = self._box.attached.chip, self._box.held.trust
        if chip is None:
            return None
        trouble = chip.trouble
        return {
            "present": chip.card_present,
            "trouble": None if trouble is None else trouble.code,
            "authorities": 0 if trust is None else len(await trust.anchors()),
        }


def _first_of(group: BaseExceptionGroup[StateError]) -> StateError:
    """The first error in a group, however deep it lies."""
    error: StateError | BaseExceptionGroup[StateError] = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
