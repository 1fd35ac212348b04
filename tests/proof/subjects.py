"""What a power cut is tried on: a workload that makes promises, and the check that they were kept.

`python -m tests.proof.subjects DIRECTORY MARKS SUBJECT SEED FLEET` runs a workload; each line it writes to MARKS is a
promise: something the rest of the system relies on from that moment.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import random
import sqlite3
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from edged.central.archive import Archive, open_archive
from edged.demo.fleet import DemoFleet, KeyFiles
from edged.partner.store import Inbox
from edged.uplink import topics
from edged.uplink.intake import Incoming, check
from edged.uplink.names import Role, Usage
from edged.uplink.outbox import RetryPolicy, StateDatabase
from edged.uplink.receipts import Receipt, ReceiptRange, range_sha256
from edged.uplink.roles import TrustAnchor
from edged.uplink.sign import Signer
from tests.broker import FLEET, Sealer, draft

if TYPE_CHECKING:
    from collections.abc import Callable

BEGIN = datetime(2026, 11, 26, 12, tzinfo=UTC)
DEVICE = "box-1"
AUDIENCES = ("bank", "hotel")
RETRY = RetryPolicy(receipt_s=1.0, refused_s=1.0, bound_s=10.0)

Promise = "Callable[..., None]"


class Subject(Protocol):
    """Something durable."""

    def work(self, directory: Path, promise: Callable[..., None], chance: random.Random) -> None:
        """Use it, promising."""

    def check(self, directory: Path, promises: list[dict[str, Any]]) -> None:
        """Open what a power cut left, as the product would, and see that every promise is kept."""


def make_fleet(directory: Path) -> None:
    """Keys for workload and check, made once: both only read them."""
    fleet = DemoFleet(directory, fleet=FLEET, now=BEGIN - timedelta(days=1))
    for name in (DEVICE, "box-2"):
        fleet.issue(Role.DEVICE, name, Usage.SIGNING)


class Keys:
    """What `make_fleet` made."""

    def __init__(self, directory: Path) -> None:
        self.anchor = TrustAnchor.from_file(directory / "fleet-ca.pem")
        self._directory = directory

    def sealer(self, name: str, log_id: str, now: datetime) -> Sealer:
        files = KeyFiles(*(self._directory / f"{name}-{Usage.SIGNING}.{end}" for end in ("key", "pem")))
        return Sealer(Signer.from_files(files.key, files.certificate), log_id, now)


class Outbox:
    """The box's state database: commits, marks, receipts, a restart."""

    def __init__(self, keys: Keys, steps: int = 30) -> None:
        self._keys = keys
        self._steps = steps

    def _open(self, directory: Path, now: datetime) -> StateDatabase:
        return StateDatabase.open(directory / "state.sqlite", device=DEVICE, now=now, retry=RETRY)

    def work(self, directory: Path, promise: Callable[..., None], chance: random.Random) -> None:
        now = BEGIN
        database = self._open(directory, now)
        promise(log_id=database.log_id)
        sealer = self._keys.sealer(DEVICE, database.log_id, now)
        hashes: dict[str, dict[int, str]] = {name: {} for name in AUDIENCES}
        for step in range(self._steps):
            now += timedelta(seconds=chance.choice((0, 1, 20)))
            what = chance.choices(("commit", "mark", "receipt", "restart"), (6, 2, 2, 0.3))[0]
            if what == "commit":
                drafts = [draft(name) for name in AUDIENCES]
                envelopes = database.commit_inspection(f"i-{step}", drafts, sealer, now)
                promise(committed=[[one.audience, one.seq, one.sha256] for one in envelopes])
                for one in envelopes:
                    hashes[one.audience][one.seq] = one.sha256
            elif what == "mark":
                due = database.due(6, now)
                refused = {one.id: "mqtt.quota_exceeded" for one in due if chance.random() < 0.3}
                database.mark([one.id for one in due if one.id not in refused], refused, now)
            elif what == "receipt":
                run = _run(hashes, chance)
                if run is not None:
                    claimed = _range(database.log_id, hashes, *run)
                    promise(receipting=list(run))
                    outcome = database.apply_receipt(_receipt(claimed, now), now)
                    assert not outcome.refused
                    promise(receipted=list(run))
            else:
                database.close()
                database = self._open(directory, now)
        database.close()

    def check(self, directory: Path, promises: list[dict[str, Any]]) -> None:
        now = BEGIN + timedelta(days=1)
        database = self._open(directory, now)
        try:
            _sound(directory / "state.sqlite")
            self._check(database, promises, now)
        finally:
            database.close()

    def _check(self, database: StateDatabase, promises: list[dict[str, Any]], now: datetime) -> None:
        ledger = {key[2]: sent for key, sent in database.ledger().items()}
        if log_ids := [one["log_id"] for one in promises if "log_id" in one]:
            assert database.log_id == log_ids[0], "another log: the old one was given up"
        promised = {(a, s): h for one in promises for a, s, h in one.get("committed", ())}
        stored = {(name, one.seq): one for name, sent in ledger.items() for one in sent}
        for place, sha256 in promised.items():
            assert place in stored, f"{place} was promised and is lost"
            assert stored[place].sha256 == sha256, f"{place} changed"
        numbers = [[one.seq for one in ledger.get(name, ())] for name in AUDIENCES]
        assert numbers[0] == numbers[1] == list(range(1, len(numbers[0]) + 1)), "half an inspection, or a hole"
        assert len(stored) <= len(promised) + len(AUDIENCES), "more than one commit was under way"
        begun = _places(promises, "receipting")
        for place in _places(promises, "receipted"):
            assert stored[place].receipted, f"{place}: the receipt was taken and is forgotten"
        bodies = {
            (one.audience, one.seq): one.jws for one in database.due(10 * len(stored) + 10, now)
        }
        for place, one in stored.items():
            if one.receipted:
                assert place in begun, f"{place} is receipted, and nobody did that"
            else:
                assert place in bodies, f"{place} will never be sent"
                assert hashlib.sha256(bodies[place].encode()).hexdigest() == one.sha256
        counts = database.counts()
        assert (counts.committed, counts.pending) == (len(stored), len(bodies))
        sealer = self._keys.sealer(DEVICE, database.log_id, now)
        (envelope, _) = database.commit_inspection("next", [draft(name) for name in AUDIENCES], sealer, now)
        assert envelope.seq == len(numbers[0]) + 1, "a number is used again or left out"


class _Received:
    """What archive and inbox have in common: batches come, overlap, repeat."""

    def __init__(self, keys: Keys, batches: int = 12) -> None:
        self._keys = keys
        self._batches = batches

    def _batch(self, made: dict[str, list[Incoming]], chance: random.Random) -> list[Incoming]:
        every = [message for messages in made.values() for message in messages]
        return [every[chance.randrange(len(every))] for _ in range(chance.randint(1, 9))]

    def _messages(self) -> dict[str, list[Incoming]]:
        made = {}
        for name in (DEVICE, "box-2"):
            sealer = self._keys.sealer(name, f"log-{name}", BEGIN)
            from tests.broker import stream

            made[name] = [
                Incoming(topics.verdict(FLEET, name, "bank"), one.jws.encode())
                for one in stream(sealer, "bank", 20)
            ]
        return made

    def _kept(self, hashes: set[str], promises: list[dict[str, Any]]) -> None:
        promised = {one for promise in promises for one in promise.get("stored", ())}
        begun = {one for promise in promises for one in promise.get("storing", ())}
        assert promised <= hashes, f"{len(promised - hashes)} were promised and are lost"
        assert hashes <= begun, "something is there that nobody sent"


class CentralArchive(_Received):
    """The collector's SQLite archive: what it has signed for, it has."""

    def _open(self, directory: Path) -> Archive:
        return open_archive(str(directory / "archive.sqlite"), self._keys.anchor)

    def work(self, directory: Path, promise: Callable[..., None], chance: random.Random) -> None:
        messages = self._messages()
        archive = self._open(directory)
        for number in range(self._batches):
            batch = self._batch(messages, chance)
            names = sorted({hashlib.sha256(one.payload).hexdigest() for one in batch})
            promise(storing=names)
            now = BEGIN + timedelta(seconds=number)
            archived = archive.store(check(batch, anchor=self._keys.anchor, now=now), now)
            assert not archived.alarms
            promise(stored=names)
        archive.close()

    def check(self, directory: Path, promises: list[dict[str, Any]]) -> None:
        archive = self._open(directory)
        try:
            _sound(directory / "archive.sqlite")
            ledger = archive.ledger()
            self._kept({h for kept in ledger.streams.values() for h in kept.hashes.values()}, promises)
            assert not ledger.alarms
        finally:
            archive.close()


class PartnerInbox(_Received):
    """A partner's inbox: what was acknowledged is there, and is handed on, at the latest after the restart."""

    def work(self, directory: Path, promise: Callable[..., None], chance: random.Random) -> None:
        messages = self._messages()
        inbox = Inbox.open(directory / "verdicts.sqlite", self._keys.anchor, "bank", tests=True)
        for number in range(self._batches):
            now = BEGIN + timedelta(seconds=number)
            batch = self._batch(messages, chance)
            names = sorted({hashlib.sha256(one.payload).hexdigest() for one in batch})
            promise(storing=names)
            assert not inbox.take(batch, now).alarms
            promise(stored=names)
            if chance.random() < 0.7:
                ready = inbox.waiting(5)
                promise(handed=[json.loads(one.body)["sha256"] for one in ready])
                inbox.mark_handed(ready, now)
        inbox.close()

    def check(self, directory: Path, promises: list[dict[str, Any]]) -> None:
        inbox = Inbox.open(directory / "verdicts.sqlite", self._keys.anchor, "bank", tests=True)
        try:
            _sound(directory / "verdicts.sqlite")
            hashes = {h for kept in inbox.ledger().streams.values() for h in kept.hashes.values()}
            self._kept(hashes, promises)
            handed = {one for promise in promises for one in promise.get("handed", ())}
            left = {json.loads(one.body)["sha256"] for one in inbox.waiting(1000)}
            assert handed | left >= hashes, "something will never be handed on"
        finally:
            inbox.close()


SUBJECTS: dict[str, type[Outbox] | type[CentralArchive] | type[PartnerInbox]] = {
    "outbox": Outbox,
    "archive": CentralArchive,
    "inbox": PartnerInbox,
}


def _sound(path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone()[0] == "ok"


def _run(hashes: dict[str, dict[int, str]], chance: random.Random) -> tuple[str, int, int] | None:
    audience = chance.choice(AUDIENCES)
    if not hashes[audience]:
        return None
    first = chance.randint(1, len(hashes[audience]))
    return audience, first, chance.randint(first, len(hashes[audience]))


def _range(log_id: str, hashes: dict[str, dict[int, str]], audience: str, first: int, last: int) -> ReceiptRange:
    digest = range_sha256(hashes[audience][number] for number in range(first, last + 1))
    return ReceiptRange(log_id, audience, first, last, digest)


def _receipt(claimed: ReceiptRange, now: datetime) -> Receipt:
    return Receipt("centre", FLEET, DEVICE, int(now.timestamp()), (claimed,), (), ())


def _places(promises: list[dict[str, Any]], kind: str) -> set[tuple[str, int]]:
    runs = [promise[kind] for promise in promises if kind in promise]
    return {(audience, number) for audience, first, last in runs for number in range(first, last + 1)}


def main() -> None:
    directory, marks, subject, seed, keys = sys.argv[1:]
    descriptor = os.open(marks, os.O_WRONLY | os.O_APPEND)

    def promise(**what: Any) -> None:
        os.write(descriptor, json.dumps(what).encode() + b"\n")

    SUBJECTS[subject](Keys(Path(keys))).work(Path(directory), promise, random.Random(int(seed)))


if __name__ == "__main__":
    main()
