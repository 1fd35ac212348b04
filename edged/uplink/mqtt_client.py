"""One connection of aiomqtt 2.5, bent to what the outbox needs. The only module that knows private names.

aiomqtt's own `publish` ignores the reason code of a PUBACK and doesn't notice a lost connection, its reader
acknowledges before anybody has stored the message, and its `connect` waits out its time-out when a broker
hangs up. What is overridden here are private methods of aiomqtt (pinned to 2.5) and callbacks of paho 2; a
contract test against a real broker keeps it honest.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import aiomqtt
import msgspec
from paho.mqtt.enums import MQTTErrorCode
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from edged.errors import CertificateError
from edged.uplink.keys import read_private
from edged.uplink.reason_codes import KEEP_ALIVE_TIMEOUT, reason_code
from edged.uplink.sign import MAX_COMPACT

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import paho.mqtt.client as paho
    from paho.mqtt.reasoncodes import ReasonCode

MAX_PACKET: Final = MAX_COMPACT + 2048
"""Largest packet a peer may send us: a signed message, its topic and properties."""

DEFAULT_WINDOW: Final = 32
"""Publications in flight, unless the broker allows fewer: enough to fill a long line, few to repeat."""

SERVER_DEFAULT_RECEIVE_MAXIMUM: Final = 65_535  # MQTT 5 §3.2.2.3.3: what a broker allows that doesn't say


class Endpoint(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where a broker listens and as whom we come. The key file must have mode 0600."""

    host: str
    ca: Path
    """Certificates that the broker's own certificate must chain to."""
    certificate: Path
    key: Path
    port: Annotated[int, msgspec.Meta(ge=1, le=65_535)] = 8883
    keepalive_s: Annotated[int, msgspec.Meta(ge=1, le=600)] = 30
    """A silent connection is noticed within twice this. Never 0: that would switch noticing off."""
    connect_timeout_s: Annotated[float, msgspec.Meta(gt=0, le=60)] = 5.0
    answer_timeout_s: Annotated[float, msgspec.Meta(gt=0, le=60)] = 10.0
    """A broker that takes longer for a CONNACK, SUBACK or PUBACK is treated as gone."""


class Will(msgspec.Struct, frozen=True):
    """What the broker publishes, retained, when we vanish without a word."""

    topic: str
    payload: bytes


class Session(msgspec.Struct, frozen=True):
    """What the broker keeps for us. `expiry_s` 0 means a clean start: nothing is kept, nothing comes late."""

    client_id: str
    expiry_s: int = 0
    receive_maximum: int = 100
    """Messages the broker may send before we acknowledge any: our bound on memory."""
    will: Will | None = None
    window: int = DEFAULT_WINDOW


@dataclass(frozen=True, slots=True)
class Received:
    """A message of QoS 1, to be given to `Connection.acknowledge` once it is stored."""

    topic: str
    payload: bytes
    retained: bool
    user_properties: Mapping[str, str]
    mid: int = field(repr=False)


class Client(aiomqtt.Client):
    """One connection; every callback runs in the event loop's thread.

    Attributes:
        lost: set, with a catalogue code and MQTT's own where the broker gave one, when the connection ends.
        acks: packet identifier to the reason code of its PUBACK, of those that somebody waits for.
        inbox: messages of QoS 1 that have arrived; `arrived` is set with each, and when the connection ends.
        ignored: messages of QoS 0 that were dropped.
        session_present: whether the broker had kept our session.
        shared_available: whether the broker has shared subscriptions.
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
            will=aiomqtt.Will(will.topic, will.payload, 1, True) if will else None,
            tls_context=context,
            keepalive=endpoint.keepalive_s,
            timeout=endpoint.answer_timeout_s,
            max_inflight_messages=session.window,
            logger=_silent_logger(),
        )
        self._context = context
        self._client.connect_timeout = endpoint.connect_timeout_s
        self._client.manual_ack_set(True)
        self.lost: asyncio.Future[tuple[str, int | None]] = self._loop.create_future()
        self.connect_error: OSError | ValueError | None = None
        self.session_present = False
        self.receive_maximum = SERVER_DEFAULT_RECEIVE_MAXIMUM
        self.max_packet: int | None = None
        self.shared_available = True
        self._reading: int | None = None
        self._writing: int | None = None
        self.acks: dict[int, asyncio.Future[int]] = {}
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
        self.session_present = flags.session_present
        self.receive_maximum = getattr(properties, "ReceiveMaximum", SERVER_DEFAULT_RECEIVE_MAXIMUM)
        self.max_packet = getattr(properties, "MaximumPacketSize", None)
        self.shared_available = getattr(properties, "SharedSubscriptionAvailable", 1) != 0
        super()._on_connect(client, userdata, flags, code, properties)

    def _on_disconnect(
        self, client: paho.Client, userdata: Any, flags: Any, code: ReasonCode, properties: Any = None
    ) -> None:
        if not self._connected.done():
            # The base would wait for its time-out: a broker that dislikes our certificate just hangs up here.
            self._connected.set_exception(aiomqtt.MqttError("closed before CONNACK"))
        if flags.is_disconnect_packet_from_server or code.value == KEEP_ALIVE_TIMEOUT:
            self.set_lost(reason_code(code.value), code.value)
        else:
            self.set_lost("uplink.connection_lost")
        super()._on_disconnect(client, userdata, flags, code, properties)
        if self._disconnected.done() and not self._disconnected.cancelled():
            self._disconnected.exception()  # retrieved: what `lost` carries says more, and nobody awaits this

    def _on_publish(
        self, client: paho.Client, userdata: Any, mid: int, code: ReasonCode, properties: Properties
    ) -> None:
        ack = self.acks.get(mid)
        if ack is None:
            super()._on_publish(client, userdata, mid, code, properties)
        elif not ack.done():
            ack.set_result(code.value)

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
        pairs = getattr(message.properties, "UserProperty", None) or []
        self.inbox.append(Received(topic, bytes(message.payload), message.retain, dict(pairs), message.mid))
        self.arrived.set()

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

    def _read(self) -> None:
        try:
            self._client.loop_read()
            # TLS may hold decrypted bytes that select() knows nothing of.
            while isinstance(sock := self._client.socket(), ssl.SSLSocket) and sock.pending() > 0:
                self._client.loop_read()
        except Exception:  # noqa: BLE001  # whatever paho chokes on, it came off this connection
            self._abandon()

    def _write(self) -> None:
        try:
            self._client.loop_write()
        except Exception:  # noqa: BLE001
            self._abandon()

    def _abandon(self) -> None:
        if not self._connected.done():
            self._connected.set_exception(aiomqtt.MqttError("closed before CONNACK"))
        self.drop()

    def set_lost(self, code: str, mqtt_reason: int | None = None) -> None:
        """The connection has ended; the first reason given stays."""
        if not self.lost.done():
            self.lost.set_result((code, mqtt_reason))
        # What has arrived stays in `inbox`: it can't be acknowledged any more, but a broker that was killed may
        # not remember having sent it (mosquitto saves what waits for a subscriber, not what is on its way).
        self.arrived.set()

    def send(self, topic: str, payload: bytes, retain: bool, properties: Properties) -> int | None:
        """Hand a QoS 1 publication to the socket; its packet identifier, None without a connection."""
        sent = self._client.publish(topic, payload, 1, retain, properties)
        return sent.mid if sent.rc == MQTTErrorCode.MQTT_ERR_SUCCESS else None

    def acknowledge(self, mid: int) -> None:
        """Send the PUBACK of a message that has arrived."""
        self._client.ack(mid, 1)

    def drop(self) -> None:
        """Close the socket at once, whatever state it is in, and take it out of the loop."""
        self._client._sock_close()
        self.set_lost("uplink.connection_lost")


class Context(ssl.SSLContext):
    """Remembers the socket it wrapped last: paho leaves that open when the handshake fails."""

    _last: ssl.SSLSocket | None = None

    def wrap_socket(self, *args: Any, **kwargs: Any) -> ssl.SSLSocket:
        """As the base does."""
        self._last = super().wrap_socket(*args, **kwargs)
        return self._last

    def close_last(self) -> None:
        """Close the socket of a handshake that failed."""
        if self._last is not None:
            self._last.close()


def tls_context(endpoint: Endpoint) -> Context:
    """Mutual TLS 1.3, host name checked. Reads files. Raises `CertificateError`."""
    read_private(endpoint.key)  # refuses a key that others can read; OpenSSL wouldn't
    context = Context(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = True
    context.verify_mode = ssl.CERT_REQUIRED
    try:
        context.load_verify_locations(endpoint.ca)
    except ssl.SSLError as error:
        raise CertificateError("cert.malformed", str(endpoint.ca)) from error
    except OSError as error:
        raise CertificateError("cert.unreadable", f"{endpoint.ca}: {error.strerror}") from error
    try:
        context.load_cert_chain(endpoint.certificate, endpoint.key)
    except ssl.SSLError as error:
        raise CertificateError("cert.key_mismatch", str(endpoint.certificate)) from error
    except OSError as error:
        raise CertificateError("cert.unreadable", f"{endpoint.certificate}: {error.strerror}") from error
    return context


def new_properties(packet: int) -> Properties:
    """An empty set of MQTT 5 properties for one type of packet."""
    return Properties(packet)  # type: ignore[no-untyped-call]  # paho's own annotation is missing


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
