"""The archive's rules, on SQLite and on PostgreSQL: once each, in its place, and what doesn't fit raises an alarm."""

from __future__ import annotations

import base64
import random
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from edged import log
from edged.central import archive_read
from edged.errors import SignatureRefusedError
from edged.uplink import sign, streams
from edged.uplink.envelope import Envelope, StreamPosition
from edged.uplink.intake import Incoming
from edged.uplink.names import Role, Usage
from edged.uplink.receipts import MAX_ENTRIES, Refusal, range_sha256, seal_receipt
from edged.uplink.sign import Signer
from edged.uplink.streams import Alarm, Hole
from edged.verdict import Kind, Result
from tests import logging_state
from tests.archives import BACKENDS, forged, forged_gap, hurry, location, opened, sent, summary
from tests.archives import store as store_into
from tests.broker import FLEET, NOW, Sealer, Town, draft, stream

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from edged.central.archive import Archived


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Town:
    return Town(tmp_path_factory.mktemp("town"))  # its certificates; no mosquitto is started


@pytest.fixture(params=BACKENDS)
def archive(request: pytest.FixtureRequest, place: Town, tmp_path: Path) -> Iterator[Any]:
    with opened(location(request.param, tmp_path), place.anchor) as made:
        hurry(made)
        made.place = place
        yield made


@pytest.fixture
def sealer(place: Town) -> Sealer:
    return Sealer(place.signer(Role.DEVICE, "box-1"), "log-1")


def store(archive: Any, *messages: Incoming, now: Any = NOW) -> Archived:
    return store_into(archive, archive.place, *messages, now=now)


def test_every_envelope_once_and_verbatim(archive: Any, sealer: Sealer) -> None:
    envelopes = stream(sealer, "bank", 5)
    assert summary(store(archive, *map(sent, envelopes[:3]))) == (3, 0, [])
    assert summary(store(archive, *map(sent, envelopes))) == (2, 3, [])
    assert summary(store(archive, sent(envelopes[4]), sent(envelopes[4]))) == (0, 2, [])
    kept = archive.ledger()
    assert kept.alarms == 0
    (found,) = kept.streams.values()
    assert set(kept.streams) == {("box-1", "log-1", "bank")}
    assert found.hashes == {envelope.seq: envelope.sha256 for envelope in envelopes}
    assert found.duplicates == 5
    rows = list(archive.rows(audience=None, since=None, until=None))
    assert [(row.seq, row.sha256, row.jws) for row in rows] == [
        (envelope.seq, envelope.sha256, envelope.jws) for envelope in envelopes
    ]


def test_a_receipt_for_what_was_stored_and_again_for_duplicates(archive: Any, sealer: Sealer) -> None:
    envelopes = stream(sealer, "bank", 6)
    some = [envelopes[n] for n in (0, 1, 3, 4)]
    first = store(archive, *map(sent, some))
    again = store(archive, *map(sent, some))
    assert first.answers == again.answers
    (answer,) = first.answers
    ranges = answer.ranges
    assert (answer.device, answer.gaps, answer.refused) == ("box-1", (), ())
    assert [(run.log_id, run.audience, run.first, run.last) for run in ranges] == [
        ("log-1", "bank", 1, 2),
        ("log-1", "bank", 4, 5),
    ]
    assert ranges[1].sha256 == range_sha256([envelopes[3].sha256, envelopes[4].sha256])


def test_receipts_are_split_by_device_stream_and_size(archive: Any, place: Town, sealer: Sealer) -> None:
    other = Sealer(place.signer(Role.DEVICE, "box-2"), "log-2")
    archived = store(
        archive,
        *map(sent, stream(sealer, "bank", 2)),
        *map(sent, stream(sealer, "hotel", 1)),
        *(sent(envelope, "box-2") for envelope in stream(other, "bank", 1)),
    )
    assert [(one.device, [run.audience for run in one.ranges]) for one in archived.answers] == [
        ("box-1", ["bank", "hotel"]),
        ("box-2", ["bank"]),
    ]
    # Every second number of a long stream: one range each, more than one receipt may have.
    scattered = stream(sealer, "scattered", 2 * MAX_ENTRIES + 2)[::2]
    archived = store(archive, *map(sent, scattered))
    assert [len(one.ranges) for one in archived.answers] == [MAX_ENTRIES, 1]
    signer = place.signer(Role.COLLECTOR, "centre")
    for one in archived.answers:
        assert seal_receipt(one.device, one.ranges, iat=0, signer=signer)


def test_two_stories_for_one_number(archive: Any, sealer: Sealer) -> None:
    first, second = stream(sealer, "bank", 2)
    other = sealer(draft("bank", result=Result.FAILED), StreamPosition(2, first.sha256))
    store(archive, sent(first), sent(second))
    archived = store(archive, sent(other))
    assert summary(archived) == (0, 0, ["stream.equivocation"])
    (answer,) = archived.answers
    assert answer.ranges == (), "a lie is never receipted"
    assert answer.refused == (Refusal(other.sha256, "stream.equivocation"),), "and the box hears of it"
    (alarm,) = archived.alarms
    assert (alarm.device, alarm.log_id, alarm.audience, alarm.seq) == ("box-1", "log-1", "bank", 2)
    assert list(archive._query("SELECT evidence FROM alarm")) == [(other.jws,)], "signed: the proof is kept"
    assert archive.ledger().streams["box-1", "log-1", "bank"].hashes[2] == second.sha256


def test_a_story_that_does_not_follow(archive: Any, sealer: Sealer) -> None:
    first, second, third = stream(sealer, "bank", 3)
    forked = sealer(draft("bank"), StreamPosition(2, "f" * 64))
    assert summary(store(archive, sent(first), sent(forked))) == (1, 0, ["stream.chain_broken"])
    # Out of order: the predecessor comes later, and has to be the one that was signed for.
    replaced = sealer(draft("bank", scene="hotel"), StreamPosition(2, first.sha256))
    assert summary(store(archive, sent(third), sent(replaced))) == (1, 0, ["stream.chain_broken"])
    assert summary(store(archive, sent(second))) == (1, 0, [])
    assert archive.holes() == []


def test_a_jti_that_was_used_before(archive: Any, sealer: Sealer) -> None:
    first = sealer(draft("bank"), StreamPosition(1, None), jti="same")
    second = sealer(draft("bank"), StreamPosition(2, first.sha256), jti="same")
    assert summary(store(archive, sent(first), sent(second))) == (1, 0, ["stream.jti_reused"])


def test_holes_open_and_close(archive: Any, sealer: Sealer) -> None:
    envelopes = stream(sealer, "bank", 9)
    store(archive, *(sent(envelopes[n]) for n in (2, 3, 6, 8)))
    assert archive.holes() == [
        Hole("box-1", "log-1", "bank", 1, 2),
        Hole("box-1", "log-1", "bank", 5, 6),
        Hole("box-1", "log-1", "bank", 8, 8),
    ]
    store(archive, *map(sent, envelopes))
    assert archive.holes() == []


def test_holes_are_read_in_portions(archive: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A box with as many holes as numbers fills nobody's memory, and those a gap record accounts for hide no other."""
    monkeypatch.setattr(archive_read, "PORTION", 2)
    even = [forged(number, "00" * 32) for number in range(2, 18, 2)]
    archive.store([*even, forged_gap(1, 8), forged_gap(20, 20)], NOW)
    missing = [(hole.first, hole.last) for hole in archive.holes()]
    assert missing == [(9, 9), (11, 11), (13, 13), (15, 15), (17, 19)]
    assert len(archive.holes(3)) == 3


def test_any_order_any_repetition_adds_up(archive: Any, sealer: Sealer) -> None:
    chance = random.Random(7)
    messages = [sent(envelope) for audience in ("bank", "hotel") for envelope in stream(sealer, audience, 40)]
    shuffled = messages + chance.choices(messages, k=60)
    chance.shuffle(shuffled)
    stored = duplicates = 0
    while shuffled:
        size = chance.randint(1, 12)
        batch, shuffled = shuffled[:size], shuffled[size:]
        archived = store(archive, *batch)
        stored, duplicates = stored + archived.stored, duplicates + archived.duplicates
        assert archived.alarms == ()
    store(archive, *messages)
    assert archive.holes() == []
    assert sum(len(kept.hashes) for kept in archive.ledger().streams.values()) == 80


def forgeries(place: Town, tmp_path: Path) -> dict[str, tuple[Incoming, str]]:
    """What a malicious device, partner, stranger or broker could publish, and how it is called."""
    sealer = Sealer(place.signer(Role.DEVICE, "box-1"), "log-1")
    (good,) = stream(sealer, "bank", 1)
    stranger = Town(tmp_path / "stranger")
    foreign = Sealer(stranger.signer(Role.DEVICE, "box-1"), "log-1")(draft("bank"), StreamPosition(1, None))
    tls = place.fleet.issue(Role.DEVICE, "box-7", Usage.TLS)
    header, payload, signature = good.jws.split(".")
    tampered = f"{header}.{payload[:-4]}AAAA.{signature}"
    return {
        "another device's topic": (sent(good, "box-2"), "envelope.wrong_issuer"),
        "another audience's topic": (sent(good, audience="hotel"), "envelope.wrong_audience"),
        "another fleet's authority": (sent(foreign), "cert.not_trusted"),
        "tampered": (Incoming(sent(good).topic, tampered.encode()), "jws.signature_wrong"),
        "garbage": (Incoming(sent(good).topic, b"\xff\x00garbage"), "jws.malformed"),
        "empty": (Incoming(sent(good).topic, b""), "jws.malformed"),
        "too large": (Incoming(sent(good).topic, b"a" * 100_000), "jws.too_large"),
        "a partner's own corner": (
            Incoming(f"edged/1/{FLEET}/audience.bank/verdict/bank", good.jws.encode()),
            "topic.not_ours",
        ),
        "a receipt on a verdict topic": (
            Incoming(sent(good).topic, b".".join([b"e30", b"e30", b"A" * 86])),
            "jws.header_refused",
        ),
        "a collector's signature": (
            Incoming(sent(good).topic, signed_by(place.signer(Role.COLLECTOR, "centre"), good)),
            "cert.wrong_role",
        ),
        "TLS certificate": (Incoming(sent(good).topic, tls.certificate.read_bytes()), "jws.malformed"),
    }


def signed_by(signer: Signer, envelope: Envelope) -> bytes:
    """The same payload under somebody else's good signature."""
    payload = envelope.jws.split(".")[1]
    return signer.sign("verdict+jws", base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))).encode()


def test_forgeries_are_refused_and_reported_without_their_contents(
    archive: Any, place: Town, tmp_path: Path
) -> None:
    for name, (message, code) in forgeries(place, tmp_path).items():
        archived = store(archive, message)
        assert (archived.stored, archived.duplicates, archived.refused, archived.answers) == (0, 0, 1, ()), (
            name
        )
        (alarm,) = archived.alarms
        assert alarm.code == code or (
            name == "another fleet's authority" and alarm.code.startswith("cert.")
        ), name
        assert (alarm.device, alarm.seq) == ("", 0), "a forgery's names are not believed"
    assert archive.ledger().streams == {}
    rows = list(archive._query("SELECT evidence, topic, code FROM alarm"))
    assert all(row[0] is None for row in rows)
    assert "UTO" not in str(rows)


def test_a_message_over_which_the_check_stumbles_is_an_alarm_like_any_other(
    archive: Any, sealer: Sealer, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    first, second, third = stream(sealer, "bank", 3)
    good = sign.verify

    def verify(compact: Any, **options: Any) -> Any:
        if compact == second.jws.encode():
            raise KeyError("SECRET")
        return good(compact, **options)

    monkeypatch.setattr(sign, "verify", verify)
    with logging_state.restored():
        log.configure("info")
        archived = store(archive, sent(first), sent(second), sent(third))
    assert summary(archived) == (2, 0, ["intake.defect"])
    (answer,) = archived.answers
    assert ([(run.first, run.last) for run in answer.ranges], answer.refused) == ([(1, 1), (3, 3)], ())
    line = capfd.readouterr().err
    assert "KeyError" in line
    assert "SECRET" not in line
    monkeypatch.undo()
    assert summary(store(archive, sent(second))) == (1, 0, []), "its box has kept it"


def test_a_demo_fleet_never_says_live(archive: Any, place: Town, sealer: Sealer) -> None:
    with pytest.raises(SignatureRefusedError):
        sealer(draft("bank", kind=Kind.LIVE, provenance={}), StreamPosition(1, None))
    # Even a device that signs it by hand isn't believed.
    (good,) = stream(sealer, "bank", 1)
    payload = signed_by(place.signer(Role.DEVICE, "box-1"), good)
    assert store(archive, Incoming(sent(good).topic, payload)).stored == 1
    raw = base64.urlsafe_b64decode(good.jws.split(".")[1] + "==")
    live = place.signer(Role.DEVICE, "box-1").sign("verdict+jws", raw.replace(b'"test"', b'"live"'))
    assert summary(store(archive, Incoming(sent(good).topic, live.encode())))[2] == [
        "envelope.live_from_demo"
    ]


def test_a_restored_box_starts_a_new_stream(archive: Any, place: Town) -> None:
    signer = place.signer(Role.DEVICE, "box-1")
    before, after = Sealer(signer, "log-1"), Sealer(signer, "log-2")
    assert summary(store(archive, *map(sent, stream(before, "bank", 3)))) == (3, 0, [])
    assert summary(store(archive, *map(sent, stream(after, "bank", 3)))) == (3, 0, [])
    assert len(archive.ledger().streams) == 2


def test_what_was_signed_before_the_certificate_expired_is_archived_afterwards(
    archive: Any, place: Town, sealer: Sealer
) -> None:
    """A box came back after weeks offline; its certificate ended meanwhile. Old dates are good for 90 days."""
    first, second = stream(sealer, "bank", 2)
    end = place.signer(Role.DEVICE, "box-1").not_after

    def at(days: float, envelope: Envelope) -> tuple[int, int, list[str]]:
        return summary(store(archive, sent(envelope), now=end + timedelta(days=days)))

    assert at(91, first) == (0, 0, ["cert.expired"])
    assert at(89, first) == (1, 0, [])
    assert at(-1, second) == (1, 0, [])

    def third(**changes: Any) -> Envelope:
        return sealer(draft("bank", **changes), StreamPosition(3, second.sha256))

    assert at(1, third(clock="not_trusted")) == (0, 0, ["cert.expired"]), "nobody knows when it was signed"
    sealer.now = end + timedelta(seconds=1)
    assert at(1, third()) == (0, 0, ["cert.expired"]), "signed after the end"
    sealer.now = NOW - timedelta(days=1)
    assert at(1, third()) == (0, 0, ["cert.expired"]), "signed before the beginning, so it says"
    sealer.now = end
    assert at(1, third()) == (1, 0, [])


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_fleets_authority_must_hold_to_the_certificates_end(
    place: Town, tmp_path: Path, backend: str
) -> None:
    """`late` forgives the device's own certificate alone, and no stranger's."""
    stranger = Town(tmp_path / "stranger")
    (foreign,) = stream(Sealer(place.signer(Role.DEVICE, "box-1"), "log-1"), "bank", 1)
    with opened(location(backend, tmp_path), stranger.anchor) as archive:
        archived = store_into(archive, stranger, sent(foreign), now=NOW + timedelta(days=400))
        assert summary(archived) == (0, 0, ["cert.unknown_issuer"])


def test_a_box_hears_that_its_certificate_ran_out_and_nobody_elses_box_does(
    archive: Any, place: Town, sealer: Sealer
) -> None:
    (envelope,) = stream(sealer, "bank", 1)
    late = place.signer(Role.DEVICE, "box-1").not_after + timedelta(days=100)
    (answer,) = store(archive, sent(envelope), now=late).answers
    assert (answer.device, answer.ranges) == ("box-1", ())
    assert answer.refused == (Refusal(envelope.sha256, "cert.expired"),)
    assert store(archive, sent(envelope, "box-2"), now=late).answers == (), "not what the payload says"
    early = store(archive, sent(envelope), now=NOW - timedelta(days=30))
    assert (summary(early), early.answers) == ((0, 0, ["cert.not_yet_valid"]), ()), (
        "our clock's fault, and it passes"
    )
    assert seal_receipt(
        answer.device, (), refused=answer.refused, iat=0, signer=place.signer(Role.COLLECTOR, "centre")
    )


def test_alarms_are_counted_not_hoarded(archive: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "MAX_ALARMS", 5)
    strange = Incoming("a\x1b[31m" + "é" * 500, b"junk")
    (first,) = store(archive, strange).alarms
    assert first.topic.startswith("a?[31m????")
    assert len(first.topic) == streams.MAX_TOPIC_KEPT
    flood = [Incoming(f"flood/{number}", b"junk") for number in range(20)]
    archived = store(archive, *flood, flood[1])
    assert archived.refused == len(archived.alarms) == 21, (
        "each is reported with what it is the how-many-th of"
    )
    assert [alarm.count for alarm in archived.alarms] == [1, 1, 1, 1, *range(1, 17), 2]
    alarms = archive.alarms()
    assert len(alarms) == 6
    assert sum(alarm.count for alarm in alarms) == 22
    assert Alarm("topic.not_ours", "", "", "", "", 0, 16) in alarms
    assert {alarm.code for alarm in alarms} == {"topic.not_ours"}


def test_junk_does_not_crowd_out_proof(
    archive: Any, place: Town, sealer: Sealer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Strangers, then a lying device, then another: each device's lies are on record, whoever shouted before."""
    monkeypatch.setattr(streams, "MAX_ALARMS", 5)
    monkeypatch.setattr(streams, "MAX_PROVEN", 3)
    store(archive, *(Incoming(f"flood/{number}", b"junk") for number in range(20)))
    for device, liar in (("box-1", sealer), ("box-2", Sealer(place.signer(Role.DEVICE, "box-2"), "log-2"))):
        (first,) = stream(liar, "bank", 1)
        store(archive, sent(first, device))
        for seq in range(2, 9):
            store(archive, sent(liar(draft("bank"), StreamPosition(seq, "0" * 64), jti="same"), device))
            store(archive, sent(liar(draft("bank"), StreamPosition(seq, "1" * 64), jti="other"), device))
    alarms = archive.alarms()
    for device in ("box-1", "box-2"):
        proven = [alarm for alarm in alarms if (alarm.device, alarm.log_id != "") == (device, True)]
        assert len(proven) == 3, alarms
    assert len(alarms) <= 5 + 1 + 2 * (3 + 3)
    ((evidence,),) = archive._query("SELECT count(*) FROM alarm WHERE evidence IS NOT NULL")
    assert evidence >= 6
