"""Bad lines between everybody: what is committed arrives once, whatever the network does. (Namespaces: below.)"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from edged.central.archive_sqlite import SqliteArchive
from edged.central.collector import Collector
from edged.errors import StateError
from edged.partner.follow import GapEvent, VerdictEvent
from edged.uplink.mqtt import Endpoint
from edged.uplink.names import Role
from edged.uplink.outbox import Bounds, RetryPolicy
from edged.uplink.outbox import ledger as box_ledger
from edged.uplink.status import Connected, Disconnected, GapMade, Published
from edged.uplink.subscription import Ready
from tests.broker import Town, town
from tests.delivery import (
    Box,
    Events,
    archive_ledger,
    box,
    collector,
    collector_settings,
    follower,
    running,
)
from tests.proof import network
from tests.proof.proxy import Proxy

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

pytestmark = pytest.mark.timeout(60)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Town]:
    with town(tmp_path / "town") as made:
        yield made


@contextlib.asynccontextmanager
async def line(place: Town, role: Role, name: str, **settings: Any) -> AsyncIterator[tuple[Proxy, Endpoint]]:
    """A proxy to the broker, and `name`'s endpoint through it; impatient, so that tests aren't long."""
    chosen = {"answer_timeout_s": 0.7, "connect_timeout_s": 0.7, "keepalive_s": 1} | settings
    async with Proxy(place.broker.port).serve() as proxy:
        yield proxy, place.endpoint(role, name, port=proxy.port, **chosen)


@contextlib.asynccontextmanager
async def through(
    proxy_endpoint: Endpoint, place: Town, tmp_path: Path, **settings: Any
) -> AsyncIterator[Box]:
    async with box(place, tmp_path / "box", endpoint=proxy_endpoint, spread_s=0.0, **settings) as device:
        yield device


def all_there(tmp_path: Path, committed: int) -> int:
    """Everything once, nothing else, no alarm; how many came more than once."""
    sent = box_ledger(tmp_path / "box" / "state.sqlite")
    archive = archive_ledger(tmp_path / "centre" / "archive.sqlite")
    assert archive.alarms == 0
    assert {key: {one.seq: one.sha256 for one in rows} for key, rows in sent.items()} == {
        key: kept.hashes for key, kept in archive.streams.items()
    }
    assert sum(map(len, sent.values())) == committed
    assert all(one.receipted for rows in sent.values() for one in rows)
    return sum(kept.duplicates for kept in archive.streams.values())


def stored(tmp_path: Path) -> int:
    """Envelopes in the archive by now."""
    archive = archive_ledger(tmp_path / "centre" / "archive.sqlite")
    return sum(len(kept.hashes) for kept in archive.streams.values())


async def test_one_byte_at_a_time(place: Town, tmp_path: Path) -> None:
    async with collector(place, tmp_path / "centre"), line(place, Role.DEVICE, "box-1") as (proxy, endpoint):
        proxy.both(piece=1)
        async with through(endpoint, place, tmp_path) as device:
            for _ in range(2):
                await device.commit("bank")
            await device.settled()
    assert all_there(tmp_path, 2) == 0


async def test_a_slow_line_is_no_dead_line(place: Town, tmp_path: Path) -> None:
    """A tenth of a second there and back: nobody hangs up, nothing is sent twice."""
    async with (
        collector(place, tmp_path / "centre") as centre,
        line(place, Role.DEVICE, "box-1", answer_timeout_s=5.0, keepalive_s=30) as (proxy, endpoint),
    ):
        await centre.first(Ready)
        proxy.both(delay_s=0.06)
        async with through(endpoint, place, tmp_path) as device:
            for _ in range(5):
                await device.commit("bank")
            await device.settled()
            assert not device.events.of(Disconnected)
    assert proxy.connections == 1
    all_there(tmp_path, 5)


@pytest.mark.parametrize(
    "fault",
    [
        "stall",
        "reset",
        "up only",
        *(pytest.param(fault, marks=pytest.mark.slow) for fault in ("black hole", "half close", "down only")),
    ],
)
async def test_a_line_that_fails_in_the_middle_of_a_drain(place: Town, tmp_path: Path, fault: str) -> None:
    """The box notices, says so, and goes on when the line is there again."""
    async with (
        collector(place, tmp_path / "centre") as centre,
        line(place, Role.DEVICE, "box-1") as (proxy, endpoint),
        through(endpoint, place, tmp_path) as device,
    ):
        await centre.first(Ready)
        await device.events.first(Connected)
        for number in range(30):
            await device.commit("bank")
            if number == 10:
                match fault:
                    case "stall":
                        proxy.both(open=False)
                    case "black hole":
                        proxy.black_hole()
                    case "reset":
                        proxy.reset()
                    case "half close":
                        proxy.half_close()
                    case "up only":  # partitioned one way: we hear the broker, it doesn't hear us
                        proxy.down.set(open=False)
                    case "down only":
                        proxy.up.set(open=False)
        await device.events.first(Disconnected)
        assert len(device.events.of(Connected)) <= 2 or fault in ("reset", "half close")
        proxy.heal()
        await device.settled()
    all_there(tmp_path, 30)


async def test_lost_acknowledgements_make_duplicates_and_nothing_else(place: Town, tmp_path: Path) -> None:
    """The broker gets and passes on what we publish, and its PUBACKs never come."""
    async with (
        collector(place, tmp_path / "centre") as centre,
        line(place, Role.DEVICE, "box-1") as (proxy, endpoint),
        through(endpoint, place, tmp_path) as device,
    ):
        await centre.first(Ready)
        await device.events.first(Connected)
        proxy.down.set(swallow=True)
        await device.commit("bank", "hotel")
        await device.events.first(Disconnected)
        proxy.heal()
        await device.settled()
    assert all_there(tmp_path, 2) > 0


async def test_a_collector_whose_words_are_lost(place: Town, tmp_path: Path) -> None:
    """It gets everything, and neither its receipts nor its acknowledgements reach the broker, until they do."""
    async with line(place, Role.COLLECTOR, "centre") as (proxy, endpoint):
        settings = msgspec.structs.replace(collector_settings(place, tmp_path / "centre"), broker=endpoint)
        events = Events()
        async with (
            running(Collector(settings, on_event=events.append)),
            box(place, tmp_path / "box", spread_s=0.0) as device,
        ):
            await events.first(Ready)
            await device.events.first(Connected)
            proxy.up.set(swallow=True)
            for _ in range(5):
                await device.commit("bank")
            await device.events.until(lambda _: stored(tmp_path) == 5)
            assert (await device.counts()).pending == 5, "nothing is forgotten without a receipt"
            proxy.heal()
            await device.settled()
    assert all_there(tmp_path, 5) > 0


async def test_a_fresh_verdict_overtakes_the_backlog(place: Town, tmp_path: Path) -> None:
    """On a narrow line, after days offline: who stands at the counter doesn't wait for last week."""
    backlog = 80
    async with (
        collector(place, tmp_path / "centre"),
        line(place, Role.DEVICE, "box-1", answer_timeout_s=10.0, keepalive_s=30) as (proxy, endpoint),
    ):
        proxy.black_hole()
        async with through(endpoint, place, tmp_path) as device:
            for _ in range(backlog):
                await device.commit("bank")
            proxy.heal()
            proxy.up.set(piece=2048, delay_s=0.02)
            await device.events.until(lambda events: len(events.of(Published)) >= 5)
            await device.commit("bank")
            await device.events.until(lambda events: any(one.lane == "live" for one in events.of(Published)))
            order = [one.seq for one in device.events.of(Published)]
            proxy.up.set(piece=1 << 16, delay_s=0.0)
            await device.settled()
    assert order[-1] == backlog + 1
    assert len(order) < backlog / 2, "it waited behind most of the backlog"
    all_there(tmp_path, backlog + 1)


async def test_a_collector_whose_archive_fails_acknowledges_nothing(
    place: Town, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it couldn't store comes again from the broker, not from the box: that one waits for an hour."""
    store, failures = SqliteArchive.store, 0

    def fail(self: SqliteArchive, *arguments: Any) -> Any:
        nonlocal failures
        if failures < 2:
            failures += 1
            raise StateError("state.disk_full")
        return store(self, *arguments)

    monkeypatch.setattr(SqliteArchive, "store", fail)
    patient = RetryPolicy(receipt_s=3600.0, refused_s=3600.0, bound_s=3600.0)
    async with (
        collector(place, tmp_path / "centre") as centre,
        box(place, tmp_path / "box", spread_s=0.0, retry=patient) as device,
    ):
        await centre.first(Ready)
        await device.commit("bank")
        await device.settled(10.0)
        assert failures == 2
        assert len(device.events.of(Published)) == 1
    all_there(tmp_path, 1)


async def test_days_offline_within_the_bounds_lose_nothing(place: Town, tmp_path: Path) -> None:
    async with line(place, Role.DEVICE, "box-1") as (proxy, endpoint):
        proxy.black_hole()
        async with through(endpoint, place, tmp_path) as device:
            for _ in range(60):
                await device.commit("bank")
            proxy.heal()
            async with (
                collector(place, tmp_path / "centre"),
                follower(place, tmp_path / "bank") as bank,
            ):
                await device.settled()
                await bank.until(lambda events: len(events.of(VerdictEvent)) >= 60)
    all_there(tmp_path, 60)


async def test_days_offline_beyond_the_bounds_are_told_to_centre_and_partner(
    place: Town, tmp_path: Path
) -> None:
    """What is pushed out is named, number by number, by a record that the device has signed."""
    async with line(place, Role.DEVICE, "box-1") as (proxy, endpoint):
        proxy.black_hole()
        async with through(endpoint, place, tmp_path, outbox={"bounds": Bounds(max_bytes=30_000)}) as device:
            for _ in range(40):
                await device.commit("bank")
            lost = (await device.counts()).lost
            assert 0 < lost < 40
            proxy.heal()
            async with (
                collector(place, tmp_path / "centre"),
                follower(place, tmp_path / "bank") as bank,
            ):
                await device.settled()
                await bank.first(GapEvent)
                await bank.until(lambda events: len(events.of(VerdictEvent)) == 40 - lost)
                await device.events.until(lambda events: events.of(GapMade))
                gaps = [event.gap for event in bank.of(GapEvent)]
    named = {number for gap in gaps for number in range(gap["first"], gap["last"] + 1)}
    (stream,) = archive_ledger(tmp_path / "centre" / "archive.sqlite").streams.values()
    assert len(named) == lost
    assert named.isdisjoint(stream.hashes)
    assert named | stream.hashes.keys() == set(range(1, 41)), "every number is there or accounted for"


# --- namespaces: the kernel's own queues, drops and partitions ---


@pytest.fixture
def namespaces() -> None:
    if reason := network.missing():
        pytest.skip(reason)


@pytest.mark.usefixtures("namespaces")
@pytest.mark.parametrize("scenario", network.FAST)
def test_a_network_of_its_own(scenario: str) -> None:
    network.run(scenario)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.usefixtures("namespaces")
@pytest.mark.parametrize("scenario", network.SLOW)
def test_a_network_of_its_own_at_length(scenario: str) -> None:
    network.run(scenario)
