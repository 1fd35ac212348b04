"""One box against a broker that does what the test says: lanes, windows, quotas, refusals, gaps, stalls."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from edged import messages
from edged.commands import status as status_command
from edged.uplink import topics
from edged.uplink.gaps import open_gap
from edged.uplink.names import Role
from edged.uplink.outbox import RetryPolicy
from edged.uplink.reason_codes import PATIENT as PATIENT_REASONS
from edged.uplink.reason_codes import REASONS
from edged.uplink.receipts import ReceiptRange, Refusal, range_sha256, seal_receipt
from edged.uplink.status import (
    Connected,
    DeadLettered,
    Disconnected,
    GapMade,
    HeldBack,
    Published,
    Receipted,
    ReceiptRefused,
    Refused,
    Status,
    UplinkEvent,
    UplinkHealth,
)
from tests.broker import FLEET, Town
from tests.delivery import Box, box, now
from tests.scripted import (
    Publication,
    Script,
    Scripted,
    connack,
    disconnect,
    puback,
    publish,
    scripted_broker,
    text,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

CONNACK_FAILURES = frozenset(range(0x80, 0x8B)) | {0x8C, 0x90, 0x95, 0x97, 0x99, 0x9A, 0x9B, 0x9C, 0x9D, 0x9F}
PATIENT = RetryPolicy(receipt_s=3600, refused_s=3600)
QUICK = RetryPolicy(receipt_s=0.2, refused_s=0.05, bound_s=0.2)


@pytest.fixture(autouse=True)
def quiet_loop(caplog: pytest.LogCaptureFixture) -> Any:
    """asyncio logs as an error what a callback raises; here that fails the test.

    As a warning it logs what the scripted broker goes on saying to a box that has hung up: that is the broker's habit.
    """
    yield
    assert [
        record
        for record in caplog.get_records("call")
        if record.name == "asyncio" and record.levelno >= logging.ERROR
    ] == []


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Town:
    return Town(tmp_path_factory.mktemp("town"))


@contextlib.asynccontextmanager
async def pair(
    place: Town, directory: Path, *, waiting: int = 0, retry: RetryPolicy = PATIENT, **settings: Any
) -> AsyncIterator[tuple[Scripted, Box]]:
    """A box with so many envelopes from before, and its broker; not running yet."""
    patience = {key: settings.pop(key) for key in ("answer_timeout_s", "keepalive_s") if key in settings}
    async with scripted_broker(place, **patience) as (broker, endpoint):
        chosen: dict[str, Any] = {"drain_s": 0.05} | settings
        async with box(place, directory, run=False, retry=retry, endpoint=endpoint, **chosen) as device:
            for _ in range(waiting):
                await device.commit("bank")
            yield broker, device


def start(device: Box) -> None:
    device.task = asyncio.create_task(device.uplink.run())


async def noted(device: Box) -> None:
    """Wait until whatever was answered is on the disk."""
    lanes = device.uplink._lanes
    assert lanes is not None
    await device.events.until(lambda _: not lanes._held)


def receipt(place: Town, device: Box, **content: Any) -> bytes:
    ranges = content.pop("ranges", [])
    centre = place.signer(Role.COLLECTOR, "centre")
    iat = int(content.pop("iat", now()).timestamp())
    return seal_receipt("box-1", ranges, iat=iat, signer=centre, **content).encode()


def covering(device: Box, *sent: Publication, first: int = 1) -> ReceiptRange:
    digest = range_sha256(hashlib.sha256(one.payload).hexdigest() for one in sent)
    return ReceiptRange(device.sealer.log_id, "bank", first, first + len(sent) - 1, digest)


def deliver(broker: Scripted, payload: bytes, mid: int = 1) -> None:
    broker.send(publish(topics.receipt(FLEET, "box-1"), payload, mid))


async def test_a_fresh_verdict_overtakes_the_backlog_on_a_slow_line(place: Town, tmp_path: Path) -> None:
    async with pair(place, tmp_path / "box", waiting=60) as (broker, device):
        broker.script.rate = 60e3
        start(device)
        await broker.until(lambda b: len(b.verdicts()) > 20)
        await device.commit("bank")
        began = len(broker.verdicts())
        await broker.until(lambda b: any(one.lane == "live" for one in b.verdicts()))
        ahead = next(n for n, one in enumerate(broker.verdicts()) if one.lane == "live") - began
        assert ahead < 25, "half a second of this line is 20 envelopes"
        await broker.until(lambda b: len(b.verdicts()) == 61)
        assert [one.lane for one in broker.verdicts()].count("live") == 1
        assert all(one.retain is False for one in broker.verdicts())


async def test_nobody_waits_for_one_slow_acknowledgement(place: Town, tmp_path: Path) -> None:
    async with pair(place, tmp_path / "box", waiting=40) as (broker, device):
        held: list[Publication] = []

        def leave_out_one(one: Publication) -> int | None:
            if "/verdict/" in one.topic and not held:
                held.append(one)
                return None
            return 0

        broker.script.puback = leave_out_one
        start(device)
        await broker.until(lambda b: len(b.verdicts()) == 40)
        await device.events.until(lambda events: len(events.of(Published)) == 39)
        broker.send(puback(held[0].mid))
        await device.events.until(lambda events: len(events.of(Published)) == 40)
        await noted(device)
        assert (await device.counts()).published == 40


@pytest.mark.parametrize("allowed", [1, 2, 5])
async def test_never_more_in_flight_than_the_broker_allows(place: Town, tmp_path: Path, allowed: int) -> None:
    async with pair(place, tmp_path / "box", waiting=30) as (broker, device):
        broker.script.connack = connack(raw=b"\x21" + allowed.to_bytes(2))
        broker.script.rate = 1e6
        start(device)
        await broker.until(lambda b: len(b.verdicts()) >= 15)
        for _ in range(5):
            await device.commit("bank")
        await broker.until(lambda b: len(b.verdicts()) == 35)
        assert broker.most_unanswered <= allowed
        assert len({one.payload for one in broker.verdicts()}) == 35


async def test_fresh_verdicts_that_keep_up_arrive_in_order(place: Town, tmp_path: Path) -> None:
    async with pair(place, tmp_path / "box") as (broker, device):
        start(device)
        await device.events.first(Connected)
        for _ in range(20):
            await device.commit("bank")
        await device.events.until(lambda events: len(events.of(Published)) == 20)
        assert [event.seq for event in device.events.of(Published)] == list(range(1, 21))
        assert {one.lane for one in broker.verdicts()} == {"live"}


async def test_marks_are_written_in_groups(place: Town, tmp_path: Path) -> None:
    async with pair(place, tmp_path / "box", waiting=64) as (_, device):
        calls = 0
        mark = type(await device.state.run(lambda state: state)).mark

        def counted(*arguments: Any) -> Any:
            nonlocal calls
            calls += 1
            return mark(*arguments)

        await device.state.run(lambda state: setattr(state, "mark", counted.__get__(state)))
        start(device)
        await device.events.until(lambda _: len(device.events.of(Published)) == 64)
        await noted(device)
        assert calls < 40
        assert (await device.counts()).published == 64


async def test_a_broker_that_has_enough_is_left_alone(
    place: Town, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edged.uplink.pause.FIRST_S", 0.4)
    async with pair(place, tmp_path / "box", waiting=10) as (broker, device):
        full = True
        broker.script.puback = lambda one: 0x97 if full and "/verdict/" in one.topic else 0
        start(device)
        await device.events.first(HeldBack)
        assert device.uplink.health.paused == "mqtt.quota_exceeded"
        assert messages.text("mqtt.quota_exceeded", "en") in "\n".join(words(device.uplink.health, "en"))
        await device.events.until(lambda _: device.uplink._lanes._flying == 0)  # type: ignore[union-attr]
        first = len(broker.verdicts())
        await device.events.until(lambda events: len(events.of(HeldBack)) == 2)
        assert len(broker.verdicts()) == first + 1, "one asked; the others waited"
        counts = await device.counts()
        assert (counts.pending, counts.refused, counts.dead) == (10, 0, 0), (
            "nothing is wrong with any of them"
        )
        assert device.events.of(Refused) == []
        full = False
        await device.events.until(lambda events: len(events.of(Published)) == 10)
        assert device.uplink.health.paused is None


async def test_what_waits_for_a_broker_that_is_full_waits_on_the_disk(
    place: Town, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Days of fresh verdicts while the quota is used up: memory holds a window of them, and the newest goes first."""
    monkeypatch.setattr("edged.uplink.pause.FIRST_S", 0.3)
    async with pair(place, tmp_path / "box", window=4) as (broker, device):
        full = True
        broker.script.puback = lambda one: 0x97 if full and "/verdict/" in one.topic else 0
        start(device)
        await device.events.first(Connected)
        lanes = device.uplink._lanes
        assert lanes is not None
        fetch, most, next_out = lanes._fetch, 0, 0

        async def watched() -> float:
            nonlocal most, next_out
            wait = await fetch()
            next_out = lanes._live[0].seq if lanes._live else next_out
            most = max(most, len(lanes._live), len(lanes._held) - lanes._flying)
            return wait

        lanes._fetch = watched  # type: ignore[method-assign]
        for _ in range(40):
            await device.commit("bank")
        await device.events.until(lambda _: next_out == 40)
        assert most <= 8
        full = False
        await device.events.until(lambda events: len(events.of(Published)) == 40)


async def test_every_refusal_of_a_publication_reaches_health_and_words(place: Town, tmp_path: Path) -> None:
    for value in (0x80, 0x83, 0x87, 0x90, 0x91, 0x99):
        async with pair(place, tmp_path / hex(value), waiting=1) as (broker, device):
            broker.script.puback = lambda one, value=value: value if "/verdict/" in one.topic else 0
            start(device)
            refused = await device.events.first(Refused)
            assert refused.code == REASONS[value]
            await device.events.until(lambda _: device.uplink.health.last_refusal == REASONS[value])  # noqa: B023
            for lang in messages.LANGUAGES:
                assert messages.text(REASONS[value], lang) in "\n".join(words(device.uplink.health, lang))


@pytest.mark.parametrize("how", ["connack", "suback", "disconnect"])
async def test_every_end_of_a_connection_reaches_health_and_words(
    place: Town, tmp_path: Path, how: str
) -> None:
    said = b"\x1f" + text("see ticket 7")
    async with pair(place, tmp_path / "box", reconnect_min_s=0.001, reconnect_max_s=0.05) as (broker, device):
        healths: list[UplinkHealth] = []
        told_of, device.uplink._on_event = device.uplink._on_event, lambda event: keep(event)

        def keep(event: UplinkEvent) -> None:
            healths.append(device.uplink.health)
            told_of(event)

        for count, value in enumerate(FAILURES[how]):
            broker.script = Script()
            if how == "connack":
                broker.script.connack = connack(value, said)
            elif how == "suback":
                broker.script.suback = value
            if count == 0:
                start(device)
            if how == "disconnect":
                await device.events.until(lambda _: device.uplink.health.connected)
                broker.send(disconnect(value, said))
            seen = len(device.events.of(Disconnected))
            wanted = REASONS[value]
            await device.events.until(
                lambda events, n=seen, w=wanted: any(one.code == w for one in events.of(Disconnected)[n:])
            )
            health = next(one for one in reversed(healths) if one.problem == wanted)
            assert health.problems >= 1
            assert health.said == ("SUBACK" if how == "suback" else "see ticket 7")
            for lang in messages.LANGUAGES:
                told = "\n".join(words(health, lang))
                assert messages.text(wanted, lang) in told
                assert health.said in told


FAILURES = {
    "connack": [value for value in REASONS if value in CONNACK_FAILURES],
    "suback": [0x80, 0x83, 0x87, 0x8F, 0x91, 0x97, 0x9E, 0xA1, 0xA2],
    "disconnect": list(REASONS),
}
"""MQTT 5 §2.4; of a DISCONNECT all there are, because brokers aren't strict."""


def words(health: UplinkHealth, lang: str) -> list[str]:
    return status_command.lines(
        {
            "device": "box-1",
            "fleet": FLEET,
            "version": "1",
            "indication": "ready",
            "uplink": msgspec.to_builtins(health),
            "clock": {"trusted": True},
            "chip": None,
            "devices_gone": [],
            "troubles": [],
        },
        lang,
    )


@pytest.mark.parametrize("value", sorted(PATIENT_REASONS), ids=hex)
async def test_two_machines_with_one_certificate_do_not_fight(
    place: Town, tmp_path: Path, value: int
) -> None:
    """Nor does anybody else come back in haste who was told that it is too much, or too often."""
    async with pair(place, tmp_path / "box", reconnect_min_s=0.01, reconnect_max_s=9.0) as (broker, device):
        start(device)
        await device.events.first(Connected)
        broker.send(disconnect(value))
        lost = await device.events.first(Disconnected)
        assert lost.code == REASONS[value]
        assert lost.retry_s >= 4.5


async def test_a_broker_that_keeps_nothing_retained_still_gets_verdicts(place: Town, tmp_path: Path) -> None:
    async with pair(place, tmp_path / "box", waiting=1) as (broker, device):
        broker.script.connack = connack(0x9A)
        start(device)
        await device.events.first(Disconnected)
        broker.script.connack = connack(raw=b"\x25\x00")
        await device.events.first(Published)
        assert broker.wills_retained[0]
        assert not broker.wills_retained[-1]
        await broker.until(lambda b: any("/status" in one.topic for one in b.published))
        assert not any(one.retain for one in broker.published)


async def test_a_final_refusal_becomes_a_dead_letter_and_a_gap_record(place: Town, tmp_path: Path) -> None:
    async with pair(place, tmp_path / "box", waiting=2, retry=QUICK) as (broker, device):
        broker.script.puback = lambda one: (
            0x99 if "/verdict/" in one.topic and b".1." not in one.payload else 0
        )
        start(device)
        dead = await device.events.first(DeadLettered)
        assert (dead.audience, dead.code) == ("bank", "mqtt.payload_format_invalid")
        await device.events.until(lambda events: len(events.of(DeadLettered)) == 2)
        await device.events.first(GapMade)
        await broker.until(lambda b: any("/gap/" in one.topic for one in b.published))
        record = next(one for one in broker.published if "/gap/" in one.topic)
        gap = open_gap(
            record.payload, anchor=place.anchor, at=now(), audience="bank", device="box-1", late=timedelta(1)
        )
        assert (gap.payload.reason, gap.payload.code) == ("refused", "mqtt.payload_format_invalid")
        assert gap.payload.clock == "not_trusted", "nobody has said that it is"
        assert record.topic == topics.gap(FLEET, "box-1", "bank")
        names = {hashlib.sha256(one.payload).hexdigest() for one in broker.published if "/gap/" in one.topic}
        deliver(broker, receipt(place, device, gaps=sorted(names)))
        await broker.until(lambda b: b.acknowledged == [1])
        await device.events.until(lambda _: device.uplink.health.dead == 2)
        counts = await device.counts()
        while counts.gaps_pending:  # the second letter's record, if it was signed by itself
            names = {
                hashlib.sha256(one.payload).hexdigest() for one in broker.published if "/gap/" in one.topic
            }
            deliver(broker, receipt(place, device, gaps=sorted(names)), 2)
            await asyncio.sleep(0.02)
            counts = await device.counts()
        assert (counts.pending, counts.dead, counts.gaps_pending) == (0, 2, 0)
        told = "\n".join(words(device.uplink.health, "en"))
        assert "2 envelopes were refused for good" in told


async def test_a_collectors_refusals_are_counted_told_and_in_the_end_final(
    place: Town, tmp_path: Path
) -> None:
    async with pair(place, tmp_path / "box", waiting=1, retry=QUICK) as (broker, device):
        start(device)
        for count in range(1, 4):
            await broker.until(lambda b, n=count: len(b.verdicts()) >= n)
            await device.events.until(lambda events, n=count: len(events.of(Published)) >= n)
            sha256 = hashlib.sha256(broker.verdicts()[0].payload).hexdigest()
            refusals = [Refusal(sha256, "stream.chain_broken"), Refusal("0" * 64, "stream.chain_broken")]
            deliver(broker, receipt(place, device, refused=refusals), count)
            await device.events.until(lambda events, n=count: len(events.of(Refused)) >= n)
        dead = await device.events.first(DeadLettered)
        assert dead == DeadLettered("bank", 1, "stream.chain_broken")
        assert device.events.of(ReceiptRefused) == []
        await broker.until(lambda b: any("/gap/" in one.topic for one in b.published))
        health = device.uplink.health
        assert (health.dead, health.pending) == (1, 0)


async def test_receipts_forget_and_the_status_says_so(place: Town, tmp_path: Path) -> None:
    async with pair(place, tmp_path / "box", waiting=3) as (broker, device):
        start(device)
        await broker.until(lambda b: len(b.verdicts()) == 3)
        deliver(broker, receipt(place, device, ranges=[covering(device, *broker.verdicts())]))
        assert (await device.events.first(Receipted)).count == 3

        def told(b: Scripted) -> bool:
            raw = [one.payload for one in b.published if one.topic == topics.status(FLEET, "box-1")]
            return bool(raw) and msgspec.json.decode(raw[-1], type=Status).pending == 0

        await broker.until(told)
        last = [one for one in broker.published if one.topic.endswith("/status")][-1]
        status = msgspec.json.decode(last.payload, type=Status)
        assert last.retain
        assert (status.state, status.pending_bytes, status.oldest_s, status.dead, status.lost) == (
            "online",
            0,
            None,
            0,
            0,
        )
        assert (status.clock_trusted, status.log_replaced, status.paused, status.problems) == (
            None,
            False,
            None,
            0,
        )


async def test_what_was_acknowledged_before_the_end_is_noted(place: Town, tmp_path: Path) -> None:
    async with pair(place, tmp_path / "box", waiting=2, reconnect_min_s=30, reconnect_max_s=30) as (
        broker,
        device,
    ):
        broker.script.puback = lambda one: None if "/verdict/" in one.topic else 0
        start(device)
        await broker.until(lambda b: len(b.verdicts()) == 2)
        first, second = broker.verdicts()
        broker.send(puback(first.mid) + puback(second.mid) + disconnect(0x8B))
        lost = await device.events.first(Disconnected)
        assert lost.code == "mqtt.server_shutting_down"
        assert (await device.counts()).published == 2


async def test_what_was_on_its_way_at_the_end_was_not_taken_and_goes_again_at_once(
    place: Town, tmp_path: Path
) -> None:
    async with pair(place, tmp_path / "box", waiting=2, reconnect_min_s=0.1, spread_s=0.0) as (
        broker,
        device,
    ):
        broker.script.puback = lambda one: None if "/verdict/" in one.topic else 0
        start(device)
        await broker.until(lambda b: len(b.verdicts()) == 2)
        first, second = broker.verdicts()
        broker.send(puback(first.mid) + disconnect(0x8B))
        await device.events.first(Disconnected)
        assert [event.seq for event in device.events.of(Published)] == [1]
        assert (await device.counts()).published == 1
        await broker.until(lambda b: len(b.verdicts()) == 3)  # what was taken has an hour to be receipted
        assert broker.verdicts()[2].payload == second.payload


# --- stalls: each noticed within its bound, the connection dropped, another made -------------------------------


async def again(broker: Scripted, device: Box, code: str) -> None:
    """The stall was named `code`, and the next connection works."""
    lost = await device.events.first(Disconnected)
    assert lost.code == code
    broker.script = type(broker.script)()
    await device.events.until(lambda events: len(events.of(Published)) >= 1)


async def test_a_broker_that_never_answers_connect(place: Town, tmp_path: Path) -> None:
    async with pair(place, tmp_path / "box", waiting=1, answer_timeout_s=0.3) as (broker, device):
        broker.script.connack = None
        start(device)
        await again(broker, device, "uplink.no_answer")


async def test_a_broker_that_never_answers_subscribe(place: Town, tmp_path: Path) -> None:
    async with pair(place, tmp_path / "box", waiting=1, answer_timeout_s=0.3) as (broker, device):
        broker.script.suback = None
        start(device)
        await again(broker, device, "uplink.no_answer")


async def test_a_broker_that_acknowledges_nothing(place: Town, tmp_path: Path) -> None:
    async with pair(place, tmp_path / "box", waiting=1, answer_timeout_s=0.3) as (broker, device):
        broker.script.puback = lambda _: None
        start(device)
        await again(broker, device, "uplink.no_answer")


async def test_a_broker_that_stops_reading(place: Town, tmp_path: Path) -> None:
    """Whatever its kernel still takes; the bound doesn't depend on when the window is full."""
    async with pair(place, tmp_path / "box", answer_timeout_s=0.3) as (broker, device):
        start(device)
        await device.events.first(Connected)
        await broker.until(lambda b: any(one.topic.endswith("/status") for one in b.published))
        broker.script.reading = False
        for _ in range(100):
            await device.commit("bank")
        lost = await device.events.first(Disconnected)
        assert lost.code in ("uplink.no_answer", "uplink.connection_lost")
        await broker.drop()  # a connection that the box has given up
        broker.script.reading = True
        await device.events.until(lambda events: len({event.seq for event in events.of(Published)}) == 100)


async def test_a_line_that_dies_while_nothing_is_sent(place: Town, tmp_path: Path) -> None:
    async with pair(place, tmp_path / "box", keepalive_s=1) as (broker, device):
        broker.script.pong = False
        start(device)
        lost = await device.events.first(Disconnected)
        assert lost.code == "mqtt.keep_alive_timeout"


async def test_a_slow_broker_is_not_a_dead_one(place: Town, tmp_path: Path) -> None:
    """Each answer comes long after its publication, but answers come: nobody hangs up."""
    async with pair(place, tmp_path / "box", waiting=12, answer_timeout_s=0.5) as (broker, device):
        broker.script.rate = 15e3  # a tenth of a second an envelope
        start(device)
        await device.events.until(lambda events: len(events.of(Published)) == 12)
        assert device.events.of(Disconnected) == []
