"""The admin's connection to the broker: kept up while a command works, and asked again whatever it was waiting for.

    async with admin_link(state) as link:
        async with link.listen(topics.every_reply(link.fleet, "box-1")) as replies:
            await link.publish(topics.command(link.fleet, "box-1", "status"), compact)
            async for received in replies: …

One certificate is one connection (`edged.central.mosquitto`): a second command would end the first one's, and the two
would take turns for ever. So a link holds its certificate's file, and the second command is told.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import random
from collections import deque
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, Self

from edged import log
from edged.errors import CertificateError, StateError, UplinkError
from edged.uplink.mqtt import Connection, Endpoint, PublishRefusedError, Session, connect
from edged.uplink.reconnect import Backoff, first_to_end, within
from edged.uplink.roles import Principal, Usage, load_chain, principal_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

    from edged.fleet.state import FleetState
    from edged.uplink.mqtt_types import Received
    from edged.uplink.roles import TrustAnchor

PATIENCE_S: Final = 60.0
"""A broker that can't be reached for so long, once it was, ends the command: a person waits for it."""

BACKOFF_S: Final = (0.25, 5.0)

WINDOW: Final = 8
"""Publications in flight: pushes and chunks of 60 KiB, which an ordinary line takes within the broker's answer time."""

RECEIVE: Final = 5_000
"""Messages the broker may send before we acknowledge any. A whole fleet's reports come at once, and mosquitto 2.0.11
sends retained messages whatever a subscriber allows; so many times `mqtt_client.FLOOD`, of 2 KiB each, are 40 MiB."""

AT_ONCE: Final = 32


class AdminLink:
    """A connection that comes back by itself. Made by `admin_link`; all methods belong to one event loop.

    Attributes:
        fleet: the fleet's name.
        principal: as whom we are connected.
        anchor: the fleet's authorities, for whoever verifies what comes.
        connections: how many there have been: a broker that was killed has forgotten what it had retained last.
    """

    def __init__(
        self,
        *,
        anchor: TrustAnchor,
        endpoint: Endpoint,
        principal: Principal,
        patience_s: float,
        window: int,
        clock: Callable[[], datetime],
        on_change: Callable[[UplinkError | None], None],
    ) -> None:
        self.fleet = principal.fleet
        self.principal = principal
        self.anchor = anchor
        self.clock = clock
        self.connections = 0
        self._endpoint = endpoint
        self._session = Session(principal.username, window=window, receive_maximum=RECEIVE)
        self._patience_s = patience_s
        self._on_change = on_change
        self._connection: Connection | None = None
        self._failed: Exception | None = None
        self._changed = asyncio.Event()
        self._stopping = asyncio.Event()
        self._listeners: list[Listening] = []
        self._subscribing = asyncio.Lock()

    async def publish(self, topic: str, payload: bytes | str, *, retain: bool = False) -> int:
        """Publish with QoS 1; returns MQTT's reason code once a broker has taken it.

        Published again when the connection ended before the answer, so receivers may hear it twice. Raises
        `PublishRefusedError` when the broker says no, `UplinkError` when there was no connection for too long.
        """
        data = payload.encode() if isinstance(payload, str) else payload
        while True:
            connection = await self._connected()
            try:
                return await connection.publish(topic, data, retain=retain)
            except PublishRefusedError:
                raise
            except UplinkError:
                await self._other_than(connection)

    @contextlib.asynccontextmanager
    async def listen(self, *topic_filters: str) -> AsyncIterator[Listening]:
        """Subscribe to filters for a while: retained messages come first, and again after each lost connection.

        So a listener may see a message twice. Raises `UplinkError` for a filter that the broker refuses.
        """
        listening = Listening(self, topic_filters)
        self._listeners.append(listening)
        try:
            for topic_filter in topic_filters:
                await self._subscribe(topic_filter)
            yield listening
        finally:
            self._listeners.remove(listening)
            listening.close()
            await self._unsubscribe(topic_filters)

    async def _subscribe(self, topic_filter: str) -> None:
        while True:
            connection = await self._connected()
            try:
                async with self._subscribing:
                    await connection.subscribe(topic_filter)
            except UplinkError:
                if not connection.ended:
                    raise
                await self._other_than(connection)
            else:
                return

    async def _unsubscribe(self, topic_filters: tuple[str, ...]) -> None:
        """What nobody listens to any more is taken back; a lost connection has forgotten it anyway."""
        connection = self._connection
        wanted = {one for listening in self._listeners for one in listening.topic_filters}
        for topic_filter in topic_filters:
            if connection is not None and not connection.ended and topic_filter not in wanted:
                with contextlib.suppress(UplinkError):
                    async with self._subscribing:
                        await connection.unsubscribe(topic_filter)

    async def _connected(self) -> Connection:
        while (connection := self._connection) is None:
            self._raise_failed()
            self._changed.clear()
            await self._changed.wait()
        return connection

    async def _other_than(self, connection: Connection) -> None:
        """Wait until the keeper has noticed as well that this connection is over."""
        while self._connection is connection:
            self._changed.clear()
            await self._changed.wait()

    def _raise_failed(self) -> None:
        match self._failed:  # a new one for each: several tasks may be waiting
            case None:
                return
            case UplinkError() as error:
                raise UplinkError(error.code, error.detail, error.mqtt_reason)
            case CertificateError() as error:
                raise CertificateError(error.code, error.detail)
            case bug:
                raise bug

    def _changes(self) -> None:
        self._changed.set()
        for listening in self._listeners:
            listening.wake()

    async def keep(self) -> None:
        """Keep connected until `stop`; a task of `admin_link`'s."""
        backoff = Backoff(*BACKOFF_S, random.Random())  # noqa: S311  # no secret, only different
        clock = asyncio.get_running_loop().time
        last = None  # when there was a connection
        while not self._stopping.is_set():
            try:
                await self._once()
            except UplinkError as error:
                if self._connection is not None:
                    last = clock()
                self._connection = None
                self._changes()
                if last is None or clock() - last > self._patience_s:
                    return self._give_up(error)
                log.get("fleet").info("no connection", code=error.code, detail=error.detail)
                self._on_change(error)
            except Exception as error:  # noqa: BLE001  # raised again by whoever waits for us
                return self._give_up(error)
            await within(self._stopping.wait(), backoff.next())
        return None

    def _give_up(self, error: Exception) -> None:
        self._failed = error
        self._changes()

    async def _once(self) -> None:
        async with connect(self._endpoint, self._session) as connection:
            wanted = dict.fromkeys(one for listening in self._listeners for one in listening.topic_filters)
            for topic_filter in wanted:
                await connection.subscribe(topic_filter)
            self._connection = connection
            self.connections += 1
            self._changes()
            self._on_change(None)
            await first_to_end(self._hand_out(connection), self._stopping.wait())

    async def _hand_out(self, connection: Connection) -> None:
        while True:
            for received in await connection.receive(AT_ONCE):
                for_whom = [one for one in self._listeners if one.wants(received.topic)]
                shared = _Shared(connection, received, len(for_whom))
                for listening in for_whom:
                    listening.give(shared)

    async def first(self) -> None:
        """Wait for the first connection. Raises `UplinkError`, `CertificateError`."""
        await self._connected()

    def stop(self) -> None:
        """Let `keep` return after saying goodbye."""
        self._stopping.set()


class _Shared:
    """One message and how many have still to handle it; acknowledged, on its own connection, by the last."""

    def __init__(self, connection: Connection, received: Received, count: int) -> None:
        self._connection = connection
        self.received = received
        self._left = count
        if not count:
            connection.acknowledge(received)

    def handled(self) -> None:
        self._left -= 1
        if self._left == 0:
            self._connection.acknowledge(self.received)


class Listening:
    """Messages on some topics, as an async iterator; each is acknowledged when the next one is asked for.

    What isn't acknowledged counts against what the broker sends, so memory is bounded, and a listener that stops asking
    holds up the others. Raises `UplinkError` when there was no connection for too long.
    """

    def __init__(self, link: AdminLink, topic_filters: tuple[str, ...]) -> None:
        self.topic_filters = topic_filters
        self._link = link
        self._waiting: deque[_Shared] = deque()
        self._in_hand: _Shared | None = None
        self._news = asyncio.Event()

    def wants(self, topic: str) -> bool:
        """Whether one of the filters matches."""
        return any(matches(one, topic) for one in self.topic_filters)

    def give(self, shared: _Shared) -> None:
        """Put a message into the queue."""
        self._waiting.append(shared)
        self._news.set()

    def wake(self) -> None:
        """The link has changed."""
        self._news.set()

    def close(self) -> None:
        """Acknowledge what is left: nobody will handle it any more."""
        self._done()
        while self._waiting:
            self._waiting.popleft().handled()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Received:
        self._done()
        while not self._waiting:
            self._link._raise_failed()
            self._news.clear()
            await self._news.wait()
        self._in_hand = self._waiting.popleft()
        return self._in_hand.received

    def _done(self) -> None:
        if self._in_hand is not None:
            self._in_hand.handled()
            self._in_hand = None


def matches(topic_filter: str, topic: str) -> bool:
    """Whether an MQTT filter (`+` one level, a last `#` all that follow) matches a topic (MQTT 5 §4.7.1)."""
    wanted, found = topic_filter.split("/"), topic.split("/")
    if wanted[-1] == "#":
        wanted = wanted[:-1]
        found = found[: len(wanted)]
    return len(wanted) == len(found) and all(
        one in ("+", level) for one, level in zip(wanted, found, strict=True)
    )


@contextlib.asynccontextmanager
async def admin_link(
    state: FleetState,
    *,
    endpoint: Endpoint | None = None,
    patience_s: float = PATIENCE_S,
    window: int = WINDOW,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    on_change: Callable[[UplinkError | None], None] = lambda _: None,
) -> AsyncIterator[AdminLink]:
    """Connect as the admin (or as whom `endpoint`'s certificate names) and stay so until left.

    `on_change` hears why a connection was lost, and None when there is one. A first connection that fails is not tried
    again: nothing has begun yet. Raises `UplinkError`, `CertificateError`, `StateError` (`fleet.link_busy`).
    """
    chosen = endpoint or state.endpoint()
    with _held(chosen.certificate):
        link = AdminLink(
            anchor=state.anchor(),
            endpoint=chosen,
            principal=await asyncio.to_thread(holder, chosen.certificate),
            patience_s=patience_s,
            window=window,
            clock=clock,
            on_change=on_change,
        )
        keeper = asyncio.create_task(link.keep(), name="admin link")
        try:
            await link.first()
            yield link
            link.stop()
            await keeper
        finally:
            keeper.cancel()
            await asyncio.gather(keeper, return_exceptions=True)


def holder(certificate: Path) -> Principal:
    """Whom a TLS certificate's file names. Raises `CertificateError`."""
    try:
        chain = load_chain(certificate.read_bytes())
    except OSError as error:
        raise CertificateError("cert.unreadable", f"{certificate}: {error.strerror}") from error
    if not chain:
        raise CertificateError("cert.malformed")
    return principal_of(chain[0], usage=Usage.TLS)


@contextlib.contextmanager
def _held(certificate: Path) -> Iterator[None]:
    """Hold a certificate for one connection; a shared or read-only directory does as well."""
    try:
        file = certificate.open("rb")
    except OSError as error:
        raise CertificateError("cert.unreadable", f"{certificate}: {error.strerror}") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StateError("fleet.link_busy", str(certificate)) from None
        yield
