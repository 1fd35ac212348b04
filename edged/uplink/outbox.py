"""The outbox: every envelope the box ever committed, and which of them somebody else has safely stored.

One SQLite file. An envelope is committed (durably, all audiences of an inspection in one transaction) before
anything shows its result; a PUBACK only marks it published; a collector's signed receipt, whose hash agrees
with ours, is the only thing that lets its body be forgotten. What stays after that (stream, number, hash,
times) is the ledger. Synchronous and of one thread: see `edged.uplink.database.DatabaseThread`.
"""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

import msgspec

from edged import RELEASED
from edged.errors import StateError
from edged.uplink import database
from edged.uplink.database import StreamKey, from_ms, to_ms, transaction, translated
from edged.uplink.envelope import Envelope, EnvelopeDraft, StreamPosition
from edged.uplink.receipts import Receipt, ReceiptRange, range_sha256

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

MAX_RANGE: Final = 10_000
"""Envelopes in one range of a receipt: ours cover a batch; a longer one would hold up a live commit."""

SETTLING: Final = timedelta(seconds=5)
"""A time service may step a good clock back by this much; as far below the floor it isn't taken for lost."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS stream (
    audience TEXT PRIMARY KEY, next_seq INTEGER NOT NULL, prev TEXT
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS envelope (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    inspection TEXT NOT NULL,
    audience TEXT NOT NULL REFERENCES stream (audience),
    seq INTEGER NOT NULL,
    sha256 TEXT NOT NULL,
    jws TEXT,
    committed_at INTEGER NOT NULL,
    published_at INTEGER,
    attempts INTEGER NOT NULL DEFAULT 0,
    next_try INTEGER NOT NULL,
    refused_reason TEXT,
    receipted_at INTEGER,
    UNIQUE (audience, seq),
    CHECK ((jws IS NULL) = (receipted_at IS NOT NULL))
) STRICT;
CREATE INDEX IF NOT EXISTS pending ON envelope (next_try, id, refused_reason, published_at)
    WHERE receipted_at IS NULL;
CREATE INDEX IF NOT EXISTS untried ON envelope (id) WHERE receipted_at IS NULL AND attempts = 0
"""

UNTRIED_SHARE: Final = 4
"""One in so many of a batch is for the newest envelopes that were never tried: whoever stands at the counter now
doesn't wait for a week's backlog, and the backlog drains nearly as fast."""


class RetryPolicy(msgspec.Struct, frozen=True):
    """How long an envelope waits before it is published again, in seconds; every wait doubles the last."""

    receipt_s: float = 30.0
    """After a PUBACK, for the collector's receipt."""
    refused_s: float = 60.0
    """After the broker said no: it will most likely say no again until somebody changes its settings."""
    bound_s: float = 3600.0
    """The longest wait of all."""

    def wait(self, first_s: float, attempts: int) -> timedelta:
        """The wait after `attempts` publications (the first is 1)."""
        doubled = first_s * 2.0 ** min(
            attempts - 1, 30
        )  # 30 doublings exceed any bound; more overflow a float
        return timedelta(seconds=min(doubled, self.bound_s))


DEFAULT_RETRY: Final = RetryPolicy()


class Due(msgspec.Struct, frozen=True):
    """An envelope whose time to be published has come."""

    id: int
    inspection: str
    audience: str
    seq: int
    sha256: str
    jws: str
    committed_at: datetime
    attempts: int


class Counts(msgspec.Struct, frozen=True):
    """How many envelopes stand where. `pending` is committed but not receipted; `refused` is a part of it."""

    committed: int
    published: int
    receipted: int
    pending: int
    refused: int
    last_refusal: str | None
    """Reason code of a refused envelope that is still pending."""


class ReceiptOutcome(msgspec.Struct, frozen=True):
    """What a verified receipt did: envelopes it let us forget, and why ranges of it were refused."""

    receipted: tuple[int, ...]
    """Ids newly receipted."""
    refused: tuple[str, ...]
    """Reason codes, one for each range that doesn't agree with our ledger."""


class SentEnvelope(msgspec.Struct, frozen=True):
    """One envelope in the ledger."""

    seq: int
    sha256: str
    published: bool
    receipted: bool


class StateDatabase:
    """The box's durable state. All methods block on the disk; all raise `StateError` when it fails them.

    Attributes:
        device: whose envelopes these are.
        log_id: drawn at random when the database was made, so a rebuilt box never reuses a number.
    """

    def __init__(self, connection: sqlite3.Connection, device: str, log_id: str, retry: RetryPolicy) -> None:
        self.device = device
        self.log_id = log_id
        self._connection = connection
        self._retry = retry

    @classmethod
    def open(
        cls, path: Path, *, device: str, now: datetime, retry: RetryPolicy = DEFAULT_RETRY
    ) -> StateDatabase:
        """Open or create the database of `device`.

        Raises `StateError`: `state.other_device` when the file belongs to another one, `state.corrupt`,
        `state.disk_full`, `state.locked`, `state.unusable`.
        """
        connection = database.connect(path, _SCHEMA)
        try:
            with transaction(connection):
                meta = _meta(connection)
                if not meta:
                    meta = {"device": device, "log_id": secrets.token_hex(8), "created_at": str(to_ms(now))}
                    connection.executemany("INSERT INTO meta VALUES (?, ?)", meta.items())
            if meta.get("device") != device or "log_id" not in meta:
                raise StateError("state.other_device", str(path))
        except BaseException:
            connection.close()
            raise
        return cls(connection, device, meta["log_id"], retry)

    def close(self) -> None:
        """Close the file; the write-ahead log is folded in."""
        with translated():
            self._connection.close()

    def commit_inspection(
        self,
        inspection: str,
        drafts: Sequence[EnvelopeDraft],
        seal: Callable[[EnvelopeDraft, StreamPosition], Envelope],
        now: datetime,
        *,
        clock_trusted: bool = True,
    ) -> tuple[Envelope, ...]:
        """Give every draft its place, seal it and store it: all of them, on the disk at return, or none.

        `seal` is called inside the transaction and signs; whatever it raises undoes everything. Only a trusted
        clock may raise `last_commit`: one bogus future date would make every honest clock look set back.
        """
        assert drafts, "a verdict without a recipient would be lost"
        moment = to_ms(now)
        with transaction(self._connection):
            envelopes = tuple(self._append(inspection, draft, seal, moment) for draft in drafts)
            if clock_trusted:
                self._raise_meta("last_commit", moment)
        return envelopes

    def _append(
        self,
        inspection: str,
        draft: EnvelopeDraft,
        seal: Callable[[EnvelopeDraft, StreamPosition], Envelope],
        moment: int,
    ) -> Envelope:
        row = self._connection.execute(
            "SELECT next_seq, prev FROM stream WHERE audience = ?", (draft.audience,)
        ).fetchone()
        position = StreamPosition(row["next_seq"], row["prev"]) if row else StreamPosition(1, None)
        envelope = seal(draft, position)
        assert (envelope.audience, envelope.seq) == (draft.audience, position.seq)
        assert envelope.sha256 == hashlib.sha256(envelope.jws.encode()).hexdigest()
        self._connection.execute(
            "INSERT INTO stream VALUES (?, ?, ?) ON CONFLICT (audience) DO UPDATE"
            " SET next_seq = excluded.next_seq, prev = excluded.prev",
            (draft.audience, position.seq + 1, envelope.sha256),
        )
        self._connection.execute(
            "INSERT INTO envelope (inspection, audience, seq, sha256, jws, committed_at, next_try)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            (inspection, draft.audience, position.seq, envelope.sha256, envelope.jws, moment, moment),
        )
        return envelope

    def due(self, limit: int, now: datetime) -> list[Due]:
        """At most `limit` envelopes whose time has come, oldest first.

        When more are due than that, `1 / UNTRIED_SHARE` of them (at least one) are the newest that were never
        tried, however many older ones wait.

        A time further ahead than any wait of ours was noted before the clock was set back: it has come, too.
        """
        moment = to_ms(now)
        horizon = moment + int(self._retry.bound_s * 1000)
        columns = "SELECT * FROM envelope WHERE receipted_at IS NULL AND"
        with translated():
            # Due by definition, whatever the clock says; without the index this would read the whole ledger.
            newest = self._connection.execute(
                "SELECT * FROM envelope INDEXED BY untried WHERE receipted_at IS NULL AND attempts = 0"
                " ORDER BY id DESC LIMIT ?",
                (max(limit // UNTRIED_SHARE, 1),),
            ).fetchall()
            rows = self._connection.execute(
                f"{columns} next_try <= ? ORDER BY next_try, id LIMIT ?", (moment, limit)
            ).fetchall()
            if len(rows) < limit:
                rows += self._connection.execute(
                    f"{columns} next_try > ? ORDER BY next_try, id LIMIT ?", (horizon, limit - len(rows))
                ).fetchall()
        found = {row["id"] for row in newest}
        oldest = [row for row in rows if row["id"] not in found][: limit - len(newest)]
        return [
            Due(
                row["id"],
                row["inspection"],
                row["audience"],
                row["seq"],
                row["sha256"],
                row["jws"],
                from_ms(row["committed_at"]),
                row["attempts"],
            )
            for row in sorted([*oldest, *newest], key=lambda row: (row["next_try"], row["id"]))
        ]

    def next_due(self, now: datetime) -> float | None:
        """Seconds until something is due (0 or less when it is), or None when nothing is pending."""
        with translated():
            row = self._connection.execute(
                "SELECT min(next_try) FROM envelope WHERE receipted_at IS NULL"
            ).fetchone()
        return None if row[0] is None else min((row[0] - to_ms(now)) / 1000, self._retry.bound_s)

    def mark(self, published: Iterable[int], refused: Mapping[int, str], now: datetime) -> None:
        """Note, in one transaction, what the broker took (ids) and what it refused (id to reason code).

        Neither forgets anything; both say when to try again.
        """
        with transaction(self._connection):
            for identifier in published:
                self._tried(identifier, self._retry.receipt_s, now, None)
            for identifier, reason in refused.items():
                self._tried(identifier, self._retry.refused_s, now, reason)

    def _tried(self, identifier: int, first_s: float, now: datetime, reason: str | None) -> None:
        row = self._connection.execute(
            "SELECT attempts FROM envelope WHERE id = ? AND receipted_at IS NULL", (identifier,)
        ).fetchone()
        if row is None:  # its receipt was faster than the broker's acknowledgement
            return
        attempts = row["attempts"] + 1
        next_try = to_ms(now + self._retry.wait(first_s, attempts))
        self._connection.execute(
            "UPDATE envelope SET attempts = ?, next_try = ?, refused_reason = ?,"
            " published_at = CASE WHEN ? IS NULL THEN coalesce(published_at, ?) ELSE published_at END"
            " WHERE id = ?",
            (attempts, next_try, reason, reason, to_ms(now), identifier),
        )

    def apply_receipt(self, receipt: Receipt, now: datetime) -> ReceiptOutcome:
        """Forget the bodies of what a verified receipt proves to be stored.

        A range whose hash isn't that of the envelopes we committed is refused whole and forgets nothing:
        `receipt.other_log`, `receipt.too_long`, `receipt.unknown_envelope` or `receipt.hash_mismatch`.

        A receipt also tells the time, for `last_receipt`: see `_learn`.
        """
        receipted: list[int] = []
        refused: list[str] = []
        with transaction(self._connection):
            for claimed in receipt.ranges:
                reason = self._apply_range(claimed, to_ms(now), receipted)
                if reason is not None:
                    refused.append(reason)
            if len(refused) < len(receipt.ranges):
                self._learn(receipt.iat * 1000, now)
        if receipted:
            database.fold(self._connection)
        return ReceiptOutcome(tuple(receipted), tuple(refused))

    def _learn(self, iat: int, now: datetime) -> None:
        """Raise `last_receipt` to a receipt's time (in milliseconds), without letting its signer set our clock.

        A clock that is not below its floor may be right, and then no receipt is from later than now: one that
        says so was signed by a wrong clock, and a floor that high would make ours look wrong for good. A clock
        below its floor (1970 after a power cut) is certainly wrong: it learns whatever the receipt says, which
        `open_receipt` has bounded by the validity of the signer's certificate.
        """
        floors = (RELEASED, self.last_commit(), self.last_receipt())
        floor = max(moment for moment in floors if moment is not None)
        lost = now < floor - SETTLING
        self._raise_meta("last_receipt", iat if lost else min(iat, to_ms(now)))

    def _apply_range(self, claimed: ReceiptRange, moment: int, receipted: list[int]) -> str | None:
        if claimed.log_id != self.log_id:
            return "receipt.other_log"
        length = claimed.last - claimed.first + 1
        if length > MAX_RANGE:
            return "receipt.too_long"
        rows = self._connection.execute(
            "SELECT id, sha256, receipted_at FROM envelope"
            " WHERE audience = ? AND seq BETWEEN ? AND ? ORDER BY seq",
            (claimed.audience, claimed.first, claimed.last),
        ).fetchall()
        if len(rows) != length:
            return "receipt.unknown_envelope"
        if range_sha256(row["sha256"] for row in rows) != claimed.sha256:
            return "receipt.hash_mismatch"
        for row in rows:
            if row["receipted_at"] is None:
                # A receipt also proves the publication whose acknowledgement a crash swallowed.
                self._connection.execute(
                    "UPDATE envelope SET jws = NULL, receipted_at = ?, refused_reason = NULL,"
                    " published_at = coalesce(published_at, ?) WHERE id = ?",
                    (moment, moment, row["id"]),
                )
                receipted.append(row["id"])
        return None

    def counts(self) -> Counts:
        """The state of the outbox in numbers; cheap enough for every status message."""
        with translated():
            committed = self._connection.execute(
                "SELECT coalesce(sum(next_seq - 1), 0) FROM stream"
            ).fetchone()[0]
            row = self._connection.execute(
                "SELECT count(*) AS pending, count(published_at) AS published,"
                " count(refused_reason) AS refused, max(refused_reason) AS reason"
                " FROM envelope WHERE receipted_at IS NULL"
            ).fetchone()
        receipted = committed - row["pending"]
        return Counts(
            committed, receipted + row["published"], receipted, row["pending"], row["refused"], row["reason"]
        )

    def ledger(self) -> dict[StreamKey, tuple[SentEnvelope, ...]]:
        """Every envelope ever committed, by stream, in order of `seq`."""
        return _ledger(self._connection, self.device, self.log_id)

    def last_commit(self) -> datetime | None:
        """The latest time at which anything was committed: part of the clock's floor."""
        return self._moment("last_commit")

    def last_receipt(self) -> datetime | None:
        """The latest time that an accepted receipt was signed at, by the collector's clock; see `_learn`."""
        return self._moment("last_receipt")

    def _moment(self, key: str) -> datetime | None:
        with translated():
            value = _meta(self._connection).get(key)
        return None if value is None else from_ms(int(value))

    def _raise_meta(self, key: str, moment: int) -> None:
        """Keep the latest time: a clock that jumped back doesn't lower the floor."""
        self._connection.execute(
            "INSERT INTO meta VALUES (?, ?) ON CONFLICT (key) DO UPDATE"
            " SET value = max(CAST(value AS INTEGER), CAST(excluded.value AS INTEGER))",
            (key, str(moment)),
        )


def ledger(path: Path) -> dict[StreamKey, tuple[SentEnvelope, ...]]:
    """`StateDatabase.ledger` of another process's database, read only. Raises `StateError`."""
    connection = database.connect_reader(path)
    try:
        with translated():
            meta = _meta(connection)
            return _ledger(connection, meta["device"], meta["log_id"])
    finally:
        connection.close()


def _meta(connection: sqlite3.Connection) -> dict[str, str]:
    return {row["key"]: row["value"] for row in connection.execute("SELECT key, value FROM meta")}


def _ledger(
    connection: sqlite3.Connection, device: str, log_id: str
) -> dict[StreamKey, tuple[SentEnvelope, ...]]:
    streams: dict[StreamKey, list[SentEnvelope]] = {}
    with translated():
        for row in connection.execute(
            "SELECT audience, seq, sha256, published_at IS NOT NULL AS published,"
            " receipted_at IS NOT NULL AS receipted FROM envelope ORDER BY audience, seq"
        ):
            streams.setdefault((device, log_id, row["audience"]), []).append(
                SentEnvelope(row["seq"], row["sha256"], bool(row["published"]), bool(row["receipted"]))
            )
    return {key: tuple(sent) for key, sent in streams.items()}
