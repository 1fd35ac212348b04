"""Renewal: when it is due, and that nothing is interrupted by it, against the real service and a real mosquitto."""

from __future__ import annotations

import asyncio
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edged.central.mosquitto import Access
from edged.demo.broker import HOST as BROKER_HOST
from edged.demo.broker import DemoBroker
from edged.errors import StateError, UplinkError
from edged.fleet import authorities
from edged.fleet.key_files import read_offline
from edged.fleet.tuf_roles import Holder
from edged.pushed import renewal, renewing
from edged.pushed.enrolling import enrol
from edged.pushed.est_client import Service
from edged.pushed.identity_files import IdentityFiles, write_public
from edged.pushed.renewal import Life, Schedule
from edged.pushed.renewing import Renewed, Renewer
from edged.renewals import Renewals
from edged.uplink import fleet_authority
from edged.uplink.fleet_authority import FleetAuthorities
from edged.uplink.mqtt import Endpoint, Session, connect
from edged.uplink.names import Principal, Role, Usage
from edged.uplink.roles import load_chain
from edged.uplink.sign import verify
from tests.enrolling import FLEET, HOST, Office, now, serial
from tests.waiting import until

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
YEAR = Life(BEGIN, BEGIN + timedelta(days=360))


@given(st.integers(0, 2**32))
def test_every_box_renews_at_its_own_moment_after_two_thirds(seed: int) -> None:
    schedule = Schedule(random.Random(seed))
    due = schedule.due_at(YEAR)
    assert timedelta(days=240) <= due - BEGIN <= timedelta(days=270)
    assert schedule.wait(YEAR, due) == timedelta(0)
    assert schedule.wait(YEAR, due - timedelta(minutes=5)) == timedelta(minutes=5)
    assert schedule.wait(YEAR, BEGIN) == renewal.LONGEST_LOOK


def test_a_fleet_installed_on_one_day_does_not_come_on_one_day() -> None:
    days = {Schedule(random.Random(seed)).due_at(YEAR).date() for seed in range(300)}
    assert len(days) >= 28


@given(st.integers(0, 2**32), st.integers(1, 60))
def test_attempts_become_rarer_but_never_stop(seed: int, count: int) -> None:
    schedule = Schedule(random.Random(seed))
    at = BEGIN + timedelta(days=300)
    waits = [schedule.failed(at) for _ in range(count)]
    assert all(timedelta(seconds=30) <= wait <= renewal.LONGEST_RETRY for wait in waits)
    assert waits[0] <= renewal.FIRST_RETRY
    if count > 11:
        assert waits[-1] >= renewal.LONGEST_RETRY / 2
    assert schedule.wait(YEAR, at + waits[-1]) == timedelta(0)
    schedule.succeeded()
    assert schedule.wait(YEAR, at) == timedelta(0)


def test_a_clock_that_was_set_back_delays_a_retry_by_half_a_day_at_most() -> None:
    schedule = Schedule(random.Random(1))
    schedule.failed(datetime(2040, 1, 1, tzinfo=UTC))
    at = BEGIN + timedelta(days=300)
    begun = at
    while (wait := schedule.wait(YEAR, at)) > timedelta(0):
        assert wait <= renewal.LONGEST_LOOK
        assert not schedule.rested(at)
        at += wait
        assert at - begun <= renewal.LONGEST_RETRY
    assert schedule.rested(at)
    assert not renewal.expired(YEAR, YEAR.not_after)
    assert renewal.expired(YEAR, YEAR.not_after + timedelta(seconds=1))


class Daemon:
    """What the daemon does for its part: connects, and connects anew when it is told."""

    def __init__(self, office: Office, files: IdentityFiles, days: int) -> None:
        self.told: list[Renewed] = []
        self.ahead = timedelta(days=days)
        self.renewer = Renewer(
            files,
            Service(HOST, office.port),
            lambda: office.anchor,
            told=self.told.append,
            clock=lambda: now() + self.ahead,
            chance=random.Random(1),
        )


def endpoint(files: IdentityFiles, broker: DemoBroker) -> Endpoint:
    tls = files.settings(Usage.TLS)
    return Endpoint(
        host=BROKER_HOST,
        port=broker.port,
        ca=files.ca,
        certificate=tls.chain,
        key=Path(tls.key),
        answer_timeout_s=5.0,
    )


async def test_a_box_is_renewed_without_a_gap_at_a_real_broker(tmp_path: Path) -> None:
    office, files = Office(tmp_path / "office"), IdentityFiles(tmp_path / "box")
    broker = DemoBroker(
        tmp_path / "broker", office, Access(FLEET, collectors=("centre",), audiences=("bank",))
    )  # type: ignore[arg-type]
    await asyncio.to_thread(broker.start)
    try:
        async with office.open():
            await asyncio.to_thread(enrol, office.invite(), files)
            daemon = Daemon(office, files, days=300)
            before = {usage: serial(files, usage) for usage in Usage}
            topic = f"edged/1/{FLEET}/box-1/status"
            async with connect(endpoint(files, broker), Session(client_id="box-1")) as connection:
                await connection.publish(topic, b"1")
                running = asyncio.create_task(daemon.renewer.run())
                await until(lambda: len(daemon.told) == 2)
                await connection.publish(topic, b"2")  # the connection that stands isn't touched
            assert [one.what for one in daemon.told] == ["renewed", "renewed"]
            assert all(serial(files, usage) != before[usage] for usage in Usage)
            async with connect(endpoint(files, broker), Session(client_id="box-1")) as connection:
                await connection.publish(topic, b"3")
                await daemon.renewer.proved(Usage.TLS)
            assert files.before(Usage.TLS) is None
            assert files.before(Usage.SIGNING) is not None
            await daemon.renewer.proved(Usage.SIGNING)
            signing = files.current(Usage.SIGNING)
            assert signing is not None
            message = signing.signer().sign("x+jws", b"{}")
            assert verify(message, typ="x+jws", anchor=office.anchor, role=Role.DEVICE, at=now())
            running.cancel()
    finally:
        await asyncio.to_thread(broker.stop)


async def test_a_certificate_that_the_broker_does_not_take_is_given_up_for_the_old_one(
    tmp_path: Path,
) -> None:
    office, files = Office(tmp_path / "office"), IdentityFiles(tmp_path / "box")
    async with office.open():
        await asyncio.to_thread(enrol, office.invite(), files)
        old = serial(files, Usage.TLS)
        daemon = Daemon(office, files, days=300)
        assert not await daemon.renewer.refused(Usage.TLS)  # there is nothing to go back to
        await daemon.renewer.attend(Usage.TLS)
        assert serial(files, Usage.TLS) != old
        assert await daemon.renewer.refused(Usage.TLS)
        assert serial(files, Usage.TLS) == old
        assert await daemon.renewer.attend(Usage.TLS) > timedelta(0)  # not at once again
        assert serial(files, Usage.TLS) == old


async def test_a_service_that_is_away_costs_nothing_but_another_attempt(tmp_path: Path) -> None:
    office, files = Office(tmp_path / "office"), IdentityFiles(tmp_path / "box")
    async with office.open():
        await asyncio.to_thread(enrol, office.invite(), files)
    daemon = Daemon(office, files, days=300)
    old = serial(files, Usage.TLS)
    wait = await daemon.renewer.attend(Usage.TLS)
    assert daemon.told[-1].code == "enrol.unreachable"
    assert serial(files, Usage.TLS) == old
    async with office.open():
        daemon.renewer._service = Service(HOST, office.port)
        daemon.ahead += wait
        await daemon.renewer.attend(Usage.TLS)
    assert daemon.told[-1].what == "renewed"


async def test_before_its_time_nobody_is_asked_and_after_the_end_a_token_is_needed(tmp_path: Path) -> None:
    office, files = Office(tmp_path / "office"), IdentityFiles(tmp_path / "box")
    async with office.open():
        await asyncio.to_thread(enrol, office.invite(), files)
        asked = len(office.happened)
        await Daemon(office, files, days=1).renewer.attend(Usage.TLS)
        late = Daemon(office, files, days=500)
        await late.renewer.attend(Usage.SIGNING)
        assert len(office.happened) == asked
    assert [(one.what, one.code) for one in late.told] == [("expired", "enrol.expired")]


async def test_a_lost_answer_is_asked_for_again_with_the_same_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    office, files = Office(tmp_path / "office"), IdentityFiles(tmp_path / "box")
    async with office.open():
        await asyncio.to_thread(enrol, office.invite(), files)
        daemon = Daemon(office, files, days=300)
        with monkeypatch.context() as lost:

            def never(*args: object, **named: object) -> None:
                raise UplinkError("enrol.unreachable")

            lost.setattr(
                "edged.pushed.est_client.EstClient.cacerts", never
            )  # after the certificate was issued
            wait = await daemon.renewer.attend(Usage.SIGNING)
        daemon.ahead += wait
        await daemon.renewer.attend(Usage.SIGNING)
    assert [one.what for one in office.happened[-2:]] == ["renewed", "again"]
    assert len(office.state.device("box-1").certificates) == 3


async def test_what_the_service_gives_is_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another box's certificate, or one for another key, is never put in use."""
    office, files = Office(tmp_path / "office"), IdentityFiles(tmp_path / "box")
    async with office.open() as server:
        await asyncio.to_thread(enrol, office.invite(), files)
        other = IdentityFiles(tmp_path / "other")
        await asyncio.to_thread(enrol, office.invite("box-2"), other)
        before = serial(files, Usage.TLS)
        foreign = office.state.device("box-2").certificates[0].pem.encode()
        daemon = Daemon(office, files, days=300)
        monkeypatch.setattr(server._enrolment, "renew_tls", lambda *_: foreign)
        await daemon.renewer.attend(Usage.TLS)
        assert daemon.told[-1].code == "cert.key_mismatch"
        box_2 = Principal(FLEET, Role.DEVICE, "box-2")
        monkeypatch.setattr(
            server._enrolment,
            "renew_tls",
            lambda _, key: office.state.issue(box_2, Usage.TLS, key, now=now()),
        )
        daemon.ahead += timedelta(days=1)
        await daemon.renewer.attend(Usage.TLS)
        assert daemon.told[-1].code == "enrol.other_name"
        assert serial(files, Usage.TLS) == before


async def test_a_lost_authority_is_replaced_under_the_boxes_feet(tmp_path: Path) -> None:
    """The way back: a new root is named by the offline keys and issues anew; boxes renew, and the old root goes."""
    office, files = Office(tmp_path / "office"), IdentityFiles(tmp_path / "box")
    root_keys = [key.signer for key in read_offline(Holder.ROOT, office.roots)]
    accepted: list[FleetAuthorities] = []
    async with office.open() as server:
        await asyncio.to_thread(enrol, office.invite(), files)
        daemon = Daemon(office, files, days=0)
        daemon.renewer._newest = lambda: accepted[-1] if accepted else None
        old = {usage: serial(files, usage) for usage in Usage}

        async def attend() -> list[str]:
            daemon.told.clear()
            for usage in Usage:
                await daemon.renewer.attend(usage)
            return [one.what for one in daemon.told]

        assert await attend() == []
        root = authorities.new_root(office.state, tmp_path / "new-root", now())
        accepted.append(
            authorities.put(
                office.state,
                lambda before: authorities.with_anchor(before, root.certificate_pem),
                root_keys,
                now(),
            )
        )
        write_public(files.ca, "".join(accepted[-1].anchors).encode())  # what a push does
        assert await attend() == []  # nobody issues under the new one yet: nothing is asked for
        authorities.write_issuing(office.state.secrets, authorities.new_issuing(root, now()))
        server.look()
        gone = fleet_authority.sha256_of(load_chain(accepted[-1].anchors[1].encode())[0])
        without = authorities.without_anchor(accepted[-1], gone)
        assert authorities.stranded(office.state, without, now()) == ["box-1"]  # not yet to be removed
        assert await attend() == ["renewed", "renewed"]
        assert authorities.stranded(office.state, without, now()) == []
        assert all(serial(files, usage) != old[usage] for usage in Usage)
        assert await attend() == []  # once
        accepted.append(
            authorities.put(
                office.state, lambda before: authorities.without_anchor(before, gone), root_keys, now()
            )
        )
        write_public(files.ca, "".join(accepted[-1].anchors).encode())
        for usage in Usage:
            pair = files.current(usage)
            assert pair is not None
            assert office.anchor.verify(pair.certificates(), usage=usage, at=now()).name == "box-1"
        daemon.ahead = timedelta(days=300)
        assert await attend() == ["renewed", "renewed"]


async def test_an_issuing_authority_that_was_revoked_is_left_by_every_box(tmp_path: Path) -> None:
    office, files = Office(tmp_path / "office"), IdentityFiles(tmp_path / "box")
    root_keys = [key.signer for key in read_offline(Holder.ROOT, office.roots)]
    async with office.open() as server:
        await asyncio.to_thread(enrol, office.invite(), files)
        issuing = load_chain((office.state.secrets / "ca.pem").read_bytes())[0]
        root = authorities.read_root(office.state, office.roots[0])
        authorities.write_issuing(office.state.secrets, authorities.new_issuing(root, now()))
        document = authorities.put(
            office.state,
            lambda before: authorities.with_revoked(
                before, [fleet_authority.sha256_of(issuing)], "key_compromise", now()
            ),
            root_keys,
            now(),
        )
        server.look()
        daemon = Daemon(office, files, days=0)
        daemon.renewer._newest = lambda: document
        for usage in Usage:
            await daemon.renewer.attend(usage)
            pair = files.current(usage)
            assert pair is not None
            assert not document.revokes(pair.certificates())


async def test_a_broker_that_never_takes_it_costs_one_certificate_and_ever_rarer_attempts(
    tmp_path: Path,
) -> None:
    office, files = Office(tmp_path / "office"), IdentityFiles(tmp_path / "box")
    async with office.open():
        await asyncio.to_thread(enrol, office.invite(), files)
        daemon = Daemon(office, files, days=300)
        waits = []
        for _ in range(12):
            await daemon.renewer.attend(Usage.TLS)
            assert daemon.told[-1].what == "renewed", daemon.told
            assert await daemon.renewer.refused(Usage.TLS)
            waits.append(daemon.renewer._schedules[Usage.TLS]._not_before - now() - daemon.ahead)
            daemon.ahead += waits[-1] + timedelta(seconds=1)
        assert waits[-1] >= renewal.LONGEST_RETRY / 2 > waits[0]
        assert len(office.state.device("box-1").certificates) == 3
        await daemon.renewer.attend(Usage.TLS)
        await daemon.renewer.proved(Usage.TLS)
        assert files.before(Usage.TLS) is None


async def test_a_directory_that_cannot_be_used_is_looked_at_again_and_ends_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk is no reason to stop scanning: whatever this task raises ends the daemon."""
    office, files = Office(tmp_path / "office"), IdentityFiles(tmp_path / "box")
    monkeypatch.setattr(renewing, "UNUSABLE", timedelta(0))
    async with office.open():
        await asyncio.to_thread(enrol, office.invite(), files)
        daemon = Daemon(office, files, days=300)
        attempts: list[int] = []
        prepare = files.prepare

        def full(**_: object) -> None:
            attempts.append(1)
            if len(attempts) < 3:
                raise StateError("state.unusable", "No space left on device")
            prepare()

        monkeypatch.setattr(files, "prepare", full)
        running = asyncio.create_task(daemon.renewer.run())
        await until(lambda: len(daemon.told) == 2 or running.done())
        assert not running.done()
        running.cancel()
    assert len(attempts) == 3


class Boxlike:
    """What `Renewals` needs of a box: a line that comes up, or doesn't."""

    def __init__(self) -> None:
        self.online = asyncio.Event()
        self.renewals = 0

    async def renew(self) -> None:
        self.renewals += 1


async def renewed_pair(office: Office, files: IdentityFiles) -> None:
    await asyncio.to_thread(enrol, office.invite(), files)
    await Daemon(office, files, days=300).renewer.attend(Usage.TLS)
    assert files.before(Usage.TLS) is not None


@pytest.mark.parametrize("lets_in", [True, False])
async def test_what_was_renewed_before_a_power_cut_is_proved_or_given_up_after_it(
    lets_in: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edged.renewals.PATIENCE_S", 0.05)
    office, files = Office(tmp_path / "office"), IdentityFiles(tmp_path / "box")
    async with office.open():
        await renewed_pair(office, files)
        old, new = files.before(Usage.TLS), files.current(Usage.TLS)
        assert old is not None
        assert new is not None
        box = Boxlike()
        if lets_in:
            box.online.set()
        renewals = Renewals(box, files, Service(HOST, office.port), lambda: None)  # type: ignore[arg-type]
        following = asyncio.create_task(renewals.follow())
        await until(lambda: files.before(Usage.TLS) is None and (lets_in or box.renewals))
        following.cancel()
    assert files.current(Usage.TLS) == (new if lets_in else old)
