"""Bounds, refusals and the ledger's memory: what is lost or given up is always told, and never the newest."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from edged.uplink.outbox import Bounds, Finality, ReceiptOutcome, RetryPolicy, StateDatabase
from edged.uplink.receipts import ReceiptRange, Refusal, range_sha256
from edged.verdict import Kind
from tests.outbox import (
    commit,
    covering,
    fake_gap_seal,
    full_count,
    later,
    open_state,
    receipt,
    rows,
    seal_all,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DAY = 86_400


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state.sqlite"


@pytest.fixture
def state(path: Path) -> Iterator[StateDatabase]:
    database = open_state(
        path, bounds=Bounds(max_bytes=20_000, max_age=timedelta(days=10), ledger=timedelta(days=5))
    )
    yield database
    database.close()


def told(state: StateDatabase) -> list[tuple[str, int, int | None, str, str | None]]:
    return [
        (row["audience"], row["first"], row["last"], row["reason"], row["code"])
        for row in rows(state, "SELECT * FROM gap ORDER BY audience, first")
    ]


def states(state: StateDatabase) -> str:
    """One letter an envelope, by id."""
    return "".join(row["state"][0] for row in rows(state, "SELECT state FROM envelope ORDER BY id"))


# --- bytes ---


def test_what_is_too_much_is_pushed_out_in_one_run_and_told(state: StateDatabase) -> None:
    for number in range(60):
        commit(state, "bank", name=str(number), filler=600, at=number)
        counts = state.counts()
        assert counts.bytes_pending <= 20_000
    lost = counts.lost
    assert lost > 30
    assert told(state) == [("bank", 1, lost, "too_many_bytes", None)], "drafts side by side are one record"
    assert states(state) == "l" * lost + "p" * (60 - lost)
    assert full_count(state) == counts
    state.seal_gaps(fake_gap_seal)
    hashes = [row["sha256"] for row in rows(state, "SELECT sha256 FROM envelope ORDER BY id LIMIT ?", lost)]
    (gap,) = state.look(later(100), since=0, live=0, backlog=0).gaps
    assert gap.jws.endswith(range_sha256(hashes)), "the record names the envelopes by their hash"
    for number in range(60, 90):
        commit(state, "bank", name=str(number), filler=600, at=number)
    assert len(told(state)) == 2, "a signed record doesn't grow; the next one does"
    assert told(state)[1][1] == lost + 1


def test_a_body_pushed_out_is_gone_from_every_file(state: StateDatabase, path: Path) -> None:
    (first,) = commit(state, "bank", filler=600)
    for number in range(60):
        commit(state, "bank", name=str(number), filler=600)
    assert states(state)[0] == "l"
    assert [file.name for file in path.parent.iterdir() if first.jws.encode() in file.read_bytes()] == []


def test_the_order_in_which_things_go(path: Path) -> None:
    state = open_state(path, bounds=Bounds(max_bytes=1 << 30))
    for number, kind in enumerate([Kind.LIVE, Kind.LIVE, Kind.TEST, Kind.LIVE, Kind.TRAINING, Kind.LIVE]):
        commit(state, "bank", name=str(number), kind=kind, filler=100)
    for turn in range(3):
        state.mark([], {4: "mqtt.packet_too_large"}, later(turn * 3600))
    state.mark([2], {}, later(0))
    assert states(state) == "pppdpp"
    size = rows(state, "SELECT max(size) FROM envelope")[0][0]
    gone = []
    for room in (6, 5, 4, 3, 2):
        state.close()
        state = open_state(path, bounds=Bounds(max_bytes=room * size - size // 2))
        state.tidy(later(5000), clock_trusted=True)
        now = [row["id"] for row in rows(state, "SELECT id FROM envelope WHERE state = 'lost' ORDER BY id")]
        gone.append(sorted(set(now) - {one for earlier in gone for one in earlier}))
    assert gone == [[4], [3], [5], [2], [1]], "dead, tests, trainings, what the broker took, the oldest"
    assert state.counts() == full_count(state)
    state.close()
    state = open_state(path, bounds=Bounds(max_bytes=10))
    assert state.tidy(later(5000), clock_trusted=True).lost == 0, "the newest verdict stays, however large"
    assert states(state) == "lllllp"
    state.close()


def test_an_inspection_larger_than_the_bound_is_kept(path: Path) -> None:
    state = open_state(path, bounds=Bounds(max_bytes=1000))
    commit(state, "bank", "hotel", name="i1", filler=2000)
    assert states(state) == "pp"
    state.tidy(later(1), clock_trusted=True)
    assert states(state) == "pp"
    commit(state, "bank", "hotel", name="i2", filler=2000)
    assert states(state) == "llpp"
    assert len(told(state)) == 2
    state.close()


# --- age ---


def test_what_is_too_old_is_pushed_out_by_a_trusted_clock_alone(state: StateDatabase) -> None:
    for number in range(6):
        commit(state, "bank", name=str(number), at=number * DAY)
    state.tidy(later(12.5 * DAY), clock_trusted=False)
    assert states(state) == "pppppp"
    done = state.tidy(later(12.5 * DAY), clock_trusted=True)
    assert (done.lost, done.more) == (3, False)
    assert states(state) == "lllppp"
    assert told(state) == [("bank", 1, 3, "too_old", None)]


def test_what_was_committed_in_1970_begins_to_age_when_a_clock_is_trusted(state: StateDatabase) -> None:
    commit(state, "bank", at=-50 * 365 * DAY, clock_trusted=False)
    state.tidy(later(0), clock_trusted=True)
    assert states(state) == "p"
    state.tidy(later(9 * DAY), clock_trusted=True)
    assert states(state) == "p"
    assert state.tidy(later(11 * DAY), clock_trusted=True).lost == 1


# --- the ledger ---


def test_the_ledger_forgets_what_has_long_been_settled(state: StateDatabase) -> None:
    envelopes = [commit(state, "bank", name=str(number), at=0)[0] for number in range(10)]
    log_id = state.log_id
    state.apply_receipt(receipt(covering(log_id, envelopes[:3])), later(0))
    state.apply_receipt(receipt(covering(log_id, envelopes[4:])), later(0))
    before = state.counts()
    assert state.tidy(later(4 * DAY), clock_trusted=True).pruned == 0
    assert state.tidy(later(6 * DAY), clock_trusted=False).pruned == 0
    assert state.tidy(later(6 * DAY), clock_trusted=True).pruned == 3, "up to the first that isn't settled"
    assert state.counts() == before, "what was counted stays counted"
    late = receipt(covering(log_id, envelopes[:3]), covering(log_id, envelopes[1:6]))
    assert state.apply_receipt(late, later(6 * DAY)) == ReceiptOutcome((), ())
    again = state.apply_receipt(receipt(covering(log_id, envelopes[3:6])), later(6 * DAY))
    assert again.receipted == (4,)
    unheard = ReceiptRange(log_id, "bank", 2, 50, "0" * 64)
    assert state.apply_receipt(receipt(unheard), later(6 * DAY)).refused == ("receipt.unknown_envelope",)
    assert state.tidy(later(20 * DAY), clock_trusted=True).pruned == 6, "all but the stream's last"
    (last,) = commit(state, "bank", name="on", at=20 * DAY)
    assert last.seq == 11


def test_a_loss_is_remembered_until_the_centre_knows_of_it(state: StateDatabase) -> None:
    for number in range(40):
        commit(state, "bank", name=str(number), filler=600, at=number)
    lost = state.counts().lost
    assert lost > 5
    assert state.tidy(later(9 * DAY), clock_trusted=True).pruned == 0
    seal_all(state)
    (gap,) = state.look(later(9 * DAY), since=0, live=0, backlog=0).gaps
    state.mark_gaps([gap.id], {}, later(9 * DAY))
    assert state.look(later(9 * DAY), since=0, live=0, backlog=0).gaps == []
    assert state.apply_receipt(receipt(gaps=[gap.sha256]), later(9 * DAY)).gaps == (gap.id,)
    assert state.counts().gaps_pending == 0
    assert state.apply_receipt(receipt(gaps=[gap.sha256]), later(9 * DAY)).gaps == ()
    state.tidy(later(9 * DAY), clock_trusted=True)
    pruned = state.tidy(later(15 * DAY), clock_trusted=True)
    assert pruned.pruned == lost
    assert told(state)[0][3] == "too_old", "the old record went with what it named"


def test_a_receipt_may_come_for_what_was_given_up(state: StateDatabase) -> None:
    envelopes = [commit(state, "bank", name=str(number), filler=600, at=number)[0] for number in range(40)]
    assert states(state)[:2] == "ll"
    outcome = state.apply_receipt(receipt(covering(state.log_id, envelopes[:2])), later(50))
    assert outcome.receipted == (1, 2)
    assert full_count(state) == state.counts()


# --- refusals ---


def test_what_the_broker_says_of_the_message_itself_is_soon_final(state: StateDatabase) -> None:
    commit(state, "bank", "hotel")
    died = [
        state.mark([], {1: "mqtt.packet_too_large", 2: "mqtt.not_authorized"}, later(turn))
        for turn in range(3)
    ]
    assert died == [(), (), (1,)]
    counts = state.counts()
    assert (counts.pending, counts.refused, counts.dead) == (1, 1, 1)
    assert counts.bytes_dead > 0
    assert told(state) == [("bank", 1, 1, "refused", "mqtt.packet_too_large")]
    (letter,) = state.dead()
    assert (letter.audience, letter.seq, letter.code, letter.refused_by, letter.refusals) == (
        "bank",
        1,
        "mqtt.packet_too_large",
        "broker",
        3,
    )
    look = state.look(later(DAY), since=0, live=9, backlog=9)
    assert [due.id for due in (*look.live, *look.backlog)] == [2], "it isn't tried any more"
    state.mark([1], {}, later(DAY))
    assert state.counts() == counts, "a late acknowledgement changes nothing"


def test_a_missing_right_is_given_a_day_to_be_granted(path: Path) -> None:
    state = open_state(path, finality=Finality(patient_tries=5, patient=timedelta(hours=12)))
    commit(state, "bank", "hotel")
    for turn in range(50):  # many, but all within an hour
        assert state.mark([], {1: "mqtt.not_authorized", 2: "mqtt.quota_exceeded"}, later(turn * 60)) == ()
    assert state.mark([], {1: "mqtt.quota_exceeded"}, later(13 * 3600)) == (), (
        "what passes ends nothing either"
    )
    assert state.mark([], {1: "mqtt.not_authorized"}, later(13 * 3600)) == (1,)
    for turn in range(100):
        assert state.mark([], {2: "mqtt.quota_exceeded"}, later(turn * DAY)) == (), (
            "a full broker isn't its fault"
        )
    state.close()


def test_what_passes_does_not_count_towards_what_is_final(state: StateDatabase) -> None:
    commit(state, "bank")
    codes = ["mqtt.quota_exceeded"] * 9 + ["mqtt.packet_too_large"] * 2 + ["mqtt.quota_exceeded"] * 9
    for turn, code in enumerate(codes):
        assert state.mark([], {1: code}, later(turn)) == ()
    assert state.mark([], {1: "mqtt.packet_too_large"}, later(100)) == (1,)


def test_a_refusal_that_was_mended_begins_anew(state: StateDatabase) -> None:
    commit(state, "bank")
    for turn in range(10):
        state.mark([], {1: "mqtt.packet_too_large"}, later(turn))
        state.mark([], {1: "mqtt.packet_too_large"}, later(turn))
        state.mark([1], {}, later(turn))
    assert states(state) == "p"
    assert state.counts().refused == 0


def test_the_collector_refuses_for_good_after_three(state: StateDatabase) -> None:
    (envelope,) = commit(state, "bank")
    refusal = receipt(
        refused=[Refusal(envelope.sha256, "stream.equivocation"), Refusal("0" * 64, "cert.expired")]
    )
    state.mark([1], {}, later(0))
    first = state.apply_receipt(refusal, later(1))
    assert (first.refusals, first.dead) == (((1, "stream.equivocation"),), ())
    for _ in range(5):
        assert state.apply_receipt(refusal, later(1)).dead == (), (
            "said again of one publication it counts once"
        )
    state.mark([1], {}, later(100))
    assert state.counts().last_refusal == "stream.equivocation", (
        "the broker's yes doesn't mend the collector's no"
    )
    assert state.apply_receipt(refusal, later(101)).dead == ()
    state.mark([1], {}, later(200))
    assert state.apply_receipt(refusal, later(201)).dead == (1,)
    assert state.dead()[0].refused_by == "collector"
    assert state.apply_receipt(refusal, later(202)).refusals == (), "a dead one has been refused enough"
    assert told(state) == [("bank", 1, 1, "refused", "stream.equivocation")]
    assert state.apply_receipt(receipt(covering(state.log_id, [envelope])), later(300)).receipted == (1,)


def bury(state: StateDatabase, *ids: int) -> None:
    for turn in range(3):
        state.mark([], dict.fromkeys(ids, "mqtt.packet_too_large"), later(turn))


def test_dead_letters_side_by_side_are_one_record_until_it_is_signed(state: StateDatabase) -> None:
    for number in range(9):
        commit(state, "bank", name=str(number))
    bury(state, 7, 2, 4, 3, 1)
    code = "mqtt.packet_too_large"
    assert told(state) == [("bank", 1, 4, "refused", code), ("bank", 7, 7, "refused", code)]
    assert state.retry_dead([2, 5, 99], later(9)) == 1, "who isn't dead is passed over"
    assert told(state) == [
        ("bank", 1, 1, "refused", code),
        ("bank", 3, 4, "refused", code),
        ("bank", 7, 7, "refused", code),
    ]
    seal_all(state)
    assert state.retry_dead(None, later(9)) == 4
    assert len(told(state)) == 3, "what is signed stays said; the envelopes may come after all"
    look = state.look(later(9), since=0, live=9, backlog=9)
    assert [due.id for due in look.backlog] == [1, 2, 3, 4, 7], (
        "tried before: never in front of a fresh verdict"
    )
    bury(state, 3)
    assert len(told(state)) == 4
    assert full_count(state) == state.counts()


def test_a_letter_between_two_joins_their_records(state: StateDatabase) -> None:
    for number in range(5):
        commit(state, "bank", name=str(number))
    bury(state, 1, 2, 4, 5)
    bury(state, 3)
    assert [gap[1:3] for gap in told(state)] == [(1, 5)]
    assert {row["gap"] for row in rows(state, "SELECT gap FROM envelope")} == {1}
    assert state.retry_dead([4], later(9)) == 1
    assert [gap[1:3] for gap in told(state)] == [(1, 3), (5, 5)]
    assert [row["gap"] for row in rows(state, "SELECT gap FROM envelope ORDER BY id")] == [1, 1, 1, None, 3]


def test_gap_records_are_tried_until_they_are_receipted(path: Path) -> None:
    state = open_state(
        path, retry=RetryPolicy(receipt_s=10, refused_s=60, bound_s=100), bounds=Bounds(max_bytes=900)
    )
    for number in range(3):
        commit(state, "bank", name=str(number), filler=600)
    assert state.look(later(0), since=0, live=0, backlog=0).drafts
    assert state.look(later(0), since=0, live=0, backlog=0).gaps == []
    assert state.seal_gaps(fake_gap_seal) == 1
    assert state.seal_gaps(fake_gap_seal) == 0

    def due(at: float) -> list[int]:
        return [gap.id for gap in state.look(later(at), since=0, live=0, backlog=0).gaps]

    assert due(1) == [1]
    assert state.look(later(1), since=0, skip_gaps={1}, live=0, backlog=0).gaps == []
    state.mark_gaps([1], {}, later(1))
    assert due(10) == []
    assert state.look(later(1), since=0, live=0, backlog=0).wait_s == 10
    assert due(11) == [1]
    for turn in range(50):
        state.mark_gaps([], {1: "mqtt.not_authorized"}, later(11 + turn))
    assert due(61 + 100) == [1], "never dead: a loss nobody hears of would be silent"
    state.close()


def test_a_signature_that_fails_leaves_the_draft(path: Path) -> None:
    state = open_state(path, bounds=Bounds(max_bytes=900))
    for number in range(3):
        commit(state, "bank", name=str(number), filler=600)

    def no_key(_: object) -> str:
        raise RuntimeError("no key")

    with pytest.raises(RuntimeError):
        state.seal_gaps(no_key)
    state.close()
    state = open_state(path)
    assert state.look(later(0), since=0, live=0, backlog=0).drafts
    assert state.seal_gaps(fake_gap_seal) == 1
    state.close()
