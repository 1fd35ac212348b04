"""What a box believes of what is pushed to it: our own rules. TUF's are in `test_push_conformance.py`."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from edged.errors import PushRefusedError, StateError
from edged.pushed.verifying import Accepted, ArtefactTarget, Trusted, first_trust, verify_bundle
from edged.uplink.artefact import CHUNK, MAX_BYTES, chunks_of
from tests import fleet_made
from tests.fleet_made import make_bundle
from tests.tuf_repository import (
    ADMIN,
    AUDIENCE,
    CONFIG,
    DEVICE,
    NOW,
    PRIVACY,
    RELEASE,
    STRANGER,
    TufRepository,
)

LENGTH = 2 * CHUNK + 500
BAD_ARTEFACT = ("artefact.bad_target", "trust/icao.sqlite")


@pytest.fixture(autouse=True)
def no_traces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Whatever comes of a push, its temporary directory is gone afterwards."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    yield
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def repository() -> TufRepository:
    return TufRepository()


def take(bundle: bytes, trusted: Trusted, **others: Any) -> Accepted:
    return verify_bundle(bundle, **({"trusted": trusted, "device": DEVICE, "now": NOW} | others))


def refused(bundle: bytes, trusted: Trusted, **others: Any) -> tuple[str, str]:
    """Code and place of the refusal."""
    before = msgspec.json.encode(trusted.metadata)
    with pytest.raises(PushRefusedError) as caught:
        take(bundle, trusted, **others)
    assert msgspec.json.encode(trusted.metadata) == before
    return caught.value.code, caught.value.where


def test_a_push_is_taken_with_all_it_brings(repository: TufRepository) -> None:
    repository.set_artefact("release", "trust", "trust/icao.sqlite", b"x" * LENGTH)
    repository.roles["release"].version += 1
    repository.publish(["release"])
    accepted = take(
        repository.push(artefacts={"trust": "trust/icao.sqlite"}), first_trust(repository.first_root)
    )
    assert accepted.push == 2
    assert accepted.config == repository.contents[f"config/{DEVICE}.json"]
    assert accepted.document.device == DEVICE
    assert accepted.audiences == {"bank": repository.contents["audience/bank.json"]}
    assert accepted.audience_documents["bank"].scenes == ("bank",)
    assert accepted.authority == repository.contents["fleet/authority.json"]
    target = repository.roles["release"].targets["trust/icao.sqlite"]
    artefact = target.custom["artefact"]
    assert accepted.artefacts == {
        "trust": ArtefactTarget(
            path="trust/icao.sqlite",
            sha256=target.hashes["sha256"],
            length=LENGTH,
            chunk=CHUNK,
            chunks=3,
            index_sha256=artefact["index_sha256"],
            name="icao.sqlite",
            version="1",
        )
    }
    assert set(accepted.trusted.metadata) == {
        f"{role}.json"
        for role in ("root", "timestamp", "snapshot", "targets", "config", "privacy", "release")
    }
    assert accepted.trusted.metadata["root.json"] == repository.first_root


def test_one_push_after_the_other(repository: TufRepository) -> None:
    trusted = first_trust(repository.first_root)
    for number in (2, 3, 4):
        accepted = take(repository.push(version=f"v{number}"), trusted)
        assert (accepted.push, accepted.document.version) == (number, f"v{number}")
        trusted = accepted.trusted


def test_what_the_admin_s_tool_makes_is_taken_by_its_box_alone(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """The real repository, ceremony and compiler; the other tests' stand-in shares nothing with them."""
    now = fleet_made.moment()
    made = fleet_made.fleet(tmp_path_factory.mktemp("fleet"), now)
    trusted = first_trust(made.repository.file("root", 1))
    first = make_bundle(made.state, "box-1", now)
    accepted = take(first.data, trusted, now=now)
    assert (accepted.push, accepted.document) == (first.number, first.document)
    assert set(accepted.audiences) == {"first-bank"}
    assert refused(make_bundle(made.state, "box-2", now).data, trusted, now=now)[0] == "push.foreign_device"
    later = take(make_bundle(made.state, "box-1", now).data, accepted.trusted, now=now)
    assert later.push > accepted.push
    assert refused(first.data, later.trusted, now=now) == ("push.replayed", "timestamp")


# --- a push that comes again ---


def test_the_same_push_is_the_same_at_every_reconnect(repository: TufRepository) -> None:
    bundle = repository.bundle()
    first = take(bundle, first_trust(repository.first_root))
    again = take(bundle, first.trusted)
    assert again == first


def test_signing_the_same_content_again_makes_no_other_push(repository: TufRepository) -> None:
    trusted = take(repository.bundle(), first_trust(repository.first_root)).trusted
    before = repository.current()
    accepted = take(repository.publish(), trusted)  # ECDSA draws a number for every signature
    assert repository.current()["1.snapshot.json"] != before["1.snapshot.json"]
    assert accepted.push == 1


def test_an_older_push_is_refused(repository: TufRepository) -> None:
    old = repository.bundle()
    trusted = take(repository.push(), first_trust(repository.first_root)).trusted
    assert refused(old, trusted) == ("push.replayed", "timestamp")


@pytest.mark.parametrize("role", ["timestamp", "snapshot", "targets", "config", "privacy"])
def test_one_number_means_one_content(repository: TufRepository, role: str) -> None:
    trusted = take(repository.bundle(), first_trust(repository.first_root)).trusted
    if role in ("timestamp", "snapshot"):
        content = {"timestamp": repository.timestamp, "snapshot": repository.snapshot}[role]
    else:
        content = repository.roles[role]
    content.unrecognized_fields["note"] = "another"
    assert refused(repository.publish([role]), trusted) == ("push.equivocation", role)


def test_two_configurations_under_one_number(repository: TufRepository) -> None:
    trusted = take(repository.bundle(), first_trust(repository.first_root)).trusted
    repository.set_document("config", f"config/{DEVICE}.json", CONFIG | {"version": "other"})
    assert refused(repository.publish(["config"]), trusted) == ("push.equivocation", "config")


def test_another_root_under_the_box_s_own_number(repository: TufRepository) -> None:
    trusted = first_trust(repository.first_root)
    repository.root.unrecognized_fields["note"] = "another"
    repository.write("root")
    assert refused(repository.bundle(), trusted) == ("push.equivocation", "root")


# --- who may say what ---


def test_a_push_for_another_device(repository: TufRepository) -> None:
    assert refused(TufRepository("box-2").bundle(), first_trust(repository.first_root)) == (
        "push.foreign_device",
        f"config/{DEVICE}.json",
    )


def test_a_document_for_another_device(repository: TufRepository) -> None:
    bundle = repository.push(device="box-2")
    assert refused(bundle, first_trust(repository.first_root))[0] == "push.foreign_device"


def test_another_device_s_configuration_in_this_one_s_push(repository: TufRepository) -> None:
    """Versions and hashes of two devices' pushes can agree; the target's name can't."""
    other = TufRepository("box-2").current()["1.config.json"]
    bundle = repository.bundle(metadata=repository.current() | {"1.config.json": other})
    assert refused(bundle, first_trust(repository.first_root))[0] == "push.foreign_device"


@pytest.mark.parametrize("role", ["config", "admin-files", "release"])
def test_only_the_privacy_officer_says_what_an_audience_learns(repository: TufRepository, role: str) -> None:
    """The admin (or the release role) lists a policy of its own; the privacy officer has signed none of that name."""
    repository.set_document(role, "audience/hotel.json", AUDIENCE | {"name": "hotel"})
    repository.roles[role].version += 1
    repository.publish([role])
    bundle = repository.push(audiences=["hotel"])
    assert refused(bundle, first_trust(repository.first_root)) == ("push.wrong_role", "audience/hotel.json")


def test_the_privacy_officer_s_word_stands_against_the_admin_s(repository: TufRepository) -> None:
    truth = repository.contents["audience/bank.json"]
    repository.set_document("config", "audience/bank.json", AUDIENCE | {"policy": {"claims": {}}})
    bundle = repository.push()
    trusted = first_trust(repository.first_root)
    assert refused(bundle, trusted) == ("push.hash_wrong", "audience/bank.json")
    repository.contents["audience/bank.json"] = truth
    assert take(repository.bundle(), trusted).audiences == {"bank": truth}


def test_an_admin_can_t_sign_as_the_privacy_officer(repository: TufRepository) -> None:
    repository.roles["privacy"].version += 1
    repository.publish(["privacy"], {"privacy": [ADMIN]})
    assert refused(repository.push(), first_trust(repository.first_root)) == ("push.wrong_role", "privacy")


def test_an_admin_can_t_publish_a_trust_list(repository: TufRepository) -> None:
    repository.set_artefact("admin-files", "trust", "trust/mine.sqlite", b"x")
    repository.roles["admin-files"].version += 1
    repository.publish(["admin-files"])
    bundle = repository.push(artefacts={"trust": "trust/mine.sqlite"})
    assert refused(bundle, first_trust(repository.first_root)) == ("push.wrong_role", "trust/mine.sqlite")


@pytest.mark.parametrize("number", [ADMIN, PRIVACY, RELEASE])
def test_nobody_online_signs_the_fleet_s_authorities(repository: TufRepository, number: int) -> None:
    trusted = take(repository.bundle(), first_trust(repository.first_root)).trusted
    repository.set_target("targets", "fleet/authority.json", b'{"format":1,"anchors":[]}')
    repository.roles["targets"].version += 1
    repository.publish(["targets"], {"targets": [1, number]})
    assert refused(repository.push(), trusted) == ("push.wrong_role", "targets")


def test_a_stranger(repository: TufRepository) -> None:
    bundle = repository.publish(["snapshot", "timestamp"], {"timestamp": [STRANGER]})
    assert refused(bundle, first_trust(repository.first_root)) == ("push.signature_wrong", "timestamp")


def test_a_fleet_without_authorities_of_its_own(repository: TufRepository) -> None:
    del repository.roles["targets"].targets["fleet/authority.json"]
    accepted = take(repository.publish(), first_trust(repository.first_root))
    assert accepted.authority is None  # although one lies in the bundle


# --- what is missing, cut or exchanged ---


@pytest.mark.parametrize(
    ("file", "where"),
    [
        ("timestamp.json", "timestamp"),
        ("1.snapshot.json", "snapshot"),
        ("1.targets.json", "targets"),
        ("1.config.json", "config"),
        ("1.privacy.json", "privacy"),
        (f"config/{DEVICE}.json", f"config/{DEVICE}.json"),
        ("audience/bank.json", "audience/bank.json"),
        ("fleet/authority.json", "fleet/authority.json"),
    ],
)
@pytest.mark.parametrize("again", [False, True])
def test_half_a_push(repository: TufRepository, file: str, where: str, again: bool) -> None:
    trusted = first_trust(repository.first_root)
    if again:
        trusted = take(repository.bundle(), trusted).trusted
    assert refused(repository.bundle(without=(file,)), trusted) == ("push.incomplete", where)


@pytest.mark.parametrize("path", [f"config/{DEVICE}.json", "audience/bank.json", "fleet/authority.json"])
def test_a_target_of_another_content(repository: TufRepository, path: str) -> None:
    targets = repository.contents | {path: repository.contents[path].replace(b"a", b"b", 1)}
    bundle = repository.bundle(targets=targets)
    assert refused(bundle, first_trust(repository.first_root)) == ("push.hash_wrong", path)


def test_a_weak_hash_alone_is_no_hash(repository: TufRepository) -> None:
    target = repository.roles["config"].targets[f"config/{DEVICE}.json"]
    target.hashes = {"md5": "0" * 32}
    assert refused(repository.publish(), first_trust(repository.first_root))[0] == "push.malformed"


@pytest.mark.parametrize(
    "data", [b"", b"{}", b"\xff", b"[" * 1000, b'{"format":2,"metadata":{},"targets":{}}']
)
def test_no_bundle(repository: TufRepository, data: bytes) -> None:
    assert refused(data, first_trust(repository.first_root)) == ("push.malformed", "")


def test_an_oversized_push(repository: TufRepository) -> None:
    assert refused(b" " * (60 * 1024 + 1), first_trust(repository.first_root)) == ("push.too_large", "")


# --- documents ---


def test_a_bad_key_of_the_configuration(repository: TufRepository) -> None:
    bundle = repository.push(scenes={"bank": {"mandatroy": []}})
    trusted = first_trust(repository.first_root)
    assert refused(bundle, trusted) == ("config.unknown_key", "scenes.bank.mandatroy")


@pytest.mark.parametrize(
    ("changes", "code", "where"),
    [
        ({"policy": {"claims": {"surname": "keep"}}}, "config.above_ceiling", "policy.claims.surname"),
        (
            {"policy": {"claims": {"optional_data": "mask"}}},
            "config.above_ceiling",
            "policy.claims.optional_data",
        ),
        ({"policy": {"claims": {"holder": "seal"}}}, "config.invalid_choice", "policy.claims.holder"),
        ({"policy": "bank-account-opening-2"}, "policy.no_such", "policy"),
        (
            {"policy": {"base": "self-service-kiosk", "claims": {"sex": "keep"}}},
            "policy.looser_than_base",
            "policy.claims.sex",
        ),
        ({"name": "hotel"}, "config.other_name", "name"),
        ({"encryption_keys": ["none"]}, "config.not_a_public_key", "encryption_keys.0"),
        ({"format": 2}, "config.invalid_choice", "format"),
    ],
)
def test_a_bad_key_of_an_audience(
    repository: TufRepository, changes: dict[str, Any], code: str, where: str
) -> None:
    """A policy above the ceiling is refused even with the privacy officer's signature."""
    repository.set_document("privacy", "audience/bank.json", AUDIENCE | changes)
    repository.roles["privacy"].version += 1
    repository.publish(["privacy"])
    assert refused(repository.push(), first_trust(repository.first_root)) == (code, f"audiences.bank.{where}")


@pytest.mark.parametrize(
    "text",
    [b"no", b"[]", b'{"name": "\\ud800"}', b'{"\\udfff": 1}', b'{"format": NaN}', b'{"format": 1e999}'],
)
def test_a_document_that_is_none(repository: TufRepository, text: bytes) -> None:
    """Nor is what Python's reader alone takes for JSON, and nobody could report or log."""
    repository.set_target("privacy", "audience/bank.json", text)
    bundle = repository.publish()
    assert refused(bundle, first_trust(repository.first_root)) == ("config.not_json", "audiences.bank")


def test_a_place_is_never_longer_than_a_report_takes(repository: TufRepository) -> None:
    bundle = repository.push(**{"x" * 1000: 1})
    code, where = refused(bundle, first_trust(repository.first_root))
    assert (code, len(where)) == ("config.unknown_key", 200)


def test_a_place_can_always_be_reported(repository: TufRepository) -> None:
    repository.set_target("privacy", "audience/bank.json", b'{"\\ud800": 1, "\\ud800": 2}')
    code, where = refused(repository.publish(), first_trust(repository.first_root))
    assert (code, where) == ("config.key_twice", "audiences.bank.?")


# --- artefacts ---


@pytest.mark.parametrize(
    "changes",
    [
        {"chunk": 0},
        {"chunk": CHUNK - 1},
        {"chunks": 2},
        {"chunks": 4},
        {"chunks": True},
        {"index_sha256": "../etc/passwd"},
        {"kind": "software"},
        {"name": ""},
        {"version": None},
        {"more": 1},
    ],
)
def test_an_artefact_that_can_t_be_fetched(repository: TufRepository, changes: dict[str, Any]) -> None:
    repository.set_artefact("release", "trust", "trust/icao.sqlite", b"x" * LENGTH)
    repository.roles["release"].targets["trust/icao.sqlite"].custom["artefact"].update(changes)
    assert refused(artefact_push(repository), first_trust(repository.first_root)) == BAD_ARTEFACT


@pytest.mark.parametrize("how", ["no custom", "no sha256", "no length"])
def test_an_artefact_without_what_it_is_fetched_by(repository: TufRepository, how: str) -> None:
    repository.set_artefact("release", "trust", "trust/icao.sqlite", b"x" * LENGTH)
    target = repository.roles["release"].targets["trust/icao.sqlite"]
    if how == "no custom":
        target.unrecognized_fields = {}
    elif how == "no sha256":
        target.hashes = {"sha512": "0" * 64}
    else:
        target.length = 0
    assert refused(artefact_push(repository), first_trust(repository.first_root)) == BAD_ARTEFACT


def test_an_artefact_too_large_for_its_kind(repository: TufRepository) -> None:
    repository.set_artefact("release", "trust", "trust/icao.sqlite", b"x")
    target = repository.roles["release"].targets["trust/icao.sqlite"]
    target.length = MAX_BYTES["trust"] + 1
    target.custom["artefact"]["chunks"] = chunks_of(target.length)
    bundle = artefact_push(repository)
    trusted = first_trust(repository.first_root)
    assert refused(bundle, trusted) == ("artefact.too_large", "trust/icao.sqlite")


def artefact_push(repository: TufRepository) -> bytes:
    repository.roles["release"].version += 1
    repository.publish(["release"])
    return repository.push(artefacts={"trust": "trust/icao.sqlite"})


def test_authorities_that_are_none(repository: TufRepository) -> None:
    """Signed by the offline keys, and still of no use."""
    repository.set_target("targets", "fleet/authority.json", b'{"format":1,"anchors":["none"]}')
    bundle = repository.publish()
    trusted = first_trust(repository.first_root)
    assert refused(bundle, trusted) == ("authority.malformed", "fleet/authority.json")


def test_an_artefact_nobody_signed(repository: TufRepository) -> None:
    bundle = repository.push(artefacts={"trust": "trust/icao.sqlite"})
    assert refused(bundle, first_trust(repository.first_root)) == ("push.incomplete", "trust/icao.sqlite")


# --- numbers, clocks, and the box's own trouble ---


def test_a_refusal_says_which_push(repository: TufRepository) -> None:
    bundle = repository.push(device="box-2")
    with pytest.raises(PushRefusedError) as caught:
        take(bundle, first_trust(repository.first_root))
    assert caught.value.push == 2


def test_a_number_no_reader_keeps(repository: TufRepository) -> None:
    repository.snapshot.version = 2**53 - 1
    bundle = repository.push()
    trusted = first_trust(repository.first_root)
    assert refused(bundle, trusted) == ("push.malformed", "snapshot")
    with pytest.raises(PushRefusedError) as caught:
        take(bundle, trusted)
    assert caught.value.push == 0


def test_the_given_time_alone_decides(repository: TufRepository) -> None:
    """Not the system's clock, which is before or after these."""
    trusted = first_trust(repository.first_root)
    for now in (NOW - timedelta(days=9000), NOW + timedelta(days=29)):
        assert take(repository.bundle(), trusted, now=now).push == 1
    assert refused(repository.bundle(), trusted, now=NOW + timedelta(days=31)) == (
        "push.expired",
        "timestamp",
    )
    with pytest.raises(ValueError, match="timezone"):
        take(repository.bundle(), trusted, now=NOW.replace(tzinfo=None))


@pytest.mark.parametrize("root", [None, b"", b"{}", b"\xff"])
def test_a_box_whose_own_trust_is_broken(repository: TufRepository, root: bytes | None) -> None:
    trusted = Trusted({} if root is None else {"root.json": root})
    assert refused(repository.bundle(), trusted) == ("push.trust_unusable", "root")


@pytest.mark.parametrize("role", ["timestamp", "snapshot", "config"])
def test_a_box_that_can_t_read_what_it_trusted(repository: TufRepository, role: str) -> None:
    """It would have nothing to measure a rollback against."""
    trusted = take(repository.bundle(), first_trust(repository.first_root)).trusted
    broken = Trusted(trusted.metadata | {f"{role}.json": b"{"})
    assert refused(repository.bundle(), broken) == ("push.trust_unusable", role)


def test_a_box_that_can_t_write(
    repository: TufRepository, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    trusted = first_trust(repository.first_root)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    with pytest.raises(StateError) as caught:
        take(repository.bundle(), trusted)
    assert caught.value.code == "push.no_temporary_files"


def test_first_trust_takes_a_root_as_it_came(repository: TufRepository) -> None:
    assert first_trust(repository.first_root) == Trusted({"root.json": repository.first_root})


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda root: root["signatures"].pop(), None),  # two of three are left
        (lambda root: root["signatures"].clear(), "push.signature_wrong"),
        (lambda root: root["signed"].update(version=2), "push.signature_wrong"),
        (lambda root: root["signed"].pop("version"), "push.malformed"),
        (lambda root: root["signed"].update(_type="targets"), "push.malformed"),
        (lambda root: root["signed"].update(note="x" * 20_000), "push.too_large"),
    ],
)
def test_first_trust_wants_a_root_signed_by_itself(
    repository: TufRepository, change: Any, code: str | None
) -> None:
    document = json.loads(repository.first_root)
    change(document)
    root = json.dumps(document).encode()
    if code is None:
        assert first_trust(root).metadata == {"root.json": root}
        return
    with pytest.raises(PushRefusedError) as caught:
        first_trust(root)
    assert (caught.value.code, caught.value.where) == (code, "root")


def test_importing_the_verifier_doesn_t_import_the_library() -> None:
    """The daemon's start must not pay for python-tuf and what it brings (urllib3)."""
    code = "import sys, edged.pushed.verifying; sys.exit('tuf' in sys.modules or 'urllib3' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0
