"""Catching up without a network: what is asked, when, and what never is."""

from __future__ import annotations

import hashlib
import random
from itertools import count, pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edged.partner.catching_up import (
    Ask,
    Catcher,
    CatchingUp,
    CaughtUp,
    NotArchived,
    Patience,
    Unanswered,
)
from edged.partner.intervals import Interval, intersect, subtract
from edged.uplink.replay import MAX_PAGE, MAX_SPANS, Place, ReplayEnd, Span, StreamExtent
from edged.uplink.streams import Missing

NEVER = float("inf")
LOG = "log-1"


class Centre:
    """A partner's inbox and an archive as sets of numbers, and the way between them."""

    def __init__(self, archive: dict[str, set[int]], inbox: dict[str, set[int]], top: dict[str, int]) -> None:
        self.archive = archive
        self.inbox = inbox
        self.top = top
        self.explained: dict[str, set[int]] = {}
        self.lost: dict[str, int] = {}
        self.look = 500
        self.looks = 0
        self.now = 1000.0
        self.events: list[Any] = []
        self.asked: list[Ask] = []
        numbers = count(1)
        self.catcher = Catcher(name=lambda: f"r-{next(numbers)}", on_event=self.events.append)

    def of(self, kind: type) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]

    def missing(self) -> list[Missing]:
        found = []
        for device in sorted(self.top):
            have = self.inbox.get(device, set()) | self.explained.get(device, set())
            for seq in range(1, self.top[device] + 1):
                if seq in have:
                    continue
                lost = device in self.lost and seq >= self.lost[device]
                last = found[-1] if found else None
                if last and (last.device, last.last, last.lost) == (device, seq - 1, lost):
                    found[-1] = Missing(device, LOG, "bank", last.first, seq, lost)
                else:
                    found.append(Missing(device, LOG, "bank", seq, seq, lost))
        return found

    def first_ask(self) -> Ask:
        """What is asked for once connected, when what is missing has looked the same for long enough."""
        self.catcher.connected(self.now, list_due=False)
        self.turn()
        self.next()
        ask = self.turn()
        assert ask is not None
        return ask

    def turn(self) -> Ask | None:
        """One look; as many of them as it takes to see everything, where nothing is to be asked for in between."""
        while True:
            after = self.catcher.after
            seen = (after.device, after.last) if after else ("", 0)
            behind = [run for run in self.missing() if (run.device, run.last) > seen]
            part = behind[: self.look]
            self.looks += 1
            ask = self.catcher.turn(part, self.now, cut=len(part) == self.look)
            if ask is not None or self.catcher.after in (None, after):
                break
        if ask is not None:
            self.asked.append(ask)
            self.catcher.signed(ask, sha(ask))
        return ask

    def page(self, spans: tuple[Span, ...], limit: int) -> tuple[list[tuple[str, int]], list[Span]]:
        sent: list[tuple[str, int]] = []
        more: list[Span] = []
        for span in spans:
            have = sorted(self.archive.get(span.device, set()))
            wanted = [seq for seq in have if span.first <= seq <= (span.last or 10**9)]
            taken = wanted[: limit - len(sent)]
            sent += [(span.device, seq) for seq in taken]
            if len(taken) < len(wanted):
                more.append(Span(span.device, span.log_id, wanted[len(taken)], span.last))
        return sent, more

    def answer(self, ask: Ask, *, drop: float = 0.0, chance: random.Random | None = None, **end: Any) -> None:
        sent, more = self.page(ask.spans, MAX_PAGE)
        fetched = 0
        for device, seq in sent:
            if chance is not None and chance.random() < drop:
                continue
            fetched += seq not in self.inbox.setdefault(device, set())
            self.inbox[device].add(seq)
            self.catcher.came(ask.request, f"{device} {seq}", self.now)
        self.catcher.news(self.now, fetched)
        self.finish(ask, sent=len(sent), more=tuple(more), **end)

    def finish(self, ask: Ask, **changes: Any) -> None:
        listed = self.catcher.end(ended(ask, **changes), self.now)
        if listed is not None:
            for extent in listed.streams:
                self.top[extent.device] = max(self.top.get(extent.device, 0), extent.highest)
            self.catcher.listed(listed, self.now)

    def next(self) -> None:
        """On to the next moment at which something is due."""
        self.now = max(self.now, self.catcher.due())


def sha(ask: Ask) -> str:
    return hashlib.sha256(ask.request.encode()).hexdigest()


def ended(ask: Ask, **changes: Any) -> ReplayEnd:
    content: dict[str, Any] = {
        "iss": "centre",
        "fleet": "north",
        "audience": "bank",
        "request": ask.request,
        "iat": 1,
        "request_sha256": sha(ask),
        "sent": 0,
        "more": (),
        "streams": (),
        "more_streams": False,
    }
    return ReplayEnd(**(content | changes))


def numbers(*runs: tuple[int, int]) -> set[int]:
    return {seq for first, last in runs for seq in range(first, last + 1)}


def test_a_hole_is_asked_for_when_it_has_settled() -> None:
    centre = Centre({"a": numbers((1, 9))}, {"a": numbers((1, 3), (6, 9))}, {"a": 9})
    centre.catcher.connected(centre.now, list_due=False)
    assert centre.turn() is None, "numbers may still overtake each other"
    assert centre.catcher.due() == centre.now + 2.0
    centre.next()
    ask = centre.turn()
    assert ask is not None
    assert ask.spans == (Span("a", LOG, 4, 5),)
    centre.answer(ask)
    assert centre.turn() is None
    assert centre.of(CaughtUp) == [CaughtUp(2)]
    assert centre.catcher.due() == NEVER


def test_what_a_box_is_filling_itself_is_left_to_it() -> None:
    """A live verdict overtook a backlog of 500: every look sees another hole, and none is asked for."""
    centre = Centre({"a": numbers((1, 500))}, {"a": {500}}, {"a": 500})
    centre.catcher.connected(centre.now, list_due=False)
    for seq in range(1, 500):
        centre.inbox["a"].add(seq)
        centre.catcher.news(centre.now)
        centre.now += 0.5
        if centre.now >= centre.catcher.due():
            centre.turn()
    assert centre.asked == []


def test_a_long_absence_is_fetched_page_by_page_in_order() -> None:
    centre = Centre({"a": numbers((1, 1234)), "b": numbers((1, 40))}, {"a": numbers((1, 100))}, {"a": 100})
    centre.catcher.connected(centre.now, list_due=True)
    ask = centre.turn()
    assert ask is not None
    assert (ask.spans, ask.after) == ((), None)
    centre.finish(ask, streams=(StreamExtent("a", LOG, 1234, 1234),), more_streams=True)
    ask = centre.turn()
    assert ask is not None
    assert (ask.spans, ask.after) == ((), Place("a", LOG))
    centre.finish(ask, streams=(StreamExtent("b", LOG, 40, 40),))
    order = []
    while (ask := centre.turn()) is not None:
        centre.now += 4.0
        order.append([(span.device, span.first) for span in ask.spans])
        centre.answer(ask)
    assert order == [[("a", 101), ("b", 1)], [("a", 601), ("b", 1)], [("a", 1101), ("b", 1)]]
    assert centre.inbox == centre.archive
    assert centre.of(CatchingUp) == [
        CatchingUp(2, 0, 1174, None),
        CatchingUp(2, 1000, 174, 1.4),
    ], "told every five seconds, not with every request"
    assert centre.of(CaughtUp) == [CaughtUp(1174)]


def test_one_request_is_under_way_at_a_time() -> None:
    centre = Centre({}, {}, {"a": 5})
    centre.catcher.connected(centre.now, list_due=False)
    centre.turn()
    centre.next()
    assert centre.turn() is not None
    for _ in range(10):
        centre.catcher.news(centre.now)
        centre.now += 1.0
        assert centre.turn() is None
    assert len(centre.asked) == 1


def test_nobody_answers() -> None:
    centre = Centre({}, {}, {"a": 5})
    centre.catcher.connected(centre.now, list_due=False)
    centre.turn()
    waits = []
    for _ in range(12):
        centre.next()
        before = centre.now
        assert centre.turn() is not None
        centre.next()
        assert centre.now == before + 30.0
        assert centre.turn() is None
        waits.append(centre.of(Unanswered)[-1])
    assert [wait.retry_s for wait in waits] == [5, 10, 20, 40, 80, 160, 320, 640, 900, 900, 900, 900]
    assert {wait.code for wait in waits} == {"partner.no_answer"}


def test_an_answer_that_goes_on_is_waited_for() -> None:
    centre = Centre({"a": numbers((1, 300))}, {}, {"a": 300})
    ask = centre.first_ask()
    for seq in range(1, 100):
        centre.now += 20.0
        centre.catcher.came(ask.request, str(seq), centre.now)
        assert centre.turn() is None
    assert centre.of(Unanswered) == []


def test_a_lost_part_of_an_answer_is_asked_for_again_and_not_given_up() -> None:
    centre = Centre({"a": numbers((1, 20))}, {}, {"a": 20})
    ask = centre.first_ask()
    centre.answer(ask, drop=0.5, chance=random.Random(3))
    assert [event.code for event in centre.of(Unanswered)] == ["partner.answer_lost"]
    assert 0 < len(centre.inbox["a"]) < 20
    centre.next()
    centre.turn()
    centre.next()
    ask = centre.turn()
    assert ask is not None
    centre.answer(ask)
    assert centre.turn() is None
    assert centre.inbox == centre.archive
    assert centre.of(NotArchived) == []


def test_what_the_archive_lacks_is_asked_for_ever_less_often() -> None:
    centre = Centre({"a": numbers((1, 9)) - {4, 5}}, {"a": numbers((1, 3), (6, 9))}, {"a": 9})
    centre.catcher.connected(centre.now, list_due=False)
    centre.turn()
    moments = []
    for _ in range(9):
        centre.next()
        ask = centre.turn()
        assert ask is not None
        assert ask.spans == (Span("a", LOG, 4, 5),)
        moments.append(centre.now)
        centre.answer(ask)
        assert centre.turn() is None
    waits = [round(later - earlier) for earlier, later in pairwise(moments)]
    assert waits == [60, 240, 960, 3840, 15360, 61440, 86400, 86400]
    (told,) = centre.of(NotArchived)
    assert [(hole.first, hole.last) for hole in told.holes] == [(4, 5)]
    assert len(centre.of(CaughtUp)) == len(moments), "all that is there is here"


def test_a_number_that_comes_after_all_is_forgotten_about() -> None:
    centre = Centre({"a": {1, 3}}, {"a": {1, 3}}, {"a": 3})
    ask = centre.first_ask()
    centre.answer(ask)
    centre.turn()
    centre.inbox["a"].add(2)
    centre.next()
    assert centre.turn() is None
    assert centre.catcher.due() == NEVER


def test_a_gap_record_ends_the_asking() -> None:
    centre = Centre({"a": {1, 3}}, {"a": {1, 3}}, {"a": 3})
    ask = centre.first_ask()
    centre.explained["a"] = {2}
    centre.answer(ask)
    assert centre.turn() is None
    assert centre.of(NotArchived) == []
    assert centre.catcher.due() == NEVER


def test_what_a_box_cannot_tell_of_is_asked_for_once() -> None:
    centre = Centre({"a": numbers((1, 7))}, {"a": numbers((1, 5))}, {"a": 9})
    centre.lost["a"] = 6
    ask = centre.first_ask()
    centre.answer(ask)
    assert centre.turn() is None
    assert centre.inbox["a"] == numbers((1, 7)), "what the archive has of it is fetched"
    assert centre.of(NotArchived) == [], "the device has said so, nobody need be told twice"
    assert centre.catcher.due() == NEVER


@pytest.mark.parametrize(
    "answer",
    [
        {"more": (Span("a", LOG, 1, 9),)},
        {"more": (Span("a", LOG, 1, None),)},
        {"more": (Span("a", LOG, 4, 9), Span("a", LOG, 1, 5))},
    ],
)
def test_a_collector_that_only_puts_us_off_is_not_asked_in_a_circle(answer: dict[str, Any]) -> None:
    centre = Centre({}, {}, {"a": 9})
    centre.catcher.connected(centre.now, list_due=False)
    centre.turn()
    began = centre.now
    while centre.now < began + 86_400:
        centre.next()
        if (ask := centre.turn()) is not None:
            centre.finish(ask, **answer)
    assert len(centre.asked) < 120
    assert {event.code for event in centre.of(Unanswered)} == {"partner.no_progress"}


def test_a_list_that_goes_in_a_circle_ends() -> None:
    centre = Centre({}, {}, {})
    centre.catcher.connected(centre.now, list_due=True)
    began = centre.now
    while centre.now < began + 86_400:
        centre.next()
        if (ask := centre.turn()) is not None:
            centre.finish(ask, streams=(StreamExtent("a", LOG, 1, 1),), more_streams=True)
    assert len(centre.asked) < 240
    assert {event.code for event in centre.of(Unanswered)} == {"partner.no_progress"}


def test_ends_of_other_requests_change_nothing() -> None:
    centre = Centre({}, {}, {"a": 9})
    ask = centre.first_ask()
    for stranger in ({"request": "r-99"}, {"request_sha256": "0" * 64}):
        assert centre.catcher.end(ended(ask, **stranger), centre.now) is None
        assert centre.turn() is None, "still under way"
        assert (centre.catcher.answers, centre.of(NotArchived)) == (0, [])
    centre.finish(ask)
    assert centre.turn() is None
    assert len(centre.of(NotArchived)) == 1


def test_after_a_lost_connection_it_is_asked_again_at_once() -> None:
    centre = Centre({"a": numbers((1, 9))}, {}, {"a": 9})
    centre.catcher.connected(centre.now, list_due=False)
    centre.turn()
    centre.next()
    assert centre.turn() is not None
    centre.catcher.disconnected()
    assert centre.catcher.due() == NEVER
    assert centre.turn() is None
    centre.now += 5.0
    centre.catcher.connected(centre.now, list_due=False)
    ask = centre.turn()
    assert ask is not None, "it had settled before"
    centre.answer(ask)
    assert centre.inbox == centre.archive


def test_a_refused_request_waits_and_says_why() -> None:
    centre = Centre({}, {}, {"a": 9})
    ask = centre.first_ask()
    centre.catcher.not_sent(ask, "mqtt.not_authorized", centre.now)
    assert centre.of(Unanswered) == [Unanswered("mqtt.not_authorized", 5.0)]
    assert centre.catcher.due() == centre.now + 5.0


def test_many_holes_go_out_in_bounded_requests() -> None:
    inbox = set(range(2, 401, 2))
    centre = Centre({"a": numbers((1, 400))}, {"a": inbox}, {"a": 400})
    centre.catcher.connected(centre.now, list_due=False)
    centre.turn()
    centre.next()
    while (ask := centre.turn()) is not None:
        assert len(ask.spans) <= MAX_SPANS
        centre.answer(ask)
    assert centre.inbox == centre.archive
    assert len(centre.asked) == 4


@settings(derandomize=True, deadline=None, max_examples=60)
@given(seed=st.integers(0, 2**32))
def test_whatever_gets_lost_everything_archived_comes_in(seed: int) -> None:
    chance = random.Random(seed)
    archive, inbox, top = {}, {}, {}
    for device in "abc"[: chance.randint(1, 3)]:
        top[device] = chance.choice([1, 7, 60, 1200])
        everything = range(1, top[device] + 1)
        archive[device] = {seq for seq in everything if chance.random() < 0.97}
        inbox[device] = {seq for seq in everything if chance.random() < chance.choice([0.0, 0.5, 0.95])}
    centre = Centre(archive, inbox, top)
    centre.look = chance.choice([10, 60, 500])
    centre.catcher.connected(centre.now, list_due=False)
    for _ in range(300):
        if centre.catcher.due() == NEVER or all(archive[d] <= centre.inbox[d] for d in archive):
            break
        centre.next()
        ask = centre.turn()
        if ask is None or chance.random() < 0.05:
            continue
        if chance.random() < 0.05:
            centre.catcher.disconnected()
            centre.catcher.connected(centre.now, list_due=False)
            continue
        centre.answer(ask, drop=chance.choice([0.0, 0.0, 0.3]), chance=chance)
    assert all(archive[device] <= centre.inbox[device] for device in archive)


def test_what_is_not_archived_does_not_stand_before_the_rest() -> None:
    """More holes for ever than one look takes in: a device that signs every second number makes as many as it likes."""
    liar = set(range(2, 401, 2))
    centre = Centre(
        {"a": liar, "b": numbers((1, 9)), "c": numbers((1, 3))}, {"a": set(liar)}, {"a": 400, "b": 9, "c": 3}
    )
    centre.look = 60
    centre.catcher.connected(centre.now, list_due=False)
    centre.turn()
    centre.next()
    while (ask := centre.turn()) is not None:
        centre.answer(ask)
    assert centre.inbox == centre.archive
    assert sum(len(event.holes) for event in centre.of(NotArchived)) == 200
    assert len({span for ask in centre.asked for span in ask.spans}) == 202
    assert sum(len(ask.spans) for ask in centre.asked) == 202, "each once"
    centre.catcher.news(centre.now)
    centre.looks = 0
    centre.next()
    assert centre.turn() is None
    assert centre.looks == 4, "all of it is looked at again, and nothing is asked for before its time"
    centre.top["d"] = 2
    centre.archive["d"] = numbers((1, 2))
    centre.catcher.news(centre.now)
    for _ in range(3):
        centre.next()
        if (ask := centre.turn()) is not None:
            centre.answer(ask)
    assert centre.inbox["d"] == {1, 2}, "a hole that settles behind them is asked for"


def test_a_line_that_loses_something_of_every_answer_gets_on() -> None:
    centre = Centre({"a": numbers((1, 10_000))}, {}, {"a": 10_000})
    centre.catcher.connected(centre.now, list_due=False)
    began = centre.now
    chance = random.Random(4)
    while centre.inbox.get("a") != centre.archive["a"]:
        centre.next()
        if (ask := centre.turn()) is not None:
            centre.answer(ask, drop=0.02, chance=chance)
    assert centre.now - began < 600, "the waits grow only while nothing comes"


def test_an_answer_that_lies_at_the_broker_gets_its_time_anew() -> None:
    centre = Centre({"a": {1, 2}}, {}, {"a": 2})
    ask = centre.first_ask()
    centre.now += 500.0
    centre.catcher.resumed(centre.now)
    assert centre.turn() is None
    centre.answer(ask)
    assert centre.inbox == centre.archive
    assert centre.of(Unanswered) == []


RUNS = st.lists(st.integers(1, 40), unique=True).map(
    lambda chosen: [Interval(seq, seq) for seq in sorted(chosen)]
)


@settings(derandomize=True, deadline=None)
@given(left=RUNS, right=RUNS, width=st.integers(1, 5))
def test_intervals_are_sets(left: list[Interval], right: list[Interval], width: int) -> None:
    wide = [Interval(run.first * 10, run.first * 10 + width) for run in right]
    long = [Interval(run.first * 6, run.first * 6 + 4) for run in left]

    def numbers_of(runs: list[Interval]) -> set[int]:
        return {seq for run in runs for seq in range(run.first, run.last + 1)}

    assert numbers_of([run for run, _ in subtract(long, wide)]) == numbers_of(long) - numbers_of(wide)
    assert numbers_of([run for run, _ in intersect(long, wide)]) == numbers_of(long) & numbers_of(wide)
    assert all(wide[i].first <= run.first <= run.last <= wide[i].last for run, i in intersect(long, wide))
    assert all(long[i].first <= run.first <= run.last <= long[i].last for run, i in subtract(long, wide))


def test_patience_is_what_it_says() -> None:
    assert Patience().absent_s[1] == 86_400.0, "once a day"
