"""One batch against what the archive holds around it: what to write, what to answer, what to shout about. Pure.

A store asks `Wants` what to load, hands over `Known`, writes the `Plan`.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from edged.central.answers import Answers, refusable
from edged.uplink.database import StreamKey
from edged.uplink.envelope import OpenedEnvelope
from edged.uplink.gaps import OpenedGap
from edged.uplink.placing import Duplicate, Entry, RefusedAs, Run, Span, Surroundings, wanted
from edged.uplink.streams import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edged.uplink.intake import Checked

MAX_GAPS: Final = 10_000
"""Gap records kept of one device: years of tombstones and bounds, and 20 MB if every one is a lie. Workers that
store at the same moment may each go over it by their batch."""

MAX_COMPARED: Final = 100_000
"""Longest run of a gap record whose hash is compared with the envelopes that came after all: a look at each."""

AlarmKey = tuple[str, str, str, str, str, int]
"""(code, topic, device, log_id, audience, seq)"""


class StreamState(msgspec.Struct):
    """A stream's row while its batch is placed."""

    id: int
    audience: int
    """The audience's row."""
    stored: int = 0
    highest: int = 0
    """Highest number that an envelope or a gap record names."""
    whole: int = 0
    """Up to here every number is stored or accounted for."""
    duplicates: int = 0
    gaps: int = 0


class NewEnvelope(NamedTuple):
    """A row to insert."""

    entry: Entry
    body: str


class NewGap(NamedTuple):
    """A row to insert."""

    stream: StreamKey
    opened: OpenedGap
    body: str


class KnownGap(NamedTuple):
    """What matters of a gap record that is stored already."""

    span: Span
    sha256: str
    range_sha256: str | None
    """What its envelopes should hash to; None when that needs no look any more."""


class RaisedAlarm(NamedTuple):
    """Something refused. `names` is the key of its row; `evidence` only what a device has signed."""

    names: AlarmKey
    sha256: str
    evidence: str | None


class Wants:
    """What a batch needs to know."""

    def __init__(self, checked: Sequence[Checked]) -> None:
        self.entries = [Entry.of(one.found) for one in checked if isinstance(one.found, OpenedEnvelope)]
        gaps = [one.found for one in checked if isinstance(one.found, OpenedGap)]
        self.streams: list[StreamKey] = sorted(
            {entry.stream for entry in self.entries} | set(map(key_of, gaps))
        )
        self.runs: list[Run] = wanted(self.entries)
        self.jtis: list[tuple[StreamKey, str]] = sorted({(entry.stream, entry.jti) for entry in self.entries})
        self.gaps: list[str] = sorted({gap.sha256 for gap in gaps})
        self.gap_devices: list[str] = sorted({gap.payload.iss for gap in gaps})


class Known(msgspec.Struct):
    """What the archive holds, as far as a batch's `Wants` ask."""

    fleet: str
    streams: dict[StreamKey, StreamState]
    """Every stream of `Wants.streams`; new ones are empty."""
    around: Surroundings
    gaps: set[str]
    """Those of `Wants.gaps` that are stored."""
    gap_counts: dict[str, int]
    """Gap records stored of each of `Wants.gap_devices`."""


class Plan:
    """What a batch changes."""

    def __init__(self, known: Known) -> None:
        self.known = known
        self.envelopes: list[NewEnvelope] = []
        self.gaps: list[NewGap] = []
        self.alarms: list[RaisedAlarm] = []
        self.answers = Answers()
        self.duplicates = 0
        self.refused = 0

    @classmethod
    def of(cls, checked: Sequence[Checked], wants: Wants, known: Known) -> Plan:
        """Place every message, in order."""
        plan = cls(known)
        entries = iter(wants.entries)
        for one in checked:
            if isinstance(one.found, OpenedEnvelope):
                plan._envelope(one, next(entries))
            elif isinstance(one.found, OpenedGap):
                plan._gap(one, one.found)
            else:
                names = (one.code or "topic.not_ours", printable(one.incoming.topic), "", "", "", 0)
                plan._refuse(one, RaisedAlarm(names, one.sha256, None))
        return plan

    def _envelope(self, checked: Checked, entry: Entry) -> None:
        stream = self.known.streams[entry.stream]
        outcome = self.known.around.place(entry)
        body = checked.incoming.payload.decode("ascii")
        if isinstance(outcome, RefusedAs):
            names = (outcome.code, printable(checked.incoming.topic), *entry.stream, entry.seq)
            self._refuse(checked, RaisedAlarm(names, entry.sha256, body))
            return
        self.answers.kept(entry.stream, entry.seq, entry.sha256)
        if isinstance(outcome, Duplicate):
            stream.duplicates += 1
            self.duplicates += 1
            return
        self.envelopes.append(NewEnvelope(entry, body))
        stream.stored += 1
        stream.highest = max(stream.highest, entry.seq)

    def _gap(self, checked: Checked, gap: OpenedGap) -> None:
        key, device = key_of(gap), gap.payload.iss
        body = checked.incoming.payload.decode("ascii")
        if gap.sha256 not in self.known.gaps:
            if self.known.gap_counts.get(device, 0) >= MAX_GAPS:
                names = ("gap.too_many", printable(checked.incoming.topic), *key, gap.payload.first)
                self._refuse(checked, RaisedAlarm(names, gap.sha256, body))
                return
            self.known.gaps.add(gap.sha256)
            self.known.gap_counts[device] = self.known.gap_counts.get(device, 0) + 1
            self.gaps.append(NewGap(key, gap, body))
            stream = self.known.streams[key]
            stream.gaps += 1
            stream.highest = max(stream.highest, gap.payload.last or gap.payload.first)
        self.answers.gap(device, gap.sha256)

    def _refuse(self, checked: Checked, alarm: RaisedAlarm) -> None:
        self.refused += 1
        self.alarms.append(alarm)
        code = alarm.names[0]
        if device := refusable(checked, code, self.known.fleet):
            self.answers.refuse(device, alarm.sha256, code)

    def numbers(self) -> dict[StreamKey, set[int]]:
        """The numbers that are new, by stream; with streams that have only new gap records."""
        found: dict[StreamKey, set[int]] = {gap.stream: set() for gap in self.gaps}
        for envelope in self.envelopes:
            found.setdefault(envelope.entry.stream, set()).add(envelope.entry.seq)
        return found


def key_of(gap: OpenedGap) -> StreamKey:
    """The stream that a gap record speaks of."""
    return gap.payload.iss, gap.payload.log_id, gap.payload.audience


def to_compare(gaps: Sequence[KnownGap], new: set[int], fresh: set[str], stored: int) -> list[KnownGap]:
    """The records whose envelopes may all be there, now that the numbers `new` and the records `fresh` are."""
    numbers = sorted(new)
    found = []
    for gap in gaps:
        first, last = gap.span
        if gap.range_sha256 is None or last is None or last - first >= min(stored, MAX_COMPARED):
            continue
        index = bisect_left(numbers, first)
        if gap.sha256 in fresh or (index < len(numbers) and numbers[index] <= last):
            found.append(gap)
    return found


def contradiction(stream: StreamKey, gap: KnownGap) -> AlarmKey:
    """The alarm for a gap record that names other envelopes than those that are stored."""
    return ("stream.equivocation", "", *stream, gap.span.first)
