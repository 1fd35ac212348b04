"""Where a line of two languages is broken: Chinese anywhere, English between words, never before punctuation."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

_CLOSING: Final = frozenset("，。、；：？！）」』》〉】”’…·,.;:?!)]}%")
"""What no line begins with."""
_OPENING: Final = frozenset("（「『《〈【“‘([{")
"""What no line ends with."""


def pieces(text: str) -> list[str]:
    """`text` cut wherever it may be broken; a space belongs to the piece before it. Joined they are `text`."""
    cut: list[str] = []
    for character in text:
        if cut and not _breaks(cut[-1][-1], character):
            cut[-1] += character
        else:
            cut.append(character)
    return cut


def wrapped(text: str, width: float, measure: Callable[[str], float]) -> list[str]:
    """`text` as lines none of which is wider than `width`, spaces at their ends dropped; an empty one is one line.

    A word that is wider than a line is broken where it has to be. A single character is never broken: `width` must
    be enough for one.
    """
    lines, line = [], ""
    for piece in pieces(text):
        if measure((line + piece).rstrip()) <= width:
            line += piece
            continue
        if line.strip():
            lines.append(line.rstrip())
        line = ""
        for character in piece:
            if line and measure((line + character).rstrip()) > width:
                lines.append(line.rstrip())
                line = ""
            line += character
    return [*lines, line.rstrip()]


def _breaks(before: str, after: str) -> bool:
    if after in _CLOSING or after == " " or before in _OPENING:
        return False
    return before == " " or _wide(before) or _wide(after)


def _wide(character: str) -> bool:
    return unicodedata.east_asian_width(character) in {"W", "F"}
