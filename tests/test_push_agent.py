"""A box hears what is pushed: taken, tried, kept or taken back; or refused, and then nothing has changed."""

from __future__ import annotations

import asyncio
import json
import random
import unittest.mock
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from edged import __version__
from edged.errors import ConfigError, StateError
from edged.pushed.host import ProbeResult
from edged.pushed.steps import Report
from edged.pushed.store import FleetStore
from edged.uplink.mqtt import PublishRefusedError
from edged.uplink.reported import open_reported
from edged.uplink.roles import TrustAnchor
from edged.uplink.sign import Signer
from tests.pushed_box import PushedBox, device_signer
from tests.tuf_repository import ADMIN, DEVICE, NOW, STRANGER, TufRepository, authorities
from tests.waiting import until


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fleet")


@pytest.fixture(scope="module")
def signer(keys: Path) -> Signer:
    return device_signer(keys)


@pytest.fixture
async def box(tmp_path: Path, signer: Signer) -> AsyncIterator[PushedBox]:
    async with PushedBox(tmp_path, signer) as made:
        yield made


async def test_a_box_that_was_never_pushed_to_works_by_its_boot_file(box: PushedBox) -> None:
    assert box.host.history == [0]
    assert box.report == Report(push=0, outcome="none")
    assert box.agent.running_push == 0


async def test_a_push_is_put_in_force_and_survives_a_restart(box: PushedBox) -> None:
    await box.push(version="second", probation_s=5.0)
    assert box.host.versions == ["boot", "second"]
    assert box.host.in_force is not None
    assert box.host.in_force.authority == box.host.in_force.revoked == authorities()
    host = await box.restart()
    assert host.versions == ["second"], "not even for a moment the boot file's"
    assert box.report == Report(push=2, outcome="applied")


async def test_a_push_that_fails_its_probes_is_taken_back_and_not_tried_again(box: PushedBox) -> None:
    await box.push(version="good")
    box.host.results["bad"] = ProbeResult("specimen", "self_test.not_read")
    bundle = await box.push("rolled_back", version="bad")
    assert (box.report.probe, box.report.code) == ("specimen", "self_test.not_read")
    await until(lambda: box.host.versions[-1] == "good")
    for _ in range(3):
        await box.deliver(bundle)
    await box.push(version="better")
    assert box.host.versions == ["boot", "good", "bad", "good", "better"]


async def test_what_failed_is_not_tried_again_after_a_restart_either(box: PushedBox) -> None:
    box.host.unstartable.add("bad")
    bundle = await box.push("rolled_back", version="bad")
    assert box.report.probe == "start"
    host = await box.restart()
    await box.deliver(bundle)
    await box.push(version="better")
    assert host.versions == ["boot", "better"]


async def test_a_push_waits_for_the_inspection_that_runs(box: PushedBox) -> None:
    box.host.free.clear()
    bundle = box.repository.push(version="second")
    await box.deliver(bundle)
    await until(lambda: box.report == Report(push=2, outcome="staged", fetched=100))
    assert box.host.history == [0]
    box.host.free.set()
    await box.settled("applied", 2)


async def test_of_two_pushes_during_a_trial_the_newer_comes_next(box: PushedBox) -> None:
    box.host.results["second"] = ProbeResult("uplink", "probe.not_connected")
    box.host.may_end.clear()
    await box.deliver(box.repository.push(version="second"))
    await box.host.probing.wait()
    third, fourth = box.repository.push(version="third"), box.repository.push(version="fourth")
    await box.deliver(third, fourth)
    await box.deliver(b"rubbish")
    await box.settled("rejected", 0)  # so the two before it were looked at
    box.host.may_end.set()
    await box.settled("applied", 4)
    assert box.host.versions == ["boot", "second", "boot", "fourth"]


async def test_the_same_content_under_a_new_number_restarts_nothing(box: PushedBox) -> None:
    await box.push(version="second")
    await box.push()
    assert box.report.push == box.agent.running_push == 3
    assert box.host.versions == ["boot", "second"]


async def test_artefacts_are_fetched_first_and_forgotten_when_nothing_names_them(box: PushedBox) -> None:
    content = json.dumps({"format": 1, "scenes": {"hotel": {"mandatory": ["mrz_read"]}}}).encode()
    box.files.contents["scene/pack.json"] = content
    box.files.may_come.clear()
    box.repository.set_artefact("admin-files", "scenes", "scene/pack.json", content)
    box.repository.roles["admin-files"].version += 1
    box.repository.publish(["admin-files"])
    await box.deliver(box.repository.push(version="packed", artefacts={"scenes": "scene/pack.json"}))
    await until(lambda: box.report == Report(push=2, outcome="staged", fetched=50))
    assert box.host.history == [0]
    box.files.may_come.set()
    await box.settled("applied", 2)
    assert box.host.in_force is not None
    assert box.host.in_force.settings.scenes["hotel"].mandatory == ("mrz_read",)
    await until(lambda: box.files.kept == ["scene/pack.json"])
    await box.push(version="bare", artefacts={})
    await until(lambda: box.files.kept == [])


async def test_a_newer_push_replaces_the_one_whose_files_are_on_their_way(box: PushedBox) -> None:
    box.files.contents["scene/pack.json"] = content = json.dumps({"format": 1, "scenes": {}}).encode()
    box.files.may_come.clear()
    box.repository.set_artefact("admin-files", "scenes", "scene/pack.json", content)
    box.repository.roles["admin-files"].version += 1
    box.repository.publish(["admin-files"])
    for number in (2, 3):
        bundle = box.repository.push(version=f"packed-{number}", artefacts={"scenes": "scene/pack.json"})
        await box.deliver(bundle)
        await until(lambda number=number: box.report == Report(push=number, outcome="staged", fetched=50))
    box.files.may_come.set()
    await box.settled("applied", 3)
    assert box.host.versions == ["boot", "packed-3"]


async def test_artefacts_lost_by_the_box_are_got_again(box: PushedBox) -> None:
    content = json.dumps({"format": 1, "scenes": {}}).encode()
    box.repository.set_artefact("admin-files", "scenes", "scene/pack.json", content)
    box.repository.roles["admin-files"].version += 1
    box.repository.publish(["admin-files"])
    box.files.contents["scene/pack.json"] = content
    await box.push(version="packed", artefacts={"scenes": "scene/pack.json"})
    assert box.host.in_force is not None
    box.host.in_force.files["scenes"].unlink()
    box.files.may_come.clear()
    host = await box.restart()
    assert host.versions == ["boot"]
    assert box.report.code == "push.files_missing"
    box.files.may_come.set()
    await box.settled("applied", 2)
    assert host.versions == ["boot", "packed"]


@pytest.mark.parametrize(
    ("content", "code", "path"),
    [
        (b"another file", "push.hash_wrong", "scene/pack.json"),
        (b'{"format": 1, "scenes": {"x": 1}}', "config.wrong_type", "artefacts.scenes.scenes.x"),
    ],
)
async def test_a_file_that_is_not_what_it_should_be_rejects_the_push(
    box: PushedBox, content: bytes, code: str, path: str
) -> None:
    signed = b'{"format": 1, "scenes": {"x": 1}}'
    box.repository.set_artefact("admin-files", "scenes", "scene/pack.json", signed)
    box.repository.roles["admin-files"].version += 1
    box.repository.publish(["admin-files"])
    box.files.contents["scene/pack.json"] = content
    await box.push("rejected", version="packed", artefacts={"scenes": "scene/pack.json"})
    assert (box.report.code, box.report.path) == (code, path)
    assert box.host.history == [0]


# --- refused ---

Make = Callable[[TufRepository], bytes]


def expired(repository: TufRepository) -> bytes:
    repository.timestamp.expires = NOW - timedelta(days=1)
    return repository.push(version="late")


def other_device(repository: TufRepository) -> bytes:
    other = TufRepository("box-2")  # the same fleet: keys are the same
    other.snapshot.version = other.timestamp.version = other.roles["config"].version = 50
    return other.push(version="other")


def unknown_key(repository: TufRepository) -> bytes:
    repository.signers["timestamp"] = [STRANGER]
    return repository.push(version="forged")


def wrong_role(repository: TufRepository) -> bytes:
    """The admin signs an audience's policy."""
    repository.signers["privacy"] = [ADMIN]
    repository.roles["privacy"].version += 1
    repository.publish(["privacy"])
    return repository.push(version="policy")


def half(repository: TufRepository) -> bytes:
    return repository.push(version="half")[:-1000]


def bad_key(repository: TufRepository) -> bytes:
    return repository.push(version="bad", timeouts={"document_s": "long"})


def bad_value(repository: TufRepository) -> bytes:
    return repository.push(version="bad", timeouts={"document_s": 0.0})


REFUSED: dict[str, tuple[Make, str, str | None]] = {
    "replay": (lambda _: OLD["first"], "push.replayed", None),
    "downgrade": (lambda _: OLD["second"], "push.replayed", None),
    "freeze": (expired, "push.expired", None),
    "foreign device": (other_device, "push.foreign_device", None),
    "unknown key": (unknown_key, "push.signature_wrong", None),
    "wrong role": (wrong_role, "push.wrong_role", None),
    "malformed": (lambda _: b'{"format":1,"metadata":[]}', "push.malformed", None),
    "nonsense": (lambda _: b"\x00\xff" * 40, "push.malformed", None),
    "oversized": (lambda _: b'{"format":1,"metadata":{"' + b"a" * 70_000, "push.too_large", None),
    "half delivered": (half, "push.malformed", None),
    "bad key": (bad_key, "config.wrong_type", "timeouts.document_s"),
    "bad value": (bad_value, "config.out_of_range", "timeouts.document_s"),
}
OLD: dict[str, bytes] = {}


@pytest.mark.parametrize("name", REFUSED)
async def test_a_refused_push_is_reported_and_changes_nothing(box: PushedBox, name: str) -> None:
    OLD["first"] = await box.push(version="one")
    OLD["second"] = await box.push(version="two")
    await box.push(version="three")
    before, history = box.disk(), list(box.host.history)
    make, code, path = REFUSED[name]
    await box.deliver(make(box.repository))
    report = await box.settled("rejected", code=code)
    assert path in (None, report.path)
    assert box.disk() == before
    assert box.host.history == history
    assert box.agent.running_push == 4


async def test_no_broken_copy_of_a_push_changes_anything(box: PushedBox) -> None:
    """Also not the copy that still verifies: its number was taken."""
    bundle = await box.push(version="second")
    before, chance = box.disk(), random.Random(5)
    for _ in range(150):
        copy = bytearray(bundle)
        for _ in range(chance.randint(1, 3)):
            at = chance.randrange(len(copy))
            match chance.randrange(4):
                case 0:
                    copy[at] ^= 1 << chance.randrange(8)
                case 1:
                    del copy[at : at + chance.randint(1, 400)]
                case 2:
                    copy[at:at] = copy[at : at + chance.randint(1, 400)]
                case _:
                    copy[at] = chance.choice(b'{}[]",:0e- ')
        await box.deliver(bytes(copy))
        await until(lambda: not box.agent.waits)
    assert box.disk() == before
    assert box.host.versions == ["boot", "second"]


async def test_a_push_is_refused_while_the_clock_is_lost_and_taken_when_it_is_found(box: PushedBox) -> None:
    box.host.trusted = False
    before = box.disk()
    await box.deliver(box.repository.push(version="second"))
    assert await box.settled("rejected") == Report(push=0, outcome="rejected", code="push.clock_not_trusted")
    assert box.disk() == before
    box.host.trusted = True
    await box.settled("applied", 2)


async def test_a_mistake_of_our_own_never_ends_the_box(
    box: PushedBox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The broker would send the push again to the next process, and so on for ever."""
    from edged.pushed import agent

    def broken(*_: Any, **__: Any) -> Any:
        raise ZeroDivisionError

    monkeypatch.setattr(agent, "verify_bundle", broken)
    await box.deliver(box.repository.push(version="second"))
    await box.settled("rejected", code="push.internal_error")
    monkeypatch.undo()

    def unlucky(generation: Any) -> None:
        if generation.settings.version == "third":
            raise ZeroDivisionError

    box.host.on_switch = unlucky
    await box.push("rolled_back", version="third")
    assert (box.report.probe, box.report.code) == ("start", "push.internal_error")
    await box.push(version="fourth")


async def test_a_broken_store_at_work_ends_the_agent_and_is_begun_anew(box: PushedBox) -> None:
    await box.push(version="second")
    corrupt = StateError("state.corrupt")
    with unittest.mock.patch.object(FleetStore, "stage", side_effect=corrupt):
        await box.deliver(box.repository.push(version="third"))
        with pytest.raises(ExceptionGroup) as caught:
            await box.task
    assert caught.value.exceptions == (corrupt,)
    await box.agent.close()
    box.host = type(box.host)(box.host.boot_settings)
    async with box:
        assert box.host.versions == ["boot"]
        await box.push(version="fourth")


async def test_a_full_disk_is_reported_and_the_push_taken_later(box: PushedBox) -> None:
    bundle = box.repository.push(version="second")
    full = StateError("state.disk_full")
    with unittest.mock.patch.object(FleetStore, "stage", side_effect=full):
        await box.deliver(bundle)
        await box.settled("rejected", 2, "state.disk_full")
    await box.deliver(bundle)
    await box.settled("applied", 2)


async def test_a_flood_of_rubbish_leaves_the_true_push(box: PushedBox) -> None:
    await box.deliver(*(b"%d" % number for number in range(500)), box.repository.push(version="second"))
    await box.settled("applied", 2)


async def test_a_retained_push_that_has_expired_since_is_still_what_runs(box: PushedBox) -> None:
    bundle = await box.push(version="second")
    box.now = NOW + timedelta(days=60)
    await box.deliver(b"rubbish")
    await box.settled("rejected")
    await box.deliver(bundle)
    await box.settled("applied", 2)


async def test_after_stolen_keys_are_replaced_the_numbers_begin_anew(box: PushedBox) -> None:
    """The thief has pushed a number so high that no honest one would ever follow (fast forward)."""
    await box.push(version="honest")
    box.repository.snapshot.version = box.repository.timestamp.version = 900
    await box.push(version="thief's")
    new = 77
    for role in ("timestamp", "snapshot"):
        box.repository.rotate(role, [new])
    box.repository.delegate("targets", "config", ["config/*"], [new])
    box.repository.roles["targets"].version += 1
    box.repository.snapshot.version = box.repository.timestamp.version = 2
    box.repository.publish()
    await box.push(version="recovered")
    assert box.host.versions[-1] == "recovered"
    assert box.agent.running_push == 3


async def test_the_root_of_the_enrolment_is_needed_before_the_first_push_alone(
    tmp_path: Path, signer: Signer
) -> None:
    async with PushedBox(tmp_path, signer) as box:
        await box.push(version="good")
        (tmp_path / "root.json").write_bytes(b"as a bad disk leaves it")
        host = await box.restart()
        assert host.versions == ["good"]
        await box.push(version="better")
        await box.stop()
        for path in tmp_path.glob("fleet.sqlite*"):  # noqa: ASYNC240
            path.unlink()
        with pytest.raises(ConfigError, match="malformed"):
            await box.restart()


# --- a store that breaks ---


async def test_after_stolen_keys_are_replaced_a_known_number_is_another_push(box: PushedBox) -> None:
    await box.push(version="mallorys")
    number = box.repository.snapshot.version
    for role in ("timestamp", "snapshot"):
        box.repository.rotate(role, [77])
    box.repository.delegate("targets", "config", ["config/*"], [77])
    box.repository.roles["targets"].version += 1
    box.repository.timestamp.version = box.repository.snapshot.version = number - 1
    box.repository.publish()
    await box.deliver(box.repository.push(version="ours again"))
    assert box.repository.snapshot.version == number
    await until(lambda: box.host.versions == ["boot", "mallorys", "ours again"], 30)
    await box.settled("applied", number)


async def test_what_a_push_revokes_ends_before_its_files_are_here(box: PushedBox) -> None:
    box.files.may_come.clear()
    box.repository.set_artefact("admin-files", "scenes", "scene/pack.json", b"never comes")
    box.repository.roles["admin-files"].version += 1
    box.repository.publish(["admin-files"])
    await box.deliver(box.repository.push(version="second", artefacts={"scenes": "scene/pack.json"}))
    await until(lambda: box.files.fetching)
    assert box.host.revoked == [authorities()]
    assert box.host.versions == ["boot"]


async def test_a_box_that_was_enrolled_anew_believes_its_new_authorities_until_it_is_pushed(
    tmp_path: Path, signer: Signer
) -> None:
    (tmp_path / "ca.pem").write_bytes(b"the first")
    async with PushedBox(tmp_path, signer) as box:
        bundle = await box.push(version="good")
        assert box.host.in_force is not None
        assert box.host.in_force.authority == authorities()
        host = await box.restart()
        assert host.in_force is not None
        assert host.in_force.authority == authorities()
        (tmp_path / "ca.pem").write_bytes(b"the authority that came after it")
        host = await box.restart()
        assert host.in_force is not None
        assert (host.versions, host.in_force.authority) == (["good"], None)
        assert host.in_force.revoked == authorities(), "revocations stay"
        await box.deliver(bundle)
        await box.push()  # the same documents, taken by a box that has changed: they are tried like new ones
        assert host.in_force.authority == authorities()


async def test_a_broken_store_is_begun_anew_and_no_older_push_gets_in(box: PushedBox) -> None:
    old = await box.push(version="old")
    newest = await box.push(version="newest")
    await box.stop()
    (box.directory / "fleet.sqlite").write_bytes(b"SQLite format 3\x00" + b"\x55" * 9000)
    host = await box.restart()
    assert host.versions == ["boot"], "there is nothing else left"
    assert (box.directory / "fleet.sqlite.corrupt-1").exists()
    await box.deliver(old)
    report = await box.settled("rejected")
    assert (report.code, report.push) == ("push.replayed", 2)
    await box.deliver(newest)
    await box.settled("applied", 3)
    assert host.versions == ["boot", "newest"]


async def test_a_broken_store_forgets_no_failure(box: PushedBox) -> None:
    box.host.results["bad"] = ProbeResult("head", "device.unplugged")
    bundle = await box.push("rolled_back", version="bad")
    await box.stop()
    (box.directory / "fleet.sqlite").write_bytes(b"\x55" * 9000)
    host = await box.restart()
    await box.deliver(bundle)
    await box.settled("rolled_back", 2, "push.failed_before")
    await box.push(version="better")
    assert host.versions == ["boot", "better"]


# --- what is said ---


class Line:
    """A connection that keeps what is published."""

    def __init__(self, refuse: bool = False) -> None:
        self.published: list[tuple[str, bytes, bool]] = []
        self.refuse = refuse

    async def publish(self, topic: str, payload: bytes, *, retain: bool = False, **_: Any) -> int:
        self.published.append((topic, payload, retain))
        if self.refuse:
            raise PublishRefusedError("mqtt.not_authorized", "PUBACK", 0x87)
        return 0


async def test_every_connection_hears_the_report_signed_and_retained(box: PushedBox, keys: Path) -> None:
    anchor = TrustAnchor.from_file(keys / "fleet-ca.pem")
    for _ in range(2):
        line = Line()
        task = asyncio.create_task(box.agent.serve(line))  # type: ignore[arg-type]
        await until(lambda line=line: line.published)
        topic, payload, retain = line.published[0]
        assert (topic, retain) == (f"edged/1/demo-fleet/{DEVICE}/reported", True)
        said = open_reported(payload, anchor=anchor, at=NOW, device=DEVICE)
        assert (said.outcome, said.running, said.software) == ("none", "boot", __version__)
        task.cancel()
    line = Line(refuse=True)
    task = asyncio.create_task(box.agent.serve(line))  # type: ignore[arg-type]
    await box.push(version="second")
    await until(
        lambda: (
            open_reported(line.published[-1][1], anchor=anchor, at=NOW, device=DEVICE).outcome == "applied"
        )
    )
    said = open_reported(line.published[-1][1], anchor=anchor, at=NOW, device=DEVICE)
    assert (said.push, said.running, said.running_push) == (2, "second", 2)
    assert not task.done(), "a refused report ends no connection"
    task.cancel()


async def test_only_its_own_topic_is_heard(box: PushedBox) -> None:
    (topic,) = box.agent.filters()
    assert box.agent.wants(topic)
    assert not box.agent.wants(topic.replace(DEVICE, "box-2"))
