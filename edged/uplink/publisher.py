"""The uplink: drains the outbox into the broker, and lets it forget what a collector has signed for.

It never deletes: a PUBACK only starts the wait for a receipt, a refusal (PUBACK 0x87 and its kin) is noted,
reported and tried again slowly, and an envelope whose fate is unknown is published again. The centre drops
duplicates. Connections come and go; the outbox, not the broker's session, remembers.
"""

from __future__ import annotations

import asyncio
import random
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, Literal

import msgspec

from edged import RELEASED, __version__, log
from edged.errors import CertificateError, ConfigError, SignatureRefusedError, StateError, UplinkError
from edged.uplink import topics
from edged.uplink.database import from_ms, to_ms
from edged.uplink.mqtt import Connection, Endpoint, PublishRefusedError, Session, Will, connect
from edged.uplink.receipts import open_receipt
from edged.uplink.reconnect import Backoff, first_to_end, within
from edged.uplink.status import (
    Connected,
    Disconnected,
    Published,
    Receipted,
    ReceiptRefused,
    Refused,
    Status,
    UplinkEvent,
    UplinkHealth,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from edged.config import BoxSettings
    from edged.uplink.database import DatabaseThread
    from edged.uplink.outbox import Counts, Due, ReceiptOutcome, StateDatabase
    from edged.uplink.roles import TrustAnchor
    from edged.uplink.sign import Signer

LIVE: Final = timedelta(seconds=5)
"""An envelope older than this, or published before, is marked as backlog."""

GOODBYE_S: Final = 2.0
"""A broker that doesn't take our last status in this time may speak our will instead."""

IDLE_LOOK_S: Final = 3600.0
"""With nothing pending the outbox is looked at this often anyway; `wake` is what normally does it."""


class UplinkSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Where to, and how patiently."""

    endpoint: Endpoint
    config_version: str
    reconnect_min_s: float = 0.5
    reconnect_max_s: float = 60.0
    batch: int = 32
    """Envelopes published at once. A fresh one waits for one batch at most: milliseconds."""
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
        chance: random.Random | None = None,
    ) -> None:
        self._settings = settings
        self._state = state
        self._fleet = signer.principal.fleet
        self._device = signer.principal.name
        self._username = signer.principal.username
        if not (topics.usable(self._fleet) and topics.usable(self._device)):
            raise ConfigError("identity.signing_certificate", "topic.reserved_name", name=self._device)
        self._anchor = anchor
        self._on_event = on_event
        self._clock = clock
        # Jitter is no secret; seeded by a test, otherwise different on every box.
        self._backoff = Backoff(
            settings.reconnect_min_s,
            settings.reconnect_max_s,
            chance or random.Random(),  # noqa: S311
        )
        self._log = log.get("uplink")
        self._log_id = ""
        self._wake = asyncio.Event()
        self._changed = asyncio.Event()
        self._stopping = asyncio.Event()
        self._ended = asyncio.Event()
        self._ended.set()
        self._drain_until = 0.0
        self._connected_at: datetime | None = None
        self._problem: str | None = None
        self._counts: Counts | None = None
        self._receipts_refused = 0
        self._last_receipt_refusal: str | None = None

    @property
    def health(self) -> UplinkHealth:
        """How it is, as far as is known without asking the disk."""
        counts = self._counts
        return UplinkHealth(
            connected=self._connected_at is not None,
            problem=self._problem,
            pending=counts.pending if counts else 0,
            refused=counts.refused if counts else 0,
            last_refusal=counts.last_refusal if counts else None,
            receipts_refused=self._receipts_refused,
            last_receipt_refusal=self._last_receipt_refusal,
        )

    def wake(self) -> None:
        """Something was committed."""
        self._wake.set()

    async def stop(self) -> None:
        """End `run`: publish what is due, wait a bounded time for receipts, say goodbye."""
        self._drain_until = asyncio.get_running_loop().time() + self._settings.drain_s
        self._stopping.set()
        self._wake.set()
        await self._ended.wait()

    async def run(self) -> None:
        """Keep connected and drain the outbox until `stop`. Only a bug of ours ends it otherwise."""
        self._ended.clear()
        try:
            self._log_id = await self._state.run(lambda database: database.log_id)
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
        except (UplinkError, CertificateError, StateError) as error:
            code = self._problem = error.code
            was_connected, self._connected_at = self._connected_at is not None, None
            detail = str(error)
        if was_connected:
            self._backoff.lasted(asyncio.get_running_loop().time() - began)
        wait = self._backoff.next()
        self._log.warning("no connection", code=code, detail=detail, retry_s=round(wait, 3))
        self._on_event(Disconnected(code, round(wait, 3)))
        await within(self._stopping.wait(), wait)

    async def _session(self) -> None:
        async with connect(self._settings.endpoint, self._mqtt_session()) as connection:
            await connection.subscribe(topics.receipt(self._fleet, self._device))
            self._connected_at = from_ms(to_ms(self._clock()))  # as coarse as what it is compared to
            self._problem = None
            self._log.info("connected")
            self._on_event(Connected())
            self._changed.set()
            await first_to_end(
                self._send(connection),
                self._take_receipts(connection),
                self._tell_status(connection),
                self._out_of_time(),
            )
            goodbye = connection.publish(self._status_topic(), self._status("offline"), retain=True)
            await within(goodbye, GOODBYE_S)  # otherwise the will says it
        self._connected_at = None
        self._log.info("left")

    def _mqtt_session(self) -> Session:
        # A clean start: what the broker kept of an earlier session is older than what the outbox knows.
        will = Will(self._status_topic(), self._status(None))
        return Session(client_id=self._username, will=will, window=self._settings.batch)

    async def _out_of_time(self) -> None:
        """Returns when a stop has waited long enough, however much is due and whatever the broker does."""
        await self._stopping.wait()
        await asyncio.sleep(self._drain_until - asyncio.get_running_loop().time())

    # --- envelopes ---

    async def _send(self, connection: Connection) -> None:
        """Publish whatever is due; returns when stopping and drained. `_out_of_time` may end it in a batch."""
        while True:
            self._wake.clear()
            due, wait = await self._state.run(self._look)
            if due:
                await self._publish(connection, due)
                continue
            if self._stopping.is_set() and self._counts is not None and self._counts.pending == 0:
                return
            await within(self._wake.wait(), wait)

    def _look(self, database: StateDatabase) -> tuple[list[Due], float]:
        """In the database's thread: what is due, and how long until more will be."""
        now = self._clock()
        due = database.due(self._settings.batch, now)
        self._counts = database.counts() if not due else self._counts
        wait = database.next_due(now)
        return due, IDLE_LOOK_S if wait is None else max(wait, 0.0)

    async def _publish(self, connection: Connection, due: list[Due]) -> None:
        answers = await asyncio.gather(
            *(self._publish_one(connection, envelope) for envelope in due), return_exceptions=True
        )
        taken: list[int] = []
        refused: dict[int, str] = {}
        failure: BaseException | None = None
        for envelope, answer in zip(due, answers, strict=True):
            match answer:
                case None:
                    taken.append(envelope.id)
                case PublishRefusedError():
                    refused[envelope.id] = answer.code
                case _:
                    failure = answer
        if taken or refused:
            now = self._clock()
            self._counts = await self._state.run(lambda database: _mark(database, taken, refused, now))
            self._changed.set()
            self._report(due, refused)
        if failure is not None:
            raise failure

    async def _publish_one(self, connection: Connection, envelope: Due) -> None:
        lane = self._lane(envelope)
        await connection.publish(
            topics.verdict(self._fleet, self._device, envelope.audience),
            envelope.jws.encode(),
            # Signed at the commit and sent verbatim ever after: how it travels can't be part of the payload.
            user_properties={"lane": lane},
        )
        self._on_event(Published(envelope.inspection, envelope.audience, envelope.seq, lane))

    def _lane(self, envelope: Due) -> Literal["live", "backlog"]:
        fresh = abs(self._clock() - envelope.committed_at) <= LIVE
        here = self._connected_at is not None and envelope.committed_at >= self._connected_at
        return "live" if fresh and here and envelope.attempts == 0 else "backlog"

    def _report(self, due: list[Due], refused: dict[int, str]) -> None:
        for envelope in due:
            if (code := refused.get(envelope.id)) is not None:
                self._log.error("refused", audience=envelope.audience, seq=envelope.seq, code=code)
                self._on_event(Refused(envelope.inspection, envelope.audience, envelope.seq, code))

    # --- receipts ---

    async def _take_receipts(self, connection: Connection) -> None:
        topic = topics.receipt(self._fleet, self._device)
        while True:
            for message in await connection.receive(self._settings.batch):
                if message.topic == topic:
                    await self._take_receipt(message.payload)
                connection.acknowledge(message)

    async def _take_receipt(self, compact: bytes) -> None:
        try:
            outcome, self._counts = await self._state.run(lambda database: self._apply(database, compact))
        except SignatureRefusedError as error:
            self._refuse_receipt(error.code)
            return
        for code in outcome.refused:
            self._refuse_receipt(code)
        if outcome.receipted:
            self._on_event(Receipted(len(outcome.receipted)))
            self._changed.set()
            self._wake.set()

    def _apply(self, database: StateDatabase, compact: bytes) -> tuple[ReceiptOutcome, Counts]:
        """In the database's thread: verify and apply one receipt."""
        now = self._clock()
        # A clock that fell back must not make a good collector's certificate "not yet valid": it can't be
        # earlier than this release, nor than the last receipt we believed.
        at = max(now, RELEASED, database.last_receipt() or RELEASED)
        receipt = open_receipt(compact, anchor=self._anchor, at=at, device=self._device)
        return database.apply_receipt(receipt, now), database.counts()

    def _refuse_receipt(self, code: str) -> None:
        self._receipts_refused += 1
        self._last_receipt_refusal = code
        self._log.error("receipt refused", code=code)
        self._on_event(ReceiptRefused(code))
        self._changed.set()

    # --- status ---

    async def _tell_status(self, connection: Connection) -> None:
        told = b""
        while True:
            await self._changed.wait()
            self._changed.clear()
            status = self._status("online")
            if status != told:
                await self._publish_status(connection, status)
                told = status
                await asyncio.sleep(self._settings.status_s)

    async def _publish_status(self, connection: Connection, status: bytes) -> None:
        try:
            await connection.publish(self._status_topic(), status, retain=True)
        except PublishRefusedError as error:
            # Verdicts matter, the status doesn't: go on without it, and say so.
            self._log.error("status refused", code=error.code)

    def _status_topic(self) -> str:
        return topics.status(self._fleet, self._device)

    def _status(self, state: Literal["online", "offline"] | None) -> bytes:
        """The status message; with None the one that the broker will speak for us."""
        status = Status(
            state=state or "offline",
            device=self._device,
            log_id=self._log_id,
            software_version=__version__,
            config_version=self._settings.config_version,
        )
        if state is not None and self._counts is not None:
            status = msgspec.structs.replace(
                status,
                pending=self._counts.pending,
                refused=self._counts.refused,
                last_refusal=self._counts.last_refusal,
                receipts_refused=self._receipts_refused,
            )
        return msgspec.json.encode(status)


def _mark(database: StateDatabase, taken: list[int], refused: dict[int, str], now: datetime) -> Counts:
    database.mark(taken, refused, now)
    return database.counts()
