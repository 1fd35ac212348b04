"""The printed number of a card without an MRZ: permanent-resident cards, residence permits (`edged.core.card_numbers`).

Such a card is read by its chip; what is printed is evidence beside it. The card may lie any way up: rows are looked
for in both directions and read in both senses.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from edged.core.card_numbers import CardNumber, find_card_number
from edged.core.print_reader import PRINTED, PrintLine, read_rows
from edged.core.print_rows import print_rows, turn_level
from edged.core.print_text import Places
from edged.core.vision import grey_of
from edged.errors import DecodeError
from edged.identity import Identity
from edged.verdict import Check, Reason, Result

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray

    from edged.core.page import Row

CHECK_NAME: Final = "card_number"

_ANALYSIS_SIDE: Final = 1000
"""Long side in pixels of the picture in which rows are looked for: the number of a card that is a third as wide is 9
pixels high there."""
_LENGTHS: Final = (8.0, 45.0)
"""Length of rows that may hold a number, in capitals: 15 narrow characters alone, 18 wide ones with a caption."""
_ROWS: Final = 24
_MOST: Final = 6_000
"""Rows, and pixels of their strips, read in one sense: bounds the time."""
_TILTED: Final = math.radians(1.5)
"""Tilt from which the picture is turned level and searched again."""
_SURE: Final = 0.9
"""Share that each character needs: on drawn lines of every quality 0.15 % of such characters are wrong, and the check
digit lets one such misreading in ten pass."""
_SEEN: Final = 0.5
_FORMS: Final = ("9" * 17 + "X", "AAA" + "9" * 12)
"""Letters (`A`), figures (`9`), a figure or X (`X`): what `find_card_number` knows."""


class CardReading(Identity):
    """What one picture of a card says about its number.

    Attributes:
        number: the number, its check digit right and every character sure; None otherwise.
        confidence: the share of each of its characters; empty without a number.
        row: where it stands, in its reading direction; None without a number.
        check: `card_number`, successful or undetermined: print alone is no evidence against a card.
    """

    __slots__ = ("check", "confidence", "number", "row")

    def __init__(
        self, number: CardNumber | None, confidence: tuple[float, ...], row: Row | None, reason: str
    ) -> None:
        self.number = number
        self.confidence = confidence
        self.row = row
        self.check: Check = (
            Check(CHECK_NAME, Result.UNDETERMINED, (Reason(reason),))
            if number is None
            else Check(CHECK_NAME, Result.SUCCESSFUL)
        )


def read_card_number(image: NDArray[np.uint8]) -> CardReading:
    """Look for a card's printed number on a page without an MRZ, (H, W, 3) BGR or (H, W) grey, 8 bits, any way up.

    Never raises on content; `check` says why there is no number. Takes some tens of milliseconds; lets other threads
    run meanwhile.
    """
    grey = grey_of(image)
    if min(grey.shape) < 24:
        return CardReading(None, (), None, "card.no_number")
    sure: dict[str, tuple[CardNumber, tuple[float, ...], Row]] = {}
    seen = False
    for rows in _candidates(grey):
        for line in read_rows(grey, rows, most=_MOST):
            for number, shares in numbers_on(line):
                seen = True
                if number.check.result is Result.SUCCESSFUL and min(shares) >= _SURE:
                    sure[number.number.reveal()] = (number, shares, line.row)
        if sure:
            break
    if len(sure) == 1:
        return CardReading(*next(iter(sure.values())), "")
    reason = "card.several_numbers" if sure else "card.number_unsure" if seen else "card.no_number"
    return CardReading(None, (), None, reason)


def numbers_on(line: PrintLine) -> list[tuple[CardNumber, tuple[float, ...]]]:
    """Every number that may stand on a line, with the shares of its characters; a number stands apart."""
    places = Places(line)
    kept = [place for place in range(len(places)) if places.separator[place] < 0.5]
    found = []
    for form in _FORMS:
        for first in range(len(kept) - len(form) + 1):
            at = kept[first : first + len(form)]
            if not (_apart(places, at[0] - 1, at[0]) and _apart(places, at[-1] + 1, at[-1] + 1)):
                continue
            read = [_in_place(places, place, kind) for place, kind in zip(at, form, strict=True)]
            if min(share for _, share in read) < _SEEN:
                continue
            try:
                number = find_card_number("".join(char for char, _ in read))
            except DecodeError:
                continue
            found.append((number, tuple(share for _, share in read)))
    return found


def _apart(places: Places, neighbour: int, gap: int) -> bool:
    """Whether the neighbouring place, across the gap before `gap`, doesn't belong to the same word."""
    if places.line.space(gap):
        return True
    return max(places.other[neighbour], places.separator[neighbour]) >= 0.5


def _in_place(places: Places, place: int, kind: str) -> tuple[str, float]:
    """The likeliest character of its kind at a place, and its share."""
    if kind == "A":
        best = int(places.of[place, 10:36].argmax()) + 10
        return PRINTED[best], float(places.of[place, best])
    figure, share = places.figures[place]
    ten = float(places.of[place, PRINTED.index("X")])
    return ("X", ten) if kind == "X" and ten > share else (str(figure), share)


def _candidates(grey: NDArray[np.uint8]) -> Iterator[list[Row]]:
    """Rows long enough for a number: the two directions, each in both senses; rows and their reverse."""
    step = max(1.0, max(grey.shape) / _ANALYSIS_SIDE)
    for direction in ((1.0, 0.0), (0.0, 1.0)):
        rows = print_rows(turn_level(grey, direction, step))
        tilt = _tilt(rows, direction)
        if abs(tilt) > _TILTED:
            dx, dy = direction
            cos, sin = math.cos(tilt), math.sin(tilt)
            rows = print_rows(turn_level(grey, (dx * cos - dy * sin, dx * sin + dy * cos), step))
        rows = [row for row in rows if _LENGTHS[0] <= row.length / row.cap <= _LENGTHS[1]]
        rows.sort(key=lambda row: -row.cap)  # a number is set larger than what is around it
        yield rows[:_ROWS]
        yield [row.reversed() for row in rows[:_ROWS]]


def _tilt(rows: list[Row], direction: tuple[float, float]) -> float:
    """The longest rows' angle from `direction`, in radians."""
    longest = sorted(rows, key=lambda row: -row.length / row.cap)[:7]
    dx, dy = direction
    angles = sorted(math.atan2(dx * row.dy - dy * row.dx, dx * row.dx + dy * row.dy) for row in longest)
    return angles[len(angles) // 2] if angles else 0.0
