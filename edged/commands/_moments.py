"""Moments as people give them on the command line."""

from __future__ import annotations

import argparse
from datetime import UTC, date, datetime, time


def moment(text: str) -> datetime:
    """A date (its end, UTC) or an ISO 8601 date and time (UTC unless it says otherwise), for argparse."""
    return _parse(text, time.max)


def beginning(text: str) -> datetime:
    """Like `moment`, but a date is its beginning."""
    return _parse(text, time.min)


def end(text: str) -> datetime:
    """Like `moment`, but a date is the first moment after it: for whatever lasts until then, that moment excluded."""
    found = _parse(text, time.max)
    return found + datetime.resolution if _is_date(text) and found.date() != date.max else found


def _is_date(text: str) -> bool:
    return len(text) == len("2026-11-21")


def _parse(text: str, of_day: time) -> datetime:
    try:
        if _is_date(text):
            return datetime.combine(date.fromisoformat(text), of_day, UTC)
        found = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError("usage.bad_date") from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
