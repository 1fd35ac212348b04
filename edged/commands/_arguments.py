"""Types of arguments that several commands have: spans of time, shares, counts; each says what is wrong by a code."""

from __future__ import annotations

import argparse
import re
from typing import Final

_UNITS: Final = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400}
_MAX_SPAN_S: Final = 30 * 86_400
_MOST: Final = 1_000_000_000


def span(text: str) -> float:
    """`90s`, `10m`, `2h`, `1d`, or seconds, for argparse."""
    found = re.fullmatch(r"([0-9]{1,7})([smhd]?)", text)
    seconds = int(found[1]) * _UNITS[found[2]] if found else _MAX_SPAN_S + 1
    if seconds > _MAX_SPAN_S:
        raise argparse.ArgumentTypeError("usage.bad_span")
    return float(seconds)


def share(text: str) -> float:
    """`5%` or `0.05`, for argparse."""
    try:
        found = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        found = -1.0
    if not 0 <= found <= 1:
        raise argparse.ArgumentTypeError("usage.bad_share")
    return found


def count(text: str) -> int:
    """A whole number from one on, for argparse."""
    if not text.isdecimal() or not 1 <= int(text[:10]) <= _MOST:
        raise argparse.ArgumentTypeError("usage.bad_number")
    return int(text[:10])
