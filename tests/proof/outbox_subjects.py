"""The box's state database under power cuts: its daily life, its repair, its coming up to date."""

from __future__ import annotations

import contextlib
import hashlib
import random
import shutil
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from edged.demo.fleet import DemoFleet, KeyFiles
from edged.uplink import outbox_aside
from edged.uplink.database import to_ms
from edged.uplink.envelope import Envelope
from edged.uplink.gaps import Gap, seal_gap
from edged.uplink.names import Role, Usage
from edged.uplink.outbox import Bounds, Finality, RetryPolicy, StateDatabase
from edged.uplink.outbox_recovery import open_state
from edged.uplink.receipts import Receipt, ReceiptRange, Refusal, range_sha256
from edged.uplink.roles import TrustAnchor
from edged.uplink.sign import Signer
from tests.broker import FLEET, Sealer, draft
from tests.outbox import FIRST_SCHEMA, waiting

BEGIN = datetime(2026, 11, 26, 12, tzinfo=UTC)
DEVICE = "box-1"
AUDIENCES = ("bank", "hotel")
RETRY = RetryPolicy(receipt_s=1.0, refused_s=1.0, bound_s=10.0)
FINALITY = Finality(final_tries=1, collector_tries=1)

Promise = Callable[..., None]
Promises = list[dict[str, Any]]


def make_fleet(directory: Path) -> None:
    """Keys for workload and check, made once: both only read them."""
    fleet = DemoFleet(directory, fleet=FLEET, now=BEGIN - timedelta(days=1))
    for name in (DEVICE, "box-2"):
        fleet.issue(Role.DEVICE, name, Usage.SIGNING)


class Keys:
    """What `make_fleet` made."""

    def __init__(self, directory: Path) -> None:
        self.anchor = TrustAnchor.from_file(directory / "fleet-ca.pem")
        self.directory = directory

    def signer(self, name: str) -> Signer:
        files = KeyFiles(*(self.directory / f"{name}-{Usage.SIGNING}.{end}" for end in ("key", "pem")))
        return Signer.from_files(files.key, files.certificate)

    def sealer(self, name: str, log_id: str, now: datetime) -> Sealer:
        return Sealer(self.signer(name), log_id, now)


def sound(path: Path) -> None:
    """SQLite finds nothing wrong with it."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone()[0] == "ok"


@dataclass
class Made:
    """What a workload knows of its streams."""

    log_id: str
    hashes: dict[str, dict[int, str]] = field(default_factory=lambda: {name: {} for name in AUDIENCES})

    def add(self, envelopes: tuple[Envelope, ...]) -> list[list[Any]]:
        for one in envelopes:
            self.hashes[one.audience][one.seq] = one.sha256
        return [[self.log_id, one.audience, one.seq, one.sha256] for one in envelopes]

    def receipt(self, audience: str, first: int, last: int, now: datetime, **more: Any) -> Receipt:
        digest = range_sha256(self.hashes[audience][number] for number in range(first, last + 1))
        return receipt(now, (ReceiptRange(self.log_id, audience, first, last, digest),), **more)


def receipt(now: datetime, ranges: tuple[ReceiptRange, ...] = (), **more: Any) -> Receipt:
    gaps, refused = more.get("gaps", ()), more.get("refused", ())
    return Receipt("centre", FLEET, DEVICE, int(now.timestamp()), ranges, tuple(gaps), tuple(refused))


class Outbox:
    """Commits, marks, receipts, refusals, bounds that push out, dead letters, gap records, restarts."""

    def __init__(self, keys: Keys, *, max_bytes: int = 30_000, steps: int = 34) -> None:
        self._keys = keys
        self._steps = steps
        self._settings: dict[str, Any] = {
            "retry": RETRY,
            "bounds": Bounds(max_bytes=max_bytes),
            "finality": FINALITY,
        }

    def prepare(self, home: Path) -> Promises:
        """Nothing is there before."""
        return []

    def open(self, home: Path, now: datetime) -> StateDatabase:
        """As the daemon does."""
        path = home / "state.sqlite"
        state, recovered = open_state(path, device=DEVICE, now=now, audiences=AUDIENCES, **self._settings)
        assert recovered is None, "a power cut was taken for a broken disk"
        return state

    def work(self, home: Path, promise: Promise, chance: random.Random) -> None:
        now = BEGIN
        database = self.open(home, now)
        promise(log_id=database.log_id)
        made = Made(database.log_id)
        kinds, weights = ("commit", "mark", "receipt", "gaps", "restart"), (6, 2, 2, 2, 0.4)
        for step in range(self._steps):
            now += timedelta(seconds=chance.choice((0, 1, 20)))
            match chance.choices(kinds, weights)[0]:
                case "commit":
                    drafts = [draft(name) for name in AUDIENCES]
                    sealer = self._keys.sealer(DEVICE, database.log_id, now)
                    envelopes = database.commit_inspection(f"i-{step}", drafts, sealer, now)
                    promise(committed=made.add(envelopes))
                case "mark":
                    due = waiting(database, 6, now)
                    codes = ("mqtt.quota_exceeded", "mqtt.packet_too_large")
                    refused = {one.id: chance.choice(codes) for one in due if chance.random() < 0.3}
                    database.mark([one.id for one in due if one.id not in refused], refused, now)
                case "receipt":
                    self._receipt(database, made, promise, chance, now)
                case "gaps":
                    self._gaps(database, promise, chance, now)
                case _:
                    database.tidy(now, clock_trusted=True)
                    database.close()
                    database = self.open(home, now)
        database.close()

    def _receipt(
        self, database: StateDatabase, made: Made, promise: Promise, chance: random.Random, now: datetime
    ) -> None:
        audience = chance.choice(AUDIENCES)
        if not (hashes := made.hashes[audience]):
            return
        first = chance.randint(1, len(hashes))
        last = chance.randint(first, min(first + 3, len(hashes)))
        due = waiting(database, 1, now)
        refused = [Refusal(one.sha256, "stream.chain_broken") for one in due if chance.random() < 0.3]
        run = [made.log_id, audience, first, last]
        promise(receipting=run)
        outcome = database.apply_receipt(made.receipt(audience, first, last, now, refused=refused), now)
        assert not outcome.refused
        promise(receipted=run)

    def _gaps(self, database: StateDatabase, promise: Promise, chance: random.Random, now: datetime) -> None:
        signer = self._keys.signer(DEVICE)

        def sign(gap: Gap) -> str:
            jti = f"{gap.log_id}-{gap.audience}-{gap.first}-{chance.getrandbits(60)}"
            return seal_gap(gap, jti=jti, iat=int(now.timestamp()), clock="trusted", signer=signer)

        database.seal_gaps(sign)
        gaps = database.look(now, since=0, live=0, backlog=0).gaps
        if not gaps:
            return
        promise(gaps_sent=[one.sha256 for one in gaps])
        if chance.random() < 0.5:
            database.mark_gaps([one.id for one in gaps], {}, now)
        else:
            promise(gaps_receipting=[one.sha256 for one in gaps])
            database.apply_receipt(receipt(now, gaps=[one.sha256 for one in gaps]), now)

    def check(self, home: Path, promises: Promises) -> None:
        now = BEGIN + timedelta(days=1)
        database = self.open(home, now)
        try:
            sound(home / "state.sqlite")
            if log_ids := [one["log_id"] for one in promises if "log_id" in one]:
                assert database.log_id == log_ids[0], "another log: the old one was given up"
            rows = accounted(home / "state.sqlite", promises)
            assert len(rows) <= len(committed(promises)) + len(AUDIENCES), (
                "more than one commit was under way"
            )
            numbers = [sorted(seq for _, name, seq in rows if name == audience) for audience in AUDIENCES]
            assert numbers[0] == numbers[1] == list(range(1, len(numbers[0]) + 1)), "half an inspection"
            self._goes_on(database, len(numbers[0]), now)
        finally:
            database.close()

    def _goes_on(self, database: StateDatabase, last: int, now: datetime) -> None:
        drafts = [draft(name) for name in AUDIENCES]
        sealer = self._keys.sealer(DEVICE, database.log_id, now)
        (envelope, _) = database.commit_inspection("next", drafts, sealer, now)
        assert envelope.seq == last + 1, "a number is used again or left out"


class Repair(Outbox):
    """A broken database is set aside, salvaged and replaced; the power goes meanwhile."""

    noted = False

    def prepare(self, home: Path) -> Promises:
        """A database with some of its pages overwritten, and what an undisturbed repair makes of it."""
        promises: Promises = []
        path = home / "state.sqlite"
        database = StateDatabase.open(path, device=DEVICE, now=BEGIN, retry=RETRY)
        made = Made(database.log_id)
        sealer = self._keys.sealer(DEVICE, database.log_id, BEGIN)
        for number in range(8):
            drafts = [draft(name) for name in AUDIENCES]
            promises.append(
                {"committed": made.add(database.commit_inspection(f"i-{number}", drafts, sealer, BEGIN))}
            )
            if number == 5:
                database._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # the rest stays in the log
        left = {name: (home / name).read_bytes() for name in ("state.sqlite", "state.sqlite-wal")}
        database.close()
        for name, data in left.items():
            (home / name).write_bytes(data)  # as a power cut leaves it: file and log
        content = bytearray(left[path.name])
        chance = random.Random(len(content))
        for _ in range(3):
            page = chance.randrange(1, len(content) // 4096)
            content[page * 4096 : page * 4096 + 600] = chance.randbytes(600)
        path.write_bytes(content)
        if self.noted:
            outbox_aside.note_corrupt(path)
        copy = home.with_name("undisturbed")
        shutil.copytree(home, copy)
        state, recovered = open_state(copy / path.name, device=DEVICE, now=BEGIN, audiences=AUDIENCES)
        assert recovered is not None
        state.close()
        kept = sorted(accounted(copy / path.name, promises))
        shutil.rmtree(copy)
        return [*promises, {"salvaged": [list(place) for place in kept]}]

    def open(self, home: Path, now: datetime) -> StateDatabase:
        path = home / "state.sqlite"
        return open_state(path, device=DEVICE, now=now, audiences=AUDIENCES, **self._settings)[0]

    def work(self, home: Path, promise: Promise, chance: random.Random) -> None:
        database = self.open(home, BEGIN)
        promise(log_id=database.log_id)
        made = Made(database.log_id)
        sealer = self._keys.sealer(DEVICE, database.log_id, BEGIN)
        for number in range(2):
            drafts = [draft(name) for name in AUDIENCES]
            envelopes = database.commit_inspection(f"new-{number}", drafts, sealer, BEGIN)
            promise(committed=made.add(envelopes))
        database.close()

    def check(self, home: Path, promises: Promises) -> None:
        database = self.open(home, BEGIN)
        try:
            sound(home / "state.sqlite")
            log_ids = [one["log_id"] for one in promises if "log_id" in one]
            if log_ids:
                assert database.log_id == log_ids[0], "another log: the repaired one was given up"
            rows = accounted(home / "state.sqlite", promises)
            salvaged = {tuple(place) for one in promises for place in one.get("salvaged", ())}
            assert salvaged <= rows.keys(), "less was salvaged than can be read"
        finally:
            database.close()


class NotedRepair(Repair):
    """The same, found broken by the daemon while it ran: nobody opens it before the repair, its log is as it was."""

    noted = True


class Migration(Outbox):
    """The first release's database is brought up to date; the power goes meanwhile."""

    def prepare(self, home: Path) -> Promises:
        path = home / "state.sqlite"
        connection = sqlite3.connect(path, isolation_level=None)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.executescript(FIRST_SCHEMA)
        meta = {"device": DEVICE, "log_id": "f1r57", "created_at": str(to_ms(BEGIN))}
        connection.executemany("INSERT INTO meta VALUES (?, ?)", meta.items())
        made = Made("f1r57")
        sealer = self._keys.sealer(DEVICE, "f1r57", BEGIN)
        promises: Promises = [{"log_id": "f1r57"}]
        from tests.broker import stream

        for audience in AUDIENCES:
            envelopes = stream(sealer, audience, 6)
            connection.execute(
                "INSERT INTO stream VALUES (?, ?, ?)", (audience, len(envelopes) + 1, envelopes[-1].sha256)
            )
            promises.append({"committed": made.add(tuple(envelopes))})
            for one in envelopes:
                done = to_ms(BEGIN) if one.seq < 3 else None
                connection.execute(
                    "INSERT INTO envelope (inspection, audience, seq, sha256, jws, committed_at, next_try,"
                    " receipted_at, published_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    (
                        f"i-{one.seq}",
                        audience,
                        one.seq,
                        one.sha256,
                        None if done else one.jws,
                        to_ms(BEGIN),
                        to_ms(BEGIN),
                        done,
                        done,
                    ),
                )
            run = ["f1r57", audience, 1, 2]
            promises += [{"receipting": run}, {"receipted": run}]
        connection.close()
        return promises

    def work(self, home: Path, promise: Promise, chance: random.Random) -> None:
        database = self.open(home, BEGIN)
        made = Made(database.log_id)
        sealer = self._keys.sealer(DEVICE, database.log_id, BEGIN)
        envelopes = database.commit_inspection("new", [draft(name) for name in AUDIENCES], sealer, BEGIN)
        promise(committed=made.add(envelopes))
        database.close()


def committed(promises: Promises) -> dict[tuple[str, str, int], str]:
    """(log_id, audience, seq) to hash of all that was said to be committed."""
    return {(log, name, seq): h for one in promises for log, name, seq, h in one.get("committed", ())}


def _places(promises: Promises, kind: str) -> set[tuple[str, str, int]]:
    runs = [promise[kind] for promise in promises if kind in promise]
    return {(log, name, number) for log, name, first, last in runs for number in range(first, last + 1)}


def accounted(path: Path, promises: Promises) -> dict[tuple[str, str, int], str]:
    """Assert that what was promised is there or accounted for; every envelope's row: place to state.

    Pending and dead: with its body. Receipted: somebody did that. Lost, or without a row: a gap record says so.
    """
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.row_factory = sqlite3.Row
        rows = {
            (row["log_id"], row["audience"], row["seq"]): row
            for row in connection.execute("SELECT * FROM envelope")
        }
        gaps = list(connection.execute("SELECT * FROM gap"))
    begun = _places(promises, "receipting")
    for place, row in rows.items():
        if row["state"] in ("pending", "dead"):
            assert hashlib.sha256(row["jws"].encode()).hexdigest() == row["sha256"], f"{place}: another body"
        if row["state"] == "receipted":
            assert place in begun, f"{place} is receipted, and nobody did that"
        if row["state"] in ("lost", "dead"):
            assert _covered(place, gaps), f"{place} is {row['state']} without a word"
    for place, sha256 in committed(promises).items():
        if place in rows:
            assert rows[place]["sha256"] == sha256, f"{place} changed"
        else:
            assert _covered(place, gaps), f"{place} was promised and is lost without a word"
    for place in _places(promises, "receipted"):
        assert rows[place]["state"] == "receipted", f"{place}: the receipt was taken and is forgotten"
    for sha256 in {one for promise in promises for one in promise.get("gaps_sent", ())}:
        assert sha256 in {row["sha256"] for row in gaps}, "a gap record that was sent is forgotten"
    return {place: row["state"] for place, row in rows.items()}


def _covered(place: tuple[str, str, int], gaps: list[sqlite3.Row]) -> bool:
    log_id, audience, seq = place
    return any(
        gap["log_id"] in (log_id, "unknown")
        and gap["audience"] == audience
        and gap["first"] <= seq
        and (gap["last"] is None or seq <= gap["last"])
        for gap in gaps
    )
