"""From the outbox to the archive and to partners, over a real broker, on good days and bad ones."""

from __future__ import annotations

import asyncio
import hashlib
import os
import random
import signal
import subprocess
import sys
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from edged.central.archive_sqlite import SqliteArchive
from edged.central.collector import Batch
from edged.errors import StateError
from edged.partner.follow import VerdictEvent
from edged.partner.store import Inbox
from edged.partner.store import ledger as partner_ledger
from edged.uplink import topics
from edged.uplink.envelope import Envelope, EnvelopeDraft, StreamPosition
from edged.uplink.mqtt import PublishRefusedError, connect
from edged.uplink.names import Role, Usage
from edged.uplink.outbox import RetryPolicy
from edged.uplink.outbox import ledger as box_ledger
from edged.uplink.receipts import TYP_RECEIPT, Receipt, ReceiptRange, range_sha256, seal_receipt
from edged.uplink.status import Connected, Disconnected, Published, Receipted, ReceiptRefused, Refused, Status
from edged.uplink.subscription import Alarmed, Down, Ready
from tests.broker import FLEET, NOW, Sealer, Town, draft, session, town
from tests.delivery import (
    QUICK,
    Box,
    Events,
    archive_ledger,
    box,
    collector,
    collector_settings,
    configuration,
    follower,
    signing,
)
from tests.outbox import waiting

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

RECEIPTED = int(NOW.timestamp())


@pytest.fixture(autouse=True)
def quiet_loop(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """asyncio only logs what a callback raises; here that fails the test."""
    yield
    assert [record for record in caplog.get_records("call") if record.name == "asyncio"] == []


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Town]:
    with town(tmp_path / "town") as made:
        yield made


def balanced(tmp_path: Path, committed: int, *partners: str) -> int:
    """Every party's own store tells the same; how many duplicates there were."""
    sent = box_ledger(tmp_path / "box" / "state.sqlite")
    archive = archive_ledger(tmp_path / "centre" / "archive.sqlite")
    assert archive.alarms == 0
    assert set(sent) == set(archive.streams)
    for key, envelopes in sent.items():
        assert {one.seq: one.sha256 for one in envelopes} == archive.streams[key].hashes
        assert all(one.published and one.receipted for one in envelopes)
    for name in partners:
        received = partner_ledger(tmp_path / name / "verdicts.sqlite")
        for key, envelopes in sent.items():
            if key[2] == name:
                assert received[key].hashes == {one.seq: one.sha256 for one in envelopes}
    assert sum(map(len, sent.values())) == committed
    return sum(kept.duplicates for kept in archive.streams.values())


async def test_the_whole_way(place: Town, tmp_path: Path) -> None:
    async with (
        collector(place, tmp_path / "centre") as centre,
        follower(place, tmp_path / "bank") as bank,
        follower(place, tmp_path / "hotel", "hotel") as hotel,
        box(place, tmp_path / "box") as device,
    ):
        for events in (centre, bank, hotel):
            await events.first(Ready)
        await device.events.first(Connected)
        for number in range(20):
            await device.commit("bank", *(["hotel"] if number % 2 else []))
        await device.settled()
        await bank.until(lambda events: len(events.of(VerdictEvent)) == 20)
        await hotel.until(lambda events: len(events.of(VerdictEvent)) == 10)
        assert [event.verdict["seq"] for event in bank.of(VerdictEvent)] == list(range(1, 21))
        assert {event.verdict["audience"] for event in hotel.of(VerdictEvent)} == {"hotel"}
        assert bank.of(VerdictEvent)[0].lane == "live"
        assert bank.of(VerdictEvent)[0].verdict["reference"] == "till-7"
        assert {event.lane for event in device.events.of(Published)} == {"live"}
        assert sum(event.count for event in device.events.of(Receipted)) == 30
        assert device.uplink.health == msgspec.structs.replace(
            device.uplink.health, connected=True, problem=None, pending=0, refused=0, receipts_refused=0
        )
    assert balanced(tmp_path, 30, "bank", "hotel") == 0


async def test_days_offline_drain_as_backlog(place: Town, tmp_path: Path) -> None:
    async with box(place, tmp_path / "box", run=False) as device:
        for _ in range(100):
            await device.commit("bank")
    async with (
        collector(place, tmp_path / "centre"),
        box(place, tmp_path / "box") as device,
    ):
        await device.settled()
        assert {event.lane for event in device.events.of(Published)} == {"backlog"}
        await device.commit("bank")
        await device.settled()
        fresh = next(event for event in device.events.of(Published) if event.seq == 101)
        assert fresh.lane == "live"
    balanced(tmp_path, 101)


async def test_broker_killed_and_restarted_mid_stream(place: Town, tmp_path: Path) -> None:
    """It has forgotten its sessions, and what came before the partner was back it never had: the partner asks."""
    async with (
        collector(place, tmp_path / "centre") as centre,
        follower(place, tmp_path / "bank", options={"patience": QUICK}, **signing(place)) as bank,
        box(place, tmp_path / "box") as device,
    ):
        await centre.first(Ready)
        await bank.first(Ready)
        for number in range(60):
            await device.commit("bank")
            if number % 20 == 10:
                await asyncio.to_thread(place.broker.kill)
            if number % 20 == 15:
                await device.events.until(lambda events: not device.uplink.health.connected)
                await asyncio.to_thread(place.broker.start)
                await device.events.until(lambda events: device.uplink.health.connected)
        await device.settled()
        assert len(device.events.of(Disconnected)) >= 3
        await bank.until(lambda events: len({event.sha256 for event in events.of(VerdictEvent)}) == 60, 100)
    balanced(tmp_path, 60, "bank")


async def test_a_broker_that_loses_its_memory_loses_nothing(place: Town, tmp_path: Path) -> None:
    """Its store deleted while it was down: acknowledged messages and sessions are gone; the outbox is not."""
    async with box(place, tmp_path / "box") as device:
        await device.commit("bank")
        await device.events.first(Published)
        place.broker.kill()
        for file in (tmp_path / "town" / "broker").glob("*.db*"):
            file.unlink()
        place.broker.start()
        async with collector(place, tmp_path / "centre"):
            await device.commit("bank")
            await device.settled()
    balanced(tmp_path, 2)


COLLECT = """
import asyncio, sys
from pathlib import Path
from edged.config import load_toml
from edged.central.collector import Collector, CollectorSettings
async def main():
    await Collector(load_toml(Path(sys.argv[1]), CollectorSettings)).run()
asyncio.run(main())
"""


async def test_collector_killed_while_it_works(place: Town, tmp_path: Path) -> None:
    config = configuration(collector_settings(place, tmp_path / "centre"), tmp_path / "collector.toml")

    def start() -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, "-c", COLLECT, config], stderr=subprocess.DEVNULL)

    child = start()
    try:
        async with box(place, tmp_path / "box") as device:
            for turn in range(2):
                await wait_for_one_more(device)
                for _ in range(30):
                    await device.commit("bank", "hotel")
                    await asyncio.sleep(0.001 * turn)
                child.kill()
                child.wait()
                child = start()
            await device.settled()
    finally:
        child.kill()
        child.wait()
    balanced(tmp_path, 2 * 62)


async def wait_for_one_more(device: Box) -> None:
    await device.commit("bank", "hotel")
    await device.settled()


COMMIT_AND_DIE = """
import os, signal, sys
from pathlib import Path
from datetime import UTC, datetime
from edged.uplink.outbox import StateDatabase
from edged.uplink.sign import Signer
from tests.broker import Sealer, draft
state = StateDatabase.open(Path(sys.argv[1]), device="box-1", now=datetime.now(UTC))
sealer = Sealer(Signer.from_files(Path(sys.argv[2]), Path(sys.argv[3])), state.log_id, datetime.now(UTC))
for number in range(3):
    state.commit_inspection(str(number), [draft("bank"), draft("hotel")], sealer, datetime.now(UTC))
print("committed", flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


async def test_daemon_killed_between_commit_and_publish(place: Town, tmp_path: Path) -> None:
    files = place.fleet.issue(Role.DEVICE, "box-1", Usage.SIGNING)
    (tmp_path / "box").mkdir()
    dead = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", COMMIT_AND_DIE, tmp_path / "box/state.sqlite", files.key, files.certificate],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (dead.returncode, dead.stdout) == (-signal.SIGKILL, "committed\n"), dead.stderr
    async with collector(place, tmp_path / "centre"), box(place, tmp_path / "box") as device:
        await device.settled()
        await device.commit("bank")
        await device.settled()
    assert balanced(tmp_path, 7) == 0


async def test_killed_between_puback_and_the_note_of_it(place: Town, tmp_path: Path) -> None:
    """Published, not noted: it is published again, and the archive has it once."""
    async with box(place, tmp_path / "box", run=False) as device:
        await device.commit("bank")
        (due,) = await device.state.run(lambda state: waiting(state, 9, NOW + timedelta(days=27_000)))
    async with collector(place, tmp_path / "centre") as centre:
        await centre.first(Ready)
        async with connect(place.endpoint(Role.DEVICE, "box-1"), session("box-1")) as raw:
            await raw.publish(topics.verdict(FLEET, "box-1", "bank"), due.jws.encode())
        await centre.first(Batch)
        async with box(place, tmp_path / "box") as device:
            await device.settled()
    assert balanced(tmp_path, 1) == 1


async def test_a_denied_publish_is_noticed_kept_and_reported(tmp_path: Path) -> None:
    """The broker's access list knows nothing of this audience's topic for this device."""
    with town(tmp_path / "town") as place:
        acl = tmp_path / "town/broker/mosquitto.acl"
        good = acl.read_text()
        acl.write_text(good.replace(f"pattern write edged/1/{FLEET}/%u/verdict/+\n", ""))
        place.broker.restart()
        async with collector(place, tmp_path / "centre"), box(place, tmp_path / "box") as device:
            await device.commit("bank")
            refused = await device.events.first(Refused)
            assert (refused.audience, refused.seq, refused.code) == ("bank", 1, "mqtt.not_authorized")
            await device.events.until(lambda _: device.uplink.health.refused == 1)
            assert device.uplink.health.connected, "a refusal is no reason to hang up"
            assert device.uplink.health.last_refusal == "mqtt.not_authorized"
            assert (
                await status_of(place, lambda status: status.refused)
            ).last_refusal == "mqtt.not_authorized"
            await device.events.until(lambda events: len(events.of(Refused)) >= 2)  # tried again, slowly
            assert (await device.counts()).pending == 1
            acl.write_text(good)
            os.kill(place.broker.pid or 0, signal.SIGHUP)
            await device.settled()
            assert device.uplink.health.refused == 0
        balanced(tmp_path, 1)


async def status_of(place: Town, condition: Any, device: str = "box-1") -> Status:
    endpoint = place.endpoint(Role.ADMIN, "ops")
    async with asyncio.timeout(60), connect(endpoint, session("ops")) as ops:
        await ops.subscribe(topics.status(FLEET, device))
        while True:
            (message,) = await ops.receive()
            status = msgspec.json.decode(message.payload, type=Status)
            if condition(status):
                return status


async def test_the_status_topic_tells_how_the_box_is(place: Town, tmp_path: Path) -> None:
    async with box(place, tmp_path / "box", drain_s=0.1) as device:
        await device.commit("bank", "hotel")
        online = await status_of(place, lambda status: status.pending == 2)
        assert (online.state, online.device, online.config_version) == ("online", "box-1", "1")
        assert online.log_id == device.sealer.log_id
    offline = await status_of(place, lambda status: status.state == "offline")
    assert offline.pending == 2, "said in order, by the box itself"


async def test_the_will_is_spoken_for_a_killed_box(place: Town, tmp_path: Path) -> None:
    async with box(place, tmp_path / "box") as device:
        await device.commit("bank")
        await status_of(place, lambda status: status.pending == 1)
        await device.vanish()
        offline = await status_of(place, lambda status: status.state == "offline")
        assert offline.pending is None, "the broker speaks for it; nobody counted"


async def test_receipts_that_are_not(place: Town, tmp_path: Path) -> None:
    """A collector's topic, anybody's receipts: wrong role, other device, other contents, garbage."""
    async with box(place, tmp_path / "box") as device:
        await device.commit("bank")
        await device.events.first(Published)
        (sent,) = (await device.state.run(lambda s: s.ledger()))["box-1", device.sealer.log_id, "bank"]
        whole = ReceiptRange(device.sealer.log_id, "bank", 1, 1, sent.sha256)
        centre = place.signer(Role.COLLECTOR, "centre")
        right_hash = msgspec.structs.replace(whole, sha256=range_sha256([sent.sha256]))
        forged = {
            "cert.wrong_role": as_receipt(place, Role.DEVICE, "box-2", right_hash),
            "receipt.wrong_device": seal_receipt("box-2", [right_hash], iat=RECEIPTED, signer=centre),
            "receipt.hash_mismatch": seal_receipt("box-1", [whole], iat=RECEIPTED, signer=centre),
            "receipt.unknown_envelope": seal_receipt(
                "box-1", [msgspec.structs.replace(right_hash, last=2)], iat=RECEIPTED, signer=centre
            ),
            "receipt.other_log": seal_receipt(
                "box-1", [msgspec.structs.replace(right_hash, log_id="other")], iat=RECEIPTED, signer=centre
            ),
            "jws.malformed": "garbage",
        }
        stranger = Town(tmp_path / "stranger")
        foreign = seal_receipt(
            "box-1", [right_hash], iat=RECEIPTED, signer=stranger.signer(Role.COLLECTOR, "centre")
        )
        async with connect(place.endpoint(Role.COLLECTOR, "second"), session("second")) as raw:
            for count, (code, compact) in enumerate(forged.items(), 1):
                await raw.publish(topics.receipt(FLEET, "box-1"), compact.encode())
                await device.events.until(lambda events, n=count: len(events.of(ReceiptRefused)) == n)
                assert device.events.of(ReceiptRefused)[-1].code == code
                assert device.uplink.health.last_receipt_refusal == code
            await raw.publish(topics.receipt(FLEET, "box-1"), foreign.encode())
            await device.events.until(lambda events: len(events.of(ReceiptRefused)) == len(forged) + 1)
            assert (await device.counts()).pending == 1, "nothing was forgotten"
            assert device.uplink.health.receipts_refused == len(forged) + 1
            good = seal_receipt("box-1", [right_hash], iat=RECEIPTED, signer=centre)
            await raw.publish(topics.receipt(FLEET, "box-1"), good.encode())
            await device.settled()


def as_receipt(place: Town, role: Role, name: str, run: ReceiptRange) -> str:
    """A receipt in perfect form, signed by somebody who is no collector."""
    receipt = Receipt(name, FLEET, "box-1", RECEIPTED, (run,), (), ())
    return place.signer(role, name).sign(TYP_RECEIPT, msgspec.json.encode(receipt, order="deterministic"))


async def test_a_lost_receipt_heals(place: Town, tmp_path: Path) -> None:
    """Archived, but the receipt never arrived: sent again, recognised, receipted again."""
    async with box(place, tmp_path / "box", run=False) as device:
        await device.commit("bank")
        (due,) = await device.state.run(lambda state: waiting(state, 9, NOW + timedelta(days=27_000)))
        async with collector(place, tmp_path / "centre") as centre:
            await centre.first(Ready)
            async with connect(place.endpoint(Role.DEVICE, "box-1"), session("box-1")) as raw:
                await raw.publish(topics.verdict(FLEET, "box-1", "bank"), due.jws.encode())
            await centre.first(Batch)  # and its receipt found nobody at home
            await device.state.run(lambda state: state.mark([due.id], {}, due.committed_at))
            task = asyncio.create_task(device.uplink.run())
            await device.settled()
            await device.uplink.stop()
            await task
    assert balanced(tmp_path, 1) == 1


async def test_a_forgery_on_another_devices_topic(place: Town, tmp_path: Path) -> None:
    """The access list refuses it; and if it didn't, the signature would."""

    lie = Sealer(place.signer(Role.DEVICE, "box-2"), "log")(draft("bank"), StreamPosition(1, None))
    async with (
        collector(place, tmp_path / "centre") as centre,
        follower(place, tmp_path / "bank") as bank,
        box(place, tmp_path / "box") as device,
    ):
        await centre.first(Ready)
        await bank.first(Ready)
        async with connect(place.endpoint(Role.DEVICE, "box-2"), session("box-2")) as liar:
            with pytest.raises(PublishRefusedError):
                await liar.publish(topics.verdict(FLEET, "box-1", "bank"), lie.jws.encode())
        open_to_all = tmp_path / "town/broker/mosquitto.acl"
        open_to_all.write_text(open_to_all.read_text() + "pattern write #\n")
        os.kill(place.broker.pid or 0, signal.SIGHUP)
        await asyncio.sleep(0.2)
        async with connect(place.endpoint(Role.DEVICE, "box-2"), session("box-2")) as liar:
            await liar.publish(topics.verdict(FLEET, "box-1", "bank"), lie.jws.encode())
        for events in (centre, bank):
            alarm = (await events.first(Alarmed)).alarm
            assert (alarm.code, alarm.topic) == (
                "envelope.wrong_issuer",
                topics.verdict(FLEET, "box-1", "bank"),
            )
        await device.commit("bank")
        await device.settled()
        await bank.first(VerdictEvent)
        assert len(bank.of(VerdictEvent)) == 1
    assert archive_ledger(tmp_path / "centre" / "archive.sqlite").alarms == 1


async def test_a_second_collector_takes_over(place: Town, tmp_path: Path) -> None:
    async with box(place, tmp_path / "box") as device:
        async with collector(place, tmp_path / "centre"):
            await device.commit("bank")
            await device.settled()
        async with collector(place, tmp_path / "second", "second"):
            await device.commit("bank")
            await device.settled()
    second = archive_ledger(tmp_path / "second" / "archive.sqlite")
    assert [sorted(kept.hashes) for kept in second.streams.values()] == [[2]]


async def test_wrong_authority_is_a_sentence_and_a_wait(place: Town, tmp_path: Path) -> None:
    stranger = Town(tmp_path / "stranger")
    endpoint = place.endpoint(Role.DEVICE, "box-1", ca=stranger.fleet.ca)
    async with box(place, tmp_path / "box", endpoint=endpoint) as device:
        await device.commit("bank")
        await device.events.until(lambda events: len(events.of(Disconnected)) >= 3)
        assert {event.code for event in device.events.of(Disconnected)} == {"uplink.broker_not_trusted"}
        waits = [event.retry_s for event in device.events.of(Disconnected)]
        assert 0.025 <= waits[0] <= 0.05
        assert 0.1 <= waits[2] <= 0.2
        assert device.uplink.health.problem == "uplink.broker_not_trusted"
        assert not device.uplink.health.connected
        assert (await device.counts()).pending == 1


async def test_a_full_disk_stops_nothing_for_good(place: Town, tmp_path: Path) -> None:
    """The outbox can't note what happened: the uplink waits and tries again, and nothing is lost."""
    async with collector(place, tmp_path / "centre"), box(place, tmp_path / "box", run=False) as device:
        await device.commit("bank")
        await device.state.run(lambda s: s._connection.execute("PRAGMA query_only = ON"))
        task = asyncio.create_task(device.uplink.run())
        await device.events.until(lambda events: len(events.of(Disconnected)) >= 2)
        assert device.events.of(Disconnected)[0].code == "state.unusable"
        await device.state.run(lambda s: s._connection.execute("PRAGMA query_only = OFF"))
        await device.settled()
        await device.uplink.stop()
        await task
    balanced(tmp_path, 1)


async def test_stop_is_bounded_when_nobody_receipts(place: Town, tmp_path: Path) -> None:
    async with box(place, tmp_path / "box", drain_s=0.3) as device:
        await device.commit("bank")
        await device.events.first(Published)
        began = time.monotonic()
        await device.uplink.stop()
        assert 0.2 < time.monotonic() - began < 4.0


async def test_stop_is_bounded_however_much_is_due(place: Town, tmp_path: Path) -> None:
    async with box(place, tmp_path / "box", run=False, drain_s=0.3) as device:
        drafts = [draft("bank")] * 5000
        await device.state.run(lambda state: state.commit_inspection("many", drafts, unsigned, NOW))
        device.task = asyncio.create_task(device.uplink.run())
        await device.events.first(Published)
        began = time.monotonic()
        await device.uplink.stop()
        assert 0.2 < time.monotonic() - began < 2.0
        assert (await device.counts()).published < 5000
    assert (await status_of(place, lambda status: status.state == "offline")).pending == 5000


def unsigned(draft: EnvelopeDraft, position: StreamPosition) -> Envelope:
    """Sealed without cryptography: the outbox doesn't look, and 5 000 signatures take seconds."""
    jws = f"e30.{position.seq}.sig"
    return Envelope(draft.audience, position.seq, jws, hashlib.sha256(jws.encode()).hexdigest())


async def test_stop_is_bounded_when_the_broker_has_gone_silent(place: Town, tmp_path: Path) -> None:
    async with box(place, tmp_path / "box", drain_s=0.3) as device:
        await device.events.first(Connected)
        os.kill(place.broker.pid or 0, signal.SIGSTOP)
        await device.commit("bank")
        await asyncio.sleep(0.1)
        began = time.monotonic()
        await device.uplink.stop()
        assert time.monotonic() - began < 0.3 + 2.0 + 2.0 + 0.5, (
            "drained, said goodbye, disconnected: each bounded"
        )
        os.kill(place.broker.pid or 0, signal.SIGCONT)


async def test_stop_is_quick_when_there_is_no_broker(place: Town, tmp_path: Path) -> None:
    place.broker.kill()
    async with box(place, tmp_path / "box", reconnect_min_s=30.0, reconnect_max_s=30.0) as device:
        await device.events.first(Disconnected)
        began = time.monotonic()
        await device.uplink.stop()
        assert time.monotonic() - began < 0.5


async def test_a_partner_that_was_away_gets_what_it_missed(place: Town, tmp_path: Path) -> None:
    async with collector(place, tmp_path / "centre"), box(place, tmp_path / "box") as device:
        async with follower(place, tmp_path / "bank") as bank:
            await bank.first(Ready)
            await device.commit("bank")
            await bank.first(VerdictEvent)
        for _ in range(10):
            await device.commit("bank")
        await device.settled()
        async with follower(place, tmp_path / "bank") as bank:
            await bank.until(lambda events: len(events.of(VerdictEvent)) == 10)
            assert bank.of(Ready)[0].resumed
            assert [event.verdict["seq"] for event in bank.of(VerdictEvent)] == list(range(2, 12))
    balanced(tmp_path, 11, "bank")


def test_events_are_plain_data() -> None:
    events = Events([Published("i", "bank", 1, "live"), Refused("i", "bank", 2, "mqtt.not_authorized")])
    assert msgspec.to_builtins(events) == [
        {"change": "published", "inspection": "i", "audience": "bank", "seq": 1, "lane": "live"},
        {"change": "refused", "inspection": "i", "audience": "bank", "seq": 2, "code": "mqtt.not_authorized"},
    ]


async def test_a_disk_that_fails_once_costs_a_partner_nothing(
    place: Town, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is acknowledged before it is stored: the broker delivers again what the disk refused."""
    good, failures = Inbox.take, iter([True, True])

    def fails_twice(self: Inbox, *arguments: Any) -> Any:
        if next(failures, False):
            raise StateError("state.disk_full")
        return good(self, *arguments)

    monkeypatch.setattr(Inbox, "take", fails_twice)
    async with (
        collector(place, tmp_path / "centre"),
        follower(place, tmp_path / "bank") as bank,
        box(place, tmp_path / "box") as device,
    ):
        await bank.first(Ready)
        await device.commit("bank")
        await bank.until(lambda events: len(events.of(VerdictEvent)) == 1)
        assert [event.code for event in bank.of(Down)] == ["state.disk_full"] * 2
        await device.settled()
    balanced(tmp_path, 1, "bank")


async def test_a_collector_signs_and_acknowledges_only_what_is_stored(
    place: Town, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good, failures = SqliteArchive.store, iter([True, True])

    def fails_twice(self: SqliteArchive, *arguments: Any) -> Any:
        if next(failures, False):
            raise StateError("state.disk_full")
        return good(self, *arguments)

    monkeypatch.setattr(SqliteArchive, "store", fails_twice)
    patient = RetryPolicy(receipt_s=3600, refused_s=3600)  # the box won't help: only the broker's memory does
    async with (
        collector(place, tmp_path / "centre") as centre,
        box(place, tmp_path / "box", retry=patient) as device,
    ):
        await centre.first(Ready)
        await device.commit("bank")
        await centre.until(lambda events: len(events.of(Down)) == 2)
        await device.settled()
        assert len(device.events.of(Published)) == 1
    assert balanced(tmp_path, 1) == 0


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_a_broker_that_is_killed_all_day(place: Town, tmp_path: Path) -> None:
    """At random moments, while everybody is connected and busy: no hole anywhere, if need be by a replay."""
    chance = random.Random(11)
    committed = 0
    # Fifty verdicts a second: a box that asks again every half second would drown everybody in duplicates.
    patient = RetryPolicy(receipt_s=3.0, refused_s=3.0, bound_s=10.0)
    handed: set[str] = set()
    async with (
        collector(place, tmp_path / "centre") as centre,
        follower(place, tmp_path / "bank") as bank,
        box(place, tmp_path / "box", retry=patient) as device,
    ):
        await centre.first(Ready)
        await bank.first(Ready)

        async def kill() -> None:
            for _ in range(100):
                await asyncio.sleep(chance.uniform(0.05, 1.2))
                await asyncio.to_thread(place.broker.kill)
                await asyncio.sleep(chance.uniform(0, 0.1))
                await asyncio.to_thread(place.broker.start)

        killer = asyncio.create_task(kill())
        while not killer.done():
            await device.commit("bank")
            committed += 1
            await asyncio.sleep(chance.choice([0, 0, 0.01, 0.03]))
        await killer
        await device.settled(120)
        handed |= {event.sha256 for event in bank.of(VerdictEvent)}
        # What the broker forgot when it was killed is in the archive.
    async with (
        collector(place, tmp_path / "centre"),
        follower(place, tmp_path / "bank", options={"catch_up": True}, **signing(place)) as bank,
    ):
        await bank.until(
            lambda events: len(handed | {e.sha256 for e in events.of(VerdictEvent)}) == committed, 30
        )
    balanced(tmp_path, committed, "bank")
