"""A broken state database is set aside and replaced, and what can be read of it comes over."""

from __future__ import annotations

import asyncio
import hashlib
import os
import pathlib
import random
import shutil
import sqlite3
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edged.errors import StateError
from edged.uplink import outbox_aside, outbox_recovery, outbox_salvage, outbox_upkeep
from edged.uplink.database import DatabaseThread
from edged.uplink.outbox import Bounds, StateDatabase
from edged.uplink.outbox_pages import Pages
from edged.uplink.outbox_recovery import Recovered
from edged.uplink.receipts import ReceiptRange, range_sha256
from tests.broker import NOW
from tests.outbox import (
    DEVICE,
    FIRST_SCHEMA,
    commit,
    covering,
    jws_of,
    later,
    open_state,
    receipt,
    rows,
    seal_all,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from pathlib import Path

    from edged.uplink.receipts import Receipt

PAGE = 4096
AUDIENCES = ("bank", "hotel")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state.sqlite"


def recover(path: Path) -> tuple[StateDatabase, Recovered | None]:
    return outbox_recovery.open_state(path, device=DEVICE, now=NOW, audiences=AUDIENCES)


def recovered(path: Path) -> tuple[StateDatabase, Recovered]:
    state, found = recover(path)
    assert found is not None, "nothing was found broken"
    return state, found


Committed = dict[tuple[str, int], str]


def fill(path: Path, count: int = 60, *, filler: int = 700) -> tuple[str, Committed]:
    """A database with `count` pending envelopes for each audience but ten receipted ones; (log_id, bodies)."""
    state = open_state(path)
    committed: Committed = {}
    bank = []
    for number in range(count):
        for envelope in commit(state, "bank", "hotel", name=str(number), at=number, filler=filler):
            committed[envelope.audience, envelope.seq] = envelope.jws
            bank += [envelope] if envelope.audience == "bank" else []
    state.apply_receipt(receipt(covering(state.log_id, bank[:10])), later(count))
    log_id = state.log_id
    state.close()
    return log_id, committed


def told(state: StateDatabase) -> list[tuple[str, str, int, int | None, str]]:
    return [
        tuple(row)
        for row in rows(
            state, "SELECT log_id, audience, first, last, reason FROM gap ORDER BY audience, first"
        )
    ]


def check_accounted(state: StateDatabase, log_id: str, committed: Committed) -> set[tuple[str, int]]:
    """Every number is carried over verbatim or in a gap record; the numbers that were carried over."""
    here = {
        (row["audience"], row["seq"]): row["jws"]
        for row in rows(state, "SELECT audience, seq, jws FROM envelope WHERE log_id = ?", log_id)
    }
    gaps = told(state)
    for place, jws in committed.items():
        if place in here:
            assert here[place] in (jws, None)
            continue
        assert any(
            (gap_log, audience) == (log_id, place[0])
            and first <= place[1]
            and (last is None or place[1] <= last)
            for gap_log, audience, first, last, _ in gaps
        ), f"nobody says a word of {place}"
    return set(here)


def damage(path: Path, at: int, data: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        file.write(data)


def leaves(path: Path, needle: bytes) -> list[int]:
    """Offsets of table leaves that hold `needle`."""
    data = path.read_bytes()
    return [at for at in range(PAGE, len(data), PAGE) if data[at] == 0x0D and needle in data[at : at + PAGE]]


def test_a_sound_database_is_just_opened(path: Path) -> None:
    log_id, _ = fill(path)
    state, found = recover(path)
    assert found is None
    assert state.log_id == log_id
    state.close()
    assert sorted(file.name for file in path.parent.iterdir()) == ["state.sqlite"]


def test_a_new_box_has_nothing_to_recover(path: Path) -> None:
    state, found = recover(path)
    assert found is None
    assert state.counts().committed == 0
    state.close()


def test_every_repair_begins_a_log_of_its_own(path: Path) -> None:
    """Two logs of one name would be two stories of one device."""
    logs = [fill(path, 15)[0]]
    for _ in range(2):
        damage(path, 0, b"\xff" * 100)
        state, _found = recovered(path)
        logs.append(state.log_id)
        state.close()
    assert len(set(logs)) == 3


@pytest.mark.parametrize("damaged", ["header", "first_page", "not_a_database", "truncated_header"])
def test_without_a_beginning_everything_behind_it_comes_over(path: Path, damaged: str) -> None:
    log_id, committed = fill(path)
    whole = path.read_bytes()
    match damaged:
        case "header":
            damage(path, 0, b"\xff" * 100)
        case "first_page":
            damage(path, 0, random.Random(1).randbytes(PAGE))
        case "not_a_database":
            path.write_bytes(b"this is not a database at all, " * 20)
        case "truncated_header":
            path.write_bytes(whole[:50])
    state, found = recovered(path)
    if len(whole) == path.with_name(found.aside).stat().st_size:
        carried = check_accounted(state, log_id, committed)
        assert carried == set(committed)
        assert state.counts().pending == len(committed) - 10
        assert told(state) == []
        assert state.last_commit() == later(59)
        assert found.salvaged.log_known
    else:
        assert not found.salvaged.log_known
        assert told(state) == [
            (outbox_salvage.UNKNOWN_LOG, audience, 1, None, "unreadable") for audience in AUDIENCES
        ]
    assert state.log_id not in (log_id, outbox_salvage.UNKNOWN_LOG)
    assert commit(state, "bank", name="next")[0].seq == 1, "a new log begins from 1"
    state.close()


def test_a_page_in_the_middle_costs_its_own_rows_alone(path: Path) -> None:
    log_id, committed = fill(path)
    at = leaves(path, committed["hotel", 30].encode())[0]
    damage(path, at, b"\xff" * PAGE)
    state, found = recovered(path)
    carried = check_accounted(state, log_id, committed)
    assert len(committed) - 6 <= len(carried) < len(committed)
    assert all(last is not None for *_, last, _ in told(state)), "the streams say where they end"
    assert found.salvaged.gaps == len(told(state)) > 0
    state.close()
    state, again = recover(path)
    assert again is None
    state.close()


def test_every_page_in_turn(path: Path) -> None:
    """Whichever page is lost: every number comes over or is in a gap record, and the box goes on."""
    log_id, committed = fill(path, 25, filler=900)
    whole = path.read_bytes()
    lost = 0
    for at in range(0, len(whole), PAGE):
        for file in path.parent.iterdir():
            file.unlink()
        path.write_bytes(whole[:at] + b"\xa5" * PAGE + whole[at + PAGE :])
        state, found = recover(path)
        if found is None:
            assert state.log_id == log_id
            assert state.counts().pending == len(committed) - 10
        else:
            lost += len(committed) - len(check_accounted(state, log_id, committed))
        state.close()
    assert lost > 0, "pages with envelopes were among them"


@pytest.mark.parametrize("pages", [1, 3, 9, 20])
def test_a_truncated_file(path: Path, pages: int) -> None:
    log_id, committed = fill(path)
    with path.open("r+b") as file:
        file.truncate(pages * PAGE + 100)
    state, _ = recovered(path)
    gaps = told(state)
    named = log_id if any(gap[0] == log_id for gap in gaps) else outbox_salvage.UNKNOWN_LOG
    carried = check_accounted(state, named, committed)
    assert len(carried) < len(committed)
    state.close()


def crashed(path: Path) -> tuple[Path, str]:
    """The files as a power cut leaves them: with a write-ahead log."""
    state = open_state(path)
    for number in range(30):
        commit(state, "bank", name=str(number), filler=300)
    copy = path.with_name("cut") / path.name
    copy.parent.mkdir()
    for file in path.parent.glob("state.sqlite*"):
        shutil.copy(file, copy.parent)
    state.close()
    assert outbox_aside.log_path(copy).stat().st_size > 0
    return copy, state.log_id


def test_a_log_that_is_garbage_is_no_empty_log(path: Path) -> None:
    """SQLite would take it for empty and give the numbers in it once more."""
    path, _ = crashed(path)
    damage(outbox_aside.log_path(path), 0, b"\xa5" * 32)
    state, found = recovered(path)
    assert path.with_name(f"{found.aside}-wal").exists()
    named = {gap[0] for gap in told(state)}
    assert named
    assert all(last is None for *_, last, _ in told(state)), "nobody can tell how many there were"
    state.close()


def test_what_only_the_log_held_comes_over(path: Path) -> None:
    cut, log_id = crashed(path)
    damage(cut, 0, b"\xff" * 100)
    state, _ = recovered(cut)
    assert [row["seq"] for row in rows(state, "SELECT seq FROM envelope WHERE log_id = ?", log_id)] == list(
        range(1, 31)
    )
    assert told(state) == []
    assert state.log_id != log_id, "the old log was laid over the new database"
    assert commit(state, "bank", name="new")[0].seq == 1
    state.close()


def test_dead_letters_gap_records_and_floors_come_over(path: Path) -> None:
    state = open_state(path, bounds=Bounds(max_bytes=5000))
    for number in range(10):
        commit(state, "bank", name=str(number), filler=600, at=number)
    alive = [row["id"] for row in rows(state, "SELECT id FROM envelope WHERE state = 'pending'")]
    for turn in range(3):
        state.mark([], {alive[0]: "mqtt.packet_too_large"}, later(turn * 3600))
    seal_all(state)
    before = told(state)
    assert {gap[4] for gap in before} == {"too_many_bytes", "refused"}
    counts = state.counts()
    assert counts.dead == 1
    log_id, dead = state.log_id, state.dead()
    state.close()
    damage(path, 0, b"\xff" * 100)
    state, _ = recovered(path)
    assert told(state) == before
    assert state.dead() == dead
    after = state.counts()
    assert (after.pending, after.dead, after.lost, after.gaps_pending) == (
        counts.pending,
        1,
        counts.lost,
        counts.gaps_pending,
    )
    assert state.last_commit() == later(9)
    assert state.retry_dead(None, later(9)) == 1
    envelopes = rows(state, "SELECT seq, sha256 FROM envelope WHERE log_id = ? ORDER BY seq", log_id)
    assert len(envelopes) == 10
    state.close()


def test_carried_envelopes_are_delivered_verbatim_and_receipted_under_their_own_log(path: Path) -> None:
    log_id, committed = fill(path, 12)
    damage(path, 0, b"\xff" * 100)
    state, _ = recovered(path)
    fresh = commit(state, "hotel", name="fresh", at=100)
    look = state.look(later(100), since=state.last_id() - 1, live=5, backlog=50)
    assert [due.jws for due in look.live] == [fresh[0].jws]
    assert {due.log_id for due in look.backlog} == {log_id}
    assert {(due.audience, due.seq): due.jws for due in look.backlog}.items() <= committed.items()
    hotel = [
        row["sha256"]
        for row in rows(
            state, "SELECT sha256 FROM envelope WHERE log_id = ? AND audience = 'hotel' ORDER BY seq", log_id
        )
    ]
    outcome = state.apply_receipt(
        receipt(ReceiptRange(log_id, "hotel", 1, 12, range_sha256(hotel))), later(101)
    )
    assert len(outcome.receipted) == 12
    state.close()


def test_a_late_receipt_for_what_cannot_be_read_is_no_alarm(path: Path) -> None:
    log_id, committed = fill(path)
    damage(path, leaves(path, committed["hotel", 30].encode())[0], b"\xff" * PAGE)
    state, _ = recovered(path)
    assert ("hotel", 30) not in check_accounted(state, log_id, committed)
    outcome = state.apply_receipt(receipt(ReceiptRange(log_id, "hotel", 25, 35, "0" * 64)), later(100))
    assert outcome.receipted == outcome.refused == ()
    state.close()


def test_a_first_release_that_broke_before_its_upgrade(path: Path) -> None:
    connection = sqlite3.connect(path)
    for statement in FIRST_SCHEMA.split(";"):
        connection.execute(statement)
    connection.executemany("INSERT INTO meta VALUES (?, ?)", {"device": DEVICE, "log_id": "old"}.items())
    prev = None
    connection.execute("INSERT INTO stream VALUES ('bank', 41, NULL)")
    for seq in range(1, 41):
        jws = jws_of("old", "bank", seq, prev, 500)
        prev = hashlib.sha256(jws.encode()).hexdigest()
        body = (None, 5) if seq <= 3 else (jws, None)
        connection.execute(
            "INSERT INTO envelope (inspection, audience, seq, sha256, jws, committed_at, next_try, receipted_at)"
            " VALUES ('i', 'bank', ?, ?, ?, 1000, 1000, ?)",
            (seq, prev, *body),
        )
    connection.commit()
    connection.close()
    damage(path, 0, b"\xff" * 100)
    state, found = recovered(path)
    assert found.salvaged.log_known
    kept = rows(state, "SELECT seq, state FROM envelope WHERE log_id = 'old' ORDER BY seq")
    assert [tuple(row) for row in kept] == [
        (seq, "receipted" if seq <= 3 else "pending") for seq in range(1, 41)
    ]
    assert told(state) == [("old", "bank", 41, None, "unreadable"), ("old", "hotel", 1, None, "unreadable")]
    state.close()


def header(at: int, data: bytes) -> Callable[[Path], None]:
    return lambda path: damage(path, at, data)


def change(statement: str) -> Callable[[Path], None]:
    def changed(path: Path) -> None:
        connection = sqlite3.connect(path)
        connection.execute(statement)
        connection.commit()
        connection.close()

    return changed


NONSENSE = {
    "of a format that SQLite only reads": header(18, b"\x0d"),
    "of a schema that SQLite doesn't know": header(47, b"\x09"),
    "of a release that will never be": header(60, b"\x0d"),
    "of the first release with tables of this one": change("PRAGMA user_version = 0"),
    "without an index": change("DROP INDEX untried"),
    "without a name": change("DELETE FROM meta"),
    "about to give a number once more": change("UPDATE stream SET next_seq = 3 WHERE audience = 'hotel'"),
}


@pytest.mark.parametrize("size", ["small", "large"])
@pytest.mark.parametrize("nonsense", NONSENSE.values(), ids=NONSENSE)
def test_a_database_that_says_nonsense_is_repaired(
    path: Path, monkeypatch: pytest.MonkeyPatch, nonsense: Callable[[Path], None], size: str
) -> None:
    """Each of these ended the daemon at every start, with a bug's traceback or as somebody else's database."""
    if size == "large":
        large(monkeypatch)
    log_id, committed = fill(path, 6)
    nonsense(path)
    state, _ = recovered(path)
    assert check_accounted(state, log_id, committed) == set(committed)
    assert commit(state, "hotel", name="next")[0].seq == 1
    state.close()


def test_another_boxs_broken_database_is_left_alone(path: Path) -> None:
    fill(path)
    damage(path, 0, b"\xff" * 100)
    before = path.read_bytes()
    with pytest.raises(StateError) as caught:
        outbox_recovery.open_state(path, device="box-2", now=NOW)
    assert caught.value.code == "state.other_device"
    assert path.read_bytes() == before


class PowerCutError(Exception):
    """Stands for the end of everything between two system calls."""


def cut_off(path: Path, step: int, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Recover until the power goes before the call number `step` that changes or syncs a name; whether it went."""
    left = step

    def counting(function: Callable[..., object]) -> Callable[..., object]:
        def wrapped(*args: object, **kwargs: object) -> object:
            nonlocal left
            left -= 1
            if left < 0:
                raise PowerCutError
            return function(*args, **kwargs)

        return wrapped

    with monkeypatch.context() as patch:
        patch.setattr(os, "link", counting(os.link))
        patch.setattr(os, "fsync", counting(os.fsync))
        patch.setattr(pathlib.Path, "replace", counting(pathlib.Path.replace))
        patch.setattr(pathlib.Path, "unlink", counting(pathlib.Path.unlink))
        try:
            recover(path)[0].close()
        except PowerCutError:
            return True
    return False


@pytest.mark.parametrize("step", range(21))
def test_a_power_cut_at_any_step_loses_nothing(
    path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    """Everything that was committed is in the write-ahead log alone; the next start does the rest."""
    path, log_id = crashed(path)
    damage(path, 0, b"\xff" * 100)
    assert cut_off(path, step, monkeypatch) == (step < 20), "the steps were counted"
    state, _ = recover(path)
    assert state.log_id != log_id
    kept = rows(state, "SELECT seq, state FROM envelope WHERE log_id = ? ORDER BY seq", log_id)
    assert [tuple(row) for row in kept] == [(seq, "pending") for seq in range(1, 31)]
    assert told(state) == []
    assert commit(state, "bank", name="new")[0].seq == 1
    state.close()
    assert not outbox_aside.note_path(path).exists()
    assert len(outbox_aside.kept(path)) == 1


def test_only_a_few_are_kept(path: Path) -> None:
    for _ in range(5):
        fill(path, 2) if not path.exists() else None
        damage(path, 0, b"\xff" * 100)
        recovered(path)[0].close()
    assert [file.name for file in outbox_aside.kept(path)] == [f"state.sqlite.corrupt-{n}" for n in (3, 4, 5)]


def test_a_full_disk_leaves_everything_where_it_is(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log_id, committed = fill(path, 12)
    damage(path, 0, b"\xff" * 100)
    broken = path.read_bytes()

    def full(*args: object) -> None:
        raise StateError("state.disk_full")

    with monkeypatch.context() as patch:
        patch.setattr(outbox_salvage.Salvage, "run", full)
        with pytest.raises(StateError):
            recover(path)
    assert path.read_bytes() == broken
    state, _ = recovered(path)
    assert check_accounted(state, log_id, committed) == set(committed)
    state.close()


async def test_what_breaks_while_running_is_repaired_at_the_next_start(path: Path) -> None:
    log_id, committed = fill(path)
    at = leaves(path, committed["hotel", 30].encode())[0]
    thread = await DatabaseThread.open("state", lambda: recover(path)[0])
    damage(path, at, b"\xff" * PAGE)
    with pytest.raises(StateError) as caught:
        await thread.run(lambda state: state.ledger())
    assert caught.value.code == "state.corrupt"
    assert thread.corrupt.is_set()
    await thread.close()
    assert outbox_aside.note_path(path).exists()
    state, _ = recovered(path)
    assert state.log_id != log_id
    check_accounted(state, log_id, committed)
    state.close()


def test_the_weekly_check_finds_what_no_start_looks_at(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, committed = fill(path, 120)
    assert outbox_recovery.check(path)
    monkeypatch.setattr(outbox_recovery, "CHECKED_AT_START", 0)
    damage(path, leaves(path, committed["bank", 60].encode())[0], b"\xff" * PAGE)
    state, found = recover(path)
    assert found is None, "a large file isn't read whole at a start"
    assert not outbox_recovery.check(path)
    state.close()
    recovered(path)[0].close()


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, str, Committed]:
    path = tmp_path_factory.mktemp("sound") / "state.sqlite"
    log_id, committed = fill(path, 6, filler=1500)
    return path.read_bytes(), log_id, committed


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_any_damage_ends_in_a_working_box(
    data: st.DataObject,
    sound: tuple[bytes, str, Committed],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """Whatever bytes are changed: nothing is made up, nothing raises, the next commit works."""
    whole, log_id, committed = sound
    path = tmp_path_factory.mktemp("any") / "state.sqlite"
    path.write_bytes(whole)
    size = len(whole)
    place = st.integers(0, size - 1) | st.integers(0, 99)
    for at, junk in data.draw(st.lists(st.tuples(place, st.binary(min_size=1, max_size=200)), max_size=4)):
        damage(path, at, junk)
    with path.open("r+b") as file:
        file.truncate(data.draw(st.integers(PAGE, size) | st.just(size)))
    state, _ = recover(path)
    for row in rows(state, "SELECT * FROM envelope WHERE jws IS NOT NULL AND log_id = ?", log_id):
        assert committed[row["audience"], row["seq"]] == row["jws"]
    commit(state, "bank", "hotel", name="after")
    seal_all(state)
    state.close()


def test_long_bodies_are_followed_over_their_pages(path: Path) -> None:
    _, committed = fill(path, 12, filler=12_000)
    pages = Pages(path)
    bodies = {values[-1] for _, values in pages.rows() if len(values) == 23 and values[-1] is not None}
    pages.close()
    assert bodies == {jws for place, jws in committed.items() if place[0] != "bank" or place[1] > 10}


def large(monkeypatch: pytest.MonkeyPatch) -> None:
    """As with a file too large to be read whole at a start."""
    monkeypatch.setattr(outbox_recovery, "CHECKED_AT_START", 0)


def flip(path: Path, body: str, bit: int) -> None:
    raw = body.encode()
    damage(path, path.read_bytes().index(raw) + 20, bytes([raw[20] ^ bit]))


BITS = pytest.mark.parametrize("bit", [0x01, 0x80], ids=["a letter", "not UTF-8"])


@BITS
def test_a_bit_within_a_body_is_noticed_at_the_start(path: Path, bit: int) -> None:
    """SQLite sees nothing wrong; nobody would ever take it, and nobody would say so."""
    log_id, committed = fill(path, 12)
    flip(path, committed["hotel", 5], bit)
    state, _ = recovered(path)
    assert check_accounted(state, log_id, committed) == set(committed) - {("hotel", 5)}
    assert told(state) == [(log_id, "hotel", 5, 5, "unreadable")]
    state.close()


@BITS
def test_a_bit_within_a_body_is_noticed_before_it_is_sent(
    path: Path, monkeypatch: pytest.MonkeyPatch, bit: int
) -> None:
    large(monkeypatch)
    log_id, committed = fill(path, 80)
    flip(path, committed["hotel", 40], bit)
    state, found = recover(path)
    assert found is None
    with pytest.raises(StateError) as caught:
        state.look(later(100), since=0, live=200, backlog=50)
    assert caught.value.code == "state.corrupt"
    state.note_corrupt()  # as the database's thread does
    state.close()
    state, _ = recovered(path)
    assert check_accounted(state, log_id, committed) == set(committed) - {("hotel", 40)}
    state.close()


def test_a_bit_within_a_body_is_noticed_by_the_weekly_check(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    large(monkeypatch)
    _, committed = fill(path, 12)
    flip(path, committed["hotel", 5], 1)
    assert not outbox_recovery.check(path)
    recovered(path)[0].close()


def test_a_page_cut_short_is_no_page_of_zeros(path: Path) -> None:
    """One damaged counter, and SQLite takes the length for the number of pages and what is missing for zeros."""
    log_id, committed = fill(path, 6, filler=1500)
    damage(path, 27, b"\0")
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size - 2100)
    state, _ = recovered(path)
    check_accounted(state, log_id, committed)
    state.close()


WRONG = (
    ("committed_at", 1 << 52, lambda state: state.look(later(100), since=0, live=50, backlog=50)),
    ("sha256", "z" * 64, lambda state: state.apply_receipt(of_hotel(state.log_id, 1, 3), later(9))),
)


def of_hotel(log_id: str, first: int, last: int) -> Receipt:
    return receipt(ReceiptRange(log_id, "hotel", first, last, "0" * 64))


@pytest.mark.parametrize(("column", "value", "use"), WRONG, ids=[column for column, *_ in WRONG])
def test_what_cannot_have_been_stored_is_a_broken_file_and_not_the_daemons_end(
    path: Path,
    monkeypatch: pytest.MonkeyPatch,
    column: str,
    value: object,
    use: Callable[[StateDatabase], object],
) -> None:
    """And what the repair carries over doesn't end the next start in the same way."""
    large(monkeypatch)
    log_id, committed = fill(path, 6)
    state = open_state(path)
    rows(state, f"UPDATE envelope SET {column} = ? WHERE audience = 'hotel' AND seq = 2", value)
    with pytest.raises(StateError) as caught:
        use(state)
    assert caught.value.code == "state.corrupt"
    state.note_corrupt()
    state.close()
    state, _ = recovered(path)
    state.look(later(100), since=0, live=50, backlog=50)
    state.apply_receipt(of_hotel(log_id, 1, 3), later(9))
    assert check_accounted(state, log_id, committed) == set(committed) - {("hotel", 2)}
    state.close()


@pytest.mark.parametrize("value", ["9" * 15, "soon"])
def test_a_floor_that_cannot_be_one_is_a_broken_file(path: Path, value: str) -> None:
    fill(path, 3)
    state = open_state(path)
    rows(state, "UPDATE meta SET value = ? WHERE key = 'last_commit'", value)
    with pytest.raises(StateError) as caught:
        state.last_commit()
    assert caught.value.code == "state.corrupt"
    state.note_corrupt()
    state.close()
    state, _ = recovered(path)
    assert state.last_commit() == later(2), "the latest envelope says it as well"
    state.close()


class Ticking:
    """A clock for the upkeep; every reading of it is another hour."""

    def __init__(self) -> None:
        self.hours = 0
        self.read = asyncio.Event()

    async def __call__(self) -> tuple[datetime, bool]:
        self.hours += 1
        if self.hours > 3:
            self.read.set()
        return later(self.hours * 3600), True


async def test_the_upkeep_tidies_checks_and_ends_when_the_database_is_broken(path: Path) -> None:
    """The daemon's task group ends with it; the next start repairs."""
    log_id, committed = fill(path)
    bounds = Bounds(max_bytes=60_000)
    thread = await DatabaseThread.open("state", lambda: open_state(path, bounds=bounds))
    clock = Ticking()
    upkeep = asyncio.create_task(outbox_upkeep.keep(thread, path, clock, tidy_s=0.001))
    await asyncio.wait_for(clock.read.wait(), 60)
    counts = await thread.run(lambda state: state.counts())
    assert 0 < counts.bytes_pending <= 60_000
    assert counts.lost > 0
    assert not await thread.run(lambda state: state.check_due(later(7200)))
    assert await thread.run(lambda state: state.check_due(later(8 * 86_400)))
    assert await thread.run(lambda state: state.check_due(later(-86_400))), "the clock was wrong then"
    damage(path, leaves(path, committed["hotel", 55].encode())[0], b"\xff" * PAGE)
    await thread.run(lambda state: rows(state, "PRAGMA shrink_memory"))
    with pytest.raises(StateError):
        await thread.run(lambda state: state.ledger())
    with pytest.raises(StateError) as caught:
        await asyncio.wait_for(upkeep, 60)
    assert caught.value.code == "state.corrupt"
    await thread.close()
    state, _ = recovered(path)
    check_accounted(state, log_id, committed)
    state.close()


async def test_the_upkeeps_own_check_ends_it_as_well(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, committed = fill(path, 120)
    monkeypatch.setattr(outbox_recovery, "CHECKED_AT_START", 0)
    damage(path, leaves(path, committed["bank", 60].encode())[0], b"\xff" * PAGE)
    thread = await DatabaseThread.open("state", lambda: recover(path)[0])
    with pytest.raises(StateError) as caught:
        await asyncio.wait_for(outbox_upkeep.keep(thread, path, Ticking()), 60)
    assert caught.value.code == "state.corrupt"
    await thread.close()
    recovered(path)[0].close()


async def test_a_disk_that_fails_the_upkeep_does_not_end_it(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(path, 2)
    thread = await DatabaseThread.open("state", lambda: open_state(path))

    def full(*args: object, **kwargs: object) -> None:
        raise StateError("state.disk_full")

    monkeypatch.setattr(StateDatabase, "tidy", full)
    clock = Ticking()
    upkeep = asyncio.create_task(outbox_upkeep.keep(thread, path, clock, tidy_s=0.001))
    await asyncio.wait_for(clock.read.wait(), 60)
    assert not upkeep.done()
    upkeep.cancel()
    await asyncio.wait((upkeep,))
    await thread.close()
