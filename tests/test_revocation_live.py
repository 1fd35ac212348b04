"""A box is revoked while it runs: with a real broker, a collector, partners, and the archive they ask."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from edged.central.archive import open_reader
from edged.central.collector import Collector
from edged.central.survey import streams
from edged.central.verifying import Finding, verify_stream
from edged.errors import SignatureRefusedError
from edged.partner.handing import VerdictEvent
from edged.pushed.directory_rider import DirectoryRider
from edged.uplink import topics
from edged.uplink.envelope import StreamPosition
from edged.uplink.mqtt import connect
from edged.uplink.names import Role
from edged.uplink.receipts import ReceiptRange, open_receipt, seal_receipt
from edged.uplink.revoked import Revocations
from edged.uplink.roles import TrustAnchor
from edged.uplink.subscription import Alarmed, Ready
from tests.broker import FLEET, NOW, Town, draft, session, town
from tests.delivery import QUICK, Events, box, collector, collector_settings, follower, running, signing
from tests.directories import Made, fingerprint_of, publish
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.delivery import Box


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Town]:
    with town(tmp_path / "town") as made:
        yield made


def now() -> datetime:
    return datetime.now(UTC)


def revoked_at() -> datetime:
    """A moment after all that was stored so far, to the second."""
    return now() + timedelta(seconds=1)


def alarms(events: Events, code: str = "cert.revoked") -> int:
    return sum(event.alarm.code == code for event in events.of(Alarmed))


def verdicts(events: Events) -> list[int]:
    return [event.verdict["seq"] for event in events.of(VerdictEvent)]


async def tell(place: Town, made: Made) -> None:
    async with connect(place.endpoint(Role.ADMIN, "ops"), session("admin.ops")) as admin:
        await publish(admin, made)


def heard(directory: Path) -> bool:
    """Whether a party has taken the directory: it keeps it when it is in force."""
    return any("directory" in path.name for path in directory.iterdir())


def backdated(one: Box, seq: int) -> bytes:
    """What whoever has the box's key signs now, and says it did so a day ago."""
    one.sealer.now = NOW - timedelta(days=1)
    envelope = one.sealer(draft("bank"), StreamPosition(seq, "0" * 64), f"thief-{seq}")
    return envelope.jws.encode()


async def test_a_revoked_box_is_refused_at_once_and_what_it_said_before_is_still_served(
    place: Town, tmp_path: Path
) -> None:
    async with (
        collector(place, tmp_path / "centre") as centre,
        box(place, tmp_path / "box", drain_s=0.1) as one,
    ):
        async with follower(place, tmp_path / "bank") as bank:
            await bank.first(Ready)
            await one.commit("bank")
            await one.commit("bank")
            await one.settled()
            await bank.until(lambda events: len(verdicts(events)) == 2)

            gone = ((Role.DEVICE, "box-1", revoked_at()),)
            await tell(place, Made(place, revoked=gone, iat=now()))
            await until(lambda: heard(tmp_path / "centre") and heard(tmp_path / "bank"))
            await one.commit("bank")
            await centre.until(alarms)
            await bank.until(alarms)
            assert (await one.counts()).pending == 1  # nobody signed for it, nobody told it why

            await one.vanish()
            thief = backdated(one, 3)
            before = alarms(centre, "cert.revoked"), alarms(bank)
            async with connect(place.endpoint(Role.DEVICE, "box-1"), session("box-1")) as stolen:
                await stolen.publish(topics.verdict(FLEET, "box-1", "bank"), thief)
                await centre.until(lambda events: alarms(events) > before[0])
                await bank.until(lambda events: alarms(events) > before[1])
            assert verdicts(bank) == [1, 2]

        # Another machine of the bank's that begins now: the archive's two, by the collector's word.
        options = {"history": "all", "patience": QUICK}
        async with follower(place, tmp_path / "new", options=options, **signing(place)) as late:
            await late.until(lambda events: verdicts(events) == [1, 2])
            # Whoever can write into answers and has the box's key: a date of its own doesn't help.
            count = alarms(late)
            endpoint = place.endpoint(Role.COLLECTOR, "second")
            async with connect(endpoint, session("collector.second")) as broker:
                await broker.publish(topics.replay_answer(FLEET, "bank", "r-1"), thief)
                await late.until(lambda events: alarms(events) > count)
            assert verdicts(late) == [1, 2]


async def test_a_collector_that_restarts_remembers_and_its_archive_says_what_holds(
    place: Town, tmp_path: Path
) -> None:
    directory = tmp_path / "centre"
    async with collector(place, directory) as centre, box(place, tmp_path / "box", drain_s=0.1) as one:
        await one.commit("bank")
        await one.settled()
        await tell(place, Made(place, revoked=((Role.DEVICE, "box-1", revoked_at()),), iat=now()))
        await until(lambda: heard(directory))
        await one.commit("bank")
        await centre.until(alarms)
    async with connect(place.endpoint(Role.ADMIN, "ops"), session("admin.ops")) as admin:
        for topic in (topics.keys(FLEET), topics.keys(FLEET, 0), topics.keys(FLEET, 1)):
            await admin.publish(topic, b"", retain=True)
    events = Events()
    party = Collector(collector_settings(place, directory), on_event=events.append)
    async with running(party), box(place, tmp_path / "box", drain_s=0.1) as one:
        await events.first(Ready)
        await events.until(alarms)
        assert (await one.counts()).pending == 1
    anchor = TrustAnchor.from_file(place.fleet.ca)
    findings: list[Finding] = []
    with contextlib.closing(open_reader(str(directory / "archive.sqlite"))) as archive:
        (summary,) = streams(archive)
        anchor.revoke("directory", Revocations(principals={("device", "box-1"): int(now().timestamp()) + 5}))
        verify_stream(archive, summary, anchor, findings.append)
        assert findings == []
        # Said to have been stolen before it was stored: then nothing vouches for it.
        anchor.revoke("directory", Revocations(principals={("device", "box-1"): 0}))
        verify_stream(archive, summary, anchor, findings.append)
    assert [one.code for one in findings] == ["cert.revoked"]


async def test_a_directory_past_its_end_is_told_and_revokes_all_the_same(place: Town, tmp_path: Path) -> None:
    gone = ((Role.DEVICE, "box-1", revoked_at()),)
    old = Made(place, revoked=gone, iat=NOW - timedelta(minutes=30), life=timedelta(minutes=1))
    async with (
        collector(place, tmp_path / "centre") as centre,
        follower(place, tmp_path / "bank") as bank,
        box(place, tmp_path / "box", drain_s=0.1) as one,
    ):
        await tell(place, old)
        for party in (centre, bank):
            await party.until(lambda events: alarms(events, "directory.expired"))
        await one.commit("bank")
        for party in (centre, bank):
            await party.until(alarms)
    async with collector(place, tmp_path / "centre") as again:  # from the disk
        await again.until(lambda events: alarms(events, "directory.expired"))


async def test_old_and_forged_directories_change_nothing(place: Town, tmp_path: Path) -> None:
    at = revoked_at()
    async with (
        collector(place, tmp_path / "centre") as centre,
        box(place, tmp_path / "box", drain_s=0.1) as one,
    ):
        await tell(place, Made(place, version=9, revoked=((Role.DEVICE, "box-1", at),), iat=now()))
        await until(lambda: heard(tmp_path / "centre"))
        await one.commit("bank")
        await centre.until(alarms)
        await tell(place, Made(place, version=8, iat=now()))
        await centre.until(lambda events: alarms(events, "directory.rollback"))
        async with connect(place.endpoint(Role.ADMIN, "ops"), session("admin.ops")) as admin:
            await admin.publish(topics.keys(FLEET), b"junk", retain=True)
            await centre.until(lambda events: alarms(events, "jws.malformed"))
        count = alarms(centre)
        await one.commit("bank")
        await centre.until(lambda events: alarms(events) > count)


async def test_a_box_takes_no_receipt_of_a_revoked_collector_even_after_a_restart(
    place: Town, tmp_path: Path
) -> None:
    anchor = TrustAnchor.from_file(place.fleet.ca)
    codes: list[str] = []
    rider = DirectoryRider(anchor, tmp_path, clock=now, on_alarm=codes.append)
    rider.load()
    assert codes == []
    receipt = seal_receipt(
        "box-1",
        [ReceiptRange("log-1", "bank", 1, 1, "0" * 64)],
        iat=int(NOW.timestamp()),
        signer=place.signer(Role.COLLECTOR, "centre"),
    )
    assert open_receipt(receipt, anchor=anchor, at=now(), device="box-1")
    await tell(place, Made(place, revoked=((Role.COLLECTOR, "centre", NOW),), iat=now()))
    async with connect(place.endpoint(Role.DEVICE, "box-1"), session("box-1")) as connection:
        for topic_filter in rider.filters():
            await connection.subscribe(topic_filter)
        received = await connection.receive(1)
        assert all(rider.wants(message.topic) for message in received)
        await rider.take(received)
    restarted = TrustAnchor.from_file(place.fleet.ca)
    DirectoryRider(restarted, tmp_path, clock=now).load()
    for one in (anchor, restarted):
        with pytest.raises(SignatureRefusedError, match=r"cert\.revoked"):
            open_receipt(receipt, anchor=one, at=now(), device="box-1")
    assert fingerprint_of(place, Role.COLLECTOR, "centre") not in anchor.revocations.certificates
