"""The reference subscriber: takes one audience's verdicts, verifies each, keeps it, hands it on.

Nothing rests on the broker: not that it keeps others from writing to the topic (signatures), not that it
delivers once (numbers), not that it delivers at all (holes). A verdict is acknowledged when it is on the disk
and handed on after that; if the process dies in between, it is handed on at the next start.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from edged.errors import CertificateError, ConfigError
from edged.partner.store import Inbox
from edged.uplink import topics
from edged.uplink.database import DatabaseThread
from edged.uplink.intake import BATCH, Incoming
from edged.uplink.mqtt import Connection, Endpoint, Received
from edged.uplink.roles import Principal, Role, TrustAnchor, Usage, load_chain, principal_of
from edged.uplink.subscription import RetryWait, Subscription, SubscriptionEvent

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from edged.uplink.streams import Hole


class PartnerSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A partner's configuration file. Which audience it is follows from its certificate."""

    fleet_ca: Path
    inbox: Path
    broker: Endpoint
    tests: bool = False
    """Whether verdicts of tests and trainings are handed on as well."""
    reconnect_min_s: RetryWait = 0.5
    reconnect_max_s: RetryWait = 30.0


class VerdictEvent(msgspec.Struct, frozen=True, tag="verdict", tag_field="event"):
    """A verified verdict, each once. `verdict` is the payload as in the JSON Schema; `lane` isn't signed."""

    verdict: dict[str, Any]
    sha256: str
    lane: str | None


FollowerEvent = SubscriptionEvent | VerdictEvent


class Follower:
    """One partner's subscriber. `run` is a task; `stop` ends it after the batch in hand.

    `on_event` is called with each event; a verdict counts as handed on when it returns. Raises
    `CertificateError` or `ConfigError` when the identity is unusable.
    """

    def __init__(
        self,
        settings: PartnerSettings,
        *,
        on_event: Callable[[FollowerEvent], None],
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._settings = settings
        self._on_event = on_event
        self._clock = clock
        self._anchor = TrustAnchor.from_file(settings.fleet_ca)
        principal = _principal(settings.broker.certificate, self._anchor)
        self._audience = principal.name
        self._subscription = Subscription(
            settings.broker,
            client_id=principal.username,
            topic_filters=topics.every_stream(self._anchor.fleet, self._audience)[:1],
            backoff_s=(settings.reconnect_min_s, settings.reconnect_max_s),
            on_event=on_event,
        )

    def stop(self) -> None:
        """Finish the batch in hand and return from `run`."""
        self._subscription.stop()

    async def run(self) -> None:
        """Follow until `stop`. Raises `StateError` when the inbox can't be opened."""
        self._inbox = await DatabaseThread.open("inbox", self._open)
        try:
            await self._subscription.run(self)
        finally:
            await self._inbox.close()

    def _open(self) -> Inbox:
        settings = self._settings
        return Inbox.open(settings.inbox, self._anchor, self._audience, tests=settings.tests)

    async def on_connect(self) -> None:
        """Hand on what an earlier life kept and didn't get to hand on."""
        await self._hand_on()

    async def on_batch(self, connection: Connection, messages: list[Received]) -> None:
        """See `edged.uplink.subscription.Receiver`."""
        incoming = [Incoming(message.topic, message.payload, _lane(message)) for message in messages]
        received = await self._inbox.run(lambda database: database.take(incoming, self._clock()))
        for message in messages:
            connection.acknowledge(message)
        self._subscription.alarm(received.alarms)
        await self._hand_on()

    async def holes(self) -> Sequence[Hole]:
        """See `edged.uplink.subscription.Receiver`."""
        return await self._inbox.run(lambda database: database.holes())

    async def _hand_on(self) -> None:
        while ready := await self._inbox.run(lambda database: database.to_hand(BATCH)):
            for _, body in ready:
                self._on_event(VerdictEvent(**msgspec.json.decode(body)))
            await self._mark([identifier for identifier, _ in ready])

    async def _mark(self, handed: list[int]) -> None:
        await self._inbox.run(lambda database: database.mark_handed(handed, self._clock()))


def _lane(message: Received) -> str | None:
    lane = message.user_properties.get("lane")
    return lane if lane in ("live", "backlog") else None


def _principal(certificate: Path, anchor: TrustAnchor) -> Principal:
    try:
        chain = load_chain(certificate.read_bytes())
    except OSError as error:
        raise CertificateError("cert.unreadable", f"{certificate}: {error.strerror}") from error
    principal = principal_of(chain[0], usage=Usage.TLS)
    if principal.role is not Role.AUDIENCE:
        raise ConfigError("broker.certificate", "cert.wrong_role")
    if principal.fleet != anchor.fleet:
        raise ConfigError("broker.certificate", "cert.wrong_fleet")
    return principal
