"""Replays that lie or lose, and a partner's retention: nothing is taken for whole that isn't."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from edged.partner.catching_up import Catcher, Patience, Unanswered
from edged.partner.store import Inbox
from edged.uplink import topics
from edged.uplink.intake import Incoming
from edged.uplink.names import Role
from edged.uplink.replay import ReplayEnd
from edged.uplink.streams import Missing
from tests.broker import FLEET, NOW, Sealer, Town, stream

if TYPE_CHECKING:
    from pathlib import Path


def end_of(request: str, sha256: str, sent: int) -> ReplayEnd:
    return ReplayEnd(
        iss="centre",
        fleet=FLEET,
        audience="bank",
        request=request,
        iat=int(NOW.timestamp()),
        request_sha256=sha256,
        sent=sent,
        more=(),
        streams=(),
        more_streams=False,
    )


@pytest.mark.parametrize(("sent", "came", "again"), [(3, 3, False), (3, 2, True), (1, 0, True)])
def test_an_answer_of_which_something_was_lost_is_no_answer(sent: int, came: int, again: bool) -> None:
    told: list[object] = []
    names = iter(f"r{number}" for number in range(100))
    catcher = Catcher(name=lambda: next(names), on_event=told.append, patience=Patience(settle_s=0.0))
    catcher.connected(0.0, list_due=False)
    missing = [Missing("box-1", "log", "bank", 1, 3, lost=False)]
    now = 0.0
    while (ask := catcher.turn(missing, now)) is None:
        now = max(now + 0.1, min(catcher.due(), now + 1.0))
        assert now < 60, "it never asks"
    catcher.signed(ask, "a" * 64)
    for number in range(came):
        catcher.came(ask.request, f"{number:064x}", now)
    catcher.end(end_of(ask.request, "a" * 64, sent), now)
    lost = [event for event in told if isinstance(event, Unanswered)]
    assert bool(lost) == again


def test_retention_keeps_what_is_young(tmp_path: Path) -> None:
    place = Town(tmp_path / "town")
    inbox = Inbox.open(tmp_path / "verdicts.sqlite", place.anchor, "bank", tests=True)
    (one,) = stream(Sealer(place.signer(Role.DEVICE, "box-1"), "log"), "bank", 1)
    inbox.take([Incoming(topics.verdict(FLEET, "box-1", "bank"), one.jws.encode())], NOW)
    inbox.mark_handed(inbox.waiting(1), NOW)
    assert inbox.forget(NOW - timedelta(days=1)) == 0
    assert inbox.forget(NOW + timedelta(days=1)) == 1
    inbox.close()


def test_retention_keeps_what_was_not_handed_on(tmp_path: Path) -> None:
    place = Town(tmp_path / "town")
    inbox = Inbox.open(tmp_path / "verdicts.sqlite", place.anchor, "bank", tests=True)
    envelopes = stream(Sealer(place.signer(Role.DEVICE, "box-1"), "log"), "bank", 4)
    topic = topics.verdict(FLEET, "box-1", "bank")
    inbox.take([Incoming(topic, one.jws.encode()) for one in envelopes], NOW)
    inbox.mark_handed(inbox.waiting(2), NOW)
    assert inbox.forget(NOW + timedelta(days=400)) == 2
    assert inbox.forget(NOW + timedelta(days=400)) == 0
    left = [json.loads(one.body)["sha256"] for one in inbox.waiting(10)]
    assert left == [one.sha256 for one in envelopes[2:]]
    inbox.close()
