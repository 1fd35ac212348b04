"""What follows a verdict: one part that fails costs itself alone, and whatever ends it, nothing is left held."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from edged.counter import Counter
from edged.drafting import Outgoing
from edged.privacy.held import HeldFields


class Parts:
    """A counter whose slip and handover do as they are told."""

    def __init__(self, slip: BaseException | None, offer: BaseException | None = None) -> None:
        self.handover = HeldFields({"surname": "ERIKSSON"}, {})
        self.offered = False
        self._slip, self._offer = slip, offer

    async def issue(self, _inspected: Any) -> None:
        if self._slip is not None:
            raise self._slip

    async def offer(self, *_: Any, **__: Any) -> bool:
        if self._offer is not None:
            raise self._offer
        self.offered = True
        return True

    async def run(self) -> None:
        counter = Counter.__new__(Counter)
        policy = SimpleNamespace(handover=SimpleNamespace(within_s=60.0), consent="not_needed")
        settings = SimpleNamespace(audiences={"teller": SimpleNamespace(policy=policy)})
        counter._slips = self  # type: ignore[assignment]
        counter._handover = self  # type: ignore[assignment]
        counter._log = SimpleNamespace(error=lambda *_, **__: None)
        await counter._committed(
            SimpleNamespace(  # type: ignore[arg-type]
                judgement=SimpleNamespace(outgoing=Outgoing((), {}, self.handover, "teller")),
                request=SimpleNamespace(
                    application="teller", asker=1, scene="bank", operator=None, reference=None
                ),
                held=SimpleNamespace(settings=settings),
                inspection="i",
            )
        )


async def test_a_slip_that_fails_costs_no_handover() -> None:
    parts = Parts(ValueError("no slip"))
    await parts.run()
    assert parts.offered
    assert not parts.handover.forgotten


@pytest.mark.parametrize("where", ["slip", "offer"])
async def test_nothing_is_held_when_the_box_stops_meanwhile(where: str) -> None:
    stopped = asyncio.CancelledError()
    parts = Parts(stopped) if where == "slip" else Parts(None, stopped)
    with pytest.raises(asyncio.CancelledError):
        await parts.run()
    assert parts.handover.forgotten


async def test_a_handover_that_fails_is_overwritten() -> None:
    parts = Parts(None, ValueError("no handover"))
    await parts.run()
    assert parts.handover.forgotten
