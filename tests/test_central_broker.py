"""The broker at the centre: gap records and replays keep to their own, shared subscriptions, revoked certificates."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from cryptography import x509

from edged.central.collector import shared_filters
from edged.central.leave import Left, leave
from edged.central.mosquitto import Listener, configuration
from edged.central.settings import SESSION_EXPIRY_S
from edged.errors import UplinkError
from edged.uplink import topics
from edged.uplink.mqtt import Connection, PublishRefusedError, connect
from edged.uplink.names import Role
from tests.broker import FLEET, NOW, Town, session, town
from tests.test_mqtt_reasons import scripted

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    with town(tmp_path_factory.mktemp("town")) as made:
        yield made


@contextlib.asynccontextmanager
async def party(place: Town, role: Role, name: str) -> AsyncIterator[Connection]:
    async with connect(place.endpoint(role, name), session(name)) as connection:
        yield connection


@contextlib.asynccontextmanager
async def everybody(place: Town) -> AsyncIterator[dict[str, Connection]]:
    roles = {
        "box-1": Role.DEVICE,
        "box-2": Role.DEVICE,
        "bank": Role.AUDIENCE,
        "hotel": Role.AUDIENCE,
        "centre": Role.COLLECTOR,
        "ops": Role.ADMIN,
    }
    async with contextlib.AsyncExitStack() as stack:
        yield {
            name: await stack.enter_async_context(party(place, role, name)) for name, role in roles.items()
        }


GAP = topics.gap(FLEET, "box-1", "bank")
REQUEST = topics.replay_request(FLEET, "bank")
ANSWER = topics.replay_answer(FLEET, "bank", "r1")


@pytest.mark.parametrize(
    ("topic", "writers"),
    [(GAP, {"box-1"}), (REQUEST, {"bank"}), (ANSWER, {"centre"})],
    ids=["gap", "request", "answer"],
)
async def test_who_may_write(place: Town, topic: str, writers: set[str]) -> None:
    async with everybody(place) as parties:
        for name, connection in parties.items():
            if name in writers:
                await connection.publish(topic, b"mine")
            else:
                with pytest.raises(PublishRefusedError) as caught:
                    await connection.publish(topic, b"forged")
                assert caught.value.code == "mqtt.not_authorized", name


async def test_who_may_read(place: Town) -> None:
    """Subscriptions are granted to anybody; what counts is what arrives, and to whom."""
    async with everybody(place) as parties:
        for connection in parties.values():
            await connection.subscribe("#")
        for writer, topic in (("box-1", GAP), ("bank", REQUEST), ("centre", ANSWER)):
            await parties[writer].publish(topic, topic.encode())
        # A last message to each, on a topic it may read: what it may not would have come before.
        await parties["centre"].publish(topics.receipt(FLEET, "box-1"), b"end")
        await parties["centre"].publish(topics.receipt(FLEET, "box-2"), b"end")
        await parties["ops"].publish(f"edged/1/{FLEET}/keys", b"end")
        for name in ("bank", "hotel", "centre"):
            audience = name if name != "centre" else "bank"
            await parties["box-2"].publish(topics.verdict(FLEET, "box-2", audience), b"end")
        heard = {
            name: await until_end(parties[name]) for name in ("box-1", "box-2", "bank", "hotel", "centre")
        }
    assert heard["bank"] == {GAP, ANSWER}
    assert heard["centre"] == {GAP, REQUEST}
    assert heard["hotel"] == heard["box-1"] == heard["box-2"] == set()


async def until_end(connection: Connection) -> set[str]:
    """Topics of gap records and replays that came before the last message."""
    heard: set[str] = set()
    async with asyncio.timeout(60):
        while True:
            for message in await connection.receive(9):
                connection.acknowledge(message)
                if message.payload == b"end":
                    return heard
                heard.add(message.topic)


async def test_a_shared_subscription_hands_each_message_to_one(place: Town) -> None:
    """Rights are checked against the filter behind `$share/GROUP/`: no line of the access list names a group."""
    async with party(place, Role.COLLECTOR, "centre") as one, party(place, Role.COLLECTOR, "second") as two:
        for worker in (one, two):
            for shared in shared_filters(FLEET, "collectors"):
                await worker.subscribe(shared)
        async with party(place, Role.DEVICE, "box-1") as box, party(place, Role.AUDIENCE, "bank") as bank:
            for number in range(20):
                await box.publish(topics.verdict(FLEET, "box-1", "bank"), b"%d" % number)
            await box.publish(GAP, b"gap")
            await bank.publish(REQUEST, b"request")
        heard: list[list[bytes]] = [[], []]
        async with asyncio.timeout(60):
            while sum(map(len, heard)) < 22:
                for worker, payloads in zip((one, two), heard, strict=True):
                    payloads += [message.payload for message in worker.take(9)]
                await asyncio.sleep(0.01)
    assert all(heard), "both had their share"
    assert sorted(heard[0] + heard[1]) == sorted([*(b"%d" % n for n in range(20)), b"gap", b"request"])


async def test_a_group_gives_no_right_that_the_plain_filter_lacks(place: Town) -> None:
    async with party(place, Role.AUDIENCE, "hotel") as hotel:
        await hotel.subscribe(topics.shared(topics.every_stream(FLEET)[1], "collectors"))
        await hotel.subscribe(topics.shared(topics.every_stream(FLEET, "bank")[0], "other"))
        await hotel.subscribe(topics.every_stream(FLEET, "hotel")[0])
        async with party(place, Role.DEVICE, "box-1") as box:
            await box.publish(GAP, b"for the bank")
            await box.publish(topics.verdict(FLEET, "box-1", "bank"), b"for the bank")
            await box.publish(topics.verdict(FLEET, "box-1", "hotel"), b"for the hotel")
        assert [message.payload for message in await hotel.receive(9)] == [b"for the hotel"]


async def test_a_broker_without_shared_subscriptions_is_named(place: Town) -> None:
    """CONNACK with Shared Subscription Available 0: subscribing all the same would be a protocol error."""
    async with (
        scripted(place, b"\x20\x05\x00\x00\x02\x2a\x00") as endpoint,
        connect(endpoint, session("x")) as to,
    ):
        with pytest.raises(UplinkError) as caught:
            await to.subscribe(shared_filters(FLEET, "collectors")[0])
        assert caught.value.code == "mqtt.shared_subscription_not_supported"


async def test_who_leaves_is_handed_nothing_more(place: Town) -> None:
    """An absent member keeps its share, until it has left."""
    endpoint = place.endpoint(Role.COLLECTOR, "second")
    kept = session("collector.second", expiry_s=SESSION_EXPIRY_S)
    shared = topics.shared(topics.every_stream(FLEET)[0], "leavers")
    async with connect(endpoint, kept) as going:
        await going.subscribe(shared)
    async with party(place, Role.COLLECTOR, "centre") as stays, party(place, Role.DEVICE, "box-1") as box:
        await stays.subscribe(shared)
        for number in range(10):
            await box.publish(topics.verdict(FLEET, "box-1", "bank"), b"%d" % number)
        before = stays.take(99)
        assert await leave(endpoint, "collector.second") == Left("collector.second", True)
        for number in range(10):
            await box.publish(topics.verdict(FLEET, "box-1", "bank"), b"%d" % number)
        async with asyncio.timeout(60):
            while len(before) < 15:
                before += await stays.receive(99)
    assert len(before) == 15, "half of the first ten went to the absent, all of the others to who was there"
    assert await leave(endpoint, "collector.second") == Left("collector.second", False)


async def test_a_revoked_certificate_is_hung_up_on(tmp_path: Path) -> None:
    place = Town(tmp_path / "town")
    stolen, good = place.endpoint(Role.DEVICE, "box-1"), place.endpoint(Role.DEVICE, "box-2")
    certificate = x509.load_pem_x509_certificate(stolen.certificate.read_bytes())
    revoked = tmp_path / "revoked.pem"
    week = timedelta(days=7)
    revoked.write_bytes(place.fleet.authority.revocation_list([], now=NOW, valid=week))
    file = tmp_path / "town/broker/mosquitto.conf"
    file.write_text(file.read_text().replace("tls_version", f"crlfile {revoked}\ntls_version"))
    place.broker.start()
    try:
        async with connect(good, session("box-2")) as box:
            await box.publish(topics.status(FLEET, "box-2"), b"here")
        async with connect(stolen, session("box-1")):
            pass
        numbers = [certificate.serial_number]
        revoked.write_bytes(place.fleet.authority.revocation_list(numbers, now=NOW, valid=week))
        os.kill(place.broker.pid or 0, signal.SIGHUP)
        with pytest.raises(UplinkError) as caught:
            async with asyncio.timeout(60):
                while True:  # until the broker has heard
                    async with connect(stolen, session("box-1")):
                        await asyncio.sleep(0.01)
        assert caught.value.code in ("uplink.closed_early", "uplink.tls_failed")
        async with connect(good, session("box-2")):
            pass
        # An old list is no list: nobody can tell who was revoked since.
        yesterday = NOW - timedelta(days=1)
        revoked.write_bytes(
            place.fleet.authority.revocation_list([], now=yesterday, valid=timedelta(hours=1))
        )
        place.broker.restart()
        with pytest.raises(UplinkError):
            async with connect(good, session("box-2")):
                pass
    finally:
        place.broker.stop()


def test_the_configuration_bounds_queues_and_names_the_revocation_list(tmp_path: Path) -> None:
    plain = configuration(Listener(8883, *(tmp_path,) * 5)).splitlines()
    assert "max_queued_messages 10000" in plain
    assert f"max_queued_bytes {64 << 20}" in plain
    assert not [line for line in plain if line.startswith("crlfile")]
    assert (
        f"crlfile {tmp_path}"
        in configuration(Listener(8883, *(tmp_path,) * 5, revoked=tmp_path)).splitlines()
    )
    with pytest.raises(ValueError):
        configuration(Listener(8883, *(tmp_path,) * 5, revoked=tmp_path / "a\nport 1"))
