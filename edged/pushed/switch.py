"""From one configuration to the next and back: the state machine of a box that is pushed to. Does no I/O.

    received → verified → staged → its artefacts are here → no inspection runs → trial → probed → good
                                                              ↑ counted on disk before the start   ↘ rolled back

At any moment one version is in force: the last good one, or the one on trial; the boot file alone is always there and
the last resort. `step` takes an event and returns commands, to be executed in order. A write that fails ends that
order and is the next event (`NotStored`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Final

import msgspec

from edged.pushed.steps import (
    BOOT_FILE,
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
    StopFetching,
    Stored,
    Switch,
)

MAX_ATTEMPTS: Final = 2
"""How often a version on trial is started: a power cut during its first trial isn't its fault, a second one may be."""

PROBE_START: Final = "start"
"""The probe that a version fails which doesn't come up, or during whose trials the box went down."""

PROBE_STORE: Final = "store"
"""The probe that a version fails which is well and can't be written down as good."""


class Phase(StrEnum):
    """Where the machine stands."""

    OFF = "off"
    STARTING = "starting"
    """The process begins: the last good version, or the boot file, is being put in force."""
    STEADY = "steady"
    FETCHING = "fetching"
    WAITING = "waiting"
    """All is here, and an inspection is running."""
    SWITCHING = "switching"
    PROBING = "probing"
    RETURNING = "returning"
    """The last good version is being put in force again."""
    MENDING = "mending"
    """The last good version couldn't be; the boot file is in force while its artefacts are got once more."""


_UNDECIDED: Final = frozenset({Phase.OFF, Phase.STARTING, Phase.SWITCHING, Phase.PROBING, Phase.RETURNING})
"""Where a newer push has to wait."""

PROGRESS_STEP: Final = 10
"""Per cent by which the artefacts' progress has to grow before it is said again: ten reports a push, not thousands."""


_NOTHING: Final = Stored()


@dataclass(frozen=True)
class _State:
    phase: Phase = Phase.OFF
    stored: Stored = _NOTHING
    target: Slot | None = None
    running: Slot | None = None
    waiting: PushArrived | None = None
    fetched: int = 0
    mended: bool = False
    """Whether the last good version was given its second chance in this process."""


class SwitchMachine:
    """One box's switch. Feed it `Boot` first."""

    def __init__(self) -> None:
        self._now = _State()
        self._undo: dict[type[Command], _State] = {}

    @property
    def phase(self) -> Phase:
        """Where it stands."""
        return self._now.phase

    @property
    def stored(self) -> Stored:
        """What the disk knows, as far as the writes that were asked for succeeded."""
        return self._now.stored

    @property
    def running(self) -> Slot | None:
        """The version in force; None while there is none."""
        return self._now.running

    @property
    def running_push(self) -> int:
        """The push it came with."""
        match self._now.running:
            case Slot.GOOD:
                return self._now.stored.good
            case Slot.CANDIDATE:
                return self._now.stored.candidate or BOOT_FILE
            case _:
                return BOOT_FILE

    @property
    def waiting_push(self) -> int | None:
        """The push that waits until what is on trial is decided."""
        return None if self._now.waiting is None else self._now.waiting.push

    def step(self, event: Event) -> tuple[Command, ...]:
        """What is to be done about `event`, in this order."""
        if not isinstance(event, NotStored):
            self._undo.clear()
        return self._step(event)

    def _set(self, **changes: Any) -> None:
        self._now = replace(self._now, **changes)

    def _store(self, **changes: Any) -> None:
        self._set(stored=msgspec.structs.replace(self._now.stored, **changes))

    def _step(self, event: Event) -> tuple[Command, ...]:
        now = self._now
        match event:
            case Boot():
                return self._boot(event.stored)
            case PushArrived():
                return self._arrived(event)
            case PushAgain():
                return self._known(now.stored.newest)
            case PushRefused():
                report = Report(push=event.push, outcome="rejected", code=event.code, path=event.where)
                return (Say(report),)
            case ArtefactsHere() | ArtefactsFailed() | ProgressFetched():
                return self._fetching(event)
            case Idle():
                return self._try(1) if now.phase is Phase.WAITING else ()
            case Started():
                return self._started()
            case NotStarted():
                return self._not_started(event.code)
            case ProbesPassed():
                return self._passed() if now.phase is Phase.PROBING else ()
            case ProbeFailed():
                return self._roll_back(event.probe, event.code) if now.phase is Phase.PROBING else ()
            case NotStored():
                return self._not_stored(event)

    # --- the beginning ---

    def _boot(self, stored: Stored) -> tuple[Command, ...]:
        self._now = _State(phase=Phase.STARTING, stored=stored)
        if stored.candidate is not None and stored.attempts >= MAX_ATTEMPTS:
            return self._roll_back(PROBE_START, "push.went_down")
        if stored.candidate is not None and stored.attempts > 0:
            return self._try(stored.attempts + 1)
        return (Say(stored.report), self._to_good())

    def _to_good(self) -> Switch:
        slot = Slot.GOOD if self._now.stored.good != BOOT_FILE else Slot.BOOT
        self._set(target=slot, running=None)
        return Switch(slot)

    # --- a push ---

    def _arrived(self, event: PushArrived) -> tuple[Command, ...]:
        now, stored = self._now, self._now.stored
        if not event.recovery and event.push <= stored.newest:
            return self._known(event.push)
        if now.phase in _UNDECIDED:
            if now.waiting is None or event.recovery or event.push >= now.waiting.push:
                self._set(waiting=event)
            return ()
        self._undo[Stage] = self._undo[Adopt] = now
        if event.content == stored.good_content and now.running is Slot.GOOD:
            report = Report(push=event.push, outcome="applied")
            self._set(phase=Phase.STEADY)
            self._store(
                good=event.push,
                candidate=None,
                candidate_content=None,
                attempts=0,
                newest=event.push,
                newest_bundle=event.bundle,
                report=report,
            )
            return (Adopt(event.push, report), StopFetching(), Say(report))
        self._store(
            candidate=event.push,
            candidate_content=event.content,
            attempts=0,
            newest=event.push,
            newest_bundle=event.bundle,
        )
        return (Stage(event.push), *self._fetch(event.push))

    def _fetch(self, push: int) -> tuple[Command, ...]:
        self._set(phase=Phase.FETCHING, fetched=0)
        return (Say(Report(push=push, outcome="staged", fetched=0)), Fetch(push))

    def _known(self, push: int) -> tuple[Command, ...]:
        """What to do about a push that came before."""
        stored, steady = self._now.stored, self._now.phase is Phase.STEADY and self._now.running is not None
        if push == stored.candidate:
            return self._fetch(push) if steady else ()  # steady: it couldn't be tried the last time
        if push == stored.good and self._now.running is not Slot.GOOD:
            return ()  # it couldn't be put in force again, which is said already
        if push == stored.report.push:
            return (Say(stored.report),) if steady else ()
        return (Say(Report(push=push, outcome="rejected", code="push.older")),)

    def _fetching(self, event: ArtefactsHere | ArtefactsFailed | ProgressFetched) -> tuple[Command, ...]:
        now = self._now
        if now.phase is Phase.MENDING and event.push == now.stored.good:
            return self._mending(event)
        if now.phase is not Phase.FETCHING or event.push != now.stored.candidate:
            return ()  # of one that was replaced meanwhile
        match event:
            case ArtefactsHere():
                self._set(phase=Phase.WAITING)
                return (Say(Report(push=event.push, outcome="staged", fetched=100)), AwaitIdle(event.push))
            case ProgressFetched():
                percent = min(max(event.percent, 0), 100)
                if percent < now.fetched + PROGRESS_STEP:
                    return ()
                self._set(fetched=percent)
                return (Say(Report(push=event.push, outcome="staged", fetched=percent)),)
            case ArtefactsFailed():
                self._set(phase=Phase.STEADY)
                report = Report(push=event.push, outcome="rejected", code=event.code, path=event.path)
                return self._fail(report)

    def _mending(self, event: ArtefactsHere | ArtefactsFailed | ProgressFetched) -> tuple[Command, ...]:
        match event:
            case ArtefactsHere():
                self._set(phase=Phase.RETURNING)
                return (self._to_good(),)
            case ArtefactsFailed():
                self._set(phase=Phase.STEADY)
        return ()

    # --- the trial ---

    def _try(self, attempt: int) -> tuple[Command, ...]:
        push = self._now.stored.candidate
        assert push is not None
        self._undo[Count] = self._now
        self._set(phase=Phase.SWITCHING, target=Slot.CANDIDATE, running=None)
        self._store(attempts=attempt)
        return (Count(push, attempt), Say(Report(push=push, outcome="trial")), Switch(Slot.CANDIDATE))

    def _started(self) -> tuple[Command, ...]:
        now = self._now
        if now.phase not in (Phase.STARTING, Phase.SWITCHING, Phase.RETURNING):
            return ()
        self._set(running=now.target)
        if now.phase is Phase.SWITCHING:
            self._set(phase=Phase.PROBING)
            assert now.stored.candidate is not None
            return (RunProbes(now.stored.candidate),)
        self._set(phase=Phase.STEADY)
        return self._next()

    def _next(self) -> tuple[Command, ...]:
        """What comes when all is decided."""
        now, stored = self._now, self._now.stored
        if now.waiting is not None:
            return self._next_waiting()
        if stored.candidate is not None and stored.attempts == 0:
            return self._fetch(stored.candidate)
        if now.running is Slot.BOOT and stored.good != BOOT_FILE and not now.mended:
            self._set(phase=Phase.MENDING, mended=True)
            return (Fetch(stored.good, Slot.GOOD),)
        if now.running is Slot.GOOD and now.mended:
            self._set(mended=False)
            return (Say(stored.report),)
        return ()

    def _next_waiting(self) -> tuple[Command, ...]:
        waiting = self._now.waiting
        self._set(waiting=None)
        return () if waiting is None else self._arrived(waiting)

    def _passed(self) -> tuple[Command, ...]:
        stored = self._now.stored
        assert stored.candidate is not None
        self._undo[Keep] = self._now
        report = Report(push=stored.candidate, outcome="applied")
        self._set(phase=Phase.STEADY, running=Slot.GOOD)
        self._store(
            good=stored.candidate,
            good_content=stored.candidate_content,
            candidate=None,
            candidate_content=None,
            attempts=0,
            report=report,
        )
        return (Keep(stored.candidate, report), Say(report), *self._next())

    def _roll_back(self, probe: str, code: str) -> tuple[Command, ...]:
        push = self._now.stored.candidate
        assert push is not None
        self._set(phase=Phase.RETURNING)
        failed = self._fail(Report(push=push, outcome="rolled_back", code=code, probe=probe))
        return (*failed, self._to_good())

    def _fail(self, report: Report) -> tuple[Command, ...]:
        """It will not be tried again, and that is on the disk before anything else is done."""
        self._store(candidate=None, candidate_content=None, attempts=0, report=report)
        return (Fail(report.push, report), Say(report))

    # --- what goes wrong on this box ---

    def _not_started(self, code: str) -> tuple[Command, ...]:
        now = self._now
        match now.phase, now.target:
            case Phase.SWITCHING, _:
                return self._roll_back(PROBE_START, code)
            case ((Phase.STARTING | Phase.RETURNING), Slot.GOOD):
                # Not its last word: the next start tries it again. Until then the box works by its boot file.
                self._set(target=Slot.BOOT)
                report = Report(push=now.stored.good, outcome="rolled_back", code=code, probe=PROBE_START)
                return (Say(report), Switch(Slot.BOOT))
            case ((Phase.STARTING | Phase.RETURNING), _):
                return (GiveUp(code),)
            case _:
                return ()

    def _not_stored(self, event: NotStored) -> tuple[Command, ...]:
        """The disk is full, or worse: what is in force stays, and the disk is as it was."""
        match event.command:
            case Stage(push) | Adopt(push):
                self._now = self._undo[Stage]
                return (Say(Report(push=push, outcome="rejected", code=event.code)),)
            case Count(push):
                self._now = self._undo[Count]
                say = Say(Report(push=push, outcome="rejected", code=event.code))
                if self._now.phase is Phase.STARTING:
                    return (say, self._to_good())
                self._set(phase=Phase.STEADY)
                return (say, *self._next_waiting())
            case Keep():
                self._now = self._undo[Keep]
                return self._roll_back(PROBE_STORE, event.code)
            case Fail(_, report):
                # The disk will try it again at the next start, at most until its attempts are used up.
                say = Say(report)
                return (say, self._to_good()) if self._now.phase is Phase.RETURNING else (say,)
