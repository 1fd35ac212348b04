"""One connection of aiomqtt 2.5, bent to what the outbox needs. The only module that knows private names.

aiomqtt's own `publish` ignores the reason code of a PUBACK and doesn't notice a lost connection, its reader
acknowledges before anybody has stored the message, and its `connect` waits out its time-out when a broker
hangs up. What is overridden here are private methods of aiomqtt (pinned to 2.5) and callbacks of paho 2; a
contract test against a real broker keeps it honest.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections import deque
from typing import TYPE_CHECKING, Any, Final, Literal

import aiomqtt
from paho.mqtt.enums import MQTTErrorCode
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from edged.uplink.announced import Announced, announced, said
from edged.uplink.in_flight import Answer, InFlight
from edged.uplink.mqtt_types import MAX_PACKET, Endpoint, Received, Session
from edged.uplink.reason_codes import (
    FAILURE,
    KEEP_ALIVE_TIMEOUT,
    PROTOCOL_ERROR,
    UNSPECIFIED_ERROR,
    reason_code,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    import paho.mqtt.client as paho
    from paho.mqtt.reasoncodes import ReasonCode

    from edged.uplink.tls import Context

FLOOD: Final = 4
"""A broker that sends so many times our receive maximum is hung up on."""

KEPT_FLOOD_BYTES: Final = 512 << 20
"""The same for a session that the broker keeps. mosquitto 2.0.11 sends a whole window for every PUBACK while it empties
the queue of a resumed session, and all of it again at the next attempt: a bound below its queue would end every
connection. What holds it back is the broker's own `max_queued_messages`."""

MESSAGE_BYTES: Final = 2048
"""What a message that waits costs beside its topic and payload, its user properties included."""

MAX_PROPERTIES: Final = 8
MAX_PROPERTY: Final = 64
"""User properties that are kept, and characters of name and value together: ours is `lane`. A stranger may send any
number, which the broker's bound on bytes doesn't count."""

TICK_S: Final = 1.0
"""Keep-alive is looked after this often, and four times within a shorter one: brokers hang up after 1.5 of it."""


class Client(aiomqtt.Client):
    """One connection; every callback runs in the event loop's thread.

    Attributes:
        lost: set when the connection ends: a catalogue code, MQTT's own where the broker gave one, its own words.
        in_flight: publications that wait for their PUBACK.
        inbox: messages of QoS 1 that have arrived; `arrived` is set with each, and when the connection ends.
        ignored: messages of QoS 0 that were dropped.
        session_present: whether the broker had kept our session.
        announced: what the broker said of itself in its CONNACK.
        refused_because: the reason code of its CONNACK; `suback` that of its last SUBACK.
    """

    def __init__(self, endpoint: Endpoint, session: Session, context: Context) -> None:
        will = session.will
        super().__init__(
            endpoint.host,
            endpoint.port,
            identifier=session.client_id,
            protocol=aiomqtt.ProtocolVersion.V5,  # the default, 3.1.1, can't carry a refusal
            clean_start=session.expiry_s == 0,
            properties=_connect_properties(session),
            will=aiomqtt.Will(will.topic, will.payload, 1, will.retain) if will else None,
            tls_context=context,
            keepalive=endpoint.keepalive_s,
            timeout=endpoint.answer_timeout_s,
            max_inflight_messages=0,  # no queue of paho's own: `in_flight` is the bound
            socket_options=[
                # A cable that is pulled while nothing waits for an answer, or a peer that stopped reading.
                (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, round(endpoint.answer_timeout_s * 1000)),
                # A small packet (a verdict, a question for a chunk) doesn't wait for the one before to be acknowledged.
                (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
            ],
            logger=_silent_logger(),
        )
        self._session = session
        self._keepalive_s = endpoint.keepalive_s
        self._context = context
        self._client.connect_timeout = endpoint.connect_timeout_s
        self._client.manual_ack_set(True)
        self.lost: asyncio.Future[tuple[str, int | None, str]] = self._loop.create_future()
        self._left_because = self._puback = 0
        self.refused_because = self.suback = 0
        self._paho_puback = self._client._handle_pubackcomp
        self._client._handle_pubackcomp = self._handle_puback  # type: ignore[method-assign]
        self._paho_suback = self._client._handle_suback
        self._client._handle_suback = self._handle_suback  # type: ignore[method-assign]
        self._paho_connack = self._client._handle_connack
        self._client._handle_connack = self._handle_connack  # type: ignore[method-assign]
        self._paho_disconnect = self._client._handle_disconnect
        self._client._handle_disconnect = self._handle_disconnect  # type: ignore[method-assign]
        self.connect_error: OSError | ValueError | None = None
        self.connack_said = ""
        self.session_present = False
        self.announced = Announced()
        self._reading: int | None = None
        self._writing: int | None = None
        self.in_flight = InFlight(session.window, endpoint.answer_timeout_s)
        self._stall: asyncio.TimerHandle | None = None
        self._unacknowledged = self._waiting_bytes = 0
        self.inbox: deque[Received] = deque()
        self.arrived = asyncio.Event()
        self.ignored = 0

    def _client_connect(self) -> None:
        try:
            super()._client_connect()
        except (OSError, ValueError) as error:  # a host name that IDNA refuses is a ValueError
            self.connect_error = error
            self._context.close_last()
            raise OSError("connect failed") from error

    def _on_connect(
        self, client: paho.Client, userdata: Any, flags: Any, code: ReasonCode, properties: Any = None
    ) -> None:
        if self._connected.done():
            raise aiomqtt.MqttError("a second CONNACK")  # dropped where it was read, see `_read`
        self.connack_said = said(properties)
        self.session_present = flags.session_present
        self.announced = announced(properties)
        self.in_flight.limit = min(self._session.window, self.announced.receive_maximum)
        self._client._keepalive = self.announced.keepalive(self._keepalive_s)
        super()._on_connect(client, userdata, flags, code, properties)

    def _on_disconnect(
        self, client: paho.Client, userdata: Any, flags: Any, code: ReasonCode, properties: Any = None
    ) -> None:
        if not self._connected.done():
            # The base would wait for its time-out: a broker that dislikes our certificate just hangs up here.
            self._connected.set_exception(aiomqtt.MqttError("closed before CONNACK"))
        if flags.is_disconnect_packet_from_server:
            value = self._left_because
            self.set_lost(
                reason_code(value) if value else "uplink.broker_left", value or None, said(properties)
            )
        elif code.value == KEEP_ALIVE_TIMEOUT:
            self.set_lost(reason_code(code.value), code.value)
        else:  # paho's own words for what it couldn't read and for a socket that has ended
            self.set_lost("uplink.garbage" if code.value == PROTOCOL_ERROR else "uplink.connection_lost")
        super()._on_disconnect(client, userdata, flags, code, properties)
        if self._disconnected.done() and not self._disconnected.cancelled():
            self._disconnected.exception()  # retrieved: what `lost` carries says more, and nobody awaits this

    # paho refuses to read a reason that it doesn't find listed for its packet; brokers send others, and mean them. One
    # that says so of a single message would end every connection in which that message's turn came.

    def _handle_puback(self, cmd: Literal["PUBACK", "PUBCOMP"]) -> MQTTErrorCode:
        self._puback = self._reason_at(2)
        return self._paho_puback(cmd)

    def _handle_suback(self) -> None:
        self.suback = self._reason_at(
            len(self._client._in_packet["packet"]) - 1
        )  # we ask for one filter at a time
        self._paho_suback()

    def _handle_connack(self) -> MQTTErrorCode:
        self.refused_because = self._reason_at(1)
        return self._paho_connack()

    def _handle_disconnect(self) -> None:
        self._left_because = self._reason_at(0)
        self._paho_disconnect()

    def _reason_at(self, place: int) -> int:
        """The reason code of the packet in hand; in its place stays one that paho can read."""
        packet = self._client._in_packet["packet"]
        value = packet[place] if len(packet) > place else 0
        if value >= FAILURE:
            packet[place] = UNSPECIFIED_ERROR
        return value

    def _on_publish(
        self, client: paho.Client, userdata: Any, mid: int, code: ReasonCode, properties: Properties
    ) -> None:
        answer = Answer(self._puback, said(properties))
        if not self.in_flight.answered(mid, answer, self._loop.time()):
            super()._on_publish(client, userdata, mid, code, properties)

    def _on_message(
        self,
        client: paho.Client,  # noqa: ARG002
        userdata: Any,  # noqa: ARG002
        message: paho.MQTTMessage,
    ) -> None:
        if message.qos == 0:  # nothing of the contract comes so, and no receive maximum would bound it
            self.ignored += 1
            return
        try:
            topic = message.topic
        except UnicodeDecodeError:
            topic = ""  # nobody's topic: refused further up like any other
        received = Received(topic, bytes(message.payload), message.retain, _kept(message), message.mid)
        self._unacknowledged += 1
        self._waiting_bytes += _weight(received)
        if self._floods() or message.qos != 1:
            raise aiomqtt.MqttError("more at once than we allow")  # handled where it was read, see `_read`
        self.inbox.append(received)
        self.arrived.set()

    def _floods(self) -> bool:
        if self._session.expiry_s:
            return self._waiting_bytes > KEPT_FLOOD_BYTES
        return self._unacknowledged > FLOOD * self._session.receive_maximum

    # aiomqtt has its sockets watched from whichever thread paho is in: a writer that was removed before its late
    # addition ran stays, and spins; one added after the close is an error, or watches somebody else's descriptor.
    # So everything is done in the loop, in order, and only to descriptors that are ours.

    def _in_loop(self, work: Callable[[ssl.SSLSocket], None], sock: ssl.SSLSocket) -> None:
        if asyncio._get_running_loop() is self._loop:
            work(sock)
        else:
            self._loop.call_soon_threadsafe(work, sock)

    def _on_socket_open(self, client: paho.Client, userdata: Any, sock: Any) -> None:  # noqa: ARG002
        self._in_loop(self._begin_reading, sock)

    def _on_socket_close(self, client: paho.Client, userdata: Any, sock: Any) -> None:  # noqa: ARG002
        self._in_loop(self._end_reading, sock)

    def _on_socket_register_write(self, client: paho.Client, userdata: Any, sock: Any) -> None:  # noqa: ARG002
        self._in_loop(self._begin_writing, sock)

    def _on_socket_unregister_write(self, client: paho.Client, userdata: Any, sock: Any) -> None:  # noqa: ARG002
        self._in_loop(self._end_writing, sock)

    def _begin_reading(self, sock: ssl.SSLSocket) -> None:
        if (descriptor := sock.fileno()) >= 0:  # closed again before we got here: nothing to watch
            self._reading = descriptor
            self._loop.add_reader(descriptor, self._read)
            self._misc_task = self._loop.create_task(self._misc_loop())

    def _end_reading(self, _sock: ssl.SSLSocket) -> None:
        if self._reading is not None:
            self._loop.remove_reader(self._reading)
            self._reading = None
        if self._misc_task is not None:
            self._misc_task.cancel()

    def _begin_writing(self, sock: ssl.SSLSocket) -> None:
        if (descriptor := sock.fileno()) >= 0:
            self._writing = descriptor
            self._loop.add_writer(descriptor, self._write)

    def _end_writing(self, _sock: ssl.SSLSocket) -> None:
        if self._writing is not None:
            self._loop.remove_writer(self._writing)
            self._writing = None

    async def _misc_loop(self) -> None:
        while self._client.loop_misc() == MQTTErrorCode.MQTT_ERR_SUCCESS:  # noqa: ASYNC110
            await asyncio.sleep(min(TICK_S, self._client._keepalive / 4))

    def _read(self) -> None:
        try:
            self._client.loop_read()
            # TLS may hold decrypted bytes that select() knows nothing of.
            while isinstance(sock := self._client.socket(), ssl.SSLSocket) and sock.pending() > 0:
                self._client.loop_read()
            if self._client._in_packet["remaining_length"] > MAX_PACKET or self._client._in_messages:
                raise aiomqtt.MqttError("longer than we take, or of QoS 2, which we never ask for")
        except Exception as error:  # noqa: BLE001  # whatever paho chokes on, it came off this connection
            self._abandon(error)

    def _write(self) -> None:
        try:
            self._client.loop_write()
        except Exception as error:  # noqa: BLE001
            self._abandon(error)

    def _abandon(self, why: Exception) -> None:
        if not self._connected.done():
            self._connected.set_exception(aiomqtt.MqttError("closed before CONNACK"))
        if isinstance(why, OSError):
            self.set_lost("uplink.connection_lost")
        else:  # of a foreign exception only the type: its text may quote what came
            self.set_lost(
                "uplink.garbage", said=str(why) if isinstance(why, aiomqtt.MqttError) else type(why).__name__
            )
        self.drop()

    def set_lost(self, code: str, mqtt_reason: int | None = None, said: str = "") -> None:
        """The connection has ended; the first reason given stays."""
        if not self.lost.done():
            self.lost.set_result((code, mqtt_reason, said))
        if self._stall is not None:
            self._stall.cancel()
        self.in_flight.end()
        # What has arrived stays in `inbox`: it can't be acknowledged any more, but a broker that was killed may
        # not remember having sent it (mosquitto saves what waits for a subscriber, not what is on its way).
        self.arrived.set()

    def send(
        self, topic: str, payload: bytes, retain: bool, properties: Properties, *, reserved: bool
    ) -> asyncio.Future[Answer | None] | None:
        """Hand a QoS 1 publication to the socket; what will bring its answer, None without a connection.

        `reserved`: a slot of `in_flight` was kept for it.
        """
        sent = self._client.publish(topic, payload, 1, retain, properties)
        if sent.rc != MQTTErrorCode.MQTT_ERR_SUCCESS:
            return None
        answer = self.in_flight.sent(sent.mid, self._loop.time(), reserved=reserved)
        if self._stall is None:
            self._watch()
        return answer

    def _watch(self) -> None:
        """Look again when the oldest publication will have waited too long; one timer, however many there are."""
        deadline = None if self.lost.done() else self.in_flight.deadline()
        if deadline is not None and deadline <= self._loop.time():
            self.give_up()
        self._stall = (
            None if deadline is None or self.lost.done() else self._loop.call_at(deadline, self._watch)
        )

    def give_up(self) -> None:
        """Alive to TCP, dead to us: nothing more comes out of this connection, so nobody may wait on it."""
        self.set_lost("uplink.no_answer")
        self.drop()

    def acknowledge(self, message: Received) -> None:
        """Send the PUBACK of a message that has arrived."""
        self._unacknowledged -= 1
        self._waiting_bytes -= _weight(message)
        self._client.ack(message.mid, 1)

    def drop(self) -> None:
        """Close the socket at once, whatever state it is in, and take it out of the loop."""
        self._client._sock_close()
        self.set_lost("uplink.connection_lost")


def new_properties(packet: int) -> Properties:
    """An empty set of MQTT 5 properties for one type of packet."""
    return Properties(packet)  # type: ignore[no-untyped-call]  # paho's own annotation is missing


def _kept(message: paho.MQTTMessage) -> dict[str, str]:
    """The user properties of a message, as far as they are few and short."""
    pairs: list[tuple[str, str]] = getattr(message.properties, "UserProperty", None) or []
    return {name: value for name, value in pairs[:MAX_PROPERTIES] if len(name) + len(value) <= MAX_PROPERTY}


def _weight(message: Received) -> int:
    """What a message that waits costs, in bytes."""
    return MESSAGE_BYTES + len(message.topic) + len(message.payload)


def _connect_properties(session: Session) -> Properties:
    properties = new_properties(PacketTypes.CONNECT)
    properties.SessionExpiryInterval = session.expiry_s
    properties.ReceiveMaximum = session.receive_maximum
    properties.MaximumPacketSize = MAX_PACKET
    return properties


def _silent_logger() -> logging.Logger:
    """paho's own log lines repeat what our codes say, and name topics."""
    logger = logging.getLogger("edged.uplink.paho")
    logger.disabled = True
    return logger
