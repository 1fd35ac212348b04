"""The box's ledger over a long time: pruned, but never of anything that somebody may still ask for."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from edged.uplink.outbox import Bounds
from tests.broker import NOW
from tests.outbox import commit, covering, open_state, receipt

if TYPE_CHECKING:
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
    due = {one.seq for one in state.due(10, NOW + timedelta(days=30))}
    assert due == {3, 4, 6}
    state.close()
