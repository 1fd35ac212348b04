"""A slip's paper against its signature, line by line: what is printed as signed, otherwise, not at all, or beside it.

Takes the text of a PDF or what somebody typed, in the order of the paper. White space and the width of characters mean
nothing, so lines may be broken anywhere; either language alone is enough.
"""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from edged.slip.content import SlipLine

Outcome = Literal["same", "differs", "missing", "not_signed"]

MAX_PRINTED: Final = 20_000
"""Characters of printed text that are compared: several times the longest slip in both languages."""


class Compared(msgspec.Struct, frozen=True):
    """One line of the slip, or a piece of the paper that no line of it explains."""

    key: str | None
    """Of the signed line (`SlipLine.key`); None for `not_signed`."""
    outcome: Outcome
    signed: tuple[str, str] = ("", "")
    """What the paper must say (zh-CN, en), caption and value."""
    printed: str = ""
    """What it says instead, without white space; for `differs` and `not_signed`."""

    @property
    def code(self) -> str:
        """The outcome, as a code of the catalogue."""
        return f"slip.line_{self.outcome}"


class _Found(NamedTuple):
    line: int
    start: int
    end: int


def compare(printed: Sequence[str], signed: Sequence[SlipLine]) -> tuple[Compared, ...]:
    """Every signed line once, in its order, and what else is printed where it stands.

    A line counts as printed only where it stands whole and in its turn: a result that is also written elsewhere doesn't
    replace one that was painted over. Without `signed` everything is not signed.
    """
    paper = normal("".join(printed))[:MAX_PRINTED]
    chain = _chain([_occurrences(paper, number, line) for number, line in enumerate(signed)])
    compared: list[Compared] = []
    at, following = 0, 0
    for found in (*chain, _Found(len(signed), len(paper), len(paper))):
        compared += _between(paper[at : found.start], signed[following : found.line])
        if found.line < len(signed):
            compared.append(Compared(signed[found.line].key, "same", _whole(signed[found.line])))
        at, following = found.end, found.line + 1
    return tuple(compared)


def normal(text: str) -> str:
    """Text as it is compared: compatibility forms (NFKC), without white space."""
    return "".join(unicodedata.normalize("NFKC", text).split())


def _whole(line: SlipLine) -> tuple[str, str]:
    zh, en = (" ".join(filter(None, both)) for both in zip(line.caption, line.value, strict=True))
    return zh, en


def _ways(line: SlipLine) -> set[str]:
    """The ways to print a line: caption, perhaps a colon, value; both languages in either order of setting, or one."""
    (caption_zh, caption_en), (value_zh, value_en) = line.caption, line.value
    values = value_zh if value_zh == value_en else value_zh + value_en
    captions = caption_zh if caption_zh == caption_en else caption_zh + caption_en
    ways: set[str] = set()
    for colon in ("", ":") if captions else ("",):
        zh, en = caption_zh + colon + value_zh, caption_en + colon + value_en
        ways |= {captions + colon + values, zh + en, zh, en}
    return {normal(way) for way in ways} - {""}


def _occurrences(paper: str, number: int, line: SlipLine) -> list[_Found]:
    found = []
    for way in _ways(line):
        at = paper.find(way)
        while at >= 0:
            found.append(_Found(number, at, at + len(way)))
            at = paper.find(way, at + 1)
    return found


def _chain(occurrences: Sequence[Sequence[_Found]]) -> list[_Found]:
    """At most one occurrence of each line, in the order of the lines, so that most of the paper is explained."""
    ends: list[tuple[int, int, tuple[_Found, ...]]] = [
        (0, 0, ())
    ]  # where it ends, how much it explains, the chain
    for line in occurrences:
        longer = []
        for found in line:
            before = max((one for one in ends if one[0] <= found.start), key=lambda one: one[1])
            longer.append((found.end, before[1] + found.end - found.start, (*before[2], found)))
        ends = _undominated([*ends, *longer])
    return list(max(ends, key=lambda one: one[1])[2])


def _undominated(
    ends: list[tuple[int, int, tuple[_Found, ...]]],
) -> list[tuple[int, int, tuple[_Found, ...]]]:
    """Of chains that end no earlier and explain no more than another, none is kept."""
    kept: list[tuple[int, int, tuple[_Found, ...]]] = []
    most = -1
    for one in sorted(ends, key=lambda one: (one[0], -one[1])):
        if one[1] > most:
            kept.append(one)
            most = one[1]
    return kept


def _between(text: str, lines: Sequence[SlipLine]) -> Iterator[Compared]:
    """Lines that aren't there as signed, and the text that stands where they should."""
    marks = []
    at = 0
    for line in lines:
        places = [(text.find(one, at), one) for one in map(normal, line.caption) if one]
        places = [place for place in places if place[0] >= 0]
        start, caption = min(places, default=(-1, ""))
        marks.append(start)
        if start >= 0:
            at = start + len(caption)
    if text and len(lines) == 1 and marks == [-1]:
        marks = [0]  # the one line that is missing, and something in its place
    first = min((mark for mark in marks if mark >= 0), default=len(text))
    if text[:first]:
        yield Compared(None, "not_signed", printed=text[:first])
    for number, line in enumerate(lines):
        if marks[number] < 0:
            yield Compared(line.key, "missing", _whole(line))
            continue
        end = next((mark for mark in marks[number + 1 :] if mark >= 0), len(text))
        yield Compared(line.key, "differs", _whole(line), text[marks[number] : end])
