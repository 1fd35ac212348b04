"""The rules of a stream, as every receiver applies them: what is kept, what came before, what can't be true.

An envelope that came before is a duplicate and harmless. The same place with other contents, the same `jti` in two
places, or a `prev` that isn't the hash of the envelope before it, is refused: the device (or who holds its key) tells
two stories. What came first stays; what contradicts it is the alarm.

Pure: a store loads what it holds around a batch, and the batch is placed in the order in which it came, each message
against what was there and what the batch has added. So it makes no difference how a sequence was cut into batches.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Sequence

    from edged.uplink.database import StreamKey
    from edged.uplink.envelope import OpenedEnvelope


class Stored(msgspec.Struct, frozen=True):
    """New, and kept."""


class Duplicate(msgspec.Struct, frozen=True):
    """The very same envelope is kept already: counted, nothing else."""


class RefusedAs(msgspec.Struct, frozen=True):
    """Not kept; an alarm says why."""

    code: str


Outcome = Stored | Duplicate | RefusedAs


class Entry(NamedTuple):
    """An envelope as the rules see it; hashes in hex."""

    stream: StreamKey
    seq: int
    sha256: str
    prev: str | None
    jti: str

    @classmethod
    def of(cls, opened: OpenedEnvelope) -> Entry:
        """The entry of a verified envelope."""
        payload = opened.payload
        key = (payload.iss, payload.log_id, payload.audience)
        return cls(key, payload.seq, opened.sha256, payload.prev, payload.jti)


class Run(NamedTuple):
    """Numbers `first` to `last` of a stream."""

    stream: StreamKey
    first: int
    last: int


class Span(NamedTuple):
    """Numbers that a gap record accounts for; `last` None: all from `first` on."""

    first: int
    last: int | None


class Surroundings:
    """What a receiver holds where a batch wants to be: entries at the places of `wanted`, and the `jti` asked for."""

    def __init__(self) -> None:
        self._entries: dict[StreamKey, dict[int, tuple[str, str | None]]] = {}
        self._jtis: set[tuple[StreamKey, str]] = set()

    def hold(self, stream: StreamKey, seq: int, sha256: str, prev: str | None) -> None:
        """There is this at this place."""
        self._entries.setdefault(stream, {})[seq] = (sha256, prev)

    def hold_jti(self, stream: StreamKey, jti: str) -> None:
        """This `jti` stands somewhere in this stream."""
        self._jtis.add((stream, jti))

    def place(self, entry: Entry) -> Outcome:
        """Decide about `entry`; what is stored is in the way of what comes after it."""
        around = self._entries.setdefault(entry.stream, {})
        here = around.get(entry.seq)
        if here is not None:
            return Duplicate() if here[0] == entry.sha256 else RefusedAs("stream.equivocation")
        before, after = around.get(entry.seq - 1), around.get(entry.seq + 1)
        if (before and before[0] != entry.prev) or (after and after[1] != entry.sha256):
            return RefusedAs("stream.chain_broken")
        if (entry.stream, entry.jti) in self._jtis:
            return RefusedAs("stream.jti_reused")
        around[entry.seq] = (entry.sha256, entry.prev)
        self._jtis.add((entry.stream, entry.jti))
        return Stored()


def wanted(entries: Iterable[Entry]) -> list[Run]:
    """The places to look up before `entries` are placed, neighbours included: few runs, sorted."""
    numbers: dict[StreamKey, set[int]] = {}
    for entry in entries:
        numbers.setdefault(entry.stream, set()).add(entry.seq)
    runs = []
    for stream in sorted(numbers):
        first = last = 0
        for seq in sorted(numbers[stream]):
            if first and seq - 1 <= last + 1:
                last = seq + 1
                continue
            if first:
                runs.append(Run(stream, first, last))
            first, last = max(1, seq - 1), seq + 1
        runs.append(Run(stream, first, last))
    return runs


def accounted_to(whole: int, highest: int, present: Container[int], spans: Sequence[Span]) -> int:
    """The last number up to which nothing is missing, from `whole` on, when `present` and `spans` are there."""
    ordered = sorted(spans, key=lambda span: span.first)
    index = 0
    while True:
        reach = whole
        while index < len(ordered) and ordered[index].first <= whole + 1:
            last = ordered[index].last
            reach = max(reach, highest if last is None else last)
            index += 1
        if reach > whole:
            whole = reach
        elif whole + 1 in present:
            whole += 1
        else:
            return whole


def unaccounted(first: int, last: int, spans: Iterable[Span]) -> list[tuple[int, int]]:
    """The runs of `first` to `last` that no span accounts for. `spans` sorted by their beginnings."""
    runs = []
    for span in spans:
        if span.first > last or first > last:
            break
        if span.first > first:
            runs.append((first, span.first - 1))
        first = max(first, last + 1 if span.last is None else span.last + 1)
    if first <= last:
        runs.append((first, last))
    return runs
