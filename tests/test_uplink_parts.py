"""The small parts: waits, tasks, the database thread, words for events, and the commands as processes."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import signal
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from edged import messages
from edged.central.collector import Collector, CollectorSettings
from edged.central.mosquitto import Access, Listener
from edged.central.mosquitto import configuration as broker_configuration
from edged.commands._delivery import in_words
from edged.config import load_toml
from edged.errors import ConfigError, SignatureRefusedError, StateError, UplinkError
from edged.partner.follow import Follower
from edged.uplink.database import DatabaseThread, connect, connect_reader, from_ms, to_ms, transaction
from edged.uplink.mqtt import connect as connect_broker
from edged.uplink.names import Role
from edged.uplink.publisher import Uplink, UplinkSettings
from edged.uplink.receipts import ReceiptRange, range_sha256, seal_receipt
from edged.uplink.reconnect import Backoff, first_to_end, within
from edged.uplink.status import Connected, UplinkHealth
from edged.uplink.subscription import Down, Subscription
from tests.broker import NOW, Town, session, town
from tests.delivery import Box, Events, box, collector_settings, configuration, now, partner_settings, running
from tests.outbox import waiting

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path


def test_waits_grow_are_bounded_and_differ() -> None:
    backoff = Backoff(1.0, 8.0, random.Random(3))
    waits = [backoff.next() for _ in range(6)]
    for wait, full in zip(waits, (1, 2, 4, 8, 8, 8), strict=True):
        assert full / 2 <= wait <= full
    assert len(set(waits)) == 6
    backoff.lasted(3.0)
    assert backoff.next() > 2, "a connection that fell at once doesn't count"
    backoff.lasted(100.0)
    assert backoff.next() <= 1


def test_a_fleet_does_not_knock_all_at_once() -> None:
    first = [Backoff(1.0, 60.0, random.Random(box)).next() for box in range(200)]
    assert max(first) - min(first) > 0.4


async def test_first_to_end_ends_the_others() -> None:
    ended = []

    async def forever() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            ended.append("forever")

    async def fails() -> None:
        await asyncio.sleep(0)
        raise StateError("state.disk_full")

    with pytest.raises(StateError):
        await first_to_end(forever(), fails())
    assert ended == ["forever"]
    await first_to_end(asyncio.sleep(0), forever())
    assert ended == ["forever"] * 2


async def test_within_bounds_and_lets_errors_through() -> None:
    began = time.monotonic()
    await within(asyncio.sleep(60), 0.05)
    assert time.monotonic() - began < 1

    async def fails() -> None:
        raise StateError("state.locked")

    with pytest.raises(StateError):
        await within(fails(), 1)


class Slow:
    def __init__(self) -> None:
        self.thread = threading.current_thread()
        self.done: list[int] = []

    def close(self) -> None:
        assert threading.current_thread() is self.thread


async def test_the_database_thread_keeps_order_and_finishes_what_was_begun() -> None:
    thread = await DatabaseThread.open("slow", Slow)

    def work(database: Slow, number: int) -> int:
        time.sleep(0.02)
        assert threading.current_thread() is database.thread
        database.done.append(number)
        return number

    waiting = [asyncio.create_task(thread.run(lambda slow, n=n: work(slow, n))) for n in range(4)]
    await asyncio.sleep(0.01)
    waiting[0].cancel()  # begun already: it is finished all the same
    assert await asyncio.gather(*waiting[1:]) == [1, 2, 3]
    assert await thread.run(lambda slow: list(slow.done)) == [0, 1, 2, 3]
    await thread.close()


async def test_a_database_that_cannot_be_opened_leaves_no_thread(tmp_path: Path) -> None:
    before = threading.active_count()
    with pytest.raises(StateError):
        await DatabaseThread.open("gone", lambda: connect(tmp_path / "gone" / "x.sqlite", ""))
    await asyncio.sleep(0.05)
    assert threading.active_count() <= before


def test_a_locked_database_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edged.uplink.database.BUSY_TIMEOUT_S", 0.05)
    first = connect(tmp_path / "x.sqlite", "CREATE TABLE IF NOT EXISTS t (x INTEGER)")
    second = connect(tmp_path / "x.sqlite", "")
    with transaction(first):
        first.execute("INSERT INTO t VALUES (1)")
        with pytest.raises(StateError) as caught, transaction(second):
            pytest.fail("two writers at once")
    assert caught.value.code == "state.locked"
    reader = connect_reader(tmp_path / "x.sqlite")
    assert reader.execute("SELECT x FROM t").fetchone()["x"] == 1
    for connection in (first, second, reader):
        connection.close()


def test_a_reader_does_not_make_a_database(tmp_path: Path) -> None:
    with pytest.raises(StateError) as caught:
        connect_reader(tmp_path / "none.sqlite").execute("SELECT 1")
    assert caught.value.code == "state.unusable"
    assert not (tmp_path / "none.sqlite").exists()


EVENTS: list[dict[str, Any]] = [
    {"event": "ready", "name": "audience.bank", "resumed": True},
    {"event": "down", "code": "uplink.unreachable", "retry_s": 0.7},
    {"event": "batch", "stored": 3, "duplicates": 1, "refused": 0},
    {
        "event": "alarm",
        "alarm": {"code": "stream.equivocation", "topic": "t", "seq": 7, "count": 1, "device": "box-1"},
    },
    {"event": "holes", "holes": [{"device": "b", "log_id": "l", "audience": "a", "first": 2, "last": 5}]},
    {"event": "holes", "holes": []},
    {"event": "receipt_refused", "device": "box-1", "code": "mqtt.not_authorized"},
    {
        "event": "verdict",
        "verdict": {
            "iss": "box-1",
            "seq": 9,
            "result": "successful",
            "kind": "test",
            "reference": None,
            "claims": {"issuing_state": "UTO", "withheld": {"surname": "x"}},
        },
    },
]


@pytest.mark.parametrize("lang", messages.LANGUAGES)
@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event["event"])
def test_every_event_has_words(event: dict[str, Any], lang: str) -> None:
    said = in_words(event, lang)
    assert said
    assert "…" not in said
    assert "{" not in said
    assert "Unexpected" not in said


def test_words_carry_the_reason() -> None:
    assert messages.text("uplink.unreachable", "en") in in_words(EVENTS[1], "en")
    assert "passed" in in_words(EVENTS[7], "en")
    assert "通过" in in_words(EVENTS[7], "zh-CN")


@pytest.mark.parametrize("lang", messages.LANGUAGES)
def test_other_peoples_text_is_neither_obeyed_nor_translated(lang: str) -> None:
    """A verified device, a stranger on a topic: their text is data, to the terminal and to the catalogue."""
    verdict = EVENTS[7]["verdict"] | {
        "iss": "document",  # a word of the catalogue
        "reference": "result.successful",
        "claims": {"issuing_state": "\x1b[2J\x9b31m\u202eUTO\nbox-9 no. 1: passed"},
    }
    said = in_words({"event": "verdict", "verdict": verdict}, lang)
    assert said.startswith("document ")
    assert "result.successful" in said
    assert said.isprintable()
    assert "�[2J�31m�UTO�box-9" in said
    hole = {"device": "document", "log_id": "result.failed", "audience": "holder", "first": 1, "last": 1}
    assert in_words({"event": "holes", "holes": [hole]}, lang).startswith("document → holder (result.failed)")
    alarm = EVENTS[3]["alarm"] | {"topic": "result.successful"}
    assert in_words({"event": "alarm", "alarm": alarm}, lang).endswith("result.successful")
    refused = {"event": "receipt_refused", "device": "document", "code": "mqtt.not_authorized"}
    assert in_words(refused, lang).startswith("document: ")
    assert in_words({"event": "ready", "name": "document"}, lang).startswith("document: ")


async def test_an_idle_connection_costs_nothing(tmp_path: Path) -> None:
    with town(tmp_path / "town") as place:
        async with connect_broker(place.endpoint(Role.DEVICE, "box-1"), session("box-1")) as idle:
            await asyncio.sleep(0.1)
            assert idle._client._writing is None, "nothing to write: the socket isn't watched for it"
            before = time.thread_time()
            await asyncio.sleep(0.5)
            assert time.thread_time() - before < 0.05


async def test_health_before_anything_happened(tmp_path: Path) -> None:
    place = Town(tmp_path / "town")
    async with box(place, tmp_path / "box", run=False) as device:
        assert device.uplink.health == UplinkHealth(connected=False, problem=None)
        await device.uplink.stop()  # never ran: nothing to wait for


async def test_the_commands_run_print_lines_and_stop_in_order(tmp_path: Path) -> None:
    with town(tmp_path / "town") as place:
        central = configuration(collector_settings(place, tmp_path / "centre"), tmp_path / "central.toml")
        partner = configuration(partner_settings(place, tmp_path / "bank"), tmp_path / "partner.toml")
        commands = {
            "central": ["central", "collect", "--json", "--config", str(central)],
            "partner": ["partner", "follow", "--json", "--config", str(partner)],
        }
        async with contextlib.AsyncExitStack() as stack:
            running = {
                name: await stack.enter_async_context(process(tmp_path / f"{name}.log", *arguments))
                for name, arguments in commands.items()
            }
            for child in running.values():
                assert json.loads(await line_of(child))["event"] == "ready"
            async with box(place, tmp_path / "box") as device:
                await device.events.first(Connected)
                await device.commit("bank")
                await device.settled()
            assert json.loads(await line_of(running["central"])) == {
                "event": "batch",
                "stored": 1,
                "duplicates": 0,
                "refused": 0,
                "gaps": 0,
                "seconds": 0.0,
            }
            verdict = json.loads(await line_of(running["partner"]))
            assert (verdict["event"], verdict["lane"]) == ("verdict", "live")
            assert verdict["verdict"]["iss"] == "box-1"
            for child in running.values():
                child.send_signal(signal.SIGTERM)
                rest, _ = await asyncio.wait_for(child.communicate(), 60)
                assert (child.returncode, rest) == (0, b"")


@contextlib.asynccontextmanager
async def process(log: Path, *arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    with log.open("wb") as stderr:
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "edged", *arguments, stdout=asyncio.subprocess.PIPE, stderr=stderr
        )
    try:
        yield child
    finally:
        with contextlib.suppress(ProcessLookupError):
            child.kill()
        await child.communicate()


async def line_of(child: asyncio.subprocess.Process) -> bytes:
    assert child.stdout is not None
    return await asyncio.wait_for(child.stdout.readline(), 60)


def test_a_device_named_like_a_topic_is_refused_at_the_start(tmp_path: Path) -> None:
    place = Town(tmp_path / "town")
    settings = UplinkSettings(endpoint=place.endpoint(Role.DEVICE, "replay"), config_version="1")
    with pytest.raises(ConfigError) as caught:
        Uplink(
            settings,
            state=None,  # type: ignore[arg-type]
            signer=place.signer(Role.DEVICE, "replay"),
            anchor=place.anchor,
        )
    assert caught.value.code == "topic.reserved_name"


@pytest.mark.parametrize(
    ("key", "value"), [("port", 0), ("port", 70_000), ("keepalive_s", 0), ("answer_timeout_s", -1.0)]
)
def test_an_endpoint_that_cannot_work_is_refused_by_its_key(tmp_path: Path, key: str, value: float) -> None:
    place = Town(tmp_path / "town")
    settings = collector_settings(place, tmp_path / "centre")
    broken = msgspec.structs.replace(
        settings, broker=place.endpoint(Role.COLLECTOR, "centre", **{key: value})
    )
    with pytest.raises(ConfigError) as caught:
        load_toml(configuration(broken, tmp_path / "central.toml"), CollectorSettings)
    assert f"broker.{key}" in str(caught.value)


def test_the_broker_keeps_a_session_as_long_as_its_subscriber_asks_for(tmp_path: Path) -> None:
    """A partner's two weeks, at both ends; the shorter one would count. A collector's share is let go after a day."""
    place = Town(tmp_path / "town")
    follower = Follower(partner_settings(place, tmp_path / "bank"), on_event=print)
    collector = Collector(collector_settings(place, tmp_path / "centre"))
    assert follower._subscription._session.expiry_s == 14 * 24 * 3600
    assert collector._subscription._session.expiry_s == 24 * 3600
    text = broker_configuration(Listener(1883, *(tmp_path,) * 5))
    assert "persistent_client_expiration 14d" in text.splitlines()
    assert "max_queued_messages 10000" in text.splitlines()


async def test_a_subscriber_that_never_connects_waits_longer_and_longer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An attempt that takes longer than the wait before it is no connection that held."""

    async def slow_failure(*_: object) -> None:
        await asyncio.sleep(0.05)
        raise UplinkError("uplink.connect_timeout")

    monkeypatch.setattr(Subscription, "_connected", slow_failure)
    events = Events()
    settings = msgspec.structs.replace(
        collector_settings(Town(tmp_path / "town"), tmp_path / "centre"), reconnect_min_s=0.01
    )
    async with running(Collector(settings, on_event=events.append)):
        await events.until(lambda seen: len(seen.of(Down)) == 5)
    assert events.of(Down)[4].retry_s >= 0.08


@pytest.mark.parametrize("value", [0.0, -1.0, 3601.0, float("inf")])
@pytest.mark.parametrize("key", ["reconnect_min_s", "reconnect_max_s"])
def test_waits_that_cannot_work_are_refused_by_their_key(tmp_path: Path, key: str, value: float) -> None:
    place = Town(tmp_path / "town")
    for settings in (collector_settings(place, tmp_path / "c"), partner_settings(place, tmp_path / "p")):
        path = configuration(msgspec.structs.replace(settings, **{key: 0.7}), tmp_path / "x.toml")
        path.write_text(path.read_text().replace(f"{key} = 0.7", f"{key} = {value}"))
        with pytest.raises(ConfigError) as caught:
            load_toml(path, type(settings))
        assert key in str(caught.value)


def test_the_brokers_configuration_refuses_what_would_break_it(tmp_path: Path) -> None:
    for wrong in ("#", "audience.bank", "keys"):
        with pytest.raises(ValueError):
            Access("north", collectors=("centre",), audiences=(wrong,))
    with pytest.raises(ValueError):
        Access("+", collectors=(), audiences=())
    here = tmp_path / "with\nnewline"
    with pytest.raises(ValueError):
        broker_configuration(Listener(1883, here, here, here, here, here))


@contextlib.asynccontextmanager
async def receipted_once(
    place: Town, directory: Path, clock: list[datetime]
) -> AsyncIterator[tuple[Box, Callable[..., Any]]]:
    """A box that has committed two envelopes; `apply(seq, iat)` takes a good collector's receipt for one."""
    async with box(place, directory, run=False, clock=lambda: clock[0]) as device:
        await device.commit("bank")
        await device.commit("bank")
        clock[0] = now()
        due = await device.state.run(lambda state: waiting(state, 9, now()))
        hashes = {envelope.seq: envelope.sha256 for envelope in due}
        centre = place.signer(Role.COLLECTOR, "centre")

        async def apply(seq: int, iat: datetime) -> datetime | None:
            covered = ReceiptRange(device.sealer.log_id, "bank", seq, seq, range_sha256([hashes[seq]]))
            compact = seal_receipt("box-1", [covered], iat=int(iat.timestamp()), signer=centre).encode()
            if not await device.uplink._receipts.apply([compact]):
                raise SignatureRefusedError(device.uplink.health.last_receipt_refusal or "")
            return await device.state.run(lambda state: state.last_receipt())

        yield device, apply


def in_ms(moment: datetime) -> datetime:
    return from_ms(to_ms(moment))


async def test_a_collector_whose_clock_is_wrong_disables_no_box(tmp_path: Path) -> None:
    clock = [now()]
    async with receipted_once(Town(tmp_path / "town"), tmp_path / "box", clock) as (device, apply):
        with pytest.raises(SignatureRefusedError) as caught:  # its own certificate ended long before
            await apply(1, NOW + timedelta(days=23_000))
        assert caught.value.code == "receipt.wrong_time"
        with pytest.raises(SignatureRefusedError):
            await apply(1, NOW - timedelta(days=1))
        # A year ahead is within its certificate: believed in what is stored, not in what time it is.
        assert await apply(1, NOW + timedelta(days=365)) == in_ms(clock[0])
        assert (await device.counts()).pending == 1
        clock[0] = (clock[0] + timedelta(seconds=30)).replace(microsecond=0)
        assert await apply(2, clock[0]) == clock[0]
        assert (await device.counts()).pending == 0


async def test_a_box_that_woke_up_in_1970_takes_receipts(tmp_path: Path) -> None:
    """Its own clock would find the collector's certificate not yet valid; what it knows of the time doesn't."""
    clock = [now()]
    async with receipted_once(Town(tmp_path / "town"), tmp_path / "box", clock) as (device, apply):
        await apply(1, clock[0])
        clock[0] = datetime(1970, 1, 1, tzinfo=UTC)
        tomorrow = NOW + timedelta(days=1)
        assert await apply(2, tomorrow) == tomorrow
        assert (await device.counts()).pending == 0
        with pytest.raises(SignatureRefusedError):
            await apply(2, NOW + timedelta(days=23_000))
