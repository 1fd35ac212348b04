"""Streams as a partner keeps them: every envelope once, in its place; what doesn't fit is an alarm.

A stream is (device, log_id, audience); its rules are `edged.uplink.placing`'s.
"""

# ruff: noqa: S608  # only this package's own constants are put into statements; values are bound
from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Final

import msgspec

from edged.uplink import database, stream_holes, stream_schema
from edged.uplink.database import StreamKey, to_ms, transaction, translated
from edged.uplink.placing import Duplicate, Entry, Outcome, RefusedAs, Stored, Surroundings, wanted
from edged.uplink.stream_holes import OF_STREAM, Hole, Missing

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence
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

MAX_GAPS: Final = 10_000
"""Gap records of one device, as many as the archive keeps: years of tombstones and bounds. One that signs more would
otherwise fill this disk, and each of them is handed on."""

MAX_TOPIC_KEPT: Final = 200
"""Characters of a strange topic that are kept: enough to find who writes there."""

__all__ = ["Duplicate", "Hole", "Missing", "Outcome", "RefusedAs", "Stored"]


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
        connection: for the modules that share the file with this one.
        new: whether the database was made just now.
    """

    def __init__(self, connection: sqlite3.Connection, *, new: bool) -> None:
        self.connection = connection
        self.new = new

    @classmethod
    def open(cls, path: Path) -> StreamStore:
        """Open or create the database, for its owner's eyes; one of an earlier version is brought up to date."""
        with contextlib.suppress(OSError):  # whatever it is, SQLite says it as well
            path.touch(mode=0o600)  # its log gets the same
        connection = database.connect(path, "")
        try:
            new = stream_schema.prepare(connection)
        except BaseException:
            connection.close()
            raise
        return cls(connection, new=new)

    def close(self) -> None:
        """Close the file."""
        with translated():
            self.connection.close()

    def batch(self) -> Any:
        """A context manager: everything in it is on the disk when it is left, or nothing is."""
        return transaction(self.connection)

    def surroundings(self, entries: Sequence[Entry]) -> Surroundings:
        """What is kept where `entries` want to be."""
        around = Surroundings()
        with translated():
            for run in wanted(entries):
                for row in self.connection.execute(
                    f"SELECT seq, sha256, prev FROM envelope WHERE {OF_STREAM} AND seq BETWEEN ? AND ?",
                    (*run.stream, run.first, run.last),
                ):
                    around.hold(run.stream, row["seq"], row["sha256"], row["prev"])
            for entry in entries:
                for _ in self.connection.execute(
                    f"SELECT 1 FROM envelope WHERE {OF_STREAM} AND jti = ?", (*entry.stream, entry.jti)
                ):
                    around.hold_jti(entry.stream, entry.jti)
        return around

    def place(
        self,
        opened: OpenedEnvelope,
        body: str,
        *,
        now: datetime,
        hand: bool = False,
        replayed: int = 0,
        around: Surroundings | None = None,
    ) -> Outcome:
        """Give a verified envelope its place; with `hand`, it waits to be handed on, after those not `replayed`.

        `replayed`: 0 for what its box sent, otherwise the caller's own mark.
        `around` is of the whole batch, where there is one. Whoever places calls `settle` once before the end of it.
        """
        entry = Entry.of(opened)
        outcome = (around or self.surroundings([entry])).place(entry)
        with translated():
            if isinstance(outcome, Duplicate):
                self.connection.execute(
                    f"UPDATE stream SET duplicates = duplicates + 1 WHERE {OF_STREAM}", entry.stream
                )
            elif isinstance(outcome, Stored):
                self._insert(entry, body, to_ms(now), hand, replayed)
        return outcome

    def _insert(self, entry: Entry, body: str, moment: int, hand: bool, replayed: int) -> None:
        self.connection.execute(
            "INSERT INTO stream (device, log_id, audience, stored, highest) VALUES (?, ?, ?, 1, ?)"
            " ON CONFLICT DO UPDATE SET stored = stored + 1, highest = max(highest, excluded.highest)",
            (*entry.stream, entry.seq),
        )
        self.connection.execute(
            "INSERT INTO envelope"
            " (device, log_id, audience, seq, sha256, prev, jti, received_at, handed_at, body, replayed)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                *entry.stream,
                entry.seq,
                entry.sha256,
                entry.prev,
                entry.jti,
                moment,
                None if hand else moment,
                body,
                replayed,
            ),
        )

    def place_gap(self, opened: OpenedGap, body: str, *, now: datetime) -> Outcome:
        """Keep a verified gap record, to be handed on; what it names is no hole any more, after `settle`."""
        payload = opened.payload
        key = (payload.iss, payload.log_id, payload.audience)
        with translated():
            known, count = self.connection.execute(
                "SELECT EXISTS (SELECT 1 FROM gap WHERE sha256 = ?),"
                " (SELECT count(*) FROM gap WHERE device = ?)",
                (opened.sha256, payload.iss),
            ).fetchone()
            if known:
                return Duplicate()
            if count >= MAX_GAPS:
                return RefusedAs("gap.too_many")
            # Numbers below an open end exist, too; those from it on exist only if somebody else has them.
            below = payload.first - 1 if payload.last is None else payload.last
            stream_holes.extend(self.connection, key, below)
            self.connection.execute(
                "INSERT INTO gap (device, log_id, audience, first, last, sha256, received_at, body)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (*key, payload.first, payload.last, opened.sha256, to_ms(now), body),
            )
        return Stored()

    def settle(self, streams: set[StreamKey]) -> None:
        """Move the marks of streams that something was placed in. Belongs inside `batch`."""
        with translated():
            for key in sorted(streams):
                stream_holes.advance(self.connection, key)

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
            rows = self.connection.execute("SELECT count(*) FROM alarm WHERE device = ?", (device,))
            if rows.fetchone()[0] >= bound and not self._alarm_known(key):
                key = (code, "", device, "", "", 0)
            moment = to_ms(now)
            count = self.connection.execute(
                "INSERT INTO alarm VALUES (?, ?, ?, ?, ?, ?, ?, ?, 1, ?, ?)"
                " ON CONFLICT DO UPDATE SET count = count + 1, last_at = excluded.last_at RETURNING count",
                (*key, opened.sha256 if opened else sha256, evidence, moment, moment),
            ).fetchone()[0]
        return Alarm(code, printable(topic), *names, count=count)

    def _alarm_known(self, key: tuple[str | int, ...]) -> bool:
        return (
            self.connection.execute(
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
                for row in self.connection.execute("SELECT * FROM alarm ORDER BY first_at, code")
            ]

    def holes(self, limit: int = 1000) -> list[Hole]:
        """What is missing, for people; at most `limit` runs."""
        return [
            Hole(run.device, run.log_id, run.audience, run.first, run.last)
            for run in self.missing(limit)
            if not run.lost
        ]

    def missing(self, limit: int, after: Missing | None = None) -> list[Missing]:
        """What is missing below the highest number each stream is known to have; at most `limit` runs, in order.

        `after`: only what stands behind this run.
        """
        with translated():
            return stream_holes.missing(self.connection, limit, after)

    def total_missing(self) -> stream_holes.Total:
        """How much is missing, as far as gap records above a hole don't explain it."""
        with translated():
            return stream_holes.total(self.connection)

    def note(self, name: str) -> str | None:
        """What was noted under `name`."""
        with translated():
            row = self.connection.execute("SELECT value FROM note WHERE name = ?", (name,)).fetchone()
        return None if row is None else str(row[0])

    def take_note(self, name: str, value: str) -> None:
        """Note `value` under `name`. Belongs inside `batch`."""
        with translated():
            self.connection.execute("INSERT OR REPLACE INTO note VALUES (?, ?)", (name, value))

    def drop_note(self, name: str) -> None:
        """Forget what was noted under `name`. Belongs inside `batch`."""
        with translated():
            self.connection.execute("DELETE FROM note WHERE name = ?", (name,))

    def ledger(self) -> ReceiverLedger:
        """Everything that is kept, by stream."""
        return _ledger(self.connection)


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
