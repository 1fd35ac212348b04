"""Runs of numbers, both ends included: sorted lists of them, none overlapping, in linear time."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


class Interval(NamedTuple):
    """Numbers `first` to `last`."""

    first: int
    last: int


def intersect(left: Sequence[Interval], right: Sequence[Interval]) -> Iterator[tuple[Interval, int]]:
    """The runs that are in both, each with its index in `right`."""
    i = j = 0
    while i < len(left) and j < len(right):
        first, last = max(left[i].first, right[j].first), min(left[i].last, right[j].last)
        if first <= last:
            yield Interval(first, last), j
        if left[i].last < right[j].last:
            i += 1
        else:
            j += 1


def subtract(left: Sequence[Interval], right: Sequence[Interval]) -> Iterator[tuple[Interval, int]]:
    """The runs that are in `left` and not in `right`, each with its index in `left`."""
    j = 0
    for i, (start, last) in enumerate(left):
        first = start
        while j < len(right) and right[j].last < first:
            j += 1
        k = j
        while k < len(right) and right[k].first <= last:
            if right[k].first > first:
                yield Interval(first, right[k].first - 1), i
            first = max(first, right[k].last + 1)
            k += 1
        if first <= last:
            yield Interval(first, last), i
