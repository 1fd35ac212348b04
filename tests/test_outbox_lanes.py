"""What is looked at, in which order, and that no look, count or start ever walks through the backlog."""

from __future__ import annotations

import re
import sqlite3
from typing import TYPE_CHECKING

import pytest

from edged.errors import StateError
from edged.uplink import outbox_bounds, outbox_lanes, outbox_recovery, outbox_report, outbox_schema
from edged.uplink.database import from_ms
from edged.uplink.outbox import RetryPolicy, StateDatabase
from tests.broker import NOW
from tests.outbox import (
    DEVICE,
    FIRST_SCHEMA,
    commit,
    covering,
    full_count,
    jws_of,
    later,
    open_state,
    receipt,
    rows,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state.sqlite"


@pytest.fixture
def state(path: Path) -> Iterator[StateDatabase]:
    database = open_state(path, retry=RetryPolicy(receipt_s=10, refused_s=60, bound_s=100))
    yield database
    database.close()


def test_live_is_what_came_since_and_was_never_tried_newest_first(state: StateDatabase) -> None:
    for number in range(6):
        commit(state, "bank", name=str(number), at=number)
    state.mark([1, 2], {3: "mqtt.not_authorized"}, later(6))
    since = state.last_id()
    assert since == 6
    for number in range(6, 10):
        commit(state, "bank", name=str(number), at=number)
    state.mark([8], {}, later(10))
    look = state.look(later(17), since=since, live=2, backlog=9)
    assert [due.id for due in look.live] == [10, 9]
    assert [due.id for due in look.backlog] == [4, 5, 6, 1, 2], "as they fell due"
    assert look.wait_s == 3, "until 8 is tried again"
    look = state.look(later(17), since=since, skip={10, 4, 1}, live=2, backlog=3)
    assert [due.id for due in look.live] == [9, 7]
    assert [due.id for due in look.backlog] == [5, 6, 2]
    look = state.look(later(100), since=since, live=0, backlog=100)
    assert look.live == []
    assert [due.id for due in look.backlog] == [4, 5, 6, 1, 2, 8, 3]
    assert look.wait_s is None
    assert len({due.id for due in look.backlog}) == 7


def test_a_clock_that_was_set_back_holds_nothing_up(state: StateDatabase) -> None:
    commit(state, "bank")
    state.mark([1], {}, later(86_400))
    look = state.look(later(0), since=1, live=1, backlog=1)
    assert [due.id for due in look.backlog] == [1]


def test_nothing_to_do_is_nothing_to_wait_for(state: StateDatabase) -> None:
    assert state.last_id() == 0
    look = state.look(NOW, since=0, live=5, backlog=5)
    assert (look.live, look.backlog, look.gaps, look.drafts, look.wait_s) == ([], [], [], False, None)


def test_every_look_uses_an_index_of_its_own(state: StateDatabase) -> None:
    wanted = {
        outbox_lanes.LIVE: "untried",
        outbox_lanes.UNTRIED: "untried",
        outbox_lanes.RETRIES: "retries",
        outbox_lanes.GAPS: "gap_retries",
        outbox_lanes.DRAFTS: "gap_drafts",
        outbox_bounds._OLDEST: "losses",
        outbox_bounds._TOO_OLD: "ages",
        outbox_report._OLDEST: "losses",
        outbox_report._LAST_REFUSAL: "refused",
        "SELECT * FROM envelope WHERE sha256 = ? AND state = 'pending'": "hashes",
        "SELECT * FROM envelope WHERE log_id = ? AND audience = ? AND seq BETWEEN ? AND ? ORDER BY seq": "auto",
    }
    for statement, index in wanted.items():
        values = [0] * statement.count("?")
        plan = "\n".join(row["detail"] for row in rows(state, f"EXPLAIN QUERY PLAN {statement}", *values))
        assert re.search(rf"USING (COVERING )?INDEX \w*{index}", plan), plan
        assert "TEMP B-TREE" not in plan, plan


def flood(state: StateDatabase, count: int) -> None:
    """Pending envelopes without end, as months offline leave them; every third was tried."""
    with state.transaction():
        state._connection.executemany(
            "INSERT INTO envelope (inspection, log_id, audience, seq, sha256, kind, size, committed_at, aged_from,"
            " attempts, next_try, refused_by, refused_reason, jws) VALUES"
            " ('i', ?, 'hotel', ?, 'none', 'live', 3, ?, ?, ?, ?, ?, ?, 'jws')",
            (
                (state.log_id, seq, seq, seq, seq % 3 == 0, seq)
                + (("broker", "mqtt.not_authorized") if seq % 3 == 0 else (None, None))
                for seq in range(1, count + 1)
            ),
        )


class Steps:
    """Counts SQLite's virtual machine instructions, in hundreds."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.hundreds = 0
        connection.set_progress_handler(self._count, 100)

    def _count(self) -> int:
        self.hundreds += 1
        return 0


def spent_on(path: Path, count: int, monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    state = open_state(path)
    flood(state, count)
    state.close()
    counters: list[Steps] = []
    connect = sqlite3.connect

    def counting(*args: object, **kwargs: object) -> sqlite3.Connection:
        made: sqlite3.Connection = connect(*args, **kwargs)  # type: ignore[call-overload]
        counters.append(Steps(made))
        return made

    with monkeypatch.context() as patch:
        patch.setattr(
            outbox_recovery, "CHECKED_AT_START", 0
        )  # as with a file too large to be read at a start
        patch.setattr(sqlite3, "connect", counting)
        state, found = outbox_recovery.open_state(path, device=DEVICE, now=NOW)
    assert found is None
    spent = {"open": sum(one.hundreds for one in counters)}
    works: dict[str, Callable[[], object]] = {
        "look": lambda: state.look(NOW, since=state.last_id() - 5, live=8, backlog=32),
        "counts": state.counts,
        "commit": lambda: commit(state, "bank", name="fresh"),
        "mark": lambda: state.mark([7, 8], {9: "mqtt.not_authorized"}, NOW),
        "tidy": lambda: state.tidy(NOW, clock_trusted=False),
        "dead": state.dead,
    }
    for name, work in works.items():
        counter = Steps(state._connection)
        work()
        spent[name] = counter.hundreds
    state.close()
    return spent


def test_a_hundred_thousand_waiting_cost_no_more_than_a_few(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Instructions, not seconds: start, look, counts, commit and tidy are the same whatever waits."""
    monkeypatch.setattr(outbox_lanes, "check_body", lambda row: None)  # bodies here are three letters
    few = spent_on(tmp_path / "few.sqlite", 200, monkeypatch)
    many = spent_on(tmp_path / "many.sqlite", 100_000, monkeypatch)
    for name, spent in few.items():
        assert many[name] <= spent + 3, (few, many)


# --- from the first release ---


def first_release(path: Path) -> None:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    for statement in FIRST_SCHEMA.split(";"):
        connection.execute(statement)
    meta = {
        "device": DEVICE,
        "log_id": "old",
        "created_at": "5",
        "last_commit": "9000",
        "last_receipt": "8000",
    }
    connection.executemany("INSERT INTO meta VALUES (?, ?)", meta.items())
    connection.executemany("INSERT INTO stream VALUES (?, 4, 'abc')", [("bank",), ("hotel",)])
    for audience in ("bank", "hotel"):
        for seq in range(1, 4):
            connection.execute(
                "INSERT INTO envelope (inspection, audience, seq, sha256, jws, committed_at, published_at, attempts,"
                " next_try, refused_reason, receipted_at) VALUES ('i', ?, ?, ?, ?, 1000, ?, ?, 2000, ?, ?)",
                (
                    audience,
                    seq,
                    f"{seq}" * 64,
                    None if seq == 1 else jws_of("old", audience, seq, None),
                    None if seq == 3 else 1500,
                    0 if seq == 3 and audience == "bank" else 1,
                    "mqtt.not_authorized" if (audience, seq) == ("hotel", 3) else None,
                    1600 if seq == 1 else None,
                ),
            )
    connection.close()


def test_a_database_of_the_first_release_is_taken_over_whole(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox_lanes, "check_body", lambda row: None)
    first_release(path)
    state = open_state(path)
    assert state.log_id == "old"
    assert (state.last_commit(), state.last_receipt()) == (from_ms(9000), from_ms(8000))
    assert rows(state, "PRAGMA user_version")[0][0] == 2
    assert rows(state, "PRAGMA foreign_key_check") == []
    assert rows(state, "PRAGMA integrity_check")[0][0] == "ok"
    counts = state.counts()
    assert counts == full_count(state)
    assert (counts.committed, counts.published, counts.receipted, counts.pending, counts.refused) == (
        6,
        4,
        2,
        4,
        1,
    )
    assert counts.last_refusal == "mqtt.not_authorized"
    look = state.look(later(0), since=0, live=9, backlog=9)
    assert [(due.audience, due.seq, due.log_id) for due in look.live] == [("bank", 3, "old")]
    assert [(due.audience, due.seq) for due in look.backlog] == [("bank", 2), ("hotel", 2), ("hotel", 3)]
    assert look.backlog[0].jws == jws_of("old", "bank", 2, None)
    (next_one,) = commit(state, "bank", name="next")
    assert next_one.seq == 4
    assert (
        "abc" in str(rows(state, "SELECT jws FROM envelope ORDER BY id DESC LIMIT 1")[0][0]) or next_one.jws
    )
    assert [row["name"] for row in rows(state, "SELECT name FROM sqlite_schema WHERE name LIKE 'old%'")] == []
    outcome = state.apply_receipt(receipt(covering("old", [next_one])), later(1))
    assert len(outcome.receipted) == 1
    state.close()
    state = open_state(path)
    assert state.counts().committed == 7
    state.close()


def test_an_upgrade_that_is_cut_off_is_no_upgrade(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first_release(path)
    with monkeypatch.context() as patch:
        patch.setattr(
            outbox_schema, "_FROM_FIRST", (*outbox_schema._FROM_FIRST[:-1], "SELECT * FROM nothing")
        )
        with pytest.raises(sqlite3.OperationalError):
            open_state(path)
    state = open_state(path)
    assert state.counts().pending == 4
    state.close()


def test_a_later_releases_database_is_left_alone(path: Path) -> None:
    open_state(path).close()
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version=3")
    connection.close()
    for opener in (open_state, lambda file: outbox_recovery.open_state(file, device=DEVICE, now=NOW)):
        with pytest.raises(StateError) as caught:
            opener(path)
        assert caught.value.code == "state.newer"
