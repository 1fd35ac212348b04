"""The slips that a box has issued: their numbers, how many copies, whether they still hold. Nothing of what they say.

The signed slip itself (masked values, in CBOR) is here for as long as copies may be made. Functions run in the
journal's thread and, where they write, within its transaction. Times are seconds since 1970. Raise `StateError`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

import msgspec

from edged.uplink import database

if TYPE_CHECKING:
    import sqlite3

    from edged.journal.database import Journal

Status = Literal["valid", "withdrawn", "superseded"]

MAX_ROWS: Final = 500
"""Slips that one listing returns: a busy counter's day."""


class SlipRow(msgspec.Struct, frozen=True):
    """One issued slip."""

    number: str
    issued: int
    expires: int
    keep_until: int
    """Until when copies may be made."""
    copies: int
    """How many were made."""
    status: Status
    changed: int | None
    """Since when it holds no more."""
    superseded_by: str | None
    cose: bytes | None
    """The signed slip, as long as it is kept."""


def add(journal: Journal, number: str, cose: bytes, *, issued: int, expires: int, keep_until: int) -> bool:
    """Add a slip; False when there is one with this number."""
    with database.translated():
        return bool(
            journal.connection.execute(
                "INSERT INTO slips (number, issued, expires, keep_until, cose) VALUES (?, ?, ?, ?, ?)"
                " ON CONFLICT DO NOTHING",
                (number, issued, expires, keep_until, cose),
            ).rowcount
        )


def find(journal: Journal, number: str) -> SlipRow | None:
    """One slip."""
    with database.translated():
        row = journal.connection.execute("SELECT * FROM slips WHERE number = ?", (number,)).fetchone()
    return None if row is None else _row(row)


def newest(journal: Journal, limit: int = MAX_ROWS) -> list[SlipRow]:
    """The newest slips first, at most `MAX_ROWS`."""
    with database.translated():
        rows = journal.connection.execute(
            "SELECT * FROM slips ORDER BY issued DESC, rowid DESC LIMIT ?", (min(limit, MAX_ROWS),)
        ).fetchall()
    return [_row(row) for row in rows]


def count_copy(journal: Journal, number: str) -> None:
    """One copy more."""
    with database.translated():
        journal.connection.execute("UPDATE slips SET copies = copies + 1 WHERE number = ?", (number,))


def end(journal: Journal, number: str, status: Status, *, now: int, by: str | None = None) -> None:
    """It holds no more from now on."""
    with database.translated():
        journal.connection.execute(
            "UPDATE slips SET status = ?, changed = ?, superseded_by = ? WHERE number = ?",
            (status, now, by, number),
        )


def ended(journal: Journal, status: Status, now: int) -> list[SlipRow]:
    """Slips that are withdrawn, or superseded, and haven't expired."""
    with database.translated():
        rows = journal.connection.execute(
            "SELECT * FROM slips WHERE status = ? AND status <> 'valid' AND expires >= ? ORDER BY number",
            (status, now),
        ).fetchall()
    return [_row(row) for row in rows]


def forget(journal: Journal, *, now: int, expired_before: int | None) -> int:
    """Erase signed slips whose time for copies is over (how many), and everything of those that expired before."""
    with database.translated():
        erased = journal.connection.execute(
            "UPDATE slips SET cose = NULL WHERE cose IS NOT NULL AND keep_until < ?", (now,)
        ).rowcount
        if expired_before is not None:
            journal.connection.execute("DELETE FROM slips WHERE expires < ?", (expired_before,))
    return erased


def _row(row: sqlite3.Row) -> SlipRow:
    return SlipRow(**dict(row))
