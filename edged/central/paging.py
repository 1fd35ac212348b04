"""How a replay's page is cut: pure. Envelopes stand at their numbers, gap records at their last number in the span.

The last, because the end of a span doesn't move when its rest is asked for, so a record is sent exactly once. Several
records may end at one place; the one that begins first says all that the others say of the span, and is sent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

from edged.uplink.fields import MAX_SEQ
from edged.uplink.replay import Span

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


M = TypeVar("M")
"""An envelope, as whoever cuts has it."""


class GapAt(NamedTuple):
    """A gap record and its place in a span; None: at the end of an open one."""

    place: int | None
    sha256: bytes


class Part(NamedTuple, Generic[M]):
    """What of one span fits into a page, in order; and what is left of it."""

    messages: list[M | GapAt]
    rest: Span | None


def gaps_of_span(span: Span, gaps: Iterable[tuple[int, int | None, bytes]]) -> list[GapAt]:
    """The gap records (first, last, hash) that overlap `span`, at most one a place, in order."""
    chosen: dict[int | None, tuple[int, bytes]] = {}
    for first, last, sha256 in gaps:
        place = span.last if last is None or (span.last is not None and last > span.last) else last
        chosen[place] = min(chosen.get(place, (first, sha256)), (first, sha256))
    places = sorted(place for place in chosen if place is not None)
    return [GapAt(place, chosen[place][1]) for place in [*places, *([None] if None in chosen else [])]]


def cut(span: Span, envelopes: Sequence[tuple[int, M]], gaps: Sequence[GapAt], limit: int) -> Part[M]:
    """At most `limit` messages; `envelopes` are the span's first ones, more than `limit` if it has more."""
    at: dict[int, list[M | GapAt]] = {}
    for seq, body in envelopes:
        at.setdefault(seq, []).append(body)
    # Beyond the last envelope that was read nothing may be sent when there may be more of them.
    end = envelopes[-1][0] if len(envelopes) > limit else None
    for gap in gaps:
        if gap.place is not None and (end is None or gap.place <= end):
            at.setdefault(gap.place, []).append(gap)
    messages: list[M | GapAt] = []
    for number in sorted(at):
        if len(messages) + len(at[number]) > limit:
            return Part(messages, Span(span.device, span.log_id, number, span.last))
        messages += at[number]
    for gap in gaps[-1:]:
        if gap.place is None:
            if len(messages) == limit:
                return Part(
                    messages,
                    Span(span.device, span.log_id, min(MAX_SEQ, max([span.first - 1, *at]) + 1), None),
                )
            messages.append(gap)
    return Part(messages, None)
