"""The machine of the switch: every order of events, writes that fail, and power cuts between any two commands."""

from __future__ import annotations

from collections import Counter
from typing import Any

import msgspec
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from edged.pushed.steps import (
    Adopt,
    ArtefactsFailed,
    ArtefactsHere,
    AwaitIdle,
    Boot,
    Command,
    Count,
    Event,
    Fail,
    Fetch,
    GiveUp,
    Idle,
    Keep,
    NotStarted,
    NotStored,
    ProbeFailed,
    ProbesPassed,
    ProgressFetched,
    PushAgain,
    PushArrived,
    PushRefused,
    Report,
    RunProbes,
    Say,
    Slot,
    Stage,
    Started,
    Stored,
    Switch,
)
from edged.pushed.switch import MAX_ATTEMPTS, Phase, SwitchMachine


def arrived(push: int, content: str | None = None, **more: Any) -> PushArrived:
    return PushArrived(push, content or f"content-{push}", f"bundle-{push}", **more)


class Bench:
    """A machine with a disk that can fail, and a box that does what it is told."""

    def __init__(self, stored: Stored | None = None) -> None:
        self.disk = stored or Stored()
        self.report: Report | None = None
        self.in_force: Slot | None = None
        self.asked: Slot | None = None
        self.done: list[Command] = []
        self.starts: Counter[int] = Counter()
        self.failed: set[int] = set()
        self.disk_full = False
        self.cut_after: int | None = None
        self.fetching: int | None = None
        self.gave_up = False
        self.boot()

    def boot(self) -> None:
        self.machine = SwitchMachine()
        self.in_force = self.asked = self.fetching = None
        self.gave_up = False
        self.arriving: dict[int, PushArrived] = {}
        self.feed(Boot(self.disk))

    def feed(self, event: Event) -> list[Command]:
        """The commands that were carried out."""
        if isinstance(event, PushArrived):
            self.arriving[event.push] = event
        begin = len(self.done)
        commands = list(self.machine.step(event))
        while commands:
            if self.cut_after is not None:
                if self.cut_after == 0:
                    self.cut_after = None
                    self.boot()
                    return self.done[begin:]
                self.cut_after -= 1
            command = commands.pop(0)
            if isinstance(command, Stage | Adopt | Count | Keep | Fail) and self.disk_full:
                self.disk_full = False
                commands = list(self.machine.step(NotStored(command, "state.disk_full")))
                continue
            self.done.append(command)
            self.carry_out(command)
        return self.done[begin:]

    def carry_out(self, command: Command) -> None:
        change: dict[str, Any] = {}
        none = {"candidate": None, "candidate_content": None, "attempts": 0}
        match command:
            case Stage(push) | Adopt(push):
                event = self.arriving[push]
                change = {"attempts": 0, "newest": push, "newest_bundle": event.bundle}
                if isinstance(command, Stage):
                    change |= {"candidate": push, "candidate_content": event.content}
                else:
                    change |= none | {"good": push, "report": command.report}
            case Count(push, attempt):
                assert push == self.disk.candidate
                change = {"attempts": attempt}
            case Keep(push, report):
                assert push == self.disk.candidate
                change = none | {"good": push, "good_content": self.disk.candidate_content, "report": report}
            case Fail(push, report):
                assert push == self.disk.candidate
                self.failed.add(push)
                change = none | {"report": report}
            case Say(report):
                self.report = report
            case Switch(slot):
                self.switch(slot)
            case Fetch(push, _):
                self.fetching = push
            case GiveUp():
                self.gave_up = True
        self.disk = msgspec.structs.replace(self.disk, **change)
        if isinstance(command, Keep) and self.in_force is Slot.CANDIDATE:
            self.in_force = Slot.GOOD

    def switch(self, slot: Slot) -> None:
        """Nothing is in force from here until the box says that it started."""
        self.asked, self.in_force = slot, None
        if slot is Slot.CANDIDATE:
            assert self.disk.candidate is not None
            assert self.disk.attempts >= 1, "started before it was counted"
            assert self.disk.candidate not in self.failed, "a failed push is tried again"
            self.starts[self.disk.candidate] += 1
            assert self.starts[self.disk.candidate] <= MAX_ATTEMPTS
        if slot is Slot.GOOD:
            assert self.disk.good != 0

    def started(self) -> list[Command]:
        self.in_force, self.asked = self.asked, None
        return self.feed(Started())

    def not_started(self) -> list[Command]:
        self.asked = None
        return self.feed(NotStarted("config.no_audience"))

    def take(self, push: int, content: str | None = None) -> None:
        """Everything up to the trial."""
        self.feed(arrived(push, content))
        self.feed(ArtefactsHere(push))
        self.feed(Idle())

    def applied(self, push: int) -> None:
        self.take(push)
        self.started()
        self.feed(ProbesPassed())
        assert self.report == Report(push=push, outcome="applied")


@pytest.fixture
def bench() -> Bench:
    made = Bench()
    made.started()
    return made


def test_a_good_push_is_counted_started_probed_kept(bench: Bench) -> None:
    done = bench.feed(arrived(5))
    assert [type(one) for one in done] == [Stage, Say, Fetch]
    assert bench.feed(ArtefactsHere(5))[-1] == AwaitIdle(5)
    done = bench.feed(Idle())
    assert done == [Count(5, 1), Say(Report(push=5, outcome="trial")), Switch(Slot.CANDIDATE)]
    assert bench.started() == [RunProbes(5)]
    done = bench.feed(ProbesPassed())
    assert isinstance(done[0], Keep)
    assert (bench.disk.good, bench.disk.candidate, bench.in_force) == (5, None, Slot.GOOD)


def test_nothing_is_started_while_an_inspection_runs(bench: Bench) -> None:
    bench.feed(arrived(5))
    bench.feed(ArtefactsHere(5))
    assert bench.machine.phase is Phase.WAITING
    assert bench.asked is None


def test_a_failed_probe_brings_the_last_good_one_back_and_names_it(bench: Bench) -> None:
    bench.applied(5)
    bench.take(6)
    bench.started()
    done = bench.feed(ProbeFailed("frames", "probe.never_lit"))
    assert [type(one) for one in done] == [Fail, Say, Switch], "on the disk before anything else"
    bench.started()
    assert (bench.in_force, bench.disk.good) == (Slot.GOOD, 5)
    report = Report(push=6, outcome="rolled_back", code="probe.never_lit", probe="frames")
    assert bench.report == bench.disk.report == report


@pytest.mark.parametrize("again", [PushAgain(), arrived(6)])
def test_what_failed_is_not_tried_again_and_a_newer_push_is(bench: Bench, again: Event) -> None:
    bench.take(6)
    bench.started()
    bench.feed(ProbeFailed("head", "device.unplugged"))
    bench.started()
    assert bench.feed(again) == [Say(bench.disk.report)]
    assert bench.machine.phase is Phase.STEADY
    bench.applied(7)


def test_a_version_that_does_not_start_is_rolled_back(bench: Bench) -> None:
    bench.take(6)
    bench.not_started()
    assert bench.asked is Slot.BOOT
    assert bench.disk.report == Report(
        push=6, outcome="rolled_back", code="config.no_audience", probe="start"
    )


def test_a_power_cut_during_the_first_trial_is_not_the_versions_fault(bench: Bench) -> None:
    bench.applied(5)
    bench.take(6)
    bench.boot()
    assert (bench.asked, bench.disk.attempts) == (Slot.CANDIDATE, 2)
    bench.boot()
    assert bench.asked is Slot.GOOD
    assert bench.disk.report == Report(push=6, outcome="rolled_back", code="push.went_down", probe="start")


def test_a_staged_version_survives_a_restart_and_is_replaced_by_a_newer_one(bench: Bench) -> None:
    bench.feed(arrived(5))
    bench.boot()
    assert bench.asked is Slot.BOOT
    assert bench.started()[-1] == Fetch(5)
    assert bench.feed(arrived(6))[-1] == Fetch(6)
    assert bench.feed(ArtefactsHere(5)) == [], "of the one that was replaced"
    assert bench.disk.candidate == 6


def test_a_newer_push_waits_for_the_trial(bench: Bench) -> None:
    bench.take(5)
    assert bench.feed(arrived(6)) == []
    assert bench.feed(arrived(7)) == []
    bench.started()
    assert bench.machine.waiting_push == 7
    done = bench.feed(ProbesPassed())
    assert [type(one) for one in done] == [Keep, Say, Stage, Say, Fetch]
    assert (bench.disk.good, bench.disk.candidate) == (5, 7)


def test_a_push_that_changes_nothing_restarts_nothing(bench: Bench) -> None:
    bench.applied(5)
    done = bench.feed(arrived(6, "content-5"))
    assert [one for one in done if isinstance(one, Switch | Stage)] == []
    assert (bench.disk.good, bench.disk.newest, bench.in_force) == (6, 6, Slot.GOOD)
    assert bench.report == Report(push=6, outcome="applied")


def test_after_a_recovery_numbers_begin_anew(bench: Bench) -> None:
    bench.applied(900)
    bench.feed(arrived(901))
    assert bench.feed(arrived(3, recovery=True))[0] == Stage(3)
    bench.feed(ArtefactsHere(3))
    bench.feed(Idle())
    bench.started()
    bench.feed(ProbesPassed())
    assert bench.feed(arrived(4))[0] == Stage(4)


def test_without_a_recovery_an_older_push_is_refused(bench: Bench) -> None:
    bench.applied(5)
    assert bench.feed(arrived(3)) == [Say(Report(push=3, outcome="rejected", code="push.older"))]


def test_a_refused_push_writes_nothing(bench: Bench) -> None:
    bench.applied(5)
    before = bench.disk
    done = bench.feed(PushRefused("push.expired", "timestamp", 6))
    assert done == [Say(Report(push=6, outcome="rejected", code="push.expired", path="timestamp"))]
    assert bench.disk == before
    assert bench.feed(PushAgain()) == [Say(before.report)], "the broker's own message puts the report right"


def test_artefacts_that_do_not_come_reject_the_push(bench: Bench) -> None:
    bench.feed(arrived(5))
    bench.feed(ArtefactsFailed(5, "push.hash_wrong", "trust/x.sqlite"))
    assert (bench.disk.candidate, bench.in_force) == (None, Slot.BOOT)
    assert bench.report == Report(push=5, outcome="rejected", code="push.hash_wrong", path="trust/x.sqlite")
    assert bench.feed(PushAgain()) == [Say(bench.disk.report)]


def test_progress_is_told_in_steps(bench: Bench) -> None:
    bench.feed(arrived(5))
    told = [bench.feed(ProgressFetched(5, percent)) for percent in range(101)]
    assert sum(bool(one) for one in told) == 10
    assert bench.report == Report(push=5, outcome="staged", fetched=100)


def test_a_last_good_version_that_does_not_start_has_one_more_chance_beside_the_boot_file(
    bench: Bench,
) -> None:
    bench.applied(5)
    bench.boot()
    bench.not_started()
    assert bench.asked is Slot.BOOT
    assert bench.started() == [Fetch(5, Slot.GOOD)]
    bench.feed(ArtefactsHere(5))
    assert bench.asked is Slot.GOOD
    bench.started()
    assert (bench.in_force, bench.report) == (Slot.GOOD, Report(push=5, outcome="applied"))


def test_a_last_good_version_that_never_starts_leaves_the_boot_file_in_force(bench: Bench) -> None:
    bench.applied(5)
    bench.boot()
    bench.not_started()
    bench.started()
    bench.feed(ArtefactsHere(5))
    bench.not_started()
    bench.started()
    assert (bench.in_force, bench.machine.phase) == (Slot.BOOT, Phase.STEADY)
    assert bench.disk.good == 5, "the next start tries it again"
    said = bench.report
    assert said == Report(push=5, outcome="rolled_back", code="config.no_audience", probe="start")
    bench.feed(PushAgain())
    assert bench.report == said, "what the broker repeats isn't applied for that"
    bench.applied(6)


def test_without_a_boot_file_that_works_the_box_gives_up() -> None:
    bench = Bench()
    bench.not_started()
    assert bench.gave_up


def test_a_full_disk_stages_nothing_and_tries_nothing(bench: Bench) -> None:
    bench.applied(5)
    bench.disk_full = True
    before = bench.disk
    bench.feed(arrived(6))
    assert (bench.disk, bench.in_force) == (before, Slot.GOOD)
    assert bench.report == Report(push=6, outcome="rejected", code="state.disk_full")
    bench.feed(arrived(6))
    bench.feed(ArtefactsHere(6))
    bench.disk_full = True
    bench.feed(Idle())
    assert (bench.in_force, bench.disk.attempts) == (Slot.GOOD, 0)
    assert bench.feed(PushAgain())[-1] == Fetch(6), "the next time the broker sends it"


def test_a_version_that_cannot_be_kept_is_not_kept(bench: Bench) -> None:
    bench.applied(5)
    bench.take(6)
    bench.started()
    bench.disk_full = True
    bench.feed(ProbesPassed())
    bench.started()
    assert (bench.in_force, bench.disk.good) == (Slot.GOOD, 5)
    assert bench.disk.report == Report(push=6, outcome="rolled_back", code="state.disk_full", probe="store")


PUSHES = st.integers(1, 12)


class AnyOrder(RuleBasedStateMachine):
    """Events in any order, also those that no box would send; a disk that fails; power cuts between commands."""

    @initialize()
    def begin(self) -> None:
        self.bench = Bench()
        self.newest = 0

    def feed(self, event: Event) -> list[Command]:
        return self.bench.feed(event)

    @rule(push=PUSHES, content=st.sampled_from(["a", "b", "c"]))
    def push_arrives(self, push: int, content: str) -> None:
        self.feed(arrived(push, content))

    @rule(ahead=st.integers(1, 2), content=st.sampled_from(["a", "b", "c"]))
    def newer_push(self, ahead: int, content: str) -> None:
        self.feed(arrived(self.bench.disk.newest + ahead, content))

    @rule()
    def same_again(self) -> None:
        self.feed(PushAgain())

    @rule(push=st.integers(0, 12))
    def refused(self, push: int) -> None:
        before = self.bench.disk
        running = self.bench.in_force
        done = self.feed(PushRefused("push.replayed", "snapshot", push))
        if self.bench.machine.phase is not Phase.STARTING:  # no power cut meanwhile
            assert [type(one) for one in done] == [Say]
            assert self.bench.in_force is running
        assert self.bench.disk.good == before.good

    @rule(off=st.sampled_from([0, 0, 0, 1]))
    def artefacts_here(self, off: int) -> None:
        self.feed(ArtefactsHere((self.bench.fetching or 0) + off))

    @rule()
    def artefacts_fail(self) -> None:
        self.feed(ArtefactsFailed(self.bench.fetching or 0, "push.hash_wrong", "trust/x"))

    @rule(percent=st.integers(-5, 120))
    def progress(self, percent: int) -> None:
        self.feed(ProgressFetched(self.bench.fetching or 0, percent))

    @rule()
    def idle(self) -> None:
        self.feed(Idle())

    @precondition(lambda self: self.bench.asked is not None)
    @rule()
    def starts(self) -> None:
        self.bench.started()

    @precondition(lambda self: self.bench.asked is not None)
    @rule()
    def does_not_start(self) -> None:
        self.bench.not_started()
        if self.bench.gave_up:
            self.bench.boot()

    @rule()
    def probes_pass(self) -> None:
        self.feed(ProbesPassed())

    @rule(probe=st.sampled_from(["head", "frames", "specimen", "uplink"]))
    def probe_fails(self, probe: str) -> None:
        self.feed(ProbeFailed(probe, "probe.too_slow"))

    @rule()
    def next_write_fails(self) -> None:
        self.bench.disk_full = True

    @rule(commands=st.integers(0, 4))
    def power_will_be_cut(self, commands: int) -> None:
        self.bench.cut_after = commands

    @rule()
    def power_is_cut(self) -> None:
        self.bench.boot()

    @invariant()
    def one_version_is_in_force_and_it_is_good_or_counted(self) -> None:
        bench = self.bench
        assert bench.in_force is None or bench.asked is None
        if bench.in_force is Slot.CANDIDATE:
            assert bench.disk.candidate is not None
            assert bench.disk.attempts >= 1
        assert bench.machine.running in (None, bench.in_force)

    @invariant()
    def the_machine_knows_the_disk(self) -> None:
        machine, disk = self.bench.machine.stored, self.bench.disk
        assert machine.good == disk.good
        assert machine.newest == disk.newest
        if machine.candidate is not None:
            assert (machine.candidate, machine.attempts) == (disk.candidate, disk.attempts)

    @invariant()
    def applied_is_what_is_in_force(self) -> None:
        bench = self.bench
        if (
            bench.machine.phase is Phase.STEADY
            and bench.report is not None
            and bench.report.outcome == "applied"
        ):
            assert (bench.in_force, bench.report.push) == (Slot.GOOD, bench.disk.good)

    @invariant()
    def numbers_never_fall(self) -> None:
        assert self.bench.disk.newest >= self.newest
        self.newest = self.bench.disk.newest

    def teardown(self) -> None:
        """Whatever happened: when everything fails from now on, the box comes back to what was good."""
        bench = self.bench
        bench.disk_full, bench.cut_after = False, None
        good = bench.disk.good
        for _ in range(12):
            if bench.asked is not None:
                bench.not_started() if bench.asked is Slot.CANDIDATE else bench.started()
            self.feed(ProbeFailed("uplink", "probe.not_connected"))
            self.feed(ArtefactsFailed(bench.fetching or 0, "push.hash_wrong"))
            self.feed(Idle())
        assert bench.disk.good == good
        assert bench.machine.phase is Phase.STEADY
        assert bench.in_force is (Slot.GOOD if good else Slot.BOOT) or bench.in_force is Slot.BOOT


AnyOrder.TestCase.settings = settings(
    max_examples=120, stateful_step_count=40, deadline=None, derandomize=True
)
TestAnyOrder = AnyOrder.TestCase
