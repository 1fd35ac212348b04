"""A partner's side without a broker: what is verified is kept once, handed on once, and tests only on demand."""

from __future__ import annotations

import json
import sqlite3
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from edged.errors import CertificateError, ConfigError, StateError
from edged.partner.follow import Follower
from edged.partner.store import Inbox, Waiting, ledger
from edged.uplink import topics
from edged.uplink.envelope import Envelope, StreamPosition
from edged.uplink.gaps import Gap, GapReason, seal_gap
from edged.uplink.intake import Incoming
from edged.uplink.names import Role
from edged.uplink.replay import StreamExtent
from edged.uplink.stream_holes import Total
from edged.uplink.streams import Hole
from edged.verdict import Kind
from tests.broker import FLEET, NOW, Sealer, Town, draft, stream
from tests.delivery import partner_settings
from tests.first_version import RECEIVER_TABLES

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


def replayed(envelope: Envelope, request: str = "r-1", audience: str = "bank") -> Incoming:
    return Incoming(topics.replay_answer(FLEET, audience, request), envelope.jws.encode())


def gap_record(
    sealer: Sealer, first: int, last: int | None, audience: str = "bank", *, reason: GapReason = "too_old"
) -> bytes:
    record = Gap(
        log_id=sealer.log_id,
        audience=audience,
        first=first,
        last=last,
        sha256=None,
        reason="unreadable" if last is None else reason,
    )
    jti = f"gap-{first}-{last}"
    return seal_gap(record, jti=jti, iat=int(NOW.timestamp()), clock="trusted", signer=sealer.signer).encode()


def gap_sent(record: bytes) -> Incoming:
    return Incoming(topics.gap(FLEET, "box-1", "bank"), record)


def runs(inbox: Inbox) -> list[tuple[int, int]]:
    return [(run.first, run.last) for run in inbox.missing()]


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


# --- what there should be ---


def test_a_gap_record_is_handed_on_and_closes_the_hole(inbox: Inbox, sealer: Sealer) -> None:
    envelopes = stream(sealer, "bank", 9)
    inbox.take([sent(envelopes[0]), sent(envelopes[8])], NOW)
    assert runs(inbox) == [(2, 8)]
    record = gap_record(sealer, 3, 6)
    taken = inbox.take([gap_sent(record), gap_sent(record)], NOW)
    assert (taken.stored, taken.duplicates, taken.alarms) == (1, 1, ())
    assert runs(inbox) == [(2, 2), (7, 8)]
    (waiting,) = [one for one in inbox.waiting(9) if one.table == "gap"]
    assert json.loads(waiting.body)["gap"]["first"] == 3
    inbox.take(list(map(sent, envelopes)), NOW)
    assert runs(inbox) == []
    assert numbers([one for one in inbox.waiting(99) if one.table == "envelope"]) == [1, 9, *range(2, 9)], (
        "what comes after its gap record is a verdict like any other"
    )


def test_a_gap_record_says_that_there_was_something_before_it(inbox: Inbox, sealer: Sealer) -> None:
    inbox.take([gap_sent(gap_record(sealer, 5, 9))], NOW)
    assert runs(inbox) == [(1, 4)]
    inbox.take([gap_sent(gap_record(sealer, 20, None))], NOW)
    assert runs(inbox) == [(1, 4), (10, 19)]


def test_a_box_that_cannot_tell_any_more_is_taken_at_its_word(inbox: Inbox, sealer: Sealer) -> None:
    envelopes = stream(sealer, "bank", 3)
    inbox.take([*map(sent, envelopes), gap_sent(gap_record(sealer, 5, None))], NOW)
    inbox.take_list([StreamExtent("box-1", "log-1", 7, 7)], last=True, now=NOW)
    found = [(run.first, run.last, run.lost) for run in inbox.missing()]
    assert found == [(4, 4, False), (5, 7, True)], "the archive has more than the box remembers"
    assert inbox.holes() == [Hole("box-1", "log-1", "bank", 4, 4)]


def test_gap_records_of_others_are_refused(inbox: Inbox, sealer: Sealer, place: Town) -> None:
    stranger = Sealer(place.signer(Role.DEVICE, "box-2"), "log-1")
    for message, code in (
        (gap_sent(gap_record(stranger, 1, 2)), "gap.wrong_issuer"),
        (gap_sent(gap_record(sealer, 1, 2, "hotel")), "gap.wrong_audience"),
        (gap_sent(b"junk"), "jws.malformed"),
        (gap_sent(stream(sealer, "bank", 1)[0].jws.encode()), "jws.wrong_type"),
    ):
        assert [alarm.code for alarm in inbox.take([message], NOW).alarms] == [code]
    assert inbox.missing() == []
    assert inbox.waiting(9) == []


def test_a_new_inbox_begins_where_its_streams_stand(inbox: Inbox, sealer: Sealer) -> None:
    envelopes = stream(sealer, "bank", 9)
    inbox.take([sent(envelopes[6])], NOW)
    assert inbox.list_due()
    inbox.take_list(
        [StreamExtent("box-1", "log-1", 7, 7), StreamExtent("box-2", "log-2", 5, 5)], last=False, now=NOW
    )
    assert inbox.list_due(), "there are more"
    inbox.take_list([StreamExtent("box-3", "log-3", 5, 5)], last=True, now=NOW)
    assert not inbox.list_due()
    assert runs(inbox) == []
    inbox.take([sent(envelopes[8])], NOW)
    assert runs(inbox) == [(8, 8)], "from then on nothing may be missing"
    inbox.want_list()
    inbox.take_list(
        [StreamExtent("box-2", "log-2", 7, 7), StreamExtent("box-4", "log-4", 2, 2)], last=True, now=NOW
    )
    assert [(run.device, run.first, run.last) for run in inbox.missing()] == [
        ("box-1", 8, 8),
        ("box-2", 6, 7),
        ("box-4", 1, 2),
    ], "a stream that a later list has first was missed"


def test_what_was_missed_while_following_is_wanted_whenever_the_list_comes(
    inbox: Inbox, sealer: Sealer
) -> None:
    """Followed without a signing key for months: the holes of that time aren't history."""
    envelopes = stream(sealer, "bank", 8)
    inbox.take([sent(envelopes[2]), sent(envelopes[5])], NOW)
    inbox.take_list([StreamExtent("box-1", "log-1", 8, 8)], last=True, now=NOW)
    assert runs(inbox) == [(4, 5), (7, 8)]


def test_history_can_be_wanted_from_the_start_or_since_a_day(inbox: Inbox, sealer: Sealer) -> None:
    inbox.take_list([StreamExtent("box-1", "log-1", 9, 9)], last=True, now=NOW)
    assert runs(inbox) == []
    inbox.want("all")
    assert runs(inbox) == [(1, 9)]
    assert inbox.list_due()
    inbox.want(NOW + timedelta(seconds=5))
    envelopes = stream(sealer, "bank", 2)
    sealer.now = NOW + timedelta(seconds=6)
    third = sealer(draft("bank"), StreamPosition(3, envelopes[1].sha256))
    inbox.take([replayed(envelopes[0]), replayed(third)], NOW)
    assert numbers(inbox.waiting(9)) == [3], "kept for the chain, but from before that day"
    assert runs(inbox) == [(2, 2), (4, 9)]
    inbox.take([sent(envelopes[1])], NOW)
    assert numbers(inbox.waiting(9)) == [2, 3], "what a box sends is news, whenever it was committed"
    inbox.mark_handed(inbox.waiting(9), NOW)
    for _ in range(2):
        inbox.want("all")
        assert numbers(inbox.waiting(9)) == [1], (
            "and who then wants more gets what was held back, and no more"
        )


def test_history_is_remembered(place: Town, sealer: Sealer, tmp_path: Path) -> None:
    path = tmp_path / "since.sqlite"
    first = Inbox.open(path, place.anchor, "bank", tests=True)
    first.want(NOW + timedelta(days=1))
    first.close()
    again = Inbox.open(path, place.anchor, "bank", tests=True)
    again.take([replayed(stream(sealer, "bank", 1)[0])], NOW)
    assert again.waiting(9) == []
    again.close()


# --- answers ---


def test_replayed_verdicts_come_after_fresh_ones_and_in_order(inbox: Inbox, sealer: Sealer) -> None:
    envelopes = stream(sealer, "bank", 6)
    taken = inbox.take([replayed(envelopes[2]), replayed(envelopes[0]), sent(envelopes[5])], NOW)
    assert (taken.stored, taken.replayed, len(taken.answers)) == (3, 2, 2)
    inbox.take([replayed(envelopes[1]), gap_sent(gap_record(sealer, 4, 4))], NOW)
    waiting = inbox.waiting(9)
    assert [one.table for one in waiting] == ["envelope", "gap", "envelope", "envelope", "envelope"]
    assert numbers([one for one in waiting if one.table == "envelope"]) == [6, 1, 2, 3]
    lanes = [json.loads(one.body)["lane"] for one in waiting if one.table == "envelope"]
    assert lanes == ["live", "replay", "replay", "replay"]
    assert inbox.count_waiting() == (2, 3)
    assert inbox.waiting(9, [("box-1", "log-1", "bank")]) == []
    assert len(inbox.waiting(2)) == 2


def test_an_answer_that_contradicts_what_came_before_is_an_alarm_with_proof(
    inbox: Inbox, sealer: Sealer
) -> None:
    first, second = stream(sealer, "bank", 2)
    inbox.take([sent(first), sent(second)], NOW)
    other = sealer(draft("bank", reference="another"), StreamPosition(2, first.sha256), jti="other")
    (alarm,) = inbox.take([replayed(other)], NOW).alarms
    assert (alarm.code, alarm.device, alarm.seq) == ("stream.equivocation", "box-1", 2)
    ((evidence,),) = inbox._store.connection.execute("SELECT evidence FROM alarm")
    assert evidence == other.jws
    assert inbox.ledger().streams["box-1", "log-1", "bank"].hashes[2] == second.sha256


def test_an_answer_to_somebody_else_is_refused(inbox: Inbox, sealer: Sealer) -> None:
    (for_hotel,) = stream(sealer, "hotel", 1)
    for message, code in (
        (replayed(for_hotel), "envelope.wrong_audience"),
        (replayed(for_hotel, audience="hotel"), "topic.not_ours"),
        (Incoming(topics.replay_answer(FLEET, "bank", "r-1"), b"junk"), "jws.malformed"),
    ):
        taken = inbox.take([message], NOW)
        assert [alarm.code for alarm in taken.alarms] == [code]
    assert inbox.ledger().streams == {}


def test_history_outlives_the_certificates_it_was_signed_with(inbox: Inbox, sealer: Sealer) -> None:
    """Seven years later the archive still has it; a box that only now sends it is too late."""
    (envelope,) = stream(sealer, "bank", 1)
    later = NOW + timedelta(days=7 * 365)
    assert [alarm.code for alarm in inbox.take([sent(envelope)], later).alarms] == ["cert.expired"]
    assert inbox.take([replayed(envelope)], later).stored == 1
    sealer.now = later
    (forged,) = stream(Sealer(sealer.signer, "log-2", later), "bank", 1)
    assert [alarm.code for alarm in inbox.take([replayed(forged)], later).alarms] == ["cert.expired"]


# --- keeping and forgetting ---


def test_what_was_handed_on_is_forgotten_in_time(inbox: Inbox, sealer: Sealer) -> None:
    envelopes = stream(sealer, "bank", 3)
    inbox.take(list(map(sent, envelopes)), NOW)
    inbox.mark_handed(inbox.waiting(2), NOW)
    assert inbox.forget(NOW) == 0
    assert inbox.forget(NOW + timedelta(seconds=1)) == 2
    assert inbox.forget(NOW + timedelta(days=9)) == 0, "what wasn't handed on stays"
    bodies = [row[0] for row in inbox._store.connection.execute("SELECT body FROM envelope ORDER BY seq")]
    assert [bool(body) for body in bodies] == [False, False, True]
    assert inbox.ledger().streams["box-1", "log-1", "bank"].hashes == {
        one.seq: one.sha256 for one in envelopes
    }
    assert inbox.take(list(map(sent, envelopes)), NOW).duplicates == 3


VERSION_0 = (
    RECEIVER_TABLES
    + """
INSERT INTO stream VALUES ('box-1', 'log-1', 'bank', 4, 6, 1), ('box-9', 'log-9', 'bank', 1, 1, 0);
INSERT INTO envelope VALUES
    (1, 'box-1', 'log-1', 'bank', 1, 'aa', NULL, 'j1', 1, 5, '{"verdict": {"seq": 1}}'),
    (2, 'box-1', 'log-1', 'bank', 2, 'bb', 'aa', 'j2', 1, NULL, '{"verdict": {"seq": 2}}'),
    (3, 'box-1', 'log-1', 'bank', 3, 'cc', 'bb', 'j3', 1, NULL, '{"verdict": {"seq": 3}}'),
    (4, 'box-1', 'log-1', 'bank', 6, 'dd', 'xx', 'j6', 1, NULL, '{"verdict": {"seq": 6}}'),
    (5, 'box-9', 'log-9', 'bank', 1, 'ee', NULL, 'j1', 1, 5, '{"verdict": {"seq": 1}}');
INSERT INTO alarm VALUES ('stream.equivocation', 't', 'box-1', 'log-1', 'bank', 1, 'ff', 'proof', 1, 1, 1);
"""
)
"""As edged 0.1 left it."""


def test_an_inbox_of_the_first_version_loses_nothing(place: Town, sealer: Sealer, tmp_path: Path) -> None:
    path = tmp_path / "old.sqlite"
    old = sqlite3.connect(path)
    old.executescript(VERSION_0)
    old.close()
    for _ in range(2):
        inbox = Inbox.open(path, place.anchor, "bank", tests=True)
        assert numbers(inbox.waiting(9)) == [2, 3, 6]
        assert inbox.holes() == [Hole("box-1", "log-1", "bank", 4, 5)]
        assert [alarm.code for alarm in inbox.alarms()] == ["stream.equivocation"]
        assert inbox.ledger().streams["box-1", "log-1", "bank"].duplicates == 1
        inbox.close()
    inbox = Inbox.open(path, place.anchor, "bank", tests=True)
    inbox.take_list(
        [StreamExtent("box-1", "log-1", 7, 7), StreamExtent("box-2", "log-2", 3, 3)], last=True, now=NOW
    )
    assert [(run.device, run.first, run.last) for run in inbox.missing()] == [
        ("box-1", 4, 5),
        ("box-1", 7, 7),
        ("box-2", 1, 3),
    ], "an inbox that was in use wants all it missed"
    inbox.close()


def test_an_inbox_of_a_later_version_is_left_alone(place: Town, tmp_path: Path) -> None:
    path = tmp_path / "new.sqlite"
    later = sqlite3.connect(path)
    later.execute("PRAGMA user_version = 99")
    later.close()
    with pytest.raises(StateError) as refused:
        Inbox.open(path, place.anchor, "bank", tests=True)
    assert refused.value.code == "stream.database_newer"


def test_any_order_of_envelopes_and_gap_records_adds_up(place: Town, sealer: Sealer, tmp_path: Path) -> None:
    """The mark that spares looking again says the same as looking at everything."""
    import random

    chance = random.Random(5)
    envelopes = stream(sealer, "bank", 30)
    for number in range(12):
        inbox = Inbox.open(tmp_path / f"{number}.sqlite", place.anchor, "bank", tests=True)
        records = [
            gap_record(sealer, first, min(30, first + chance.randint(0, 6)))
            for first in chance.sample(range(1, 31), 3)
        ]
        messages = [sent(one) for one in chance.sample(envelopes, 20)] + [gap_sent(one) for one in records]
        chance.shuffle(messages)
        there: set[int] = set()
        while messages:
            size = chance.randint(1, 6)
            batch, messages = messages[:size], messages[size:]
            inbox.take(batch, NOW)
            rows = inbox._store.connection.execute("SELECT first, last FROM gap").fetchall()
            there = set(inbox.ledger().streams["box-1", "log-1", "bank"].hashes)
            top = max([*there, *(last for _, last in rows)])
            there |= {seq for first, last in rows for seq in range(first, last + 1)}
            missing = {seq for first, last in runs(inbox) for seq in range(first, last + 1)}
            assert missing == set(range(1, top + 1)) - there
        inbox.close()


def test_an_inbox_is_one_partners_and_nobody_elses_to_read(place: Town, tmp_path: Path) -> None:
    path = tmp_path / "mine.sqlite"
    inbox = Inbox.open(path, place.anchor, "bank", tests=True)
    assert [file.stat().st_mode & 0o077 for file in tmp_path.iterdir()] == [0] * 3
    inbox.close()
    with pytest.raises(StateError) as refused:
        Inbox.open(path, place.anchor, "hotel", tests=True)
    assert refused.value.code == "partner.other_inbox"
    Inbox.open(path, place.anchor, "bank", tests=True).close()


def test_holes_are_looked_at_part_by_part(
    inbox: Inbox, sealer: Sealer, monkeypatch: pytest.MonkeyPatch
) -> None:
    envelopes = stream(sealer, "bank", 9)
    inbox.want("all")
    extents = [StreamExtent(name, "log-1", 4, 4) for name in ("box-0", "box-2")]
    inbox.take_list([*extents, StreamExtent("box-1", "log-1", 9, 9)], last=True, now=NOW)
    inbox.take([sent(envelopes[seq - 1]) for seq in (2, 5, 6)], NOW)
    whole = inbox.missing()
    assert [(run.device, run.first, run.last) for run in whole] == [
        ("box-0", 1, 4),
        ("box-1", 1, 1),
        ("box-1", 3, 4),
        ("box-1", 7, 9),
        ("box-2", 1, 4),
    ]
    assert inbox.total_missing() == Total(3, 14)
    monkeypatch.setattr("edged.partner.store.LOOK", 2)
    parts, after = [], None
    while part := inbox.missing(after):
        assert len(part) <= 2
        parts += part
        after = part[-1]
    assert parts == whole


def test_a_device_may_sign_only_so_many_gap_records(
    inbox: Inbox, sealer: Sealer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edged.uplink.streams.MAX_GAPS", 2)
    records = [gap_sent(gap_record(sealer, seq, seq)) for seq in (1, 2, 3)]
    received = inbox.take([*records, records[0]], NOW)
    assert (received.stored, received.duplicates) == (2, 1)
    assert [alarm.code for alarm in received.alarms] == ["gap.too_many"]
    assert len(inbox.waiting(9)) == 2
