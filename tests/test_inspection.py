"""The state machine of one document: every path from press to outcome, and every way to abort."""

from __future__ import annotations

import dataclasses
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
    Light,
    PageRead,
    ScanRequest,
    TimePassed,
)
from edged.inspection import MAX_SIDES, Inspection, State
from edged.orders import (
    Advise,
    Beep,
    Capture,
    Commit,
    Ending,
    Finish,
    Indicate,
    Limits,
    ReadFrame,
    Stage,
)
from edged.verdict import Kind, Reason, Result, Verdict

LIMITS = Limits(document_s=10, turn_over_s=20, capture_s=2, reading_s=5, remind_s=7, frames=3, pause_s=0.5)
FRAME: Any = object()


def reading(*codes: str, present: bool = True, mrz: bool = True) -> Any:
    """Sure with an MRZ and without a reason."""
    return SimpleNamespace(
        document_present=present,
        mrz=object() if mrz else None,
        sure=mrz and not codes,
        reasons=tuple(Reason(code) for code in codes),
    )


NO_MRZ = reading("reading.no_mrz", mrz=False)
CUT = reading("reading.mrz_cut", mrz=False)
GLARED = reading("reading.uncertain", "mrz.check_digit_wrong", "reading.glare")
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
    assert feed(inspection, *[FrameCaptured(FRAME), PageRead(CUT)] * 3)[-1] == Commit((CUT,))


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
        PageRead(reading("reading.no_document", present=False, mrz=False)),
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


# --- several pictures of a side -----------------------------------------------------------------------------

WHITE_AND_IR = frozenset({Light.WHITE, Light.IR})


def captures(commands: list[Any]) -> list[Capture]:
    return [command for command in commands if isinstance(command, Capture)]


def test_a_sure_picture_is_the_only_one() -> None:
    inspection = begin()
    feed(inspection, FrameCaptured(FRAME, WHITE_AND_IR))
    wrong = SimpleNamespace(
        document_present=True, mrz=object(), sure=True, reasons=(Reason("mrz.check_digit_wrong"),)
    )
    assert feed(inspection, PageRead(wrong)) == [Stage("read"), Commit((wrong,))]


@pytest.mark.parametrize(
    "codes",
    [
        ("reading.no_mrz",),
        ("reading.two_documents", "reading.blurred"),
        ("mrz.driving_licence", "reading.glare"),
        ("reading.no_document",),
    ],
)
def test_what_no_better_picture_would_change_is_not_photographed_again(codes: tuple[str, ...]) -> None:
    inspection = begin()
    assert not captures(feed(inspection, FrameCaptured(FRAME), PageRead(reading(*codes, mrz=False))))


def test_an_unsure_side_is_photographed_again_and_the_clerk_told_the_most_useful_thing() -> None:
    inspection = begin()
    feed(inspection, FrameCaptured(FRAME))
    assert feed(inspection, PageRead(GLARED)) == [
        Stage("retake"),
        Advise(Reason("reading.glare"), Light.WHITE),
        Capture(Light.WHITE, LIMITS.pause_s),
    ]
    assert inspection.state is State.CAPTURING
    assert inspection.deadline == 1.0 + LIMITS.pause_s + LIMITS.capture_s
    assert feed(inspection, FrameCaptured(FRAME), now=2.0) == [ReadFrame(FRAME, again=True)]
    assert inspection.deadline == 6.0, "all pictures of a side together have the time of one"
    good = reading()
    assert feed(inspection, PageRead(good)) == [Stage("read"), Commit((good,))]


def test_infrared_and_white_by_turns_and_only_the_same_light_again_needs_a_pause() -> None:
    inspection = Inspection(ScanRequest("bank"), dataclasses.replace(LIMITS, frames=5))
    inspection.start(document_present=True, now=0.0)
    taken = []
    for _ in range(4):
        taken += captures(feed(inspection, FrameCaptured(FRAME, WHITE_AND_IR), PageRead(GLARED)))
    assert taken == [
        Capture(Light.IR),
        Capture(Light.WHITE, LIMITS.pause_s),
        Capture(Light.IR, LIMITS.pause_s),
        Capture(Light.WHITE, LIMITS.pause_s),
    ]
    assert feed(inspection, FrameCaptured(FRAME, WHITE_AND_IR), PageRead(GLARED))[-1] == Commit((GLARED,))


def test_one_picture_where_one_is_configured() -> None:
    inspection = Inspection(ScanRequest("bank"), dataclasses.replace(LIMITS, frames=1))
    inspection.start(document_present=True, now=0.0)
    assert feed(inspection, FrameCaptured(FRAME), PageRead(GLARED))[-1] == Commit((GLARED,))


@pytest.mark.parametrize(("now", "again"), [(5.4, True), (5.5, False)])
def test_no_further_picture_begins_that_cannot_be_read_in_time(now: float, again: bool) -> None:
    inspection = begin()
    feed(inspection, FrameCaptured(FRAME))  # reading may last until 6.0, and a pause is 0.5
    assert bool(captures(feed(inspection, PageRead(GLARED), now=now))) is again
    assert inspection.deadline == (6.0 if again else None)


FAILED = CaptureFailed(Reason("device.glass_empty"))


@pytest.mark.parametrize("before", [(), (FrameCaptured(FRAME),)])
def test_a_further_picture_that_fails_is_made_up_for_while_there_are_any(before: tuple[Any, ...]) -> None:
    inspection = begin()
    feed(inspection, FrameCaptured(FRAME), PageRead(GLARED), *before)
    assert captures(feed(inspection, FAILED))
    assert feed(inspection, *before, FAILED)[-1] == Commit((GLARED,))


@pytest.mark.parametrize("before", [(), (FrameCaptured(FRAME),)])
def test_when_time_is_up_the_side_is_judged_by_what_is_known(before: tuple[Any, ...]) -> None:
    inspection = begin()
    feed(inspection, FrameCaptured(FRAME), PageRead(GLARED), *before)
    assert feed(inspection, TimePassed())[-1] == Commit((GLARED,))


@pytest.mark.parametrize("before", [(), (FrameCaptured(FRAME),)])
@pytest.mark.parametrize(
    ("event", "code"),
    [
        (CancelRequested(), "inspection.cancelled"),
        (DeviceGone("camera"), "inspection.device_gone"),
        (DocumentRemoved(), "inspection.removed_early"),
    ],
)
def test_cancel_unplug_and_pull_abort_between_pictures_as_well(
    before: tuple[Any, ...], event: Any, code: str
) -> None:
    inspection = begin()
    feed(inspection, FrameCaptured(FRAME), PageRead(GLARED), *before, event)
    assert outcome(inspection) == (Ending.ABORTED, code)
    assert inspection._tries is None, "nothing of the document is kept"


def test_a_document_turned_over_between_pictures_ends_the_side() -> None:
    blurred = reading("reading.no_mrz", "reading.blurred", mrz=False)
    inspection = begin()
    feed(inspection, FrameCaptured(FRAME), PageRead(blurred))
    turned = feed(inspection, DocumentTurned())
    assert turned[-1] == Capture(Light.WHITE)
    assert Indicate(Indication.TURN_OVER) not in turned
    assert feed(inspection, FrameCaptured(FRAME))[-1] == ReadFrame(FRAME), "a side of its own"
    back = reading()
    assert feed(inspection, PageRead(back))[-1] == Commit((blurred, back))
    inspection = begin()
    feed(inspection, FrameCaptured(FRAME), PageRead(GLARED))
    assert feed(inspection, DocumentTurned())[-1] == Commit((GLARED,))


def test_the_other_side_has_pictures_and_time_of_its_own() -> None:
    blurred = reading("reading.no_mrz", "reading.blurred", mrz=False)
    inspection = begin()
    feed(inspection, *[FrameCaptured(FRAME), PageRead(blurred)] * 3)
    assert inspection.state is State.TURNING
    feed(inspection, DocumentTurned(), now=19.0)
    assert feed(inspection, FrameCaptured(FRAME), now=20.0)[-1] == ReadFrame(FRAME)
    assert inspection.deadline == 25.0
    assert captures(feed(inspection, PageRead(GLARED), now=21.0))


def test_one_more_picture_that_seems_empty_says_nothing() -> None:
    empty = reading("reading.no_document", present=False, mrz=False)
    inspection = begin()
    feed(inspection, FrameCaptured(FRAME, WHITE_AND_IR), PageRead(CUT))
    assert captures(feed(inspection, FrameCaptured(FRAME, WHITE_AND_IR), PageRead(empty)))
    assert feed(inspection, FrameCaptured(FRAME), PageRead(empty))[-1] == Commit((CUT,))


DIM = reading("reading.illegible", "reading.too_dark", mrz=False)
NO_MRZ_GLARED = reading("reading.no_mrz", "reading.glare", mrz=False)


@pytest.mark.parametrize(
    ("tries", "stands"),
    [
        ([CUT, CUT, DIM], 0),  # the commonest reason, not the last
        ([CUT, DIM, DIM], 2),
        ([DIM, NO_MRZ_GLARED, CUT], 2),  # of equals the most useful
        ([NO_MRZ_GLARED, CUT, NO_MRZ_GLARED], 0),
        ([CUT, DIM, GLARED], 2),  # an MRZ that was made out is what all pictures say together
        ([CUT, reading("reading.two_documents", mrz=False)], 1),  # nothing outvotes what is final
    ],
)
def test_a_side_that_is_not_read_says_the_best_reason(tries: list[Any], stands: int) -> None:
    inspection = begin()
    commands: list[Any] = []
    for one in tries:
        commands = feed(inspection, FrameCaptured(FRAME), PageRead(one))
    code = tries[stands].reasons[0].code
    if code == "reading.no_mrz":
        assert inspection.state is State.TURNING
    else:
        (side,) = commands[-1].sides
        assert side.reasons[0].code == code


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
        PageRead(GLARED),
        PageRead(CUT),
        FrameCaptured(FRAME, frozenset(Light)),
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
    assert len(captures(commands)) <= MAX_SIDES * LIMITS.frames
    assert sum(isinstance(command, ReadFrame) and not command.again for command in commands) <= MAX_SIDES
    if finishes and finishes[0].ending is Ending.COMMITTED:
        assert any(isinstance(command, Commit) for command in commands)
    if not inspection.finished and inspection.state is not State.COMMITTING:
        assert inspection.deadline is not None, "an inspection that waits must have an end"
