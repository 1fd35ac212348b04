"""The uplink: drains the outbox into the broker, and lets it forget what a collector has signed for.

It never deletes: a PUBACK only starts the wait for a receipt, a refusal (PUBACK 0x87 and its kin) is noted,
reported and tried again slowly, and an envelope whose fate is unknown is published again. The centre drops
duplicates. Connections come and go; the outbox, not the broker's session, remembers.

This module keeps the connection; what goes through it is `edged.uplink.lanes`, `receipt_taker` and `box_status`.
"""

from __future__ import annotations

import asyncio
import random
import secrets
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, Literal

import msgspec

from edged import log
from edged.errors import CodedError, ConfigError, UplinkError
from edged.uplink import topics
from edged.uplink.announced import printable
from edged.uplink.box_status import tell_status
from edged.uplink.gaps import Gap, seal_gap
from edged.uplink.known import Known
from edged.uplink.lanes import Lanes, Place
from edged.uplink.mqtt import Connection, Endpoint, Session, SubscriptionRefusedError, Will, connect
from edged.uplink.mqtt_types import DEFAULT_WINDOW
from edged.uplink.reason_codes import PATIENT, RETAIN_NOT_SUPPORTED
from edged.uplink.receipt_taker import ReceiptTaker
from edged.uplink.reconnect import SPREAD_S, Backoff, first_to_end, within
from edged.uplink.riding import EXPECTED, Rider, hand_out, serve_all
from edged.uplink.status import Connected, Disconnected, UplinkEvent, UplinkHealth
from edged.uplink.textfile import Metrics, Textfile

if TYPE_CHECKING:
    from pathlib import Path

    from edged.config import BoxSettings
    from edged.uplink.database import DatabaseThread
    from edged.uplink.outbox import StateDatabase
    from edged.uplink.outbox_types import Counts
    from edged.uplink.roles import TrustAnchor
    from edged.uplink.sign import Signer

GOODBYE_S: Final = 2.0
"""A broker that doesn't take our last status in this time may speak our will instead."""

ClockJudge = Callable[[datetime | None, datetime | None], bool]
"""Whether the clock may be believed, given the last commit and the last receipt; called in the database's thread."""


class UplinkSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Where to, and how patiently."""

    endpoint: Endpoint
    config_version: str
    reconnect_min_s: float = 0.5
    reconnect_max_s: float = 60.0
    spread_s: float = SPREAD_S
    window: int = DEFAULT_WINDOW
    """Publications in flight, unless the broker allows fewer."""
    status_s: float = 2.0
    """The status topic is written at most this often."""
    drain_s: float = 3.0
    """How long a stop goes on publishing what is due and waiting for receipts; the rest is for the next start."""

    @classmethod
    def of_box(cls, settings: BoxSettings) -> UplinkSettings:
        """The uplink's part of the boot file."""
        broker, identity = settings.broker, settings.identity
        endpoint = Endpoint(
            host=broker.host,
            port=broker.port,
            ca=identity.fleet_ca,
            certificate=identity.tls_certificate,
            key=identity.tls_key,
            keepalive_s=broker.keepalive_s,
        )
        return cls(
            endpoint=endpoint,
            config_version=settings.version,
            reconnect_min_s=broker.reconnect_min_s,
            reconnect_max_s=broker.reconnect_max_s,
        )


class Uplink:
    """The box's connection to its broker. `run` is a task; `wake` after every commit; `stop` in the end.

    Raises `ConfigError` for a device or fleet whose name is a word of the MQTT contract.
    """

    def __init__(
        self,
        settings: UplinkSettings,
        *,
        state: DatabaseThread[StateDatabase],
        signer: Signer,
        anchor: TrustAnchor,
        on_event: Callable[[UplinkEvent], None] = lambda _: None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        clock_trusted: ClockJudge | None = None,
        chance: random.Random | None = None,
        riders: Sequence[Rider] = (),
    ) -> None:
        self._settings = settings
        self._config_version = settings.config_version
        self._state = state
        self._signer = signer
        self._fleet = signer.principal.fleet
        self._device = signer.principal.name
        self._username = signer.principal.username
        if not (topics.usable(self._fleet) and topics.usable(self._device)):
            raise ConfigError("identity.signing_certificate", "topic.reserved_name", name=self._device)
        self._on_event = on_event
        self._clock = clock
        self._clock_trusted = clock_trusted
        # Jitter is no secret; seeded by a test, otherwise different on every box.
        self._backoff = Backoff(
            settings.reconnect_min_s,
            settings.reconnect_max_s,
            chance or random.Random(),  # noqa: S311
            settings.spread_s,
        )
        self._log = log.get("uplink")
        self._known = Known()
        self._receipts = ReceiptTaker(
            fleet=self._fleet,
            device=self._device,
            state=state,
            anchor=anchor,
            known=self._known,
            clock=clock,
            on_event=on_event,
        )
        self._riders: tuple[Rider, ...] = (self._receipts, *riders)
        self._lanes: Lanes | None = None
        self._retain = True
        self._stopping = asyncio.Event()
        self._ended = asyncio.Event()
        self._ended.set()
        self._drain_until = 0.0

    @property
    def health(self) -> UplinkHealth:
        """How it is, as far as is known without asking the disk."""
        return self._known.health(self._clock())

    def set_config_version(self, version: str) -> None:
        """What the status says from now on."""
        self._config_version = version
        self._known.changed.set()

    def textfile(self, directory: Path) -> Textfile:
        """A writer of this uplink's metrics for node_exporter: run its `run(uplink.refresh)` as a task."""
        metrics = Metrics(self._known, fleet=self._fleet, device=self._device, clock=self._clock)
        return Textfile(directory, metrics, self._known)

    async def refresh(self) -> None:
        """Ask the disk for the numbers, and whether the clock may be believed. Raises `StateError`."""
        known, judge = self._known, self._clock_trusted

        def look(database: StateDatabase) -> tuple[Counts, str, bool, bool | None]:
            trusted = None if judge is None else judge(database.last_commit(), database.last_receipt())
            return database.counts(), database.log_id, database.recovered_at() is not None, trusted

        known.counts, known.log_id, known.log_replaced, known.clock_trusted = await self._state.run(look)

    def wake(self) -> None:
        """Something was committed."""
        if self._lanes is not None:
            self._lanes.wake()
        self._known.changed.set()

    async def stop(self) -> None:
        """End `run`: publish what is due, wait a bounded time for receipts, say goodbye."""
        self._drain_until = asyncio.get_running_loop().time() + self._settings.drain_s
        self._stopping.set()
        if self._lanes is not None:
            self._lanes.drain()
        await self._ended.wait()

    async def run(self) -> None:
        """Keep connected and drain the outbox until `stop`. Only a bug of ours ends it otherwise."""
        self._ended.clear()
        try:
            while not self._stopping.is_set():
                await self._attempt()
        finally:
            self._ended.set()

    async def _attempt(self) -> None:
        """One connection, from the attempt to its end and the wait after it."""
        began = asyncio.get_running_loop().time()
        try:
            await self._session()
            return
        except EXPECTED as error:
            was_connected = self._known.connected_at is not None
            self._known.lost(error.code, printable(error.detail))
            wait = self._wait(error, asyncio.get_running_loop().time() - began if was_connected else None)
            self._log.warning(
                "no connection", code=error.code, detail=self._known.said, retry_s=round(wait, 3)
            )
            self._on_event(Disconnected(error.code, round(wait, 3)))
        await within(self._stopping.wait(), wait)

    def _wait(self, error: CodedError, lasted_s: float | None) -> float:
        """Seconds until the next attempt, after a connection that held for `lasted_s`, or after none."""
        reason = error.mqtt_reason if isinstance(error, UplinkError) else None
        if reason == RETAIN_NOT_SUPPORTED:
            self._retain = False  # a status that nobody keeps is better than verdicts that nobody gets
        if reason in PATIENT:
            return self._backoff.longest()
        return self._backoff.next() if lasted_s is None else self._backoff.after_loss(lasted_s)

    async def _session(self) -> None:
        await self.refresh()
        async with connect(self._settings.endpoint, self._mqtt_session()) as connection:
            for rider in self._riders:
                await self._subscribe(connection, rider)
            self._lanes = await self._open_lanes(connection)
            self._receipts.settled = self._lanes.settled
            try:
                await self._serve(connection, self._lanes)
            finally:
                self._lanes = None
            goodbye = connection.publish(self._status_topic(), self._status("offline"), retain=True)
            await within(goodbye, GOODBYE_S)  # otherwise the will says it
        self._known.left()
        self._log.info("left")

    async def _subscribe(self, connection: Connection, rider: Rider) -> None:
        """Without receipts no envelope would ever be forgotten; whatever else a broker forbids, verdicts go on."""
        for topic_filter in rider.filters():
            try:
                await connection.subscribe(topic_filter)
            except SubscriptionRefusedError as error:
                if rider is self._receipts:
                    raise
                self._log.warning("the broker refuses a subscription", topic=topic_filter, code=error.code)

    async def _open_lanes(self, connection: Connection) -> Lanes:
        return Lanes(
            connection,
            Place(self._fleet, self._device, self._sign_gap),
            state=self._state,
            since=await self._state.run(lambda database: database.last_id()),
            known=self._known,
            clock=self._clock,
            on_event=self._on_event,
        )

    async def _serve(self, connection: Connection, lanes: Lanes) -> None:
        """Everything that goes through one connection, until it ends or a stop is done with it."""
        self._known.connected(self._clock())
        self._log.info("connected", window=connection.window, keepalive_s=connection.announced.keepalive_s)
        self._on_event(Connected())
        if self._stopping.is_set():
            lanes.drain()
        await first_to_end(
            lanes.run(),
            hand_out(connection, self._riders),
            serve_all(connection, self._riders),
            tell_status(
                connection,
                self._status_topic(),
                known=self._known,
                refresh=self.refresh,
                make=lambda: self._status("online"),
                least_s=self._settings.status_s,
            ),
            self._out_of_time(),
        )

    def _mqtt_session(self) -> Session:
        # A clean start: what the broker kept of an earlier session is older than what the outbox knows.
        will = Will(self._status_topic(), self._status(None), retain=self._retain)
        return Session(client_id=self._username, will=will, window=self._settings.window)

    async def _out_of_time(self) -> None:
        """Returns when a stop has waited long enough, however much is due and whatever the broker does."""
        await self._stopping.wait()
        await asyncio.sleep(self._drain_until - asyncio.get_running_loop().time())

    def _sign_gap(self, gap: Gap) -> str:
        return seal_gap(
            gap,
            jti=secrets.token_hex(16),
            iat=max(int(self._clock().timestamp()), 0),
            clock="trusted" if self._known.clock_trusted else "not_trusted",
            signer=self._signer,
        )

    def _status_topic(self) -> str:
        return topics.status(self._fleet, self._device)

    def _status(self, state: Literal["online", "offline"] | None) -> bytes:
        """The status message; with None the one that the broker will speak for us."""
        return msgspec.json.encode(
            self._known.status(
                state, device=self._device, config_version=self._config_version, now=self._clock()
            )
        )
