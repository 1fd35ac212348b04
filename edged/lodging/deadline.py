"""When a record has to be with its recipient, and whether it is late."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from datetime import date

_DAY: Final = timedelta(days=1)


def deadline(scanned_at: datetime, arrival: date | None, hours: float) -> datetime:
    """`hours` after the arrival, of which the record has the day alone. `scanned_at` in the hotel's local time.

    Who arrives on the day of the scan, or later, has arrived when the document was read; who arrived on an earlier day
    has by its end.
    """
    arrived = scanned_at
    if arrival is not None and arrival < scanned_at.date():
        arrived = datetime.combine(arrival, time.min, scanned_at.tzinfo) + _DAY
    return arrived + timedelta(hours=hours)
