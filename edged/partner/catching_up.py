"""Catching up: what to ask the centre for, and when. Events in, requests out; time is an argument.

What is missing stands in the inbox, and nothing of it here: killed anywhere, the next life looks again and asks for
what is left. One request is under way at a time, a page each, so that answers come in order and nobody's queue fills
up. An answer that got lost on its way is told apart from one the archive doesn't have: the end says how many were sent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from edged.partner.absences import EVERYTHING, Absences, Spot, Stream, Wanted, Window
from edged.partner.intervals import Interval, subtract
from edged.uplink.fields import MAX_SEQ
from edged.uplink.replay import MAX_PAGE, MAX_SPANS, Place, Span
from edged.uplink.stream_holes import Hole

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from edged.uplink.replay import ReplayEnd, StreamExtent
    from edged.uplink.stream_holes import Missing, Total

_NEVER: Final = float("inf")


class Patience(msgspec.Struct, frozen=True):
    """How long to wait for what, in seconds."""

    settle_s: float = 2.0
    """A hole is asked for when it has looked the same for so long: in between, numbers merely overtake each other, and
    a box that was offline fills its own."""
    answer_s: float = 30.0
    """Nobody answers when nothing of an answer has come for so long."""
    retry_s: tuple[float, float] = (5.0, 900.0)
    """Between requests that come to nothing: from, doubling, up to."""
    absent_s: tuple[float, float] = (60.0, 86_400.0)
    """Between requests for what the archive doesn't have: from, growing, up to once a day."""
    progress_s: float = 5.0
    """Between two words about how far it is: a long absence takes thousands of requests."""


class Ask(NamedTuple):
    """One request to sign and send: runs of streams, or without any the list of streams after a place."""

    request: str
    spans: tuple[Span, ...]
    after: Place | None


class Listed(NamedTuple):
    """Streams to note in the inbox; `last` when there are no more."""

    streams: tuple[StreamExtent, ...]
    last: bool


class CatchingUp(msgspec.Struct, frozen=True, tag="catching_up", tag_field="event"):
    """How far it is: streams that lack something, envelopes and gap records fetched, and numbers still missing.

    `estimate_s`: how long the rest will take at the rate so far; None before there is one.
    """

    streams: int
    fetched: int
    missing: int
    estimate_s: float | None


class CaughtUp(msgspec.Struct, frozen=True, tag="caught_up", tag_field="event"):
    """Everything the archive has is here."""

    fetched: int


class NotArchived(msgspec.Struct, frozen=True, tag="not_archived", tag_field="event"):
    """The archive lacks these, and no gap record accounts for them. They are asked for again, ever less often."""

    holes: tuple[Hole, ...]


class Unanswered(msgspec.Struct, frozen=True, tag="unanswered", tag_field="event"):
    """A request came to nothing, as `code` says; the next one goes out in `retry_s` seconds."""

    code: str
    retry_s: float


CatchingUpEvent = CatchingUp | CaughtUp | NotArchived | Unanswered


class _Flight:
    def __init__(self, ask: Ask, wanted: list[Wanted], deadline: float) -> None:
        self.ask = ask
        self.wanted = wanted
        self.deadline = deadline
        self.sha256: str | None = None
        self.came: set[str] = set()
        self.fetched = 0


class Catcher:
    """Decides about one inbox. `name` makes the name of a request, each another; `on_event` hears what people may hear.

    `turn` is called when `due` says so, with what the inbox lacks at that moment behind `after`: a part at a time, so
    that a look costs the same however much is missing, and nothing that isn't archived stands before the rest for ever.

    Attributes:
        answers: how many have ended: who has looked into the inbox before the last one has to look again.
        after: behind which run the next look begins; None: at the first.
    """

    def __init__(
        self,
        *,
        name: Callable[[], str],
        on_event: Callable[[CatchingUpEvent], None],
        patience: Patience = Patience(),  # noqa: B008  # frozen
    ) -> None:
        self._name = name
        self._on_event = on_event
        self._patience = patience
        self._absences = Absences(*patience.absent_s)
        self._online = False
        self._list_due = False
        self._list_after: Place | None = None
        self._flight: _Flight | None = None
        self._failures = 0
        self._not_before = 0.0
        self._look_at = _NEVER
        self._first_seen: dict[tuple[Stream, Interval], float] = {}
        self._eager: set[Stream] = set()
        self._began: float | None = None
        self._told = 0.0
        self._fetched = 0
        self._again = False
        self.answers = 0
        self.after: Missing | None = None

    # --- events ---

    def connected(self, now: float, *, list_due: bool) -> None:
        """Requests can be sent; `list_due` when the centre is to be asked which streams there are."""
        self._online = True
        self._list_due, self._list_after = list_due, None
        self._look_at = self._not_before = now
        self.after = None

    def want_list(self, now: float) -> None:
        """The centre is to be asked which streams there are, from the first on."""
        self._list_due, self._list_after = True, None
        if self._online:
            self._look_at = min(self._look_at, now)

    def disconnected(self) -> None:
        """Requests can't be sent; what was under way is asked for again."""
        self._online = False
        self._flight = None
        self._look_at = _NEVER

    def news(self, now: float, fetched: int = 0) -> None:
        """Something came; `fetched` of it in answers and new."""
        self._fetched += fetched
        if self._flight is not None:
            self._flight.fetched += fetched
        self._again = True
        if self._online:
            self._look_at = min(self._look_at, now + self._patience.settle_s)

    def resumed(self, now: float) -> None:
        """Nothing was taken from the broker for a while: an answer that is under way gets its time anew."""
        if self._flight is not None:
            self._flight.deadline = now + self._patience.answer_s

    def signed(self, ask: Ask, sha256: str) -> None:
        """What `turn` asked for goes out under this hash."""
        if self._flight is not None and self._flight.ask is ask:
            self._flight.sha256 = sha256

    def not_sent(self, ask: Ask, code: str, now: float) -> None:
        """What `turn` asked for couldn't be sent, as `code` says."""
        if self._flight is not None and self._flight.ask is ask:
            self._fail(code, now)

    def came(self, request: str, sha256: str, now: float) -> None:
        """A good message of an answer is in the inbox."""
        flight = self._flight
        if flight is not None and flight.ask.request == request and len(flight.came) <= MAX_PAGE:
            flight.came.add(sha256)
            flight.deadline = now + self._patience.answer_s

    def end(self, end: ReplayEnd, now: float) -> Listed | None:
        """An answer has ended. What is to be noted before `listed` is called, when it was of the list of streams."""
        flight = self._flight
        if flight is None or (end.request, end.request_sha256) != (flight.ask.request, flight.sha256):
            return None  # an answer to an earlier life, or to somebody else with our certificate
        if not flight.ask.spans:
            return Listed(end.streams, last=not end.more_streams or not end.streams)
        if end.sent > len(flight.came):
            self._fail("partner.answer_lost", now)
            return None
        answered = _answered(flight.wanted, end.more)
        if not answered:
            self._fail("partner.no_progress", now)
            return None
        self._absences.answered(answered)
        self._eager |= {wanted.stream for wanted in flight.wanted}
        self._succeed(now)
        return None

    def listed(self, listed: Listed, now: float) -> None:
        """What `end` returned is noted."""
        place = Place(listed.streams[-1].device, listed.streams[-1].log_id) if listed.streams else None
        if not listed.last and place is not None and self._list_after is not None:
            after = self._list_after
            if (place.device, place.log_id) <= (after.device, after.log_id):
                self._fail("partner.no_progress", now)
                return
        self._eager |= {(extent.device, extent.log_id) for extent in listed.streams}
        self._list_due, self._list_after = not listed.last, place
        self._again = True
        self._succeed(now)

    def _succeed(self, now: float) -> None:
        self.answers += 1
        self._flight = None
        self._failures = 0
        self._look_at = self._not_before = now

    def _fail(self, code: str, now: float) -> None:
        first, bound = self._patience.retry_s
        if self._flight is not None and self._flight.fetched:
            self._failures = 0  # it is getting on: a bad line loses something of nearly every answer
        wait = min(first * 2 ** min(self._failures, 30), bound)
        self._flight = None
        self._failures += 1
        self._look_at = self._not_before = now + wait
        self._on_event(Unanswered(code, wait))

    # --- requests ---

    def due(self) -> float:
        """When `turn` is to be called; infinite when only an event can change anything."""
        if self._flight is not None:
            return self._flight.deadline
        return (
            max(self._not_before, min(self._look_at, self._absences.next_due())) if self._online else _NEVER
        )

    def tells(self, now: float) -> bool:
        """Whether the next `turn` would say how far it is, and wants to know how much is missing in all."""
        return self._began is None or now >= self._told + self._patience.progress_s

    def turn(
        self, missing: Sequence[Missing], now: float, *, cut: bool = False, total: Total | None = None
    ) -> Ask | None:
        """What to send now, when the inbox lacks `missing` behind `after`; None when nothing is to be sent.

        `cut` when there may be more of it, `total` what is missing in all.
        """
        if self._flight is not None:
            if now >= self._flight.deadline:
                self._fail("partner.no_answer", now)
            return None
        if not self._online or now < self._not_before:
            return None
        self._look_at = _NEVER
        if self._list_due:
            return self._take_off((), self._list_after, [], now)
        if self.after is None:
            self._again = False
        window = Window(_spot(self.after), _spot(missing[-1])) if cut else EVERYTHING
        if not cut and self.after is not None:
            window = Window(_spot(self.after))
        fresh, again, absent = self._absences.sort(missing, now, window)
        if absent:
            self._on_event(
                NotArchived(
                    tuple(Hole(run.device, run.log_id, run.audience, run.first, run.last) for run in absent)
                )
            )
        ready = [*self._settled(fresh, now, window), *again][:MAX_SPANS]
        if not ready:
            self._go_on(missing[-1] if cut else None, now)
            return None
        self._begin(missing, total, now)
        spans = tuple(Span(*one.stream, one.run.first, one.run.last) for one in ready)
        return self._take_off(spans, None, ready, now)

    def _take_off(
        self, spans: tuple[Span, ...], after: Place | None, wanted: list[Wanted], now: float
    ) -> Ask:
        ask = Ask(self._name(), spans, after)
        self._flight = _Flight(ask, wanted, now + self._patience.answer_s)
        return ask

    def _go_on(self, last: Missing | None, now: float) -> None:
        """Nothing to ask for here: look behind `last`, or begin anew when something came since the first look."""
        if last is not None and not self._absences.full():
            self.after, self._look_at = last, now
            return
        self.after = None
        if self._again:
            self._look_at = min(self._look_at, now + self._patience.settle_s)
        self._done()

    def _settled(self, fresh: Sequence[Wanted], now: float, window: Window) -> list[Wanted]:
        """Those that have looked the same for long enough, or of whose stream we are in the middle."""
        settle_s = self._patience.settle_s
        seen = {
            (one.stream, one.run): self._first_seen.get((one.stream, one.run), now)
            for one in fresh
            if one.stream not in self._eager
        }
        ready = [
            one for one in fresh if one.stream in self._eager or now >= seen[one.stream, one.run] + settle_s
        ]
        self._first_seen = {
            key: moment for key, moment in self._first_seen.items() if not window.holds(key[0], key[1].first)
        } | seen
        streams = {one.stream for one in fresh}
        self._eager = {
            stream
            for stream in self._eager
            if stream in streams or not (window.holds(stream, 1) and window.holds(stream, MAX_SEQ))
        }
        waits = [moment + settle_s for moment in self._first_seen.values() if moment + settle_s > now]
        self._look_at = min(waits, default=_NEVER)
        return ready

    # --- what people hear ---

    def _begin(self, missing: Sequence[Missing], total: Total | None, now: float) -> None:
        if not self.tells(now):
            return
        if self._began is None:
            self._began, self._fetched = now, 0
        self._told = now
        count = total.numbers if total else sum(run.last - run.first + 1 for run in missing)
        streams = total.streams if total else len({(run.device, run.log_id) for run in missing})
        passed = now - self._began
        estimate = round(count * passed / self._fetched, 1) if self._fetched and passed > 0 else None
        self._on_event(CatchingUp(streams, self._fetched, count, estimate))

    def _done(self) -> None:
        if self._began is not None and self._look_at == _NEVER:
            self._on_event(CaughtUp(self._fetched))
            self._began = None


def _spot(run: Missing | None) -> Spot | None:
    return None if run is None else (run.device, run.log_id, run.last)


def _answered(wanted: Sequence[Wanted], more: Sequence[Span]) -> list[Wanted]:
    """What of `wanted` isn't left."""
    left: dict[Stream, list[Interval]] = {}
    for span in more:
        last = span.last if span.last is not None else max(one.run.last for one in wanted)
        if last >= span.first:
            left.setdefault((span.device, span.log_id), []).append(Interval(span.first, last))
    found = []
    for one in wanted:
        rest = _merged(left.get(one.stream, []))
        found += [Wanted(one.stream, run, one.tries) for run, _ in subtract([one.run], rest)]
    return found


def _merged(intervals: Sequence[Interval]) -> list[Interval]:
    """Sorted and disjoint: what a collector sends need be neither."""
    merged: list[Interval] = []
    for interval in sorted(intervals):
        if merged and interval.first <= merged[-1].last + 1:
            merged[-1] = Interval(merged[-1].first, max(merged[-1].last, interval.last))
        else:
            merged.append(interval)
    return merged
