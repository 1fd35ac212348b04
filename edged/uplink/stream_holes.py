"""What is missing from streams, and the mark up to which nothing is: kept by the database, so that a look costs little.

A number is accounted for when its envelope is there, when a gap record names it, or when the stream isn't wanted from
its beginning. Holes are looked for only after the mark, and only below what a stream is known to have.
"""

# ruff: noqa: S608  # only this package's own constants are put into statements; values are bound
from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Final

import msgspec

from edged.uplink.placing import Span, unaccounted

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator

    from edged.uplink.database import StreamKey

OF_STREAM: Final = "device = ? AND log_id = ? AND audience = ?"


class Hole(msgspec.Struct, frozen=True):
    """Numbers missing from a stream, `first` to `last`."""

    device: str
    log_id: str
    audience: str
    first: int
    last: int


class Missing(msgspec.Struct, frozen=True):
    """A run of a stream that there should be and that no gap record accounts for, `first` to `last`."""

    device: str
    log_id: str
    audience: str
    first: int
    last: int
    lost: bool
    """Whether the device has said that it can't tell any more: what isn't in the archive will not come."""


class Total(msgspec.Struct, frozen=True):
    """Streams that lack something, and how many numbers they lack."""

    streams: int
    numbers: int


def extend(connection: sqlite3.Connection, key: StreamKey, highest: int) -> None:
    """Note that a stream has numbers up to `highest`."""
    connection.execute(
        "INSERT INTO stream (device, log_id, audience, known) VALUES (?, ?, ?, ?)"
        " ON CONFLICT DO UPDATE SET known = max(known, excluded.known)",
        (*key, highest),
    )


def begin_after(connection: sqlite3.Connection, key: StreamKey, highest: int) -> None:
    """Numbers up to `highest`, or up to the first that is here, aren't wanted, where nothing was said before.

    What is missing after the first that is here was missed while we followed.
    """
    (lowest,) = connection.execute(f"SELECT min(seq) FROM envelope WHERE {OF_STREAM}", key).fetchone()
    begin = highest if lowest is None else min(highest, lowest - 1)
    connection.execute(
        f"UPDATE stream SET whole = ? WHERE {OF_STREAM} AND whole = 0 AND known = ?", (begin, *key, highest)
    )
    advance(connection, key)


def want_all(connection: sqlite3.Connection) -> None:
    """Every stream is wanted from its first number on, whatever was decided before."""
    connection.execute("UPDATE stream SET whole = 0")
    for row in connection.execute("SELECT device, log_id, audience FROM stream").fetchall():
        advance(connection, (row[0], row[1], row[2]))


def advance(connection: sqlite3.Connection, key: StreamKey) -> None:
    """Move a stream's mark as far as it goes."""
    (marked,) = connection.execute(f"SELECT whole FROM stream WHERE {OF_STREAM}", key).fetchone()
    whole = _explained(connection, key, marked)
    for (seq,) in connection.execute(
        f"SELECT seq FROM envelope WHERE {OF_STREAM} AND seq > ? ORDER BY seq", (*key, whole)
    ):
        if seq > whole + 1:
            whole = _explained(connection, key, whole)
        if seq > whole + 1:
            break
        whole = max(whole, seq)
    whole = _explained(connection, key, whole)
    if whole != marked:
        connection.execute(f"UPDATE stream SET whole = ? WHERE {OF_STREAM}", (whole, *key))


def _explained(connection: sqlite3.Connection, key: StreamKey, whole: int) -> int:
    """How far gap records carry from `whole` on."""
    while True:
        (last,) = connection.execute(
            f"SELECT max(last) FROM gap WHERE {OF_STREAM} AND first <= ?", (*key, whole + 1)
        ).fetchone()
        if last is None or last <= whole:
            return whole
        whole = last


def missing(connection: sqlite3.Connection, limit: int, after: Missing | None = None) -> list[Missing]:
    """What is missing, by stream and number, from behind `after` on; at most `limit` runs."""
    found: list[Missing] = []
    begin = ("", "", "") if after is None else (after.device, after.log_id, after.audience)
    for stream in connection.execute(
        "SELECT * FROM stream WHERE whole < max(highest, known) AND (device, log_id, audience) >= (?, ?, ?)"
        " ORDER BY device, log_id, audience",
        begin,
    ):
        key = (stream["device"], stream["log_id"], stream["audience"])
        seen = after.last if after is not None and key == begin else 0
        for run in _missing_in(connection, stream, max(seen, stream["whole"])):
            if len(found) == limit:
                return found
            found.append(run)
    return found


def total(connection: sqlite3.Connection) -> Total:
    """How much is missing; what gap records explain above a hole is counted along."""
    row = connection.execute(
        "SELECT count(*), ifnull(sum(max(highest, known) - whole - (SELECT count(*) FROM envelope"
        " WHERE envelope.device = stream.device AND envelope.log_id = stream.log_id"
        " AND envelope.audience = stream.audience AND seq > whole)), 0)"
        " FROM stream WHERE whole < max(highest, known)"
    ).fetchone()
    return Total(*row)


def _missing_in(connection: sqlite3.Connection, stream: sqlite3.Row, whole: int) -> Iterator[Missing]:
    """Behind `whole`, up to where the stream is looked through already."""
    key = (stream["device"], stream["log_id"], stream["audience"])
    rows = connection.execute(
        f"SELECT first, last FROM gap WHERE {OF_STREAM} AND (last > ? OR last IS NULL) ORDER BY first",
        (*key, whole),
    )
    spans = [Span(*row) for row in rows]
    closed = [span for span in spans if span.last is not None]
    open_from = next((span.first for span in spans if span.last is None), None)
    # Sorted firsts and disjoint runs: what lies wholly before a run never matters again.
    done = 0
    for first, last in chain(_between(connection, key, whole), _tail(stream, whole)):
        while done < len(closed) and (closed[done].last or 0) < first:
            done += 1
        for run in unaccounted(first, last, closed[done:]):
            for part in _cut(*run, open_from):
                yield Missing(*key, *part)


def _between(connection: sqlite3.Connection, key: StreamKey, whole: int) -> Iterator[tuple[int, int]]:
    for before, seq in connection.execute(
        "SELECT * FROM (SELECT lag(seq, 1, ?) OVER (ORDER BY seq) AS before, seq FROM envelope"
        f" WHERE {OF_STREAM} AND seq > ?) WHERE seq > before + 1",
        (whole, *key, whole),
    ):
        yield before + 1, seq - 1


def _tail(stream: sqlite3.Row, whole: int) -> Iterator[tuple[int, int]]:
    seen = max(stream["highest"], whole)
    if stream["known"] > seen:
        yield seen + 1, stream["known"]


def _cut(first: int, last: int, open_from: int | None) -> Iterator[tuple[int, int, bool]]:
    """A run, in two where numbers begin of which the device can't tell any more; whether they are those."""
    if open_from is None or last < open_from:
        yield first, last, False
    elif first >= open_from:
        yield first, last, True
    else:
        yield first, open_from - 1, False
        yield open_from, last, True
