"""Sans-IO state machine of ONE document, all its sides: events in, commands out.

The caller feeds every fact to `Inspection.handle`, executes the commands it returns, and calls `handle` with
`TimePassed` when `deadline` has come. Nothing here waits, sleeps or reads a clock: time is a parameter, in
seconds of any monotonic clock.

    waiting → capturing ⇄ reading → chip → committing → showing → closed
       │          ↑           ↓      ↑          ↑
       │          └──── turning (other side, next page)
       ├→ lines (swiped) ────────────┘          │
       └→ id card ──────────────────────────────┘

A side whose picture isn't sure is photographed again (`edged.retake`), as long as there is time; what goes wrong
with such a further picture costs that picture, and the side is judged by the others. On a box with a chip reader
the chip is read last, because the MRZ is its key; what goes wrong with it costs the chip. An answer to anything but the
last command is the caller's to drop.

Instead of in the window a document may show itself at a swipe reader or lie on the ID-card module: whichever the clerk
uses first is inspected.

Every press of scan ends in exactly one outcome: committed; or aborted with a reason, when nothing was judged;
or refused with a reason, when the inspection never began (`edged.orders.refusal`). An inspection can be aborted
until its verdict is being committed; from then on it can't be revoked.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, assert_never

from edged.core.id_card import speaks_against
from edged.events import (
    ButtonPressed,
    CancelRequested,
    CaptureFailed,
    ChipRead,
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
    FrameCaptured,
    IdCardPlaced,
    IdCardRead,
    IdCardRemoved,
    Indication,
    Light,
    PageRead,
    ScanRequest,
    TimePassed,
    TroubleBegan,
    TroubleOver,
)
from edged.orders import (
    Advise,
    Beep,
    Capture,
    Command,
    Commit,
    Ending,
    Finish,
    Indicate,
    Limits,
    Outcome,
    ReadChip,
    ReadFrame,
    ReadIdCard,
    ReadLines,
    Stage,
)
from edged.retake import Tries
from edged.verdict import Reason, Result

if TYPE_CHECKING:
    from edged.core.reading import PageReading

MAX_SIDES = 2
"""A card has two; a passport's data page is found on the first or, after turning, on the second."""


class State(StrEnum):
    """Where an inspection stands."""

    WAITING = "waiting"
    CAPTURING = "capturing"
    READING = "reading"
    TURNING = "turning"
    LINES = "lines"
    ID_CARD = "id_card"
    CHIP = "chip"
    COMMITTING = "committing"
    SHOWING = "showing"
    CLOSED = "closed"


_SHOWN = {
    Result.SUCCESSFUL: Indication.SUCCESSFUL,
    Result.FAILED: Indication.FAILED,
    Result.UNDETERMINED: Indication.UNDETERMINED,
    Result.NOT_SUPPORTED: Indication.UNDETERMINED,
    Result.ABORTED: Indication.ABORTED,
}


_CANCELLABLE = frozenset(
    {
        *(State.WAITING, State.CAPTURING, State.READING, State.TURNING),
        *(State.LINES, State.ID_CARD, State.CHIP),
    }
)


@dataclass
class Inspection:
    """One document, from the press of scan to its removal."""

    request: ScanRequest
    limits: Limits
    state: State = State.WAITING
    deadline: float | None = None
    outcome: Outcome | None = None
    _sides: list[PageReading] = field(default_factory=list, repr=False)
    _tries: Tries | None = field(default=None, repr=False)
    _present: bool = False
    _elsewhere: bool = False
    """Whether the document is not in the window but at the swipe reader or on the ID-card module."""

    def start(
        self,
        *,
        document_present: bool,
        now: float,
        card_present: bool = False,
        swiped: DocumentSwiped | None = None,
    ) -> list[Command]:
        """Begin. A document that lies there already is captured, a card read, at once.

        What was `swiped` to begin it is what is inspected, whatever else lies there.
        """
        self._present = document_present
        if swiped is not None:
            return self._read_lines(swiped, now)
        if document_present:
            return [Stage("document"), *self._capture(now)]
        if card_present:
            return self._read_id_card(now)
        self.deadline = now + self.limits.document_s
        return [Indicate(Indication.PLACE_DOCUMENT)]

    @property
    def finished(self) -> bool:
        """Whether the outcome is known (the document may still lie in the window)."""
        return self.outcome is not None

    @property
    def cancellable(self) -> bool:
        """Whether a cancellation would still end it without a verdict."""
        return self.state in _CANCELLABLE

    @property
    def lingers(self) -> bool:
        """Whether only the outcome of a document that is nowhere in the way is still shown.

        What lies in the window meanwhile is the next one, and may be inspected at once.
        """
        return self.finished and (self._elsewhere or not self._present)

    @property
    def completable(self) -> bool:
        """Whether another side is being waited for while the document lies there."""
        return self.state is State.TURNING and self._present

    def wait_longer(self, seconds: float) -> None:
        """What was asked for last takes so much longer, by nobody's fault."""
        if self.deadline is not None:
            self.deadline += seconds

    def handle(self, event: Event, now: float) -> list[Command]:
        """Take one fact; return what is to be done. Facts that mean nothing in this state are ignored."""
        if isinstance(event, DocumentPlaced | DocumentTurned):
            self._present = True
        elif isinstance(event, DocumentRemoved):
            self._present = False
        match self.state:
            case State.WAITING:
                return self._in_waiting(event, now)
            case State.CAPTURING:
                return self._in_capturing(event, now)
            case State.READING:
                return self._in_reading(event, now)
            case State.TURNING:
                return self._in_turning(event, now)
            case State.LINES:
                return self._in_lines(event, now)
            case State.ID_CARD:
                return self._in_id_card(event, now)
            case State.CHIP:
                return self._in_chip(event, now)
            case State.COMMITTING:
                return self._in_committing(event, now)
            case State.SHOWING:
                return self._in_showing(event, now)
            case State.CLOSED:
                return []
            case _:
                assert_never(self.state)

    def _in_waiting(self, event: Event, now: float) -> list[Command]:
        match event:
            case DocumentPlaced() | DocumentTurned():
                return [Stage("document"), *self._capture(now)]
            case DocumentSwiped():
                return self._read_lines(event, now)
            case IdCardPlaced():
                return self._read_id_card(now)
            case TimePassed():
                return self._abort(Reason("inspection.no_document"), now)
            case _:
                return self._common(event, now)

    def _in_lines(self, event: Event, now: float) -> list[Command]:
        match event:
            case PageRead(reading):
                self._sides.append(reading)
                return [Stage("read"), *self._read_chip(now)]
            case CaptureFailed(reason):
                return self._abort(reason, now)
            case TimePassed():
                return self._abort(Reason("inspection.timed_out"), now)
            case _:
                return self._common(event, now)

    def _in_id_card(self, event: Event, now: float) -> list[Command]:
        match event:
            case IdCardRead(None, reason) if reason is None or not speaks_against(reason):
                return self._abort(reason or Reason("inspection.internal_error"), now)
            case IdCardRead():
                self.state = State.COMMITTING
                self.deadline = None
                return [Stage("id_card"), Commit((), None, event)]
            case TimePassed():
                return self._abort(Reason("inspection.timed_out"), now)
            case _:
                return self._common(event, now)

    def _in_capturing(self, event: Event, now: float) -> list[Command]:
        match event:
            case FrameCaptured(frame, lights):
                assert self._tries is not None
                self.state = State.READING
                self.deadline = self._tries.captured(lights, now)
                if self._tries.read:
                    return [ReadFrame(frame, again=True)]
                return [Stage("captured"), ReadFrame(frame)]
            case _:
                return self._in_photographing(event, now)

    def _in_reading(self, event: Event, now: float) -> list[Command]:
        match event:
            case PageRead(reading):
                assert self._tries is not None
                self._tries.add(reading)
                return self._go_on(now)
            case _:
                return self._in_photographing(event, now)

    def _in_photographing(self, event: Event, now: float) -> list[Command]:
        """What can go wrong while a side is captured and read. With something known of it already, that stands."""
        known = self._tries is not None and self._tries.read
        match event:
            case CaptureFailed(reason):
                return self._go_on(now) if known else self._abort(reason, now)
            case DocumentRemoved():
                return self._abort(Reason("inspection.removed_early"), now)
            case TimePassed():
                return self._side_read(now) if known else self._abort(Reason("inspection.timed_out"), now)
            case DocumentTurned() if known:  # further pictures would be of another side
                ended = self._side_read(now)
                if self.state is not State.TURNING:
                    return ended
                return [Stage("read"), *self._in_turning(event, now)]
            case _:
                return self._common(event, now)

    def _go_on(self, now: float) -> list[Command]:
        """One more picture of the side where that may help, or what it comes to."""
        assert self._tries is not None
        retake = self._tries.again(now)
        if retake is None:
            return self._side_read(now)
        self.state = State.CAPTURING
        self.deadline = self._tries.deadline(retake.pause_s, now)
        return [
            Stage("retake"),
            Advise(retake.advice, retake.light),
            Capture(retake.light, retake.pause_s),
        ]

    def _side_read(self, now: float) -> list[Command]:
        assert self._tries is not None
        reading, self._tries = self._tries.best(), None
        if not reading.document_present and not self._sides:
            return [Stage("read"), *self._abort(Reason("inspection.no_document"), now)]
        self._sides.append(reading)
        nothing_to_read = reading.mrz is None and any(
            reason.code == "reading.no_mrz" for reason in reading.reasons
        )
        if nothing_to_read and len(self._sides) < MAX_SIDES:
            self.state = State.TURNING
            self.deadline = now + self.limits.turn_over_s
            return [Stage("read"), Stage("turn_over"), Indicate(Indication.TURN_OVER)]
        return [Stage("read"), *self._read_chip(now)]

    def _in_turning(self, event: Event, now: float) -> list[Command]:
        match event:
            case DocumentPlaced() | DocumentTurned():
                return [Stage("turned"), *self._capture(now)]
            case DocumentRemoved():
                return []  # a document is lifted to be turned over
            case CompletionRequested():
                return self._read_chip(now) if self._present else []
            case TimePassed():
                return (
                    self._read_chip(now)
                    if self._present
                    else self._abort(Reason("inspection.removed_early"), now)
                )
            case _:
                return self._common(event, now)

    def _in_chip(self, event: Event, now: float) -> list[Command]:
        match event:
            case ChipRead():
                return [Stage("chip"), *self._commit(event)]
            case DocumentRemoved() if not self._elsewhere:
                return self._abort(Reason("inspection.removed_early"), now)
            case TimePassed():  # the reader hangs: the chip is given up, the page is judged
                return [Stage("chip"), *self._commit(ChipRead(None, Reason("chip.timed_out"), found=True))]
            case _:
                return self._common(event, now)

    def _in_committing(self, event: Event, now: float) -> list[Command]:
        match event:
            case Committed(verdict, envelopes, octets, noticed):
                outcome = Outcome(
                    Ending.COMMITTED, verdict=verdict, envelopes=envelopes, octets=octets, noticed=noticed
                )
                return [Stage("committed"), *self._end(outcome, _SHOWN[verdict.result], now)]
            case CommitFailed(reason):
                return self._end(Outcome(Ending.ABORTED, reason=reason), Indication.FAULT, now)
            case _:
                return []  # what is being committed can't be revoked any more

    def _in_showing(self, event: Event, now: float) -> list[Command]:
        match event:
            case DocumentRemoved() if not self._elsewhere:
                return self._close()
            case TimePassed():
                if self._elsewhere:
                    return self._close()
                self.deadline = now + self.limits.remind_s
                return [Indicate(Indication.REMOVE), Beep()]
            case _:
                return []

    def _common(self, event: Event, now: float) -> list[Command]:
        """What ends an inspection in any state that can still be aborted."""
        match event:
            case CancelRequested(code):
                return self._abort(Reason(code), now)
            case DeviceGone(device):
                return self._abort(Reason("inspection.device_gone", {"device": device}), now)
            case (
                ButtonPressed()
                | DocumentPlaced()
                | DocumentTurned()
                | DocumentRemoved()
                | CompletionRequested()
                | DeviceBack()
                | FrameCaptured()
                | CaptureFailed()
                | PageRead()
                | ChipRead()
                | DocumentSwiped()
                | IdCardPlaced()
                | IdCardRemoved()
                | IdCardRead()
                | TroubleBegan()
                | TroubleOver()
                | Committed()
                | CommitFailed()
                | TimePassed()
            ):
                return []
            case _:
                assert_never(event)

    def _capture(self, now: float) -> list[Command]:
        self.state = State.CAPTURING
        self._tries = Tries(self.limits)
        self.deadline = self._tries.deadline(0.0, now)
        return [Indicate(Indication.READING), Capture(Light.WHITE)]

    def _read_lines(self, swiped: DocumentSwiped, now: float) -> list[Command]:
        self._elsewhere = True
        self.state = State.LINES
        self.deadline = now + self.limits.reading_s
        return [Stage("document"), Indicate(Indication.READING), ReadLines(swiped)]

    def _read_id_card(self, now: float) -> list[Command]:
        self._elsewhere = True
        self.state = State.ID_CARD
        self.deadline = now + self.limits.id_card_s
        return [Stage("document"), Indicate(Indication.READING), ReadIdCard()]

    def _read_chip(self, now: float) -> list[Command]:
        """Read the chip if this box can and there is a key to it; commit otherwise."""
        if self.limits.chip_s is None:
            return self._commit(None)
        page = next((side for side in self._sides if side.mrz is not None), None)
        if page is None:
            return self._commit(ChipRead(None, Reason("chip.no_key")))
        self.state = State.CHIP
        self.deadline = now + self.limits.chip_s
        return [ReadChip(page)]

    def _commit(self, chip: ChipRead | None) -> list[Command]:
        self.state = State.COMMITTING
        self.deadline = (
            None  # a slow disk must answer: a commit whose end isn't known can't be called aborted
        )
        sides, self._sides = tuple(self._sides), []
        return [Commit(sides, chip)]

    def _abort(self, reason: Reason, now: float) -> list[Command]:
        self._sides.clear()
        self._tries = None
        return self._end(Outcome(Ending.ABORTED, reason=reason), Indication.ABORTED, now)

    def _end(self, outcome: Outcome, indication: Indication, now: float) -> list[Command]:
        self.outcome = outcome
        commands: list[Command] = [Indicate(indication), Finish(outcome)]
        if self._present or self._elsewhere:
            self.state = State.SHOWING
            self.deadline = now + (self.limits.show_s if self._elsewhere else self.limits.remind_s)
            return commands
        return commands + self._close()

    def _close(self) -> list[Command]:
        self.state = State.CLOSED
        self.deadline = None
        return []
