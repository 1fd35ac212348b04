"""Moments as people give them on the command line."""

from __future__ import annotations

import argparse
from datetime import UTC, date, datetime, time


def moment(text: str) -> datetime:
    """A date (its end, UTC) or an ISO 8601 date and time (UTC unless it says otherwise), for argparse."""
    try:
        if len(text) == len("2026-11-21"):
            return datetime.combine(date.fromisoformat(text), time.max, UTC)
        found = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError("usage.bad_date") from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
