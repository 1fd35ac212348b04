"""The specification's cases of keys: chains of roots (§5.3), thresholds, signatures. (`test_push_conformance.py`)"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import NamedTuple

import pytest
from tuf.api.metadata import Key

from edged.pushed import refusing
from edged.pushed.tuf_client import MAX_ROTATIONS
from tests.tuf_repository import (
    ADMIN,
    OFFLINE,
    PRIVACY,
    Box,
    TufRepository,
    canonical,
    key,
    signed,
)


@pytest.fixture(params=[False, True], ids=["versions", "hashes"])
def repository(request: pytest.FixtureRequest) -> TufRepository:
    """With and without hashes of metadata in snapshot and timestamp, both of which the specification allows."""
    return TufRepository(hashes=request.param)


@pytest.fixture
def box(repository: TufRepository) -> Box:
    return Box(repository)


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
