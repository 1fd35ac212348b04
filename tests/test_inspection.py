"""The state machine of one document: every path from press to outcome, and every way to abort."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
    FrameCaptured,
    Indication,
    PageRead,
    ScanRequest,
    TimePassed,
)
from edged.inspection import (
    Beep,
    Capture,
    Commit,
    Ending,
    Finish,
    Indicate,
    Inspection,
    Limits,
    ReadFrame,
    Stage,
    State,
)
from edged.verdict import Kind, Reason, Result, Verdict

LIMITS = Limits(document_s=10, turn_over_s=20, capture_s=2, reading_s=5, remind_s=7)
FRAME: Any = object()


def reading(*, present: bool = True, mrz: bool = True, code: str | None = None) -> Any:
    reasons = (Reason(code),) if code else ()
    return SimpleNamespace(document_present=present, mrz=object() if mrz else None, reasons=reasons)


NO_MRZ = reading(mrz=False, code="reading.no_mrz")
VERDICT = Verdict("bank", Kind.TEST, Result.SUCCESSFUL, ())


def begin(*, present: bool = True) -> Inspection:
    inspection = Inspection(ScanRequest("bank"), LIMITS)
    inspection.start(document_present=present, now=0.0)
    return inspection


def feed(inspection: Inspection, *events: Any, now: float = 1.0) -> list[Any]:
    commands: list[Any] = []
    for event in events:
        commands = inspection.handle(event, now)
    return commands


def outcome(inspection: Inspection) -> tuple[Ending, str | None]:
    assert inspection.outcome is not None
    reason = inspection.outcome.reason
    return inspection.outcome.ending, reason.code if reason else None


def test_one_side_from_press_to_removal() -> None:
    inspection = Inspection(ScanRequest("bank"), LIMITS)
    assert inspection.start(document_present=False, now=0.0) == [Indicate(Indication.PLACE_DOCUMENT)]
    assert inspection.deadline == 10.0
    started = feed(inspection, DocumentPlaced())
    assert [type(command) for command in started] == [Stage, Indicate, Capture]
    assert feed(inspection, FrameCaptured(FRAME))[-1] == ReadFrame(FRAME)
    side = reading()
    assert feed(inspection, PageRead(side))[-1] == Commit((side,))
    assert inspection.deadline is None
    ended = feed(inspection, Committed(VERDICT, 3, 900))
    assert Indicate(Indication.SUCCESSFUL) in ended
    assert any(isinstance(command, Finish) and command.outcome.envelopes == 3 for command in ended)
    assert inspection.state is State.SHOWING
    feed(inspection, DocumentRemoved())
    assert inspection.state is State.CLOSED


def test_nothing_is_shown_before_the_commit() -> None:
    inspection = begin()
    before = [
        *feed(inspection, FrameCaptured(FRAME)),
        *feed(inspection, PageRead(reading())),
    ]
    shown = [command.indication for command in before if isinstance(command, Indicate)]
    assert not set(shown) & {Indication.SUCCESSFUL, Indication.FAILED, Indication.UNDETERMINED}
    assert not any(isinstance(command, Finish) for command in before)


def test_the_other_side_is_asked_for_and_read() -> None:
    inspection = begin()
    asked = feed(inspection, FrameCaptured(FRAME), PageRead(NO_MRZ))
    assert asked[-1] == Indicate(Indication.TURN_OVER)
    assert inspection.deadline == 21.0
    feed(inspection, DocumentRemoved())
    assert inspection.state is State.TURNING
    assert isinstance(feed(inspection, DocumentPlaced())[-1], Capture)
    back = reading()
    committed = feed(inspection, FrameCaptured(FRAME), PageRead(back))
    assert committed[-1] == Commit((NO_MRZ, back))


def test_a_turn_seen_without_lifting_counts_too() -> None:
    inspection = begin()
    assert isinstance(feed(inspection, FrameCaptured(FRAME), PageRead(NO_MRZ), DocumentTurned())[-1], Capture)


def test_a_third_side_is_never_asked_for() -> None:
    inspection = begin()
    feed(inspection, FrameCaptured(FRAME), PageRead(NO_MRZ), DocumentTurned())
    assert feed(inspection, FrameCaptured(FRAME), PageRead(NO_MRZ))[-1] == Commit((NO_MRZ, NO_MRZ))


@pytest.mark.parametrize("event", [CompletionRequested(), TimePassed()])
def test_no_other_side_is_judged_with_what_there_is(event: Any) -> None:
    inspection = begin()
    assert feed(inspection, FrameCaptured(FRAME), PageRead(NO_MRZ), event)[-1] == Commit((NO_MRZ,))


def test_a_document_lifted_to_be_turned_and_taken_away_is_aborted() -> None:
    inspection = begin()
    feed(inspection, FrameCaptured(FRAME), PageRead(NO_MRZ), DocumentRemoved())
    assert feed(inspection, CompletionRequested()) == []
    feed(inspection, TimePassed())
    assert outcome(inspection) == (Ending.ABORTED, "inspection.removed_early")
    assert inspection.state is State.CLOSED


def test_an_illegible_mrz_is_judged_rather_than_turned_over() -> None:
    inspection = begin()
    cut = reading(mrz=False, code="reading.mrz_cut")
    assert feed(inspection, FrameCaptured(FRAME), PageRead(cut))[-1] == Commit((cut,))


REACH: dict[State, tuple[Any, ...]] = {
    State.WAITING: (),
    State.CAPTURING: (DocumentPlaced(),),
    State.READING: (DocumentPlaced(), FrameCaptured(FRAME)),
    State.TURNING: (DocumentPlaced(), FrameCaptured(FRAME), PageRead(NO_MRZ)),
}


@pytest.mark.parametrize("state", list(REACH))
@pytest.mark.parametrize(
    ("event", "code"),
    [(CancelRequested(), "inspection.cancelled"), (DeviceGone("camera"), "inspection.device_gone")],
)
def test_cancel_and_unplug_abort_everywhere_before_the_commit(state: State, event: Any, code: str) -> None:
    inspection = begin(present=False)
    feed(inspection, *REACH[state])
    assert inspection.state is state
    feed(inspection, event)
    assert outcome(inspection) == (Ending.ABORTED, code)


@pytest.mark.parametrize("state", [State.CAPTURING, State.READING])
def test_pulled_early(state: State) -> None:
    inspection = begin(present=False)
    feed(inspection, *REACH[state], DocumentRemoved())
    assert outcome(inspection) == (Ending.ABORTED, "inspection.removed_early")
    assert inspection.state is State.CLOSED


@pytest.mark.parametrize(
    ("state", "code", "deadline"),
    [
        (State.WAITING, "inspection.no_document", 10.0),
        (State.CAPTURING, "inspection.timed_out", 3.0),
        (State.READING, "inspection.timed_out", 6.0),
    ],
)
def test_time_outs(state: State, code: str, deadline: float) -> None:
    inspection = begin(present=False)
    feed(inspection, *REACH[state])
    assert inspection.deadline == deadline
    feed(inspection, TimePassed())
    assert outcome(inspection) == (Ending.ABORTED, code)


def test_an_empty_glass_is_no_document() -> None:
    inspection = begin()
    feed(
        inspection,
        FrameCaptured(FRAME),
        PageRead(reading(present=False, mrz=False, code="reading.no_document")),
    )
    assert outcome(inspection) == (Ending.ABORTED, "inspection.no_document")


def test_a_bad_image_aborts_with_its_reason() -> None:
    inspection = begin()
    feed(inspection, CaptureFailed(Reason("image.truncated")))
    assert outcome(inspection) == (Ending.ABORTED, "image.truncated")
    assert inspection.state is State.SHOWING


def committing() -> Inspection:
    inspection = begin()
    feed(inspection, FrameCaptured(FRAME), PageRead(reading()))
    assert inspection.state is State.COMMITTING
    return inspection


@pytest.mark.parametrize("event", [CancelRequested(), DocumentRemoved(), DeviceGone("head"), TimePassed()])
def test_what_is_being_committed_cannot_be_revoked(event: Any) -> None:
    inspection = committing()
    assert feed(inspection, event) == []
    feed(inspection, Committed(VERDICT, 1, 900))
    assert outcome(inspection) == (Ending.COMMITTED, None)


def test_a_document_removed_while_committing_closes_at_once() -> None:
    inspection = committing()
    feed(inspection, DocumentRemoved(), Committed(VERDICT, 1, 900))
    assert inspection.state is State.CLOSED


def test_a_failed_commit_shows_a_fault_and_no_result() -> None:
    inspection = committing()
    ended = feed(inspection, CommitFailed(Reason("inspection.not_stored")))
    assert [command.indication for command in ended if isinstance(command, Indicate)] == [Indication.FAULT]
    assert outcome(inspection) == (Ending.ABORTED, "inspection.not_stored")


def test_a_document_left_in_the_window_is_beeped_about() -> None:
    inspection = committing()
    feed(inspection, Committed(VERDICT, 1, 900), now=1.0)
    assert feed(inspection, TimePassed(), now=8.0) == [Indicate(Indication.REMOVE), Beep()]
    assert inspection.deadline == 15.0


EVENTS = st.sampled_from(
    [
        ButtonPressed(),
        DocumentPlaced(),
        DocumentTurned(),
        DocumentRemoved(),
        CancelRequested(),
        CompletionRequested(),
        DeviceGone("camera"),
        DeviceBack("camera"),
        FrameCaptured(FRAME),
        CaptureFailed(Reason("image.truncated")),
        PageRead(reading()),
        PageRead(NO_MRZ),
        PageRead(reading(present=False, mrz=False)),
        Committed(VERDICT, 1, 900),
        CommitFailed(Reason("inspection.not_stored")),
        TimePassed(),
    ]
)


@given(st.lists(EVENTS, max_size=40), st.booleans())
def test_any_order_of_events_finishes_at_most_once_and_never_without_a_commit(
    events: list[Any], present: bool
) -> None:
    inspection = Inspection(ScanRequest("bank"), LIMITS)
    commands = inspection.start(document_present=present, now=0.0)
    for now, event in enumerate(events):
        commands = commands + inspection.handle(event, float(now))
    finishes = [command.outcome for command in commands if isinstance(command, Finish)]
    assert len(finishes) <= 1
    assert sum(isinstance(command, Commit) for command in commands) <= 1
    if finishes and finishes[0].ending is Ending.COMMITTED:
        assert any(isinstance(command, Commit) for command in commands)
    if not inspection.finished and inspection.state is not State.COMMITTING:
        assert inspection.deadline is not None, "an inspection that waits must have an end"
