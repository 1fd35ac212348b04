"""The collector: archives what devices publish, and signs for it once it is on the disk.

Order is everything: verify, commit, receipt, acknowledge. Killed anywhere in between, the broker sends again
what wasn't acknowledged, the archive recognises it, and the receipt is signed again.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from edged import log
from edged.central.store import Archive
from edged.errors import ConfigError, UplinkError
from edged.uplink import topics
from edged.uplink.database import DatabaseThread
from edged.uplink.intake import Incoming
from edged.uplink.mqtt import Connection, Endpoint, PublishRefusedError, Received
from edged.uplink.receipts import seal_receipt
from edged.uplink.roles import Role, TrustAnchor
from edged.uplink.sign import Signer
from edged.uplink.subscription import RetryWait, Subscription, SubscriptionEvent

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from edged.uplink.receipts import ReceiptRange
    from edged.uplink.streams import Hole


class CollectorSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The collector's configuration file."""

    fleet_ca: Path
    signing_key: Path
    signing_certificate: Path
    archive: Path
    broker: Endpoint
    reconnect_min_s: RetryWait = 0.5
    reconnect_max_s: RetryWait = 30.0


class Batch(msgspec.Struct, frozen=True, tag="batch", tag_field="event"):
    """Envelopes archived, and what was no news."""

    stored: int
    duplicates: int
    refused: int


class ReceiptRefused(msgspec.Struct, frozen=True, tag="receipt_refused", tag_field="event"):
    """The broker refused a receipt; the device will send again and be receipted again."""

    device: str
    code: str


CollectorEvent = SubscriptionEvent | Batch | ReceiptRefused


class Collector:
    """One collector of one fleet. `run` is a task; `stop` ends it after the batch in hand.

    Raises `CertificateError` or `ConfigError` when its identity is unusable.
    """

    def __init__(
        self,
        settings: CollectorSettings,
        *,
        on_event: Callable[[CollectorEvent], None] = lambda _: None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._path = settings.archive
        self._on_event = on_event
        self._clock = clock
        self._anchor = TrustAnchor.from_file(settings.fleet_ca)
        self._signer = Signer.from_files(settings.signing_key, settings.signing_certificate)
        principal = self._signer.principal
        if principal.role is not Role.COLLECTOR:
            raise ConfigError("signing_certificate", "cert.wrong_role")
        if principal.fleet != self._anchor.fleet:
            raise ConfigError("signing_certificate", "cert.wrong_fleet")
        self._subscription = Subscription(
            settings.broker,
            client_id=principal.username,
            topic_filters=topics.every_stream(self._anchor.fleet)[:1],
            backoff_s=(settings.reconnect_min_s, settings.reconnect_max_s),
            on_event=on_event,
        )
        self._log = log.get("collector")

    def stop(self) -> None:
        """Finish the batch in hand and return from `run`."""
        self._subscription.stop()

    async def run(self) -> None:
        """Collect until `stop`. Raises `StateError` when the archive can't be opened."""
        self._archive = await DatabaseThread.open("archive", lambda: Archive.open(self._path, self._anchor))
        try:
            await self._subscription.run(self)
        finally:
            await self._archive.close()

    async def on_connect(self) -> None:
        """See `edged.uplink.subscription.Receiver`."""

    async def on_batch(self, connection: Connection, messages: list[Received]) -> None:
        """See `edged.uplink.subscription.Receiver`."""
        incoming = [Incoming(message.topic, message.payload) for message in messages]
        archived = await self._archive.run(lambda database: database.store(incoming, self._clock()))
        await asyncio.gather(
            *(self._sign_for(connection, device, ranges) for device, ranges in archived.receipts)
        )
        for message in messages:
            connection.acknowledge(message)
        self._on_event(Batch(archived.stored, archived.duplicates, len(archived.alarms)))
        self._subscription.alarm(archived.alarms)

    async def holes(self) -> Sequence[Hole]:
        """See `edged.uplink.subscription.Receiver`."""
        return await self._archive.run(lambda database: database.holes())

    async def _sign_for(self, connection: Connection, device: str, ranges: tuple[ReceiptRange, ...]) -> None:
        receipt = seal_receipt(device, ranges, iat=int(self._clock().timestamp()), signer=self._signer)
        try:
            await connection.publish(topics.receipt(self._anchor.fleet, device), receipt.encode())
        except PublishRefusedError as error:
            # The archive has it, so it may be acknowledged; the device will send it again, and hear again.
            self._log.error("receipt refused by the broker", device=device, code=error.code)
            self._on_event(ReceiptRefused(device, error.code))
        except UplinkError as error:
            # The same, and nothing to shout about. What else has arrived is archived before we reconnect.
            self._log.info("receipt not sent", device=device, code=error.code)
