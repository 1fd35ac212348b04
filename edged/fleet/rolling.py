"""Carries out a rollout: what the engine says over the admin's link, what boxes say to the engine."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections import deque
from typing import TYPE_CHECKING, Final, Protocol

from edged.errors import CertificateError, ConfigError, StateError
from edged.fleet.heard import Presence, Report, watch
from edged.fleet.pushes import number_of
from edged.fleet.pushing import publish, retained, withdraw
from edged.fleet.rollout import (
    IN_HAND,
    Command,
    Done,
    Event,
    Halt,
    Push,
    Pushed,
    Seen,
    Stop,
    Told,
    Wait,
)
from edged.fleet.seen import QUIET_S
from edged.uplink.mqtt import PublishRefusedError
from edged.uplink.reconnect import within

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence

    from edged.fleet.heard import Heard
    from edged.fleet.link import AdminLink
    from edged.fleet.pushes import Pushes
    from edged.fleet.pushing import Prepared
    from edged.fleet.rollout import Box, Record, Rollout
    from edged.uplink.reported import Reported

TOGETHER_S: Final = 0.05
"""What boxes say is looked at so often: the engine's answer takes a look at every box."""

LOOK_S: Final = 1.0
"""How often the clock, and whether somebody wants a stop, is looked at; and how often progress is written down."""

LINGER_S: Final = 180.0
"""How long boxes under way are heard out after a stop: an ordinary probation, and the way back."""


class Maker(Protocol):
    """Who makes pushes: `edged.fleet.pushing.Pusher`."""

    pushes: Pushes

    def heard(self, reports: Mapping[str, Reported]) -> None:
        """What boxes had said before. Blocking. Raises `StateError` when nothing should be pushed on top of that."""

    def prepare(self, devices: Sequence[str]) -> list[Prepared]:
        """Number, sign and write down a push to each. Blocking."""


class Carrier:
    """Runs one rollout to its end.

    `save` writes the record durably; it is called before anything is published. `on_step` is told what happened after
    each look (for progress), `stop_wanted` asked as often whether the operator wants a stop.
    """

    def __init__(
        self,
        engine: Rollout,
        *,
        link: AdminLink,
        maker: Maker,
        save: Callable[[Record], None],
        on_step: Callable[[Rollout, Sequence[Event], Command], None] = lambda *_: None,
        stop_wanted: Callable[[], bool] = lambda: False,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._engine = engine
        self._link = link
        self._maker = maker
        self._save = save
        self._on_step = on_step
        self._stop_wanted = stop_wanted
        self._clock = clock
        self._events: deque[Event] = deque()
        self._news = asyncio.Event()
        self._saved = 0.0
        self._connections = 0
        self._there: set[str] = set()
        self._reports: dict[str, Reported] = {}
        self._settled: dict[str, tuple[object, ...]] = {}
        self.problem: Exception | None = None
        """What a push failed at, when the reason is `rollout.cannot_push`."""

    async def run(self) -> Stop | Done:
        """Carry it out. Raises `UplinkError` when the broker stays away: it can be resumed."""
        async with watch(self._link, self._engine.record.boxes) as heard:
            listening = asyncio.create_task(self._listen(heard), name="rollout listens")
            try:
                await self._look_round()
                await self._recover("pushing")
                return await self._carry_out(listening)
            finally:
                listening.cancel()
                await asyncio.gather(listening, return_exceptions=True)
                await asyncio.to_thread(self._save, self._engine.record)

    async def _look_round(self) -> None:
        """Hear which boxes are there before any is pushed: silence of one that wasn't is no failure."""
        while len(self._there) < len(self._engine.record.boxes):
            self._news.clear()
            await within(self._news.wait(), QUIET_S)
            if not self._news.is_set():
                break
        await asyncio.to_thread(self._maker.heard, dict(self._reports))

    async def _carry_out(self, listening: asyncio.Task[None]) -> Stop | Done:
        command = self._step()
        while True:
            match command:
                case Push(devices):
                    await self._push(devices)
                case Wait(until):
                    await self._wait(until)
                case Stop() | Done():
                    await self._end(command)
                    return command
            if listening.done():
                listening.result()
            if self._link.connections != self._connections:
                await self._recover("pushing", "pushed")
            if self._stop_wanted():
                self._events.append(Halt("rollout.stopped"))
            command = self._step()
            await self._note(command)

    def _step(self) -> Command:
        self._news.clear()
        events = tuple(self._events)
        self._events.clear()
        command = self._engine.handle(*events, now=self._clock())
        self._on_step(self._engine, events, command)
        return command

    async def _wait(self, until: float | None) -> None:
        left = LOOK_S if until is None else min(LOOK_S, max(0.0, until - self._clock()))
        await within(self._news.wait(), left)
        if self._news.is_set():
            await asyncio.sleep(TOGETHER_S)

    async def _listen(self, heard: AsyncIterator[Heard]) -> None:
        async for one in heard:
            match one:
                case Report(device, reported, retained):
                    self._events.append(Told(device, reported, retained))
                    self._reports[device] = reported
                case Presence(device, status):
                    self._events.append(Seen(device, status.state == "online"))
                    self._there.add(device)
                case _:
                    continue  # what can't be believed says nothing about the box
            self._news.set()

    async def _push(self, devices: Sequence[str]) -> None:
        boxes = self._engine.record.boxes
        try:
            prepared = await asyncio.to_thread(self._maker.prepare, devices)
        except (ConfigError, StateError, CertificateError) as error:
            for device in devices:
                boxes[device].state = "waiting"
            self._halt(error)
            return
        for one in prepared:
            boxes[one.device].push = one.number
        await asyncio.to_thread(self._save, self._engine.record)
        await asyncio.gather(*(self._publish(one.device, one.data) for one in prepared))

    async def _publish(self, device: str, data: bytes) -> None:
        try:
            await publish(self._link, device, data)
        except PublishRefusedError as error:
            self._halt(error)
        else:
            self._events.append(Pushed(device))

    def _halt(self, error: Exception) -> None:
        self.problem = error
        self._events.append(Halt("rollout.cannot_push"))

    async def _recover(self, *states: str) -> None:
        """Pushes that may not have got to the broker, or not have survived it: put there again, with the same bytes."""
        self._connections = self._link.connections
        await asyncio.gather(
            *(
                self._recover_one(device, box)
                for device, box in self._engine.record.boxes.items()
                if box.state in states and box.push is not None
            )
        )

    async def _recover_one(self, device: str, box: Box) -> None:
        assert box.push is not None
        pushes = self._maker.pushes
        record = await asyncio.to_thread(pushes.read, device, box.push)
        found = await retained(self._link, device)
        if found is not None and hashlib.sha256(found).hexdigest() == record.bundle_sha256:
            self._events.append(Pushed(device))
        elif found and number_of(found) > box.push:
            box.state = "superseded"
        elif (data := await asyncio.to_thread(pushes.kept, device, box.push)) is not None:
            await self._publish(device, data)
        else:  # its bytes are lost, and the broker hasn't got them: that number is nobody's
            box.state, box.push = "waiting", None

    async def _note(self, command: Command) -> None:
        """Write down how far it is, now and then: whatever is lost of it, boxes say again."""
        if isinstance(command, Wait) and self._clock() - self._saved < LOOK_S:
            return
        self._saved = self._clock()
        await asyncio.to_thread(self._settle)

    def _settle(self) -> None:
        record = self._engine.record
        self._save(record)
        for device, box in record.boxes.items():
            found = (box.push, box.state, box.code, box.path, box.probe)
            if self._settled.get(device) != found:
                self._maker.pushes.settle(device, box, int(self._clock()))
                self._settled[device] = found

    async def _end(self, command: Stop | Done) -> None:
        if isinstance(command, Stop):
            await take_back(self._engine, command, self._link, self._maker.pushes)
            await asyncio.to_thread(self._settle)
            if command.reason == "rollout.too_many_failures":
                await self._linger()
        await asyncio.to_thread(self._settle)

    async def _linger(self) -> None:
        """Hear out those that are under way: how many failed is what somebody will want to know."""
        boxes = self._engine.record.boxes.values()
        end = self._clock() + LINGER_S
        while any(box.state in IN_HAND for box in boxes) and self._clock() < end and not self._stop_wanted():
            await self._wait(end)
            self._step()


async def take_back(engine: Rollout, stop: Stop, link: AdminLink, pushes: Pushes) -> None:
    """Take back what a stopped rollout's boxes haven't come for; it hasn't stopped before that is done.

    Raises `UplinkError`, `StateError`.
    """
    record = engine.record
    numbers = {device: push for device in stop.withdraw if (push := record.boxes[device].push) is not None}
    try:
        kept = await withdraw(link, pushes, numbers)
    except BaseException:  # whoever stops it again does all of it again
        record.state, record.reason = "running", None
        for device in stop.withdraw:
            record.boxes[device].state = "unreachable"
        raise
    for device in kept:
        record.boxes[device].state = "superseded"
