"""The journal's entries don't stay for ever, and nothing that still matters goes with them."""

from __future__ import annotations

import asyncio
import sqlite3
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest
from hypothesis import given
from hypothesis import settings as bounded
from hypothesis import strategies as st

from edged.config import JournalSettings
from edged.config_checks import check_box
from edged.errors import ConfigError, StateError
from edged.journal import database, lodging, retention, slips
from edged.journal.database import JOURNAL_FILE, MAX_ENTRIES, Journal
from edged.journal.retention import ALL, AT_ONCE, PRUNED, Bounds, keep_pruned, prune, prune_round, size
from edged.uplink.database import DatabaseThread
from tests.test_judging import settings as box_settings
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator

NOW = datetime(2031, 6, 1, 12, tzinfo=UTC)
YEARS = timedelta(days=3 * 365)
PLENTY = Bounds(YEARS, 1 << 30)
OLD, NEW = NOW - YEARS - timedelta(days=1), NOW - timedelta(days=1)
LOST = datetime(1970, 1, 1, 0, 5, tzinfo=UTC)


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    made = Journal(tmp_path / JOURNAL_FILE)
    yield made
    made.close()


def add(journal: Journal, *entries: tuple[str, str, datetime]) -> None:
    with journal.transaction():
        for kind, subject, at in entries:
            journal.append(kind, subject, {}, at)


def pruned(journal: Journal, bounds: Bounds = PLENTY, *, trusted: bool = True) -> int:
    """A whole round; how many went."""
    count = after = 0
    while True:
        with journal.transaction():
            done, after = prune(journal, bounds, NOW, clock_trusted=trusted, after=after, room=after > 0)
        count += done.entries
        if not done.more:
            return count


def subjects(journal: Journal) -> list[str]:
    """What is left, the oldest first, without what pruning says of itself."""
    return [one.subject for one in reversed(journal.entries(limit=MAX_ENTRIES)) if one.kind != PRUNED]


def test_what_is_old_goes_and_it_is_said(journal: Journal) -> None:
    add(journal, ("handover.taken", "a", OLD), ("handover.taken", "b", OLD + timedelta(hours=1)))
    add(journal, ("handover.taken", "c", NEW))
    assert pruned(journal) == 2
    assert subjects(journal) == ["c"]
    (said,) = journal.entries(kind=PRUNED)
    upto = (OLD + timedelta(hours=1)).isoformat()
    assert (said.subject, said.at, said.detail) == (ALL, NOW, {"entries": 2, "upto": upto, "why": "age"})
    assert pruned(journal) == 0
    assert len(journal.entries(kind=PRUNED)) == 1


def test_at_the_border_it_stays(journal: Journal) -> None:
    add(journal, ("slip.issued", "a", NOW - YEARS), ("slip.issued", "b", NOW - YEARS - timedelta(seconds=1)))
    assert pruned(journal) == 1
    assert subjects(journal) == ["a"]


def test_a_slip_that_is_known_keeps_its_entries_and_its_state(journal: Journal) -> None:
    at, expires = int(OLD.timestamp()), int((NOW + timedelta(days=1)).timestamp())
    with journal.transaction():
        for number in ("VALID", "WITHDRAWN", "REPLACED"):
            slips.add(journal, number, b"signed", issued=at, expires=expires, keep_until=expires)
            slips.count_copy(journal, number)
        slips.end(journal, "WITHDRAWN", "withdrawn", now=at)
        slips.end(journal, "REPLACED", "superseded", now=at, by="VALID")
    before = [slips.find(journal, number) for number in ("VALID", "WITHDRAWN", "REPLACED")]
    known = [("slip.issued", number, OLD) for number in ("VALID", "WITHDRAWN", "REPLACED")]
    add(journal, *known, ("slip.withdrawn", "WITHDRAWN", OLD), ("slip.issued", "FORGOTTEN", OLD))
    assert pruned(journal) == pruned(journal, Bounds(YEARS, 0)) + 1 == 1
    assert subjects(journal) == ["VALID", "WITHDRAWN", "REPLACED", "WITHDRAWN"]
    assert [slips.find(journal, number) for number in ("VALID", "WITHDRAWN", "REPLACED")] == before
    assert [row.number for row in slips.ended(journal, "withdrawn", at)] == ["WITHDRAWN"]
    with journal.transaction():  # once the box has forgotten them, their entries go as well
        slips.forget(journal, now=expires + 1, expired_before=expires + 1)
    assert pruned(journal) == 4


@pytest.mark.parametrize(
    ("state", "stays"),
    [
        *((name, True) for name in ("open", "sealing", "sealed", "correction_wanted")),
        *((name, False) for name in ("abandoned", "accepted", "corrected")),
    ],
)
def test_a_record_that_is_not_settled_keeps_its_entries(journal: Journal, state: str, *, stays: bool) -> None:
    with journal.transaction():
        lodging.begin(
            journal,
            "r1",
            audience="police",
            kind="live",
            reference=None,
            scanned=OLD,
            clock_trusted=True,
            deadline=OLD,
        )
        journal.connection.execute("UPDATE lodging_records SET state = ?", (state,))
    assert pruned(journal) == (0 if stays else 1)
    line = lodging.find(journal, "r1")
    assert line is not None
    assert line.state == state


def test_check_ins_and_rates_are_not_its_business(journal: Journal) -> None:
    with journal.transaction():
        lodging.count_check_ins(journal, date(2028, 1, 1), 7, OLD)
    assert pruned(journal) == 1
    assert lodging.check_ins(journal, date(2028, 1, 1), date(2028, 1, 1))[date(2028, 1, 1)].count == 7


def test_a_clock_in_doubt_prunes_nothing_by_age(journal: Journal) -> None:
    add(journal, ("slip.issued", "a", OLD))
    assert pruned(journal, trusted=False) == 0
    assert subjects(journal) == ["a"]


def test_an_entry_of_a_lost_clock_is_as_old_as_what_came_after_it(journal: Journal) -> None:
    add(journal, ("slip.issued", "lost", LOST), ("slip.issued", "new", NEW))
    assert pruned(journal) == 0
    add(journal, ("slip.issued", "old", OLD), ("slip.issued", "lost again", LOST))
    assert pruned(journal) == 2
    assert subjects(journal) == ["new", "lost again"]


def test_many_go_in_steps(journal: Journal) -> None:
    add(journal, *(("slip.issued", str(number), OLD) for number in range(2 * AT_ONCE + 7)))
    with journal.transaction():
        done, _ = prune(journal, PLENTY, NOW, clock_trusted=True)
    assert (done.entries, done.more) == (AT_ONCE, True)
    assert pruned(journal) == AT_ONCE + 7
    told = [one.detail["entries"] for one in journal.entries(kind=PRUNED)]
    assert sum(told) == 2 * AT_ONCE + 7
    assert max(told) == AT_ONCE


def test_many_that_matter_are_passed_over_in_steps(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "LOOKED_AT", 50)
    with journal.transaction():
        slips.add(journal, "KNOWN", b"", issued=0, expires=1 << 40, keep_until=0)
    add(journal, *(("slip.printed", "KNOWN", OLD) for _ in range(130)), ("slip.printed", "GONE", OLD))
    with journal.transaction():
        done, after = prune(journal, PLENTY, NOW, clock_trusted=True)
    assert (done.entries, done.more, after) == (0, True, 50)
    assert pruned(journal) == 1


@given(st.lists(st.tuples(st.sampled_from([LOST, OLD, NEW]), st.booleans()), max_size=40))
@bounded(max_examples=60, deadline=None)
def test_whatever_is_in_it(entries: list[tuple[datetime, bool]]) -> None:
    """No entry that is new or matters ever goes, by age or for room; an old one that doesn't matter always does."""
    made = _in_memory()
    with made.transaction():
        slips.add(made, "KNOWN", b"", issued=0, expires=1 << 40, keep_until=0)
        numbers = [
            (made.append("slip.printed", "KNOWN" if known else "x", {}, at), at, known)
            for at, known in entries
        ]
    pruned(made)
    left = {one.number for one in made.entries()}
    for number, at, known in numbers:
        if known or at == NEW:
            assert number in left
        elif at == OLD:
            assert number not in left
    made.close()


def _in_memory() -> Journal:
    """A journal without a file: the same tables and statements."""
    from edged.journal.schema import create

    made = Journal.__new__(Journal)
    made.connection = sqlite3.connect(":memory:", isolation_level=None)
    made.connection.row_factory = sqlite3.Row
    create(made.connection)
    return made


def test_too_much_goes_the_oldest_first_whatever_the_clock_says(journal: Journal) -> None:
    detail = {"fields": ["surname"] * 40}
    with journal.transaction():
        for number in range(3000):
            journal.append("handover.taken", str(number), detail, NEW)
    bound = size(journal) // 2
    gone = pruned(journal, Bounds(YEARS, bound), trusted=False)
    assert 1000 <= gone < 2500
    assert size(journal) <= bound
    assert journal.entries(subject=str(gone - 1)) == []
    assert journal.entries(subject=str(gone)) != []
    assert {one.detail["why"] for one in journal.entries(kind=PRUNED)} == {"size"}
    assert pruned(journal, Bounds(YEARS, bound), trusted=False) == 0
    before = size(journal)
    add(journal, ("handover.taken", "next", NEW))
    assert size(journal) <= before + 4096 * 4  # what was deleted is used again


def test_where_only_what_matters_is_left_it_ends(journal: Journal) -> None:
    add(journal, *(("slip.issued", str(number), NEW) for number in range(AT_ONCE + 1)))
    assert pruned(journal, Bounds(YEARS, 0)) == AT_ONCE + 1
    assert pruned(journal, Bounds(YEARS, 0)) == 0
    assert [one.kind for one in journal.entries()] == [PRUNED, PRUNED]


def test_a_full_disk_is_no_end_of_it(journal: Journal) -> None:
    add(journal, *(("slip.issued", str(number), OLD) for number in range(3000)))
    pages = journal.connection.execute("PRAGMA page_count").fetchone()[0]
    journal.connection.execute(f"PRAGMA max_page_count={pages}")
    with pytest.raises(StateError) as error:
        for number in range(2000):
            add(journal, ("slip.issued", f"more {number}" * 20, NEW))
    assert error.value.code == "state.disk_full"
    assert pruned(journal) == 3000
    add(journal, ("slip.issued", "again", NEW))


def test_an_older_journal_gets_what_it_lacks(tmp_path: Path) -> None:
    made = Journal(tmp_path / JOURNAL_FILE)
    add(made, ("slip.issued", "a", OLD))
    with made.transaction():
        made.connection.execute("DROP INDEX entries_at")
    made.close()
    made = Journal(tmp_path / JOURNAL_FILE)
    plan = made.connection.execute(
        f"EXPLAIN QUERY PLAN SELECT number FROM entries WHERE ({retention._OLD})",
        {"began": 0, "cutoff": 1},
    ).fetchall()
    assert any("entries_at" in row["detail"] for row in plan)
    assert pruned(made) == 1
    made.close()


# --- in the daemon ---


async def clock() -> tuple[datetime, bool]:
    return NOW, True


async def test_it_is_done_at_the_start_in_the_journals_own_thread(tmp_path: Path) -> None:
    thread = await DatabaseThread.open("journal", lambda: Journal(tmp_path / JOURNAL_FILE))
    await thread.write(lambda journal: journal.append("slip.issued", "a", {}, OLD))
    task = asyncio.create_task(keep_pruned(thread, PLENTY, clock))
    try:

        async def gone() -> bool:
            return not await thread.run(lambda journal: journal.entries(subject="a"))

        while not await gone():
            await asyncio.sleep(0)
    finally:
        task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await thread.close()


async def test_it_goes_on_after_the_disk_said_no(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "BUSY_S", 0.01)
    path = tmp_path / JOURNAL_FILE
    thread = await DatabaseThread.open("journal", lambda: Journal(path))
    await thread.write(lambda journal: journal.append("slip.issued", "a", {}, OLD))
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StateError) as error:
        await prune_round(thread, PLENTY, clock)
    assert error.value.code == "state.locked"
    asked = 0

    async def counted() -> tuple[datetime, bool]:
        nonlocal asked
        asked += 1
        return await clock()

    task = asyncio.create_task(keep_pruned(thread, PLENTY, counted, every_s=0))
    await until(lambda: asked > 1)  # the first try was refused, and cost nobody anything
    other.execute("ROLLBACK")
    other.close()
    while await thread.run(lambda journal: journal.entries(subject="a")):
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await thread.close()


def test_a_locked_journal_costs_a_verdict_a_second_at_most(journal: Journal) -> None:
    """Everything that is written after a verdict waits for a lock for so long, and no longer."""
    assert database.BUSY_S <= 1
    assert journal.connection.execute("PRAGMA busy_timeout").fetchone()[0] == database.BUSY_S * 1000


@pytest.mark.parametrize(
    ("kept", "where"),
    [
        (JournalSettings(keep_days=29), "journal.keep_days"),
        (JournalSettings(keep_days=3651), "journal.keep_days"),
        (JournalSettings(max_mib=15), "journal.max_mib"),
        (JournalSettings(max_mib=16385), "journal.max_mib"),
    ],
)
def test_bounds_of_the_settings(kept: JournalSettings, where: str) -> None:
    check_box(box_settings())
    with pytest.raises(ConfigError) as error:
        check_box(msgspec.structs.replace(box_settings(), journal=kept))
    assert error.value.where == where
