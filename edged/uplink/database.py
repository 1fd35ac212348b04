"""SQLite the way edged uses it: durable at commit, errors as `StateError`, one thread per database."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from edged.errors import StateError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

BUSY_TIMEOUT_S = 5.0
"""How long a statement waits for a reader of another process; ledger readers take milliseconds."""

WAL_LIMIT_BYTES = 4 << 20
"""The write-ahead log is cut back to this after a checkpoint, so that one burst doesn't keep the disk."""

StreamKey = tuple[str, str, str]
"""How every party's ledger names a stream: (device, log_id, audience)."""

_PRIMARY = 0xFF  # SQLite's extended result codes carry the primary code in the low byte

_CODES = {
    sqlite3.SQLITE_FULL: "state.disk_full",
    sqlite3.SQLITE_IOERR: "state.disk_error",
    sqlite3.SQLITE_CORRUPT: "state.corrupt",
    sqlite3.SQLITE_NOTADB: "state.corrupt",
    sqlite3.SQLITE_BUSY: "state.locked",
    sqlite3.SQLITE_LOCKED: "state.locked",
    sqlite3.SQLITE_READONLY: "state.unusable",
    sqlite3.SQLITE_CANTOPEN: "state.unusable",
    sqlite3.SQLITE_PERM: "state.unusable",
}


@contextlib.contextmanager
def translated() -> Iterator[None]:
    """Turn what the disk did to SQLite into `StateError`; a broken rule of a table is our bug."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        primary = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & _PRIMARY
        if primary not in _CODES:
            raise
        # From SQLite's error to its name alone: the text may quote a statement.
        raise StateError(_CODES[primary], getattr(error, "sqlite_errorname", "")) from error


def connect(path: Path, schema: str) -> sqlite3.Connection:
    """Open (or create) a database: WAL, `synchronous=FULL`, deleted content overwritten, foreign keys kept.

    `schema` is run at every start, so it says `IF NOT EXISTS`. The connection commits only through
    `transaction`. Raises `StateError`.
    """
    with translated():
        connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, isolation_level=None)
        try:
            connection.row_factory = sqlite3.Row
            # FULL syncs the log at every commit: a process kill forgives NORMAL, a power cut doesn't.
            mode = connection.execute("PRAGMA journal_mode=WAL").fetchone()[0]
            if mode != "wal":
                raise StateError("state.unusable", f"journal mode {mode}")
            connection.execute("PRAGMA synchronous=FULL")
            connection.execute("PRAGMA secure_delete=ON")
            connection.execute("PRAGMA foreign_keys=ON")
            connection.execute(f"PRAGMA journal_size_limit={WAL_LIMIT_BYTES}")
            with transaction(connection):
                for statement in schema.split(";"):
                    connection.execute(statement)
        except BaseException:
            connection.close()
            raise
    return connection


def connect_reader(path: Path) -> sqlite3.Connection:
    """Open another process's database for reading only. Raises `StateError`."""
    with translated():
        connection = sqlite3.connect(
            f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=BUSY_TIMEOUT_S, isolation_level=None
        )
        connection.row_factory = sqlite3.Row
        return connection


@contextlib.contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """All of the block, on the disk when it is left, or none of it. Raises `StateError`."""
    with translated():
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:  # SQLite rolls back by itself when the disk is full
                connection.execute("ROLLBACK")
            raise


def fold(connection: sqlite3.Connection) -> None:
    """Fold the write-ahead log into the database and cut it to nothing, so that what was deleted is gone from both.

    Doesn't wait for a reader of another process: then the next call does it. Raises `StateError`.
    """
    with translated():
        connection.execute("PRAGMA busy_timeout=0")
        try:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        finally:
            connection.execute(f"PRAGMA busy_timeout={round(BUSY_TIMEOUT_S * 1000)}")


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def to_ms(moment: datetime) -> int:
    """Milliseconds since 1970 of a timezone-aware moment: how the tables keep time."""
    return (moment - _EPOCH) // timedelta(milliseconds=1)


def from_ms(value: int) -> datetime:
    """The inverse of `to_ms`, in UTC."""
    return _EPOCH + timedelta(milliseconds=value)


class Closable(Protocol):
    """What a database thread can own."""

    def close(self) -> None:
        """Release everything."""


D = TypeVar("D", bound=Closable)
T = TypeVar("T")


class DatabaseThread(Generic[D]):
    """A database and the one thread that ever touches it, so that the disk never blocks the event loop.

    Work is done in the order in which it was asked for. Cancelling a waiter doesn't undo the work: a commit
    that was begun is finished.
    """

    def __init__(self, database: D, executor: ThreadPoolExecutor) -> None:
        self._database = database
        self._executor = executor

    @classmethod
    async def open(cls, name: str, opener: Callable[[], D]) -> DatabaseThread[D]:
        """Run `opener` in a new thread called `name`. Raises what `opener` raises."""
        executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)
        try:
            database = await asyncio.get_running_loop().run_in_executor(executor, opener)
        except BaseException:
            executor.shutdown(wait=False)
            raise
        return cls(database, executor)

    async def run(self, work: Callable[[D], T]) -> T:
        """`work(database)` in the thread; returns and raises what it does."""
        return await asyncio.get_running_loop().run_in_executor(self._executor, work, self._database)

    async def close(self) -> None:
        """Finish what was asked for, close the database, end the thread."""
        try:
            await self.run(lambda database: database.close())
        finally:
            self._executor.shutdown(wait=False)
