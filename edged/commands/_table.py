"""Tables for people: columns as wide as what stands in them, on any terminal."""

from __future__ import annotations

import unicodedata
from itertools import chain, islice
from typing import TYPE_CHECKING, Final

from edged.commands._saying import show_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_LOOKED_AT: Final = 200
"""Rows that decide how wide a table's columns are; it may have millions."""


def show_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> int:
    """Print rows under a header, aligned by the first of them; how many there were. Nothing for none."""
    found = iter(rows)
    first = list(islice(found, _LOOKED_AT))
    if not first:
        return 0
    widths = _widths([header, *first])
    count = -1
    for cells in chain([header], first, found):
        _show_row(cells, widths)
        count += 1
    return count


def show_pairs(rows: Sequence[tuple[str, str]]) -> None:
    """Print what belongs to names, each on a line, without a header."""
    widths = _widths(rows)
    for cells in rows:
        _show_row(cells, widths)


def _widths(rows: Sequence[Sequence[str]]) -> list[int]:
    return [max(map(_width, column)) for column in zip(*rows, strict=True)]


def _show_row(cells: Sequence[str], widths: Sequence[int]) -> None:
    padded = [cell + " " * (width - _width(cell)) for cell, width in zip(cells, widths, strict=True)]
    show_line("  ".join(padded).rstrip())


def _width(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(one) in "WF" else 1 for one in text)
