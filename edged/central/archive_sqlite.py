"""The archive in a SQLite file: one machine, one writer at a time, any number of readers."""

# ruff: noqa: S608 - statements are put together from our own words; everything else goes in as a parameter

from __future__ import annotations

import contextlib
import json
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edged.central import sqlite_schema
from edged.central.archive import ROW_REFUSED
from edged.central.archive_read import SqlReader
from edged.central.archive_write import SqlArchive
from edged.central.batch import StreamState
from edged.errors import StateError
from edged.uplink import database
from edged.uplink.database import StreamKey, to_ms, transaction, translated

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from datetime import datetime
    from typing import TypeVar

    T = TypeVar("T")


class SqliteReader(SqlReader):
    """See `edged.central.archive.ArchiveReader`."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    @classmethod
    def open(cls, path: str) -> SqliteReader:
        """Open an archive that is there, for reading alone. Raises `StateError`."""
        connection = database.connect_reader(Path(path))
        try:
            sqlite_schema.check(connection)
        except BaseException:
            connection.close()
            raise
        return cls(connection)

    def _query(self, sql: str, parameters: Sequence[Any] = ()) -> Iterable[tuple[Any, ...]]:
        with translated():
            yield from self._connection.execute(sql, parameters)

    def close(self) -> None:
        """Close the file."""
        with translated():
            self._connection.close()


class SqliteArchive(SqliteReader, SqlArchive):
    """See `edged.central.archive.Archive`."""

    def __init__(self, connection: sqlite3.Connection, fleet: str) -> None:
        super().__init__(connection)
        self.fleet = fleet
        self._path = Path(connection.execute("PRAGMA database_list").fetchone()[2])
        self._file = _identity(self._path)

    @classmethod
    def open(cls, path: str, fleet: str = "") -> SqliteArchive:
        """Open or create the archive of `fleet`, and bring an older one up to date. Raises `StateError`."""
        connection = database.connect(Path(path), "")
        connection.row_factory = None
        try:
            sqlite_schema.migrate(connection, fleet)
        except BaseException:
            connection.close()
            raise
        return cls(connection, fleet)

    def _transact(self, work: Callable[[], T]) -> T:
        self._see_that_it_is_there()
        with _told_apart(), transaction(self._connection):
            done = work()
        self._see_that_it_is_there()
        return done

    def _see_that_it_is_there(self) -> None:
        """Somebody may have moved it, or put a backup in its place: what is in a file without a name isn't kept."""
        if _identity(self._path) != self._file:
            raise StateError("archive.moved")

    def _table(self, columns: dict[str, str], rows: Sequence[Sequence[Any]]) -> tuple[str, list[Any]]:
        fields = ", ".join(
            f"json_extract(value, '$[{index}]') AS {name}" for index, name in enumerate(columns)
        )
        return f"(SELECT {fields} FROM json_each(?)) AS w", [json.dumps(rows)]

    def _insert(
        self, table: str, columns: dict[str, str], rows: Sequence[Sequence[Any]], more: str = ""
    ) -> None:
        marks = ", ".join("?" * len(columns))
        names = ", ".join(columns)
        with translated():
            self._connection.executemany(f"INSERT INTO {table} ({names}) VALUES ({marks}){more}", rows)

    def _update_streams(self, rows: Sequence[Sequence[int]]) -> None:
        with translated():
            self._connection.executemany(
                "UPDATE stream SET stored = ?, highest = ?, whole = ?, holed = ?, duplicates = ?, gaps = ?"
                " WHERE id = ?",
                rows,
            )

    def _lock(self, streams: Sequence[int]) -> None:
        """Nobody else writes during a transaction."""

    def _streams(self, keys: Sequence[StreamKey]) -> dict[StreamKey, StreamState]:
        found = self._states(keys)
        if missing := [key for key in keys if key not in found]:
            with translated():
                self._connection.executemany(
                    "INSERT INTO audience (name) VALUES (?) ON CONFLICT DO NOTHING",
                    sorted({(audience,) for _, _, audience in missing}),
                )
                self._connection.executemany(
                    "INSERT INTO stream (device, log_id, audience, audience_id)"
                    " SELECT ?, ?, name, id FROM audience WHERE name = ?",
                    missing,
                )
            found |= self._states(missing)
        return found

    def _states(self, keys: Sequence[StreamKey]) -> dict[StreamKey, StreamState]:
        table, parameters = self._table({"device": "text", "log_id": "text", "audience": "text"}, keys)
        return {
            row[:3]: StreamState(*row[3:])
            for row in self._query(
                "SELECT s.device, s.log_id, s.audience, s.id, s.audience_id, s.stored, s.highest, s.whole,"
                f" s.duplicates, s.gaps FROM {table} CROSS JOIN stream s"
                " WHERE s.device = w.device AND s.log_id = w.log_id AND s.audience = w.audience",
                parameters,
            )
        }

    def forget_evidence(self, before: datetime, limit: int) -> int:
        """See `edged.central.archive.Archive`."""
        count = super().forget_evidence(before, limit)
        database.fold(self._connection)
        return count

    def forget(self, audience: str, before: datetime, limit: int, now: datetime) -> int:
        """See `edged.central.archive.Archive`."""
        count = self._transact(lambda: self._forget(audience, to_ms(before), limit, to_ms(now)))
        # Even when nothing went: a reader that stood in the way of the last time may be gone.
        database.fold(self._connection)
        return count


@contextlib.contextmanager
def _told_apart() -> Iterator[None]:
    """Tell what SQLite won't have in a row from what is wrong with the disk."""
    try:
        yield
    except (sqlite3.IntegrityError, sqlite3.DataError, OverflowError, UnicodeError) as error:
        # Its name alone: a trigger's text is whose wrote it.
        raise StateError(ROW_REFUSED, getattr(error, "sqlite_errorname", type(error).__name__)) from None


def _identity(path: Path) -> tuple[int, int] | None:
    """Which file it is that has this name; None: none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
