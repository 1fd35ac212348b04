"""A subscription that outlives its connections: what the collector and a partner's subscriber have in common.

The broker keeps the session (stable client id), messages come in batches, and a batch is acknowledged by whoever has
stored it. Killed anywhere, the broker sends again what wasn't acknowledged; and it sends no more than fits into the
batches that may be in hand, so that a slow disk holds up the broker and never fills memory.
"""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, Annotated, Final, Protocol

import msgspec

from edged import log
from edged.errors import CertificateError, StateError, UplinkError
from edged.uplink.intake import BATCH
from edged.uplink.mqtt import Connection, Endpoint, Received, Session, connect
from edged.uplink.reason_codes import PATIENT
from edged.uplink.reconnect import SPREAD_S, Backoff, first_to_end, within
from edged.uplink.streams import Alarm, Hole

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

SESSION_EXPIRY_S: Final = 14 * 86_400
"""The broker keeps our session for two weeks: a partner that is away over the holidays comes back to its queue
(as far as that reaches, see `edged.central.mosquitto.QUEUE_LENGTH`), and a queue nobody comes for ends."""

RetryWait = Annotated[float, msgspec.Meta(ge=0.05, le=3600)]
"""Seconds between attempts to connect, as a box's: shorter is a busy loop, longer delivers nothing the same day."""

QUIET_S: Final = 2.0
"""Holes are looked for when nothing has come for so long: in between, numbers merely overtake each other."""


class Ready(msgspec.Struct, frozen=True, tag="ready", tag_field="event"):
    """Connected and subscribed as `name`. `resumed` tells whether the broker had kept our session."""

    name: str
    resumed: bool


class Down(msgspec.Struct, frozen=True, tag="down", tag_field="event"):
    """The connection ended or couldn't be made, or the disk failed; the next attempt is in `retry_s` seconds."""

    code: str
    retry_s: float


class Alarmed(msgspec.Struct, frozen=True, tag="alarm", tag_field="event"):
    """Something was refused that nobody honest sends."""

    alarm: Alarm


class Holes(msgspec.Struct, frozen=True, tag="holes", tag_field="event"):
    """Numbers that are missing from streams; an empty list when all that were missing have come."""

    holes: tuple[Hole, ...]


SubscriptionEvent = Ready | Down | Alarmed | Holes


class Receiver(Protocol):
    """Who stores what a subscription brings."""

    async def on_connect(self) -> None:
        """Before each connection."""

    async def on_batch(self, connection: Connection, messages: list[Received]) -> None:
        """Store `messages`, then acknowledge them. Runs beside itself where a subscription has several in hand."""

    async def holes(self) -> Sequence[Hole]:
        """What is missing by now; asked when it has been quiet for `QUIET_S` after something came."""


class Subscription:
    """Keeps topic filters subscribed. `run` is a task; `stop` ends it after what is in hand.

    `session_expiry_s`: how long the broker keeps the session of one that is away; `in_hand`: batches that are given to
    the receiver at once, so that one is verified while another is stored; `on_ready` gets each connection that is made.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        client_id: str,
        topic_filters: Sequence[str],
        backoff_s: tuple[float, float],
        on_event: Callable[[SubscriptionEvent], None],
        session_expiry_s: int = SESSION_EXPIRY_S,
        in_hand: int = 1,
        on_ready: Callable[[Connection], None] = lambda _: None,
    ) -> None:
        self._endpoint = endpoint
        self._session = Session(client_id, expiry_s=session_expiry_s, receive_maximum=2 * BATCH)
        self._in_hand = in_hand
        self._on_ready = on_ready
        self._filters = topic_filters
        self._backoff = Backoff(*backoff_s, random.Random(), SPREAD_S)  # noqa: S311  # no secret, only different
        self._lasted_s: float | None = None
        self._on_event = on_event
        self._log = log.get("subscription")
        self._stopping = asyncio.Event()
        self._holes: tuple[Hole, ...] = ()

    def stop(self) -> None:
        """Let `run` return after the batch in hand."""
        self._stopping.set()

    async def run(self, receiver: Receiver) -> None:
        """Receive until `stop`. Whatever fails, connection or disk, is tried again; the broker keeps the rest."""
        while not self._stopping.is_set():
            await self._attempt(receiver)

    async def _attempt(self, receiver: Receiver) -> None:
        self._lasted_s = None
        try:
            await receiver.on_connect()
            await self._connected(receiver)
            return
        except (UplinkError, CertificateError, StateError) as error:
            code, detail = error.code, str(error)
            patient = isinstance(error, UplinkError) and error.mqtt_reason in PATIENT
        wait = round(self._wait(patient=patient), 3)
        self._log.warning("down", code=code, detail=detail, retry_s=wait)
        self._on_event(Down(code, wait))
        await within(self._stopping.wait(), wait)

    def _wait(self, *, patient: bool) -> float:
        if patient:
            return self._backoff.longest()
        return self._backoff.next() if self._lasted_s is None else self._backoff.after_loss(self._lasted_s)

    async def _connected(self, receiver: Receiver) -> None:
        async with connect(self._endpoint, self._session) as connection:
            for topic_filter in self._filters:
                await connection.subscribe(topic_filter)
            resumed = connection.session_present
            self._log.info("ready", client=self._session.client_id, resumed=resumed)
            self._on_event(Ready(self._session.client_id, resumed))
            self._on_ready(connection)
            began = asyncio.get_running_loop().time()
            try:
                await self._receive(connection, receiver)
            finally:
                self._lasted_s = asyncio.get_running_loop().time() - began

    async def _receive(self, connection: Connection, receiver: Receiver) -> None:
        batches: set[asyncio.Task[None]] = set()
        try:
            await self._hand_over(connection, receiver, batches)
            # Stopping: what is in hand is stored and acknowledged before we say goodbye.
            await asyncio.gather(*batches)
        except asyncio.CancelledError:
            for batch in batches:
                batch.cancel()
            raise
        finally:
            # What was begun is finished (a commit can't be called back) before another connection is made.
            await asyncio.gather(*batches, return_exceptions=True)

    async def _hand_over(
        self, connection: Connection, receiver: Receiver, batches: set[asyncio.Task[None]]
    ) -> None:
        news = True
        while not self._stopping.is_set():
            waited: list[Coroutine[None, None, object]] = [_first(batches)] if batches else []
            if len(batches) < self._in_hand:
                waited += [connection.readable(), self._stopping.wait()]
            await within(first_to_end(*waited), QUIET_S)
            if done := {batch for batch in batches if batch.done()}:
                batches -= done
                for batch in done:
                    batch.result()
            elif len(batches) < self._in_hand and (messages := connection.take(BATCH)):
                batches.add(asyncio.create_task(receiver.on_batch(connection, messages), name="batch"))
                news = True
            elif news and not batches:
                self._report(tuple(await receiver.holes()))
                news = False

    def alarm(self, alarms: Sequence[Alarm]) -> None:
        """Report what was refused, as far as it is `worth_telling`."""
        for alarm in alarms:
            if worth_telling(alarm.count):
                self._log.error("alarm", **msgspec.structs.asdict(alarm))
                self._on_event(Alarmed(alarm))

    def _report(self, holes: tuple[Hole, ...]) -> None:
        if holes != self._holes:
            self._holes = holes
            self._log.warning("holes", count=len(holes))
            self._on_event(Holes(holes))


def worth_telling(count: int) -> bool:
    """Whether the `count`th of a kind is told: the 1st, 2nd, 4th, 8th, …, so that who shouts can't drown the rest."""
    return count & (count - 1) == 0


async def _first(batches: set[asyncio.Task[None]]) -> None:
    """Wait until one of them has ended, whatever it raised."""
    await asyncio.wait(batches, return_when=asyncio.FIRST_COMPLETED)
