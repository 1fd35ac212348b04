"""A partner's side without a broker: what is verified is kept once, handed on once, and tests only on demand."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from edged.errors import CertificateError, ConfigError
from edged.partner.follow import Follower
from edged.partner.store import Inbox, Waiting, ledger
from edged.uplink import topics
from edged.uplink.envelope import Envelope, StreamPosition
from edged.uplink.intake import Incoming
from edged.uplink.names import Role
from edged.uplink.streams import Hole
from edged.verdict import Kind
from tests.broker import FLEET, NOW, Sealer, Town, draft, stream
from tests.delivery import partner_settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Town:
    return Town(tmp_path_factory.mktemp("town"))  # its certificates; no mosquitto is started


@pytest.fixture
def inbox(place: Town, tmp_path: Path) -> Iterator[Inbox]:
    opened = Inbox.open(tmp_path / "verdicts.sqlite", place.anchor, "bank", tests=True)
    yield opened
    opened.close()


@pytest.fixture
def sealer(place: Town) -> Sealer:
    return Sealer(place.signer(Role.DEVICE, "box-1"), "log-1")


def sent(envelope: Envelope, lane: str | None = "live") -> Incoming:
    return Incoming(topics.verdict(FLEET, "box-1", envelope.audience), envelope.jws.encode(), lane)


def numbers(waiting: list[Waiting]) -> list[int]:
    return [json.loads(one.body)["verdict"]["seq"] for one in waiting]


def test_a_verdict_is_handed_on_with_what_was_verified(inbox: Inbox, sealer: Sealer, tmp_path: Path) -> None:
    (envelope,) = stream(sealer, "bank", 1)
    inbox.take([sent(envelope)], NOW)
    (waiting,) = inbox.waiting(9)
    handed = json.loads(waiting.body)
    assert set(handed) == {"verdict", "sha256", "lane"}
    assert (handed["sha256"], handed["lane"]) == (envelope.sha256, "live")
    assert (handed["verdict"]["iss"], handed["verdict"]["seq"]) == ("box-1", 1)
    assert handed["verdict"]["claims"] == {"issuing_state": "UTO"}
    assert ledger(tmp_path / "verdicts.sqlite")["box-1", "log-1", "bank"].hashes == {1: envelope.sha256}


def test_each_once_however_often_it_comes(inbox: Inbox, sealer: Sealer) -> None:
    envelopes = stream(sealer, "bank", 3)
    inbox.take([sent(envelopes[0])], NOW)
    assert inbox.take(list(map(sent, envelopes + envelopes)), NOW).duplicates == 4
    ready = inbox.waiting(9)
    assert numbers(ready) == [1, 2, 3]
    inbox.mark_handed(ready, NOW)
    assert inbox.waiting(9) == []
    inbox.take(list(map(sent, envelopes)), NOW)
    assert inbox.waiting(9) == []


def test_what_a_crash_kept_from_being_handed_on_is_handed_on(
    place: Town, sealer: Sealer, tmp_path: Path
) -> None:
    path = tmp_path / "crash.sqlite"
    first = Inbox.open(path, place.anchor, "bank", tests=True)
    first.take(list(map(sent, stream(sealer, "bank", 3))), NOW)
    first.mark_handed(first.waiting(1), NOW)
    first.close()
    again = Inbox.open(path, place.anchor, "bank", tests=True)
    assert numbers(again.waiting(9)) == [2, 3]
    again.close()


def test_tests_are_kept_but_not_handed_on_unless_asked_for(
    place: Town, sealer: Sealer, tmp_path: Path
) -> None:
    quiet = Inbox.open(tmp_path / "quiet.sqlite", place.anchor, "bank", tests=False)
    first, second = stream(sealer, "bank", 2, kind=Kind.TEST)
    third = sealer(draft("bank", kind=Kind.TRAINING), StreamPosition(3, second.sha256))
    assert quiet.take(list(map(sent, [first, second, third])), NOW).alarms == ()
    assert quiet.waiting(9) == []
    assert quiet.holes() == [], "a test has its number, too: no hole where it was"
    assert len(quiet.ledger().streams["box-1", "log-1", "bank"].hashes) == 3
    quiet.close()


def test_anothers_verdicts_are_refused(inbox: Inbox, sealer: Sealer) -> None:
    (for_hotel,) = stream(sealer, "hotel", 1)
    honest = inbox.take([sent(for_hotel)], NOW)
    disguised = inbox.take([Incoming(topics.verdict(FLEET, "box-1", "bank"), for_hotel.jws.encode())], NOW)
    for received in (honest, disguised):
        assert [alarm.code for alarm in received.alarms] == ["envelope.wrong_audience"]
    assert inbox.ledger().streams == {}
    assert inbox.waiting(9) == []


def test_holes_are_seen(inbox: Inbox, sealer: Sealer) -> None:
    envelopes = stream(sealer, "bank", 4)
    inbox.take([sent(envelopes[0]), sent(envelopes[3])], NOW)
    assert inbox.holes() == [Hole("box-1", "log-1", "bank", 2, 3)]
    assert len(inbox.waiting(9)) == 2, "a hole holds nothing up"


def test_who_follows_must_be_an_audience_of_this_fleet(place: Town, tmp_path: Path) -> None:
    import msgspec

    settings = partner_settings(place, tmp_path / "bank")
    for broker, error in (
        (place.endpoint(Role.DEVICE, "box-1"), ConfigError),
        (place.endpoint(Role.COLLECTOR, "centre"), ConfigError),
        (Town(tmp_path / "other").endpoint(Role.AUDIENCE, "bank"), None),
        (place.endpoint(Role.AUDIENCE, "bank", certificate=tmp_path / "gone.pem"), CertificateError),
    ):
        changed = msgspec.structs.replace(settings, broker=broker)
        if error is None:  # same fleet name, another authority: told apart by the broker's handshake
            Follower(changed, on_event=print)
        else:
            with pytest.raises(error):
                Follower(changed, on_event=print)
