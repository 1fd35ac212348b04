"""Streams as their receivers keep them: every envelope once, in its place; what doesn't fit is an alarm.

Archive and partners share these rules. A stream is (device, log_id, audience); an envelope that came before
is a duplicate and harmless; the same place with other contents, the same `jti` in two places, or a `prev`
that isn't the hash of the envelope before it, is refused: the device (or who holds its key) tells two stories.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec

from edged.uplink import database, stream_schema
from edged.uplink.database import StreamKey, to_ms, transaction, translated

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Collection, Iterator, Sequence
    from datetime import datetime
    from pathlib import Path

    from edged.uplink.envelope import OpenedEnvelope
    from edged.uplink.gaps import OpenedGap

MAX_ALARMS: Final = 10_000
"""Rows of alarms. A stranger can make up topics without end; beyond this they are counted by code alone.
What devices have signed doesn't count here: see `MAX_PROVEN`."""

MAX_PROVEN: Final = 1_000
"""Rows of alarms that one device has signed for: each is proof, and a handful convicts. A bound of its own, so
that no stranger's junk and no other device crowds the proof out."""

MAX_TOPIC_KEPT: Final = 200
"""Characters of a strange topic that are kept: enough to find who writes there."""

class Stored(msgspec.Struct, frozen=True):
    """New, and kept."""


class Duplicate(msgspec.Struct, frozen=True):
    """The very same envelope is kept already: counted, nothing else."""


class RefusedAs(msgspec.Struct, frozen=True):
    """Not kept; an alarm says why."""

    code: str


Outcome = Stored | Duplicate | RefusedAs


class Hole(msgspec.Struct, frozen=True):
    """Numbers missing from a stream, `first` to `last`; later ones are there."""

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


class Waiting(msgspec.Struct, frozen=True):
    """A verdict or gap record that is kept and not handed on yet; `body` is JSON."""

    table: Literal["envelope", "gap"]
    id: int
    stream: StreamKey
    body: str


class Alarm(msgspec.Struct, frozen=True):
    """Something that nobody honest does. Names without proof (of a forgery) are what the topic says."""

    code: str
    topic: str
    device: str
    log_id: str
    audience: str
    seq: int
    count: int


class KeptStream(msgspec.Struct, frozen=True):
    """One stream in a receiver's ledger: number to hash, and how many came more than once."""

    hashes: dict[int, str]
    duplicates: int


class ReceiverLedger(msgspec.Struct, frozen=True):
    """All that a receiver has kept, and how many kinds of alarm it has raised."""

    streams: dict[StreamKey, KeptStream]
    alarms: int


class StreamStore:
    """A receiver's database. Synchronous, of one thread; every method may raise `StateError`.

    `place`, `place_gap` and `raise_alarm` belong inside `with store.batch():`, which commits all or nothing.

    Attributes:
        new: whether the database was made just now.
    """

    def __init__(self, connection: sqlite3.Connection, *, new: bool) -> None:
        self._connection = connection
        self.new = new

    @classmethod
    def open(cls, path: Path) -> StreamStore:
        """Open or create the database; one of an earlier version is brought up to date."""
        connection = database.connect(path, "")
        try:
            with translated():
                new = stream_schema.prepare(connection)
        except BaseException:
            connection.close()
            raise
        return cls(connection, new=new)

    def close(self) -> None:
        """Close the file."""
        with translated():
            self._connection.close()

    def batch(self) -> Any:
        """A context manager: everything in it is on the disk when it is left, or nothing is."""
        return transaction(self._connection)

    def place(
        self, opened: OpenedEnvelope, body: str, *, now: datetime, hand: bool = False, replayed: bool = False
    ) -> Outcome:
        """Give a verified envelope its place. With `hand`, `waiting` will offer it, after those not `replayed`."""
        payload = opened.payload
        key = (payload.iss, payload.log_id, payload.audience)
        with translated():
            code = self._conflict(opened)
            if code == "":
                self._connection.execute(
                    "UPDATE stream SET duplicates = duplicates + 1"
                    " WHERE device = ? AND log_id = ? AND audience = ?",
                    key,
                )
                return Duplicate()
            if code is not None:
                return RefusedAs(code)
            self._connection.execute(
                "INSERT INTO stream (device, log_id, audience, stored, highest) VALUES (?, ?, ?, 1, ?)"
                " ON CONFLICT DO UPDATE SET stored = stored + 1, highest = max(highest, excluded.highest)",
                (*key, payload.seq),
            )
            moment = to_ms(now)
            self._connection.execute(
                "INSERT INTO envelope"
                " (device, log_id, audience, seq, sha256, prev, jti, received_at, handed_at, body, replayed)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    *key,
                    payload.seq,
                    opened.sha256,
                    payload.prev,
                    payload.jti,
                    moment,
                    None if hand else moment,
                    body,
                    replayed,
                ),
            )
            self._advance(key)
        return Stored()

    def place_gap(self, opened: OpenedGap, body: str, *, now: datetime) -> Outcome:
        """Keep a verified gap record; `waiting` will offer it. What it names is no hole any more."""
        payload = opened.payload
        key = (payload.iss, payload.log_id, payload.audience)
        with translated():
            # Numbers below an open end exist, too; those from it on exist only if somebody else has them.
            self._extend(key, payload.first - 1 if payload.last is None else payload.last)
            kept = self._connection.execute(
                "INSERT INTO gap (device, log_id, audience, first, last, sha256, received_at, body)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
                (*key, payload.first, payload.last, opened.sha256, to_ms(now), body),
            )
            if not kept.rowcount:
                return Duplicate()
            self._advance(key)
        return Stored()

    def extend(self, key: StreamKey, highest: int, *, from_here: bool = False) -> None:
        """Note that a stream has numbers up to `highest`. With `from_here`, they aren't wanted: it begins after them.

        `from_here` only counts for a stream that nothing was said of before. Belongs inside `batch`.
        """
        with translated():
            self._extend(key, highest)
            if from_here:
                self._connection.execute(
                    "UPDATE stream SET whole = ? WHERE device = ? AND log_id = ? AND audience = ?"
                    " AND whole = 0 AND known = ?",
                    (highest, *key, highest),
                )
                self._advance(key)

    def want_all(self) -> None:
        """Every stream is wanted from its first number on, whatever was decided before. Belongs inside `batch`."""
        with translated():
            self._connection.execute("UPDATE stream SET whole = 0")
            for row in self._connection.execute("SELECT device, log_id, audience FROM stream").fetchall():
                self._advance(tuple(row))

    def _extend(self, key: StreamKey, highest: int) -> None:
        self._connection.execute(
            "INSERT INTO stream (device, log_id, audience, known) VALUES (?, ?, ?, ?)"
            " ON CONFLICT DO UPDATE SET known = max(known, excluded.known)",
            (*key, highest),
        )

    def _advance(self, key: StreamKey) -> None:
        """Move the mark up to which everything is there, or accounted for: holes are looked for after it alone."""
        found = self._connection.execute(
            f"SELECT whole FROM stream WHERE {_OF_STREAM}",
            key,
        ).fetchone()[0]
        whole = found
        for (seq,) in self._connection.execute(
            f"SELECT seq FROM envelope WHERE {_OF_STREAM} AND seq > ? ORDER BY seq", (*key, whole)
        ):
            if seq > whole + 1:
                whole = self._explained(key, whole)
            if seq > whole + 1:
                break
            whole = max(whole, seq)
        whole = self._explained(key, whole)
        if whole != found:
            self._connection.execute(f"UPDATE stream SET whole = ? WHERE {_OF_STREAM}", (whole, *key))

    def _explained(self, key: StreamKey, whole: int) -> int:
        """How far gap records carry from `whole` on."""
        while True:
            (last,) = self._connection.execute(
                f"SELECT max(last) FROM gap WHERE {_OF_STREAM} AND first <= ?", (*key, whole + 1)
            ).fetchone()
            if last is None or last <= whole:
                return whole
            whole = last

    def _conflict(self, opened: OpenedEnvelope) -> str | None:
        """None when the place is free and fits, "" for a duplicate, else the code of what is wrong."""
        payload = opened.payload
        key = (payload.iss, payload.log_id, payload.audience)
        seq = payload.seq
        around = {
            row["seq"]: row
            for row in self._connection.execute(
                "SELECT seq, sha256, prev FROM envelope"
                " WHERE device = ? AND log_id = ? AND audience = ? AND seq BETWEEN ? AND ?",
                (*key, seq - 1, seq + 1),
            )
        }
        if seq in around:
            return "" if around[seq]["sha256"] == opened.sha256 else "stream.equivocation"
        if seq - 1 in around and around[seq - 1]["sha256"] != payload.prev:
            return "stream.chain_broken"
        if seq + 1 in around and around[seq + 1]["prev"] != opened.sha256:
            return "stream.chain_broken"
        reused = self._connection.execute(
            "SELECT 1 FROM envelope WHERE device = ? AND log_id = ? AND audience = ? AND jti = ?",
            (*key, payload.jti),
        ).fetchone()
        return "stream.jti_reused" if reused else None

    def raise_alarm(
        self,
        code: str,
        topic: str,
        *,
        now: datetime,
        opened: OpenedEnvelope | None = None,
        sha256: str | None = None,
        evidence: str | None = None,
    ) -> Alarm:
        """Note that something was refused. `evidence` is kept where a device has signed it: no forgery's text."""
        payload = opened.payload if opened else None
        names = (payload.iss, payload.log_id, payload.audience, payload.seq) if payload else ("", "", "", 0)
        key: tuple[str | int, ...] = (code, printable(topic), *names)
        with translated():
            device, bound = (payload.iss, MAX_PROVEN) if payload else ("", MAX_ALARMS)
            rows = self._connection.execute("SELECT count(*) FROM alarm WHERE device = ?", (device,))
            if rows.fetchone()[0] >= bound and not self._alarm_known(key):
                key = (code, "", device, "", "", 0)
            moment = to_ms(now)
            count = self._connection.execute(
                "INSERT INTO alarm VALUES (?, ?, ?, ?, ?, ?, ?, ?, 1, ?, ?)"
                " ON CONFLICT DO UPDATE SET count = count + 1, last_at = excluded.last_at RETURNING count",
                (*key, opened.sha256 if opened else sha256, evidence, moment, moment),
            ).fetchone()[0]
        return Alarm(code, printable(topic), *names, count=count)

    def _alarm_known(self, key: tuple[str | int, ...]) -> bool:
        return (
            self._connection.execute(
                "SELECT 1 FROM alarm WHERE code = ? AND topic = ? AND device = ? AND log_id = ?"
                " AND audience = ? AND seq = ?",
                key,
            ).fetchone()
            is not None
        )

    def alarms(self) -> list[Alarm]:
        """Every alarm, oldest first."""
        with translated():
            return [
                Alarm(*(row[name] for name in Alarm.__struct_fields__))
                for row in self._connection.execute("SELECT * FROM alarm ORDER BY first_at, code")
            ]

    def holes(self, limit: int = 1000) -> list[Hole]:
        """What is missing, for people; at most `limit` runs."""
        return [
            Hole(run.device, run.log_id, run.audience, run.first, run.last)
            for run in self.missing(limit)
            if not run.lost
        ]

    def missing(self, limit: int) -> list[Missing]:
        """What is missing below the highest number each stream is known to have; at most `limit` runs, in order."""
        with translated():
            streams = self._connection.execute(
                "SELECT * FROM stream WHERE whole < max(highest, known) ORDER BY device, log_id, audience"
            )
            found: list[Missing] = []
            for stream in streams:
                found += self._missing_in(stream, limit - len(found))
                if len(found) >= limit:
                    break
        return found

    def _missing_in(self, stream: sqlite3.Row, limit: int) -> Iterator[Missing]:
        key = (stream["device"], stream["log_id"], stream["audience"])
        spans = self._connection.execute(
            f"SELECT first, last FROM gap WHERE {_OF_STREAM} AND (last > ? OR last IS NULL) ORDER BY first",
            (*key, stream["whole"]),
        ).fetchall()
        closed = [(first, last) for first, last in spans if last is not None]
        open_from = min((first for first, last in spans if last is None), default=None)
        count = 0
        for hole in self._runs_without_envelopes(key, stream):
            for first, last in without(hole, closed):
                for run in _cut(first, last, open_from):
                    if count == limit:
                        return
                    count += 1
                    yield Missing(*key, *run)

    def _runs_without_envelopes(self, key: StreamKey, stream: sqlite3.Row) -> Iterator[tuple[int, int]]:
        whole, top = stream["whole"], max(stream["highest"], stream["known"])
        for before, seq in self._connection.execute(
            "SELECT * FROM (SELECT lag(seq, 1, ?) OVER (ORDER BY seq) AS before, seq FROM envelope"
            f" WHERE {_OF_STREAM} AND seq > ?) WHERE seq > before + 1",
            (whole, *key, whole),
        ):
            yield before + 1, seq - 1
        if top > max(stream["highest"], whole):
            yield max(stream["highest"], whole) + 1, top

    def ledger(self) -> ReceiverLedger:
        """Everything that is kept, by stream."""
        return _ledger(self._connection)

    def waiting(self, limit: int, held: Collection[StreamKey] = ()) -> list[Waiting]:
        """What is to be handed on and wasn't yet, but for streams that are `held`; at most `limit`.

        Verdicts in order of arrival, then gap records, then replayed verdicts, each stream's in order of number.
        """
        excluded = f" AND (device, log_id, audience) NOT IN (VALUES {', '.join(['(?, ?, ?)'] * len(held))})"
        names = [name for key in held for name in key]
        found: list[Waiting] = []
        for table, chosen in _TO_HAND:
            if len(found) < limit:
                chosen = chosen.format(held=excluded if held else "")
                with translated():
                    rows = self._connection.execute(
                        f"SELECT id, device, log_id, audience, body FROM {table} WHERE {chosen} LIMIT ?",
                        (*names, limit - len(found)),
                    )
                    found += [Waiting(table, row[0], (row[1], row[2], row[3]), row[4]) for row in rows]
        return found

    def count_waiting(self) -> tuple[int, int]:
        """How many verdicts and gap records wait to be handed on, and how many replayed verdicts."""
        with translated():
            return (
                self._connection.execute(
                    "SELECT (SELECT count(*) FROM envelope WHERE handed_at IS NULL AND replayed = 0)"
                    " + (SELECT count(*) FROM gap WHERE handed_at IS NULL)"
                ).fetchone()[0],
                self._connection.execute(
                    "SELECT count(*) FROM envelope WHERE handed_at IS NULL AND replayed = 1"
                ).fetchone()[0],
            )

    def mark_handed(self, handed: Sequence[Waiting], now: datetime) -> None:
        """Note that these were handed on."""
        with self.batch():
            for table in ("envelope", "gap"):
                self._connection.executemany(
                    f"UPDATE {table} SET handed_at = ? WHERE id = ?",
                    [(to_ms(now), one.id) for one in handed if one.table == table],
                )

    def forget_bodies(self, before: datetime, limit: int) -> int:
        """Drop the contents of at most `limit` envelopes handed on before then; number and hash stay. How many.

        What devices have signed against themselves goes as well, when it was last seen before then.
        """
        with self.batch():
            self._connection.execute(
                "UPDATE alarm SET evidence = NULL WHERE evidence IS NOT NULL AND last_at < ?", (to_ms(before),)
            )
            return self._connection.execute(
                "UPDATE envelope SET body = '' WHERE id IN"
                " (SELECT id FROM envelope WHERE body <> '' AND handed_at < ? LIMIT ?)",
                (to_ms(before), limit),
            ).rowcount

    def note(self, name: str) -> str | None:
        """What was noted under `name`."""
        with translated():
            row = self._connection.execute("SELECT value FROM note WHERE name = ?", (name,)).fetchone()
        return None if row is None else str(row[0])

    def take_note(self, name: str, value: str) -> None:
        """Note `value` under `name`. Belongs inside `batch`."""
        with translated():
            self._connection.execute("INSERT OR REPLACE INTO note VALUES (?, ?)", (name, value))


_OF_STREAM: Final = "device = ? AND log_id = ? AND audience = ?"

_TO_HAND: Final[tuple[tuple[Literal["envelope", "gap"], str], ...]] = (
    ("envelope", "handed_at IS NULL AND replayed = 0{held} ORDER BY id"),
    ("gap", "handed_at IS NULL{held} ORDER BY id"),
    ("envelope", "handed_at IS NULL AND replayed = 1{held} ORDER BY device, log_id, audience, seq"),
)


def without(run: tuple[int, int], closed: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """What is left of `run` (first, last) without `closed`, which is sorted by its firsts."""
    start, end = run
    for first, last in closed:
        if last < start or first > end:
            continue
        if first > start:
            yield start, first - 1
        start = max(start, last + 1)
    if start <= end:
        yield start, end


def _cut(first: int, last: int, open_from: int | None) -> Iterator[tuple[int, int, bool]]:
    """A run, in two where numbers begin of which the device can't tell any more; whether they are those."""
    if open_from is None or last < open_from:
        yield first, last, False
    elif first >= open_from:
        yield first, last, True
    else:
        yield first, open_from - 1, False
        yield open_from, last, True


def printable(topic: str) -> str:
    """A stranger's topic, fit for a log: cut, and without control characters or anything beyond ASCII."""
    return "".join(char if " " <= char <= "~" else "?" for char in topic[:MAX_TOPIC_KEPT])


def ledger(path: Path) -> ReceiverLedger:
    """`StreamStore.ledger` of another process's database, read only. Raises `StateError`."""
    connection = database.connect_reader(path)
    try:
        return _ledger(connection)
    finally:
        connection.close()


def _ledger(connection: sqlite3.Connection) -> ReceiverLedger:
    with translated():
        hashes: dict[StreamKey, dict[int, str]] = {}
        for row in connection.execute(
            "SELECT device, log_id, audience, seq, sha256 FROM envelope"
            " ORDER BY device, log_id, audience, seq"
        ):
            hashes.setdefault((row["device"], row["log_id"], row["audience"]), {})[row["seq"]] = row["sha256"]
        streams: dict[StreamKey, KeptStream] = {}
        for row in connection.execute("SELECT device, log_id, audience, duplicates FROM stream"):
            key = (row["device"], row["log_id"], row["audience"])
            streams[key] = KeptStream(hashes.get(key, {}), row["duplicates"])
        alarms = connection.execute("SELECT count(*) FROM alarm").fetchone()[0]
    return ReceiverLedger(streams, alarms)
