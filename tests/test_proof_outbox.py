"""The box's ledger over a long time: pruned, but never of anything that somebody may still ask for."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from edged.errors import StateError
from edged.uplink.database import DatabaseThread
from edged.uplink.outbox import Bounds, StateDatabase
from tests.broker import NOW
from tests.outbox import commit, covering, open_state, receipt, waiting

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def test_the_ledger_forgets_nothing_that_is_not_settled(tmp_path: Path) -> None:
    bounds = Bounds(ledger=timedelta(days=1), max_age=timedelta(days=3650))
    state = open_state(tmp_path / "state.sqlite", bounds=bounds)
    envelopes = [commit(state, "bank", name=f"i{number}")[0] for number in range(6)]
    state.apply_receipt(receipt(covering(state.log_id, envelopes[:2])), NOW)
    state.apply_receipt(receipt(covering(state.log_id, envelopes[4:5])), NOW)
    state.tidy(NOW + timedelta(days=30), clock_trusted=True)
    (kept,) = state.ledger().values()
    assert {one.seq for one in kept} >= {3, 4, 6}, "what nobody has receipted was forgotten"
    due = {one.seq for one in waiting(state, 10, NOW + timedelta(days=30))}
    assert due == {3, 4, 6}
    state.close()


async def test_a_group_of_commits_is_told_when_it_is_on_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk fails at the COMMIT of the group: nobody in it may have heard that all is well."""
    state = await DatabaseThread.open("state", lambda: open_state(tmp_path / "state.sqlite"))
    transaction, outermost = StateDatabase.transaction, True
    loop = asyncio.get_running_loop()

    @contextlib.contextmanager
    def full(self: StateDatabase) -> Iterator[None]:
        nonlocal outermost
        if not outermost:
            with transaction(self):
                yield
            return
        outermost = False
        try:
            with transaction(self):
                yield
                # Whoever is told too early hears it now: the loop does what it was asked for, in order.
                asyncio.run_coroutine_threadsafe(asyncio.sleep(0), loop).result()
                raise StateError("state.disk_full")
        finally:
            outermost = True

    with monkeypatch.context() as broken:
        broken.setattr(StateDatabase, "transaction", full)
        answers = await asyncio.gather(
            *(state.write(lambda one, n=n: commit(one, "bank", name=f"i{n}")) for n in range(3)),
            return_exceptions=True,
        )
    assert [getattr(answer, "code", answer) for answer in answers] == ["state.disk_full"] * 3
    assert await state.run(lambda database: database.counts().committed) == 0
    await state.write(lambda database: commit(database, "bank"))
    assert await state.run(lambda database: database.counts().committed) == 1
    await state.close()
