"""Carries out what the machine of the switch commands, on disk, daemon and files, and tells it what came of it."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Final

from edged import log
from edged.errors import CodedError, ConfigError, PushRefusedError, StateError
from edged.pushed import versions
from edged.pushed.host import Generation
from edged.pushed.steps import (
    NOTHING_YET,
    Adopt,
    ArtefactsFailed,
    ArtefactsHere,
    AwaitIdle,
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
    RunProbes,
    Say,
    Slot,
    Stage,
    Started,
    StopFetching,
    Switch,
)
from edged.pushed.switch import Phase, SwitchMachine

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from typing import Any

    from edged.pushed.host import Artefacts, Files, Host
    from edged.pushed.steps import Report
    from edged.pushed.store import FleetStore
    from edged.pushed.verifying import Accepted
    from edged.uplink.database import DatabaseThread

GRACE_S: Final = 5.0
"""Beyond its probation, a version's probes have this long to notice that it is over."""


class Driver:
    """A machine and what it drives.

    Attributes:
        machine: where the switch stands.
        in_force: what was put in force last.
        report: what is to be said of the last push.
        taken: pushes that were verified and aren't stored yet, by number, with the hash of the message they came in.
    """

    def __init__(
        self,
        store: DatabaseThread[FleetStore],
        *,
        host: Host,
        artefacts: Artefacts,
        wake: Callable[[], None],
        on_report: Callable[[], None],
    ) -> None:
        self._store, self._host, self._artefacts = store, host, artefacts
        self._wake, self._on_report = wake, on_report
        self._log = log.get("fleet")
        self.machine = SwitchMachine()
        self.in_force = Generation(0, host.boot_settings, {})
        self.report: Report = NOTHING_YET
        self.taken: dict[int, tuple[Accepted, str]] = {}
        self._error: Exception | None = None
        self._events: deque[Event] = deque()
        self._group: asyncio.TaskGroup | None = None
        self._postponed: dict[str, Callable[[], Coroutine[Any, Any, None]]] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    @property
    def running_push(self) -> int:
        """The push that is in force; 0: the boot file."""
        return self.in_force.push if self.machine.running is None else self.machine.running_push

    def begin_tasks(self, group: asyncio.TaskGroup) -> None:
        """From now on what takes its time runs in `group`; what was asked for before begins."""
        self._group = group
        postponed, self._postponed = self._postponed, {}
        for name, work in postponed.items():
            self._start(name, work)

    def end_tasks(self) -> None:
        """Nothing runs any more."""
        self._group = None
        for name in tuple(self._tasks):
            self._stop(name)

    async def work_off(self) -> None:
        """Take the events that have come up. Raises `StateError` for a broken store, what the boot file fails with."""
        while self._events:
            await self.feed(self._events.popleft())

    async def feed(self, event: Event) -> None:
        """One step of the machine; a write that fails is the next one, instead of what was to be done after it."""
        steady = self.machine.phase is Phase.STEADY
        commands = deque(self.machine.step(event))
        while commands:
            failed = await self._execute(commands.popleft())
            if failed is not None:
                commands = deque(self.machine.step(failed))
        waiting = self.machine.waiting_push
        self.taken = {push: kept for push, kept in self.taken.items() if push == waiting}
        if self.machine.phase is Phase.STEADY and not steady:
            await self._tidy()

    def _post(self, event: Event) -> None:
        self._events.append(event)
        self._wake()

    async def _execute(self, command: Command) -> NotStored | None:
        match command:
            case Stage() | Adopt() | Count() | Keep() | Fail():
                return await self._write(command)
            case Say(report):
                self._say(report)
            case Switch(slot):
                await self._switch(slot)
            case Fetch(push, slot):
                self._start("fetch", lambda: self._fetch(push, slot))
            case StopFetching():
                for name in ("fetch", "idle"):
                    self._stop(name)
            case AwaitIdle():
                self._start("idle", self._await_idle)
            case RunProbes():
                self._start("probes", self._probe)
            case GiveUp():
                assert self._error is not None
                raise self._error
        return None

    async def _write(self, command: Stage | Adopt | Count | Keep | Fail) -> NotStored | None:
        try:
            match command:
                case Stage(push):
                    accepted, bundle = self.taken[push]
                    await self._store.write(lambda store: store.stage(accepted, bundle))
                    if accepted.authority is not None:  # its files may never come, and nobody waits for them
                        await self._host.revoke(accepted.authority)
                case Adopt(push, report):
                    accepted, bundle = self.taken[push]
                    await self._store.write(lambda store: store.adopt(accepted, bundle, report))
                case Count(_, attempt):
                    await self._store.write(lambda store: store.count(attempt))
                case Keep(_, report):
                    await self._store.write(lambda store: store.keep(report))
                case Fail(push, report):
                    await self._store.write(lambda store: store.fail(report))
                    await self._store.run(lambda store: store.note_failed(push))
        except StateError as error:
            if error.code == "state.corrupt":
                raise  # the next start sets the store aside
            self._log.error("the switch couldn't be written down", exc_info=error)
            return NotStored(command, error.code)
        return None

    def _say(self, report: Report) -> None:
        if report != self.report or report.outcome != "staged":
            self._log.info(
                "report", push=report.push, outcome=report.outcome, code=report.code, probe=report.probe
            )
        self.report = report
        self._on_report()

    async def _switch(self, slot: Slot) -> None:
        try:
            generation = await self._generation(slot)
            await self._host.switch(generation)
        except Exception as error:  # noqa: BLE001 - whatever a version does to the box, the one before still works
            self._log.error("a version couldn't be put in force", version=slot.value, exc_info=error)
            self._error = error
            self._post(NotStarted(_code(error)))
            return
        self.in_force = generation
        self._post(Started())

    async def _generation(self, slot: Slot) -> Generation:
        """Raises `EdgedError` for a version that can't be composed, or whose artefacts aren't here."""
        version, revoked, boot_ca = await self._store.run(
            lambda store: (store.version(slot), store.revoked(), store.boot_ca)
        )
        boot = self._host.boot_settings
        if version is None:
            return Generation(0, boot, {}, revoked=revoked)
        files: Files | None = {}
        if version.artefacts:
            files = await self._artefacts.here(version.artefacts)
        if files is None:
            raise StateError("push.files_missing")
        settings = await asyncio.to_thread(versions.settings_of, version, boot, files)
        # A box that was enrolled anew has its authorities from there: those of an older push may not know its own.
        authority = version.authority if version.boot_ca == boot_ca else None
        return Generation(version.push, settings, files, authority, revoked)

    # --- what takes its time ---

    def _start(self, name: str, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run `work` beside, when what was started under that name before has ended. Not before `run` does."""
        before = self._stop(name)
        if self._group is None:
            self._postponed[name] = work
            return

        async def after() -> None:
            if before is not None:
                await asyncio.wait((before,))
            await work()

        self._tasks[name] = self._group.create_task(after(), name=f"fleet-{name}")

    def _stop(self, name: str) -> asyncio.Task[None] | None:
        self._postponed.pop(name, None)
        task = self._tasks.pop(name, None)
        if task is not None:
            task.cancel()
        return task

    async def _fetch(self, push: int, slot: Slot) -> None:
        version = await self._store.run(lambda store: store.version(slot))
        assert version is not None
        try:
            files: Files = {}
            if version.artefacts:
                files = await self._artefacts.fetch(
                    version.artefacts, lambda percent: self._post(ProgressFetched(push, percent))
                )
            await asyncio.to_thread(versions.settings_of, version, self._host.boot_settings, files)
        except (PushRefusedError, ConfigError) as error:
            self._post(ArtefactsFailed(push, error.code, error.where or None))
        except StateError as error:
            if error.code == "state.corrupt":
                raise
            self._post(ArtefactsFailed(push, error.code))
        except Exception as error:  # noqa: BLE001 - a restart would only try it again
            self._log.error("getting files failed; please report this", exc_info=error)
            self._post(ArtefactsFailed(push, _code(error)))
        else:
            self._post(ArtefactsHere(push))

    async def _await_idle(self) -> None:
        await self._host.idle()
        self._post(Idle())

    async def _probe(self) -> None:
        version = await self._store.run(lambda store: store.version(Slot.CANDIDATE))
        assert version is not None
        try:
            async with asyncio.timeout(version.probation_s + GRACE_S):
                result = await self._host.probe(version.probation_s)
        except TimeoutError:
            self._post(ProbeFailed("probation", "push.probation_over"))
            return
        except Exception as error:  # noqa: BLE001 - a version that breaks its own test has failed it
            self._log.error("the probes broke; please report this", exc_info=error)
            self._post(ProbeFailed("probation", _code(error)))
            return
        if result.probe is None:
            self._post(ProbesPassed())
        else:
            self._post(ProbeFailed(result.probe, result.code or "push.probe_broke"))

    async def _tidy(self) -> None:
        """Nothing is on its way: files that no version names may go."""
        kept = await self._store.run(
            lambda store: [store.version(slot) for slot in (Slot.GOOD, Slot.CANDIDATE)]
        )
        targets = [one for version in kept if version is not None for one in version.artefacts.values()]
        try:
            await self._artefacts.keep(targets)
        except StateError as error:
            self._log.warning("files that aren't needed couldn't be taken away", exc_info=error)


def _code(error: Exception) -> str:
    return error.code if isinstance(error, CodedError) else "push.internal_error"
