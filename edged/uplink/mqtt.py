"""The MQTT port: MQTT 5 over mutual TLS 1.3; a refusal raises, an arrival is acknowledged by hand.

Nothing but this is used by outbox, collector and partner, so that another client library is a change of one
file (`edged.uplink.mqtt_client`). One object is one connection: nothing is reused after a failure.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from typing import TYPE_CHECKING, Any, Final

import aiomqtt
from paho.mqtt.packettypes import PacketTypes

from edged.errors import UplinkError
from edged.uplink.in_flight import Answer
from edged.uplink.mqtt_client import Client, new_properties
from edged.uplink.mqtt_types import Endpoint, Received, Session, Will
from edged.uplink.reason_codes import FAILURE, PACKET_TOO_LARGE, reason_code
from edged.uplink.tls import tls_context

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from paho.mqtt.properties import Properties

__all__ = [
    "Answer",
    "Connection",
    "Endpoint",
    "PublishRefusedError",
    "Received",
    "Session",
    "SubscriptionRefusedError",
    "Will",
    "connect",
]

CLOSE_TIMEOUT_S: Final = 2.0
"""A broker that doesn't take our DISCONNECT in this time is not there any more."""

PACKET_OVERHEAD: Final = 32
"""Bytes of a PUBLISH beside topic, payload and user properties, rounded up (MQTT 5 §3.3)."""


class PublishRefusedError(UplinkError):
    """The broker answered a publication with a failure; the connection itself is well."""


class SubscriptionRefusedError(UplinkError):
    """The broker doesn't grant a subscription; the connection itself is well."""


class Connection:
    """One living connection to a broker; made by `connect`.

    Attributes:
        session_present: whether the broker had kept our session.
        announced: what the broker said of itself when it let us in.
    """

    def __init__(self, client: Client, endpoint: Endpoint) -> None:
        self._client = client
        self._timeout_s = endpoint.answer_timeout_s
        self.session_present = client.session_present
        self.announced = client.announced

    @property
    def window(self) -> int:
        """Publications that may be in flight at once: ours, or the broker's Receive Maximum if that is less."""
        return self._client.in_flight.limit

    @property
    def free(self) -> int:
        """How many may be begun now."""
        return self._client.in_flight.free

    @property
    def ended(self) -> bool:
        """Whether this connection is over; `error` says why."""
        return self._client.lost.done()

    def when_free(self, call: Callable[[], None]) -> None:
        """Call this whenever a publication may be begun again; one caller a connection."""
        self._client.in_flight.on_free = call

    async def publish(
        self,
        topic: str,
        payload: bytes,
        *,
        retain: bool = False,
        user_properties: Mapping[str, str] | None = None,
    ) -> int:
        """Publish with QoS 1; returns when the broker has taken it (which doesn't mean: stored).

        The reason code: 0, or `reason_codes.NO_SUBSCRIBERS` from a broker that says when nobody listens.

        Raises `PublishRefusedError` when the broker (or its announced packet size) says no, any other
        `UplinkError` when the connection ends first: then nobody knows, and it must be published again.
        """
        properties = self._properties(topic, payload, user_properties)
        in_flight = self._client.in_flight
        await in_flight.slot()
        answer = None
        if not self._client.lost.done():
            answer = self._client.send(
                topic, payload, retain and self.announced.retain, properties, reserved=True
            )
        if answer is None:
            in_flight.give_back()
            raise self.error()
        taken = await answer
        if taken is None:
            raise self.error()
        if taken.value >= FAILURE:
            raise PublishRefusedError(reason_code(taken.value), taken.said or "PUBACK", taken.value)
        return taken.value

    def begin(
        self, topic: str, payload: bytes, *, user_properties: Mapping[str, str] | None = None
    ) -> asyncio.Future[Answer | None]:
        """Publish with QoS 1 without waiting, while `free` allows: the future brings the broker's answer.

        It brings None when the connection ends first, never an exception. Raises `PublishRefusedError` for what is
        larger than the broker takes, any other `UplinkError` when the connection has ended.
        """
        properties = self._properties(topic, payload, user_properties)
        assert self.free, "more in flight than the broker allows"
        answer = None
        if not self._client.lost.done():
            answer = self._client.send(topic, payload, False, properties, reserved=False)
        if answer is None:
            raise self.error()
        return answer

    def _properties(
        self, topic: str, payload: bytes, user_properties: Mapping[str, str] | None
    ) -> Properties:
        """Raises `PublishRefusedError` when the whole would be larger than the broker takes."""
        properties = new_properties(PacketTypes.PUBLISH)
        pairs = list(user_properties.items()) if user_properties else []
        if pairs:
            properties.UserProperty = pairs
        size = packet_size(topic, payload, user_properties)
        if self.announced.max_packet is not None and size > self.announced.max_packet:
            # The broker would hang up, again at every attempt, and nothing else would get through.
            raise PublishRefusedError(reason_code(PACKET_TOO_LARGE), f"{size} bytes", PACKET_TOO_LARGE)
        return properties

    async def subscribe(self, topic_filter: str) -> None:
        """Subscribe with QoS 1.

        Raises `SubscriptionRefusedError` when it isn't granted, or with less than QoS 1, any other `UplinkError` when
        the connection is lost.

        A broker may grant what its access list then never delivers (mosquitto does): only messages prove a
        right to read.
        """
        if (unsupported := self.announced.refuses(topic_filter)) is not None:
            raise SubscriptionRefusedError(
                unsupported, "CONNACK"
            )  # asked all the same, the broker would hang up
        granted = asyncio.ensure_future(
            self._client.subscribe(topic_filter, 1, timeout=2 * self._timeout_s)  # ours below runs out first
        )
        try:
            await self._answer(granted)
            granted.result()
        except aiomqtt.MqttError:
            raise self.error() from None
        finally:
            granted.cancel()
        value = self._client.suback
        if value >= FAILURE:
            raise SubscriptionRefusedError(reason_code(value), "SUBACK", value)
        if value == 0:
            raise SubscriptionRefusedError("uplink.subscribed_without_qos", "SUBACK")

    async def unsubscribe(self, topic_filter: str) -> None:
        """Take back a subscription; what was on its way may still come. Raises `UplinkError`."""
        ended = asyncio.ensure_future(self._client.unsubscribe(topic_filter, timeout=2 * self._timeout_s))
        try:
            await self._answer(ended)
            ended.result()
        except aiomqtt.MqttError:
            raise self.error() from None
        finally:
            ended.cancel()

    async def _answer(self, future: asyncio.Future[Any]) -> None:
        """Wait until `future` is done. Raises when the connection ends first or the broker stalls."""
        await asyncio.wait(
            (future, self._client.lost), timeout=self._timeout_s, return_when=asyncio.FIRST_COMPLETED
        )
        if future.done():
            return
        if not self._client.lost.done():
            self._client.give_up()
        raise self.error()

    async def readable(self) -> None:
        """Wait until a message is here. Raises `UplinkError` when the connection has ended and none is left."""
        while not self._client.inbox:
            if self._client.lost.done():
                raise self.error()
            self._client.arrived.clear()
            await self._client.arrived.wait()

    def take(self, limit: int) -> list[Received]:
        """The messages that are here, at most `limit`."""
        inbox = self._client.inbox
        return [inbox.popleft() for _ in range(min(limit, len(inbox)))]

    async def receive(self, limit: int = 1) -> list[Received]:
        """`readable`, then `take`."""
        await self.readable()
        return self.take(limit)

    def acknowledge(self, message: Received) -> None:
        """Tell the broker that `message` (of this connection) is stored, so that it may forget it."""
        if not self._client.lost.done():
            self._client.acknowledge(message)

    def error(self) -> UplinkError:
        """Why the connection ended."""
        if not self._client.lost.done():
            return UplinkError("uplink.no_answer")
        code, value, said = self._client.lost.result()
        return UplinkError(code, said, value)


def packet_size(topic: str, payload: bytes, user_properties: Mapping[str, str] | None = None) -> int:
    """Bytes of a PUBLISH, rounded up."""
    pairs = user_properties.items() if user_properties else ()
    texts = len(topic.encode()) + sum(5 + len(key.encode()) + len(value.encode()) for key, value in pairs)
    return PACKET_OVERHEAD + texts + len(payload)


@contextlib.asynccontextmanager
async def connect(endpoint: Endpoint, session: Session) -> AsyncIterator[Connection]:
    """Connect; on leaving, disconnect in order, so that the broker drops the will.

    Left by an exception, the socket is just closed. Raises `UplinkError`, `CertificateError`.
    """
    client = Client(endpoint, session, await asyncio.to_thread(tls_context, endpoint))
    try:
        await _open(client)
        if (code := client.announced.problem(session.client_id)) is not None:
            raise UplinkError(code, client.connack_said)
        yield Connection(client, endpoint)
        await _close(client)
    finally:
        client.drop()


async def _open(client: Client) -> None:
    entering = asyncio.ensure_future(client.__aenter__())
    try:
        await asyncio.shield(entering)
    except asyncio.CancelledError:
        # The connecting thread can't be interrupted. Its own time-out bounds this wait, and only after it the
        # socket it may have opened can be closed.
        await asyncio.wait((entering,))
        entering.exception()  # retrieved: whoever cancelled isn't interested
        raise
    except aiomqtt.MqttError as error:
        raise _connect_error(client, error) from error


def _connect_error(client: Client, error: aiomqtt.MqttError) -> UplinkError:
    match client.connect_error, error:
        case ssl.SSLCertVerificationError() as cause, _:
            return UplinkError("uplink.broker_not_trusted", cause.verify_message)
        case ssl.SSLError() as cause, _:
            return UplinkError("uplink.tls_failed", cause.reason or "")
        case socket.gaierror() | ValueError(), _:
            return UplinkError("uplink.unknown_host")
        case TimeoutError(), _:
            return UplinkError("uplink.connect_timeout")
        case OSError() as cause, _:
            return UplinkError("uplink.unreachable", cause.strerror or "")
        case None, aiomqtt.MqttCodeError(rc=code) if code is not None:
            value = client.refused_because
            return UplinkError(reason_code(value), client.connack_said or "CONNACK", value)
        case _:
            closed = "closed" in str(error)  # our own word, set in Client._on_disconnect
            return UplinkError("uplink.closed_early" if closed else "uplink.no_answer")


async def _close(client: Client) -> None:
    client.timeout = CLOSE_TIMEOUT_S
    with contextlib.suppress(aiomqtt.MqttError):  # a broker that is gone can't be said goodbye to
        await client.__aexit__(None, None, None)
