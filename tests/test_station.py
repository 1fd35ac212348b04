"""The station: commands executed, deadlines kept, presses refused, devices lost. Fakes stand behind the seams."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import time
from collections.abc import AsyncIterator, Mapping
from types import SimpleNamespace
from typing import Any

import pytest

from edged.card_module import CardModule
from edged.errors import DecodeError, DeviceError, DeviceGoneError
from edged.events import (
    ButtonPressed,
    ChipRead,
    CommitFailed,
    Committed,
    DeviceBack,
    DeviceGone,
    DocumentPlaced,
    DocumentRemoved,
    DocumentTurned,
    IdCardPlaced,
    IdCardRemoved,
    Indication,
    Light,
    ScanRequest,
)
from edged.orders import Limits
from edged.side import ReadDocument
from edged.station import Station
from edged.verdict import Kind, Reason, Result, Verdict

VERDICT = Verdict("bank", Kind.TEST, Result.SUCCESSFUL, ())
LIMITS = Limits(
    document_s=0.3, turn_over_s=0.3, capture_s=0.3, reading_s=0.3, remind_s=0.15, frames=3, pause_s=0.02
)


def page(*codes: str, mrz: bool = True, sure: bool = True) -> Any:
    """What a fake side says of its pictures."""
    reasons = tuple(Reason(code) for code in codes)
    return SimpleNamespace(document_present=True, mrz=object() if mrz else None, sure=sure, reasons=reasons)


BLANK = page("reading.no_mrz", mrz=False, sure=False)
GLARED = page("reading.uncertain", "reading.glare", sure=False)


def picture() -> Any:
    """What a fake camera delivers."""
    return SimpleNamespace(shot=None)


class FakeHead:
    def __init__(self) -> None:
        self.lights = frozenset({Light.WHITE, Light.IR})
        self.document_present = False
        self.happened: asyncio.Queue[Any] = asyncio.Queue()
        self.shown: list[Indication] = []
        self.lit: list[Light] = []
        self.beeps = 0
        self.delay = 0.0
        self.fault: Exception | None = None

    async def events(self) -> AsyncIterator[Any]:
        while True:
            yield await self.happened.get()

    async def illuminate(self, light: Light, milliseconds: int) -> None:
        self.lit.append(light)

    async def indicate(self, indication: Indication) -> None:
        await asyncio.sleep(self.delay)
        if self.fault is not None:
            raise self.fault
        self.shown.append(indication)

    async def beep(self) -> None:
        self.beeps += 1

    def place(self) -> None:
        self.document_present = True
        self.happened.put_nowait(DocumentPlaced())

    def remove(self) -> None:
        self.document_present = False
        self.happened.put_nowait(DocumentRemoved())


class FakeCamera:
    def __init__(self) -> None:
        self.lights = frozenset({Light.WHITE})
        self.answer: Any = picture()
        self.answers: list[Any] = []
        self.delay = 0.0

    async def capture(self, light: Light) -> Any:
        await asyncio.sleep(self.delay)
        answer = self.answers.pop(0) if self.answers else self.answer
        if isinstance(answer, Exception):
            raise answer
        return answer


class FakeAntenna:
    """Answers, or reads until it is told to stop."""

    def __init__(self, answer: ChipRead | None) -> None:
        self.answer = answer
        self.gone = False
        self.pages: list[Any] = []
        self.stopped = asyncio.Event()
        self.reading = False

    async def run(self) -> None:
        await asyncio.Event().wait()

    async def read(self, page: Any, phase: Any) -> ChipRead:
        self.pages.append(page)
        phase("access")
        if self.answer is None:
            self.reading = True
            await self.stopped.wait()
            raise asyncio.CancelledError
        return self.answer

    def stop(self) -> None:
        if self.reading:
            self.stopped.set()


class FakeSide:
    """Says what the counter says that pictures say."""

    def __init__(self, counter: Counter) -> None:
        self._counter = counter
        self.frames: list[Any] = []

    def add(self, frame: Any) -> Any:
        self.frames.append(frame)
        return self._counter.read()

    def read(self, reading: Any) -> Any:
        return SimpleNamespace(reading=reading, frames=self.frames)

    def forget(self) -> None:
        self.forgotten = True


class FakeSwipe:
    """A swipe reader whose events the test makes."""

    trouble = None

    def __init__(self) -> None:
        self.happened: asyncio.Queue[Any] = asyncio.Queue()

    async def events(self) -> AsyncIterator[Any]:
        while True:
            happened = await self.happened.get()
            if isinstance(happened, Exception):
                raise happened
            yield happened


class FakeModule(FakeSwipe):
    """An ID-card module on which a card may lie."""

    card_present = False
    answer: Any = None

    def __init__(self) -> None:
        super().__init__()
        self.stopped = asyncio.Event()

    def lay(self) -> None:
        self.card_present = True
        self.happened.put_nowait(IdCardPlaced())

    def lift(self) -> None:
        self.card_present = False
        self.happened.put_nowait(IdCardRemoved())

    async def read(self) -> Any:
        if self.answer is None:
            try:
                await asyncio.Event().wait()
            finally:
                self.stopped.set()
        if isinstance(self.answer, Exception):
            raise self.answer
        self.card_present = False
        return self.answer


class Counter:
    """A station with fakes around it."""

    def __init__(
        self,
        limits: Limits = LIMITS,
        antenna: FakeAntenna | None = None,
        module: CardModule | None = None,
        swipe: FakeSwipe | None = None,
    ) -> None:
        self.head, self.camera = FakeHead(), FakeCamera()
        self.events: list[dict[str, Any]] = []
        self.reading: Any = page()
        self.readings: list[Any] = []
        self.sides: list[FakeSide] = []
        self.committed: list[Any] = []
        self.chips: list[Any] = []
        self.cards: list[Any] = []
        self.swiped: list[tuple[str, ...]] = []
        self.answer: Any = Committed(VERDICT, 2, 1800)
        self.commit_delay = 0.0
        self.read_delay = 0.0
        self.refuses: str | None = None
        self.station = Station(
            self.head,  # type: ignore[arg-type]
            self.camera,  # type: ignore[arg-type]
            default_scene="hotel",
            limits=limits,
            begin_side=self._begin_side,
            read_text=self._read_text,
            commit=self._commit,
            notify=self._notify,
            admit=lambda request: self.refuses,
            antenna=antenna,  # type: ignore[arg-type]
            module=module,
            swipe=swipe,  # type: ignore[arg-type]
        )

    def _begin_side(self) -> Any:
        self.sides.append(FakeSide(self))
        return self.sides[-1]

    def read(self) -> Any:
        time.sleep(self.read_delay)
        reading = self.readings.pop(0) if self.readings else self.reading
        if isinstance(reading, Exception):
            raise reading
        return reading

    def _read_text(self, lines: tuple[str, ...]) -> Any:
        self.swiped.append(lines)
        return self.read()

    async def _commit(self, document: ReadDocument, request: ScanRequest, inspection: str) -> Any:
        await asyncio.sleep(self.commit_delay)
        self.chips.append(document.chip)
        self.cards.append(document.card)
        if isinstance(self.answer, Exception):
            raise self.answer
        self.committed.append((tuple(side.reading for side in document.sides), request, inspection))
        return self.answer

    def _notify(self, event: Mapping[str, Any]) -> None:
        self.events.append(dict(event))

    async def scan(self, scene: str = "bank") -> dict[str, Any]:
        async with asyncio.timeout(60):
            return await self.station.scan(ScanRequest(scene))

    async def until(self, condition: Any) -> None:
        async with asyncio.timeout(60):
            while not condition():
                await asyncio.sleep(0.005)


@contextlib.asynccontextmanager
async def serving(counter: Counter) -> AsyncIterator[Counter]:
    running = asyncio.create_task(counter.station.run())
    yield counter
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running
    await counter.station.stop()


@pytest.fixture
async def counter() -> AsyncIterator[Counter]:
    made = Counter()
    async with serving(made):
        yield made


def code(answer: dict[str, Any]) -> tuple[str, str | None]:
    return answer["outcome"], answer["reason"]["code"] if answer["reason"] else None


async def test_a_document_is_inspected_and_the_head_follows(counter: Counter) -> None:
    counter.head.place()
    await counter.until(lambda: counter.head.happened.empty())
    answer = await counter.scan()
    assert code(answer) == ("committed", None)
    assert (answer["envelopes"], answer["octets"]) == (2, 1800)
    assert list(answer["stages"]) == ["document", "captured", "read", "committed"]
    assert counter.head.lit == [Light.WHITE]
    assert counter.head.shown == [Indication.READING, Indication.SUCCESSFUL]
    counter.head.remove()
    await counter.until(lambda: counter.station.state == "ready")
    assert counter.head.shown[-1] is Indication.READY


async def test_the_document_may_come_after_the_press(counter: Counter) -> None:
    scanning = asyncio.create_task(counter.scan())
    await counter.until(lambda: counter.station.state == "waiting")
    counter.head.place()
    assert code(await scanning) == ("committed", None)


async def test_nobody_puts_a_document_there(counter: Counter) -> None:
    assert code(await counter.scan()) == ("aborted", "inspection.no_document")
    assert counter.station.state == "ready"


async def test_a_second_press_while_busy_is_acknowledged_and_changes_nothing(counter: Counter) -> None:
    counter.commit_delay = 0.1
    counter.head.place()
    first = asyncio.create_task(counter.scan())
    await counter.until(lambda: counter.station.state != "ready")
    assert code(await counter.scan("hotel")) == ("refused", "inspection.busy")
    counter.head.happened.put_nowait(ButtonPressed())
    assert code(await first) == ("committed", None)
    assert len(counter.committed) == 1
    assert counter.committed[0][1].scene == "bank"
    refused = [event for event in counter.events if event["event"] == "press_refused"]
    assert [event["reason"]["code"] for event in refused] == ["inspection.busy"] * 2
    assert counter.head.beeps == 2, "acknowledged, and nothing else"


async def test_the_last_document_must_be_removed_first(counter: Counter) -> None:
    counter.head.place()
    await counter.scan()
    assert code(await counter.scan()) == ("refused", "inspection.remove_first")
    counter.head.remove()
    await counter.until(lambda: counter.station.state == "ready")
    counter.head.place()
    assert code(await counter.scan()) == ("committed", None)


async def test_the_button_scans_the_default_scene(counter: Counter) -> None:
    counter.head.place()
    counter.head.happened.put_nowait(ButtonPressed())
    await counter.until(lambda: counter.committed)
    assert counter.committed[0][1] == ScanRequest("hotel")


async def test_turning_over_and_saying_there_is_no_other_side(counter: Counter) -> None:
    counter.reading = BLANK
    counter.head.place()
    scanning = asyncio.create_task(counter.scan())
    await counter.until(lambda: counter.station.state == "turning")
    assert counter.head.shown[-1] is Indication.TURN_OVER
    counter.head.happened.put_nowait(DocumentTurned())
    assert code(await scanning) == ("committed", None)
    assert counter.committed[0][0] == (BLANK, BLANK)
    assert not await counter.station.complete()


async def test_complete_judges_what_there_is(counter: Counter) -> None:
    counter.reading = BLANK
    counter.head.place()
    scanning = asyncio.create_task(counter.scan())
    await counter.until(lambda: counter.station.state == "turning")
    assert await counter.station.complete()
    await scanning
    assert len(counter.committed[0][0]) == 1


async def test_cancel(counter: Counter) -> None:
    assert not await counter.station.cancel()
    scanning = asyncio.create_task(counter.scan())
    await counter.until(lambda: counter.station.state == "waiting")
    assert await counter.station.cancel()
    assert code(await scanning) == ("aborted", "inspection.cancelled")


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (DecodeError("image", "image.truncated"), "image.truncated"),
        (DeviceError("camera", "device.glass_empty"), "device.glass_empty"),
        (DeviceGoneError("camera", "device.unplugged"), "inspection.device_gone"),
    ],
)
async def test_a_camera_that_fails(counter: Counter, answer: Exception, reason: str) -> None:
    counter.camera.answer = answer
    counter.head.place()
    assert code(await counter.scan()) == ("aborted", reason)
    assert not counter.committed


async def test_a_camera_that_never_answers_runs_into_the_deadline(counter: Counter) -> None:
    counter.camera.delay = 1.0
    counter.head.place()
    assert code(await counter.scan()) == ("aborted", "inspection.timed_out")


async def test_an_answer_that_comes_too_late_belongs_to_no_later_inspection(counter: Counter) -> None:
    counter.camera.delay = 0.5
    counter.head.place()
    assert code(await counter.scan()) == ("aborted", "inspection.timed_out")
    counter.head.remove()
    await counter.until(lambda: counter.station.state == "ready")
    counter.camera.delay = 0.0
    scanning = asyncio.create_task(counter.scan())
    await asyncio.sleep(0.25)  # the late frame of the first inspection comes while the second waits
    assert counter.station.state == "waiting"
    counter.head.place()
    assert code(await scanning) == ("committed", None)
    assert len(counter.committed) == 1


async def test_unplugged_in_mid_scan_refused_until_it_is_back(counter: Counter) -> None:
    counter.camera.delay = 0.2
    counter.head.place()
    scanning = asyncio.create_task(counter.scan())
    await counter.until(lambda: counter.station.state == "capturing")
    counter.head.happened.put_nowait(DeviceGone("camera"))
    assert code(await scanning) == ("aborted", "inspection.device_gone")
    counter.head.remove()
    await counter.until(lambda: counter.station.state == "ready")
    assert code(await counter.scan()) == ("refused", "inspection.device_missing")
    assert counter.head.shown[-1] is Indication.FAULT
    assert counter.station.devices_gone == {"camera"}
    counter.head.happened.put_nowait(DeviceBack("camera"))
    await counter.until(lambda: not counter.station.devices_gone)
    counter.head.place()
    assert code(await counter.scan()) == ("committed", None)


async def test_a_page_that_breaks_the_reader_takes_nothing_down() -> None:
    patient = dataclasses.replace(LIMITS, capture_s=10, reading_s=10)  # the first traceback is slow to write
    async with serving(Counter(patient)) as counter:
        counter.reading = RuntimeError("P<UTOERIKSSON")
        counter.head.place()
        assert code(await counter.scan()) == ("aborted", "inspection.internal_error")
        counter.head.remove()
        await counter.until(lambda: counter.station.state == "ready")
        counter.reading = page()
        counter.head.place()
        assert code(await counter.scan()) == ("committed", None)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (
            CommitFailed(Reason("inspection.not_stored", {"reason": "state.disk_full"})),
            "inspection.not_stored",
        ),
        (RuntimeError("broken"), "inspection.internal_error"),
    ],
)
async def test_what_is_not_stored_is_never_shown(counter: Counter, answer: Any, reason: str) -> None:
    counter.answer = answer
    counter.head.place()
    assert code(await counter.scan()) == ("aborted", reason)
    assert counter.head.shown[-2:] == [Indication.READING, Indication.FAULT]


async def test_a_document_left_behind_is_beeped_about(counter: Counter) -> None:
    counter.head.place()
    await counter.scan()
    await counter.until(lambda: counter.head.beeps >= 2)
    assert counter.head.shown[-1] is Indication.REMOVE


async def test_stopping_finishes_what_is_being_committed(counter: Counter) -> None:
    counter.commit_delay = 0.15
    counter.head.place()
    scanning = asyncio.create_task(counter.scan())
    await counter.until(lambda: counter.station.state == "committing")
    await counter.station.stop()
    assert code(await scanning) == ("committed", None)
    assert code(await counter.scan()) == ("refused", "inspection.shutting_down")


async def test_a_press_of_the_button_that_is_committing_is_waited_for_as_well(counter: Counter) -> None:
    counter.commit_delay = 0.15
    counter.head.place()
    counter.head.happened.put_nowait(ButtonPressed())
    await counter.until(lambda: counter.station.state == "committing")
    await counter.station.stop()
    assert [event["outcome"] for event in counter.events if event["event"] == "outcome"] == ["committed"]


async def test_stopping_says_why_an_inspection_ended(counter: Counter) -> None:
    scanning = asyncio.create_task(counter.scan())
    await counter.until(lambda: counter.station.state == "waiting")
    await counter.station.stop()
    assert code(await scanning) == ("aborted", "inspection.shutting_down")


async def test_whoever_waits_is_answered_when_the_station_ends() -> None:
    made = Counter()
    running = asyncio.create_task(made.station.run())
    scanning = asyncio.create_task(made.scan())
    await made.until(lambda: made.station.state == "waiting")
    running.cancel()
    assert code(await scanning) == ("refused", "inspection.shutting_down")
    with contextlib.suppress(asyncio.CancelledError):
        await running


async def test_cancel_says_no_when_it_is_too_late(counter: Counter) -> None:
    counter.commit_delay = 0.15
    counter.head.place()
    scanning = asyncio.create_task(counter.scan())
    await counter.until(lambda: counter.station.state == "committing")
    assert not await counter.station.cancel()
    assert code(await scanning) == ("committed", None)


async def test_complete_says_no_while_the_document_is_lifted(counter: Counter) -> None:
    counter.reading = BLANK
    counter.head.place()
    scanning = asyncio.create_task(counter.scan())
    await counter.until(lambda: counter.station.state == "turning")
    counter.head.remove()
    await counter.until(counter.head.happened.empty)
    assert not await counter.station.complete()
    assert code(await scanning) == ("aborted", "inspection.removed_early")


async def test_documents_swapped_at_once_are_no_document_pulled_early(counter: Counter) -> None:
    counter.head.place()
    await counter.scan()
    counter.head.remove()
    counter.head.place()
    await counter.until(counter.head.happened.empty)
    assert code(await counter.scan()) == ("committed", None)
    assert len(counter.committed) == 2


async def test_nothing_is_lit_after_a_cancel_however_slow_the_head(counter: Counter) -> None:
    counter.head.delay = 0.1
    counter.head.place()
    scanning = asyncio.create_task(counter.scan())
    await asyncio.sleep(0.02)
    cancelled = await counter.station.cancel()
    outcome = code(await scanning)
    lit_then = list(counter.head.lit)
    counter.head.remove()
    await counter.until(lambda: counter.station.state == "ready")
    assert outcome == (("aborted", "inspection.cancelled") if cancelled else ("committed", None))
    assert counter.head.lit == lit_then


async def test_a_head_that_cannot_show_loses_no_inspection(
    counter: Counter, capsys: pytest.CaptureFixture[str]
) -> None:
    counter.head.fault = DeviceError("head", "device.unplugged")
    counter.head.place()
    assert code(await counter.scan()) == ("committed", None)


async def test_a_head_that_comes_back_shows_what_it_should_and_what_it_missed(counter: Counter) -> None:
    counter.head.place()
    await counter.scan()
    counter.head.happened.put_nowait(DeviceGone("head"))
    await counter.until(lambda: counter.station.devices_gone)
    counter.head.document_present = False  # taken away while nobody could see it
    counter.head.shown.clear()
    counter.head.happened.put_nowait(DeviceBack("head"))
    await counter.until(lambda: counter.station.state == "ready")
    assert counter.head.shown[-1] is Indication.READY


async def test_a_request_that_nobody_would_hear_of_is_refused_before_it_begins(counter: Counter) -> None:
    counter.refuses = "inspection.no_recipient"
    counter.head.place()
    assert code(await counter.scan()) == ("refused", "inspection.no_recipient")
    assert counter.head.lit == []
    assert counter.head.beeps == 1, "a refused press is acknowledged"


async def test_an_idle_head_says_that_the_centre_is_out_of_reach(counter: Counter) -> None:
    counter.station.set_online(False)
    await counter.until(lambda: counter.head.shown[-1:] == [Indication.OFFLINE])
    counter.station.set_online(True)
    await counter.until(lambda: counter.head.shown[-1:] == [Indication.READY])


def advised(counter: Counter) -> list[tuple[str, str]]:
    told = [event for event in counter.events if event["event"] == "advice"]
    return [(event["reason"]["code"], event["light"]) for event in told]


async def test_a_glared_picture_is_made_good_by_a_second(counter: Counter) -> None:
    good = page()
    counter.readings = [GLARED, good]
    counter.head.place()
    await counter.until(counter.head.happened.empty)
    answer = await counter.scan()
    assert code(answer) == ("committed", None)
    assert list(answer["stages"]) == ["document", "captured", "retake", "read", "committed"]
    assert counter.head.lit == [Light.WHITE] * 2
    assert advised(counter) == [("reading.glare", "white")]
    assert counter.committed[0][0] == (good,)
    assert [len(side.frames) for side in counter.sides] == [2], "one side, one burst"
    assert counter.head.shown == [Indication.READING, Indication.SUCCESSFUL]


async def test_infrared_where_head_and_camera_have_it(counter: Counter) -> None:
    counter.camera.lights = frozenset(Light)
    counter.reading = GLARED
    counter.head.place()
    assert code(await counter.scan()) == ("committed", None)
    assert counter.head.lit == [Light.WHITE, Light.IR, Light.WHITE]
    assert [light for _, light in advised(counter)] == ["ir", "white"]


async def test_each_side_has_a_burst_of_its_own_and_none_outlives_the_outcome(counter: Counter) -> None:
    blurred = page("reading.no_mrz", "reading.blurred", mrz=False, sure=False)
    counter.readings = [blurred, BLANK, GLARED, page()]
    counter.head.place()
    scanning = asyncio.create_task(counter.scan())
    await counter.until(lambda: counter.station.state == "turning")
    counter.head.happened.put_nowait(DocumentTurned())
    assert code(await scanning) == ("committed", None)
    assert [len(side.frames) for side in counter.sides] == [2, 2]
    assert len(counter.committed[0][0]) == 2
    assert counter.station._optics._sides == []


@pytest.mark.parametrize("fault", [DeviceError("camera", "device.glass_empty"), RuntimeError("broken")])
async def test_a_further_picture_that_fails_costs_that_picture_alone(
    counter: Counter, fault: Exception, capsys: pytest.CaptureFixture[str]
) -> None:
    counter.camera.answers = [object(), fault, object()]
    good = page()
    counter.readings = [GLARED, good]
    counter.head.place()
    assert code(await counter.scan()) == ("committed", None)
    assert counter.committed[0][0] == (good,)
    assert len(counter.head.lit) == 3


async def test_pages_that_break_the_reader_after_the_first_leave_what_is_known(
    counter: Counter, capsys: pytest.CaptureFixture[str]
) -> None:
    counter.readings = [GLARED, RuntimeError("P<UTOERIKSSON"), RuntimeError("P<UTOERIKSSON")]
    counter.head.place()
    assert code(await counter.scan()) == ("committed", None)
    assert counter.committed[0][0] == (GLARED,)


@pytest.mark.parametrize(
    ("do", "reason"),
    [
        (lambda counter: counter.head.remove(), "inspection.removed_early"),
        (
            lambda counter: counter.head.happened.put_nowait(DeviceGone("camera")),
            "inspection.device_gone",
        ),
    ],
)
async def test_what_ends_an_inspection_ends_it_between_two_pictures_and_nothing_is_lit_after_it(
    do: Any, reason: str
) -> None:
    counter = Counter(dataclasses.replace(LIMITS, pause_s=0.1))
    counter.reading = GLARED
    async with serving(counter):
        counter.head.place()
        scanning = asyncio.create_task(counter.scan())
        await counter.until(lambda: advised(counter))
        do(counter)
        assert code(await scanning) == ("aborted", reason)
        assert counter.station._optics._sides == []
        await asyncio.sleep(0.15)
        assert counter.head.lit == [Light.WHITE]


async def test_a_camera_that_hangs_at_the_second_picture_leaves_what_is_known(counter: Counter) -> None:
    counter.reading = GLARED
    counter.head.place()
    scanning = asyncio.create_task(counter.scan())
    await counter.until(lambda: advised(counter))
    counter.camera.delay = 1.0
    assert code(await scanning) == ("committed", None)
    assert counter.committed[0][0] == (GLARED,)


async def test_a_late_page_of_the_first_side_is_not_taken_for_the_second(counter: Counter) -> None:
    blurred = page("reading.no_mrz", "reading.blurred", mrz=False, sure=False)
    late, back = page(), page()
    counter.readings = [blurred]
    counter.head.place()
    scanning = asyncio.create_task(counter.scan())
    await counter.until(lambda: advised(counter))
    counter.read_delay = 0.4  # longer than reading may take
    counter.readings = [late, back]
    await counter.until(lambda: counter.station.state == "turning")
    counter.read_delay = 0.0
    counter.head.happened.put_nowait(DocumentTurned())
    assert code(await scanning) == ("committed", None)
    assert counter.committed[0][0] == (blurred, back)


async def test_the_watchdog_sees_a_page_that_hangs_the_reading_thread(counter: Counter) -> None:
    counter.read_delay = 1.3  # more than three times the limit for reading
    counter.head.place()
    assert code(await counter.scan()) == ("aborted", "inspection.timed_out")
    assert await counter.station.alive()
    await asyncio.sleep(0.65)
    assert not await counter.station.alive()
    await counter.until(lambda: not counter.station._optics.reading_for_s())
    assert await counter.station.alive()


async def test_the_watchdog_sees_the_loop_turn(counter: Counter) -> None:
    assert await counter.station.alive()


async def test_the_watchdog_sees_a_loop_that_does_not_turn() -> None:
    assert not await Counter().station.alive()


async def test_the_chip_is_read_and_judged_with_the_page() -> None:
    read = ChipRead(None, Reason("chip.not_found"))
    antenna = FakeAntenna(read)
    counter = Counter(dataclasses.replace(LIMITS, chip_s=2.0), antenna)
    async with serving(counter):
        counter.head.place()
        answer = await counter.scan()
    assert answer["outcome"] == "committed"
    assert (counter.chips, antenna.pages) == ([read], [counter.reading])
    assert {"chip_access", "chip"} <= set(answer["stages"])


async def test_a_chip_that_hangs_is_given_up_and_left() -> None:
    antenna = FakeAntenna(None)
    counter = Counter(dataclasses.replace(LIMITS, chip_s=0.05), antenna)
    async with serving(counter):
        counter.head.place()
        answer = await counter.scan()
    assert answer["outcome"] == "committed"
    assert counter.chips == [ChipRead(None, Reason("chip.timed_out"), found=True)]
    assert antenna.stopped.is_set()


async def test_pulling_the_document_leaves_the_chip_at_once() -> None:
    antenna = FakeAntenna(None)
    counter = Counter(dataclasses.replace(LIMITS, chip_s=5.0), antenna)
    async with serving(counter):
        counter.head.place()
        scanning = asyncio.create_task(counter.scan())
        await counter.until(lambda: antenna.reading)
        counter.head.remove()
        answer = await scanning
    assert (answer["outcome"], answer["reason"]["code"]) == ("aborted", "inspection.removed_early")
    assert antenna.stopped.is_set()
    assert counter.chips == []


async def test_a_chip_reader_that_is_gone_keeps_no_counter_closed() -> None:
    antenna = FakeAntenna(ChipRead(None, Reason("chip.no_reader")))
    antenna.gone = True
    counter = Counter(dataclasses.replace(LIMITS, chip_s=2.0), antenna)
    async with serving(counter):
        counter.head.place()
        assert (await counter.scan())["outcome"] == "committed"
        assert counter.station.devices_gone == {"chip"}


async def test_a_slow_indicator_does_not_keep_the_chip_reader_from_being_left() -> None:
    antenna = FakeAntenna(None)
    counter = Counter(dataclasses.replace(LIMITS, chip_s=5.0), antenna)
    left_before: list[bool] = []

    async def indicate(indication: Indication) -> None:
        if indication is Indication.ABORTED:
            left_before.append(antenna.stopped.is_set())

    async with serving(counter):
        counter.head.place()
        scanning = asyncio.create_task(counter.scan())
        await counter.until(lambda: antenna.reading)
        counter.head.indicate = indicate  # type: ignore[method-assign]
        counter.head.remove()
        await scanning
    assert left_before == [True]
