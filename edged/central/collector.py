"""The collector: one stateless worker that archives what devices publish and signs for it once it is on the disk.

Workers share one subscription (`$share/…`): each message goes to one of them, and any may be killed. All that lasts is
in the archive, at the broker (what isn't acknowledged) and in the boxes (what isn't receipted).
"""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from edged.central.alarm_command import AlarmCommand
from edged.central.archive import Archive, open_archive, open_reader
from edged.central.events import Batch, CollectorEvent, ReceiptRefused
from edged.central.meter import Meter
from edged.central.pipeline import IN_HAND, Pipeline
from edged.central.replay_service import ReplayService
from edged.central.retention import retain
from edged.central.settings import SESSION_EXPIRY_S, CollectorSettings, directory_file, location
from edged.central.signing_clock import SigningClock
from edged.errors import ConfigError
from edged.uplink import topics
from edged.uplink.database import DatabaseThread
from edged.uplink.directory_keeper import DirectoryKeeper
from edged.uplink.roles import Role, TrustAnchor
from edged.uplink.sign import Signer
from edged.uplink.subscription import Alarmed, Down, Ready, Subscription

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Batch", "Collector", "CollectorEvent", "CollectorSettings", "ReceiptRefused"]


class Collector:
    """One worker of one fleet. `run` is a task; `stop` ends it after the batches in hand.

    Raises `CertificateError` or `ConfigError` when its identity is unusable.
    """

    def __init__(
        self,
        settings: CollectorSettings,
        *,
        on_event: Callable[[CollectorEvent], None] = lambda _: None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._settings = settings
        self._location = location(settings)
        self._listener = on_event
        self._anchor = TrustAnchor.from_file(settings.fleet_ca)
        self._signer = Signer.from_files(settings.signing_key, settings.signing_certificate)
        principal = self._signer.principal
        if principal.role is not Role.COLLECTOR:
            raise ConfigError("signing_certificate", "cert.wrong_role")
        if principal.fleet != self._anchor.fleet:
            raise ConfigError("signing_certificate", "cert.wrong_fleet")
        if not topics.usable(settings.group):
            raise ConfigError("group", "topic.reserved_name", name=settings.group)
        self._clock = SigningClock(clock, self._signer)
        self._directory = DirectoryKeeper(self._anchor, directory_file(settings))
        self._meter = Meter()
        self._subscription = Subscription(
            settings.broker,
            client_id=principal.username,
            topic_filters=(*self._directory.filters, *shared_filters(self._anchor.fleet, settings.group)),
            backoff_s=(settings.reconnect_min_s, settings.reconnect_max_s),
            on_event=self._on_event,
            session_expiry_s=SESSION_EXPIRY_S,
            in_hand=IN_HAND,
        )
        self._alarm_command = AlarmCommand(
            settings.alarm_command,
            fleet=self._anchor.fleet,
            collector=principal.name,
            on_event=self._on_event,
            clock=time.monotonic,
        )

    def stop(self) -> None:
        """Finish what is in hand and return from `run`."""
        self._subscription.stop()

    async def run(self) -> None:
        """Collect until `stop`.

        Raises `StateError` when the archive can't be opened at the start, `ConfigError` when the address for metrics
        can't be used.
        """
        archive = await DatabaseThread.open("archive", self._open)
        try:
            stop_metrics = self._serve_metrics()
            try:
                await self._collect(archive)
            finally:
                await asyncio.to_thread(stop_metrics)
        finally:
            await archive.close()

    def _open(self) -> Archive:
        return open_archive(self._location, self._anchor)

    async def _collect(self, archive: DatabaseThread[Archive]) -> None:
        replays = ReplayService(
            archive=lambda: open_reader(self._location),
            anchor=self._anchor,
            signer=self._signer,
            clock=self._clock,
            messages_per_s=self._settings.replay.messages_per_s,
            meter=self._meter,
            on_event=self._on_event,
        )
        pipeline = Pipeline(
            archive,
            anchor=self._anchor,
            signer=self._signer,
            clock=self._clock,
            replays=replays,
            meter=self._meter,
            directory=self._directory,
            on_event=self._on_event,
            on_alarms=self._subscription.alarm,
        )
        pipeline.tell(await asyncio.to_thread(self._directory.load, self._clock.now_or_release()))
        try:
            async with asyncio.TaskGroup() as group:
                watching = group.create_task(pipeline.watch(), name="directory")
                beside = [watching, group.create_task(replays.run(), name="replays")]
                keeping = retain(self._open, self._settings.retention, self._on_event, clock=self._clock.now)
                beside.append(group.create_task(keeping, name="retention"))
                if self._settings.alarm_command:
                    beside.append(group.create_task(self._alarm_command.run(), name="alarm command"))
                await self._subscription.run(pipeline)
                for task in beside:
                    task.cancel()
        finally:
            pipeline.close()

    def _serve_metrics(self) -> Callable[[], None]:
        if self._settings.metrics is None:
            return lambda: None
        # The library belongs to the extra `central`, and is loaded where somebody asks for it.
        from edged.central import metrics

        meter = metrics.PrometheusMeter(self._anchor.fleet)
        self._meter = meter
        return metrics.serve(meter, self._settings.metrics)

    def _on_event(self, event: CollectorEvent) -> None:
        match event:
            case Ready():
                self._meter.connected()
            case Down():
                self._meter.down(event.code)
            case Alarmed() if self._settings.alarm_command:
                self._alarm_command.tell(event.alarm)
            case _:
                pass
        self._listener(event)


def shared_filters(fleet: str, group: str) -> tuple[str, ...]:
    """What the workers of `fleet` subscribe to together."""
    own = (*topics.every_stream(fleet), topics.every_replay_request(fleet))
    return tuple(topics.shared(one, group) for one in own)
