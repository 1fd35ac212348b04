"""The clerk's completion step: so long and no longer, several guests at a time, and nothing stays behind."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from edged.errors import ControlError
from edged.lodging.completion import MAX_OPEN, Completions, Open
from edged.privacy.held import HeldFields
from tests.lodging import NOW, RECIPIENT, TODAY, TYPED, held, verdict

CONTEXT = ("harbour", "box-1", "police", "a" * 64, "r")


def record(record_id: str = "r1", until: float = 300.0, fields: HeldFields | None = None) -> Open:
    return Open(
        record_id,
        fields or held(),
        verdict(),
        RECIPIENT.public_key(),
        context=CONTEXT,
        host="Grand Hotel",
        scanned_at=NOW,
        until=until,
        deadline_h=24.0,
    )


def complete(step: Completions, record_id: str | None, steady: float, **typed: str) -> Any:
    return step.complete(record_id, typed, today=TODAY, steady=steady)


def refused(step: Completions, record_id: str | None, steady: float) -> str:
    with pytest.raises(ControlError) as told:
        complete(step, record_id, steady)
    return told.value.code


def test_several_tries_then_it_is_sealed_and_what_it_was_made_of_overwritten() -> None:
    step, fields = Completions(), held()
    buffers = list(fields._values.values())
    step.open(record(fields=fields), 0.0)
    _, found, sealed = complete(step, "r1", 10.0, room="12")
    assert sealed is None
    assert "entry_port" in found.missing
    assert "room" not in found.missing
    _, found, sealed = complete(step, None, 20.0, **(TYPED | {"arrival_date": "soon"}))
    assert sealed is None
    assert [one.field for one in found.faults] == ["arrival_date"]
    opened, found, sealed = complete(step, "r1", 30.0, arrival_date=TODAY.isoformat())
    assert sealed is not None
    assert sealed.arrival == TODAY
    assert found.complete
    assert refused(step, "r1", 31.0) == "lodging.being_sealed"
    assert not fields.forgotten
    step.done("r1")
    assert fields.forgotten
    assert opened._typed.forgotten
    assert not any(any(one) for one in buffers)
    assert refused(step, "r1", 32.0) == "lodging.not_open"
    assert step.expired(400.0) == ()


def test_when_the_time_is_over_everything_is_forgotten_and_told_once() -> None:
    step, fields = Completions(), held()
    step.open(record(fields=fields), 0.0)
    complete(step, "r1", 299.9, room="12")
    assert refused(step, "r1", 300.0) == "lodging.not_open"
    assert fields.forgotten
    assert step.expired(300.0) == ("r1",)
    assert step.expired(301.0) == ()
    assert step.next_end() is None


def test_what_could_not_be_stored_may_be_tried_again_until_the_time_is_over() -> None:
    step, fields = Completions(), held()
    step.open(record(fields=fields), 0.0)
    assert complete(step, "r1", 1.0, **TYPED)[2] is not None
    step.again("r1")
    assert complete(step, "r1", 2.0)[2] is not None
    assert step.expired(300.0) == ()
    assert fields.forgotten
    step.again("r1")
    assert step.expired(301.0) == ("r1",)


def test_what_was_typed_is_taken_back_by_an_empty_text() -> None:
    step = Completions()
    step.open(record(), 0.0)
    complete(step, "r1", 1.0, room="12", going_to="x")
    _, found, _ = complete(step, "r1", 2.0, room="")
    assert "room" in found.missing
    assert "going_to" not in found.missing


def test_several_records_are_open_and_the_clerk_says_which() -> None:
    step = Completions()
    step.open(record("r1"), 0.0)
    step.open(record("r2"), 1.0)
    assert refused(step, None, 2.0) == "lodging.which_record"
    assert complete(step, "r2", 2.0, **TYPED)[2] is not None
    step.done("r2")
    assert complete(step, None, 3.0, **TYPED)[2].record_id == "r1"


def test_the_oldest_gives_way_when_too_many_are_open() -> None:
    step = Completions()
    fields = [held() for _ in range(MAX_OPEN + 1)]
    for number, one in enumerate(fields):
        step.open(record(f"r{number}", fields=one), float(number))
    assert [one.forgotten for one in fields] == [True] + [False] * MAX_OPEN
    assert step.expired(40.0) == ("r0",)


def test_the_stop_forgets_all() -> None:
    step, fields = Completions(), [held(), held(), held()]
    for number, one in enumerate(fields):
        step.open(record(f"r{number}", fields=one), 0.0)
    complete(step, "r1", 1.0, **TYPED)
    assert step.forget_all() == ("r0", "r2")
    assert all(one.forgotten for one in fields)
    assert step.records(2.0) == ()


def test_a_field_that_the_form_has_not_is_refused_and_nothing_kept() -> None:
    step = Completions()
    step.open(record(), 0.0)
    with pytest.raises(ControlError, match="bad_parameter"):
        complete(step, "r1", 1.0, room="12", shoe_size="43")
    assert "room" in complete(step, "r1", 2.0)[1].missing


class Steps(RuleBasedStateMachine):
    """Whatever happens in whatever order: what is forgotten is overwritten, and everybody is accounted for once."""

    def __init__(self) -> None:
        super().__init__()
        self.step = Completions(most=3)
        self.now = 0.0
        self.fields: dict[str, HeldFields] = {}
        self.ended: list[str] = []
        self.sealing: set[str] = set()

    @rule(lasts=st.integers(1, 50))
    def opens(self, lasts: int) -> None:
        name = f"r{len(self.fields)}"
        self.fields[name] = held()
        self.step.open(record(name, self.now + lasts, self.fields[name]), self.now)

    @rule(seconds=st.integers(1, 60))
    def waits(self, seconds: int) -> None:
        self.now += seconds

    @rule(number=st.integers(0, 9), whole=st.booleans())
    def types(self, number: int, whole: bool) -> None:
        try:
            made = complete(self.step, f"r{number}", self.now, **(TYPED if whole else {"room": "1"}))
        except ControlError:
            return
        if made[2] is not None:
            self.sealing.add(made[2].record_id)

    @rule(stored=st.booleans())
    def stores(self, stored: bool) -> None:
        for name in sorted(self.sealing)[:1]:
            self.sealing.discard(name)
            if stored:
                self.step.done(name)
                self.ended.append(name)
            else:
                self.step.again(name)

    @rule()
    def asks(self) -> None:
        self.ended += self.step.expired(self.now)

    @invariant()
    def accounted_for(self) -> None:
        self.ended += self.step.expired(self.now)
        living = {one.record_id for one in self.step.records(self.now)}
        assert len(self.ended) == len(set(self.ended))
        assert living | set(self.ended) == set(self.fields)
        assert not living & set(self.ended)
        assert all(self.fields[name].forgotten for name in self.ended)
        waiting = living - self.sealing
        assert len(waiting) <= 3
        assert not any(self.fields[name].forgotten for name in waiting)


TestSteps = Steps.TestCase
TestSteps.settings = settings(max_examples=30, stateful_step_count=25, deadline=None)
