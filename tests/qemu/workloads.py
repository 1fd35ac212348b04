"""What a power cut interrupts: databases of the product at work, through the product's own API."""

from __future__ import annotations

import hashlib
import sqlite3
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Protocol

from edged.uplink.envelope import Envelope, EnvelopeDraft, StreamPosition
from edged.uplink.outbox import RetryPolicy, StateDatabase
from edged.uplink.receipts import Receipt, ReceiptRange, range_sha256
from tests.broker import FLEET, NOW, draft

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Iterator
    from pathlib import Path

Picture = dict[str, list[list[Any]]]
"""Every row of every table."""

PADDING = "x" * 900
"""Makes an envelope as long as a real one."""


class Workload(Protocol):
    """Steps of a database. What a step did is promised when it returns: it survives everything from then on, and
    each step happens wholly or not at all."""

    FILE: str

    def open(self, directory: Path) -> None: ...

    def connection(self) -> sqlite3.Connection: ...

    def steps(self, chance: random.Random) -> Iterator[Callable[[], object]]: ...

    def close(self) -> None: ...


def picture(connection: sqlite3.Connection) -> Picture:
    """What the database holds, as SQLite itself sees it."""
    tables = connection.execute(
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_stat%' ORDER BY name"
    ).fetchall()
    found: Picture = {}
    for (name,) in tables:
        rows = (list(row) for row in connection.execute(f'SELECT * FROM "{name}"'))
        found[name] = sorted(rows, key=repr)
    return found


def left_behind(path: Path) -> Picture:
    """What a file holds after a cut, before the product opens it. Raises `sqlite3.DatabaseError` when it's broken."""
    connection = sqlite3.connect(path)
    try:
        found = connection.execute("PRAGMA integrity_check").fetchall()
        if found != [("ok",)]:
            raise sqlite3.DatabaseError(f"integrity_check: {found[:3]}")
        return picture(connection)
    finally:
        connection.close()


class Outbox:
    """A box: inspections for one to three audiences, publications, refusals, receipts right and wrong."""

    FILE = "state.sqlite"
    AUDIENCES = ("bank", "hotel", "police")

    def open(self, directory: Path) -> None:
        self.state = StateDatabase.open(directory / self.FILE, device="box-1", now=NOW, retry=RetryPolicy())
        self.time = NOW
        self.sent: dict[str, list[Envelope]] = {}

    def connection(self) -> sqlite3.Connection:
        return self.state._connection

    def close(self) -> None:
        self.state.close()

    def steps(self, chance: random.Random) -> Iterator[Callable[[], object]]:
        while True:
            self.time += timedelta(seconds=chance.choice((1, 20, 300)))
            yield chance.choices((lambda: self.commit(chance), self.publish, lambda: self.receipt(chance)), (5, 2, 2))[0]

    def commit(self, chance: random.Random) -> None:
        audiences = chance.sample(self.AUDIENCES, chance.randint(1, 3))
        done = self.state.commit_inspection(
            f"i{self.time.timestamp()}", [draft(audience) for audience in audiences], _seal, self.time
        )
        for envelope in done:
            self.sent.setdefault(envelope.audience, []).append(envelope)

    def publish(self) -> None:
        due = [one.id for one in self.state.due(20, self.time)]
        self.state.mark(due[::2], dict.fromkeys(due[1::2], "mqtt.quota_exceeded"), self.time)

    def receipt(self, chance: random.Random) -> None:
        ranges = []
        for audience, sent in self.sent.items():
            first = chance.randint(1, len(sent))
            last = chance.randint(first, len(sent))
            hashes = [envelope.sha256 for envelope in sent[first - 1 : last]]
            ranges.append(ReceiptRange(self.state.log_id, audience, first, last, range_sha256(hashes)))
        if ranges:
            iat = int(self.time.timestamp())
            self.state.apply_receipt(Receipt("centre", FLEET, "box-1", iat, tuple(ranges), (), ()), self.time)


def _seal(draft: EnvelopeDraft, position: StreamPosition) -> Envelope:
    """Without cryptography: the outbox doesn't look, and an emulated machine signs slowly."""
    jws = f"e30.{draft.audience}-{position.seq}-{position.prev}-{PADDING}.sig"
    return Envelope(draft.audience, position.seq, jws, hashlib.sha256(jws.encode()).hexdigest())


WORKLOADS: dict[str, Callable[[], Workload]] = {"outbox": Outbox}
