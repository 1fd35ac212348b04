"""The clock's floor in the state database: the latest commit and the latest receipt that were believed."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from edged import RELEASED
from edged.errors import StateError
from edged.uplink import outbox_report
from edged.uplink.database import from_ms, to_ms

if TYPE_CHECKING:
    import sqlite3
    from datetime import datetime

LAST_COMMIT: Final = "last_commit"
LAST_RECEIPT: Final = "last_receipt"

SETTLING: Final = timedelta(seconds=5)
"""A time service may step a good clock back by this much; as far below the floor it isn't taken for lost."""


def moment(connection: sqlite3.Connection, key: str) -> datetime | None:
    """A time that the database keeps. Raises `StateError` (`state.corrupt`) for what is none."""
    value = outbox_report.meta(connection).get(key)
    try:
        return None if value is None else from_ms(int(value))
    except ValueError:
        raise StateError("state.corrupt", key) from None


def raise_to(connection: sqlite3.Connection, key: str, milliseconds: int) -> None:
    """Keep the latest time: a clock that jumped back doesn't lower the floor."""
    connection.execute(
        "INSERT INTO meta VALUES (?, ?) ON CONFLICT (key) DO UPDATE"
        " SET value = max(CAST(value AS INTEGER), CAST(excluded.value AS INTEGER))",
        (key, str(milliseconds)),
    )


def learn(connection: sqlite3.Connection, iat: int, now: datetime) -> None:
    """Raise `last_receipt` to a receipt's time (in milliseconds), without letting its signer set our clock.

    A clock that is not below its floor may be right, and then no receipt is from later than now: one that
    says so was signed by a wrong clock, and a floor that high would make ours look wrong for good. A clock
    below its floor (1970 after a power cut) is certainly wrong: it learns whatever the receipt says, which
    `open_receipt` has bounded by the validity of the signer's certificate.
    """
    floors = (RELEASED, moment(connection, LAST_COMMIT), moment(connection, LAST_RECEIPT))
    floor = max(known for known in floors if known is not None)
    lost = now < floor - SETTLING
    raise_to(connection, LAST_RECEIPT, iat if lost else min(iat, to_ms(now)))
