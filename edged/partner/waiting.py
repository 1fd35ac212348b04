"""What of an inbox is to be handed on: chosen, marked when it was, and its contents forgotten afterwards."""

# ruff: noqa: S608  # only this package's own constants are put into statements; values are bound
from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

import msgspec

from edged.uplink.database import StreamKey, to_ms, transaction, translated

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Collection, Sequence
    from datetime import datetime

Table = Literal["envelope", "gap"]

REPLAYED: Final = 1
"""Mark of a verdict that came out of the archive, in the column `replayed`."""

TOO_OLD: Final = 2
"""The same, from before the history that was wanted when it came: kept for the chain, and not handed on."""


class Waiting(msgspec.Struct, frozen=True):
    """A verdict or gap record that is kept and not handed on yet; `body` is JSON."""

    table: Table
    id: int
    stream: StreamKey
    body: str


_CHOICES: Final[tuple[tuple[Table, str, str], ...]] = (
    ("envelope", "handed_at IS NULL AND replayed = 0", "id"),
    ("gap", "handed_at IS NULL", "id"),
    ("envelope", "handed_at IS NULL AND replayed = 1", "device, log_id, audience, seq"),
)
"""Verdicts in order of arrival, then gap records, then replayed verdicts, each stream's in order of number."""


def waiting(connection: sqlite3.Connection, limit: int, held: Collection[StreamKey]) -> list[Waiting]:
    """What comes next, but for streams that are `held`; at most `limit`."""
    rest = f" AND (device, log_id, audience) NOT IN (VALUES {', '.join(['(?, ?, ?)'] * len(held))})"
    names = [name for key in held for name in key]
    found: list[Waiting] = []
    for table, chosen, order in _CHOICES:
        if len(found) < limit:
            with translated():
                rows = connection.execute(
                    f"SELECT id, device, log_id, audience, body FROM {table}"
                    f" WHERE {chosen}{rest if held else ''} ORDER BY {order} LIMIT ?",
                    (*names, limit - len(found)),
                )
                found += [Waiting(table, row[0], (row[1], row[2], row[3]), row[4]) for row in rows]
    return found


def count(connection: sqlite3.Connection) -> tuple[int, int]:
    """How many verdicts and gap records wait, and how many replayed verdicts."""
    with translated():
        first, gaps, replayed = (
            connection.execute(f"SELECT count(*) FROM {table} WHERE {chosen}").fetchone()[0]
            for table, chosen, _ in _CHOICES
        )
    return first + gaps, replayed


def mark(connection: sqlite3.Connection, handed: Sequence[Waiting], now: datetime) -> None:
    """Note that these were handed on; on the disk when this returns."""
    with transaction(connection):
        for one in handed:
            connection.execute(f"UPDATE {one.table} SET handed_at = ? WHERE id = ?", (to_ms(now), one.id))


def want_again(connection: sqlite3.Connection, since: datetime | None) -> None:
    """Offer what was too old for an earlier wish and isn't for this one, where its contents are still here."""
    with transaction(connection):
        connection.execute(
            "UPDATE envelope SET handed_at = NULL, replayed = ?"
            " WHERE replayed = ? AND body <> '' AND json_extract(body, '$.verdict.iat') >= ?",
            (REPLAYED, TOO_OLD, 0 if since is None else since.timestamp()),
        )


def forget(connection: sqlite3.Connection, before: datetime, limit: int) -> int:
    """Drop the contents of at most `limit` verdicts handed on before then; number and hash stay. How many.

    What devices have signed against themselves goes as well, when it was last seen before then.
    """
    with transaction(connection):
        connection.execute(
            "UPDATE alarm SET evidence = NULL WHERE evidence IS NOT NULL AND last_at < ?", (to_ms(before),)
        )
        return connection.execute(
            "UPDATE envelope SET body = '' WHERE id IN"
            " (SELECT id FROM envelope WHERE body <> '' AND handed_at < ? LIMIT ?)",
            (to_ms(before), limit),
        ).rowcount
