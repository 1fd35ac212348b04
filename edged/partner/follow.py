"""The reference subscriber: takes one audience's verdicts, verifies, keeps and hands on each, fetches what it missed.

Nothing rests on the broker: not that it keeps others from writing to the topic (signatures), not that it
delivers once (numbers), not that it delivers at all (holes, which the centre's archive fills when it is asked). A
message is acknowledged when it is on the disk and handed on after that; if the process dies in between, it is handed
on at the next start.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import msgspec

from edged import RELEASED, log
from edged.errors import CertificateError, ConfigError, StateError, UplinkError
from edged.partner.asking import Asker
from edged.partner.catching_up import CatchingUpEvent, Patience
from edged.partner.handing import RETRY_S, GapEvent, Handing, HandingEvent, NotTaken, VerdictEvent
from edged.partner.replying import LATER_S, LOOK_S, Spool, publish
from edged.partner.store import Inbox
from edged.uplink import topics
from edged.uplink.database import DatabaseThread
from edged.uplink.directory_keeper import WATCH_S, DirectoryKeeper
from edged.uplink.intake import Incoming
from edged.uplink.mqtt import Connection, Endpoint, Received
from edged.uplink.reconnect import first_to_end
from edged.uplink.roles import Principal, Role, TrustAnchor, Usage, load_chain, principal_of
from edged.uplink.sign import Signer
from edged.uplink.state_lock import StateLock
from edged.uplink.subscription import Down, RetryWait, Subscription, SubscriptionEvent

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from edged.partner.command import Command
    from edged.partner.store import History
    from edged.uplink.streams import Hole

__all__ = ["Follower", "FollowerEvent", "GapEvent", "NotTaken", "PartnerSettings", "VerdictEvent"]

FORGET_EVERY_S: Final = 3600.0
"""Between two looks for verdicts that are older than they may be: `keep_days` are days."""


class PartnerSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A partner's configuration file. Which audience it is follows from its certificate."""

    fleet_ca: Path
    inbox: Path
    broker: Endpoint
    signing_key: Path | None = None
    """With `signing_certificate`: what is missing is asked for. Without, it is only reported."""
    signing_certificate: Path | None = None
    directory: Path | None = None
    """File in which the fleet's signed directory is kept, and looked for at the start. Default: beside the inbox."""
    tests: bool = False
    """Whether verdicts of tests and trainings are handed on as well."""
    keep_days: Annotated[int, msgspec.Meta(ge=1, le=36_500)] | None = None
    """How long the inbox keeps what a verdict says once it was handed on; number and hash stay. None: for ever."""
    reconnect_min_s: RetryWait = 0.5
    reconnect_max_s: RetryWait = 30.0


FollowerEvent = SubscriptionEvent | HandingEvent | CatchingUpEvent


class Follower:
    """One partner's subscriber. `run` is a task; `stop` ends it after the batch in hand.

    `on_event` is called with each event; without a `command`, a verdict counts as handed on when it returns. With one,
    the command gets verdicts and gap records instead. `history`: what of the time before is wanted, decided anew;
    `catch_up`: ask the centre which streams there are, whatever the broker has kept. Raises `CertificateError` or
    `ConfigError` when the identity is unusable.
    """

    def __init__(
        self,
        settings: PartnerSettings,
        *,
        on_event: Callable[[FollowerEvent], None],
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        command: Command | None = None,
        history: History | None = None,
        catch_up: bool = False,
        patience: Patience = Patience(),  # noqa: B008  # frozen
        retry_s: tuple[float, float] = RETRY_S,
    ) -> None:
        self._settings = settings
        self._on_event = on_event
        self._clock = clock
        self._command = command
        self._history = history
        self._catch_up = catch_up
        self._patience = patience
        self._retry_s = retry_s
        self._anchor = TrustAnchor.from_file(settings.fleet_ca)
        principal = _principal(settings.broker.certificate, self._anchor)
        self._audience = principal.name
        self._signer = _signer(settings, principal)
        if self._signer is None and (catch_up or history):
            raise ConfigError("signing_key", "partner.no_signing_key")
        self._asker: Asker | None = None
        self._connection: Connection | None = None
        self._handing: Handing | None = None
        self._directory = DirectoryKeeper(
            self._anchor, settings.directory or Path(f"{settings.inbox}.directory")
        )
        topic_filters = [
            *self._directory.filters,
            *topics.every_stream(self._anchor.fleet, self._audience),
        ]
        if self._signer is not None:
            topic_filters.append(topics.every_replay_answer(self._anchor.fleet, self._audience))
        self._subscription = Subscription(
            settings.broker,
            client_id=principal.username,
            topic_filters=topic_filters,
            backoff_s=(settings.reconnect_min_s, settings.reconnect_max_s),
            on_event=self._heard,
            on_ready=self._connected,
        )
        self._log = log.get("follower")

    def stop(self) -> None:
        """Finish the batch in hand and return from `run`."""
        self._subscription.stop()
        if self._handing is not None:
            self._handing.stop()

    async def run(self) -> None:
        """Follow until `stop`. Raises `StateError` when the inbox can't be opened, or another follower has it."""
        path = self._settings.inbox.absolute()
        with StateLock(path.parent, file=f"{path.name}.lock", in_use="partner.inbox_in_use"):
            await self._run()

    async def _run(self) -> None:
        alarms = await asyncio.to_thread(self._directory.load, max(self._clock(), RELEASED))
        self._subscription.alarm(alarms)
        self._inbox = await DatabaseThread.open("inbox", self._open)
        try:
            handing_on = self._handing = Handing(
                self._inbox,
                on_event=self._on_event,
                clock=self._clock,
                command=self._command,
                on_mark=self._room_made,
                retry_s=self._retry_s,
            )
            if self._signer is not None:
                self._asker = Asker(
                    self._inbox,
                    self._signer,
                    on_event=self._on_event,
                    clock=self._clock,
                    may_ask=handing_on.room_for_page,
                    patience=self._patience,
                )
            handing = asyncio.create_task(handing_on.run(), name="handing")
            try:
                await first_to_end(
                    self._subscription.run(self),
                    self._watch(handing),
                    self._ask(),
                    self._forget(),
                    self._watch_directory(),
                    self._say_replies(),
                )
            finally:
                handing_on.stop()
                await asyncio.wait({handing})
            handing.result()
        finally:
            await self._inbox.close()

    def _open(self) -> Inbox:
        settings = self._settings
        inbox = Inbox.open(settings.inbox, self._anchor, self._audience, tests=settings.tests)
        try:
            if self._history is not None:
                inbox.want(self._history)
            if self._catch_up:
                inbox.want_list()
        except BaseException:
            inbox.close()
            raise
        return inbox

    async def _watch(self, handing: asyncio.Task[None]) -> None:
        """Ends with it only when it fails: a listener that is gone ends us."""
        await asyncio.wait({handing})
        handing.result()
        await asyncio.Event().wait()

    async def _ask(self) -> None:
        if self._asker is None:
            await asyncio.Event().wait()  # until we are cancelled
        else:
            await self._asker.run()

    async def _forget(self) -> None:
        while True:
            if self._settings.keep_days is not None:
                before = self._clock() - timedelta(days=self._settings.keep_days)
                try:
                    while await self._inbox.run(lambda inbox, until=before: inbox.forget(until)):  # type: ignore[misc]
                        pass
                    await self._inbox.run(lambda inbox: inbox.fold())
                except StateError as error:
                    self._log.warning("nothing forgotten", code=error.code, detail=str(error))
            await asyncio.sleep(FORGET_EVERY_S)

    async def _watch_directory(self) -> None:
        while True:
            self._subscription.alarm(await asyncio.to_thread(self._directory.due, self._clock()))
            await asyncio.sleep(WATCH_S)

    async def _say_replies(self) -> None:
        """Publish what `edged partner reply` has left beside the inbox: ours is the organisation's one connection."""
        spool = Spool(self._settings.inbox)
        while True:
            await asyncio.sleep(LOOK_S)
            if self._connection is None:
                continue
            try:
                sent = await publish(self._connection, spool)
            except (
                UplinkError
            ) as error:  # the subscription hears of a lost connection as well, and makes another
                self._log.warning("answers not sent", code=error.code)
                await asyncio.sleep(LATER_S)
            else:
                if sent.left:
                    await asyncio.sleep(LATER_S)

    def _heard(self, event: SubscriptionEvent) -> None:
        if isinstance(event, Down):
            self._connection = None
            if self._asker is not None:
                self._asker.use(None)
        self._on_event(event)

    def _connected(self, connection: Connection) -> None:
        self._connection = connection
        if self._asker is not None:
            self._asker.use(connection)

    def _room_made(self) -> None:
        if self._asker is not None:
            self._asker.wake()

    async def on_connect(self) -> None:
        """See `edged.uplink.subscription.Receiver`."""

    async def on_batch(self, connection: Connection, messages: list[Received]) -> None:
        """See `edged.uplink.subscription.Receiver`."""
        assert self._handing is not None
        await self._handing.room()
        heard = [Incoming(message.topic, message.payload, _lane(message)) for message in messages]
        if directory := [one for one in heard if self._directory.wants(one.topic)]:
            # First: what came with it is judged by it.
            alarms = await asyncio.to_thread(self._directory.take, directory, self._clock())
            self._subscription.alarm(alarms)
        incoming = [one for one in heard if not self._directory.wants(one.topic)]
        received = await self._inbox.run(lambda inbox: inbox.take(incoming, self._clock()))
        if self._asker is not None:
            await self._asker.heard(received.answers, received.replayed)
        for message in messages:
            connection.acknowledge(message)
        self._subscription.alarm(received.alarms)
        self._handing.wake()

    async def holes(self) -> Sequence[Hole]:
        """See `edged.uplink.subscription.Receiver`."""
        return await self._inbox.run(lambda inbox: inbox.holes())


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


def signer_of(settings: PartnerSettings) -> Signer:
    """Who signs for this partner. Raises `CertificateError`, `ConfigError` (`partner.no_signing_key`)."""
    anchor = TrustAnchor.from_file(settings.fleet_ca)
    signer = _signer(settings, _principal(settings.broker.certificate, anchor))
    if signer is None:
        raise ConfigError("signing_key", "partner.no_signing_key")
    return signer


def _signer(settings: PartnerSettings, principal: Principal) -> Signer | None:
    if settings.signing_key is None and settings.signing_certificate is None:
        return None
    if settings.signing_key is None or settings.signing_certificate is None:
        raise ConfigError("signing_key", "partner.half_a_signer")
    signer = Signer.from_files(settings.signing_key, settings.signing_certificate)
    if signer.principal.role is not Role.AUDIENCE:
        raise ConfigError("signing_certificate", "cert.wrong_role")
    if signer.principal.fleet != principal.fleet:
        raise ConfigError("signing_certificate", "cert.wrong_fleet")
    if signer.principal != principal:
        raise ConfigError("signing_certificate", "partner.other_audience")
    return signer
