"""One head, one camera, one inspection at a time: the asyncio shell around `edged.inspection`.

The state machine decides; this executes its commands, feeds it the answers, keeps its deadline, and refuses
the presses that can't begin an inspection. It shows nothing of its own accord.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, assert_never

import msgspec

from edged import log
from edged.errors import DecodeError, DeviceError, DeviceGoneError
from edged.events import (
    ButtonPressed,
    CancelRequested,
    CaptureFailed,
    CommitFailed,
    Committed,
    CompletionRequested,
    DeviceBack,
    DeviceGone,
    Event,
    Frame,
    FrameCaptured,
    Indication,
    Light,
    PageRead,
    ScanRequest,
    TimePassed,
)
from edged.inspection import (
    Beep,
    Capture,
    Command,
    Commit,
    Ending,
    Finish,
    Indicate,
    Inspection,
    Limits,
    Outcome,
    ReadFrame,
    Stage,
    State,
    refusal,
)
from edged.verdict import Reason

if TYPE_CHECKING:
    from edged.core.reading import PageReading
    from edged.drivers import Camera, Head

ILLUMINATION_MS = 120
"""How long the window is lit for a frame: longer than any camera's exposure, too short to bother a clerk."""

Committer = Callable[[Sequence["PageReading"], ScanRequest, str], Awaitable[Committed | CommitFailed]]
"""Judges the sides and commits every envelope of the inspection with that id; never raises on a full disk."""

Reader = Callable[[Frame], "PageReading"]
"""Reads one frame; blocking, runs in the station's reading thread."""

Notify = Callable[[Mapping[str, Any]], None]
"""Tells whoever listens at the control socket; what it is given holds no identity."""


class Station:
    """Runs inspections one after another. `run` is its only task; any other may call the rest."""

    def __init__(
        self,
        head: Head,
        camera: Camera,
        *,
        default_scene: str,
        limits: Limits,
        read: Reader,
        commit: Committer,
        notify: Notify,
    ) -> None:
        self._head = head
        self._camera = camera
        self._default_scene = default_scene
        self._limits = limits
        self._read = read
        self._commit = commit
        self._notify = notify
        self._inbox: asyncio.Queue[tuple[str | None, Event] | None] = asyncio.Queue()
        self._turns = 0
        self._gone: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._reading_thread = ThreadPoolExecutor(1, thread_name_prefix="reading")
        self._inspection: Inspection | None = None
        self._id = ""
        self._pressed_at = 0.0
        self._stages: dict[str, float] = {}
        self._answer: asyncio.Future[dict[str, Any]] | None = None
        self._indication = Indication.READY
        self._stopping = False
        self._log = log.get("station")

    @property
    def state(self) -> str:
        """The running inspection's state, or "ready"."""
        return self._inspection.state.value if self._inspection else "ready"

    @property
    def indication(self) -> Indication:
        """What the head shows."""
        return self._indication

    @property
    def devices_gone(self) -> frozenset[str]:
        """Names of the devices that don't answer."""
        return frozenset(self._gone)

    async def scan(self, request: ScanRequest) -> dict[str, Any]:
        """Press scan; returns the outcome as the control socket sends it (see `describe`).

        A press while an inspection runs is answered at once with a refusal and changes nothing.
        """
        refused = self._refuse()
        if refused is not None:
            answer = describe(refused, "", {})
            self._notify({"event": "press_refused", **answer})
            return answer
        future: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        await self._begin(request, future)
        return await asyncio.shield(future)

    def cancel(self) -> bool:
        """Cancel the running inspection; False when there is none that could still be cancelled."""
        running = self._inspection is not None and not self._inspection.finished
        if running:
            self._inbox.put_nowait((self._id, CancelRequested()))
        return running

    def complete(self) -> bool:
        """Say that the document has no other side; False when that wasn't asked."""
        turning = self._inspection is not None and self._inspection.state is State.TURNING
        if turning:
            self._inbox.put_nowait((self._id, CompletionRequested()))
        return turning

    async def alive(self) -> bool:
        """Whether the loop still turns: for the watchdog."""
        before = self._turns
        self._wake()
        for _ in range(10):
            await asyncio.sleep(0.05)
            if self._turns != before:
                return True
        return False

    def _wake(self) -> None:
        """Let the loop look at the deadline again."""
        self._inbox.put_nowait(None)

    async def run(self) -> None:
        """Serve the head until cancelled; an unfinished inspection is then aborted."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._pump_head(), name="head events")
            group.create_task(self._serve(), name="inspection")

    async def stop(self) -> None:
        """Take no further press, cancel what can be cancelled, and wait for what is being committed."""
        self._stopping = True
        self.cancel()
        if self._answer is not None and not self._answer.done():
            await asyncio.wait([self._answer], timeout=self._limits.reading_s)
        self._reading_thread.shutdown(wait=False, cancel_futures=True)

    def _refuse(self) -> Outcome | None:
        if self._stopping:
            return refusal("inspection.shutting_down")
        if self._gone:
            device = min(self._gone)
            return Outcome(Ending.REFUSED, reason=Reason("inspection.device_gone", {"device": device}))
        if self._inspection is None:
            return None
        return refusal("inspection.remove_first" if self._inspection.finished else "inspection.busy")

    async def _begin(self, request: ScanRequest, answer: asyncio.Future[dict[str, Any]] | None) -> None:
        self._inspection = Inspection(request, self._limits)
        self._id = secrets.token_hex(8)
        self._answer = answer
        self._pressed_at = time.monotonic()
        self._stages = {}
        self._notify({"event": "pressed", "inspection": self._id, "scene": request.scene})
        commands = self._inspection.start(document_present=self._head.document_present, now=time.monotonic())
        await self._execute(commands)
        self._wake()

    async def _pump_head(self) -> None:
        async for event in self._head.events():
            self._inbox.put_nowait((None, event))

    async def _serve(self) -> None:
        while True:
            deadline = self._inspection.deadline if self._inspection else None
            try:
                async with asyncio.timeout_at(_loop_time(deadline)):
                    item = await self._inbox.get()
            except TimeoutError:
                item = self._id, TimePassed()
            self._turns += 1
            if item is None:
                continue
            about, event = item
            if about is not None and about != self._id:
                continue  # an answer to a command of an inspection that is over
            await self._take(event)

    async def _take(self, event: Event) -> None:
        match event:
            case DeviceGone(device):
                self._gone.add(device)
                self._notify({"event": "device", "device": device, "answers": False})
            case DeviceBack(device):
                self._gone.discard(device)
                self._notify({"event": "device", "device": device, "answers": True})
            case ButtonPressed():
                await self._pressed()
                return
            case _:
                pass
        if self._inspection is not None:
            await self._execute(self._inspection.handle(event, time.monotonic()))
            if self._inspection.state is State.CLOSED:
                self._inspection = None
                await self._indicate(Indication.READY)

    async def _pressed(self) -> None:
        """The button on the head: a scan of the default scene, without a reference."""
        refused = self._refuse()
        if refused is None:
            await self._begin(ScanRequest(self._default_scene), None)
        else:
            self._notify({"event": "press_refused", **describe(refused, "", {})})

    async def _execute(self, commands: Sequence[Command]) -> None:
        for command in commands:
            match command:
                case Capture(light):
                    self._spawn(self._capture(self._id, light))
                case ReadFrame(frame):
                    self._spawn(self._read_frame(self._id, frame))
                case Commit(sides):
                    assert self._inspection is not None
                    self._spawn(self._commit_sides(self._id, sides, self._inspection.request))
                case Indicate(indication):
                    await self._indicate(indication)
                case Beep():
                    await self._beep()
                case Stage(name):
                    self._stage(name)
                case Finish(outcome):
                    self._finish(outcome)
                case _:
                    assert_never(command)

    def _spawn(self, work: Awaitable[None]) -> None:
        task: asyncio.Task[None] = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _capture(self, about: str, light: Light) -> None:
        answer: Event
        try:
            await self._head.illuminate(light, ILLUMINATION_MS)
            answer = FrameCaptured(await self._camera.capture(light))
        except DeviceGoneError as error:
            self._inbox.put_nowait((None, DeviceGone(error.device)))
            return
        except (DeviceError, DecodeError) as error:
            answer = CaptureFailed(Reason(error.code))
        self._inbox.put_nowait((about, answer))

    async def _read_frame(self, about: str, frame: Frame) -> None:
        answer: Event
        try:
            loop = asyncio.get_running_loop()
            answer = PageRead(await loop.run_in_executor(self._reading_thread, self._read, frame))
        except Exception as error:  # noqa: BLE001 - a page must never be able to take the daemon down
            self._log.error("reading a page failed; please report this", exc_info=error)
            answer = CaptureFailed(Reason("inspection.internal_error"))
        self._inbox.put_nowait((about, answer))

    async def _commit_sides(self, about: str, sides: Sequence[PageReading], request: ScanRequest) -> None:
        answer: Event
        try:
            answer = await self._commit(sides, request, about)
        except Exception as error:  # noqa: BLE001 - whatever went wrong, nothing was stored and the clerk must know
            self._log.error("judging failed; please report this", exc_info=error)
            answer = CommitFailed(Reason("inspection.internal_error"))
        self._inbox.put_nowait((about, answer))

    async def _indicate(self, indication: Indication) -> None:
        self._indication = indication
        self._notify({"event": "indication", "indication": indication.value})
        try:
            await self._head.indicate(indication)
        except DeviceGoneError as error:
            self._inbox.put_nowait((None, DeviceGone(error.device)))

    async def _beep(self) -> None:
        try:
            await self._head.beep()
        except DeviceGoneError as error:
            self._inbox.put_nowait((None, DeviceGone(error.device)))

    def _stage(self, name: str) -> None:
        elapsed = round((time.monotonic() - self._pressed_at) * 1000, 1)
        self._stages[name] = elapsed
        self._notify({"event": "stage", "inspection": self._id, "stage": name, "ms": elapsed})

    def _finish(self, outcome: Outcome) -> None:
        answer = describe(outcome, self._id, self._stages)
        self._log.info(
            "inspection ended",
            inspection=self._id,
            outcome=outcome.ending.value,
            result=outcome.verdict.result.value if outcome.verdict else None,
            reason=outcome.reason.code if outcome.reason else None,
            envelopes=outcome.envelopes,
        )
        self._notify({"event": "outcome", **answer})
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(answer)


def _loop_time(deadline: float | None) -> float | None:
    """A `time.monotonic` deadline on the event loop's own clock."""
    if deadline is None:
        return None
    return asyncio.get_running_loop().time() + max(0.0, deadline - time.monotonic())


def describe(outcome: Outcome, inspection: str, stages: Mapping[str, float]) -> dict[str, Any]:
    """An outcome as the control socket sends it: JSON-able, without identity."""
    described: dict[str, Any] = {
        "inspection": inspection,
        "outcome": outcome.ending.value,
        "stages": dict(stages),
        "envelopes": outcome.envelopes,
        "octets": outcome.octets,
        "reason": msgspec.to_builtins(outcome.reason) if outcome.reason else None,
        "verdict": None,
    }
    if outcome.verdict is not None:
        described["verdict"] = {
            **msgspec.to_builtins(outcome.verdict),
            "reasons": msgspec.to_builtins(outcome.verdict.reasons),
        }
    return described
