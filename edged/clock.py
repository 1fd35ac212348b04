"""Whether the box's clock may be believed, and what day it is for judging a document.

A terminal without a battery wakes up in 1970 or in the past of its last shutdown. Nothing tells it the truth,
but three facts bound it from below: it can't be earlier than the release it runs, the last verdict it
committed, or the last signed receipt it verified. Below that floor, or unsynchronised, expiry and validity
are `undetermined`.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path

from edged import RELEASED

STEP_TOLERANCE = timedelta(seconds=5)
"""A time service may step the clock back by this much after a commit without raising doubt."""

TIMESYNC_MARKER = Path("/run/systemd/timesync/synchronized")
_TIME_ERROR = 5  # adjtimex(2): clock not synchronised


def clock_floor(last_commit: datetime | None, last_receipt: datetime | None) -> datetime:
    """The earliest moment it can be now. Only commits under a trusted clock and signed receipts may raise it."""
    return max(moment for moment in (RELEASED, last_commit, last_receipt) if moment is not None)


@dataclass(frozen=True)
class ClockReading:
    """The clock as it stood when an inspection was judged."""

    now: datetime
    trusted: bool
    today: date
    """The day documents are judged against, never before the floor's; it decides nothing unless `trusted`."""


def read_clock(
    now: datetime,
    *,
    last_commit: datetime | None,
    last_receipt: datetime | None,
    synchronised: bool,
    fixed_today: date | None = None,
) -> ClockReading:
    """Judge `now` (timezone-aware) against the floor.

    `fixed_today` replaces the date for demonstrations with a simulated head; it doesn't hide a clock below
    the floor.
    """
    floor = clock_floor(last_commit, last_receipt)
    trusted = synchronised and now >= floor - STEP_TOLERANCE
    return ClockReading(now, trusted, fixed_today or max(now, floor).astimezone().date())


def synchronised(marker: Path = TIMESYNC_MARKER) -> bool:
    """Whether a time service has set this clock since the box started.

    systemd-timesyncd says so with a file; of other services (chrony, ntpd) the kernel knows (adjtimex(2)). False
    where neither can be asked: the hardened unit forbids the system call, and the file decides.
    """
    if marker.exists():
        return True
    libc = ctypes.CDLL(None, use_errno=True)
    if not hasattr(libc, "adjtimex"):
        return False
    buffer = ctypes.create_string_buffer(512)  # struct timex is 208 bytes; modes = 0 only reads
    state: int = libc.adjtimex(buffer)
    return 0 <= state < _TIME_ERROR
