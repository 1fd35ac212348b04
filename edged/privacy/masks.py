"""Masks: what is left of a value when only its owner should recognise it.

No single norm exists; these follow the common profile (initial of a name; first and last characters of a
number, stars in true length) and never show more than half of a value, whatever the policy's pattern says.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from edged.privacy.ceiling import NAMES, Kept

if TYPE_CHECKING:
    from edged.privacy.policy import Rule

STAR: Final = "*"

DEFAULT: Final = "default"
"""The pattern of every document class that has none of its own."""

_SHORT: Final = 2 * Kept.BOTH
"""From so many characters on, what a pattern keeps is at most half of a number."""

_FORM: Final = re.compile(r"([0-9])\+([0-9])")


class Pattern(NamedTuple):
    """How many characters stay at each end."""

    start: int
    end: int


NUMBER: Final = Pattern(2, 2)
"""What `mask` alone means for a number."""

NAME: Final = Pattern(1, 0)
"""What `mask` alone means for a name, and the most that may stay of one."""


def parse_pattern(text: str) -> Pattern | None:
    """`2+2`: keep two characters at each end; None for what is no pattern."""
    found = _FORM.fullmatch(text)
    return None if found is None else Pattern(int(found[1]), int(found[2]))


def pattern_of(claim: str, rule: Rule, document_class: str) -> Pattern:
    """What the rule leaves of the claim on a document of this class; the claim's own default where it doesn't say."""
    text = rule.patterns.get(document_class) or rule.patterns.get(DEFAULT)
    otherwise = NAME if claim in NAMES else NUMBER
    return otherwise if text is None else parse_pattern(text) or otherwise


def within_ceiling(pattern: Pattern, *, name: bool) -> bool:
    """Whether the pattern keeps no more than the ceiling allows."""
    if name:
        return pattern.start <= Kept.NAME and pattern.end == 0
    start, end = pattern
    return start <= Kept.START and end <= Kept.END and start + end <= Kept.BOTH


def mask_number(value: str, pattern: Pattern = NUMBER) -> str:
    """First and last characters by the pattern, stars in true length; under 8 characters one each, under 4 none."""
    start, end = pattern
    if len(value) < _SHORT:
        start, end = (min(kept, len(value) // 4) for kept in pattern)
    return value[:start] + STAR * (len(value) - start - end) + value[len(value) - end :]


def mask_name(value: str, pattern: Pattern = NAME) -> str:
    """The initial and one star, whatever the length; a name of one character is a star alone."""
    return value[: pattern.start] * (len(value) > 1) + STAR
