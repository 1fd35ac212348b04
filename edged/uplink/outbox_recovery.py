"""Opening the state database whatever has become of it: what is broken is set aside, never lost, and replaced.

How much is checked at a start: the header, the file's length and the log's header always; every page
(`PRAGMA quick_check`) and every body by its hash, which SQLite knows nothing of, where that is a matter of a moment
(`CHECKED_AT_START`). A larger file is checked so once a week beside the running daemon (`check`); SQLite notices by
itself whatever broken page it comes across, and a body is compared with its hash before it is sent
(`StateDatabase.note_corrupt`): all of these leave a note beside the database, and the next start repairs.

Crash-safe in this order: (1) the note, with the number of the copy; (2) hard links of database and log under that
number; (3) a new database from the copies, whole and synced, under another name; (4) the old log's name goes; (5) the
new database takes the old one's name; (6) the note goes. A start that finds the note begins again at (2), which makes
the same of the same copies: nothing was committed in between, because nobody had it open.
"""

from __future__ import annotations

import os
import secrets
import sqlite3
from typing import TYPE_CHECKING, Final

import msgspec

from edged.errors import StateError
from edged.uplink import database, outbox_aside, outbox_lanes, outbox_report, outbox_schema
from edged.uplink.database import to_ms, transaction, translated
from edged.uplink.outbox import StateDatabase
from edged.uplink.outbox_pages import MAGIC, WAL_HEADER, wal_header_holds
from edged.uplink.outbox_salvage import Salvage, Salvaged
from edged.whole_file import sync_directory

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from datetime import datetime
    from pathlib import Path
    from typing import Any

CHECKED_AT_START: Final = 32 << 20
"""Bytes: some 20 000 envelopes, read in a fraction of a second even from a slow card."""

NEW: Final = "{}.new"

_FORMATS: Final = frozenset({1, 2})
"""SQLite's file formats, for writing and reading: with a rollback journal, with a log. It only reads what is newer."""


class Recovered(msgspec.Struct, frozen=True):
    """A broken database was replaced."""

    aside: str
    """Name of the file that holds what is left of it, in the same directory (`-wal` beside it)."""
    salvaged: Salvaged


def open_state(
    path: Path, *, device: str, now: datetime, audiences: Collection[str] = (), **settings: Any
) -> tuple[StateDatabase, Recovered | None]:
    """Open the database of `device`, and repair it first if it is broken; blocks on the disk.

    `audiences` are those this box is configured for: if not even the streams can be read, each gets a gap record.
    `settings` as for `StateDatabase.open`, which says what else it raises; a repair that can't be made (a full disk)
    raises `StateError`, leaves everything where it is, and is tried again at the next start.
    """
    recovered = None
    if outbox_aside.note_path(path).exists() or _broken(path):
        recovered = _recover(path, device=device, now=now, audiences=audiences)
    return StateDatabase.open(path, device=device, now=now, **settings), recovered


def check(path: Path) -> bool:
    """Read every page and body of a database that another connection has open, read only; whether it is sound.

    Blocks for as long as reading the file takes (10 s a gigabyte on a slow card) and holds nobody up: for a thread of
    its own. A broken one is noted for the next start. Raises `StateError` when it can't be read at all.
    """
    sound = _holds(lambda: _look_at(database.connect_reader(path), _everything))
    if not sound:
        outbox_aside.note_corrupt(path)
    return sound


# --- is it broken? ---


def _broken(path: Path) -> bool:
    log = outbox_aside.log_path(path)
    size = path.stat().st_size if path.exists() else 0
    try:
        if size == 0:
            # A new box, or one whose power went while it was new; but what has a log once had a database.
            return log.exists() and log.stat().st_size > WAL_HEADER
        if not (_header_holds(path, log) and _log_holds(log)):
            return True
    except OSError as error:
        raise StateError("state.unusable", f"{path}: {error.strerror}") from error
    look = _everything if size <= CHECKED_AT_START else _ends
    return not _holds(lambda: _look_at(database.connect(path, lambda _: None), look))


def _header_holds(path: Path, log: Path) -> bool:
    if _is_there(path.with_name(f"{path.name}-journal")):
        # The power went while the file was made; nothing was committed, and SQLite undoes it.
        return True
    with path.open("rb") as file:
        header = file.read(100)
        size = os.fstat(file.fileno()).st_size
    if header[: len(MAGIC)] != MAGIC or not {*header[18:20]} <= _FORMATS:
        return False
    page = int.from_bytes(header[16:18])
    pages = int.from_bytes(header[28:32])
    # SQLite believes the number of pages only where two counters agree, which every writer of ours sees to.
    whole = header[24:28] == header[92:96] and pages * (65536 if page == 1 else page) <= size
    # With a log, a checkpoint may have been cut off before the file grew: what lacks is still in there.
    return whole or _is_there(log)


def _is_there(path: Path) -> bool:
    return path.exists() and path.stat().st_size > 0


def _log_holds(log: Path) -> bool:
    """SQLite takes a log whose header is damaged for an empty one, and what was committed in it for never committed."""
    if not log.exists() or log.stat().st_size <= WAL_HEADER:
        return True
    with log.open("rb") as file:
        header = file.read(WAL_HEADER)
    return wal_header_holds(header) or not any(header)


def _holds(look: Callable[[], bool]) -> bool:
    """What `look` finds; False where SQLite can't make sense of the file.

    Raises `StateError` where it can't get at it.
    """
    try:
        with translated():
            return look()
    except StateError as error:
        if error.code != "state.corrupt":
            raise
    except sqlite3.DatabaseError:  # a table that isn't there, a format it doesn't know
        pass
    return False


def _look_at(connection: sqlite3.Connection, look: Callable[[sqlite3.Connection], bool]) -> bool:
    try:
        return outbox_schema.is_whole(connection) and _agrees(connection) and look(connection)
    finally:
        connection.close()


def _agrees(connection: sqlite3.Connection) -> bool:
    """Whether the database knows whose it is, and no stream would give a number once more."""
    if connection.execute("PRAGMA user_version").fetchone()[0] != outbox_schema.VERSION:
        return True
    meta = outbox_report.meta(connection)
    if not meta:  # the power went between the tables and their first row
        return connection.execute("SELECT 1 FROM envelope LIMIT 1").fetchone() is None
    reused = connection.execute(
        "SELECT 1 FROM stream s WHERE coalesce(next_seq, 0) <= coalesce("
        "(SELECT max(seq) FROM envelope e WHERE e.log_id = s.log_id AND e.audience = s.audience), 0) LIMIT 1"
    )
    return {"device", "log_id"} <= meta.keys() and reused.fetchone() is None


def _everything(connection: sqlite3.Connection) -> bool:
    """Every page, as far as SQLite can tell, and every body."""
    if connection.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok":
        return False
    tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    for table in tables & {"envelope", "gap"}:
        # Two names of ours.
        for row in connection.execute(f"SELECT jws, sha256 FROM {table} WHERE jws IS NOT NULL"):  # noqa: S608
            outbox_lanes.check_body(row)
    return True


def _ends(connection: sqlite3.Connection) -> bool:
    """What a start needs: the schema, the tables of one page, both ends of the envelopes."""
    for table in ("meta", "stream"):
        if connection.execute(f"PRAGMA integrity_check({table})").fetchone()[0] != "ok":
            return False
    for order in ("", " DESC"):
        connection.execute(f"SELECT * FROM envelope ORDER BY id{order} LIMIT 64").fetchall()  # noqa: S608
    if connection.execute("PRAGMA user_version").fetchone()[0] == outbox_schema.VERSION:
        outbox_report.counts(connection)
    return True


# --- repairing ---


def _recover(path: Path, *, device: str, now: datetime, audiences: Collection[str]) -> Recovered:
    try:
        outbox_aside.note_corrupt(path)
        aside = outbox_aside.set_aside(path, outbox_aside.noted_number(path))
        new = path.with_name(NEW.format(path.name))
        salvaged = _rebuild(new, aside, device, now, audiences)
        outbox_aside.take_place(new, path)
        outbox_aside.forget_note(path)
    except OSError as error:
        raise StateError("state.unusable", f"{path}: {error.strerror}") from error
    return Recovered(aside.name, salvaged)


def _rebuild(new: Path, aside: Path, device: str, now: datetime, audiences: Collection[str]) -> Salvaged:
    """Make the new database; whole, on the disk and in one file when this returns."""
    for end in ("", "-wal", "-shm", "-journal"):
        new.with_name(new.name + end).unlink(missing_ok=True)
    connection = database.connect(new, outbox_schema.set_up)
    try:
        with translated():
            # Nobody opens it before it is whole, so no log: it would take the same room once more.
            connection.execute("PRAGMA journal_mode=MEMORY")
        with transaction(connection):
            salvaged = Salvage(connection, device, to_ms(now)).run(aside, audiences)
            meta = {
                "device": device,
                "log_id": secrets.token_hex(8),
                "created_at": str(to_ms(now)),
                "recovered_at": str(to_ms(now)),
                "recovered_from": aside.name,
            }
            connection.executemany("INSERT INTO meta VALUES (?, ?)", meta.items())
        with translated():
            connection.execute("PRAGMA journal_mode=WAL")
    finally:
        with translated():
            connection.close()
    sync_directory(new.parent)
    return salvaged
