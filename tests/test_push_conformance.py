"""The TUF specification's client workflow (§5), case by case, against a box that is shown bundles.

The cases are those of the public conformance suite of the specification, told anew for a client whose repository is a
message (`docs/testing-fleet.md` has the table); what a box does differently, it does more strictly.
"""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from edged.errors import PushRefusedError
from edged.pushed import refusing
from edged.pushed.verifying import Trusted, first_trust
from tests.tuf_repository import (
    ADMIN,
    CONFIG_PATH,
    NOW,
    PRIVACY,
    Box,
    TufRepository,
    canonical,
    key,
)

DAY = timedelta(days=1)


@pytest.fixture(params=[False, True], ids=["versions", "hashes"])
def repository(request: pytest.FixtureRequest) -> TufRepository:
    """With and without hashes of metadata in snapshot and timestamp, both of which the specification allows."""
    return TufRepository(hashes=request.param)


@pytest.fixture
def box(repository: TufRepository) -> Box:
    return Box(repository)


# --- the workflow as a whole ---


def test_first_push(repository: TufRepository, box: Box) -> None:
    box.take(repository.bundle())
    assert {
        role: box.version(role) for role in ("root", "timestamp", "snapshot", "targets")
    } == dict.fromkeys(("root", "timestamp", "snapshot", "targets"), 1)


def test_a_refused_push_changes_nothing_however_far_it_got(repository: TufRepository, box: Box) -> None:
    box.take(repository.bundle())
    before = box.trusted
    repository.rotate("timestamp", [21])
    repository.push()
    repository.roles["config"].expires = NOW - DAY
    assert box.refuse(repository.push()) == ("push.expired", "config")
    assert box.trusted == before


def test_unknown_fields_are_signed_for_and_kept(repository: TufRepository, box: Box) -> None:
    repository.root.unrecognized_fields["note"] = {"a": [1]}
    repository.root.keys[repository.root.roles["root"].keyids[0]].unrecognized_fields["note"] = "b"
    repository.root.roles["snapshot"].unrecognized_fields["note"] = "c"
    repository.roles["config"].targets[CONFIG_PATH].unrecognized_fields["note"] = "d"
    repository.publish_root()
    box.take(repository.push())
    root = json.loads(box.trusted.metadata["root.json"])["signed"]
    assert (root["version"], root["note"], root["roles"]["snapshot"]["note"]) == (2, {"a": [1]}, "c")
    altered = json.loads(repository.metadata["2.root.json"])
    altered["signed"]["note"] = "other"
    bundle = repository.bundle(metadata=repository.current() | {"2.root.json": canonical(altered)})
    assert Box(repository).refuse(bundle) == ("push.signature_wrong", "root")


def test_a_key_s_own_notes_on_hashing_mean_nothing(repository: TufRepository, box: Box) -> None:
    identifier = repository.root.roles["snapshot"].keyids[0]
    repository.root.keys[identifier].unrecognized_fields["keyid_hash_algorithms"] = ["md5"]
    repository.publish_root()
    box.take(repository.push())
    assert box.version("root") == 2


@pytest.mark.parametrize("consistent", [True, False])
def test_consistent_snapshots(consistent: bool) -> None:
    repository = TufRepository()
    repository.root.consistent_snapshot = consistent
    repository.publish_root()
    repository.metadata = {name: data for name, data in repository.metadata.items() if "root" in name}
    box = Box(repository)
    box.take(repository.publish())
    repository.push()
    assert ("2.snapshot.json" in repository.current()) is consistent
    box.take(repository.bundle())
    assert (box.version("root"), box.version("snapshot"), box.version("config")) == (2, 2, 2)


@pytest.mark.parametrize("name", ["?", "#", "/role", "../role", "a role", "Role"])
def test_a_role_s_name_is_no_path(name: str) -> None:
    repository = TufRepository()
    del repository.roles["targets"].delegations.roles["privacy"]  # type: ignore[union-attr]
    repository.delegate("targets", name, ["audience/*"], [PRIVACY])
    repository.roles[name].targets = repository.roles.pop("privacy").targets
    repository.sign()
    names = {file: data for file, data in repository.current().items() if name not in file}
    assert Box(repository).refuse(repository.bundle(metadata=names))[0] == "push.incomplete"


# --- the box's own root ---


def test_an_invalid_first_root(repository: TufRepository) -> None:
    root = json.loads(repository.first_root)
    del root["signed"]["version"]
    with pytest.raises(PushRefusedError, match=r"push\.malformed"):
        first_trust(canonical(root))
    stored = Box(repository)
    stored.trusted = Trusted({"root.json": canonical(root)})
    assert stored.refuse(repository.bundle()) == ("push.trust_unusable", "root")


def test_an_unsigned_first_root(repository: TufRepository) -> None:
    root = json.loads(repository.first_root)
    for signature, other in zip(
        root["signatures"], json.loads(repository.first_root)["signatures"][::-1], strict=True
    ):
        signature["sig"] = other["sig"]
    with pytest.raises(PushRefusedError, match=r"push\.signature_wrong"):
        first_trust(canonical(root))


# --- rollbacks (§5.4.3, §5.5.5, §5.6) ---


def test_timestamp_rolled_back(repository: TufRepository, box: Box) -> None:
    old = repository.bundle()
    box.take(repository.push())
    assert box.refuse(old) == ("push.replayed", "timestamp")


def test_timestamp_of_an_older_snapshot(repository: TufRepository, box: Box) -> None:
    box.take(repository.push())
    repository.snapshot.version = 1
    repository.timestamp.version += 1
    assert box.refuse(repository.publish(["snapshot", "timestamp"])) == ("push.replayed", "timestamp")


@pytest.mark.parametrize("role", ["targets", "privacy", "config", "release"])
def test_metadata_rolled_back(repository: TufRepository, box: Box, role: str) -> None:
    """Even for a role that this push has no need of."""
    repository.roles[role].version = 3
    repository.publish()
    box.take(repository.bundle())
    repository.roles[role].version = 2
    repository.snapshot.version += 1
    repository.timestamp.version += 1
    assert box.refuse(repository.publish()) == ("push.replayed", "snapshot")


@pytest.mark.parametrize("role", ["privacy", "release"])
def test_a_role_taken_out_of_the_snapshot(repository: TufRepository, box: Box, role: str) -> None:
    box.take(repository.bundle())
    repository.push()
    del repository.snapshot.meta[f"{role}.json"]
    assert box.refuse(repository.publish(["snapshot", "timestamp"])) == ("push.incomplete", "snapshot")


def test_a_role_the_snapshot_never_had(repository: TufRepository, box: Box) -> None:
    del repository.snapshot.meta["privacy.json"]
    assert box.refuse(repository.publish(["snapshot", "timestamp"]))[0] == "push.incomplete"


def test_expired_metadata_still_guards_against_rollback(repository: TufRepository, box: Box) -> None:
    repository.timestamp.expires = NOW + DAY
    old = repository.bundle()
    box.take(repository.push())
    assert box.refuse(old, NOW + 2 * DAY) == ("push.replayed", "timestamp")


# --- recovery from a number that was driven up (§5.3.11) ---


def test_recovery_of_the_timestamp(repository: TufRepository, box: Box) -> None:
    repository.timestamp.version = 99_999
    box.take(repository.publish(["timestamp"]))
    repository.timestamp.version = 2
    assert box.refuse(repository.publish(["timestamp"])) == ("push.replayed", "timestamp")
    repository.rotate("timestamp", [21])
    box.take(repository.publish(["timestamp"]))
    assert box.version("timestamp") == 2


def test_recovery_of_the_snapshot(repository: TufRepository, box: Box) -> None:
    repository.snapshot.version = 99_999
    box.take(repository.publish(["snapshot", "timestamp"]))
    repository.snapshot.version = 2
    repository.timestamp.version += 1
    assert box.refuse(repository.publish(["snapshot", "timestamp"])) == ("push.replayed", "timestamp")
    repository.rotate("timestamp", [21])
    repository.rotate("snapshot", [22])
    accepted = box.take(repository.publish(["snapshot", "timestamp"]))
    assert accepted.push == box.version("snapshot") == 2


@pytest.mark.parametrize("role", ["targets", "config", "privacy"])
def test_recovery_of_targets(repository: TufRepository, box: Box, role: str) -> None:
    repository.roles[role].version = 99_999
    box.take(repository.publish())
    repository.roles[role].version = 2
    repository.snapshot.version += 1
    repository.timestamp.version += 1
    assert box.refuse(repository.publish()) == ("push.replayed", "snapshot")
    repository.rotate("snapshot", [22])
    box.take(repository.publish())
    assert box.version(role) == 2


def test_recovery_from_a_stolen_admin_key(repository: TufRepository, box: Box) -> None:
    """The thief's last push has the number of the first good one; the offline keys have the last word."""
    box.take(repository.push(version="thief"))
    stolen = repository.bundle()
    del repository.root.keys[key(ADMIN).keyid]
    repository.set_keys("timestamp", [21])
    repository.set_keys("snapshot", [21])
    repository.publish_root()
    repository.delegate("targets", "config", ["config/*"], [21])
    repository.delegate("targets", "admin-files", ["scene/*", "messages/*"], [21])
    del repository.roles["targets"].delegations.keys[key(ADMIN).keyid]  # type: ignore[union-attr]
    repository.roles["targets"].version += 1
    repository.set_document(
        "config", CONFIG_PATH, json.loads(repository.contents[CONFIG_PATH]) | {"version": "good"}
    )
    accepted = box.take(repository.publish())
    assert (accepted.push, accepted.document.version) == (2, "good")
    assert box.refuse(stolen)[0] == "push.signature_wrong"


# --- what doesn't belong together (mix and match) ---


def test_snapshot_of_another_push(repository: TufRepository, box: Box) -> None:
    old = repository.metadata["1.snapshot.json"]
    repository.push()
    files = repository.current() | {"2.snapshot.json": old}
    assert box.refuse(repository.bundle(metadata=files)) == ("push.incomplete", "snapshot")


@pytest.mark.parametrize("role", ["targets", "privacy", "config"])
def test_targets_of_another_push(repository: TufRepository, box: Box, role: str) -> None:
    old = repository.metadata[f"1.{role}.json"]
    repository.roles[role].version += 1
    repository.publish()
    files = repository.current() | {f"2.{role}.json": old}
    assert box.refuse(repository.bundle(metadata=files)) == ("push.incomplete", role)


@pytest.mark.parametrize("role", ["snapshot", "targets", "privacy", "config"])
def test_other_bytes_than_were_hashed(role: str) -> None:
    repository = TufRepository(hashes=True)
    name = f"1.{role}.json"
    document = json.loads(repository.metadata[name])
    altered = json.dumps(document, indent=1).encode()  # the same content, the signatures fit
    files = repository.current() | {name: altered}
    assert Box(repository).refuse(repository.bundle(metadata=files)) == ("push.hash_wrong", role)


@pytest.mark.parametrize("role", ["snapshot", "targets"])
def test_hashes_of_an_unknown_kind(role: str) -> None:
    repository = TufRepository(hashes=True)
    meta = (
        repository.timestamp.snapshot_meta if role == "snapshot" else repository.snapshot.meta["targets.json"]
    )
    meta.hashes = {"crc32": "0"}
    if role == "targets":
        repository.timestamp.snapshot_meta = repository.meta(1, repository.write("snapshot"))
    repository.write("timestamp")
    assert Box(repository).refuse(repository.bundle()) == ("push.hash_wrong", role)


# --- expiry (freeze) ---


@pytest.mark.parametrize("role", ["root", "timestamp", "snapshot", "targets", "config", "privacy"])
@pytest.mark.parametrize("again", [False, True], ids=["new", "known"])
def test_expired(repository: TufRepository, box: Box, role: str, again: bool) -> None:
    """A box that is shown the same for too long stops believing it, whether it knows it already or not."""
    if role in ("root", "timestamp", "snapshot"):
        content: Any = getattr(repository, role)
    else:
        content = repository.roles[role]
    content.expires = NOW + DAY
    if role == "root":
        repository.publish_root()
    bundle = repository.publish()
    if again:
        box.take(bundle, NOW + DAY - timedelta(seconds=1))
    assert box.refuse(bundle, NOW + DAY) == ("push.expired", role)


def test_an_expired_root_leads_to_a_newer_one(repository: TufRepository, box: Box) -> None:
    for days in (-30, -20, 365):
        repository.root.expires = NOW + days * DAY
        repository.publish_root()
    box.take(repository.bundle())
    assert box.version("root") == 4


def test_expired_metadata_of_the_box_leads_to_newer(repository: TufRepository, box: Box) -> None:
    repository.timestamp.expires = NOW + 7 * DAY
    repository.snapshot.expires = NOW + 7 * DAY
    box.take(repository.publish())
    repository.timestamp.expires = repository.snapshot.expires = NOW + 21 * DAY
    box.take(repository.push(), NOW + 18 * DAY)
    assert (box.version("timestamp"), box.version("snapshot")) == (2, 2)


# --- bounds (endless data) ---


@pytest.mark.parametrize(
    ("role", "most"),
    [
        ("root", refusing.MAX_LENGTH["root"]),
        ("timestamp", refusing.MAX_LENGTH["timestamp"]),
        ("snapshot", refusing.MAX_LENGTH["snapshot"]),
        ("targets", refusing.MAX_TARGETS_LENGTH),
        ("privacy", refusing.MAX_TARGETS_LENGTH),
    ],
)
def test_a_file_longer_than_it_may_be(role: str, most: int) -> None:
    repository = TufRepository()
    repository.publish_root()
    box = Box(repository)
    name = {"root": "2.root.json", "timestamp": "timestamp.json"}.get(role, f"1.{role}.json")
    data = repository.metadata[name]
    fits = repository.current() | {name: data + b" " * (most - len(data))}
    box.take(repository.bundle(metadata=fits))
    longer = repository.current() | {name: data + b" " * (most + 1 - len(data))}
    assert Box(repository).refuse(repository.bundle(metadata=longer)) == ("push.too_large", role)


@pytest.mark.parametrize("role", ["snapshot", "targets", "privacy"])
def test_a_file_longer_than_was_signed_for(role: str) -> None:
    repository = TufRepository(hashes=True)
    name = f"1.{role}.json"
    files = repository.current() | {name: repository.metadata[name] + b" "}
    assert Box(repository).refuse(repository.bundle(metadata=files)) == ("push.hash_wrong", role)


# --- targets ---


def test_a_target_that_changes_from_push_to_push(repository: TufRepository, box: Box) -> None:
    for number in range(5):
        accepted = box.take(repository.push(version=f"v{number}"))
        assert accepted.document.version == f"v{number}"
        repository.push(version="next")
        exchanged = repository.contents | {CONFIG_PATH: accepted.config.replace(b'"v', b'"w')}
        assert box.refuse(repository.bundle(targets=exchanged)) == ("push.hash_wrong", CONFIG_PATH)


def test_a_target_cut_short(repository: TufRepository, box: Box) -> None:
    exchanged = repository.contents | {CONFIG_PATH: repository.contents[CONFIG_PATH][:-1]}
    assert box.refuse(repository.bundle(targets=exchanged)) == ("push.hash_wrong", CONFIG_PATH)
