"""What a power cut interrupts: databases of the product at work, through the product's own API."""

from __future__ import annotations

import hashlib
import sqlite3
import tempfile
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from edged.central.archive import open_archive
from edged.demo.fleet import DemoFleet
from edged.partner.store import Inbox
from edged.uplink import topics
from edged.uplink.envelope import Envelope, EnvelopeDraft, StreamPosition
from edged.uplink.intake import Incoming, check
from edged.uplink.names import Role, Usage
from edged.uplink.outbox_recovery import open_state
from edged.uplink.outbox_types import Bounds, DueGap, Finality
from edged.uplink.receipts import Receipt, ReceiptRange, Refusal, range_sha256
from edged.uplink.roles import TrustAnchor
from edged.uplink.sign import Signer
from tests.broker import FLEET, NOW, Sealer, draft, stream
from tests.outbox import waiting

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Iterator

    from edged.uplink.gaps import Gap

Picture = dict[str, list[list[Any]]]
"""Every row of every table."""

DEVICE = "box-1"
PADDING = "x" * 900
"""Makes an envelope as long as a real one."""


class RepairedError(Exception):
    """The product took a database for broken that only lost its power."""


class Workload(Protocol):
    """Steps of a database. What a step did is promised when it returns: it survives everything from then on, and
    each step happens wholly or not at all."""

    FILE: str

    def open(self, directory: Path) -> None:
        """As the product opens it at a start. Raises `StateError`, `RepairedError`."""

    def connection(self) -> sqlite3.Connection: ...

    def steps(self, chance: random.Random) -> Iterator[Callable[[], object]]: ...

    def facts(self) -> set[str]:
        """What nothing that may happen to this database later makes untrue."""

    def close(self) -> None: ...


def picture(connection: sqlite3.Connection) -> Picture:
    """What the database holds, as SQLite itself sees it. Raises `sqlite3.DatabaseError` when it is broken."""
    found = [tuple(row) for row in connection.execute("PRAGMA integrity_check")]
    if found != [("ok",)]:
        raise sqlite3.DatabaseError(f"integrity_check: {found[:3]}")
    tables = connection.execute(
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_stat%' ORDER BY name"
    ).fetchall()
    return {
        name: sorted((list(row) for row in connection.execute(f'SELECT * FROM "{name}"')), key=repr)
        for (name,) in tables
    }


class Outbox:
    """A box: inspections for one to three audiences, publications, refusals, receipts, dead letters, gap records.

    Its bounds are narrow, so that envelopes are pushed out all the time.
    """

    FILE = "state.sqlite"
    AUDIENCES = ("bank", "hotel", "police")
    BOUNDS = Bounds(max_bytes=24_000, max_age=timedelta(hours=1), ledger=timedelta(days=90))

    def open(self, directory: Path) -> None:
        self.state, recovered = open_state(
            directory / self.FILE,
            device=DEVICE,
            now=NOW,
            audiences=self.AUDIENCES,
            bounds=self.BOUNDS,
            finality=Finality(final_tries=1, collector_tries=1),
        )
        self.time = self.state.last_commit() or NOW
        if recovered is not None:
            self.close()
            raise RepairedError(recovered.aside)

    def connection(self) -> sqlite3.Connection:
        return self.state._connection

    def close(self) -> None:
        self.state.close()

    def facts(self) -> set[str]:
        found = set()
        for (_, log_id, audience), sent in self.state.ledger().items():
            for one in sent:
                found.add(f"{log_id}/{audience}/{one.seq}/{one.sha256}")
                if one.receipted:
                    found.add(f"{log_id}/{audience}/{one.seq}/receipted")
        return found

    def steps(self, chance: random.Random) -> Iterator[Callable[[], object]]:
        steps = {  # each is one transaction
            self.commit: 8,
            self.publish: 4,
            self.receipt: 3,
            self.refusal: 1,
            self.seal_gaps: 1,
            self.publish_gaps: 1,
            self.receipt_gap: 1,
            self.tidy: 1,
            self.retry: 1,
        }
        while True:
            self.time += timedelta(seconds=chance.choice((1, 20, 300)))
            step = chance.choices(list(steps), list(steps.values()))[0]
            yield lambda step=step: step(chance)

    def commit(self, chance: random.Random) -> None:
        drafts = [draft(audience) for audience in chance.sample(self.AUDIENCES, chance.randint(1, 3))]
        with self.state.transaction():  # as a group commit does
            for number in range(chance.choice((1, 1, 1, 4))):
                self.state.commit_inspection(f"i{self.time.timestamp()}-{number}", drafts, _seal, self.time)

    def publish(self, chance: random.Random) -> None:
        due = [one.id for one in waiting(self.state, 20, self.time)]
        taken, full, never = due[::2], due[1::4], due[3::4]
        codes = dict.fromkeys(full, "mqtt.quota_exceeded") | dict.fromkeys(never, "mqtt.packet_too_large")
        self.state.mark(taken, codes, self.time)

    def receipt(self, chance: random.Random) -> None:
        ranges = []
        for (_, _, audience), sent in self.state.ledger().items():
            first = chance.randrange(len(sent))
            run = sent[first : first + chance.randint(1, 9)]
            hashes = range_sha256(one.sha256 for one in run)
            ranges.append(ReceiptRange(self.state.log_id, audience, run[0].seq, run[-1].seq, hashes))
        if ranges:
            self._apply(ranges=tuple(ranges))

    def refusal(self, chance: random.Random) -> None:
        due = waiting(self.state, 20, self.time)
        if due:
            self._apply(refused=(Refusal(chance.choice(due).sha256, "stream.chain_broken"),))

    def seal_gaps(self, chance: random.Random) -> None:
        self.state.seal_gaps(_seal_gap)

    def publish_gaps(self, chance: random.Random) -> None:
        self.state.mark_gaps([one.id for one in self._gaps()], {}, self.time)

    def receipt_gap(self, chance: random.Random) -> None:
        if gaps := self._gaps():
            self._apply(gaps=(chance.choice(gaps).sha256,))

    def _gaps(self) -> list[DueGap]:
        return self.state.look(self.time, since=self.state.last_id(), live=0, backlog=0).gaps

    def tidy(self, chance: random.Random) -> None:
        self.state.tidy(self.time, clock_trusted=True)

    def retry(self, chance: random.Random) -> None:
        self.state.retry_dead(None, self.time)

    def _apply(self, **what: Any) -> None:
        content: dict[str, Any] = {"ranges": (), "gaps": (), "refused": ()} | what
        iat = int(self.time.timestamp())
        outcome = self.state.apply_receipt(Receipt("centre", FLEET, DEVICE, iat, **content), self.time)
        assert not outcome.refused


class OutboxInHalves(Outbox):
    """What a test of the test must find: the envelopes of one inspection, each in a transaction of its own."""

    def steps(self, chance: random.Random) -> Iterator[Callable[[], object]]:
        while True:
            self.time += timedelta(seconds=1)
            yield self.halves

    def halves(self) -> None:
        for audience in self.AUDIENCES:
            self.state.commit_inspection(f"i{self.time.timestamp()}", [draft(audience)], _seal, self.time)


def _seal(draft: EnvelopeDraft, position: StreamPosition) -> Envelope:
    """Without cryptography: the outbox doesn't look, and an emulated machine signs slowly."""
    jws = f"e30.{draft.audience}-{position.seq}-{position.prev}-{PADDING}.sig"
    return Envelope(draft.audience, position.seq, jws, hashlib.sha256(jws.encode()).hexdigest())


def _seal_gap(gap: Gap) -> str:
    return f"e30.{gap.audience}-{gap.first}-{gap.last}-{gap.reason}.sig"


@cache
def _messages() -> tuple[TrustAnchor, list[Incoming]]:
    """Two devices' streams, sealed once."""
    directory = Path(tempfile.mkdtemp())
    fleet = DemoFleet(directory, fleet=FLEET, now=NOW)
    made = []
    for name in (DEVICE, "box-2"):
        files = fleet.issue(Role.DEVICE, name, Usage.SIGNING)
        sealer = Sealer(Signer.from_files(files.key, files.certificate), f"log-{name}")
        made += [
            Incoming(topics.verdict(FLEET, name, "bank"), one.jws.encode())
            for one in stream(sealer, "bank", 40)
        ]
    return TrustAnchor.from_file(fleet.ca), made


class Archive:
    """The collector's SQLite archive: batches that overlap and repeat."""

    FILE = "archive.sqlite"

    def open(self, directory: Path) -> None:
        self.anchor, self.messages = _messages()
        self.archive = open_archive(str(directory / self.FILE), self.anchor)

    def connection(self) -> sqlite3.Connection:
        return self.archive._connection  # type: ignore[attr-defined]

    def close(self) -> None:
        self.archive.close()

    def facts(self) -> set[str]:
        streams = self.archive.ledger().streams
        return {"/".join((*key, digest)) for key, kept in streams.items() for digest in kept.hashes.values()}

    def steps(self, chance: random.Random) -> Iterator[Callable[[], object]]:
        while True:
            yield lambda: self.store(chance)

    def store(self, chance: random.Random) -> None:
        batch = [chance.choice(self.messages) for _ in range(chance.randint(1, 6))]
        assert not self.archive.store(check(batch, anchor=self.anchor, now=NOW), NOW).alarms


class PartnerInbox:
    """A partner's inbox: batches come, and verdicts are handed on."""

    FILE = "verdicts.sqlite"

    def open(self, directory: Path) -> None:
        anchor, self.messages = _messages()
        self.inbox = Inbox.open(directory / self.FILE, anchor, "bank", tests=True)

    def connection(self) -> sqlite3.Connection:
        return self.inbox._store.connection

    def close(self) -> None:
        self.inbox.close()

    def facts(self) -> set[str]:
        streams = self.inbox.ledger().streams
        return {"/".join((*key, digest)) for key, kept in streams.items() for digest in kept.hashes.values()}

    def steps(self, chance: random.Random) -> Iterator[Callable[[], object]]:
        while True:
            yield chance.choices((lambda: self.take(chance), self.hand_on), (2, 1))[0]

    def take(self, chance: random.Random) -> None:
        batch = [chance.choice(self.messages) for _ in range(chance.randint(1, 6))]
        assert not self.inbox.take(batch, NOW).alarms

    def hand_on(self) -> None:
        self.inbox.mark_handed(self.inbox.waiting(5), NOW)


WORKLOADS: dict[str, Callable[[], Workload]] = {
    "outbox": Outbox,
    "outbox-in-halves": OutboxInHalves,
    "archive": Archive,
    "inbox": PartnerInbox,
}
