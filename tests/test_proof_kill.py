"""Everybody is killed at random moments; nothing is lost and nothing doubled. (`tests/proof/kill_loop.py`)"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from edged.demo.show import Plan, Show
from edged.specimens import FIXED_TODAY, shipped
from tests import postgres
from tests.proof.kill_loop import Outcome, count, kill_loop, postgresql
from tests.proof.parties import Place
from tests.proof.soak import Quiet

if TYPE_CHECKING:
    from pathlib import Path


def check(outcome: Outcome, kills: int, envelopes: int) -> None:
    assert not outcome.wrong, str(outcome)
    assert (outcome.lost, outcome.doubled) == (0, 0), str(outcome)
    assert sum(outcome.kills.values()) == kills
    assert outcome.archived == outcome.committed >= envelopes


def test_a_few_kills(tmp_path: Path) -> None:
    check(kill_loop(tmp_path, kills=5, envelopes=20, seed=5, workers=1, gap_s=(0.1, 0.7), rate=60.0), 5, 20)


@pytest.mark.slow
@pytest.mark.timeout(2400)
def test_three_hundred_kills(tmp_path: Path) -> None:
    check(kill_loop(tmp_path, kills=300, envelopes=5000, seed=1), 300, 5000)


@pytest.mark.slow
@pytest.mark.timeout(2400)
def test_three_hundred_kills_before_postgresql(tmp_path: Path) -> None:
    if reason := postgres.missing():
        pytest.skip(reason)
    with postgresql() as archive:
        check(kill_loop(tmp_path, kills=300, envelopes=5000, seed=2, archive=archive), 300, 5000)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_two_boxes_and_two_workers_are_killed(tmp_path: Path) -> None:
    check(kill_loop(tmp_path, kills=80, envelopes=1000, seed=3, workers=2, boxes=2), 80, 1000)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_whole_daemon_is_killed_between_and_under_its_scans(tmp_path: Path) -> None:
    """The demo: documents, the real `edged run`, two partners; its own ledger says whether it balances."""
    everybody = ("box", "broker", "box", "collector", "box", "bank")
    plan = Plan(shipped() * 4, FIXED_TODAY, "en", kill=everybody * 4, practice=False)
    assert asyncio.run(Show(plan, tmp_path, Quiet()).run())


def test_the_count_sees_what_is_lost_changed_or_made_up(tmp_path: Path) -> None:
    """On stores that were made by hand."""
    place = Place(tmp_path)
    sound = {1: "a" * 64, 2: "b" * 64}
    cases: dict[str, tuple[dict[int, str], dict[int, str], dict[int, str]]] = {
        "": (sound, sound, sound),
        "lost": (sound, {1: "a" * 64}, sound),
        "not at the partner": (sound, sound, {2: "b" * 64}),
        "changed": (sound, {1: "a" * 64, 2: "c" * 64}, sound),
        "made up": ({1: "a" * 64}, sound, {1: "a" * 64}),
        "twice": ({1: "a" * 64, 2: "a" * 64}, {1: "a" * 64, 2: "a" * 64}, {1: "a" * 64, 2: "a" * 64}),
    }
    for name, (sent, archived, received) in cases.items():
        outcome = Outcome()
        place.said = {("log", "bank", seq): h for seq, h in sent.items()}
        place.handed = dict.fromkeys(sent.values(), 1)
        _stub(place, sent, archived, received)
        count(place, outcome)
        assert bool(outcome.wrong) == bool(name), f"{name}: {outcome}"


def _stub(place: Place, sent: dict[int, str], archived: dict[int, str], received: dict[int, str]) -> None:
    from edged.uplink.streams import KeptStream, ReceiverLedger

    key = ("box-1", "log", "bank")
    place.committed = lambda: {key: sent}  # type: ignore[method-assign]
    place.archived = lambda: ReceiverLedger({key: KeptStream(archived, 0)}, 0)  # type: ignore[method-assign]
    place.received = lambda: ReceiverLedger({key: KeptStream(received, 0)}, 0)  # type: ignore[method-assign]
