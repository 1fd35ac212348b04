"""Group commit: what is queued together is synced together, and each stands or falls by itself."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

import pytest

from edged.errors import StateError
from edged.uplink import database
from edged.uplink.database import DatabaseThread
from edged.uplink.outbox import StateDatabase
from tests.outbox import commit, open_state, rows

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path


class Watched(StateDatabase):
    """Counts its outermost transactions; the next one waits at `gate` while that is closed."""

    transactions = 0
    gate = threading.Event()

    def transaction(self) -> AbstractContextManager[None]:
        if not self.in_transaction:
            self.gate.wait(10)
            self.transactions += 1
        return super().transaction()


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    Watched.gate = threading.Event()
    Watched.gate.set()
    yield Watched.gate
    Watched.gate.set()


@pytest.fixture
async def thread(tmp_path: Path, gate: threading.Event) -> DatabaseThread[StateDatabase]:
    def opened() -> StateDatabase:
        state = open_state(tmp_path / "state.sqlite")
        state.__class__ = Watched
        return state

    return await DatabaseThread.open("state", opened)


async def queued(*writes: asyncio.Task[object]) -> None:
    """Let the tasks come as far as the database's queue."""
    for _ in range(3):
        await asyncio.sleep(0)


async def test_everything_queued_meanwhile_shares_one_transaction(
    thread: DatabaseThread[StateDatabase], gate: threading.Event
) -> None:
    gate.clear()
    writes = [
        asyncio.create_task(thread.write(lambda state, n=n: commit(state, "bank", name=str(n))))
        for n in range(20)
    ]
    await queued()
    gate.set()
    envelopes = [(await write)[0] for write in writes]
    assert [envelope.seq for envelope in envelopes] == list(range(1, 21)), (
        "in the order in which they were asked for"
    )
    assert await thread.run(lambda state: state.transactions) <= 2  # type: ignore[attr-defined]
    assert (await thread.run(lambda state: state.counts())).pending == 20
    await thread.close()


async def test_one_that_raises_undoes_itself_alone(
    thread: DatabaseThread[StateDatabase], gate: threading.Event
) -> None:
    def breaks(state: StateDatabase) -> None:
        commit(state, "bank", name="never")
        raise ValueError("not this one")

    gate.clear()
    good = asyncio.create_task(thread.write(lambda state: commit(state, "bank", name="1")))
    bad = asyncio.create_task(thread.write(breaks))
    after = asyncio.create_task(thread.write(lambda state: commit(state, "bank", name="2")))
    await queued()
    gate.set()
    with pytest.raises(ValueError, match="not this one"):
        await bad
    assert [(await good)[0].seq, (await after)[0].seq] == [1, 2]
    names = await thread.run(lambda state: [row[0] for row in rows(state, "SELECT inspection FROM envelope")])
    assert names == ["1", "2"]
    await thread.close()


async def test_nobody_hears_of_a_write_before_the_commit_and_all_of_its_failure(
    thread: DatabaseThread[StateDatabase], gate: threading.Event
) -> None:
    """The works themselves went well; then the disk refuses the commit."""

    def refuse(state: StateDatabase) -> None:
        state._connection.execute("CREATE TABLE parent (id INTEGER PRIMARY KEY)")
        state._connection.execute("CREATE TABLE child (id REFERENCES parent DEFERRABLE INITIALLY DEFERRED)")

    await thread.write(refuse)
    gate.clear()
    first = asyncio.create_task(thread.write(lambda state: commit(state, "bank", name="1")))
    second = asyncio.create_task(
        thread.write(lambda state: state._connection.execute("INSERT INTO child VALUES (7)") and None)
    )
    await queued()
    gate.set()
    answers = await asyncio.gather(first, second, return_exceptions=True)
    assert [type(answer).__name__ for answer in answers] == ["IntegrityError", "IntegrityError"]
    assert (await thread.run(lambda state: state.counts())).committed == 0
    assert (await thread.write(lambda state: commit(state, "bank", name="2")))[0].seq == 1
    await thread.close()


async def test_a_disk_that_fills_up_fails_the_whole_group(
    thread: DatabaseThread[StateDatabase], gate: threading.Event
) -> None:
    """SQLite undoes the whole transaction by itself then; nobody may be told that theirs was kept."""
    pages = await thread.run(lambda state: rows(state, "PRAGMA page_count")[0][0])
    await thread.run(lambda state: rows(state, f"PRAGMA max_page_count = {pages + 3}"))
    gate.clear()
    small = asyncio.create_task(thread.write(lambda state: commit(state, "bank", name="small")))
    large = asyncio.create_task(
        thread.write(lambda state: commit(state, "bank", name="large", filler=90_000))
    )
    after = asyncio.create_task(thread.write(lambda state: commit(state, "bank", name="after")))
    await queued()
    gate.set()
    answers = await asyncio.gather(small, large, after, return_exceptions=True)
    committed = (await thread.run(lambda state: state.counts())).committed
    told = [answer for answer in answers if not isinstance(answer, BaseException)]
    assert len(told) == committed
    assert isinstance(answers[1], StateError)
    assert answers[1].code == "state.disk_full"
    await thread.run(lambda state: rows(state, "PRAGMA max_page_count = 100000"))
    await thread.write(lambda state: commit(state, "bank", name="last"))
    assert (await thread.run(lambda state: state.counts())).committed == committed + 1
    await thread.close()


async def test_when_sqlite_undoes_the_whole_transaction_nobody_is_told_otherwise(
    thread: DatabaseThread[StateDatabase], gate: threading.Event
) -> None:
    """As it does by itself for some failures of the disk, in the middle of a group."""

    def fails(state: StateDatabase) -> None:
        state._connection.execute("ROLLBACK")
        raise StateError("state.disk_error")

    gate.clear()
    before = asyncio.create_task(thread.write(lambda state: commit(state, "bank", name="before")))
    broken = asyncio.create_task(thread.write(fails))
    after = asyncio.create_task(thread.write(lambda state: commit(state, "bank", name="after")))
    await queued()
    gate.set()
    answers = await asyncio.gather(before, broken, after, return_exceptions=True)
    assert [getattr(answer, "code", None) for answer in answers] == ["state.disk_error"] * 3
    assert (await thread.run(lambda state: state.counts())).committed == 0
    assert (await thread.write(lambda state: commit(state, "bank")))[0].seq == 1
    await thread.close()


async def test_a_write_whose_waiter_has_gone_is_finished(
    thread: DatabaseThread[StateDatabase], gate: threading.Event
) -> None:
    gate.clear()
    write = asyncio.create_task(thread.write(lambda state: commit(state, "bank")))
    await queued()
    write.cancel()
    await asyncio.wait((write,))
    gate.set()
    assert (await thread.run(lambda state: state.counts())).committed == 1
    await thread.close()


async def test_a_group_is_bounded(
    thread: DatabaseThread[StateDatabase], gate: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "MAX_GROUP", 4)
    gate.clear()
    writes = [
        asyncio.create_task(thread.write(lambda state, n=n: commit(state, "bank", name=str(n))))
        for n in range(10)
    ]
    await queued()
    gate.set()
    await asyncio.gather(*writes)
    assert await thread.run(lambda state: state.transactions) >= 3  # type: ignore[attr-defined]
    await thread.close()


async def test_writing_to_a_closed_database_is_an_error_at_once(
    thread: DatabaseThread[StateDatabase],
) -> None:
    await thread.close()
    with pytest.raises(RuntimeError):
        await thread.write(lambda state: commit(state, "bank"))


async def test_reading_works_between_writes(thread: DatabaseThread[StateDatabase]) -> None:
    for number in range(5):
        await thread.write(lambda state, n=number: commit(state, "bank", name=str(n)))
        assert (await thread.run(lambda state: state.counts())).committed == number + 1
    await thread.close()
