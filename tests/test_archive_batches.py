"""However a sequence of messages is cut into batches, the archive is the same: lies, gap records and all."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pytest

from edged.central import batch
from edged.errors import StateError
from edged.uplink.placing import Entry, Run, Span, accounted_to, unaccounted, wanted
from edged.uplink.streams import Hole
from tests.archives import (
    BACKENDS,
    digest,
    dump,
    empty,
    forged,
    forged_chain,
    forged_gap,
    hurry,
    location,
    opened,
    summary,
)
from tests.broker import NOW, Town

if TYPE_CHECKING:
    from pathlib import Path

    from edged.uplink.intake import Checked


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Town:
    return Town(tmp_path_factory.mktemp("town"))


def pool() -> list[Checked]:
    """A stream, another story of it, gap records true and false, and somebody else's stream."""
    honest = forged_chain(9)
    fork = [forged(4, honest[2].sha256, "fork"), forged(5, "ab" * 32, "fork"), forged(7, "cd" * 32, "fork")]
    reused = [forged(6, honest[4].sha256, "again", jti="jti-2-"), forged(11, None, "far", jti="jti-11")]
    gaps = [
        forged_gap(2, 4, digest(honest[1:4])),
        forged_gap(3, 6, digest(honest[3:7]), "wrong"),
        forged_gap(10, 10),
        forged_gap(8, 8, "00" * 32, "wrong"),
        forged_gap(13, None),
        forged_gap(1, 2, None, device="box-2"),
    ]
    return [*honest, *fork, *reused, *gaps, *forged_chain(4, iss="box-2"), *forged_chain(3, audience="hotel")]


def sequence(chance: random.Random) -> list[Checked]:
    some = pool()
    messages = chance.sample(some, k=chance.randint(8, len(some))) + chance.choices(some, k=8)
    chance.shuffle(messages)
    return messages


def cuts(chance: random.Random, messages: list[Checked]) -> list[list[Checked]]:
    batches = []
    while messages:
        size = chance.randint(1, 12)
        batches.append(messages[:size])
        messages = messages[size:]
    return batches


@pytest.mark.parametrize(("backend", "cases"), [("sqlite", 40), ("postgres", 3)])
def test_batches_add_up_to_the_same_as_one_at_a_time(
    place: Town, tmp_path: Path, backend: str, cases: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch, "MAX_GAPS", 4)
    seen: set[str] = set()
    with opened(location(backend, tmp_path), place.anchor) as archive:
        hurry(archive)
        for case in range(cases):
            chance = random.Random(case)
            messages = sequence(chance)
            results = []
            for batches in ([[one] for one in messages], cuts(chance, messages), [messages]):
                empty(archive)
                told = [archive.store(some, NOW) for some in batches]
                results.append((dump(archive), archive.holes(), sum(one.stored for one in told)))
                seen |= {alarm.code for one in told for alarm in one.alarms}
            assert results[0] == results[1] == results[2], case
    if cases > 10:
        assert seen == {"stream.equivocation", "stream.chain_broken", "stream.jti_reused", "gap.too_many"}


def test_what_came_first_in_a_batch_stays(place: Town, tmp_path: Path) -> None:
    first, second = forged_chain(2)
    other = forged(2, first.sha256, "other")
    for number, order in enumerate(([second, other, first], [other, first, second])):
        with opened(location("sqlite", tmp_path) + str(number), place.anchor) as archive:
            assert summary(archive.store(order, NOW)) == (2, 0, ["stream.equivocation"])
            (kept,) = archive.ledger().streams.values()
            assert kept.hashes[2] == order[0].sha256
            assert archive.alarms()[0].seq == 2


def test_places_to_look_up_are_few_runs_with_their_neighbours() -> None:
    def at(*numbers: int) -> list[Entry]:
        return [Entry(("d", "l", "a"), number, "", None, "") for number in numbers]

    key = ("d", "l", "a")
    assert wanted(at(1)) == [Run(key, 1, 2)]
    assert wanted(at(7, 5, 6)) == [Run(key, 4, 8)]
    assert wanted(at(5, 7)) == [Run(key, 4, 8)]
    assert wanted(at(5, 9)) == [Run(key, 4, 6), Run(key, 8, 10)]
    assert wanted([]) == []


@pytest.mark.parametrize("seed", range(50))
def test_accounts_against_counting_by_hand(seed: int) -> None:
    chance = random.Random(seed)
    highest = 30
    present = set(chance.sample(range(1, highest + 1), k=chance.randint(0, 25)))
    spans = [
        Span(first, chance.choice([first, first + 3, None] if first > 20 else [first, first + 3]))
        for first in chance.choices(range(1, 27), k=chance.randint(0, 4))
    ]
    counted = present | {
        number
        for span in spans
        for number in range(span.first, (highest if span.last is None else span.last) + 1)
    }
    whole = next(number for number in range(highest + 1) if number + 1 not in counted or number == highest)
    assert accounted_to(0, highest, present, spans) == whole
    holes = unaccounted(1, highest, sorted(spans, key=lambda span: span.first))
    missing = {number for first, last in holes for number in range(first, last + 1)}
    assert missing == {number for number in range(1, highest + 1) if not covers(spans, number)}


def covers(spans: list[Span], number: int) -> bool:
    return any(span.first <= number and (span.last is None or number <= span.last) for span in spans)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_hole_closes_with_the_last_of_its_numbers_or_with_the_word_that_it_will_not_come(
    place: Town, tmp_path: Path, backend: str
) -> None:
    chain = forged_chain(12)
    with opened(location(backend, tmp_path), place.anchor) as archive:
        hurry(archive)
        archive.store([chain[n] for n in (0, 3, 4, 8, 11)], NOW)
        assert [(hole.first, hole.last) for hole in archive.holes()] == [(2, 3), (6, 8), (10, 11)]
        assert archive.holes(2) == archive.holes()[:2]
        assert archive.audiences()[0].incomplete == 1
        archive.store([forged_gap(6, 7)], NOW)
        assert [(hole.first, hole.last) for hole in archive.holes()] == [(2, 3), (8, 8), (10, 11)]
        archive.store([chain[2], chain[1]], NOW)
        assert [(hole.first, hole.last) for hole in archive.holes()] == [(8, 8), (10, 11)]
        archive.store([chain[7], forged_gap(10, None)], NOW)
        assert archive.holes() == []
        ((whole, holed),) = archive._query("SELECT whole, holed FROM stream")
        assert (whole, holed) == (12, 0)
        # A record that names more than was ever seen shows that there was more.
        archive.store([forged_gap(20, 22)], NOW)
        assert archive.holes() == [], "nothing after 10 will come, said the device"
        archive.store(forged_chain(1, log_id="log-2"), NOW)
        assert archive.audiences()[0].incomplete == 0


@pytest.mark.parametrize("backend", BACKENDS)
def test_gap_records_are_kept_once_verbatim_and_signed_for(place: Town, tmp_path: Path, backend: str) -> None:
    with opened(location(backend, tmp_path), place.anchor) as archive:
        hurry(archive)
        gap, unknown = forged_gap(3, 5), forged_gap(1, None, device="box-2")
        first = archive.store([gap, unknown, gap], NOW)
        assert (first.gaps, first.stored, first.alarms) == (2, 0, ())
        assert [(one.device, one.ranges, one.gaps) for one in first.answers] == [
            ("box-1", (), (gap.sha256,)),
            ("box-2", (), (unknown.sha256,)),
        ]
        again = archive.store([gap], NOW)
        assert (again.gaps, [one.gaps for one in again.answers]) == (0, [(gap.sha256,)])
        rows = list(archive.gap_rows(audience="bank"))
        assert [(row.device, row.first, row.last, row.jws, row.sha256) for row in rows] == [
            ("box-1", 3, 5, gap.incoming.payload.decode(), gap.sha256),
            ("box-2", 1, None, unknown.incoming.payload.decode(), unknown.sha256),
        ]
        assert list(archive.gap_rows(audience="hotel")) == []
        assert archive.holes() == [Hole("box-1", "log-1", "bank", 1, 2)]
        extents, more = archive.streams("bank", None, 9)
        assert [(one.device, one.highest, one.stored) for one in extents] == [
            ("box-1", 5, 0),
            ("box-2", 1, 0),
        ]
        assert not more
        assert archive.ledger().streams == {}


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("order", ["record first", "record last", "in between", "one batch"])
def test_a_gap_record_that_contradicts_the_envelopes_is_an_alarm_once(
    place: Town, tmp_path: Path, backend: str, order: str
) -> None:
    chain = forged_chain(5)
    true, false = forged_gap(2, 4, digest(chain[1:4])), forged_gap(2, 4, digest(chain[0:3]), "false")
    batches = {
        "record first": [[true, false], chain],
        "record last": [chain, [false, true]],
        "in between": [chain[:3], [true, false], chain[3:]],
        "one batch": [[true, *chain[2:], false, *chain[:2]]],
    }[order]
    with opened(location(backend, tmp_path), place.anchor) as archive:
        hurry(archive)
        alarms = [alarm for some in batches for alarm in archive.store(some, NOW).alarms]
        archive.store([*chain, true, false], NOW)
        assert [(alarm.code, alarm.seq, alarm.count) for alarm in alarms] == [("stream.equivocation", 2, 1)]
        assert list(archive._query("SELECT evidence, count FROM alarm")) == [
            (false.incoming.payload.decode(), 1)
        ]
        assert len(archive.ledger().streams["box-1", "log-1", "bank"].hashes) == 5


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_device_can_not_fill_the_archive_with_gap_records(
    place: Town, tmp_path: Path, backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch, "MAX_GAPS", 3)
    with opened(location(backend, tmp_path), place.anchor) as archive:
        hurry(archive)
        flood = [forged_gap(number, number) for number in range(1, 8)]
        first = archive.store(flood[:5], NOW)
        assert (first.gaps, [alarm.code for alarm in first.alarms]) == (3, ["gap.too_many"] * 2)
        (answer,) = first.answers
        assert len(answer.gaps) == 3
        assert {one.code for one in answer.refused} == {"gap.too_many"}
        assert archive.store(flood[5:], NOW).gaps == 0
        assert archive.store(flood[:3], NOW).answers[0].gaps == tuple(one.sha256 for one in flood[:3])
        assert archive.store([forged_gap(1, 1, device="box-2")], NOW).gaps == 1, "nobody else's"


@pytest.mark.parametrize("backend", BACKENDS)
def test_an_answer_fits_into_a_receipt_whatever_is_in_it(place: Town, tmp_path: Path, backend: str) -> None:
    chain = forged_chain(400)
    lies = [forged(one.found.payload.seq, "00" * 32, "lie") for one in chain[::2]]
    gaps = [forged_gap(number, number) for number in range(2, 200, 2)]
    with opened(location(backend, tmp_path), place.anchor) as archive:
        hurry(archive)
        answers = archive.store([*chain[::2], *gaps, *lies], NOW).answers
        sizes = [len(one.ranges) + len(one.gaps) + len(one.refused) for one in answers]
        assert sizes == [150, 150, 150, 49]
        names: set[Any] = {run for one in answers for run in (*one.ranges, *one.gaps, *one.refused)}
        assert len(names) == 499


RULES = {
    "sqlite": "CREATE TRIGGER rule_{0} BEFORE INSERT ON {0} WHEN new.{1} LIKE '%poison%'"
    " BEGIN SELECT RAISE(ABORT, 'poison SECRET'); END",
    "postgres": "ALTER TABLE {0} ADD CHECK ({1} NOT LIKE '%%poison%%')",
}
"""Somebody's rule on one of our tables."""


def forbid(archive: Any, backend: str, table: str, column: str) -> None:
    execute = archive._connection.execute if backend == "sqlite" else archive._run
    execute(RULES[backend].format(table, column), ())


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_message_that_the_database_will_not_have_holds_up_no_other(
    place: Town, tmp_path: Path, backend: str, capfd: pytest.CaptureFixture[str]
) -> None:
    chain: list[Checked] = []
    for seq in range(1, 8):
        chain.append(forged(seq, chain[-1].sha256 if chain else None, "poison" if seq == 4 else ""))
    gaps = [forged_gap(9, 9, text="poison"), forged_gap(20, 20)]
    mixed = [*chain[:5], *gaps, *chain[5:], forged(1, None, iss="box-2")]
    with opened(location(backend, tmp_path), place.anchor) as archive:
        hurry(archive)
        forbid(archive, backend, "envelope", "jti")
        forbid(archive, backend, "gap", "body")
        first = archive.store(mixed, NOW)
        again = archive.store(mixed, NOW)
        assert (first.stored, first.gaps, first.refused) == (7, 1, 2)
        assert {alarm.code for alarm in first.alarms} == {"archive.row_refused"}
        assert (again.stored, again.duplicates, again.refused) == (0, 7, 2)
        told = {run.first: run.last for one in first.answers if one.device == "box-1" for run in one.ranges}
        assert {seq for first, last in told.items() for seq in range(first, last + 1)} == {1, 2, 3, 5, 6, 7}
        assert not any(one.refused for one in first.answers), "its box keeps it, and sends it again"
        assert list(
            archive._query("SELECT sum(count) FROM alarm WHERE device = '' AND evidence IS NULL")
        ) == [(4,)]
        assert [hole.first for hole in archive.holes()][:1] == [4], "it is missing, and that shows"
    said = "".join(capfd.readouterr())
    assert "a row was refused" in said
    assert "SECRET" not in said
    assert "log-1" not in said, "nothing of the message but its topic"


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_database_that_will_have_nothing_is_an_error_in_our_words(
    place: Town, tmp_path: Path, backend: str
) -> None:
    with opened(location(backend, tmp_path), place.anchor) as archive:
        hurry(archive)
        for table, column in (("envelope", "jti"), ("alarm", "topic")):
            forbid(archive, backend, table, column)
        with pytest.raises(StateError) as caught:
            archive.store([forged(1, None, "poison", audience="poison")], NOW)
        assert caught.value.code == "archive.row_refused"
        assert "box-1" not in str(caught.value)
        assert archive.store([forged(1, None)], NOW).stored == 1, "and the object is still of use"
