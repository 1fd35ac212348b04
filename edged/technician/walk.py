"""The walk through a box's devices: which steps there are, one after another, each passed, failed or skipped.

A step never lets anything of a document out: it hands back numbers, and drops what it read. What has passed before is
kept, so a walk that was broken off goes on where it was.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NamedTuple, Self

from edged import log
from edged.drivers.told import facts_of, provenance_of
from edged.errors import ChipError, DecodeError, DeviceError
from edged.uplink.acceptance import MAX_MEASURES, AcceptedDevice, Step
from edged.uplink.fields import MAX_OPAQUE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
    from datetime import date
    from pathlib import Path

    from edged.devices import Devices
    from edged.drivers import Device
    from edged.technician.person import Person
    from edged.uplink.acceptance import Outcome
    from edged.uplink.envelope import Provenance

HANDS_S: Final = 60.0
"""For a person to do what they are told."""

STEP_S: Final = 300.0
"""For a step altogether, answers included: whoever went for a coffee finds it failed, and does it again."""

MOST_HEARD: Final = 64
"""Events of a device that nobody has asked for yet: a button that sticks, or a reader that goes on by itself, must not
fill the memory. A swipe is among them, so they are dropped with the step."""

_MOST_WORD: Final = 64


class Came(NamedTuple):
    """What came of a step."""

    outcome: Outcome
    code: str | None = None
    measured: Mapping[str, float | int | bool] = MappingProxyType({})


def passed(**measured: float | bool) -> Came:
    """It works."""
    return Came("passed", None, _rounded(measured))


def failed(code: str, **measured: float | bool) -> Came:
    """It doesn't; the code's sentence says what to do."""
    return Came("failed", code, _rounded(measured))


def skipped(code: str, **measured: float | bool) -> Came:
    """It was not tested."""
    return Came("skipped", code, _rounded(measured))


def _rounded(measured: dict[str, float | int | bool]) -> dict[str, float | int | bool]:
    return {name: round(value, 3) if isinstance(value, float) else value for name, value in measured.items()}


class Ears:
    """Hears what a device tells, for the steps of a walk: the one consumer of its events."""

    def __init__(self, events: AsyncIterator[object]) -> None:
        self._events = events
        self._heard: asyncio.Queue[object] = asyncio.Queue(MOST_HEARD)
        self._task = asyncio.ensure_future(self._listen())

    async def _listen(self) -> None:
        try:
            async for event in self._events:
                if self._heard.full():
                    self._heard.get_nowait()
                self._heard.put_nowait(event)
        except Exception as error:  # noqa: BLE001 - the steps that wait for it fail; its text may be of what lay there
            log.get("acceptance").error("a device tells nothing any more", error=type(error).__name__)

    def forget(self) -> None:
        """What happened so far was for no step."""
        while not self._heard.empty():
            self._heard.get_nowait()

    async def next(self, *kinds: type, seconds: float = HANDS_S) -> object:
        """The next event of these kinds; others are passed over. Raises `TimeoutError`."""
        async with asyncio.timeout(seconds):
            while not isinstance(event := await self._heard.get(), kinds):
                pass
        return event

    async def close(self) -> None:
        """Stop listening, and forget."""
        self._task.cancel()
        await asyncio.wait([self._task])
        self.forget()


@dataclass
class Walk:
    """What every step has at hand.

    Attributes:
        devices: open.
        person: whoever answers.
        directory: where pictures of the test card are kept.
        today: for reading a picture that should show no document.
        ears: of each device that tells something, by its name.
        known: who each device said it was, as soon as it said so.
    """

    devices: Devices
    person: Person
    directory: Path
    today: date
    ears: dict[str, Ears] = field(default_factory=dict)
    known: dict[str, Provenance] = field(default_factory=dict)

    def is_the_same(self, name: str) -> bool:
        """Whether a device is still the one that it was; one that has not said who it is yet may still do so."""
        device = self.devices.by_name().get(name)
        now = None if device is None else provenance_of(device)
        if now is None or now.identity is None:
            return True
        return self.known.setdefault(name, now) == now

    async def __aenter__(self) -> Self:
        for name, device in self.devices.by_name().items():
            events = getattr(device, "events", None)
            if events is not None:
                self.ears[name] = Ears(events())
            self.is_the_same(name)
        return self

    async def __aexit__(self, *about: object) -> None:
        for ears in self.ears.values():
            await ears.close()


class Task(NamedTuple):
    """One step: its name, and the work; `hands`: whether somebody must do something."""

    name: str
    work: Callable[[Walk], Awaitable[Came]]
    hands: bool = False

    @property
    def device(self) -> str:
        """Which device it is about."""
        return self.name.partition("/")[0]


async def walk(
    place: Walk, tasks: Sequence[Task], before: Iterable[Step], done: Callable[[Step], None]
) -> tuple[Step, ...]:
    """Take every step that has not passed `before`; `done` hears of each as it ends. All of them, in order."""
    kept = {step.name: step for step in before if step.outcome == "passed"}
    steps = []
    for task in tasks:
        step = kept.get(task.name)
        if step is None:
            came = await _take(place, task)
            step = Step(
                name=task.name,
                outcome=came.outcome,
                at=int(time.time()),
                code=came.code,
                measured=dict(came.measured),
            )
        steps.append(step)
        done(step)
    return tuple(steps)


async def _take(place: Walk, task: Task) -> Came:
    if task.hands and not place.person.hands:
        return skipped("acceptance.nobody")
    for ears in place.ears.values():
        ears.forget()
    came = await _worked(place, task)
    for ears in place.ears.values():
        ears.forget()
    if came.outcome == "passed" and not place.is_the_same(task.device):
        return failed("acceptance.changed")
    return came


async def _worked(place: Walk, task: Task) -> Came:
    try:
        async with asyncio.timeout(STEP_S):
            return await task.work(place)
    except TimeoutError:
        return failed("acceptance.nothing_happened")
    except (DeviceError, ChipError, DecodeError) as error:
        return failed(error.code)
    except Exception as error:  # noqa: BLE001 - one broken step must not cost the others
        # Only what it was: a traceback's values might be of what lay there.
        log.get("acceptance").error(
            "a step broke; please report this", step=task.name, error=type(error).__name__
        )
        return failed("acceptance.broke")


def accepted(devices: dict[str, Device]) -> dict[str, AcceptedDevice]:
    """What was tested, as each driver tells it now."""
    return {name: _accepted(device) for name, device in devices.items()}


def _accepted(device: Device) -> AcceptedDevice:
    facts = facts_of(device)
    if facts is None:
        return AcceptedDevice(provenance=provenance_of(device))
    versions = {
        name[:_MOST_WORD]: version[:_MOST_WORD]
        for name, version in list(facts.versions.items())[:MAX_MEASURES]
        if name and version
    }
    model = facts.model[:MAX_OPAQUE] if facts.model else None
    return AcceptedDevice(provenance=provenance_of(device), model=model, versions=versions)
