"""Masks: what is left of a value when only its owner should recognise it.

No single norm exists; these follow the common profile (initial of a name; first and last characters of a
number, stars in true length) and never show more than half of a value.
"""

from __future__ import annotations

from typing import Final

STAR: Final = "*"
_MOST_KEPT: Final = 2  # at each end of a number


def mask_number(value: str) -> str:
    """First two and last two characters, stars in true length; under 8 characters one each, under 4 none."""
    kept = min(_MOST_KEPT, len(value) // 4)
    return value[:kept] + STAR * (len(value) - 2 * kept) + value[len(value) - kept :]


def mask_name(value: str) -> str:
    """The initial and one star, whatever the length; a name of one character is a star alone."""
    return value[:1] * (len(value) > 1) + STAR
