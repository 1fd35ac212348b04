"""The collector's pipeline over a real broker: bounded, several workers, an honest clock, receipts for all."""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import subprocess
import sys
import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from edged.central.archive_sqlite import SqliteArchive
from edged.central.collector import Collector
from edged.central.events import Batch, ReceiptRefused
from edged.central.pipeline import IN_HAND
from edged.cli import main
from edged.uplink import topics
from edged.uplink.gaps import Gap, seal_gap
from edged.uplink.intake import BATCH
from edged.uplink.mqtt import Connection, connect
from edged.uplink.names import Role
from edged.uplink.outbox import RetryPolicy
from edged.uplink.receipts import Receipt, open_receipt
from edged.uplink.subscription import Alarmed, Down, Ready
from tests.broker import FLEET, NOW, Sealer, Town, session, stream, town
from tests.delivery import (
    Events,
    archive_ledger,
    box,
    collector,
    collector_settings,
    configuration,
    running,
)
from tests.postgres import shared
from tests.test_mqtt_reasons import scripted
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from edged.uplink.envelope import Envelope


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Town]:
    with town(tmp_path / "town") as made:
        yield made


class Traffic:
    """Messages that a collector's connection has received, and acknowledged."""

    def __init__(self) -> None:
        self.taken = 0
        self.acknowledged = 0
        self.connection: Connection | None = None

    @property
    def held(self) -> int:
        """In memory: not acknowledged, wherever they are."""
        waiting = len(self.connection._client.inbox) if self.connection else 0
        return self.taken + waiting - self.acknowledged


@pytest.fixture
def traffic(monkeypatch: pytest.MonkeyPatch) -> Traffic:
    counted = Traffic()
    take, acknowledge = Connection.take, Connection.acknowledge

    def counted_take(self: Connection, limit: int) -> Any:
        counted.connection = self
        taken = take(self, limit)
        counted.taken += len(taken)
        return taken

    def counted_acknowledge(self: Connection, message: Any) -> None:
        counted.acknowledged += 1
        acknowledge(self, message)

    monkeypatch.setattr(Connection, "take", counted_take)
    monkeypatch.setattr(Connection, "acknowledge", counted_acknowledge)
    return counted


async def publish(
    place: Town, payloads: Sequence[bytes], device: str = "box-1", audience: str = "bank"
) -> None:
    async with connect(place.endpoint(Role.DEVICE, device), session(device)) as raw:
        topic = topics.verdict(FLEET, device, audience)
        await asyncio.gather(*(raw.publish(topic, payload) for payload in payloads))


def payloads(envelopes: Sequence[Envelope]) -> list[bytes]:
    return [envelope.jws.encode() for envelope in envelopes]


async def test_a_blocked_archive_holds_up_the_broker_and_never_fills_memory(
    place: Town, tmp_path: Path, traffic: Traffic, monkeypatch: pytest.MonkeyPatch
) -> None:
    good, gate, calls = SqliteArchive.store, threading.Event(), []

    def gated(self: SqliteArchive, checked: Any, now: datetime) -> Any:
        calls.append(len(checked))
        assert gate.wait(60)
        return good(self, checked, now)

    monkeypatch.setattr(SqliteArchive, "store", gated)
    envelopes = stream(Sealer(place.signer(Role.DEVICE, "box-1"), "log"), "bank", 4 * BATCH)
    async with collector(place, tmp_path / "centre") as centre:
        await centre.first(Ready)
        try:
            await publish(place, payloads(envelopes))
            await until(lambda: calls and traffic.held >= IN_HAND * BATCH)
            # A round trip later there would be more, if more could come.
            await publish(place, [b"junk"], "box-2")
            assert traffic.held == IN_HAND * BATCH, "the broker keeps the rest"
            assert traffic.acknowledged == 0
            assert len(calls) == 1, "one is being stored, one waits, verified"
            assert not centre.of(Batch)
        finally:
            gate.set()
        await until(lambda: traffic.acknowledged == len(envelopes) + 1)
        await centre.until(lambda events: sum(batch.stored for batch in events.of(Batch)) == len(envelopes))
        assert max(calls) <= BATCH
    (kept,) = archive_ledger(tmp_path / "centre" / "archive.sqlite").streams.values()
    assert (len(kept.hashes), kept.duplicates) == (len(envelopes), 0)


async def test_stopping_stores_and_acknowledges_what_is_in_hand(
    place: Town, tmp_path: Path, traffic: Traffic, monkeypatch: pytest.MonkeyPatch
) -> None:
    good, entered, gate = SqliteArchive.store, threading.Event(), threading.Event()

    def gated(self: SqliteArchive, checked: Any, now: datetime) -> Any:
        entered.set()
        assert gate.wait(60)
        return good(self, checked, now)

    monkeypatch.setattr(SqliteArchive, "store", gated)
    events = Events()
    worker = Collector(collector_settings(place, tmp_path / "centre"), on_event=events.append)
    async with running(worker) as task:
        await events.first(Ready)
        await publish(place, payloads(stream(Sealer(place.signer(Role.DEVICE, "box-1"), "log"), "bank", 5)))
        await until(entered.is_set)
        worker.stop()
        await asyncio.sleep(0.05)
        assert not task.done()
        gate.set()
        await asyncio.wait_for(task, 60)
    assert traffic.acknowledged == traffic.taken > 0
    (kept,) = archive_ledger(tmp_path / "centre" / "archive.sqlite").streams.values()
    assert len(kept.hashes) == traffic.taken


async def test_junk_and_forgeries_are_acknowledged_once_their_alarm_is_stored(
    place: Town, tmp_path: Path
) -> None:
    foreign = Sealer(place.signer(Role.DEVICE, "box-2"), "log")
    forged = payloads(stream(foreign, "bank", 1))
    async with collector(place, tmp_path / "centre") as centre:
        await centre.first(Ready)
        await publish(place, [b"junk", b"\xff" * 100, *forged])
        await centre.until(lambda events: sum(batch.refused for batch in events.of(Batch)) == 3)
        codes = {event.alarm.code for event in centre.of(Alarmed)}
        assert codes == {"jws.malformed", "envelope.wrong_issuer"}
    async with collector(place, tmp_path / "centre") as centre:
        assert (await centre.first(Ready)).resumed
        await publish(place, payloads(stream(Sealer(place.signer(Role.DEVICE, "box-1"), "log"), "bank", 1)))
        await centre.first(Batch)
        assert [(batch.stored, batch.refused) for batch in centre.of(Batch)] == [(1, 0)]


async def hear(place: Town, device: str, messages: Sequence[tuple[str, bytes]]) -> Receipt:
    """Publish as a box does, one after another; what all its receipts say, together."""
    ranges: list[Any] = []
    gaps: set[str] = set()
    refused: dict[str, str] = {}
    async with asyncio.timeout(60), connect(place.endpoint(Role.DEVICE, device), session(device)) as raw:
        await raw.subscribe(topics.receipt(FLEET, device))
        for topic, payload in messages:
            await raw.publish(topic, payload)
            (message,) = await raw.receive()
            receipt = open_receipt(message.payload, anchor=place.anchor, at=datetime.now(UTC), device=device)
            raw.acknowledge(message)
            ranges += receipt.ranges
            gaps |= set(receipt.gaps)
            refused |= {one.sha256: one.code for one in receipt.refused}
    return msgspec.structs.replace(
        receipt, ranges=tuple(ranges), gaps=tuple(gaps), refused=tuple(sorted(refused.items()))
    )


async def test_receipts_name_envelopes_gap_records_and_what_is_refused(place: Town, tmp_path: Path) -> None:
    signer = place.signer(Role.DEVICE, "box-1")
    sealer = Sealer(signer, "log")
    first, second = stream(sealer, "bank", 2)
    other = stream(Sealer(signer, "log"), "bank", 2, reference="another")[1]
    gap = Gap(log_id="log", audience="bank", first=3, last=4, sha256="0" * 64, reason="too_old")
    record = seal_gap(gap, jti="g1", iat=int(NOW.timestamp()), clock="trusted", signer=signer)
    verdicts, gaps = topics.verdict(FLEET, "box-1", "bank"), topics.gap(FLEET, "box-1", "bank")
    told = tmp_path / "told"
    async with collector(
        place, tmp_path / "centre", alarm_command=("/bin/sh", "-c", f"cat >> {told}; echo >> {told}")
    ) as centre:
        await centre.first(Ready)
        receipt = await hear(
            place,
            "box-1",
            [
                (verdicts, first.jws.encode()),
                (verdicts, second.jws.encode()),
                (gaps, record.encode()),
                (verdicts, other.jws.encode()),
            ],
        )
        alarm = (await centre.first(Alarmed)).alarm
        assert (alarm.code, alarm.device, alarm.seq) == ("stream.equivocation", "box-1", 2)
        await until(lambda: told.exists() and told.read_text().endswith("\n"))
    assert [(run.first, run.last) for run in receipt.ranges] == [(1, 1), (2, 2)]
    assert len(receipt.gaps) == 1
    assert receipt.refused == ((other.sha256, "stream.equivocation"),)
    assert sum(batch.gaps for batch in centre.of(Batch)) == 1
    heard = msgspec.json.decode(told.read_bytes())
    assert (heard["alarm"]["code"], heard["fleet"], heard["collector"]) == (
        "stream.equivocation",
        FLEET,
        "centre",
    )


async def test_a_receipt_that_the_broker_refuses_costs_only_a_repeat(tmp_path: Path) -> None:
    with town(tmp_path / "town") as place:
        rights = tmp_path / "town/broker/mosquitto.acl"
        rights.write_text(rights.read_text().replace(f"topic write edged/1/{FLEET}/+/receipt\n", ""))
        place.broker.restart()
        async with collector(place, tmp_path / "centre") as centre:
            await centre.first(Ready)
            await publish(
                place, payloads(stream(Sealer(place.signer(Role.DEVICE, "box-1"), "log"), "bank", 1))
            )
            assert await centre.first(ReceiptRefused) == ReceiptRefused("box-1", "mqtt.not_authorized")
            assert (await centre.first(Batch)).stored == 1
            assert not centre.of(Down)


async def test_an_absurd_clock_stops_everything_until_it_is_set(place: Town, tmp_path: Path) -> None:
    moment = [datetime(1970, 1, 2, tzinfo=UTC)]
    events = Events()
    worker = Collector(
        collector_settings(place, tmp_path / "centre"), on_event=events.append, clock=lambda: moment[0]
    )
    async with running(worker), box(place, tmp_path / "box") as device:
        await device.commit("bank")
        await events.until(lambda events: len(events.of(Down)) >= 2)
        assert {event.code for event in events.of(Down)} == {"central.clock_before_release"}
        moment[0] = datetime.now(UTC)
        await device.settled()
        moment[0] = datetime(2099, 1, 1, tzinfo=UTC)
        await device.commit("bank")
        await events.until(lambda events: events.of(Down)[-1].code == "central.certificate_ended")
        assert (await device.counts()).pending == 1
        moment[0] = datetime.now(UTC)
        await device.settled()
        assert not events.of(Alarmed), "a wrong clock of ours accuses nobody"
    assert archive_ledger(tmp_path / "centre" / "archive.sqlite").alarms == 0


async def side_by_side(place: Town, tmp_path: Path, archive: str) -> None:
    """Two workers, one archive; one is killed in the middle, then the other."""
    # The broker goes on handing the dead one its share: what goes there comes again, by the box's patience.
    impatient = RetryPolicy(receipt_s=0.2, refused_s=0.2, bound_s=0.3)
    async with box(place, tmp_path / "box", retry=impatient) as device:
        async with collector(place, tmp_path / "centre", archive=archive) as one:
            two = Collector(
                msgspec.structs.replace(
                    collector_settings(place, tmp_path / "second", "second"), archive=archive
                )
            )
            task = asyncio.create_task(two.run())
            await one.first(Ready)
            for number in range(12):
                await device.commit("bank", "hotel")
                if number == 6:
                    task.cancel()  # as far as broker and archive can tell, a kill
            await asyncio.gather(task, return_exceptions=True)
            await device.settled(30)
            assert 0 < sum(batch.stored for batch in one.of(Batch)) <= 24
        async with collector(place, tmp_path / "second", "second", archive=archive):
            await device.commit("bank")
            await device.settled(30)


async def test_workers_side_by_side_on_one_file(place: Town, tmp_path: Path) -> None:
    await side_by_side(place, tmp_path, str(tmp_path / "archive.sqlite"))
    kept = archive_ledger(tmp_path / "archive.sqlite")
    assert sorted(len(one.hashes) for one in kept.streams.values()) == [12, 13]
    assert kept.alarms == 0


async def test_workers_side_by_side_on_postgresql(place: Town, tmp_path: Path) -> None:
    url = (await asyncio.to_thread(shared)).database()
    await side_by_side(place, tmp_path, url)
    kept = archive_ledger(url)
    assert sorted(len(one.hashes) for one in kept.streams.values()) == [12, 13]
    assert kept.alarms == 0


async def test_one_certificate_on_two_workers_is_said_and_no_tug_of_war(place: Town, tmp_path: Path) -> None:
    """A broker that says who threw us out is believed: coming back at once would throw the other out in turn."""
    suback, taken_over = b"\x90\x04?\x00\x01", b"\xe0\x02\x8e\x00"
    async with (
        scripted(
            place, b"\x20\x03\x00\x00\x00", suback, suback, suback, suback, suback + taken_over
        ) as endpoint,
        collector(place, tmp_path / "centre", broker=endpoint, reconnect_max_s=20.0) as worker,
    ):
        down = await worker.first(Down)
        assert worker.of(Ready)
        assert down.code == "mqtt.session_taken_over"
        assert down.retry_s >= 10


async def test_leaving_is_a_command(place: Town, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = collector_settings(place, tmp_path / "centre")
    path = configuration(settings, tmp_path / "central.toml")
    async with running(Collector(settings, on_event=(events := Events()).append)):
        await events.first(Ready)
    assert await asyncio.to_thread(main, ["--lang", "en", "central", "leave", "--config", str(path)]) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("collector.centre: has left.")
    assert await asyncio.to_thread(main, ["central", "leave", "--json", "--config", str(path)]) == 0
    assert msgspec.json.decode(capsys.readouterr().out) == {
        "event": "left",
        "name": "collector.centre",
        "had_session": False,
    }


def test_a_reader_that_goes_away_ends_the_command_without_a_word(place: Town, tmp_path: Path) -> None:
    """`edged central collect … | head -1`"""
    path = configuration(collector_settings(place, tmp_path / "centre"), tmp_path / "central.toml")
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-m", "edged", "central", "collect", "--json", "--config", str(path)],
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
        check=False,
    )
    os.close(writer)
    said = [json.loads(line) for line in done.stderr.splitlines()]
    assert done.returncode == os.EX_OK, done.stderr
    assert {line["level"] for line in said} == {"info"}


async def test_a_row_that_the_archive_will_not_have_stops_nobody_and_comes_when_it_may(
    place: Town, tmp_path: Path
) -> None:
    impatient = RetryPolicy(receipt_s=0.2, refused_s=0.2, bound_s=0.3)
    async with (
        collector(place, tmp_path / "centre") as centre,
        box(place, tmp_path / "box", retry=impatient) as device,
    ):
        await centre.first(Ready)
        with sqlite3.connect(tmp_path / "centre" / "archive.sqlite") as other:
            other.execute(
                "CREATE TRIGGER rule BEFORE INSERT ON envelope WHEN new.seq = 3 BEGIN SELECT RAISE(ABORT, 'no'); END"
            )
        for _ in range(6):
            await device.commit("bank")
        alarmed = await centre.first(Alarmed)
        assert alarmed.alarm.code == "archive.row_refused"
        async with asyncio.timeout(60):
            while (await device.counts()).pending != 1:
                await asyncio.sleep(0.01)
        with sqlite3.connect(tmp_path / "centre" / "archive.sqlite") as other:
            other.execute("DROP TRIGGER rule")
        await device.settled()
        assert not centre.of(Down)
        assert (await device.counts()).dead == 0
    (kept,) = archive_ledger(tmp_path / "centre" / "archive.sqlite").streams.values()
    assert sorted(kept.hashes) == [1, 2, 3, 4, 5, 6]
