"""The admin's link: a real broker, a lost connection, a second command, what boxes say."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec
import pytest

from edged.errors import StateError, UplinkError
from edged.fleet import link as link_module
from edged.fleet.heard import Presence, Report, Unusable, watch
from edged.fleet.link import admin_link, matches
from edged.fleet.state import FleetFile, FleetState, as_toml
from edged.uplink import topics
from edged.uplink.mqtt import connect
from edged.uplink.names import Role, Usage
from edged.uplink.reported import Reported, seal_reported
from edged.uplink.status import Status
from tests.broker import FLEET, NOW, Town, session, town
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    with town(tmp_path_factory.mktemp("town")) as made:
        yield made


def admin_state(place: Town, directory: Path) -> FleetState:
    """A state directory of the admin `ops`, as far as the link needs one."""
    files = place.fleet.issue(Role.ADMIN, "ops", Usage.TLS)
    secrets = directory / "secrets"
    secrets.mkdir(mode=0o700)
    (secrets / "admin-tls.key").write_bytes(files.key.read_bytes())
    (secrets / "admin-tls.key").chmod(0o600)
    (secrets / "admin-tls.pem").write_bytes(files.certificate.read_bytes())
    (directory / "authorities.pem").write_bytes(place.fleet.ca.read_bytes())
    file = FleetFile(fleet=FLEET, admin="ops", broker_port=place.broker.port)
    (directory / "fleet.toml").write_text(as_toml(file))
    return FleetState.open(directory)


def report(device: str, push: int = 1, **changes: object) -> Reported:
    content = {
        "iss": device,
        "fleet": FLEET,
        "iat": int(NOW.timestamp()),
        "push": push,
        "outcome": "applied",
        "running": "2",
        "running_push": push,
        "software": "0.1",
    }
    return Reported(**(content | changes))  # type: ignore[arg-type]


async def test_publish_listen_and_a_lost_broker(place: Town, tmp_path: Path) -> None:
    state = admin_state(place, tmp_path)
    changes: list[UplinkError | None] = []
    async with admin_link(state, on_change=changes.append) as link:
        topic = topics.desired(FLEET, "box-1")
        async with link.listen(topic) as listening:
            await link.publish(topic, b"one", retain=True)
            assert (await anext(listening)).payload == b"one"
            place.broker.restart()
            publishing = asyncio.create_task(link.publish(topic, "two", retain=True))
            async for received in listening:
                if received.payload == b"two":
                    break
            assert await publishing == 0
        await until(lambda: changes[-1] is None)
    assert changes[0] is None
    assert any(isinstance(one, UplinkError) for one in changes)


async def test_every_message_is_acknowledged_once_handled(
    place: Town, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More messages than the broker may send unacknowledged: all come only if handled ones are acknowledged."""
    monkeypatch.setattr(link_module, "RECEIVE", 100)
    async with (
        admin_link(admin_state(place, tmp_path)) as link,
        link.listen(topics.every_reply(FLEET, "box-1")) as first,
        link.listen(topics.every_reply(FLEET, "box-1")) as second,
        connect(place.endpoint(Role.DEVICE, "box-1"), session("box-1")) as box,
    ):
        for number in range(250):
            await box.publish(topics.reply(FLEET, "box-1", f"id-{number}"), str(number).encode())
            assert (await anext(first)).payload == (await anext(second)).payload == str(number).encode()


async def test_one_certificate_is_one_connection(
    place: Town, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = admin_state(place, tmp_path)
    monkeypatch.setattr("edged.fleet.link.HELD_S", 0.05)
    async with admin_link(state):
        with pytest.raises(StateError) as refused:
            async with admin_link(state):
                pass
    assert refused.value.code == "fleet.link_busy"
    async with admin_link(state) as link:
        assert link.principal.username == "admin.ops"


async def test_a_broker_that_is_not_there_is_told_at_once(place: Town, tmp_path: Path) -> None:
    state = admin_state(place, tmp_path)
    state.file = msgspec.structs.replace(state.file, broker_port=1)
    with pytest.raises(UplinkError) as refused:
        async with admin_link(state):
            pass
    assert refused.value.code == "uplink.unreachable"


async def test_a_broker_that_stays_away_ends_the_wait(tmp_path: Path) -> None:
    with town(tmp_path / "own") as own:
        state = admin_state(own, tmp_path)
        async with admin_link(state, patience_s=0.0) as link, link.listen(topics.keys(FLEET)) as listening:
            own.broker.stop()
            with pytest.raises(UplinkError):
                await anext(listening)
            with pytest.raises(UplinkError):
                await link.publish(topics.keys(FLEET), b"x", retain=True)


async def test_reports_are_verified_and_statuses_read(place: Town, tmp_path: Path) -> None:
    signer = place.signer(Role.DEVICE, "box-1")
    status = Status("online", "box-1", "log", "0.1", "2")
    async with (
        connect(place.endpoint(Role.DEVICE, "box-1"), session("box-1")) as one,
        connect(place.endpoint(Role.DEVICE, "box-2"), session("box-2")) as two,
        admin_link(admin_state(place, tmp_path)) as link,
    ):
        sealed = seal_reported(report("box-1"), signer).encode()
        await one.publish(topics.reported(FLEET, "box-1"), sealed, retain=True)
        await one.publish(topics.status(FLEET, "box-1"), msgspec.json.encode(status), retain=True)
        await two.publish(topics.reported(FLEET, "box-2"), sealed)
        async with watch(link, {"box-1", "box-2"}) as heard:
            found = [await anext(heard), await anext(heard)]
            assert Report("box-1", report("box-1"), retained=True, compact=sealed) in found
            assert Presence("box-1", status, retained=True) in found
            await two.publish(topics.reported(FLEET, "box-2"), sealed)
            assert await anext(heard) == Unusable("box-2", "reported.wrong_issuer")
            await two.publish(topics.status(FLEET, "box-2"), b'{"state":"online"}')
            assert await anext(heard) == Unusable("box-2", "heard.status_malformed")
        async with watch(link, {"box-1", *(f"other-{number}" for number in range(30))}) as heard:
            assert (await anext(heard)).device == "box-1"


async def test_a_whole_fleet_speaks_at_once(place: Town, tmp_path: Path) -> None:
    """More retained messages than a session usually takes at a time: the broker sends them all the same."""
    names = [f"many-{number}" for number in range(700)]
    async with admin_link(admin_state(place, tmp_path)) as link:
        for name in names:
            await link.publish(topics.desired(FLEET, name), b"{}", retain=True)
        async with link.listen(f"{topics.PREFIX}/{FLEET}/+/desired") as listening:
            found = set[str]()
            async for received in listening:
                found.add(received.topic)
                if len(found) >= len(names):
                    break
        assert link.connections == 1
        for name in names:
            await link.publish(topics.desired(FLEET, name), b"", retain=True)


@pytest.mark.parametrize(
    ("topic_filter", "topic", "found"),
    [
        ("a/+/c", "a/b/c", True),
        ("a/+/c", "a/b/d", False),
        ("a/+", "a/b/c", False),
        ("a/#", "a/b/c", True),
        ("a/#", "a", True),
        ("a/b/#", "a", False),
        ("#", "a/b", True),
        ("a/b", "a/b", True),
    ],
)
def test_filters_match_as_mqtt_has_it(topic_filter: str, topic: str, found: bool) -> None:
    assert matches(topic_filter, topic) is found
