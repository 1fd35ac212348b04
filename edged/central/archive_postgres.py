"""The archive in PostgreSQL: several workers at once, on one machine or many.

A batch locks its streams' rows, always in the same order, before it looks at anything else of them: two workers with
neighbouring numbers of one stream come one after the other and see each other's, and none waits in a circle. Streams
that are new are made in a transaction of their own before that.
"""

# ruff: noqa: S608 - statements are put together from our own words; everything else goes in as a parameter

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edged.central import postgres_schema
from edged.central.archive_read import SqlReader
from edged.central.archive_write import STREAM, SqlArchive
from edged.central.batch import StreamState
from edged.central.postgres_link import Link
from edged.uplink.database import StreamKey, to_ms

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import datetime
    from typing import TypeVar

    T = TypeVar("T")

_KEY = {"device": "text", "log_id": "text", "audience": "text"}


class PostgresReader(SqlReader):
    """See `edged.central.archive.ArchiveReader`."""

    def __init__(self, link: Link) -> None:
        self._link = link

    @classmethod
    def open(cls, location: str) -> PostgresReader:
        """Open an archive that is there, for reading alone. Raises `StateError`."""
        link = Link(location, read_only=True)
        try:
            link.transact(postgres_schema.check)
        except BaseException:
            link.close()
            raise
        return cls(link)

    def _query(self, sql: str, parameters: Sequence[Any] = ()) -> Iterable[tuple[Any, ...]]:
        return self._link.rows(sql.replace("?", "%s"), parameters)

    def close(self) -> None:
        """Let go of the connection."""
        self._link.close()


class PostgresArchive(PostgresReader, SqlArchive):
    """See `edged.central.archive.Archive`."""

    def __init__(self, link: Link, fleet: str) -> None:
        super().__init__(link)
        self.fleet = fleet

    @classmethod
    def open(cls, location: str, fleet: str = "") -> PostgresArchive:
        """Open the archive of `fleet`; make its tables, or bring older ones up to date. Raises `StateError`."""
        link = Link(location, read_only=False)
        try:
            link.transact(lambda connection: postgres_schema.migrate(connection, fleet))
        except BaseException:
            link.close()
            raise
        return cls(link, fleet)

    def _transact(self, work: Callable[[], T]) -> T:
        while True:
            try:
                return self._link.transact(lambda _: work())
            except _MissingError as error:
                self._make(error.keys)

    def _table(self, columns: dict[str, str], rows: Sequence[Sequence[Any]]) -> tuple[str, list[Any]]:
        names = ", ".join(columns)
        arrays = ", ".join(f"?::{kind}[]" for kind in columns.values())
        values = [list(column) for column in zip(*rows, strict=True)] or [[] for _ in columns]
        return f"unnest({arrays}) AS w({names})", values

    def _insert(
        self, table: str, columns: dict[str, str], rows: Sequence[Sequence[Any]], more: str = ""
    ) -> None:
        names = ", ".join(columns)
        if not more:
            # The fastest way in: psycopg puts arrays of long texts together in Python.
            statement = f"COPY {table} ({names}) FROM STDIN"
            with self._link.connection() as connection, connection.cursor().copy(statement) as copy:
                for row in rows:
                    copy.write_row(row)
            return
        source, values = self._table(columns, rows)
        self._run(f"INSERT INTO {table} ({names}) SELECT {names} FROM {source}{more}", values)

    def _update_streams(self, rows: Sequence[Sequence[int]]) -> None:
        source, values = self._table(STREAM, rows)
        changes = ", ".join(f"{name} = w.{name}" for name in STREAM if name != "id")
        self._run(f"UPDATE stream SET {changes} FROM {source} WHERE stream.id = w.id", values)

    def _run(self, sql: str, parameters: Sequence[Any]) -> None:
        with self._link.connection() as connection:
            connection.execute(sql.replace("?", "%s"), parameters)

    def _lock(self, streams: Sequence[int]) -> None:
        self._run("SELECT 1 FROM stream WHERE id = ANY(?) ORDER BY id FOR UPDATE", (list(streams),))

    def _streams(self, keys: Sequence[StreamKey]) -> dict[StreamKey, StreamState]:
        source, values = self._table(_KEY, keys)
        found = {
            row[:3]: StreamState(*row[3:])
            for row in self._query(
                "SELECT s.device, s.log_id, s.audience, s.id, s.audience_id, s.stored, s.highest, s.whole,"
                f" s.duplicates, s.gaps FROM {source} CROSS JOIN stream s"
                " WHERE s.device = w.device AND s.log_id = w.log_id AND s.audience = w.audience"
                " ORDER BY s.id FOR UPDATE OF s",
                values,
            )
        }
        if missing := [key for key in keys if key not in found]:
            raise _MissingError(missing)
        return found

    def _make(self, keys: Sequence[StreamKey]) -> None:
        """Make streams' rows. Empty ones that a killed worker leaves behind are filled by the next."""
        source, values = self._table(_KEY, keys)
        audiences = sorted({audience for _, _, audience in keys})

        def work(_: object) -> None:
            self._run(
                "INSERT INTO audience (name) SELECT unnest(?::text[]) ORDER BY 1 ON CONFLICT DO NOTHING",
                (audiences,),
            )
            self._run(
                "INSERT INTO stream (device, log_id, audience, audience_id)"
                f" SELECT w.device, w.log_id, w.audience, a.id FROM {source} JOIN audience a ON a.name = w.audience"
                " ORDER BY 1, 2, 3 ON CONFLICT DO NOTHING",
                values,
            )

        self._link.transact(work)

    def forget(self, audience: str, before: datetime, limit: int, now: datetime) -> int:
        """See `edged.central.archive.Archive`."""
        return self._transact(lambda: self._forget(audience, to_ms(before), limit, to_ms(now)))


class _MissingError(Exception):
    """Streams have no rows yet. Ends the transaction, so that no lock is held while they are made."""

    def __init__(self, keys: Sequence[StreamKey]) -> None:
        super().__init__()
        self.keys = keys
