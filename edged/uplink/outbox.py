"""The outbox: every envelope the box ever committed, and which of them somebody else has safely stored.

One SQLite file. An envelope is committed (durably, all audiences of an inspection in one transaction) before
anything shows its result; a PUBACK only marks it published; a collector's signed receipt, whose hash agrees
with ours, is the only thing that lets its body be forgotten because it is delivered. What stays after that (stream,
number, hash, times) is the ledger. What bounds push out or broker and collector refuse for good is told in a gap
record of the same transaction. Synchronous and of one thread: see `edged.uplink.database.DatabaseThread`.
"""

from __future__ import annotations

import contextlib
import secrets
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from edged.errors import StateError
from edged.uplink import (
    database,
    outbox_aside,
    outbox_bounds,
    outbox_commit,
    outbox_floor,
    outbox_gaps,
    outbox_lanes,
    outbox_receipts,
    outbox_refusals,
    outbox_report,
    outbox_schema,
)
from edged.uplink.database import StreamKey, to_ms, transaction, translated
from edged.uplink.outbox_receipts import MAX_RANGE
from edged.uplink.outbox_report import ledger
from edged.uplink.outbox_types import (
    DEFAULT_BOUNDS,
    DEFAULT_FINALITY,
    DEFAULT_RETRY,
    Bounds,
    Counts,
    DeadLetter,
    Due,
    DueGap,
    Finality,
    Look,
    ReceiptOutcome,
    RetryPolicy,
    SentEnvelope,
    Tidied,
)

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
    from collections.abc import Set as AbstractSet
    from pathlib import Path

    from edged.uplink.envelope import Envelope, EnvelopeDraft, StreamPosition
    from edged.uplink.gaps import Gap
    from edged.uplink.receipts import Receipt

__all__ = [
    "MAX_RANGE",
    "Bounds",
    "Counts",
    "DeadLetter",
    "Due",
    "DueGap",
    "Finality",
    "Look",
    "ReceiptOutcome",
    "RetryPolicy",
    "SentEnvelope",
    "StateDatabase",
    "Tidied",
    "ledger",
]

CHECK_EVERY: Final = timedelta(days=7)

NOTHING: Final[frozenset[int]] = frozenset()


class StateDatabase:
    """The box's durable state. All methods block on the disk; all raise `StateError` when it fails them.

    Methods that write are whole transactions by themselves; within `transaction` (as `DatabaseThread.write` calls them)
    they are parts of that one.

    Attributes:
        device: whose envelopes these are.
        log_id: drawn at random when the database was made, so a rebuilt box never reuses a number.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        device: str,
        log_id: str,
        retry: RetryPolicy = DEFAULT_RETRY,
        bounds: Bounds = DEFAULT_BOUNDS,
        finality: Finality = DEFAULT_FINALITY,
        path: Path | None = None,
    ) -> None:
        self.device = device
        self.log_id = log_id
        self._connection = connection
        self._retry = retry
        self._bounds = bounds
        self._finality = finality
        self._path = path
        self._to_fold = False

    @classmethod
    def open(
        cls,
        path: Path,
        *,
        device: str,
        now: datetime,
        retry: RetryPolicy = DEFAULT_RETRY,
        bounds: Bounds = DEFAULT_BOUNDS,
        finality: Finality = DEFAULT_FINALITY,
    ) -> StateDatabase:
        """Open or create the database of `device`; one of an earlier release is brought up to date.

        Raises `StateError`: `state.other_device` when the file belongs to another one, `state.newer`,
        `state.corrupt`, `state.disk_full`, `state.locked`, `state.unusable`.
        """
        connection = database.connect(path, outbox_schema.set_up)
        try:
            with transaction(connection):
                meta = outbox_report.meta(connection)
                if not meta:
                    meta = {"device": device, "log_id": secrets.token_hex(8), "created_at": str(to_ms(now))}
                    connection.executemany("INSERT INTO meta VALUES (?, ?)", meta.items())
            if meta.get("device") != device or "log_id" not in meta:
                raise StateError("state.other_device", str(path))
        except BaseException:
            connection.close()
            raise
        return cls(connection, device, meta["log_id"], retry, bounds, finality, path)

    def close(self) -> None:
        """Close the file; the write-ahead log is folded in."""
        with translated():
            self._connection.close()

    def note_corrupt(self) -> None:
        """SQLite has found the file broken: `edged.uplink.outbox_recovery.open_state` repairs it at the next start."""
        if self._path is not None:
            with contextlib.suppress(OSError):  # then the next start has to find out by itself
                outbox_aside.note_corrupt(self._path)

    def check_due(self, now: datetime) -> bool:
        """Whether every page should be read again (`edged.uplink.outbox_recovery.check`): a week has passed."""
        last = self._moment("checked_at")
        return last is None or not last <= now < last + CHECK_EVERY

    def note_checked(self, now: datetime) -> None:
        """Every page was just read, and all is well."""
        with self._writing():
            self._connection.execute(
                "INSERT OR REPLACE INTO meta VALUES ('checked_at', ?)", (str(to_ms(now)),)
            )

    # --- transactions ---

    @property
    def in_transaction(self) -> bool:
        """Whether one is open."""
        return self._connection.in_transaction

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """Everything in the block is on the disk when the outermost one is left, or nothing of it is."""
        with transaction(self._connection):
            yield

    def settle(self) -> None:
        """Fold what was forgotten out of the write-ahead log. What can't be done now is done the next time."""
        if not self._to_fold:
            return
        with contextlib.suppress(
            StateError
        ):  # the transaction itself is safe; a bad disk shows at the next one
            self._to_fold = not database.fold(self._connection)

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        with self.transaction():
            yield
        if not self.in_transaction:
            self.settle()

    # --- committing ---

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
        clock may raise `last_commit`: one bogus future date would make every honest clock look set back. What
        exceeds the bounds is pushed out in the same transaction, never anything of this inspection.
        """
        assert drafts, "a verdict without a recipient would be lost"
        moment = to_ms(now)
        with self._writing():
            before = self.last_id()
            envelopes = tuple(
                outbox_commit.append(
                    self._connection,
                    self.log_id,
                    inspection,
                    draft,
                    seal,
                    moment,
                    clock_trusted=clock_trusted,
                )
                for draft in drafts
            )
            if clock_trusted:
                self._raise_meta(outbox_floor.LAST_COMMIT, moment)
            if outbox_bounds.make_room(self._connection, self._bounds, before + 1, now):
                self._to_fold = True
        return envelopes

    # --- publishing ---

    def last_id(self) -> int:
        """The id of the envelope that was committed last, 0 before the first: a watermark for `look`."""
        with translated():
            row = self._connection.execute("SELECT max(id) FROM envelope").fetchone()
        return row[0] or 0

    def look(
        self,
        now: datetime,
        *,
        since: int,
        skip: AbstractSet[int] = NOTHING,
        skip_gaps: AbstractSet[int] = NOTHING,
        live: int,
        backlog: int,
    ) -> Look:
        """What may be published now: at most `live` and `backlog` envelopes, and a few gap records.

        `since` is `last_id` of when the connection was made: what was committed after it and never tried is live.
        `skip` and `skip_gaps` are ids in flight. A time further ahead than any wait of ours was noted before the
        clock was set back: it has come, too. Costs the same however long the backlog is.
        """
        with translated():
            return outbox_lanes.look(
                self._connection,
                self._retry,
                now,
                since=since,
                skip=skip,
                skip_gaps=skip_gaps,
                live=live,
                backlog=backlog,
            )

    def mark(self, published: Iterable[int], refused: Mapping[int, str], now: datetime) -> tuple[int, ...]:
        """Note, in one transaction, what the broker took (ids) and what it refused (id to reason code).

        Neither forgets anything; both say when to try again. Returns the ids of those that are dead letters now.
        """
        with self._writing():
            for identifier in published:
                outbox_refusals.published(self._connection, self._retry, identifier, now)
            return tuple(
                identifier
                for identifier, code in refused.items()
                if outbox_refusals.by_broker(
                    self._connection, self._retry, self._finality, identifier, code, now
                )
            )

    def seal_gaps(self, sign: Callable[[Gap], str]) -> int:
        """Sign gap records that nobody has signed yet (a few at a time): how many; when some, call again.

        `sign` returns the compact JWS (`edged.uplink.gaps.seal_gap`); whatever it raises undoes everything.
        """
        with self._writing():
            return outbox_gaps.seal(self._connection, sign)

    def mark_gaps(self, published: Iterable[int], refused: Mapping[int, str], now: datetime) -> None:
        """As `mark`, for gap records (their own ids). They are never dead: tried until a receipt names them."""
        with self._writing():
            for identifier in published:
                outbox_refusals.gap_tried(self._connection, self._retry, identifier, None, now)
            for identifier, code in refused.items():
                outbox_refusals.gap_tried(self._connection, self._retry, identifier, code, now)

    # --- receipts, refusals, bounds ---

    def apply_receipt(self, receipt: Receipt, now: datetime) -> ReceiptOutcome:
        """Forget the bodies of what a verified receipt proves to be stored, and count what it refuses.

        A range whose hash isn't that of the envelopes we committed is refused whole and forgets nothing:
        `receipt.other_log`, `receipt.too_long`, `receipt.unknown_envelope` or `receipt.hash_mismatch`. Numbers that
        the ledger has pruned, and hashes it doesn't know, are nothing.

        A receipt also tells the time, for `last_receipt`: see `edged.uplink.outbox_floor`.
        """
        with self._writing():
            outcome = outbox_receipts.apply(self._connection, self._retry, self._finality, receipt, now)
            if len(outcome.refused) < len(receipt.ranges) or outcome.gaps or outcome.refusals:
                outbox_floor.learn(self._connection, receipt.iat * 1000, now)
            if outcome.receipted:
                self._to_fold = True
        return outcome

    def configure(self, retry: RetryPolicy, bounds: Bounds) -> None:
        """Another patience and other bounds, from the next operation on."""
        self._retry, self._bounds = retry, bounds

    def tidy(self, now: datetime, *, clock_trusted: bool) -> Tidied:
        """Enforce the bounds and prune the ledger, a bounded part of it at a time; at start and every hour or so.

        By age only while the clock is trusted: a wrong one must not push anything out.
        """
        with self._writing():
            done = outbox_bounds.tidy(self._connection, self._bounds, now, clock_trusted=clock_trusted)
            if done.lost:
                self._to_fold = True
        return done

    def retry_dead(self, ids: Collection[int] | None, now: datetime) -> int:
        """Bring dead letters back to the backlog: how many; ids that aren't dead letters are passed over.

        With None all of them, `outbox_refusals.RETRY_AT_ONCE` at a time: call again until 0.
        """
        with self._writing():
            return outbox_refusals.revive(self._connection, ids, now)

    # --- looking ---

    def dead(self, limit: int = 1000) -> list[DeadLetter]:
        """Dead letters, oldest first."""
        with translated():
            return outbox_refusals.dead(self._connection, limit)

    def places(self, ids: Collection[int]) -> dict[int, tuple[str, str, int]]:
        """(inspection, audience, seq) of a few envelopes, by id."""
        with translated():
            return {
                row["id"]: (row["inspection"], row["audience"], row["seq"])
                for identifier in ids
                for row in self._connection.execute(
                    "SELECT id, inspection, audience, seq FROM envelope WHERE id = ?", (identifier,)
                )
            }

    def counts(self) -> Counts:
        """The state of the outbox in numbers, without counting: cheap however much there is."""
        with translated():
            return outbox_report.counts(self._connection)

    def ledger(self) -> dict[StreamKey, tuple[SentEnvelope, ...]]:
        """Every envelope that the ledger remembers, by stream, in order of `seq`."""
        return outbox_report.ledger_of(self._connection, self.device)

    def last_commit(self) -> datetime | None:
        """The latest time at which anything was committed: part of the clock's floor."""
        return self._moment(outbox_floor.LAST_COMMIT)

    def last_receipt(self) -> datetime | None:
        """The latest time that an accepted receipt was signed at, by the collector's clock: see `outbox_floor`."""
        return self._moment(outbox_floor.LAST_RECEIPT)

    def recovered_at(self) -> datetime | None:
        """When this database replaced a broken one; None when it is the box's first."""
        return self._moment("recovered_at")

    def _moment(self, key: str) -> datetime | None:
        with translated():
            return outbox_floor.moment(self._connection, key)

    def _raise_meta(self, key: str, milliseconds: int) -> None:
        outbox_floor.raise_to(self._connection, key, milliseconds)
