"""The chip's place in an inspection: after the page that opens it, before the commit, and never in the way."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace
from typing import Any

import pytest

from edged.events import (
    CancelRequested,
    ChipRead,
    Committed,
    CompletionRequested,
    DocumentRemoved,
    DocumentTurned,
    FrameCaptured,
    PageRead,
    ScanRequest,
    TimePassed,
)
from edged.inspection import Inspection, State
from edged.orders import Commit, Ending, Limits, ReadChip
from edged.verdict import Kind, Reason, Result, Verdict

LIMITS = Limits(
    document_s=10, turn_over_s=20, capture_s=2, reading_s=5, remind_s=7, frames=3, pause_s=0.5, chip_s=30
)
FRAME: Any = object()
CHIP: Any = object()


def page(*, mrz: bool = True) -> Any:
    reasons = () if mrz else (Reason("reading.no_mrz"),)
    return SimpleNamespace(document_present=True, mrz=object() if mrz else None, sure=mrz, reasons=reasons)


def begin(limits: Limits = LIMITS) -> Inspection:
    inspection = Inspection(ScanRequest("bank"), limits)
    inspection.start(document_present=True, now=0.0)
    return inspection


def feed(inspection: Inspection, *events: Any, now: float = 1.0) -> list[Any]:
    commands: list[Any] = []
    for event in events:
        commands = inspection.handle(event, now)
    return commands


def reading_chip() -> Inspection:
    inspection = begin()
    feed(inspection, FrameCaptured(FRAME), PageRead(page()))
    assert inspection.state is State.CHIP
    return inspection


def test_the_chip_is_read_with_the_page_that_opens_it_and_then_everything_is_committed() -> None:
    inspection = begin()
    front, back = page(mrz=False), page()
    feed(inspection, FrameCaptured(FRAME), PageRead(front))
    asked = feed(inspection, DocumentTurned(), FrameCaptured(FRAME), PageRead(back))
    assert asked[-1] == ReadChip(back)
    assert inspection.deadline == 31.0
    read = ChipRead(CHIP)
    assert feed(inspection, read)[-1] == Commit((front, back), read)
    assert inspection.deadline is None


def test_a_box_without_a_reader_commits_at_once() -> None:
    inspection = begin(dataclasses.replace(LIMITS, chip_s=None))
    side = page()
    assert feed(inspection, FrameCaptured(FRAME), PageRead(side))[-1] == Commit((side,), None)


@pytest.mark.parametrize("end", [CompletionRequested(), TimePassed()])
def test_without_an_mrz_there_is_no_key(end: Any) -> None:
    inspection = begin()
    side = page(mrz=False)
    commit = feed(inspection, FrameCaptured(FRAME), PageRead(side), end)[-1]
    assert commit == Commit((side,), ChipRead(None, Reason("chip.no_key")))


def test_a_reader_that_hangs_costs_the_chip_alone() -> None:
    commit = feed(reading_chip(), TimePassed())[-1]
    assert commit.chip == ChipRead(None, Reason("chip.timed_out"), found=True)
    assert len(commit.sides) == 1


@pytest.mark.parametrize(
    ("event", "code"),
    [
        (DocumentRemoved(), "inspection.removed_early"),
        (CancelRequested(), "inspection.cancelled"),
    ],
)
def test_pulling_the_document_or_cancelling_ends_it(event: Any, code: str) -> None:
    inspection = reading_chip()
    assert inspection.cancellable
    feed(inspection, event)
    assert inspection.outcome is not None
    assert inspection.outcome.ending is Ending.ABORTED
    assert inspection.outcome.reason == Reason(code)


def test_nothing_is_shown_before_the_commit() -> None:
    inspection = reading_chip()
    commands = feed(inspection, ChipRead(CHIP))
    assert not any(hasattr(command, "indication") for command in commands)
    feed(inspection, Committed(Verdict("bank", Kind.TEST, Result.FAILED, ()), 1, 900))
    assert inspection.state is State.SHOWING
