"""The specification's cases of delegations (§5.6.7). (`test_push_conformance.py`)"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import pytest
from tuf.api.metadata import Delegations, Key, SuccinctRoles, Targets

from edged.pushed.tuf_client import MAX_DELEGATIONS
from tests.tuf_repository import (
    ADMIN,
    AUDIENCE,
    CONFIG_PATH,
    STRANGER,
    Box,
    TufRepository,
    key,
)


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
