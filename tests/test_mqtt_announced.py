"""What a CONNACK announces is understood and kept to; what isn't MQTT 5 ends the connection and nothing else."""

from __future__ import annotations

import asyncio
import logging
import random
import socket
import sys
from typing import TYPE_CHECKING

import pytest

from edged import messages
from edged.errors import UplinkError
from edged.uplink import mqtt_client, topics
from edged.uplink.announced import MAX_SAID, printable
from edged.uplink.mqtt import Endpoint, PublishRefusedError, Session, Will, connect
from edged.uplink.mqtt_client import FLOOD, MESSAGE_BYTES
from edged.uplink.mqtt_types import MAX_PACKET
from tests.broker import FLEET, Town, ended, session
from tests.scripted import Scripted, connack, disconnect, packet, puback, publish, scripted_broker, text

if TYPE_CHECKING:
    pass

TOPIC = topics.verdict(FLEET, "box-1", "bank")


@pytest.fixture(autouse=True)
def quiet_loop(caplog: pytest.LogCaptureFixture) -> object:
    """asyncio only logs what a callback raises; here that fails the test."""
    yield
    assert [
        record
        for record in caplog.get_records("call")
        if record.name == "asyncio" and record.levelno >= logging.ERROR
    ] == []


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Town:
    return Town(tmp_path_factory.mktemp("town"))


async def refused(endpoint: Endpoint, wanted: Session | None = None) -> UplinkError:
    with pytest.raises(UplinkError) as caught:
        async with connect(endpoint, wanted or session("box-1")):
            pytest.fail("let in")
    assert messages.known(caught.value.code)
    return caught.value


async def test_everything_a_broker_announces(place: Town) -> None:
    said = b"\x21\x00\x07\x27\x00\x00\x10\x00\x24\x01\x25\x00\x28\x00\x2a\x00\x13\x00\x05"
    async with scripted_broker(place) as (broker, endpoint):
        broker.script.connack = connack(raw=said + b"\x11\x00\x00\x00\x3c")
        async with connect(endpoint, session("box-1")) as box:
            told = box.announced
            assert (told.receive_maximum, told.max_packet, told.max_qos) == (7, 4096, 1)
            assert (told.retain, told.wildcard, told.shared) == (False, False, False)
            assert (told.keepalive_s, told.session_expiry_s, told.client_id) == (5, 60, None)
            assert (box.window, box.free) == (7, 7)
            assert box._client._client._keepalive == 5, "the broker wants to hear more often"
            with pytest.raises(PublishRefusedError) as caught:
                await box.publish(TOPIC, b"x" * 4096)
            assert caught.value.code == "mqtt.packet_too_large"
            await box.publish(TOPIC, b"x", retain=True)
            assert not broker.published[-1].retain, "it keeps none, and would hang up"
            for topic_filter, code in (
                ("a/+", "mqtt.wildcard_subscription_not_supported"),
                ("$share/collectors/a", "mqtt.shared_subscription_not_supported"),
            ):
                with pytest.raises(UplinkError) as error:
                    await box.subscribe(topic_filter)
                assert error.value.code == code
            await box.subscribe("a/b")


@pytest.mark.parametrize(
    ("announced", "ours", "kept"), [(b"\x13\x02\x58", 30, 30), (b"\x13\x00\x00", 30, 30), (b"", 7, 7)]
)
async def test_a_patient_broker_does_not_make_us_blind(
    place: Town, announced: bytes, ours: int, kept: int
) -> None:
    async with scripted_broker(place, keepalive_s=ours) as (broker, endpoint):
        broker.script.connack = connack(raw=announced)
        async with connect(endpoint, session("box-1")) as box:
            assert box._client._client._keepalive == kept


async def test_a_broker_that_cannot_promise_anything_is_refused(place: Town) -> None:
    async with scripted_broker(place) as (broker, endpoint):
        broker.script.connack = connack(raw=b"\x24\x00")
        assert (await refused(endpoint)).code == "uplink.broker_without_qos"
        broker.script.connack = connack(raw=b"\x12" + text("somebody-else"))
        assert (await refused(endpoint)).code == "uplink.other_client_id"
        broker.script.connack = connack(raw=b"\x12" + text("box-1"))
        async with connect(endpoint, session("box-1")) as box:
            broker.script.suback = 0
            with pytest.raises(UplinkError) as caught:
                await box.subscribe("a")
            assert caught.value.code == "uplink.subscribed_without_qos"


async def test_a_brokers_own_words_are_kept_printable_and_bounded(place: Town) -> None:
    said = b"\x1f" + text("quota of \x1b[31mtenant 7\x07") + b"\x1c" + text("mqtt2.example:8883")
    async with scripted_broker(place) as (broker, endpoint):
        broker.script.connack = connack(0x9D, said)
        moved = await refused(endpoint)
        assert (moved.code, moved.mqtt_reason) == ("mqtt.server_moved", 0x9D)
        assert moved.detail == "quota of �[31mtenant 7� → mqtt2.example:8883"
        broker.script.connack = connack()
        async with connect(endpoint, session("box-1")) as box:
            broker.script.puback, broker.script.puback_said = (lambda _: 0x97), b"\x1f" + text("y" * 5000)
            with pytest.raises(PublishRefusedError) as caught:
                await box.publish(TOPIC, b"x")
            assert caught.value.detail == "y" * MAX_SAID + "…"
            broker.send(disconnect(0x8E, said))
            error = await ended(box)
        assert (error.code, error.mqtt_reason) == ("mqtt.session_taken_over", 0x8E)
        assert "tenant 7" in error.detail
        assert error.detail.isprintable()
    assert printable("ok\u202e") == "ok�"


async def test_the_kernel_gives_up_as_soon_as_we_do(place: Town) -> None:
    async with (
        scripted_broker(place, answer_timeout_s=7.5) as (_, endpoint),
        connect(endpoint, session("box-1")) as box,
    ):
        plain = box._client._client.socket()
        assert isinstance(plain, socket.socket)
        assert plain.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 7500


async def test_a_broker_that_leaves_without_a_reason(place: Town) -> None:
    async with scripted_broker(place) as (broker, endpoint):
        for goodbye in (disconnect(0), packet(14, b"")):
            async with connect(endpoint, session("box-1")) as box:
                broker.send(goodbye)
                assert (await ended(box)).code == "uplink.broker_left"


JUNK = {
    "a property of another packet": connack(raw=b"\x03" + text("type")),
    "no such property": connack(raw=b"\x7f\x00"),
    "a property twice": connack(raw=b"\x21\x00\x07\x21\x00\x08"),
    "receive maximum 0": connack(raw=b"\x21\x00\x00"),
    "packet size 0": connack(raw=b"\x27\x00\x00\x00\x00"),
    "properties cut off": packet(2, b"\x00\x00\x09\x21"),
    "a string longer than the packet": packet(2, b"\x00\x00\x05\x1f\xff\xff\x41\x41"),
    "a string that is no text": connack(raw=b"\x1f\x00\x02\xff\xfe"),
    "no reason at all": packet(2, b"\x00"),
    "a reason nobody knows": connack(0xFE),
    "a length of five bytes": b"\x20\xff\xff\xff\xff\x7f",
    "a packet type that clients send": packet(1, b"\x00\x00"),
    "another protocol": b"\x00\x00\x00\x00HTTP/1.1 400",
}


@pytest.mark.parametrize("answer", JUNK.values(), ids=JUNK)
async def test_junk_instead_of_a_connack(place: Town, answer: bytes) -> None:
    async with scripted_broker(place, answer_timeout_s=0.4) as (broker, endpoint):
        broker.script.connack = answer
        assert (await refused(endpoint)).code in (
            "uplink.closed_early",
            "uplink.no_answer",
            "uplink.garbage",
            "mqtt.protocol_error",
            "mqtt.unknown_reason",
        )


LATER = {
    "a puback cut off": packet(4, b"\x00"),
    "a second connack": connack(),
    "a publication whose properties lie": packet(3, text("t") + b"\x00\x01\x7f\x01", 2),
    "a publication of QoS 2": publish("t", b"x", 1, qos=2),
    "a publication of QoS 3": publish("t", b"x", 1, qos=3),
    "a packet longer than we take": b"\x32" + b"\xff\xff\x7f" + b"x" * (MAX_PACKET + 10),
    "a disconnect of nobody knows which reason": disconnect(0xFE),
}


@pytest.mark.parametrize("junk", LATER.values(), ids=LATER)
async def test_junk_on_a_good_connection_ends_it(place: Town, junk: bytes) -> None:
    async with scripted_broker(place) as (broker, endpoint):
        broker.script.puback = lambda _: None
        async with connect(endpoint, session("box-1")) as box:
            waiting = box.begin(TOPIC, b"x")
            broker.send(junk)
            error = await asyncio.wait_for(ended(box), 60)
            assert error.code in (
                "uplink.garbage",
                "mqtt.protocol_error",
                "mqtt.unknown_reason",
                "uplink.connection_lost",
            )
            assert await waiting is None, "nobody knows what became of it"


async def test_any_bytes_at_all_end_in_one_type_of_error(place: Town) -> None:
    chance = random.Random(5)
    async with scripted_broker(place, answer_timeout_s=0.2) as (broker, endpoint):
        for _ in range(40):
            body = chance.randbytes(chance.randrange(1, 60))
            broker.script.connack = chance.choice(
                [packet(chance.randrange(16), body), connack(0, body), body]
            )
            try:
                async with connect(endpoint, session("box-1")) as box:
                    box._client.drop()
            except UplinkError as error:
                assert messages.known(error.code)  # some bytes happen to be a good CONNACK


async def test_what_arrives_is_bounded_though_nobody_acknowledges(place: Town) -> None:
    async with (
        scripted_broker(place) as (broker, endpoint),
        connect(endpoint, Session("box-1", receive_maximum=5)) as box,
    ):
        for mid in range(1, FLOOD * 5 + 2):
            broker.send(publish("t", b"x", mid))
        assert (await ended(box)).code == "uplink.garbage"
        assert len(box.take(100)) == FLOOD * 5


async def test_what_a_kept_session_pours_out_is_weighed_whatever_it_consists_of(
    place: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    """mosquitto's queue is bounded by bytes of payload alone: topics and properties may be 60 KB each."""
    monkeypatch.setattr(mqtt_client, "KEPT_FLOOD_BYTES", 1 << 20)
    pair = b"\x26" + text("lane") + text("live")
    long = b"\x26" + text("n") + text("v" * 30_000)
    async with scripted_broker(place) as (broker, endpoint):
        async with connect(endpoint, Session("box-1", 60)) as box:
            broker.send(publish("t", b"", 1, raw=pair + long + pair * 1000))
            (message,) = await box.receive()
            assert message.user_properties == {"lane": "live"}
            assert sys.getsizeof(message.user_properties) < MESSAGE_BYTES
            assert box._client._waiting_bytes == MESSAGE_BYTES + len("t")
            box.acknowledge(message)
            assert box._client._waiting_bytes == 0
        async with connect(endpoint, Session("box-1", 60)) as box:
            for mid in range(1, 40):
                broker.send(publish("t" * 60_000, b"", mid))
            assert (await ended(box)).code == "uplink.garbage"
            assert len(box.take(100)) == (1 << 20) // (MESSAGE_BYTES + 60_000)


async def test_the_will_is_not_retained_where_that_is_not_possible(place: Town) -> None:
    async with scripted_broker(place) as (broker, endpoint):
        for retain in (True, False):
            async with connect(endpoint, session("box-1", will=Will("t", b"x", retain))):
                pass
        assert broker.wills_retained == [True, False]


async def test_slots_are_the_brokers_to_give_back(place: Town) -> None:
    """Somebody who stops waiting doesn't free a slot: the broker still counts the publication."""
    async with scripted_broker(place) as (broker, endpoint):
        broker.script.connack = connack(raw=b"\x21\x00\x02")
        broker.script.puback = lambda _: None
        async with connect(endpoint, session("box-1")) as box:
            first = asyncio.ensure_future(box.publish(TOPIC, b"1"))
            await broker.until(lambda b: len(b.published) == 1)
            first.cancel()
            assert box.free == 1
            second = asyncio.ensure_future(box.publish(TOPIC, b"2"))
            third = asyncio.ensure_future(box.publish(TOPIC, b"3"))
            fourth = asyncio.ensure_future(box.publish(TOPIC, b"4"))
            await broker.until(lambda b: len(b.published) == 2)
            third.cancel()
            assert box.free == 0
            broker.send(puback(broker.published[0].mid))
            await broker.until(lambda b: len(b.published) == 3)
            assert [one.payload for one in broker.published] == [b"1", b"2", b"4"]
            for one in broker.published[1:]:
                broker.send(puback(one.mid))
            await asyncio.gather(second, fourth)
            assert box.free == 2


def test_the_script_speaks_for_itself() -> None:
    assert Scripted().script.connack == b"\x20\x03\x00\x00\x00"
