"""The TUF specification's client workflow (§5), case by case, against a box that is shown bundles.

The cases are those of the public conformance suite of the specification, told anew for a client whose repository is a
message (`docs/testing-fleet.md` has the table); what a box does differently, it does more strictly.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import pytest
from tuf.api.metadata import Delegations, Key, SuccinctRoles, Targets

from edged.errors import PushRefusedError
from edged.pushed import refusing
from edged.pushed.tuf_client import MAX_DELEGATIONS, MAX_ROTATIONS
from edged.pushed.verifying import Accepted, Trusted, first_trust, verify_bundle
from tests.tuf_repository import (
    ADMIN,
    AUDIENCE,
    DEVICE,
    NOW,
    OFFLINE,
    PRIVACY,
    STRANGER,
    TufRepository,
    canonical,
    key,
    signed,
)

DAY = timedelta(days=1)
CONFIG_PATH = f"config/{DEVICE}.json"


class Box:
    """What one box has stored, and what it makes of bundles."""

    def __init__(self, repository: TufRepository) -> None:
        self.trusted = first_trust(repository.first_root)

    def take(self, bundle: bytes, now: datetime = NOW) -> Accepted:
        accepted = verify_bundle(bundle, trusted=self.trusted, device=DEVICE, now=now)
        self.trusted = accepted.trusted
        return accepted

    def refuse(self, bundle: bytes, now: datetime = NOW) -> tuple[str, str]:
        with pytest.raises(PushRefusedError) as caught:
            self.take(bundle, now)
        return caught.value.code, caught.value.where

    def version(self, role: str) -> int:
        version: int = refusing.parse(self.trusted.metadata[f"{role}.json"]).signed.version
        return version

    @property
    def roles(self) -> set[str]:
        return {name.removesuffix(".json") for name in self.trusted.metadata}


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


# --- chains of roots (§5.3) ---


class Step(NamedTuple):
    """One version of the root: its keys, their threshold, and who signs."""

    keys: Sequence[int]
    threshold: int
    signers: Sequence[int]


GOOD_CHAINS = {
    "one key for another": [Step([1], 1, [1]), Step([2], 1, [1, 2]), Step([2], 1, [2])],
    "signatures of strangers are passed over": [
        Step([1], 1, [7, 1]),
        Step([2], 1, [7, 2, 1, 8]),
        Step([2], 1, [8, 2]),
    ],
    "any three of five": [
        Step([1, 2, 3, 4, 5], 3, [1, 3, 5]),
        Step([1, 2, 3, 4, 5], 3, [1, 5, 2]),
        Step([1, 2, 3, 4, 5], 3, [2, 3, 4]),
    ],
    "one of five is replaced": [Step([1, 2, 3, 4, 5], 3, [1, 3, 5]), Step([1, 2, 4, 5, 6], 3, [1, 5, 2])],
    "the one who leaves signs with a newcomer": [
        Step([1, 2, 3, 4, 5], 3, [1, 3, 5]),
        Step([1, 2, 4, 5, 6], 3, [1, 3, 5, 6]),
        Step([1, 2, 4, 5, 6], 3, [1, 5, 6]),
    ],
    "all five are replaced": [
        Step([1, 2, 3, 4, 5], 3, [1, 3, 5]),
        Step([11, 12, 13, 14, 15], 3, [1, 3, 5, 11, 12, 13]),
        Step([11, 12, 13, 14, 15], 3, [13, 14, 15]),
    ],
    "a higher threshold": [Step([1, 2, 3], 1, [1]), Step([1, 2, 3], 2, [1, 2])],
    "a lower threshold": [Step([1, 2, 3], 2, [1, 2]), Step([1, 2, 3], 1, [1, 2]), Step([1, 2, 3], 1, [3])],
    "a second key and a threshold of two": [Step([1], 1, [1]), Step([1, 2], 2, [1, 2])],
}
BAD_CHAINS = {
    "the old key didn't sign": [Step([1], 1, [1]), Step([2], 1, [2, 7])],
    "the new key didn't sign": [Step([1], 1, [1]), Step([2], 1, [1, 7])],
    "too few of the new keys": [Step([1, 2, 3, 4, 5], 3, [1, 3, 5]), Step([1, 2, 4, 5, 6], 3, [1, 3, 5])],
    "too few of the old keys": [Step([1, 2, 3, 4, 5], 3, [1, 3, 5]), Step([1, 2, 4, 5, 6], 3, [1, 5, 6])],
    "the higher threshold isn't reached": [Step([1, 2, 3], 1, [1]), Step([1, 2, 3], 2, [2])],
    "the former threshold isn't reached": [Step([1, 2, 3], 2, [1, 2]), Step([1, 2, 3], 1, [1])],
    "nobody signed": [Step([1], 1, [1]), Step([1], 1, [])],
}


def chain(steps: Sequence[Step]) -> TufRepository:
    """A repository whose first root, and those after it, are as told."""
    repository = TufRepository()
    repository.root.version = 0
    for step in steps:
        repository.set_keys("root", [50 + number for number in step.keys], step.threshold)
        repository.publish_root([50 + number for number in step.signers])
    repository.first_root = repository.metadata["1.root.json"]
    return repository


@pytest.mark.parametrize("name", GOOD_CHAINS)
def test_a_chain_of_roots(name: str) -> None:
    repository = chain(GOOD_CHAINS[name])
    box = Box(repository)
    box.take(repository.bundle())
    assert box.trusted.metadata["root.json"] == repository.metadata[f"{len(GOOD_CHAINS[name])}.root.json"]


@pytest.mark.parametrize("name", GOOD_CHAINS)
def test_a_chain_of_roots_one_push_at_a_time(name: str) -> None:
    repository = chain(GOOD_CHAINS[name])
    box = Box(repository)
    files = repository.current()
    for version in range(1, len(GOOD_CHAINS[name]) + 1):
        upto = {f"{number}.root.json" for number in range(version + 1, 9)}
        box.take(repository.bundle(metadata={name: data for name, data in files.items() if name not in upto}))
        assert box.version("root") == version


@pytest.mark.parametrize("name", BAD_CHAINS)
def test_a_broken_chain_of_roots(name: str) -> None:
    repository = chain(BAD_CHAINS[name])
    assert Box(repository).refuse(repository.bundle()) == ("push.signature_wrong", "root")


def test_a_root_is_left_out(repository: TufRepository, box: Box) -> None:
    for _ in range(3):
        repository.publish_root()
    assert box.refuse(repository.bundle(without=("3.root.json",))) == ("push.incomplete", "root")
    box.take(repository.bundle())
    assert box.version("root") == 4


@pytest.mark.parametrize(("version", "code"), [(1, "push.replayed"), (3, "push.incomplete")])
def test_a_root_in_another_s_place(repository: TufRepository, box: Box, version: int, code: str) -> None:
    repository.root.version = version
    data = repository.write("root")
    files = repository.current() | {"2.root.json": data}
    files.pop("3.root.json", None)
    assert box.refuse(repository.bundle(metadata=files | {"1.root.json": repository.first_root})) == (
        code,
        "root",
    )


def test_another_role_s_metadata_as_root(repository: TufRepository, box: Box) -> None:
    files = repository.current() | {"2.root.json": repository.metadata["1.targets.json"]}
    assert box.refuse(repository.bundle(metadata=files)) == ("push.malformed", "root")


def small_root(repository: TufRepository) -> None:
    """One key, so that many roots fit a bundle."""
    repository.set_keys("root", [1])
    repository.set_keys("targets", [1])
    repository.root.keys = {key(number).keyid: key(number) for number in (1, ADMIN)}
    repository.publish_root(OFFLINE)


def test_more_roots_than_a_push_may_bring() -> None:
    repository = TufRepository()
    small_root(repository)
    bundle = repository.bundle()
    box = Box(repository)
    box.take(bundle)
    start = repository.root.version
    for _ in range(MAX_ROTATIONS + 1):
        repository.publish_root()
    needed = {f"{start + number}.root.json" for number in range(1, MAX_ROTATIONS + 2)}
    files = {
        name: data for name, data in repository.current().items() if name in needed or ".root." not in name
    }
    assert box.refuse(repository.bundle(metadata=files)) == ("push.too_many_roots", "root")
    del files[f"{start + MAX_ROTATIONS + 1}.root.json"]
    box.take(repository.bundle(metadata=files))
    assert box.version("root") == start + MAX_ROTATIONS


# --- keys of the other roles ---

OTHER_ROLES = ["timestamp", "snapshot", "targets"]
GOOD_KEYS = {
    "another key": Step([22], 1, [22]),
    "signatures of strangers are passed over": Step([21], 1, [7, 21, 8]),
    "any three of five": Step([21, 22, 23, 24, 25], 3, [21, 23, 25]),
    "any other three of five": Step([21, 22, 23, 24, 25], 3, [24, 22, 23]),
    "all of five": Step([21, 22, 23, 24, 25], 5, [21, 22, 23, 24, 25]),
}
BAD_KEYS = {
    "nobody signed": Step([21], 1, []),
    "only strangers signed": Step([21], 1, [7, 8]),
    "two of three signatures": Step([21, 22, 23, 24, 25], 3, [21, 25]),
    "three signatures, one of a stranger": Step([21, 22, 23, 24, 25], 3, [21, 25, 7]),
    "more are needed than there are keys": Step([21, 22], 3, [21, 22]),
}


@pytest.mark.parametrize("role", OTHER_ROLES)
@pytest.mark.parametrize("name", GOOD_KEYS)
def test_keys_of_a_role(role: str, name: str) -> None:
    repository, step = TufRepository(), GOOD_KEYS[name]
    repository.rotate(role, list(step.keys), step.threshold)
    repository.signers[role] = list(step.signers)
    Box(repository).take(repository.publish())


@pytest.mark.parametrize("role", OTHER_ROLES)
@pytest.mark.parametrize("name", BAD_KEYS)
def test_wrong_keys_of_a_role(role: str, name: str) -> None:
    repository, step = TufRepository(), BAD_KEYS[name]
    repository.rotate(role, list(step.keys), step.threshold)
    repository.signers[role] = list(step.signers)
    assert Box(repository).refuse(repository.publish()) == ("push.signature_wrong", role)


@pytest.mark.parametrize("name", GOOD_KEYS)
def test_keys_of_a_delegated_role(name: str) -> None:
    repository, step = TufRepository(), GOOD_KEYS[name]
    repository.delegate("targets", "privacy", ["audience/*"], list(step.keys), threshold=step.threshold)
    repository.signers["privacy"] = list(step.signers)
    Box(repository).take(repository.publish())


@pytest.mark.parametrize("name", BAD_KEYS)
def test_wrong_keys_of_a_delegated_role(name: str) -> None:
    repository, step = TufRepository(), BAD_KEYS[name]
    repository.delegate("targets", "privacy", ["audience/*"], list(step.keys), threshold=step.threshold)
    repository.signers["privacy"] = list(step.signers)
    assert Box(repository).refuse(repository.publish()) == ("push.signature_wrong", "privacy")


@pytest.mark.parametrize("role", OTHER_ROLES)
def test_a_former_key(role: str) -> None:
    repository = TufRepository()
    former = list(repository.signers[role])
    box = Box(repository)
    box.take(repository.bundle())
    repository.rotate(role, [41, 42], 2)
    if role == "targets":
        repository.roles["targets"].version += 1
    repository.snapshot.version += 1
    repository.timestamp.version += 1
    bundle = repository.publish(keys={role: former})
    assert box.refuse(bundle)[0] in ("push.wrong_role", "push.signature_wrong")
    box.take(repository.publish())


def test_keys_that_root_lists_without_their_signatures(repository: TufRepository, box: Box) -> None:
    """The threshold counts signatures, not what the root says of keys."""
    box.take(repository.bundle())
    repository.rotate("snapshot", [ADMIN, 21, 22], 3)
    repository.signers["snapshot"] = [ADMIN]
    assert box.refuse(repository.push()) == ("push.signature_wrong", "snapshot")
    repository.root.roles["snapshot"].keyids.append("0" * 64)  # a key that isn't there
    repository.publish_root()
    assert box.refuse(repository.push()) == ("push.signature_wrong", "snapshot")


@pytest.mark.parametrize("role", ["root", "snapshot"])
def test_one_key_under_several_names_is_one(role: str) -> None:
    repository = TufRepository()
    box = Box(repository)
    box.take(repository.bundle())
    twin = key(1).to_dict()
    for name in ("a" * 64, "b" * 64):
        repository.root.keys[name] = Key.from_dict(name, json.loads(json.dumps(twin)))
        repository.root.roles[role].keyids.append(name)
    if role == "snapshot":
        repository.root.roles[role].keyids.append(key(1).keyid)
        repository.root.keys[key(1).keyid] = key(1)
        repository.root.roles[role].threshold = 3
    repository.publish_root()
    repository.signers["snapshot"] = [1, ADMIN]
    snapshot = refusing.parse(repository.write("snapshot"))
    one = next(signature for signature in snapshot.signatures.values() if signature.keyid == key(1).keyid)
    twins = [{"keyid": name, "sig": one.signature} for name in ("a" * 64, "b" * 64)]
    document = json.loads(repository.metadata["1.snapshot.json"])
    document["signatures"] += twins
    files = repository.current() | {"1.snapshot.json": canonical(document)}
    code, _ = box.refuse(repository.bundle(metadata=files))
    assert code == "push.signature_wrong"


def test_one_key_under_several_names_in_a_delegation() -> None:
    repository = TufRepository()
    delegations = repository.roles["targets"].delegations
    assert delegations is not None
    assert delegations.roles is not None
    delegations.keys["a" * 64] = Key.from_dict("a" * 64, key(PRIVACY).to_dict())
    delegations.roles["privacy"].keyids.append("a" * 64)
    assert Box(repository).refuse(repository.publish()) == ("push.signature_wrong", "targets")


@pytest.mark.parametrize("role", OTHER_ROLES)
def test_a_signature_given_twice(role: str) -> None:
    repository = TufRepository()
    name = "timestamp.json" if role == "timestamp" else f"1.{role}.json"
    document = json.loads(repository.metadata[name])
    document["signatures"].append(document["signatures"][0])
    files = repository.current() | {name: canonical(document)}
    assert Box(repository).refuse(repository.bundle(metadata=files)) == ("push.malformed", role)


def test_a_role_lists_a_key_twice() -> None:
    repository = TufRepository()
    repository.root.version += 1
    document = json.loads(signed(repository.root, []))
    document["signed"]["roles"]["root"]["keyids"] *= 2
    files = repository.current() | {"2.root.json": canonical(document)}
    assert Box(repository).refuse(repository.bundle(metadata=files)) == ("push.malformed", "root")


@pytest.mark.parametrize("role", ["root", *OTHER_ROLES, "config", "privacy"])
@pytest.mark.parametrize("how", ["unsigned", "altered", "other signature"])
def test_a_wrong_signature(role: str, how: str) -> None:
    repository = TufRepository()
    repository.publish_root()
    name = {"root": "2.root.json", "timestamp": "timestamp.json"}.get(role, f"1.{role}.json")
    document = json.loads(repository.metadata[name])
    if how == "unsigned":
        document["signatures"] = []
    elif how == "altered":
        document["signed"]["note"] = "altered"
    else:
        other = json.loads(signed(repository.snapshot, [*OFFLINE, ADMIN, PRIVACY]))["signatures"]
        by_key = {signature["keyid"]: signature["sig"] for signature in other}
        for signature in document["signatures"]:
            signature["sig"] = by_key[signature["keyid"]]
        if role == "snapshot":
            document["signed"]["note"] = "altered"
    files = repository.current() | {name: canonical(document)}
    assert Box(repository).refuse(repository.bundle(metadata=files)) == ("push.signature_wrong", role)


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


# --- delegations (§5.6.7) ---


class Edge(NamedTuple):
    """`above` delegates `paths` to `role`."""

    above: str
    role: str
    paths: Sequence[str] = ("audience/*",)
    terminating: bool = False


ELSEWHERE = ("audience/*.txt",)
GRAPHS: dict[str, tuple[list[Edge], list[str]]] = {
    "one": ([Edge("targets", "a")], ["a"]),
    "two": ([Edge("targets", "a"), Edge("targets", "b")], ["a", "b"]),
    "two levels": ([Edge("targets", "a"), Edge("targets", "b"), Edge("b", "c")], ["a", "b", "c"]),
    "children first": (
        [Edge("targets", "a"), Edge("targets", "b"), Edge("a", "c"), Edge("a", "d")],
        ["a", "c", "d", "b"],
    ),
    "grandchildren first": (
        [Edge("targets", "a"), Edge("targets", "b"), Edge("a", "c"), Edge("c", "d")],
        ["a", "c", "d", "b"],
    ),
    "a terminating role ends the search": (
        [Edge("targets", "a"), Edge("targets", "b"), Edge("a", "c", terminating=True), Edge("a", "d")],
        ["a", "c"],
    ),
    "a terminating role's own delegations count": (
        [Edge("targets", "a"), Edge("targets", "b"), Edge("a", "c", terminating=True), Edge("c", "d")],
        ["a", "c", "d"],
    ),
    "a terminating role of other paths doesn't": (
        [Edge("targets", "a", ELSEWHERE, terminating=True), Edge("targets", "b")],
        ["b"],
    ),
    "a branch for other paths": (
        [Edge("targets", "a", ELSEWHERE), Edge("targets", "b"), Edge("a", "c")],
        ["b"],
    ),
    "a twig for other paths": (
        [Edge("targets", "a"), Edge("targets", "b"), Edge("a", "c", ELSEWHERE), Edge("c", "d")],
        ["a", "b"],
    ),
    "a circle": (
        [Edge("targets", "a"), Edge("targets", "b"), Edge("b", "c"), Edge("c", "d"), Edge("d", "b")],
        ["a", "b", "c", "d"],
    ),
    "two ways to one role": (
        [Edge("targets", "a"), Edge("targets", "b"), Edge("b", "c"), Edge("a", "c")],
        ["a", "c", "b"],
    ),
    "one way of two is for other paths": (
        [Edge("targets", "a"), Edge("targets", "b"), Edge("b", "c"), Edge("a", "c", ELSEWHERE)],
        ["a", "b", "c"],
    ),
}


def graph(edges: Sequence[Edge]) -> TufRepository:
    """A repository whose audiences are delegated by `edges` in place of the privacy officer's role."""
    repository = TufRepository()
    delegations = repository.roles["targets"].delegations
    assert delegations is not None
    assert delegations.roles is not None
    del delegations.roles["privacy"], repository.roles["privacy"]
    for number, edge in enumerate(edges):
        repository.delegate(edge.above, edge.role, list(edge.paths), [30], terminating=edge.terminating)
        assert number < 8
    return repository


def list_audience(repository: TufRepository, role: str, scene: str) -> None:
    repository.set_document(role, "audience/bank.json", AUDIENCE | {"scenes": [scene]})


@pytest.mark.parametrize("name", GRAPHS)
def test_a_search_visits_roles_in_order(name: str) -> None:
    """Whoever lists the target is found, after all before it in the order and none behind it were visited."""
    edges, order = GRAPHS[name]
    for visited in range(1, len(order) + 1):
        repository = graph(edges)
        list_audience(repository, order[visited - 1], "bank")
        box = Box(repository)
        box.take(repository.publish())
        assert box.roles & {edge.role for edge in edges} == set(order[:visited])


@pytest.mark.parametrize("name", GRAPHS)
def test_a_search_visits_no_others(name: str) -> None:
    edges, order = GRAPHS[name]
    others = {edge.role for edge in edges} - set(order)
    repository = graph(edges)
    for role in others:
        list_audience(repository, role, "bank")
    code = "push.wrong_role" if others else "push.incomplete"
    assert Box(repository).refuse(repository.publish()) == (code, "audience/bank.json")


def test_the_first_in_the_order_is_believed() -> None:
    edges, order = GRAPHS["children first"]
    repository = graph(edges)
    for role in reversed(order):
        list_audience(repository, role, role)
    assert Box(repository).take(repository.publish()).audience_documents["bank"].scenes == (order[0],)


def test_the_top_level_is_believed_before_all() -> None:
    repository = TufRepository()
    repository.roles["privacy"].targets.clear()
    list_audience(repository, "targets", "hotel")
    assert Box(repository).take(repository.publish()).audience_documents["bank"].scenes == ("hotel",)


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("audience/*", True),
        ("audience/bank.json", True),
        ("audience/*.json", True),
        ("*/*.json", True),
        ("audience/ban?.json", True),
        ("*", False),
        ("audience", False),
        ("audience/*/*", False),
        ("audience/*.md", False),
        ("Audience/*", False),
    ],
)
def test_patterns_of_paths(pattern: str, found: bool) -> None:
    repository = graph([Edge("targets", "a", (pattern,))])
    list_audience(repository, "a", "bank")
    bundle = repository.publish()
    if found:
        Box(repository).take(bundle)
    else:
        assert Box(repository).refuse(bundle) == ("push.wrong_role", "audience/bank.json")


def test_paths_are_delegated_by_the_whole_chain() -> None:
    repository = graph([Edge("targets", "a", ("audience/h*",)), Edge("a", "b", ("audience/*",))])
    list_audience(repository, "b", "bank")
    assert Box(repository).refuse(repository.publish()) == ("push.wrong_role", "audience/bank.json")


@pytest.mark.parametrize(("length", "found"), [(MAX_DELEGATIONS, True), (MAX_DELEGATIONS + 2, False)])
def test_a_long_chain_of_delegations(length: int, found: bool) -> None:
    repository = graph([])
    for number in range(length):
        repository.delegate(f"r{number - 1}" if number else "targets", f"r{number}", ["audience/*"], [30])
    list_audience(repository, f"r{length - 1}", "bank")
    bundle = repository.publish()
    if found:
        Box(repository).take(bundle)
    else:
        assert Box(repository).refuse(bundle)[0] == "push.wrong_role"


def test_a_delegated_role_signs_with_its_delegator_s_keys_alone() -> None:
    repository = graph([Edge("targets", "a"), Edge("a", "b")])
    list_audience(repository, "b", "bank")
    assert Box(repository).refuse(repository.publish(keys={"b": [STRANGER]})) == ("push.signature_wrong", "b")
    assert Box(repository).refuse(repository.publish(keys={"b": [ADMIN]})) == ("push.wrong_role", "b")


def test_no_delegations_at_all() -> None:
    repository = TufRepository()
    for path in (CONFIG_PATH, "audience/bank.json"):
        repository.set_target("targets", path, repository.contents[path])
    repository.roles = {"targets": repository.roles["targets"]}
    repository.roles["targets"].delegations = None
    repository.snapshot.meta = {}
    box = Box(repository)
    box.take(repository.publish())
    assert box.roles == {"root", "timestamp", "snapshot", "targets"}


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


def test_succinct_delegations() -> None:
    """TAP 15: the role is computed from the path, its delegation is terminating."""
    repository = TufRepository()
    former = [repository.roles.pop(name) for name in ("config", "privacy", "release", "admin-files")]
    repository.snapshot.meta = {}
    succinct = SuccinctRoles([key(30).keyid], 1, 2, "bin")
    repository.roles["targets"].delegations = Delegations({key(30).keyid: key(30)}, None, succinct)
    for name in succinct.get_roles():
        repository.roles[name] = Targets(expires=former[0].expires)
        repository.signers[name] = [30]
    for path in (CONFIG_PATH, "audience/bank.json"):
        repository.set_target(succinct.get_role_for_target(path), path, repository.contents[path])
    Box(repository).take(repository.publish())
    bins = {succinct.get_role_for_target(path) for path in (CONFIG_PATH, "audience/bank.json")}
    (other, *_) = set(succinct.get_roles()) - bins
    in_another = repository.roles[succinct.get_role_for_target(CONFIG_PATH)].targets.pop(CONFIG_PATH)
    repository.roles[other].targets[CONFIG_PATH] = in_another
    assert Box(repository).refuse(repository.publish()) == ("push.wrong_role", CONFIG_PATH)
    succinct.keyids.append("a" * 64)
    repository.roles["targets"].delegations.keys["a" * 64] = Key.from_dict("a" * 64, key(30).to_dict())
    repository.set_target(
        succinct.get_role_for_target(CONFIG_PATH), CONFIG_PATH, repository.contents[CONFIG_PATH]
    )
    assert Box(repository).refuse(repository.publish()) == ("push.signature_wrong", "targets")
