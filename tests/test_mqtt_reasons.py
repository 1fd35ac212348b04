"""Every reason code of MQTT 5 that can end or refuse something reaches a person as words.

The broker here is a dozen lines that say over TLS what a test tells them to.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from typing import TYPE_CHECKING

import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.reasoncodes import ReasonCode

from edged import messages
from edged.errors import UplinkError
from edged.uplink.mqtt import Connection, Endpoint, PublishRefusedError, connect
from edged.uplink.names import Role
from edged.uplink.reason_codes import FAILURE, REASONS, reason_code
from tests.broker import Town, ended, session

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

CONNACK = b"\x20\x03\x00\x00\x00"
FAILURES = {
    packet: sorted(
        value
        for value, names in ReasonCode(PacketTypes.CONNACK).names.items()
        if value >= FAILURE and any(packet in packets for packets in names.values())
    )
    for packet in (PacketTypes.CONNACK, PacketTypes.PUBACK, PacketTypes.SUBACK, PacketTypes.DISCONNECT)
}


UNLISTED = [0x81, 0x95, 0x96, 0xFE]
"""What the standard doesn't list for every packet, or at all: brokers send such, and mean it."""


def failures(packet: int) -> list[int]:
    return sorted({*FAILURES[packet], *UNLISTED})


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Town:
    return Town(tmp_path_factory.mktemp("town"))  # its certificates; no mosquitto is started


@contextlib.asynccontextmanager
async def scripted(place: Town, *answers: bytes) -> AsyncIterator[Endpoint]:
    """A broker that answers each packet with the next of `answers`; `?` is the packet's identifier."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for answer in answers:
            header = await reader.readexactly(2)
            body = await reader.readexactly(header[1])
            topic = int.from_bytes(body[:2]) if header[0] >> 4 == 3 else -2
            writer.write(answer.replace(b"?", body[topic + 2 : topic + 4]))
        with contextlib.suppress(ConnectionError):
            await reader.read()
        writer.close()

    files = place.fleet.issue_server("scripted", ("127.0.0.1",))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.certificate, files.key)
    async with await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context) as server:
        yield place.endpoint(Role.DEVICE, "box-1", port=server.sockets[0].getsockname()[1])


async def attempt(endpoint: Endpoint) -> Connection:
    async with connect(endpoint, session("b")) as connection:
        return connection


def test_the_table_is_complete() -> None:
    assert {value for values in FAILURES.values() for value in values} == set(REASONS)
    assert reason_code(0xFE) == "mqtt.unknown_reason"
    for code in (*REASONS.values(), "mqtt.unknown_reason"):
        assert messages.known(code)


@pytest.mark.parametrize("value", failures(PacketTypes.CONNACK), ids=hex)
async def test_connack(place: Town, value: int) -> None:
    async with scripted(place, b"\x20\x03\x00" + bytes([value]) + b"\x00") as endpoint:
        with pytest.raises(UplinkError) as caught:
            await attempt(endpoint)
    assert (caught.value.code, caught.value.mqtt_reason) == (reason_code(value), value)


@pytest.mark.parametrize("value", failures(PacketTypes.PUBACK), ids=hex)
async def test_puback(place: Town, value: int) -> None:
    async with (
        scripted(place, CONNACK, b"\x40\x04?" + bytes([value]) + b"\x00") as endpoint,
        connect(endpoint, session("b")) as box,
    ):
        with pytest.raises(PublishRefusedError) as caught:
            await box.publish("t", b"x")
    assert (caught.value.code, caught.value.mqtt_reason) == (reason_code(value), value)


@pytest.mark.parametrize("value", [0x00, 0x10], ids=hex)
async def test_a_publication_that_nobody_subscribes_to_is_no_failure(place: Town, value: int) -> None:
    async with (
        scripted(place, CONNACK, b"\x40\x04?" + bytes([value]) + b"\x00") as endpoint,
        connect(endpoint, session("b")) as box,
    ):
        assert await box.publish("t", b"x") == value


@pytest.mark.parametrize("value", failures(PacketTypes.SUBACK), ids=hex)
async def test_suback(place: Town, value: int) -> None:
    async with (
        scripted(place, CONNACK, b"\x90\x04?\x00" + bytes([value])) as endpoint,
        connect(endpoint, session("b")) as box,
    ):
        with pytest.raises(UplinkError) as caught:
            await box.subscribe("t")
    assert (caught.value.code, caught.value.mqtt_reason) == (reason_code(value), value)


@pytest.mark.parametrize("value", failures(PacketTypes.DISCONNECT), ids=hex)
async def test_disconnect(place: Town, value: int) -> None:
    async with (
        scripted(place, CONNACK, b"\xe0\x02" + bytes([value]) + b"\x00") as endpoint,
        connect(endpoint, session("b")) as box,
    ):
        with pytest.raises(UplinkError) as caught:
            await box.publish("t", b"x")
        assert (caught.value.code, caught.value.mqtt_reason) == (reason_code(value), value)
        assert (await ended(box)).code == reason_code(value)


async def test_a_broker_that_allows_one_at_a_time_gets_one_at_a_time(place: Town) -> None:
    one_at_a_time = b"\x20\x06\x00\x00\x03\x21\x00\x01"  # CONNACK, Receive Maximum 1
    async with (
        scripted(place, one_at_a_time, *[b"\x40\x02?"] * 5) as endpoint,
        connect(endpoint, session("b")) as box,
    ):
        assert (box.window, box.announced.receive_maximum) == (1, 1)
        await asyncio.gather(*(box.publish("t", b"x") for _ in range(5)))


async def test_garbage_instead_of_an_answer(place: Town) -> None:
    async with scripted(place, b"HTTP/1.1 400 Bad Request\r\n\r\n") as endpoint:
        quick = place.endpoint(Role.DEVICE, "box-1", port=endpoint.port, answer_timeout_s=0.5)
        with pytest.raises(UplinkError) as caught:
            await attempt(quick)
    assert caught.value.code in ("uplink.closed_early", "uplink.no_answer")


async def test_a_network_that_dies_silently_is_noticed(place: Town, tmp_path: Path) -> None:
    """Nothing comes back, not even a PINGRESP: twice the keep-alive is the bound."""
    async with scripted(place, CONNACK) as endpoint:
        quick = place.endpoint(Role.DEVICE, "box-1", port=endpoint.port, keepalive_s=1)
        async with connect(quick, session("b")) as box:
            reason = await asyncio.wait_for(ended(box), 60)
    assert reason.code == "mqtt.keep_alive_timeout"
