"""What the archive doesn't have: asked for again at growing intervals, because it may come after all."""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING, Final, NamedTuple

from edged.partner.intervals import Interval, intersect, subtract
from edged.uplink.fields import MAX_SEQ

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edged.uplink.stream_holes import Missing

Stream = tuple[str, str]
"""(device, log_id): the audience is always the same."""

Spot = tuple[str, str, int]
"""(device, log_id, number)"""

MAX_ABSENT: Final = 100_000
"""Runs that are remembered, about 20 MB. A device that signs every second number makes as many as it likes; beyond
this it has others wait, but fills no memory."""

_GROWTH: Final = 4


class Window(NamedTuple):
    """The part of all streams that was looked at: behind `after`, up to `upto`; None: from the first, to the last."""

    after: Spot | None = None
    upto: Spot | None = None

    def holds(self, stream: Stream, number: int) -> bool:
        """Whether it was looked at."""
        spot = (*stream, number)
        return (self.after is None or spot > self.after) and (self.upto is None or spot <= self.upto)


EVERYTHING: Final = Window()


class Wanted(NamedTuple):
    """A run that is missing, and how often the archive has been asked for it in vain."""

    stream: Stream
    run: Interval
    tries: int


class _Absent(NamedTuple):
    first: int
    last: int
    tries: int
    due: float


class Absences:
    """Remembers what was asked for in vain. `first_s` to `bound_s`: the intervals, each four times the one before."""

    def __init__(self, first_s: float, bound_s: float) -> None:
        self._first_s = first_s
        self._bound_s = bound_s
        self._absent: dict[Stream, list[_Absent]] = {}
        self._answered: list[Wanted] = []

    def answered(self, asked: Sequence[Wanted]) -> None:
        """The archive has given all it has of `asked`: what of it is still missing at the next `sort` is absent."""
        self._answered += asked

    def sort(
        self, missing: Sequence[Missing], now: float, window: Window = EVERYTHING
    ) -> tuple[list[Wanted], list[Wanted], list[Missing]]:
        """(never asked for, due again, absent since just now) of what is missing in a window.

        Forgets what in it isn't missing any more.
        """
        streams: dict[Stream, list[Missing]] = {}
        for run in missing:
            streams.setdefault((run.device, run.log_id), []).append(run)
        answered: dict[Stream, list[Wanted]] = {}
        for wanted in self._answered:
            answered.setdefault(wanted.stream, []).append(wanted)
        self._answered = []
        before: dict[Stream, list[_Absent]] = {}
        elsewhere: dict[Stream, list[_Absent]] = {}
        for stream, absents in self._absent.items():
            for one in absents:
                kept = before if window.holds(stream, one.first) else elsewhere
                kept.setdefault(stream, []).append(one)
        self._absent = elsewhere
        fresh: list[Wanted] = []
        due: list[Wanted] = []
        news: list[Missing] = []
        for stream, runs in streams.items():
            intervals = [Interval(run.first, run.last) for run in runs]
            absent, new = self._absent_of(
                runs, intervals, before.get(stream, []), answered.get(stream, []), now
            )
            news += new
            if absent:
                self._absent[stream] = sorted([*elsewhere.get(stream, []), *absent])
            known = [Interval(one.first, one.last) for one in absent]
            fresh += [Wanted(stream, run, 0) for run, _ in subtract(intervals, known)]
            due += [
                Wanted(stream, Interval(one.first, one.last), one.tries) for one in absent if one.due <= now
            ]
        return fresh, due, news

    def _absent_of(
        self,
        runs: Sequence[Missing],
        intervals: Sequence[Interval],
        before: Sequence[_Absent],
        answered: Sequence[Wanted],
        now: float,
    ) -> tuple[list[_Absent], list[Missing]]:
        just = sorted(answered, key=lambda wanted: wanted.run)
        covered = [wanted.run for wanted in just]
        old = [Interval(one.first, one.last) for one in before]
        kept = list(intersect(intervals, old))
        left = [run for run, _ in kept]
        absent = [
            _Absent(run.first, run.last, before[kept[index][1]].tries, before[kept[index][1]].due)
            for run, index in subtract(left, covered)
        ]
        news = []
        for run, index in intersect(intervals, covered):
            tries = just[index].tries + 1
            lost = runs[bisect_right(intervals, (run.first, MAX_SEQ)) - 1].lost
            wait = min(self._first_s * _GROWTH ** (tries - 1), self._bound_s)
            # What the device can't tell of any more comes out of the archive at once or never.
            absent.append(_Absent(run.first, run.last, tries, float("inf") if lost else now + wait))
            if tries == 1 and not lost:
                news.append(_missing(runs[0], run))
        return sorted(absent), news

    def full(self) -> bool:
        """Whether no more can be remembered."""
        return sum(map(len, self._absent.values())) >= MAX_ABSENT

    def next_due(self) -> float:
        """When something is due again; infinite when nothing is absent."""
        return min((one.due for runs in self._absent.values() for one in runs), default=float("inf"))


def _missing(like: Missing, run: Interval) -> Missing:
    return type(like)(like.device, like.log_id, like.audience, run.first, run.last, lost=False)
