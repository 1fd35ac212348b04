"""A connection to PostgreSQL that comes back by itself, waits for nothing without end, and fails in our words.

Nothing of what the server says reaches an error's text: it may quote rows, and the location may hold a password.
Settings are the session's, so a pooler in between has to pool sessions, not transactions.
"""

from __future__ import annotations

import contextlib
import ipaddress
import logging
import time
from typing import TYPE_CHECKING, Any, Final, TypeVar

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.pq import TransactionStatus

from edged import log
from edged.central.archive import ROW_REFUSED
from edged.errors import StateError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence

T = TypeVar("T")

# Its warnings are about roll-backs on connections that are gone, in the server's words.
logging.getLogger("psycopg").setLevel(logging.CRITICAL)

CONNECT_S: Final = 5
"""To be connected and let in. libpq takes whole seconds."""

STATEMENT_S: Final = 20
"""Longest statement of a batch, by the server's clock: a checkpoint on a slow disk takes some."""

LOCK_S: Final = 10
"""Longest wait for another worker's batch."""

READ_S: Final = 600
"""Longest statement of a reader: a ledger over everything."""

GRACE_S: Final = 5
"""After the server should have ended a statement itself, the connection is given up."""

ATTEMPTS: Final = 4
"""How often a batch is tried that another worker's got in the way of, or a question that a standby has cancelled."""

_DEFAULTS: Final[dict[str, str | int]] = {
    "connect_timeout": CONNECT_S,
    "application_name": "edged",
    "client_encoding": "utf8",
    # A server whose machine is gone doesn't say so: noticed by the kernel, idle or not.
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 1000 * (STATEMENT_S + GRACE_S),
}

_PLANS: Final = tuple((f"enable_{way}", "off") for way in ("seqscan", "hashjoin", "mergejoin"))
"""A batch looks up a few hundred rows by index. Before the server has gathered statistics of a growing table it may
think that reading all of it is as good."""

_AGAIN: Final = frozenset({"40001", "40P01"})  # serialization_failure, deadlock_detected

_RAISED: Final = "P0"  # by a trigger that somebody has added

_CODES: Final = {
    "57014": "archive.too_slow",  # query_canceled, by our limit or an operator
    "55P03": "archive.too_slow",  # lock_not_available
    "42501": "archive.not_allowed",
    "3F000": "archive.not_allowed",  # no schema in the search path that this user may look into
    "25006": "archive.read_only",  # a standby, or default_transaction_read_only
    "53100": "archive.disk_full",
    "53200": "archive.no_room",
    "53300": "archive.no_room",
    "58030": "archive.disk_error",
    "XX001": "state.corrupt",
    "XX002": "state.corrupt",
    "42P07": "archive.not_an_archive",  # a table of another program has the name of one of ours
    "42P01": "archive.not_an_archive",
    "42703": "archive.not_an_archive",
}


class _StalledError(Exception):
    """The server took longer than it may."""


class _Connection(psycopg.Connection[tuple[Any, ...]]):
    """A connection on which nothing waits longer than `limit_s`, whatever the server and the network do."""

    limit_s: float = STATEMENT_S + GRACE_S

    def wait(self, gen: Generator[Any, Any, T], *arguments: Any, **options: Any) -> T:
        """See psycopg: consume a generator that talks to the server."""
        return super().wait(_bounded(gen, self.limit_s), *arguments, **options)


def _bounded(gen: Generator[Any, Any, T], limit_s: float) -> Generator[Any, Any, T]:
    """`gen`, ended by `_StalledError` after `limit_s`. psycopg asks ten times a second while nothing happens."""
    end = time.monotonic() + limit_s
    try:
        want = next(gen)
        while True:
            ready = yield want
            if time.monotonic() > end:
                raise _StalledError
            want = gen.send(ready)
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return] # a generator's value has no type where it is caught


class Link:
    """The connection of one archive object; made when it is needed. Of one thread."""

    def __init__(self, location: str, *, read_only: bool) -> None:
        """Take libpq's connection string or URL. Raises `StateError` (`archive.bad_location`)."""
        try:
            # Later ones win: what the location says of these is what somebody wants.
            self._conninfo = make_conninfo(make_conninfo("", **_DEFAULTS), **conninfo_to_dict(location))
        except psycopg.Error:
            raise StateError("archive.bad_location") from None
        self._read_only = read_only
        self._connection: _Connection | None = None

    def close(self) -> None:
        """Let go of the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    @contextlib.contextmanager
    def connection(self) -> Iterator[_Connection]:
        """The connection, to be used inside. What goes wrong with it is a `StateError`, and then it is given up."""
        with self._translated():
            if self._connection is None:
                self._connection = self._connect()
            yield self._connection

    def transact(self, work: Callable[[_Connection], T]) -> T:
        """`work` in a transaction that is on the disk when this returns; done again when others got in its way.

        Raises `StateError`.
        """

        def attempt() -> T:
            with self.connection() as connection, connection.transaction():
                return work(connection)

        return _tried_again(attempt)

    def rows(self, sql: str, parameters: Sequence[Any]) -> list[tuple[Any, ...]]:
        """All rows of a statement, in a transaction's `work` or by itself.

        By itself it is done again when something got in its way: a standby cancels what reads rows that a vacuum takes
        away at its primary. Raises `StateError`.
        """

        def attempt() -> list[tuple[Any, ...]]:
            with self.connection() as connection:
                return connection.execute(sql, parameters).fetchall()

        with self.connection() as connection:
            inside = connection.info.transaction_status != TransactionStatus.IDLE
        return attempt() if inside else _tried_again(attempt)

    def _connect(self) -> _Connection:
        try:
            connection = _Connection.connect(self._conninfo, autocommit=True)
        except psycopg.Error:
            # Wrong address, wrong password, no such database: libpq says which in the server's language only.
            raise StateError("archive.unreachable") from None
        limit = READ_S if self._read_only else STATEMENT_S
        connection.limit_s = limit + GRACE_S
        try:
            for name, value in (
                ("statement_timeout", f"{limit}s"),
                ("lock_timeout", f"{LOCK_S}s"),
                ("idle_in_transaction_session_timeout", f"{STATEMENT_S}s"),
                ("default_transaction_read_only", "on" if self._read_only else "off"),
                # Under another level a batch that waited for a lock would fail instead of seeing what it waited for.
                ("default_transaction_isolation", "read committed"),
                # Compiling a statement takes longer than most of ours run.
                ("jit", "off"),
                *(() if self._read_only else _PLANS),
            ):
                connection.execute("SELECT set_config(%s, %s, false)", (name, value))
            # On the disk means on the disk; whoever waits for standbys as well goes on doing so.
            connection.execute(
                "SELECT set_config('synchronous_commit', 'on', false)"
                " WHERE current_setting('synchronous_commit') IN ('off', 'local')"
            )
            if connection.execute("SHOW fsync").fetchone() != ("on",):
                log.get("archive").warning(
                    "the database server runs without fsync: a power cut loses envelopes"
                )
            if exposed(connection.info):
                log.get("archive").warning(
                    "the database server is across a network, without sslmode=verify-full: anybody could be it"
                )
        except BaseException:
            connection.close()
            raise
        return connection

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except psycopg.Error as error:
            state = error.sqlstate or ""
            if self._connection is not None and self._connection.closed:
                self.close()
                raise StateError("archive.connection_lost", state) from None
            if state in _AGAIN:
                raise _AgainError from None
            if state in _CODES:
                raise StateError(_CODES[state], state) from None
            if isinstance(error, psycopg.OperationalError):
                self.close()
                raise StateError("archive.connection_lost", state) from None
            if isinstance(error, psycopg.IntegrityError | psycopg.DataError) or state.startswith(_RAISED):
                raise StateError(ROW_REFUSED, state) from None
            # Something that no archive of ours does to a server of ours. What the server says of it stays there.
            raise StateError("archive.server_error", state) from None
        except UnicodeEncodeError:
            raise StateError(ROW_REFUSED) from None
        except _StalledError:
            self.close()
            raise StateError("archive.stalled") from None


def exposed(info: psycopg.ConnectionInfo) -> bool:
    """Whether envelopes, and a password, go to whoever answers at an address that isn't this machine's."""
    if info.get_parameters().get("sslmode") in ("verify-full", "verify-ca"):
        return False
    try:
        return not ipaddress.ip_address(info.hostaddr).is_loopback
    except ValueError:  # none: a socket
        return False


def _tried_again(attempt: Callable[[], T]) -> T:
    for number in range(ATTEMPTS):
        try:
            return attempt()
        except _AgainError:
            # Whoever won is done now or soon; a deadlock's loser has waited a second already.
            time.sleep(0.01 * 2**number)
    raise StateError("archive.busy")


class _AgainError(Exception):
    """Another worker's transaction got in the way."""
