"""The rollout's engine, without a broker: what it does when boxes apply, fail, fall silent or aren't there."""

from __future__ import annotations

import random
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from edged.fleet.rollout import (
    FAILED,
    Command,
    Done,
    Halt,
    Limits,
    Push,
    Pushed,
    Record,
    Rollout,
    Seen,
    Stop,
    Told,
    Wait,
    begin,
)
from edged.uplink.reported import Reported

SHA = "0" * 64


def rollout(*waves: int, **limits: Any) -> Rollout:
    """Waves of so many boxes, named a0, a1, …, b0, …."""
    named = [[f"{chr(97 + wave)}{n}" for n in range(size)] for wave, size in enumerate(waves)]
    documents = {name: SHA for wave in named for name in wave}
    chosen = Limits(**{"soak_s": 60.0} | limits)
    return begin(named, documents, identifier="r-1", version="2", by="ops", limits=chosen, now=0.0)


def told(device: str, outcome: str, push: int = 7, **more: Any) -> Told:
    retained = more.pop("retained", False)
    report = Reported(
        iss=device,
        fleet="north",
        iat=0,
        push=push,
        outcome=outcome,  # type: ignore[arg-type]
        running="2",
        running_push=push,
        software="0.1",
        **more,
    )
    return Told(device, report, retained)


def pushed(engine: Rollout, command: Command, *, now: float, online: bool = True) -> tuple[str, ...]:
    """Carry out a `Push`."""
    assert isinstance(command, Push)
    for name in command.devices:
        assert engine.record.boxes[name].state == "pushing"
        engine.record.boxes[name].push = 7
        engine.handle(Seen(name, online), Pushed(name), now=now)
    return command.devices


def states(engine: Rollout, letter: str) -> list[str]:
    return [box.state for name, box in engine.record.boxes.items() if name.startswith(letter)]


def test_waves_follow_each_other_after_a_soak_until_all_have_it() -> None:
    engine = rollout(2, 3)
    first = pushed(engine, engine.handle(now=0), now=0)
    assert first == ("a0", "a1")
    assert engine.handle(told("a0", "trial"), told("a1", "applied"), now=5) == Wait(905)
    assert engine.handle(told("a0", "applied"), now=10) == Wait(70)
    assert engine.handle(now=69.9) == Wait(70)
    second = pushed(engine, engine.handle(now=70), now=70)
    assert second == ("b0", "b1", "b2")
    assert engine.handle(*(told(name, "applied") for name in second), now=80) == Done()
    assert engine.record.state == "done"


def test_failing_canaries_stop_it_before_anybody_else_is_pushed() -> None:
    engine = rollout(3, 97)
    pushed(engine, engine.handle(now=0), now=0)
    failed = told("a0", "rolled_back", code="push.probe_failed", probe="head")
    assert engine.handle(failed, now=5) == Stop("rollout.too_many_failures", ())
    assert set(states(engine, "b")) == {"waiting"}
    assert engine.failures()["a0"].probe == "head"
    assert isinstance(engine.handle(now=1e6), Stop)


def test_a_share_of_failures_is_believed_when_enough_have_ended_or_it_cannot_get_better() -> None:
    engine = rollout(1, 200, at_once=1000)
    pushed(engine, engine.handle(now=0), now=0)
    engine.handle(told("a0", "applied"), now=1)
    names = pushed(engine, engine.handle(now=100), now=100)
    for name in names[:9]:
        assert isinstance(engine.handle(told(name, "rejected"), now=101), Wait)
    assert engine.handle(told(names[9], "rejected"), now=101) == Stop("rollout.too_many_failures", ())

    engine = rollout(40, max_failure_share=0.05)
    names = pushed(engine, engine.handle(now=0), now=0)
    engine.handle(*(told(name, "applied") for name in names[:20]), now=1)
    engine.handle(told(names[20], "rejected"), now=1)
    assert isinstance(engine.handle(told(names[21], "rejected"), now=1), Stop)  # 2 of 22


def test_a_number_of_failures_stops_it_too() -> None:
    engine = rollout(100, max_failures=2, max_failure_share=1.0)
    names = pushed(engine, engine.handle(now=0), now=0)
    assert names == tuple(f"a{n}" for n in range(50))
    assert isinstance(engine.handle(*(told(name, "rejected") for name in names[:2]), now=1), Push)
    assert isinstance(engine.handle(told(names[2], "rejected"), now=1), Stop)


def test_a_box_that_is_switched_off_neither_fails_nor_proves() -> None:
    engine = rollout(10, 5, max_unreachable=0.2)
    names = pushed(engine, engine.handle(now=0), now=0)
    engine.handle(*(Seen(name, False) for name in names[8:]), now=1)
    assert engine.handle(*(told(name, "applied") for name in names[:8]), now=2) == Wait(120)
    assert engine.handle(now=120) == Wait(180)
    assert states(engine, "a")[8:] == ["unreachable"] * 2
    assert engine.failures() == {}
    assert engine.handle(Seen("a9", True), now=150) == Wait(1050)  # it finds its push waiting
    assert engine.handle(told("a9", "applied"), now=160) == Wait(180)

    engine = rollout(10, 5, max_unreachable=0.1)
    names = pushed(engine, engine.handle(now=0), now=0, online=False)
    engine.handle(*(told(name, "applied") for name in names[:8]), now=2)
    assert engine.handle(now=120) == Stop("rollout.too_few_reachable", ("a8", "a9"))
    assert states(engine, "a")[8:] == ["withdrawn"] * 2


def test_canaries_that_are_all_switched_off_prove_nothing() -> None:
    engine = rollout(2, 5, max_unreachable=1.0)
    pushed(engine, engine.handle(now=0), now=0, online=False)
    assert engine.handle(now=120) == Stop("rollout.nothing_proven", ("a0", "a1"))


def test_silence_of_a_box_that_was_there_is_a_failure() -> None:
    engine = rollout(2, 5)
    pushed(engine, engine.handle(now=0), now=0)
    engine.handle(told("a0", "trial"), now=10)
    engine.handle(Seen("a0", False), now=20)
    assert engine.handle(told("a1", "applied"), now=30) == Wait(910)
    assert engine.handle(now=910) == Stop("rollout.too_many_failures", ())
    assert engine.record.boxes["a0"].state == "lost"
    engine.handle(told("a0", "applied"), now=950)
    assert engine.failures() == {}  # it is back, and well


def test_a_staged_box_that_goes_home_for_the_night_has_not_failed() -> None:
    engine = rollout(2, max_unreachable=0.5)
    pushed(engine, engine.handle(now=0), now=0)
    engine.handle(told("a0", "staged", fetched=10), told("a1", "applied"), now=600)
    engine.handle(Seen("a0", False), now=601)
    assert engine.handle(now=720) == Done()
    assert engine.record.boxes["a0"].state == "unreachable"


def test_what_is_not_about_this_push_changes_nothing() -> None:
    engine = rollout(2, 1)
    pushed(engine, engine.handle(now=0), now=0)
    engine.handle(told("a0", "rejected", push=6), told("b0", "applied"), told("zz", "applied"), now=1)
    engine.handle(told("a1", "rejected", push=0, retained=True), now=1)
    assert states(engine, "a") == ["pushed", "pushed"]
    assert states(engine, "b") == ["waiting"]
    engine.handle(told("a0", "applied", push=8), now=1)
    assert states(engine, "a") == ["superseded", "pushed"]
    engine.handle(told("a1", "rejected", push=0), now=1)
    assert states(engine, "a") == ["superseded", "rejected"]


def test_an_applied_box_that_falls_back_has_failed() -> None:
    engine = rollout(1, 1)
    pushed(engine, engine.handle(now=0), now=0)
    assert engine.handle(told("a0", "applied"), now=1) == Wait(61)
    assert isinstance(engine.handle(told("a0", "rolled_back"), now=30), Stop)


def test_another_push_of_the_same_number_is_not_this_one() -> None:
    """Two copies of a state give out the same numbers; what tells them apart is what the box runs."""
    engine = begin(
        [["a0"]],
        {"a0": SHA},
        identifier="r",
        version="2",
        by="ops",
        limits=Limits(),
        now=0.0,
        versions={"a0": "3"},
    )
    pushed(engine, engine.handle(now=0.0), now=1.0)
    engine.handle(told("a0", "applied"), now=2.0)
    assert states(engine, "a") == ["superseded"]
    engine.record.boxes["a0"].state, engine.record.boxes["a0"].version = "pushed", "2"
    engine.handle(told("a0", "applied"), now=3.0)
    assert states(engine, "a") == ["applied"]


def test_stopped_by_an_operator_and_resumed() -> None:
    engine = rollout(2, 2)
    pushed(engine, engine.handle(now=0), now=0)
    engine.handle(Seen("a1", False), told("a0", "applied"), now=1)
    assert engine.handle(Halt("rollout.stopped"), now=2) == Stop("rollout.stopped", ("a1",))
    engine.resume(forgive=False)
    assert pushed(engine, engine.handle(now=10), now=10) == ("a1",)


def test_resumed_despite_failures_only_new_ones_count() -> None:
    engine = rollout(4, 4, max_failure_share=0.3)
    names = pushed(engine, engine.handle(now=0), now=0)
    engine.handle(*(told(name, "applied") for name in names[:2]), now=1)
    stop = engine.handle(*(told(name, "rolled_back") for name in names[2:]), now=1)
    assert isinstance(stop, Stop)
    engine.resume(forgive=False)
    assert isinstance(engine.handle(now=2), Stop)
    engine.resume(forgive=True)
    assert engine.handle(now=2) == Wait(62)
    names = pushed(engine, engine.handle(now=62), now=62)
    assert isinstance(engine.handle(*(told(name, "rejected") for name in names[:2]), now=63), Stop)


def test_a_process_that_was_killed_goes_on_from_what_it_had_written() -> None:
    engine = rollout(3, 3)
    command = engine.handle(now=0)
    assert isinstance(command, Push)
    engine.record.boxes["a0"].push = 7  # written down; nobody knows whether the broker had it
    data = msgspec.json.encode(engine.record)
    again = Rollout(msgspec.json.decode(data, type=Record))
    again.resume(forgive=False)
    assert states(again, "a") == ["pushing", "waiting", "waiting"]
    assert again.handle(Pushed("a0"), now=1) == Push(("a1", "a2"))


@settings(max_examples=120, deadline=None)
@given(st.integers(0, 2**32), st.floats(0, 0.5), st.floats(0, 0.4), st.sampled_from([1, 3, 50]))
def test_whatever_boxes_do_it_ends_and_never_runs_ahead(
    seed: int, failing: float, off: float, at_once: int
) -> None:
    """Boxes do as they like; no wave begins before the last one is settled, and nobody is pushed twice."""
    chance = random.Random(seed)
    engine = rollout(2, 8, 20, at_once=at_once, max_unreachable=0.5)
    now, seen, in_hand = 0.0, set[str](), list[str]()
    command = engine.handle(now=now)
    for _ in range(2000):
        match command:
            case Push(devices):
                assert not seen.intersection(devices)
                assert len(devices) <= at_once
                seen.update(devices)
                for name in devices:
                    engine.record.boxes[name].push = 7
                    wave = engine.record.boxes[name].wave
                    assert all(engine.tally(one).settled for one in range(wave))
                    in_hand.append(name)
                events = [Seen(name, chance.random() >= off) for name in devices]
                command = engine.handle(*events, *map(Pushed, devices), now=now)
            case Wait(until) if in_hand and chance.random() < 0.7:
                name = in_hand.pop(chance.randrange(len(in_hand)))
                if engine.record.boxes[name].online:
                    outcome = (
                        chance.choice(["rejected", "rolled_back"]) if chance.random() < failing else "applied"
                    )
                    command = engine.handle(told(name, outcome), now=now)
                else:
                    command = engine.handle(now=now)
            case Wait(until):
                assert until is not None
                now = max(now + 0.001, until)
                command = engine.handle(now=now)
            case Stop() | Done():
                break
    else:
        raise AssertionError("it never ended")
    if isinstance(command, Done):
        allowed = sum(max(engine.record.limits.max_failure_share * len(states(engine, w)), 0) for w in "abc")
        assert len(engine.failures()) <= allowed
        assert not {box.state for box in engine.record.boxes.values()} & {"waiting", "pushing"}
    assert all(box.state in FAILED for box in engine.failures().values())
