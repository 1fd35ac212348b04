"""SQLite the way edged uses it: durable at commit, errors as `StateError`, one thread per database."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Generic, Protocol, TypeVar, runtime_checkable

from edged.errors import StateError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Future
    from contextlib import AbstractContextManager
    from pathlib import Path

BUSY_TIMEOUT_S = 5.0
"""How long a statement waits for a reader of another process; ledger readers take milliseconds."""

WAL_LIMIT_BYTES = 4 << 20
"""The write-ahead log is cut back to this after a checkpoint, so that one burst doesn't keep the disk."""

MAX_GROUP: Final = 256
"""Writes in one transaction: the first of them waits for all the others' work."""

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
        code = getattr(error, "sqlite_errorcode", None)
        if code is None and isinstance(error, sqlite3.OperationalError):
            # Not SQLite's word but the module's: a text that isn't UTF-8, and we store no such. Its own text quotes it.
            raise StateError("state.corrupt", "a text that can't be read") from None
        primary = (sqlite3.SQLITE_ERROR if code is None else code) & _PRIMARY
        if primary not in _CODES:
            raise
        # From SQLite's error to its name alone: the text may quote a statement.
        raise StateError(_CODES[primary], getattr(error, "sqlite_errorname", "")) from error
    except UnicodeDecodeError:  # SQLite's message quotes what it found in a broken schema
        raise StateError("state.corrupt", "a schema that can't be read") from None


def connect(path: Path, schema: str | Callable[[sqlite3.Connection], None]) -> sqlite3.Connection:
    """Open (or create) a database: WAL, `synchronous=FULL`, deleted content overwritten, foreign keys kept.

    `schema` is run at every start in one transaction, so it says `IF NOT EXISTS`; statements, or a function that
    looks at `PRAGMA user_version` and brings an older database up to date. The connection commits only through
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
                if callable(schema):
                    schema(connection)
                else:
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
    """All of the block, on the disk when it is left, or none of it. Raises `StateError`.

    Within another transaction it is a part of that one: undone alone when it raises, on the disk when the outer one is.
    """
    with translated():
        nested = connection.in_transaction
        connection.execute("SAVEPOINT part" if nested else "BEGIN IMMEDIATE")
        try:
            yield
            connection.execute("RELEASE part" if nested else "COMMIT")
        except BaseException:
            # Unless SQLite has rolled back by itself, and everything: when the disk is full, for one.
            if connection.in_transaction:
                if nested:
                    connection.execute("ROLLBACK TO part")
                connection.execute("RELEASE part" if nested else "ROLLBACK")
            raise


def fold(connection: sqlite3.Connection) -> bool:
    """Fold the write-ahead log into the database and cut it to nothing, so that what was deleted is gone from both.

    Doesn't wait for a reader of another process: False when one was in the way, and it is to be done again. Raises
    `StateError`.
    """
    with translated():
        connection.execute("PRAGMA busy_timeout=0")
        try:
            return not connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
        finally:
            connection.execute(f"PRAGMA busy_timeout={round(BUSY_TIMEOUT_S * 1000)}")


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def to_ms(moment: datetime) -> int:
    """Milliseconds since 1970 of a timezone-aware moment: how the tables keep time."""
    return (moment - _EPOCH) // timedelta(milliseconds=1)


def from_ms(value: int) -> datetime:
    """The inverse of `to_ms`, in UTC. Raises `StateError` (`state.corrupt`) for what no moment was ever stored as."""
    try:
        return _EPOCH + timedelta(milliseconds=value)
    except (OverflowError, TypeError):
        raise StateError("state.corrupt", "a time that never was") from None


class Closable(Protocol):
    """What a database thread can own."""

    def close(self) -> None:
        """Release everything."""


class Grouped(Closable, Protocol):
    """A database whose writes may share a transaction."""

    @property
    def in_transaction(self) -> bool:
        """Whether one is open; SQLite may have ended it by itself."""

    def transaction(self) -> AbstractContextManager[None]:
        """As `transaction` of this module, on the database's own connection."""

    def settle(self) -> None:
        """What is to be done once a transaction is on the disk; called after every group. Raises nothing."""


@runtime_checkable
class Repairable(Protocol):
    """A database that is repaired at its next opening when it was found broken."""

    def note_corrupt(self) -> None:
        """Leave a note for the next opening. Raises nothing."""


D = TypeVar("D", bound=Closable)
G = TypeVar("G", bound=Grouped)
T = TypeVar("T")


class _Write:
    """A queued write and whoever waits for it."""

    def __init__(self, work: Callable[[Any], Any], loop: asyncio.AbstractEventLoop) -> None:
        self.work = work
        self.future: asyncio.Future[Any] = loop.create_future()
        self.answer: Any = None
        self.error: BaseException | None = None

    def tell(self) -> None:
        """In the thread: let the waiter know, if it still waits and its loop still runs."""
        with contextlib.suppress(RuntimeError):
            self.future.get_loop().call_soon_threadsafe(self._resolve)

    def _resolve(self) -> None:
        if self.future.done():
            return
        if self.error is None:
            self.future.set_result(self.answer)
        else:
            self.future.set_exception(self.error)


class DatabaseThread(Generic[D]):
    """A database and the one thread that ever touches it, so that the disk never blocks the event loop.

    Work is done in the order in which it was asked for, but a write may overtake readings when it joins a group.
    Cancelling a waiter doesn't undo the work: a commit that was begun is finished.

    Attributes:
        corrupt: set once SQLite has found the file broken. Whoever sees it ends the process: the next start repairs.
    """

    def __init__(self, database: D, executor: ThreadPoolExecutor) -> None:
        self._database = database
        self._executor = executor
        self._queued: deque[_Write] = deque()
        self.corrupt = asyncio.Event()

    @classmethod
    async def open(cls, name: str, opener: Callable[[], D]) -> DatabaseThread[D]:
        """Run `opener` in a new thread called `name`. Raises what `opener` raises.

        Cancelled, it ends at once; what is opened after that is closed in its thread.
        """
        executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)
        opening = executor.submit(opener)
        try:
            database = await asyncio.wrap_future(opening)
        except BaseException:
            executor.submit(_close_opened, opening)
            executor.shutdown(wait=False)
            raise
        return cls(database, executor)

    async def run(self, work: Callable[[D], T]) -> T:
        """`work(database)` in the thread; returns and raises what it does. For reading."""
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._executor, self._watched, work)
        except StateError as error:
            self._tell(error)
            raise

    def _watched(self, work: Callable[[D], T]) -> T:
        """In the thread."""
        try:
            return work(self._database)
        except StateError as error:
            self._note(error)
            raise

    def _note(self, error: BaseException) -> None:
        """In the thread: what SQLite says is broken is repaired at the next start."""
        database: object = self._database
        if _is_corrupt(error) and isinstance(database, Repairable):
            database.note_corrupt()

    def _tell(self, error: BaseException) -> None:
        if _is_corrupt(error):
            self.corrupt.set()

    async def write(self: DatabaseThread[G], work: Callable[[G], T]) -> T:
        """`work(database)` in the thread and in a transaction, on the disk when this returns.

        Writes that are queued while another transaction runs share the next one and its one sync. Each is undone
        alone when it raises, and only its own caller hears of it; a commit that fails fails them all. Raises what
        `work` raises, and `StateError`.
        """
        loop = asyncio.get_running_loop()
        write = _Write(work, loop)
        self._queued.append(write)
        try:
            self._executor.submit(self._flush)
        except RuntimeError:  # closed
            self._queued.remove(write)
            raise
        try:
            answer: T = await write.future
        except StateError as error:
            self._tell(error)
            raise
        return answer

    def _flush(self: DatabaseThread[G]) -> None:
        """In the thread: everything queued so far in one transaction; nothing when an earlier call took it."""
        group: list[_Write] = []
        while self._queued and len(group) < MAX_GROUP:
            group.append(self._queued.popleft())
        if not group:
            return
        try:
            with self._database.transaction():
                for write in group:
                    self._part(write)
        except BaseException as error:  # noqa: BLE001 - every waiter has to hear of it, or waits for ever
            self._note(error)
            for write in group:
                write.error = write.error or error
        for write in group:
            write.tell()
        self._database.settle()

    def _part(self: DatabaseThread[G], write: _Write) -> None:
        try:
            with self._database.transaction():
                write.answer = write.work(self._database)
        except BaseException as error:
            write.error = error
            self._note(error)
            if not self._database.in_transaction:  # SQLite has undone the others as well
                raise

    async def close(self) -> None:
        """Finish what was asked for, close the database, end the thread."""
        try:
            await self.run(lambda database: database.close())
        finally:
            self._executor.shutdown(wait=False)


def _close_opened(opening: Future[Any]) -> None:
    """Close what nobody waits for any more; in the thread that has opened it, after it has."""
    if not opening.cancelled() and opening.exception() is None:
        opening.result().close()


def _is_corrupt(error: BaseException) -> bool:
    return isinstance(error, StateError) and error.code == "state.corrupt"
