"""Deciding what an MRZ says, from what stands at each place, the layouts' rules, and the check digits.

The evidence comes first. A rule may choose between characters that are both probable where they stand; it
never replaces a character the picture shows clearly, so a misprinted check digit stays as printed; but between O and 0,
which some printers hardly tell apart, a place that has room for only one of them decides. Check
digits speak last and only choose among readings that are probable without them.
"""

from __future__ import annotations

import heapq
from functools import cache
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from edged.core import layouts
from edged.core.layouts import KERNEL, LAYOUTS, MrzFormat
from edged.core.ocr import ALPHABET
from edged.errors import DecodeError
from edged.identity import withheld

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_INDEX: Final = {char: i for i, char in enumerate(ALPHABET)}
_O: Final = _INDEX["O"]
_ZERO: Final = _INDEX["0"]
_RESIDUE: Final = np.array([0 if char == "<" else int(char, 36) % 10 for char in ALPHABET])
"""What a check digit sees of each class (Doc 9303-3 §4.9)."""
_OUT_OF_PLACE: Final = 1e-3
"""How much less probable a character becomes where its layout has no place for it."""
_SAME_SHAPE: Final = (
    ("I", "1", 1e-4),
    ("S", "5", 3e-4),
    ("B", "8", 3e-4),
    ("Z", "2", 3e-4),
)
"""Pairs some printers hardly tell apart: between them the layout may decide against more of the picture. O and 0 aren't
told apart at all where there is room for only one: one face's O is the other's 0."""
_LETTER_O: Final = 0.1
"""In numbers, where letters and digits may stand, O is rarer than 0 by more than this: issuers avoid it. The reader was
trained on both alike."""
_FLOOR: Final = 1e-7
_DEAREST: Final = 5.0
"""Natural logarithm by which all the alternatives chosen together may be less probable than the picture's
choice: one alternative of a hundredth, or two of a tenth. Beyond it a printed error is the likelier
explanation."""
_PRINTED: Final = 0.9
"""Share in the picture itself from which a character is printed so, and no check digit makes another of it. A
wrong check digit is the document's only where all the characters it speaks for are as sure; else it may be our
misreading."""
_MAX_PLACES: Final = 12
_MAX_TRIED: Final = 3000
"""Readings tried against the check digits: a few milliseconds."""
_RIVAL: Final = 4.0
"""Natural logarithm by which the best reading that satisfies the check digits must beat the next."""


@withheld
class Decision(NamedTuple):
    """What an MRZ says.

    `confidence` is per character in the joined text: the share left to it after the rules. `distinct` is the same
    against those characters alone that no check digit tells from it: values alike modulo ten, as 0 and U, 8 and S, 6
    and G. `changed` counts characters that are not the picture's first choice. `ambiguous` says that the check digits
    chose between probable readings, hold for several, or fail where a character may be misread: such a reading is
    never valid, and its check digits prove nothing. One character that may be either of two makes a wrong check
    digit right once in ten times: what check digits have repaired they can't confirm.
    """

    format: MrzFormat
    lines: tuple[str, ...]
    confidence: NDArray[np.float32]
    distinct: NDArray[np.float32]
    covered: NDArray[np.bool_]
    changed: int
    ambiguous: bool
    likelihood: float


@cache
def room(format_: MrzFormat) -> NDArray[np.bool_]:
    """(characters, classes): whether a layout has a place for a class at each character of the joined text."""
    flat = [chars for line in layouts.alphabet(format_) for chars in line]
    return np.array([[char in chars for char in ALPHABET] for chars in flat])


@cache
def _prior(format_: MrzFormat) -> NDArray[np.float32]:
    """(characters, classes): 1 where a layout has a place for a character, less where it has none."""
    has = room(format_)
    prior = np.where(has, 1.0, _OUT_OF_PLACE).astype(np.float32)
    for letter, digit, share in _SAME_SHAPE:
        for mine, twin in ((_INDEX[letter], _INDEX[digit]), (_INDEX[digit], _INDEX[letter])):
            prior[~has[:, mine] & has[:, twin], mine] = share
    prior[has[:, _O] & has[:, _ZERO], _O] = _LETTER_O
    return prior


def _where_it_belongs(format_: MrzFormat, joined: NDArray[np.float32]) -> NDArray[np.float32]:
    """The shares with those of O and 0 together where there is room for only one of them."""
    shares, has = joined.copy(), room(format_)
    for one, other in ((_O, _ZERO), (_ZERO, _O)):
        places = has[:, one] & ~has[:, other]
        shares[places, one] += shares[places, other]
        shares[places, other] = 0.0
    return shares


@cache
def _covered(format_: MrzFormat) -> NDArray[np.bool_]:
    """Which characters of the joined text some check digit speaks for (or are one)."""
    layout = LAYOUTS[format_]
    covered = np.zeros(layout.lines * layout.width, bool)
    for check in layout.checks:
        covered[check.position] = True
        for start, stop in check.spans:
            covered[start:stop] = True
    return covered


def decide(cells: Sequence[NDArray[np.float32]]) -> Decision | None:
    """The best reading of the lines' cells, (characters, classes) each, or None when no layout fits.

    Raises `DecodeError` ("mrz.driving_licence") for what is clearly one.
    """
    joined = np.concatenate(list(cells))
    widths = {len(line) for line in cells}
    best: Decision | None = None
    licence: DecodeError | None = None
    for format_, (lines, width) in layouts.SHAPES.items():
        if lines != len(cells) or widths != {width}:
            continue
        found = _decide_as(format_, joined, width)
        if isinstance(found, DecodeError):
            licence = found if found.code == "mrz.driving_licence" else licence
        elif found is not None and (best is None or found.likelihood > best.likelihood):
            best = found
    if best is None and licence is not None:
        raise licence
    return best


def _decide_as(format_: MrzFormat, joined: NDArray[np.float32], width: int) -> Decision | DecodeError | None:
    seen = _where_it_belongs(format_, joined)
    weighted = np.maximum(seen, _FLOOR) * _prior(format_)
    shares = weighted / weighted.sum(axis=1, keepdims=True)
    choice = shares.argmax(axis=1)
    at = np.arange(len(choice))
    printed = seen[at, choice] > _PRINTED
    text = "".join(ALPHABET[i] for i in choice)
    code, failing, _ = KERNEL.check(text.encode("ascii"))
    if not code or layouts.FORMATS[code - 1] is not format_:
        return layouts.unknown_format(text)
    if failing:
        stake = _at_stake(format_, failing)
        # Some printers' 0 looks like the letter O, which issuers avoid in numbers: no O there is clearly one.
        letter_o = (choice == _O) & room(format_)[:, _ZERO]
        text, ambiguous = _repair(text, _places(text, shares, stake & (letter_o | ~printed), _DEAREST))
        doubtful = (shares[at, choice] < _PRINTED) | letter_o
        ambiguous = ambiguous or bool((stake & doubtful).any())
    else:
        # Check digits may hold by luck: another probable reading that satisfies them too makes this one
        # doubtful.
        places = _places(text, shares, _covered(format_), _RIVAL)
        ambiguous = bool(_search(text, places, _RIVAL)) or _zeros_hold_too(text, format_)
    picked = np.array([_INDEX[char] for char in text])
    confidence = shares[at, picked]
    alike = shares * (_RESIDUE[None, :] == _RESIDUE[picked][:, None])
    distinct = shares[at, picked] / np.maximum(alike.sum(axis=1), 1e-12)
    changed = int((picked != joined.argmax(axis=1)).sum())
    likelihood = float(np.log(np.maximum(weighted[at, picked], 1e-12)).sum())
    lines = tuple(text[i : i + width] for i in range(0, len(text), width))
    return Decision(
        format_,
        lines,
        confidence.astype(np.float32),
        distinct.astype(np.float32),
        _covered(format_),
        changed,
        ambiguous,
        likelihood,
    )


def _zeros_hold_too(text: str, format_: MrzFormat) -> bool:
    """Whether the check digits also hold with every O in the numbers a 0.

    A printer's 0 that looks like an O is read so all over a number, whose check digit then holds by luck where the
    weights of the places add up to a multiple of five.
    """
    letter = _prior(format_)[:, _O] == _LETTER_O
    zeros = "".join(
        "0" if char == "O" and may_be else char
        for char, may_be in zip(text, letter & _covered(format_), strict=True)
    )
    if zeros == text:
        return False
    code, failing, _ = KERNEL.check(zeros.encode("ascii"))
    return bool(code) and not failing


def _places(
    text: str, shares: NDArray[np.float32], where: NDArray[np.bool_], limit: float
) -> list[list[tuple[float, int, str]]]:
    """The places where something else may stand, the most doubtful first: (cost, place, character), cheapest first."""
    places: list[list[tuple[float, int, str]]] = []
    at, picked = np.arange(len(text)), np.array([_INDEX[char] for char in text])
    best = shares[at, picked]
    costs = np.log(best[:, None] / np.maximum(shares, _FLOOR))
    costs[at, picked] = np.inf
    costs[~where] = np.inf
    for i in np.flatnonzero((costs <= limit).any(axis=1)):
        others = np.flatnonzero(costs[i] <= limit)
        places.append(sorted((float(costs[i, j]), int(i), ALPHABET[j]) for j in others)[:3])
    places.sort(key=lambda options: options[0][0])
    return places[:_MAX_PLACES]


def _repair(text: str, places: list[list[tuple[float, int, str]]]) -> tuple[str, bool]:
    """The most probable reading that satisfies every check digit, and whether it is another one than the picture's.

    When no probable reading does, the picture's own reading stands, with its wrong check digits.
    """
    solutions = _search(text, places, _DEAREST)
    return (solutions[0][1], True) if solutions else (text, False)


def _at_stake(format_: MrzFormat, failing: int) -> NDArray[np.bool_]:
    """Characters that take part in a failing check digit."""
    layout = LAYOUTS[format_]
    stake = np.zeros(layout.lines * layout.width, bool)
    for i, check in enumerate(layout.checks):
        if failing >> i & 1:
            stake[check.position] = True
            for start, stop in check.spans:
                stake[start:stop] = True
    return stake


def _search(text: str, places: list[list[tuple[float, int, str]]], limit: float) -> list[tuple[float, str]]:
    """Up to two other readings of at most this cost that satisfy every check digit, cheapest first: (cost, text)."""
    solutions: list[tuple[float, str]] = []
    queue: list[tuple[float, int, tuple[tuple[float, int, str], ...]]] = [(0.0, 0, ())]
    tried = 0
    while queue and tried < _MAX_TRIED and len(solutions) < 2:
        cost, start, changes = heapq.heappop(queue)
        tried += 1
        if changes:
            characters = list(text)
            for _, at, char in changes:
                characters[at] = char
            candidate = "".join(characters)
            code, failing, _ = KERNEL.check(candidate.encode("ascii"))
            if code and not failing:
                solutions.append((cost, candidate))
                continue
        if len(changes) >= 3:
            continue
        for place in range(start, len(places)):
            for option in places[place]:
                if cost + option[0] > limit:
                    break
                heapq.heappush(queue, (cost + option[0], place + 1, (*changes, option)))
    return solutions
