"""A broker that does what a test tells it, MQTT 5 byte by byte over TLS: it knows nothing of any MQTT library."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from edged.uplink.names import Role
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from edged.uplink.mqtt import Endpoint
    from tests.broker import Town

CONNECT, CONNACK, PUBLISH, PUBACK, SUBSCRIBE, SUBACK, PINGREQ, DISCONNECT = 1, 2, 3, 4, 8, 9, 12, 14


def varint(value: int) -> bytes:
    out = bytearray()
    while True:
        value, low = divmod(value, 128)
        out.append(low | (0x80 if value else 0))
        if not value:
            return bytes(out)


def packet(kind: int, body: bytes, flags: int = 0) -> bytes:
    return bytes([kind << 4 | flags]) + varint(len(body)) + body


def text(value: str) -> bytes:
    raw = value.encode()
    return len(raw).to_bytes(2) + raw


def properties(raw: bytes = b"") -> bytes:
    return varint(len(raw)) + raw


def connack(reason: int = 0, raw: bytes = b"", flags: int = 0) -> bytes:
    return packet(CONNACK, bytes([flags, reason]) + properties(raw))


def puback(mid: int, reason: int = 0, raw: bytes = b"") -> bytes:
    return packet(PUBACK, mid.to_bytes(2) + bytes([reason]) + properties(raw))


def disconnect(reason: int, raw: bytes = b"") -> bytes:
    return packet(DISCONNECT, bytes([reason]) + properties(raw))


def publish(topic: str, payload: bytes, mid: int, qos: int = 1, raw: bytes = b"") -> bytes:
    """`raw`: its properties."""
    return packet(PUBLISH, text(topic) + mid.to_bytes(2) + properties(raw) + payload, qos << 1)


@dataclass(frozen=True)
class Publication:
    topic: str
    payload: bytes
    mid: int
    retain: bool
    lane: str | None


@dataclass
class Script:
    """What the broker says; change it while it runs."""

    connack: bytes | None = field(default_factory=connack)
    suback: int | None = 1
    puback: Callable[[Publication], int | None] = lambda _: 0
    """The reason code of a PUBACK; None for none at all."""
    puback_said: bytes = b""
    pong: bool = True
    reading: bool = True
    rate: float | None = None
    """Bytes of publications per second that the line carries; None for any number."""


def _say(writer: asyncio.StreamWriter, raw: bytes) -> None:
    if writer.is_closing() or writer._reader._eof:  # type: ignore[attr-defined]
        raise ConnectionError("client is gone")
    writer.write(raw)


class Scripted:
    """The broker: its script, and what it has seen."""

    def __init__(self) -> None:
        self.script = Script()
        self.published: list[Publication] = []
        self.clients: list[str] = []
        self.wills_retained: list[bool] = []
        self.unanswered = 0
        self.most_unanswered = 0
        self.acknowledged: list[int] = []
        self._writers: list[asyncio.StreamWriter] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = 0

    def send(self, raw: bytes) -> None:
        """To the latest connection."""
        self._writers[-1].write(raw)

    def verdicts(self) -> list[Publication]:
        return [one for one in self.published if "/verdict/" in one.topic]

    async def until(self, condition: Callable[[Scripted], Any], seconds: float = 60.0) -> None:
        await until(lambda: condition(self), seconds)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.unanswered = 0
        try:
            while True:
                while not self.script.reading:
                    await asyncio.sleep(0.01)
                await self._packet(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.transport.abort()
            self._tasks.discard(task)

    async def _packet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first = (await reader.readexactly(1))[0]
        length, shift = 0, 0
        while True:
            byte = (await reader.readexactly(1))[0]
            length |= (byte & 127) << shift
            shift += 7
            if not byte & 128:
                break
        body = await reader.readexactly(length)
        match first >> 4:
            case 1:
                self._connect(body, writer)
            case 3:
                await self._publish(first, body, writer)
            case 4:
                self.acknowledged.append(int.from_bytes(body[:2]))
            case 8 if self.script.suback is not None:
                _say(writer, packet(SUBACK, body[:2] + properties() + bytes([self.script.suback])))
            case 12 if self.script.pong:
                _say(writer, packet(13, b""))
            case 14:
                raise ConnectionError("client has left")

    def _connect(self, body: bytes, writer: asyncio.StreamWriter) -> None:
        rest = body[10:]  # protocol name, version, flags, keep-alive
        skip = rest[0] + 1
        name_length = int.from_bytes(rest[skip : skip + 2])
        self.clients.append(rest[skip + 2 : skip + 2 + name_length].decode())
        self.wills_retained.append(bool(body[7] & 0x20))
        if self.script.connack is not None:
            _say(writer, self.script.connack)

    async def _publish(self, first: int, body: bytes, writer: asyncio.StreamWriter) -> None:
        end = 2 + int.from_bytes(body[:2])
        topic, mid = body[2:end].decode(), int.from_bytes(body[end : end + 2])
        length = body[end + 2]  # of the properties: fewer than 128 bytes in everything we send
        raw, payload = body[end + 3 : end + 3 + length], body[end + 3 + length :]
        lane = next((lane for lane in ("live", "backlog") if lane.encode() in raw), None)
        one = Publication(topic, payload, mid, bool(first & 1), lane)
        self.published.append(one)
        self.unanswered += 1
        self.most_unanswered = max(self.most_unanswered, self.unanswered)
        if self.script.rate is not None:
            await asyncio.sleep(len(body) / self.script.rate)
        reason = self.script.puback(one)
        if reason is not None:
            self.unanswered -= 1
            _say(writer, puback(mid, reason, self.script.puback_said))

    async def drop(self) -> None:
        """Close every connection, without a word."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


@contextlib.asynccontextmanager
async def scripted_broker(place: Town, **settings: Any) -> AsyncIterator[tuple[Scripted, Endpoint]]:
    """A running one, and how a box reaches it."""
    broker = Scripted()
    files = place.fleet.issue_server("scripted", ("127.0.0.1",))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.certificate, files.key)
    server = await asyncio.start_server(broker.serve, "127.0.0.1", 0, ssl=context, limit=4096)
    try:
        port = server.sockets[0].getsockname()[1]
        yield broker, place.endpoint(Role.DEVICE, "box-1", port=port, **settings)
    finally:
        server.close()
        await broker.drop()
