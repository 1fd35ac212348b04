"""Streams as their receivers keep them: every envelope once, in its place; what doesn't fit is an alarm.

Archive and partners share these rules. A stream is (device, log_id, audience); an envelope that came before
is a duplicate and harmless; the same place with other contents, the same `jti` in two places, or a `prev`
that isn't the hash of the envelope before it, is refused: the device (or who holds its key) tells two stories.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from edged.uplink import database
from edged.uplink.database import StreamKey, to_ms, transaction, translated
from edged.uplink.placing import Duplicate, Entry, Outcome, RefusedAs, Stored, Surroundings

if TYPE_CHECKING:
    import sqlite3
    from datetime import datetime
    from pathlib import Path

    from edged.uplink.envelope import OpenedEnvelope

MAX_ALARMS: Final = 10_000
"""Rows of alarms. A stranger can make up topics without end; beyond this they are counted by code alone.
What devices have signed doesn't count here: see `MAX_PROVEN`."""

MAX_PROVEN: Final = 1_000
"""Rows of alarms that one device has signed for: each is proof, and a handful convicts. A bound of its own, so
that no stranger's junk and no other device crowds the proof out."""

MAX_TOPIC_KEPT: Final = 200
"""Characters of a strange topic that are kept: enough to find who writes there."""

__all__ = ["Duplicate", "Outcome", "RefusedAs", "Stored"]

SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS stream (
    device TEXT NOT NULL, log_id TEXT NOT NULL, audience TEXT NOT NULL,
    stored INTEGER NOT NULL DEFAULT 0, highest INTEGER NOT NULL DEFAULT 0,
    duplicates INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (device, log_id, audience)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS envelope (
    id INTEGER PRIMARY KEY,
    device TEXT NOT NULL, log_id TEXT NOT NULL, audience TEXT NOT NULL, seq INTEGER NOT NULL,
    sha256 TEXT NOT NULL, prev TEXT, jti TEXT NOT NULL, received_at INTEGER NOT NULL,
    handed_at INTEGER, body TEXT NOT NULL,
    UNIQUE (device, log_id, audience, seq),
    UNIQUE (device, log_id, audience, jti),
    FOREIGN KEY (device, log_id, audience) REFERENCES stream
) STRICT;
CREATE INDEX IF NOT EXISTS to_hand ON envelope (id) WHERE handed_at IS NULL;
CREATE TABLE IF NOT EXISTS alarm (
    code TEXT NOT NULL, topic TEXT NOT NULL, device TEXT NOT NULL, log_id TEXT NOT NULL,
    audience TEXT NOT NULL, seq INTEGER NOT NULL,
    sha256 TEXT, evidence TEXT, count INTEGER NOT NULL, first_at INTEGER NOT NULL, last_at INTEGER NOT NULL,
    PRIMARY KEY (code, topic, device, log_id, audience, seq)
) STRICT, WITHOUT ROWID
"""


class Hole(msgspec.Struct, frozen=True):
    """Numbers missing from a stream, `first` to `last`; later ones are there."""

    device: str
    log_id: str
    audience: str
    first: int
    last: int


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

    `place` and `raise_alarm` belong inside `with store.batch():`, which commits all or nothing.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    @classmethod
    def open(cls, path: Path) -> StreamStore:
        """Open or create the database."""
        return cls(database.connect(path, SCHEMA))

    def close(self) -> None:
        """Close the file."""
        with translated():
            self._connection.close()

    def batch(self) -> Any:
        """A context manager: everything in it is on the disk when it is left, or nothing is."""
        return transaction(self._connection)

    def place(self, opened: OpenedEnvelope, body: str, *, now: datetime, hand: bool = False) -> Outcome:
        """Give a verified envelope its place. With `hand`, `to_hand` will offer it."""
        payload = opened.payload
        key = (payload.iss, payload.log_id, payload.audience)
        with translated():
            outcome = self._outcome(opened)
            if isinstance(outcome, Duplicate):
                self._connection.execute(
                    "UPDATE stream SET duplicates = duplicates + 1"
                    " WHERE device = ? AND log_id = ? AND audience = ?",
                    key,
                )
                return outcome
            if isinstance(outcome, RefusedAs):
                return outcome
            self._connection.execute(
                "INSERT INTO stream VALUES (?, ?, ?, 1, ?, 0) ON CONFLICT DO UPDATE"
                " SET stored = stored + 1, highest = max(highest, excluded.highest)",
                (*key, payload.seq),
            )
            moment = to_ms(now)
            self._connection.execute(
                "INSERT INTO envelope"
                " (device, log_id, audience, seq, sha256, prev, jti, received_at, handed_at, body)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    *key,
                    payload.seq,
                    opened.sha256,
                    payload.prev,
                    payload.jti,
                    moment,
                    None if hand else moment,
                    body,
                ),
            )
        return outcome

    def _outcome(self, opened: OpenedEnvelope) -> Outcome:
        entry = Entry.of(opened)
        around = Surroundings()
        for row in self._connection.execute(
            "SELECT seq, sha256, prev FROM envelope"
            " WHERE device = ? AND log_id = ? AND audience = ? AND seq BETWEEN ? AND ?",
            (*entry.stream, entry.seq - 1, entry.seq + 1),
        ):
            around.hold(entry.stream, row["seq"], row["sha256"], row["prev"])
        for _ in self._connection.execute(
            "SELECT 1 FROM envelope WHERE device = ? AND log_id = ? AND audience = ? AND jti = ?",
            (*entry.stream, entry.jti),
        ):
            around.hold_jti(entry.stream, entry.jti)
        return around.place(entry)

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
        """What is missing below the highest number of each stream; at most `limit` runs."""
        with translated():
            return [
                Hole(row["device"], row["log_id"], row["audience"], row["before"] + 1, row["seq"] - 1)
                for row in self._connection.execute(
                    "SELECT * FROM (SELECT e.device, e.log_id, e.audience, e.seq, lag(e.seq, 1, 0) OVER"
                    " (PARTITION BY e.device, e.log_id, e.audience ORDER BY e.seq) AS before"
                    " FROM envelope e JOIN stream USING (device, log_id, audience)"
                    " WHERE stream.stored < stream.highest) WHERE seq > before + 1 LIMIT ?",
                    (limit,),
                )
            ]

    def ledger(self) -> ReceiverLedger:
        """Everything that is kept, by stream."""
        return _ledger(self._connection)

    def to_hand(self, limit: int) -> list[tuple[int, str]]:
        """(id, body) of envelopes that were placed with `hand` and not handed on yet, in order of arrival."""
        with translated():
            return [
                (row["id"], row["body"])
                for row in self._connection.execute(
                    "SELECT id, body FROM envelope WHERE handed_at IS NULL ORDER BY id LIMIT ?", (limit,)
                )
            ]

    def mark_handed(self, ids: list[int], now: datetime) -> None:
        """Note that these were handed on."""
        with self.batch():
            self._connection.executemany(
                "UPDATE envelope SET handed_at = ? WHERE id = ?",
                [(to_ms(now), identifier) for identifier in ids],
            )


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
