"""One head, one camera, one inspection at a time: the asyncio shell around `edged.inspection`.

The state machine decides; this executes its commands, feeds it the answers, keeps its deadline, and refuses
the presses that can't begin an inspection. Of its own accord it shows only how an idle counter is.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
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
    DocumentPlaced,
    DocumentRemoved,
    DocumentTurned,
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

INDICATE_TIMEOUT_S = 2.0
"""A head that takes longer to show something or to beep is treated as faulty for that once."""

MAX_READING_FACTOR = 3.0
"""A page that is read for this many times the reading limit has hung the reading thread: the watchdog ends it."""

Committer = Callable[[Sequence["PageReading"], ScanRequest, str], Awaitable[Committed | CommitFailed]]
"""Judges the sides and commits every envelope of the inspection with that id; never raises on a full disk."""

Reader = Callable[[Frame], "PageReading"]
"""Reads one frame; blocking, runs in the station's reading thread."""

Admit = Callable[[ScanRequest], str | None]
"""The code of why a request can't become an inspection on this box, or None."""

Notify = Callable[[Mapping[str, Any]], None]
"""Tells whoever listens at the control socket; what it is given holds no identity."""

Answer = asyncio.Future[dict[str, Any]]


@dataclass(frozen=True)
class _Press:
    """Somebody pressed scan and waits for `answer`."""

    request: ScanRequest
    answer: Answer


@dataclass(frozen=True)
class _Ask:
    """Somebody asks for a change and waits to hear whether it was possible."""

    event: CancelRequested | CompletionRequested
    answer: asyncio.Future[bool]


@dataclass(frozen=True)
class _Fact:
    """Something happened; `about` is the inspection whose command it answers, None for the world at large."""

    about: str | None
    event: Event


class _Wake:
    """Nothing happened: look at the deadline and the idle light again."""


class Station:
    """Runs inspections one after another.

    Everything that happens goes through one inbox, in order, and only `run` takes from it: so a press, a document
    that is taken away and a command's answer can't overtake one another.
    """

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
        admit: Admit = lambda _: None,
    ) -> None:
        self._head = head
        self._camera = camera
        self._default_scene = default_scene
        self._limits = limits
        self._read = read
        self._commit = commit
        self._notify = notify
        self._admit = admit
        self._inbox: asyncio.Queue[_Press | _Ask | _Fact | _Wake] = asyncio.Queue()
        self._turns = 0
        self._present = False
        self._gone: set[str] = set()
        self._online = True
        self._tasks: set[asyncio.Task[None]] = set()
        self._reading_thread = ThreadPoolExecutor(1, thread_name_prefix="reading")
        self._reading_since: float | None = None
        self._inspection: Inspection | None = None
        self._id = ""
        self._pressed_at = 0.0
        self._stages: dict[str, float] = {}
        self._answer: Answer | None = None
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

    def set_online(self, online: bool) -> None:
        """Whether the centre is in reach: an idle head says so when it isn't. Scanning goes on either way."""
        self._online = online
        self._inbox.put_nowait(_Wake())

    async def scan(self, request: ScanRequest) -> dict[str, Any]:
        """Press scan; returns the outcome as the control socket sends it (see `describe`).

        A press while an inspection runs is answered with a refusal and changes nothing.
        """
        answer: Answer = asyncio.get_running_loop().create_future()
        self._inbox.put_nowait(_Press(request, answer))
        return await asyncio.shield(answer)

    async def cancel(self) -> bool:
        """Cancel the running inspection; False when there is none that can still be cancelled."""
        return await self._ask(CancelRequested())

    async def complete(self) -> bool:
        """Say that the document has no other side; False when that wasn't asked."""
        return await self._ask(CompletionRequested())

    async def alive(self) -> bool:
        """Whether the loop still turns and no page has hung the reading thread: for the watchdog."""
        since = self._reading_since
        if since is not None and time.monotonic() - since > MAX_READING_FACTOR * self._limits.reading_s:
            return False
        before = self._turns
        self._inbox.put_nowait(_Wake())
        for _ in range(10):
            await asyncio.sleep(0.05)
            if self._turns != before:
                return True
        return False

    async def run(self) -> None:
        """Serve the head until cancelled; whoever still waits for an outcome is then refused one."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pump_head(), name="head events")
                group.create_task(self._serve(), name="inspection")
        finally:
            self._tell(refusal("inspection.shutting_down"), self._answer)
            while not self._inbox.empty():
                item = self._inbox.get_nowait()
                if isinstance(item, _Press):
                    self._tell(refusal("inspection.shutting_down"), item.answer)

    async def stop(self) -> None:
        """Take no further press, abort what can be aborted, and wait for what is being committed."""
        self._stopping = True
        await self._ask(CancelRequested("inspection.shutting_down"))
        if self._answer is not None and not self._answer.done():
            await asyncio.wait([self._answer], timeout=self._limits.reading_s)
        self._reading_thread.shutdown(wait=False, cancel_futures=True)

    async def _ask(self, event: CancelRequested | CompletionRequested) -> bool:
        answer: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._inbox.put_nowait(_Ask(event, answer))
        done, _ = await asyncio.wait([answer], timeout=self._limits.reading_s)
        return bool(done) and answer.result()

    async def _pump_head(self) -> None:
        self._present = self._head.document_present
        async for event in self._head.events():
            self._inbox.put_nowait(_Fact(None, event))

    async def _serve(self) -> None:
        while True:
            deadline = self._inspection.deadline if self._inspection else None
            item: _Press | _Ask | _Fact | _Wake
            try:
                async with asyncio.timeout_at(_loop_time(deadline)):
                    item = await self._inbox.get()
            except TimeoutError:
                item = _Fact(self._id, TimePassed())
            self._turns += 1
            match item:
                case _Press(request, answer):
                    await self._pressed(request, answer)
                case _Ask(event, answer):
                    await self._asked(event, answer)
                case _Fact(about, event):
                    # An answer to a command of an inspection that is over concerns nobody.
                    if about is None or about == self._id:
                        await self._take(event)
                case _Wake():
                    pass
                case _:
                    assert_never(item)
            await self._show_idle()

    async def _pressed(self, request: ScanRequest, answer: Answer | None) -> None:
        refused = self._refuse(request)
        if refused is None:
            await self._begin(request, answer or asyncio.get_running_loop().create_future())
            return
        self._notify({"event": "press_refused", **describe(refused, "", {})})
        self._tell(refused, answer)
        await self._beep()

    def _refuse(self, request: ScanRequest) -> Outcome | None:
        if self._stopping:
            return refusal("inspection.shutting_down")
        if self._inspection is not None:
            return refusal("inspection.remove_first" if self._inspection.finished else "inspection.busy")
        if self._gone:
            return refusal("inspection.device_missing", device=min(self._gone))
        code = self._admit(request)
        return refusal(code, scene=f"scene.{request.scene}") if code else None

    async def _asked(
        self, event: CancelRequested | CompletionRequested, answer: asyncio.Future[bool]
    ) -> None:
        inspection = self._inspection
        possible = inspection is not None and (
            inspection.cancellable if isinstance(event, CancelRequested) else inspection.completable
        )
        if not answer.done():
            answer.set_result(possible)
        if possible:
            await self._take(event)

    async def _begin(self, request: ScanRequest, answer: Answer) -> None:
        self._inspection = Inspection(request, self._limits)
        self._id = secrets.token_hex(8)
        self._answer = answer
        self._pressed_at = time.monotonic()
        self._stages = {}
        self._notify({"event": "pressed", "inspection": self._id, "scene": request.scene})
        await self._execute(self._inspection.start(document_present=self._present, now=time.monotonic()))

    async def _take(self, event: Event) -> None:
        match event:
            case DocumentPlaced() | DocumentTurned():
                self._present = True
            case DocumentRemoved():
                self._present = False
            case DeviceGone(device):
                self._gone.add(device)
                self._notify({"event": "device", "device": device, "answers": False})
            case DeviceBack(device):
                self._gone.discard(device)
                self._notify({"event": "device", "device": device, "answers": True})
                await self._catch_up()
            case ButtonPressed():
                await self._pressed(ScanRequest(self._default_scene), None)
                return
            case _:
                pass
        if self._inspection is not None:
            await self._execute(self._inspection.handle(event, time.monotonic()))
            if self._inspection.state is State.CLOSED:
                self._inspection = None

    async def _catch_up(self) -> None:
        """A head that is back shows what it should, and says what it missed."""
        await self._indicate(self._indication)
        if self._head.document_present != self._present:
            missed = DocumentPlaced() if self._head.document_present else DocumentRemoved()
            self._inbox.put_nowait(_Fact(None, missed))

    async def _show_idle(self) -> None:
        """Between inspections the head says whether the counter can be used, and whether the centre is in reach."""
        if self._inspection is not None:
            return
        idle = Indication.FAULT if self._gone else Indication.READY if self._online else Indication.OFFLINE
        if idle is not self._indication:
            await self._indicate(idle)

    async def _execute(self, commands: Sequence[Command]) -> None:
        for command in commands:
            match command:
                case Capture(light):
                    self._spawn(self._capture(light))
                case ReadFrame(frame):
                    self._spawn(self._read_frame(frame))
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

    def _spawn(self, work: Coroutine[Any, Any, Event]) -> None:
        """Do `work` beside the loop; what it returns is a fact about the inspection that asked for it."""
        task = asyncio.create_task(self._answer_with(self._id, work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer_with(self, about: str, work: Coroutine[Any, Any, Event]) -> None:
        event = await work
        # A lost device concerns whatever inspection runs by now.
        self._inbox.put_nowait(_Fact(None if isinstance(event, DeviceGone) else about, event))

    async def _capture(self, light: Light) -> Event:
        try:
            await self._head.illuminate(light, ILLUMINATION_MS)
            return FrameCaptured(await self._camera.capture(light))
        except DeviceGoneError as error:
            return DeviceGone(error.device)
        except (DeviceError, DecodeError) as error:
            return CaptureFailed(Reason(error.code))
        except Exception as error:  # noqa: BLE001 - a document must never be able to take the daemon down
            self._log.error("capturing failed; please report this", exc_info=error)
            return CaptureFailed(Reason("inspection.internal_error"))

    async def _read_frame(self, frame: Frame) -> Event:
        try:
            loop = asyncio.get_running_loop()
            return PageRead(await loop.run_in_executor(self._reading_thread, self._read_timed, frame))
        except Exception as error:  # noqa: BLE001 - a page must never be able to take the daemon down
            self._log.error("reading a page failed; please report this", exc_info=error)
            return CaptureFailed(Reason("inspection.internal_error"))

    def _read_timed(self, frame: Frame) -> PageReading:
        """In the reading thread."""
        self._reading_since = time.monotonic()
        try:
            return self._read(frame)
        finally:
            self._reading_since = None

    async def _commit_sides(self, about: str, sides: Sequence[PageReading], request: ScanRequest) -> Event:
        try:
            return await self._commit(sides, request, about)
        except Exception as error:  # noqa: BLE001 - whatever went wrong, nothing was stored and the clerk must know
            self._log.error("judging failed; please report this", exc_info=error)
            return CommitFailed(Reason("inspection.internal_error"))

    async def _indicate(self, indication: Indication) -> None:
        self._indication = indication
        self._notify({"event": "indication", "indication": indication.value})
        await self._at_head(self._head.indicate(indication))

    async def _beep(self) -> None:
        await self._at_head(self._head.beep())

    async def _at_head(self, doing: Coroutine[Any, Any, None]) -> None:
        """Show or sound something. A head that can't is no reason to lose an inspection."""
        try:
            async with asyncio.timeout(INDICATE_TIMEOUT_S):
                await doing
        except DeviceGoneError as error:
            if error.device not in self._gone:
                self._inbox.put_nowait(_Fact(None, DeviceGone(error.device)))
        except (DeviceError, TimeoutError) as error:
            self._log.warning("the head doesn't obey", exc_info=error)

    def _stage(self, name: str) -> None:
        elapsed = round((time.monotonic() - self._pressed_at) * 1000, 1)
        self._stages[name] = elapsed
        self._notify({"event": "stage", "inspection": self._id, "stage": name, "ms": elapsed})

    def _finish(self, outcome: Outcome) -> None:
        """Tell whoever pressed first of all: nothing after it may keep the outcome from them."""
        self._tell(outcome, self._answer)
        self._notify({"event": "outcome", **describe(outcome, self._id, self._stages)})
        self._log.info(
            "inspection ended",
            inspection=self._id,
            outcome=outcome.ending.value,
            result=outcome.verdict.result.value if outcome.verdict else None,
            reason=outcome.reason.code if outcome.reason else None,
            envelopes=outcome.envelopes,
        )

    def _tell(self, outcome: Outcome, answer: Answer | None) -> None:
        if answer is not None and not answer.done():
            refused = outcome.ending is Ending.REFUSED
            answer.set_result(describe(outcome, "" if refused else self._id, {} if refused else self._stages))


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
