"""What is asked of an archive: pages for a replay, lists, exports, retention; on SQLite and on PostgreSQL."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from edged.central import archive_read
from edged.central.archive import open_reader, sqlite_path
from edged.errors import StateError
from edged.uplink.fields import MAX_SEQ
from edged.uplink.replay import Place, Span
from tests.archives import BACKENDS, forged, forged_chain, forged_gap, hurry, location, opened
from tests.broker import NOW, Town

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from edged.uplink.intake import Checked


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Town:
    return Town(tmp_path_factory.mktemp("town"))


@pytest.fixture(params=BACKENDS)
def archive(request: pytest.FixtureRequest, place: Town, tmp_path: Path) -> Iterator[Any]:
    where = location(request.param, tmp_path)
    with opened(where, place.anchor) as made:
        hurry(made)
        made.where = where
        yield made


def text(one: Checked) -> str:
    return one.incoming.payload.decode()


def span(first: int, last: int | None = None, device: str = "box-1", log_id: str = "log-1") -> Span:
    return Span(device, log_id, first, last)


def asked_to_the_end(archive: Any, spans: list[Span], limit: int) -> list[str]:
    """What somebody gets who asks for the rest until there is none."""
    got: list[str] = []
    for _ in range(200):
        page = archive.page("bank", spans, limit)
        assert len(page.messages) <= max(limit, 2)
        assert page.messages or not page.more, "every page gets somewhere"
        got += page.messages
        if not page.more:
            return got
        spans = list(page.more)
    raise AssertionError("never ends")


def test_a_page_is_cut_and_goes_on_exactly_where_it_ended(archive: Any) -> None:
    chain = forged_chain(10)
    other = forged_chain(3, log_id="log-2")
    gaps = [forged_gap(3, 5), forged_gap(8, 8)]
    archive.store(
        [*(chain[n] for n in (0, 1, 5, 6, 8, 9)), *gaps, *other, *forged_chain(2, audience="hotel")], NOW
    )
    whole = [*chain[:2], gaps[0], *chain[5:7], gaps[1], *chain[8:]]
    assert archive.page("bank", [span(1)], 500).messages == tuple(map(text, whole))
    assert archive.page("bank", [span(1)], 500).more == ()
    page = archive.page("bank", [span(1), span(2, 3, log_id="log-2")], 4)
    assert page.messages == tuple(map(text, whole[:4]))
    assert page.more == (span(7), span(2, 3, log_id="log-2"))
    page = archive.page("bank", page.more, 5)
    assert page.messages == (*map(text, whole[4:]), text(other[1]))
    assert page.more == (span(3, 3, log_id="log-2"),)
    for limit in range(1, 12):
        assert asked_to_the_end(archive, [span(1)], limit) == list(map(text, whole))
    assert archive.page("bank", [span(1, device="nobody"), span(50), span(2, 2)], 9).messages == (
        text(chain[1]),
    )
    assert archive.page("shop", [span(1)], 9).messages == ()


@pytest.mark.parametrize("seed", range(6))
def test_pages_of_any_size_add_up(archive: Any, seed: int) -> None:
    chance = random.Random(seed)
    chain = forged_chain(30)
    stored = sorted(chance.sample(range(30), k=18))
    gaps = []
    for number in range(6):
        first = chance.randint(1, 30)
        last = None if number == 0 else min(33, first + chance.randint(0, 6))
        gaps.append(forged_gap(first, last, text=str(number)))
    archive.store([*(chain[index] for index in stored), *gaps], NOW)
    for first, last in ((1, None), (1, 30), (7, 19), (16, None)):
        everything = asked_to_the_end(archive, [span(first, last)], 500)
        for limit in (1, 2, 3, 7):
            assert asked_to_the_end(archive, [span(first, last)], limit) == everything
        assert len(set(everything)) == len(everything), "nothing twice"
        wanted = [text(chain[index]) for index in stored if first <= index + 1 <= (last or 99)]
        assert [one for one in everything if one in wanted] == wanted
        sent = [gap.found.payload for gap in gaps if text(gap) in everything]
        for gap in gaps:  # every number that a record accounts for is accounted for by one that was sent
            record = gap.found.payload
            for number in range(max(first, record.first), min(last or 33, record.last or 33) + 1):
                assert any(one.first <= number <= (one.last or 99) for one in sent), number


def test_many_records_that_end_at_one_number_are_one_in_a_page(archive: Any) -> None:
    gaps = [forged_gap(number, 9, text=str(number)) for number in range(3, 9)]
    archive.store([*gaps, forged_gap(MAX_SEQ, MAX_SEQ), *forged_chain(2)], NOW)
    assert asked_to_the_end(archive, [span(1, 9)], 2)[2:] == [text(gaps[0])]
    assert len(asked_to_the_end(archive, [span(1)], 1)) == 4


def test_streams_are_listed_in_portions(archive: Any) -> None:
    for device in ("box-2", "box-10", "box-1"):
        archive.store(forged_chain(2, iss=device) + forged_chain(1, iss=device, log_id="LOG_b"), NOW)
    archive.store(forged_chain(1, iss="box-3", audience="hotel"), NOW)
    wanted = [(device, log) for device in ("box-1", "box-10", "box-2") for log in ("LOG_b", "log-1")]
    found, after = [], None
    while True:
        extents, more = archive.streams("bank", after, 4)
        found += [(one.device, one.log_id) for one in extents]
        if not more:
            break
        assert len(extents) == 4
        after = Place(extents[-1].device, extents[-1].log_id)
    assert found == wanted, "as bytes are sorted, whatever the database's language"
    assert archive.streams("bank", Place("box-2", "log-1"), 4) == ([], False)


def test_rows_come_in_order_of_arrival_and_in_portions(archive: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive_read, "PORTION", 7)
    bank, hotel = forged_chain(20), forged_chain(10, audience="hotel")
    moments = [NOW + timedelta(minutes=number) for number in range(4)]
    for number, moment in enumerate(moments):
        archive.store([*bank[5 * number : 5 * number + 5], *hotel[2 * number : 2 * number + 2]], moment)
    rows = list(archive.rows(audience=None, since=None, until=None))
    assert len(rows) == 28
    assert [row.received_at for row in rows] == sorted(row.received_at for row in rows)
    assert {row.jws for row in rows} == {text(one) for one in [*bank, *hotel[:8]]}
    middle = list(archive.rows(audience="bank", since=moments[1], until=moments[3]))
    assert [(row.audience, row.seq) for row in middle] == [("bank", seq) for seq in range(6, 16)]
    assert [row.sha256 for row in middle] == [one.sha256 for one in bank[5:15]]
    assert list(archive.rows(audience="shop", since=None, until=None)) == []
    assert list(archive.rows(audience=None, since=moments[3] + timedelta(1), until=None)) == []


def test_rows_end_where_the_archive_ended_when_they_were_asked_for(
    archive: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Collectors that write faster than an export verifies would keep it going for ever."""
    monkeypatch.setattr(archive_read, "PORTION", 2)
    chain = forged_chain(60)
    archive.store(chain[:6], NOW)
    found = []
    for number, row in enumerate(archive.rows(audience=None, since=None, until=None), 1):
        found.append(row.seq)
        archive.store(chain[6 + number : 7 + number], NOW + timedelta(seconds=number))
    assert found == [1, 2, 3, 4, 5, 6]


def test_retention_takes_bodies_and_leaves_the_ledger(archive: Any) -> None:
    bank, hotel = forged_chain(8), forged_chain(3, audience="hotel")
    later = NOW + timedelta(days=30)
    archive.store([*bank[:6], *hotel], NOW)
    archive.store(bank[6:], later)
    before = archive.ledger()
    assert archive.forget("bank", NOW + timedelta(seconds=1), 4, later) == 4
    assert archive.forget("bank", NOW + timedelta(seconds=1), 4, later) == 2
    assert archive.forget("bank", NOW + timedelta(seconds=1), 4, later) == 0
    assert archive.forget("nobody", later, 4, later) == 0
    assert archive.ledger() == before
    bodies = {row.seq: row.jws for row in archive.rows(audience="bank", since=None, until=None)}
    assert bodies == dict.fromkeys(range(1, 7)) | {one.found.payload.seq: text(one) for one in bank[6:]}
    assert archive.page("bank", [span(1)], 99).messages == tuple(map(text, bank[6:]))
    counts = {one.audience: one for one in archive.audiences()}
    assert (counts["bank"].stored, counts["bank"].forgotten, counts["bank"].oldest) == (8, 6, later)
    assert (counts["hotel"].stored, counts["hotel"].forgotten, counts["hotel"].oldest) == (3, 0, NOW)
    # What is forgotten is still known: its copy is a duplicate, and another story of it an alarm.
    archived = archive.store([bank[0], forged(2, bank[0].sha256, "other")], later)
    assert (archived.duplicates, [one.code for one in archived.alarms]) == (1, ["stream.equivocation"])
    assert archived.answers[0].ranges[0].first == 1


def test_what_retention_dropped_is_not_in_the_file_any_more(place: Town, tmp_path: Path) -> None:
    secret = "k" * 3000
    with opened(str(tmp_path / "a.sqlite"), place.anchor) as archive:
        archive.store([forged(1, None, secret, jti="j"), *forged_chain(50, iss="box-2")], NOW)
        assert any(secret.encode() in path.read_bytes() for path in tmp_path.iterdir())
        archive.forget("bank", NOW + timedelta(1), 100, NOW)
        assert not any(secret[:200].encode() in path.read_bytes() for path in tmp_path.iterdir())


def test_what_a_reader_kept_in_the_log_goes_when_retention_looks_again(place: Town, tmp_path: Path) -> None:
    secret = "k" * 3000
    later = NOW + timedelta(1)

    def is_there() -> bool:
        return any(secret[:200].encode() in path.read_bytes() for path in tmp_path.iterdir())

    with opened(str(tmp_path / "a.sqlite"), place.anchor) as archive:
        archive.store([forged(1, None, secret, jti="j")], NOW)
        reader = open_reader(str(tmp_path / "a.sqlite"))
        half = iter(reader._query("SELECT body FROM envelope UNION ALL SELECT 'more'"))
        assert next(half)
        assert archive.forget("bank", later, 100, later) == 1
        assert is_there(), "an export is reading what was"
        list(half)
        reader.close()
        assert archive.forget("bank", later, 100, later) == 0
        assert not is_there()


def test_a_reader_reads_and_nothing_else(archive: Any) -> None:
    chain = forged_chain(4)
    archive.store([chain[0], chain[3], forged_gap(2, 2)], NOW)
    reader = open_reader(archive.where)
    assert reader.holes() == archive.holes() != []
    assert reader.ledger() == archive.ledger()
    assert reader.audiences() == archive.audiences()
    assert [row.seq for row in reader.rows(audience="bank", since=None, until=None)] == [1, 4]
    archive.store(chain, NOW)
    assert len(list(reader.rows(audience="bank", since=None, until=None))) == 4, "beside a writer"
    with pytest.raises(StateError, match=r"state\.unusable|archive\.read_only"):
        list(reader._query("DELETE FROM alarm RETURNING code"))
    reader.close()


@pytest.mark.parametrize("backend", BACKENDS)
def test_another_fleets_archive_is_left_alone(place: Town, tmp_path: Path, backend: str) -> None:
    where = location(backend, tmp_path)
    with opened(where, place.anchor):
        pass

    class Other:
        fleet = "south"

    with pytest.raises(StateError) as caught, opened(where, Other()):  # type: ignore[arg-type]
        pass
    assert caught.value.code == "archive.other_fleet"


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_reader_makes_no_archive(place: Town, tmp_path: Path, backend: str) -> None:
    with pytest.raises(StateError) as caught:
        open_reader(location(backend, tmp_path))
    assert caught.value.code == {"sqlite": "state.unusable", "postgres": "archive.not_an_archive"}[backend]
    assert list(tmp_path.iterdir()) == []


def test_a_location_is_a_path_or_a_server() -> None:
    assert sqlite_path("/var/lib/edged/a.sqlite") == "/var/lib/edged/a.sqlite"
    assert sqlite_path("sqlite:a=b.sqlite") == "a=b.sqlite"
    assert sqlite_path("./x/y=z") == "./x/y=z"
    for server in ("postgresql://u:p@h/d", "postgres://h", "host=db dbname=edged", "service=edged"):
        assert sqlite_path(server) is None
    for wrong in ("", "a\0b"):
        with pytest.raises(StateError) as caught:
            sqlite_path(wrong)
        assert caught.value.code == "archive.bad_location"
