"""What the port promises, against a real mosquitto: refusals raise, losses are noticed, acks are by hand."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from edged.errors import CertificateError, UplinkError
from edged.uplink import topics
from edged.uplink.mqtt import Connection, PublishRefusedError, Will, connect
from edged.uplink.mqtt_client import MAX_PROPERTIES
from edged.uplink.mqtt_types import MAX_PACKET
from edged.uplink.names import Role
from tests.broker import FLEET, NOW, Town, ended, session, town

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator


@pytest.fixture(autouse=True)
def quiet_loop(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """asyncio only logs what a callback raises; here that fails the test."""
    yield
    assert [record for record in caplog.get_records("call") if record.name == "asyncio"] == []


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    with town(tmp_path_factory.mktemp("town")) as made:
        yield made


@contextlib.asynccontextmanager
async def device(place: Town, name: str = "box-1") -> AsyncIterator[Connection]:
    async with connect(place.endpoint(Role.DEVICE, name), session(name)) as connection:
        yield connection


@contextlib.asynccontextmanager
async def collector(place: Town, client_id: str, **settings: int) -> AsyncIterator[Connection]:
    endpoint = place.endpoint(Role.COLLECTOR, "centre")
    async with connect(endpoint, session(client_id, **settings)) as connection:
        yield connection


async def test_a_forbidden_publish_raises(place: Town) -> None:
    async with device(place) as box:
        await box.publish(topics.verdict(FLEET, "box-1", "bank"), b"mine")
        with pytest.raises(PublishRefusedError) as caught:
            await box.publish(topics.verdict(FLEET, "box-2", "bank"), b"another's")
        assert (caught.value.code, caught.value.mqtt_reason) == ("mqtt.not_authorized", 0x87)
        # The connection has survived its refusal.
        await box.publish(topics.verdict(FLEET, "box-1", "bank"), b"mine again")


async def test_of_many_at_once_each_gets_its_own_answer(place: Town) -> None:
    async with device(place) as box:
        answers = await asyncio.gather(
            *(
                box.publish(topics.verdict(FLEET, "box-1" if number % 2 else "box-2", "bank"), b"x")
                for number in range(200)
            ),
            return_exceptions=True,
        )
    assert [isinstance(answer, PublishRefusedError) for answer in answers] == [n % 2 == 0 for n in range(200)]


async def test_everybody_reads_and_writes_only_their_own(place: Town) -> None:
    """The access list as a table: publications refused, subscriptions that stay silent."""
    async with contextlib.AsyncExitStack() as stack:
        enter = stack.enter_async_context
        box = await enter(device(place))
        bank = await enter(connect(place.endpoint(Role.AUDIENCE, "bank"), session("bank")))
        centre = await enter(collector(place, "centre"))
        other = await enter(device(place, "box-2"))
        for writer, topic in (
            (bank, topics.verdict(FLEET, "box-1", "bank")),
            (bank, topics.receipt(FLEET, "box-1")),
            (centre, topics.verdict(FLEET, "box-1", "bank")),
            (centre, f"edged/1/{FLEET}/box-1/desired"),
            (box, topics.receipt(FLEET, "box-1")),
            (box, f"edged/1/{FLEET}/box-1/desired"),
            (box, topics.status(FLEET, "box-2")),
            (box, f"edged/1/{FLEET}/keys"),
            (box, "edged/1/south/box-1/verdict/bank"),
        ):
            with pytest.raises(PublishRefusedError):
                await writer.publish(topic, b"x")
        # Granted by mosquitto, whatever the list says; what counts is what arrives.
        await bank.subscribe(topics.every_stream(FLEET)[0])
        await other.subscribe(topics.receipt(FLEET, "box-1"))
        await other.subscribe("#")
        await box.publish(topics.verdict(FLEET, "box-1", "hotel"), b"for the hotel")
        await box.publish(topics.verdict(FLEET, "box-1", "bank"), b"for the bank")
        await centre.publish(topics.receipt(FLEET, "box-1"), b"for box-1")
        assert [message.payload for message in await bank.receive(9)] == [b"for the bank"]
        await centre.publish(topics.receipt(FLEET, "box-2"), b"for box-2")
        assert [message.payload for message in await other.receive(9)] == [b"for box-2"]


async def test_a_lost_broker_is_noticed_at_once_by_everybody_who_waits(tmp_path: Path) -> None:
    with town(tmp_path) as place:
        async with contextlib.AsyncExitStack() as stack:
            box = await stack.enter_async_context(device(place))
            os.kill(place.broker.pid or 0, signal.SIGSTOP)  # takes bytes, answers nothing
            waiting = [
                asyncio.ensure_future(box.publish(topics.verdict(FLEET, "box-1", "bank"), b"x")),
                asyncio.ensure_future(box.subscribe(topics.receipt(FLEET, "box-1"))),
                asyncio.ensure_future(box.receive()),
            ]
            await asyncio.sleep(0.1)
            assert not any(task.done() for task in waiting)
            began = time.monotonic()
            place.broker.kill()
            answers = await asyncio.gather(*waiting, return_exceptions=True)
            assert time.monotonic() - began < 1.0
            assert [(type(a), getattr(a, "code", "")) for a in answers] == [
                (UplinkError, "uplink.connection_lost")
            ] * 3
            assert (await ended(box)).code == "uplink.connection_lost"
            with pytest.raises(UplinkError):
                await box.publish(topics.verdict(FLEET, "box-1", "bank"), b"x")


async def test_a_broker_that_never_answers_is_dropped(tmp_path: Path) -> None:
    with town(tmp_path) as place:
        endpoint = place.endpoint(Role.DEVICE, "box-1", answer_timeout_s=0.3)
        async with connect(endpoint, session("box-1")) as box:
            os.kill(place.broker.pid or 0, signal.SIGSTOP)
            reading = asyncio.ensure_future(box.receive())
            with pytest.raises(UplinkError) as caught:
                await box.publish(topics.verdict(FLEET, "box-1", "bank"), b"x")
            assert caught.value.code == "uplink.no_answer"
            with pytest.raises(UplinkError):
                await reading
            os.kill(place.broker.pid or 0, signal.SIGCONT)


async def test_a_listener_that_says_nothing_is_given_up(place: Town) -> None:
    """A TCP peer that accepts and never speaks: the handshake is bounded."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        endpoint = place.endpoint(Role.DEVICE, "box-1", port=server.getsockname()[1], connect_timeout_s=0.3)
        with pytest.raises(UplinkError) as caught:
            async with connect(endpoint, session("box-1")):
                pass
    assert caught.value.code == "uplink.connect_timeout"


async def test_a_cancelled_connect_leaves_nothing_open(place: Town) -> None:
    before = open_descriptors()
    with socket.create_server(("127.0.0.1", 0)) as server:
        endpoint = place.endpoint(Role.DEVICE, "box-1", port=server.getsockname()[1], connect_timeout_s=0.5)

        async def attempt() -> None:
            async with connect(endpoint, session("box-1")):
                pytest.fail("nobody answered")

        task = asyncio.ensure_future(attempt())
        await asyncio.sleep(0.1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert open_descriptors() == before
    assert threading.active_count() < 50


async def test_nobody_listens(place: Town) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        endpoint = place.endpoint(Role.DEVICE, "box-1", port=free.getsockname()[1])
        with pytest.raises(UplinkError) as caught:
            async with connect(endpoint, session("box-1")):
                pass
    assert caught.value.code == "uplink.unreachable"


async def test_a_host_that_nobody_knows(place: Town) -> None:
    for host in ("no-such-host.invalid", "a..b"):
        with pytest.raises(UplinkError) as caught:
            async with connect(place.endpoint(Role.DEVICE, "box-1", host=host), session("box-1")):
                pass
        assert caught.value.code == "uplink.unknown_host"


async def test_a_broker_of_another_authority_is_not_trusted(place: Town, tmp_path: Path) -> None:
    other = Town(tmp_path / "impostor")
    with pytest.raises(UplinkError) as caught:
        async with connect(place.endpoint(Role.DEVICE, "box-1", ca=other.fleet.ca), session("box-1")):
            pass
    assert caught.value.code == "uplink.broker_not_trusted"


async def test_a_broker_under_another_name_is_not_trusted(place: Town) -> None:
    # The certificate names 127.0.0.1 and localhost; 127.0.0.2 reaches the machine, not the name.
    with socket.create_server(("127.0.0.2", 0)) as server:
        port = server.getsockname()[1]

        def relay() -> None:
            client, _ = server.accept()
            upstream = socket.create_connection(("127.0.0.1", place.broker.port))
            upstream.settimeout(0.5)
            with client, upstream, contextlib.suppress(OSError):
                upstream.sendall(client.recv(65536))
                while data := upstream.recv(65536):
                    client.sendall(data)

        thread = threading.Thread(target=relay)
        thread.start()
        with pytest.raises(UplinkError) as caught:
            async with connect(
                place.endpoint(Role.DEVICE, "box-1", host="127.0.0.2", port=port), session("box-1")
            ):
                pass
        thread.join()
    assert caught.value.code == "uplink.broker_not_trusted"


async def test_a_client_of_another_authority_is_hung_up_on(place: Town, tmp_path: Path) -> None:
    stranger = Town(tmp_path / "stranger").endpoint(Role.DEVICE, "box-1")
    endpoint = place.endpoint(
        Role.DEVICE, "box-1", certificate=stranger.certificate, key=stranger.key, answer_timeout_s=5.0
    )
    began = time.monotonic()
    with pytest.raises(UplinkError) as caught:
        async with connect(endpoint, session("box-1")):
            pass
    assert caught.value.code == "uplink.closed_early"
    assert time.monotonic() - began < 2.0


async def test_a_signing_certificate_opens_no_connection(place: Town) -> None:
    from edged.uplink.names import Usage

    files = place.fleet.issue(Role.DEVICE, "box-9", Usage.SIGNING)
    endpoint = place.endpoint(Role.DEVICE, "box-1", certificate=files.certificate, key=files.key)
    with pytest.raises(UplinkError):
        async with connect(endpoint, session("box-9")):
            pass


async def test_a_key_that_others_can_read_is_refused(place: Town, tmp_path: Path) -> None:
    endpoint = place.endpoint(Role.DEVICE, "box-1")
    key = tmp_path / "key.pem"
    key.write_bytes(endpoint.key.read_bytes())
    key.chmod(0o644)
    with pytest.raises(CertificateError) as caught:
        async with connect(place.endpoint(Role.DEVICE, "box-1", key=key), session("box-1")):
            pass
    assert caught.value.code == "key.readable_by_others"


async def test_certificate_files_that_are_not(place: Town, tmp_path: Path) -> None:
    empty = tmp_path / "empty.pem"
    empty.write_bytes(b"")
    box, other = place.endpoint(Role.DEVICE, "box-1"), place.endpoint(Role.DEVICE, "box-2")
    for settings, code in (
        ({"ca": tmp_path / "gone.pem"}, "cert.unreadable"),
        ({"ca": empty}, "cert.malformed"),
        ({"certificate": tmp_path / "gone.pem"}, "cert.unreadable"),
        ({"certificate": other.certificate}, "cert.key_mismatch"),
    ):
        with pytest.raises(CertificateError) as caught:
            async with connect(place.endpoint(Role.DEVICE, "box-1", **settings), session("box-1")):
                pass
        assert caught.value.code == code
    assert box.key.exists()


async def test_what_was_not_acknowledged_comes_again(place: Town) -> None:
    keep = {"expiry_s": 60, "receive_maximum": 3}
    async with device(place) as box:
        async with collector(place, "keeper", **keep) as centre:
            assert not centre.session_present
            await centre.subscribe(topics.every_stream(FLEET)[0])
            for number in range(9):
                await box.publish(topics.verdict(FLEET, "box-1", "bank"), b"%d" % number)
            arrived = await centre.receive(9)
            await asyncio.sleep(0.1)
            # The broker respects our receive maximum: that is what bounds memory.
            assert [m.payload for m in arrived] == [b"0", b"1", b"2"][: len(arrived)]
            assert len(centre._client.inbox) + len(arrived) == 3
            centre.acknowledge(arrived[0])
        async with collector(place, "keeper", **keep) as centre:
            assert centre.session_present
            seen: list[bytes] = []
            while len(seen) < 8:
                for message in await centre.receive(9):
                    seen.append(message.payload)
                    centre.acknowledge(message)
            assert seen == [b"%d" % number for number in range(1, 9)]


async def test_a_message_nobody_can_acknowledge_is_dropped_and_counted(place: Town) -> None:
    async with device(place) as box, collector(place, "zero") as centre:
        await centre.subscribe(topics.every_stream(FLEET)[0])
        box._client._client.publish(topics.verdict(FLEET, "box-1", "bank"), b"q0", 0)
        await box.publish(topics.verdict(FLEET, "box-1", "bank"), b"q1", user_properties={"lane": "live"})
        (message,) = await centre.receive(9)
        assert (message.payload, message.user_properties) == (b"q1", {"lane": "live"})
        assert centre._client.ignored == 1


async def test_a_flood_of_user_properties_is_not_kept(place: Town) -> None:
    """Thousands fit into a packet, and megabytes of them would wait with every message of a receive window."""
    many = {f"{number:04}": "" for number in range(5000)}
    async with device(place) as box, collector(place, "flooded") as centre:
        await centre.subscribe(topics.every_stream(FLEET)[0])
        topic = topics.verdict(FLEET, "box-1", "bank")
        await box.publish(topic, b"x", user_properties={"lane": "live", **many})
        (message,) = await centre.receive(9)
        assert message.user_properties["lane"] == "live"
        assert len(message.user_properties) == MAX_PROPERTIES


async def test_the_will_speaks_when_the_box_vanishes_and_not_when_it_leaves(place: Town) -> None:
    topic = topics.status(FLEET, "box-1")
    will = Will(topic, b"offline")
    async with collector(place, "watcher") as centre:
        await centre.subscribe(f"edged/1/{FLEET}/+/status")
        async with connect(place.endpoint(Role.DEVICE, "box-1"), session("box-1", will=will)) as box:
            await box.publish(topic, b"online", retain=True)
        async with connect(place.endpoint(Role.DEVICE, "box-1"), session("box-1", will=will)) as box:
            await box.publish(topic, b"online again", retain=True)
            box._client.drop()
        seen: list[bytes] = []
        while len(seen) < 3:
            seen += [message.payload for message in await centre.receive(9)]
        assert seen == [b"online", b"online again", b"offline"]
    async with collector(place, "late") as late:
        await late.subscribe(f"edged/1/{FLEET}/+/status")
        (message,) = await late.receive()
        assert (message.payload, message.retained) == (b"offline", True)


async def test_a_will_on_anothers_topic_stays_unspoken(place: Town) -> None:
    will = Will(topics.status(FLEET, "box-4"), b"offline")
    async with collector(place, "watcher") as centre, device(place, "box-4") as other:
        await centre.subscribe(f"edged/1/{FLEET}/+/status")
        async with connect(place.endpoint(Role.DEVICE, "box-3"), session("box-3", will=will)) as box:
            box._client.drop()
        await asyncio.sleep(0.1)
        await other.publish(topics.status(FLEET, "box-4"), b"online")
        while (message := (await centre.receive())[0]).topic != topics.status(FLEET, "box-4"):
            pass
        assert message.payload == b"online"


async def test_one_certificate_on_two_boxes_ends_the_first(place: Town) -> None:
    async with device(place) as first, device(place) as second:
        # MQTT 5 has DISCONNECT 0x8E for this; mosquitto 2.0.11 just hangs up.
        assert (await ended(first)).code in ("mqtt.session_taken_over", "uplink.connection_lost")
        await second.publish(topics.verdict(FLEET, "box-1", "bank"), b"x")


async def test_nobody_takes_anothers_session_by_its_client_id(place: Town) -> None:
    """The client id is the certificate's name: what is queued for the bank survives the hotel's calling itself so."""
    keep = session("audience.bank", expiry_s=60)
    bank, hotel = place.endpoint(Role.AUDIENCE, "bank"), place.endpoint(Role.AUDIENCE, "hotel")
    async with connect(bank, keep) as follower:
        await follower.subscribe(topics.every_stream(FLEET, "bank")[0])
    async with device(place) as box:
        await box.publish(topics.verdict(FLEET, "box-1", "bank"), b"queued")
    async with connect(hotel, session("audience.bank")):
        pass
    async with connect(bank, keep) as follower:
        assert follower.session_present
        assert [message.payload for message in await follower.receive()] == [b"queued"]
        async with connect(hotel, session("audience.bank")):
            await asyncio.sleep(0.1)
            with pytest.raises(
                UplinkError
            ):  # (an access list lets no partner write, but the connection lives)
                await follower.publish("t", b"x")
            assert not follower._client.lost.done(), "nobody is thrown out, either"


async def test_a_packet_larger_than_the_broker_takes_is_refused_before_it_is_sent(place: Town) -> None:
    async with device(place) as box:
        with pytest.raises(PublishRefusedError) as caught:
            await box.publish(topics.verdict(FLEET, "box-1", "bank"), b"x" * MAX_PACKET)
        assert caught.value.code == "mqtt.packet_too_large"
        await box.publish(topics.verdict(FLEET, "box-1", "bank"), b"the next one gets through")


def test_mosquitto_speaks_tls_1_3_with_a_certificate_and_nothing_else(place: Town) -> None:
    import ssl

    assert NOW.tzinfo is not None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(place.fleet.ca)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with socket.create_connection(("127.0.0.1", place.broker.port)) as plain, pytest.raises(ssl.SSLError):
        context.wrap_socket(plain, server_hostname="127.0.0.1")
    context.maximum_version = ssl.TLSVersion.TLSv1_3
    with (
        socket.create_connection(("127.0.0.1", place.broker.port)) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1") as anonymous,
        # In TLS 1.3 the client's side of the handshake ends before the server has missed its certificate.
        pytest.raises((ssl.SSLError, ConnectionError)),
    ):
        answer_of(anonymous)


def open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def answer_of(stream: socket.socket) -> bytes:
    stream.sendall(b"\x10\x00")
    if not (answer := stream.recv(16)):
        raise ConnectionError("closed")
    return answer


async def test_what_arrived_before_the_end_is_still_there_to_be_stored(tmp_path: Path) -> None:
    """A killed mosquitto doesn't remember what was on its way to a connected subscriber: we have to."""
    with town(tmp_path) as place:
        keep = {"expiry_s": 60}
        async with device(place) as box, collector(place, "keeper", **keep) as centre:
            await centre.subscribe(topics.every_stream(FLEET)[0])
            for number in range(3):
                await box.publish(topics.verdict(FLEET, "box-1", "bank"), b"%d" % number)
            while len(centre._client.inbox) < 3:
                await asyncio.sleep(0.01)
            place.broker.kill()
            await ended(centre)
            arrived = await centre.receive(9)
            assert [message.payload for message in arrived] == [b"0", b"1", b"2"]
            for message in arrived:
                centre.acknowledge(message)  # nobody there: no harm
            with pytest.raises(UplinkError):
                await centre.receive()
