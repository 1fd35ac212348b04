"""One counter, one inspection at a time: the asyncio shell around `edged.inspection`.

The state machine decides; this executes its commands, feeds it the answers, keeps its deadline, and refuses
the presses that can't begin an inspection. Of its own accord it shows only how an idle counter is.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar, assert_never

from edged import log
from edged.asking import Asking
from edged.attendance import ESSENTIAL, Attendance
from edged.breaks import Breaks
from edged.drivers import Watched, told
from edged.errors import ControlError
from edged.events import (
    ButtonPressed,
    CancelRequested,
    CommitFailed,
    Committed,
    CompletionRequested,
    DeviceBack,
    DeviceGone,
    DocumentPlaced,
    DocumentRemoved,
    DocumentSwiped,
    DocumentTurned,
    Event,
    Indication,
    ScanRequest,
    TimePassed,
    TroubleBegan,
    TroubleOver,
)
from edged.inbox import Answer, Ask, Fact, Inbox, Press, Wake
from edged.inspection import Inspection, State
from edged.optics import BeginSide, Optics, ReadText
from edged.orders import (
    Advise,
    Beep,
    Capture,
    Command,
    Commit,
    Finish,
    Indicate,
    Limits,
    Outcome,
    ReadChip,
    ReadFrame,
    ReadIdCard,
    ReadLines,
    Stage,
    refusal,
)
from edged.panel import Panel
from edged.side import ReadDocument
from edged.telling import Notify, Telling, describe_refusal
from edged.verdict import Reason

if TYPE_CHECKING:
    from edged.antenna import Antenna
    from edged.card_module import CardModule
    from edged.drivers import Camera, Head, Swipe

MAX_READING_FACTOR = 3.0
"""A page that is read for this many times the reading limit has hung the reading thread: the watchdog ends it."""

T = TypeVar("T")

Committer = Callable[["ReadDocument", ScanRequest, str], Awaitable[Committed | CommitFailed]]
"""Judges what was read, commits every envelope of the inspection with that id; never raises on a full disk."""

Admit = Callable[[ScanRequest], str | None]
"""The code of why a request can't become an inspection on this box, or None."""


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
        begin_side: BeginSide,
        read_text: ReadText,
        commit: Committer,
        notify: Notify,
        admit: Admit = lambda _: None,
        antenna: Antenna | None = None,
        module: CardModule | None = None,
        swipe: Swipe | None = None,
    ) -> None:
        self._head = head
        self._camera = camera
        self._module = module
        self._swipe = swipe
        self._optics = Optics(head, camera, begin_side, read_text)
        self._panel = Panel(head, self._head_gone)
        self._antenna = antenna
        self._default_scene = default_scene
        self._limits = limits
        self._commit = commit
        self._notify = notify
        self._admit = admit
        self._inbox = Inbox()
        self._turns = 0
        self._present = False
        self._attendance = Attendance(notify)
        self._online = True
        self._inspection: Inspection | None = None
        self._id = ""
        self._telling = Telling("", notify)
        self._asking = Asking(self._inbox)
        self._answer: Answer | None = None
        self._stopping = False
        self._breaks = Breaks(self._inbox.wake)
        self._log = log.get("station")

    @property
    def state(self) -> str:
        """The running inspection's state, or "ready"."""
        return self._inspection.state.value if self._inspection else "ready"

    @property
    def inspecting(self) -> bool:
        """Whether a document is being inspected; one that only has to be taken away may lie there for hours."""
        return self._inspection is not None and not self._inspection.finished

    @property
    def indication(self) -> Indication:
        """What the head shows."""
        return self._panel.indication

    @property
    def devices_gone(self) -> frozenset[str]:
        """Names of the devices that don't answer."""
        chip = {"chip"} if self._antenna is not None and self._antenna.gone else set()
        return frozenset(self._attendance.gone | chip)

    @property
    def troubles(self) -> frozenset[str]:
        """Codes of why a device that answers can't be used."""
        return self._attendance.troubles

    def set_online(self, online: bool) -> None:
        """Whether the centre is in reach: an idle head says so when it isn't. Scanning goes on either way."""
        self._online = online
        self._inbox.wake()

    async def scan(self, request: ScanRequest) -> dict[str, Any]:
        """Press scan; returns the outcome as the control socket sends it (see `edged.telling.describe`).

        A press while an inspection runs is answered with a refusal and changes nothing.
        """
        return await asyncio.shield(self._inbox.press(request))

    async def cancel(self) -> bool:
        """Cancel the running inspection; False when there is none that can still be cancelled."""
        return await self._ask(CancelRequested())

    async def complete(self) -> bool:
        """Say that the document has no other side; False when that wasn't asked."""
        return await self._ask(CompletionRequested())

    async def between_inspections(self, work: Callable[[], Awaitable[T]]) -> T:
        """Run `work` while no inspection is running: soon, or when the one that runs has told its outcome.

        Until it is done nothing begins: whoever presses meanwhile waits for it, and isn't lost. Raises what `work`
        raises, `TimeoutError` when it takes longer than `MAX_BREAK_S`, and is cancelled when the station stops.
        """
        return await self._breaks.take(work)

    def configure(self, *, default_scene: str, limits: Limits) -> None:
        """What holds from the next inspection on; to be called between two of them."""
        self._default_scene, self._limits = default_scene, limits

    async def identify(self, seconds: float) -> None:
        """Blink and beep for so long, to be found; a press ends it at once.

        Raises `ControlError` (`inspection.busy`) while a document is inspected, or another call blinks.
        """
        if self._inspection is not None or self._stopping or self._panel.identifying:
            raise ControlError("inspection.busy")
        await self._panel.identify(seconds)

    async def alive(self) -> bool:
        """Whether the loop still turns and no page has hung the reading thread: for the watchdog."""
        if self._optics.reading_for_s() > MAX_READING_FACTOR * self._limits.reading_s:
            return False
        if (goes_on := self._breaks.goes_on) is not None:
            return goes_on
        before = self._turns
        self._inbox.wake()
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
                if isinstance(self._camera, Watched):
                    group.create_task(self._pump(self._camera.events, "camera"), name="camera events")
                if self._swipe is not None:
                    group.create_task(self._pump(self._swipe.events, "swipe"), name="swipe events")
                if self._module is not None:
                    group.create_task(self._module.run(self._inbox.tell), name="id card events")
                if self._antenna is not None:
                    group.create_task(self._antenna.run(), name="chip events")
        finally:
            self._breaks.end()
            self._optics.forget()
            _refuse(self._answer, refusal("inspection.shutting_down"))
            for item in self._inbox.left():
                if isinstance(item, Press):
                    _refuse(item.answer, refusal("inspection.shutting_down"))

    async def stop(self) -> None:
        """Take no further press, abort what can be aborted, and wait for what is being committed."""
        self._stopping = True
        await self._panel.stop_identifying()
        await self._ask(CancelRequested("inspection.shutting_down"))
        if self._answer is not None and not self._answer.done():
            await asyncio.wait([self._answer], timeout=self._limits.reading_s)
        self._optics.close()

    async def _ask(self, event: CancelRequested | CompletionRequested) -> bool:
        answer = self._inbox.ask(event)
        done, _ = await asyncio.wait([answer], timeout=self._limits.reading_s)
        return bool(done) and answer.result()

    async def _pump_head(self) -> None:
        self._present = self._head_sees
        await self._pump(self._head.events, "head")

    async def _pump(self, events: Callable[[], AsyncIterator[Event]], name: str) -> None:
        async for event in told.events_of(events, name):
            self._inbox.tell(event)

    @property
    def _head_sees(self) -> bool:
        return told.is_true(self._head, "document_present")

    async def _serve(self) -> None:
        while True:
            await self._take_breaks()
            deadline = self._inspection.deadline if self._inspection else None
            item = await self._inbox.next(deadline)
            self._turns += 1
            match item:
                case None:
                    await self._take(TimePassed())
                case Press(request, answer):
                    await self._pressed(request, answer)
                case Ask(event, answer):
                    await self._asked(event, answer)
                case Fact(answers, event):
                    # An answer to any command but the last is too late: the inspection went on, or is over.
                    if self._asking.awaits(answers):
                        await self._take(event)
                case Wake():
                    pass
                case _:
                    assert_never(item)
            await self._show_idle()

    async def _take_breaks(self) -> None:
        """Let others work while nothing is being inspected; a document that only has to be taken away may lie there."""
        while await self._breaks.give(lambda: not self.inspecting):
            self._turns += 1
            await self._indicate(self._panel.indication)

    async def _pressed(
        self, request: ScanRequest, answer: Answer | None, swiped: DocumentSwiped | None = None
    ) -> None:
        if self._inspection is not None and self._inspection.lingers:
            self._inspection = None  # nothing is in the way of the next document
        refused = self._refusal_of(request)
        if refused is None:
            await self._begin(request, answer or asyncio.get_running_loop().create_future(), swiped)
            return
        self._notify({"event": "press_refused", **describe_refusal(refused)})
        _refuse(answer, refused)
        await self._panel.beep()

    def _refusal_of(self, request: ScanRequest) -> Outcome | None:
        if self._stopping:
            return refusal("inspection.shutting_down")
        if self._inspection is not None:
            return refusal("inspection.remove_first" if self._inspection.finished else "inspection.busy")
        if (closed := self._attendance.closed) is not None:
            return closed
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

    async def _begin(self, request: ScanRequest, answer: Answer, swiped: DocumentSwiped | None) -> None:
        self._inspection = Inspection(request, self._limits)
        await self._panel.stop_identifying()
        self._id = secrets.token_hex(8)
        self._asking.none()
        self._answer = answer
        self._telling = Telling(self._id, self._notify)
        self._telling.pressed(request.scene, request.application)
        if self._limits.prove_each:
            self._optics.doubt()
        commands = self._inspection.start(
            document_present=self._present,
            card_present=self._module is not None and self._module.card_present,
            swiped=swiped,
            now=time.monotonic(),
        )
        await self._execute(commands)

    async def _take(self, event: Event) -> None:
        match event:
            case DocumentPlaced() | DocumentTurned():
                self._present = True
            case DocumentRemoved():
                self._present = False
            case DeviceGone(device) | DeviceBack(device):
                self._attendance.take(event)
                if device not in ESSENTIAL:
                    return  # whatever was being read there says so itself
                self._optics.doubt()  # it may be another, or another's pictures
                if isinstance(event, DeviceBack):
                    await self._catch_up()
            case TroubleBegan() | TroubleOver():
                self._attendance.take(event)
            case ButtonPressed():
                await self._pressed(ScanRequest(self._default_scene), None)
                return
            case DocumentSwiped() if not self._expects_document:
                await self._pressed(ScanRequest(self._default_scene), None, event)
                return
            case _:
                pass
        if self._inspection is not None:
            commands = self._inspection.handle(event, time.monotonic())
            self._leave_devices(self._inspection.state)  # first: the head may take its time to show why
            await self._execute(commands)
            if self._inspection.state is State.CLOSED:
                self._inspection = None

    @property
    def _expects_document(self) -> bool:
        return self._inspection is not None and self._inspection.state is State.WAITING

    async def _catch_up(self) -> None:
        """A head that is back shows what it should, and says what it missed."""
        await self._indicate(self._panel.indication)
        if (there := self._head_sees) != self._present:
            missed = DocumentPlaced() if there else DocumentRemoved()
            self._inbox.tell(missed)

    async def _show_idle(self) -> None:
        """Between inspections the head says whether the counter can be used, and whether the centre is in reach."""
        if self._inspection is not None:
            return
        closed = self._attendance.closed is not None
        idle = Indication.FAULT if closed else Indication.READY if self._online else Indication.OFFLINE
        if idle is not self._panel.indication:
            await self._indicate(idle)

    async def _indicate(self, indication: Indication) -> None:
        self._notify({"event": "indication", "indication": indication.value})
        await self._panel.show(indication)

    def _head_gone(self, device: str) -> None:
        if device not in self._attendance.gone:
            self._inbox.tell(DeviceGone(device))

    async def _execute(self, commands: Sequence[Command]) -> None:
        for command in commands:
            match command:
                case Capture():
                    assert self._inspection is not None
                    self._inspection.wait_longer(self._optics.proof_s())
                    self._asking.picture(partial(self._optics.capture, command))
                case ReadFrame(frame, again):
                    self._asking.ask(self._optics.read(frame, again=again))
                case ReadChip(page):
                    assert self._antenna is not None
                    self._asking.ask(self._antenna.read(page, self._telling.chip_phase))
                case ReadLines(swiped):
                    self._asking.ask(self._optics.read_lines(swiped))
                case ReadIdCard():
                    assert self._module is not None
                    self._asking.ask(self._module.read())
                case Commit(readings, chip, card):
                    assert self._inspection is not None
                    read = ReadDocument(self._optics.read_sides(readings), chip, card)
                    self._asking.ask(self._commit_read(self._id, read, self._inspection.request))
                case Indicate(indication):
                    await self._indicate(indication)
                case Beep():
                    await self._panel.beep()
                case Stage(name):
                    self._telling.stage(name)
                case Advise(reason, light):
                    self._telling.advice(reason, light)
                case Finish(outcome):
                    self._finish(outcome)
                case _:
                    assert_never(command)

    def _leave_devices(self, state: State) -> None:
        """Nothing goes on that nobody waits for: it would be in the way of the next document."""
        if state is not State.CAPTURING:
            self._asking.leave_picture()
        if self._antenna is not None and state is not State.CHIP:
            self._antenna.stop()
        if self._module is not None and state is not State.ID_CARD:
            self._module.stop()

    async def _commit_read(self, about: str, read: ReadDocument, request: ScanRequest) -> Event:
        try:
            return await self._commit(read, request, about)
        except Exception as error:  # noqa: BLE001 - whatever went wrong, nothing was stored and the clerk must know
            self._log.error("judging failed; please report this", exc_info=error)
            return CommitFailed(Reason("inspection.internal_error"))

    def _finish(self, outcome: Outcome) -> None:
        """Tell whoever pressed first of all: nothing after it may keep the outcome from them."""
        self._asking.none()
        self._optics.forget()
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(self._telling.described(outcome))
        self._telling.outcome(outcome)


def _refuse(answer: Answer | None, refused: Outcome) -> None:
    if answer is not None and not answer.done():
        answer.set_result(describe_refusal(refused))
