"""One rollout: what has happened goes in, what is to be done comes out. Takes time as an argument, does no I/O.

Boxes get their push wave by wave. A wave ends when every box of it is settled: it has applied, it has failed, or it
can't be reached. The next one begins after the soak, unless too many failed or too few were there to prove anything.
What a box reports is signed; that it is online isn't, and decides only whether its silence is a failure: a box that
was there and took the push, and then is heard of no more, has failed; one that is switched off has not, and counts as
no proof either.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final, Literal

import msgspec

from edged.uplink.fields import Code, Name, Sha256, Word
from edged.uplink.reported import Push as Number
from edged.uplink.reported import Reported

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

ENOUGH: Final = 10
"""So many boxes of a wave have ended before their share of failures is believed, unless it can't get better."""

Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Span = Annotated[float, msgspec.Meta(ge=0, le=30 * 86_400)]

BoxState = Literal[
    "waiting",
    "pushing",
    "pushed",
    "staged",
    "trial",
    "applied",
    "rejected",
    "rolled_back",
    "lost",
    "unreachable",
    "superseded",
    "withdrawn",
]
"""`pushing`: chosen and written down, the broker hasn't answered yet. `lost`: it was there, and is silent since.
`superseded`: somebody pushed something else meanwhile. `withdrawn`: the rollout stopped before the box came for it."""

FAILED: Final = frozenset({"rejected", "rolled_back", "lost"})
IN_HAND: Final = frozenset({"pushing", "pushed", "staged", "trial"})
UNPROVEN: Final = frozenset({"unreachable", "superseded", "withdrawn"})


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """When to go on and when to stop; times in seconds."""

    max_failure_share: Share = 0.05
    """Of a wave's boxes that have ended."""
    max_failures: Annotated[int, msgspec.Meta(ge=0)] | None = None
    """In the whole rollout."""
    max_unreachable: Share = 0.2
    """Of a wave's boxes."""
    soak_s: Span = 600.0
    """Between two waves: what a probe doesn't find, a clerk may."""
    patience_s: Span = 900.0
    """How long a box may be silent that is there: an inspection ends, files come, the probation passes."""
    offline_s: Span = 120.0
    """How long a box that isn't there is waited for."""
    at_once: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 50
    """Boxes with a push in hand."""


class Box(msgspec.Struct, forbid_unknown_fields=True):
    """How far one box is."""

    wave: Annotated[int, msgspec.Meta(ge=0)]
    document: Sha256
    """SHA-256 of the document it gets: a rollout that is resumed pushes what it began with."""
    version: Word | None = None
    """Of that document: a box that has applied a push of the same number with another was pushed by somebody else."""
    state: BoxState = "waiting"
    push: Number | None = None
    since: float = 0.0
    """When it was pushed, or last heard of."""
    online: bool | None = None
    code: Code | None = None
    path: str | None = None
    probe: str | None = None
    forgiven: bool = False
    """Its failure was there when somebody said to go on."""


class Record(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """`rollouts/{id}.json`: all that a rollout knows."""

    format: Literal[1] = 1
    id: Name
    version: str
    by: str
    started_at: float
    limits: Limits
    boxes: dict[Name, Box]
    wave: int = 0
    soaks_until: float | None = None
    state: Literal["running", "stopped", "done"] = "running"
    reason: Code | None = None


class Pushed(msgspec.Struct, frozen=True):
    """The broker has this box's push."""

    device: str


class Told(msgspec.Struct, frozen=True):
    """A verified report; `retained` when it may be older than our push."""

    device: str
    reported: Reported
    retained: bool = False


class Seen(msgspec.Struct, frozen=True):
    """A box came or went."""

    device: str
    online: bool


class Halt(msgspec.Struct, frozen=True):
    """An end from outside: the operator, or a push that couldn't be made."""

    reason: str


Event = Pushed | Told | Seen | Halt


class Push(msgspec.Struct, frozen=True):
    """Push to these, each written down as `pushing` before."""

    devices: tuple[str, ...]


class Wait(msgspec.Struct, frozen=True):
    """Nothing to do before `until`, unless something is heard; None: only something heard goes on."""

    until: float | None


class Stop(msgspec.Struct, frozen=True):
    """No more pushes. `withdraw`: boxes that haven't come for theirs, which they then don't get."""

    reason: str
    withdraw: tuple[str, ...]


class Done(msgspec.Struct, frozen=True):
    """Every wave has ended."""


Command = Push | Wait | Stop | Done


class Tally(msgspec.Struct, frozen=True):
    """How many boxes of a wave are where."""

    size: int
    waiting: int
    in_hand: int
    applied: int
    failed: int
    unproven: int
    forgiven: int

    @property
    def settled(self) -> bool:
        """Whether nothing of it is under way or to come."""
        return not self.waiting and not self.in_hand


class Rollout:
    """The engine. After every `handle`, do what it says; save `record` before a `Push` is carried out."""

    def __init__(self, record: Record) -> None:
        self.record = record
        self._waves: dict[int, list[str]] = {}
        for name, box in record.boxes.items():
            self._waves.setdefault(box.wave, []).append(name)

    @property
    def waves(self) -> int:
        """How many there are."""
        return len(self._waves)

    def tally(self, wave: int) -> Tally:
        """How far a wave is."""
        states = [self.record.boxes[name] for name in self._waves[wave]]
        counted = [box for box in states if not box.forgiven]
        return Tally(
            len(states),
            sum(box.state == "waiting" for box in states),
            sum(box.state in IN_HAND for box in states),
            sum(box.state == "applied" for box in states),
            sum(box.state in FAILED for box in counted),
            sum(box.state in UNPROVEN for box in states),
            len(states) - len(counted),
        )

    def failures(self) -> dict[str, Box]:
        """Boxes that have failed, forgiven ones as well."""
        return {name: box for name, box in self.record.boxes.items() if box.state in FAILED}

    def handle(self, *events: Event, now: float) -> Command:
        """What is to be done, now that this happened, at `now` (seconds since 1970).

        The answer looks at every box, the events don't: give it many together.
        """
        for event in events:
            match event:
                case Pushed(device):
                    self._pushed(device, now)
                case Told(device, reported, retained):
                    self._told(device, reported, now, retained=retained)
                case Seen(device, online):
                    self._seen(device, now, online=online)
                case Halt(reason):
                    if self.record.state == "running":
                        return self._stop(reason)
        return self._next(now)

    def resume(self, *, forgive: bool) -> None:
        """Go on with a rollout that has stopped or whose process has ended.

        What had no number yet wasn't pushed, what was withdrawn is pushed again. With `forgive` the failures so far
        count no more.
        """
        record = self.record
        record.state, record.reason = "running", None
        for box in record.boxes.values():
            if box.state == "withdrawn" or (box.state == "pushing" and box.push is None):
                box.state, box.push = "waiting", None
            if forgive and box.state in FAILED:
                box.forgiven = True

    def _pushed(self, device: str, now: float) -> None:
        box = self.record.boxes[device]
        if box.state == "pushing":
            box.state, box.since = "pushed", now

    def _told(self, device: str, reported: Reported, now: float, *, retained: bool) -> None:
        box = self.record.boxes.get(device)
        if box is None or box.push is None or box.state in ("waiting", "withdrawn"):
            return
        unreadable = reported.push == 0 and reported.outcome == "rejected" and not retained
        if reported.push < box.push and not unreadable:
            return
        if reported.push > box.push:
            if box.state in IN_HAND or box.state == "unreachable":
                box.state = "superseded"
            return
        if reported.outcome == "applied" and box.version not in (None, reported.running):
            box.state = "superseded"
            return
        box.code, box.path, box.probe = reported.code, reported.path, reported.probe
        box.since = now
        if reported.outcome != "none":
            if box.state != reported.outcome:
                box.forgiven = False
            box.state = reported.outcome

    def _seen(self, device: str, now: float, *, online: bool) -> None:
        box = self.record.boxes.get(device)
        if box is None:
            return
        box.online = online
        if online and box.state == "unreachable":
            box.state, box.since = "pushed", now  # it finds its push waiting

    def _next(self, now: float) -> Command:
        record = self.record
        if record.state != "running":
            self._give_up_waiting(now)
            return Done() if record.state == "done" else Stop(record.reason or "rollout.stopped", ())
        self._give_up_waiting(now)
        if (reason := self._too_many()) is not None:
            return self._stop(reason)
        while (tally := self.tally(record.wave)).settled:
            if (command := self._after_wave(tally, now)) is not None:
                return command
        return self._push() or Wait(self._due())

    def _give_up_waiting(self, now: float) -> None:
        for box in self.record.boxes.values():
            if box.state in IN_HAND and box.state != "pushing" and now >= self._patience_ends(box):
                box.state = "unreachable" if self._absent(box) else "lost"

    def _absent(self, box: Box) -> bool:
        """Whether it is simply not there. On trial it was; its silence says what became of it."""
        return box.online is not True and box.state in ("pushed", "staged")

    def _patience_ends(self, box: Box) -> float:
        limits = self.record.limits
        return box.since + (limits.offline_s if self._absent(box) else limits.patience_s)

    def _due(self) -> float | None:
        times = [
            self._patience_ends(box)
            for box in self.record.boxes.values()
            if box.state in IN_HAND and box.state != "pushing"
        ]
        return min(times, default=None)

    def _too_many(self) -> str | None:
        limits = self.record.limits
        tallies = [self.tally(wave) for wave in range(self.record.wave + 1)]
        if limits.max_failures is not None and sum(one.failed for one in tallies) > limits.max_failures:
            return "rollout.too_many_failures"
        for tally in tallies:
            ended = tally.applied + tally.failed
            possible = ended + tally.in_hand + tally.waiting
            share = limits.max_failure_share
            if tally.failed > share * possible or (ended >= ENOUGH and tally.failed > share * ended):
                return "rollout.too_many_failures"
        return None

    def _after_wave(self, tally: Tally, now: float) -> Command | None:
        """What follows a wave that is settled; None: the next one has begun, look again."""
        record = self.record
        last = record.wave == self.waves - 1
        if record.soaks_until is None:
            if tally.unproven > record.limits.max_unreachable * tally.size:
                return self._stop("rollout.too_few_reachable")
            if not tally.applied and not last and tally.failed + tally.unproven:
                return self._stop("rollout.nothing_proven")
            record.soaks_until = now if last else now + record.limits.soak_s
        if now < record.soaks_until:
            due = self._due()
            return Wait(record.soaks_until if due is None else min(due, record.soaks_until))
        if last:
            record.state = "done"
            return Done()
        record.wave += 1
        record.soaks_until = None
        return None

    def _push(self) -> Push | None:
        record = self.record
        free = record.limits.at_once - sum(box.state in IN_HAND for box in record.boxes.values())
        chosen = tuple(name for name in self._waves[record.wave] if record.boxes[name].state == "waiting")[
            : max(free, 0)
        ]
        for name in chosen:
            record.boxes[name].state = "pushing"
        return Push(chosen) if chosen else None

    def _stop(self, reason: str) -> Stop:
        record = self.record
        record.state, record.reason = "stopped", reason
        absent = [
            name
            for name, box in record.boxes.items()
            if box.state == "unreachable" or (box.state == "pushed" and self._absent(box))
        ]
        for name in absent:
            record.boxes[name].state = "withdrawn"
        return Stop(reason, tuple(absent))


def begin(
    waves: Iterable[Iterable[str]],
    documents: dict[str, str],
    *,
    identifier: str,
    version: str,
    by: str,
    limits: Limits,
    now: float,
    versions: Mapping[str, str] | None = None,
) -> Rollout:
    """A rollout that has pushed nothing yet; `documents`: the SHA-256 of what each box gets, `versions` its version."""
    known = versions or {}
    boxes = {
        name: Box(number, documents[name], known.get(name))
        for number, wave in enumerate(waves)
        for name in wave
    }
    return Rollout(Record(id=identifier, version=version, by=by, started_at=now, limits=limits, boxes=boxes))
