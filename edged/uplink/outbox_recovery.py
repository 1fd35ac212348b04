"""Opening the state database whatever has become of it: what is broken is set aside, never lost, and replaced.

How much is checked at a start: the header, the file's length and the log's header always; every page
(`PRAGMA quick_check`) where that is a matter of a moment (`CHECKED_AT_START`). A larger file is checked page by page
once a week beside the running daemon (`check`), and SQLite notices by itself whatever broken page it comes across
(`StateDatabase.note_corrupt`): both leave a note beside the database, and the next start repairs.

Crash-safe in this order: (1) the note, with the number of the copy; (2) hard links of database and log under that
number; (3) a new database from the copies, whole and synced, under another name; (4) the old log's name goes; (5) the
new database takes the old one's name; (6) the note goes. A start that finds the note begins again at (2), which makes
the same of the same copies: nothing was committed in between, because nobody had it open.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from typing import TYPE_CHECKING, Final

import msgspec

from edged.errors import StateError
from edged.uplink import database, outbox_aside, outbox_report, outbox_schema
from edged.uplink.database import to_ms, transaction, translated
from edged.uplink.outbox import StateDatabase
from edged.uplink.outbox_pages import MAGIC, WAL_HEADER, wal_header_holds
from edged.uplink.outbox_salvage import Salvage, Salvaged

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime
    from pathlib import Path
    from typing import Any

CHECKED_AT_START: Final = 32 << 20
"""Bytes: some 20 000 envelopes, read in a fraction of a second even from a slow card."""

NEW: Final = "{}.new"


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
    """Read every page of a database that another connection has open, read only; whether it is sound.

    Blocks for as long as reading the file takes (10 s a gigabyte on a slow card) and holds nobody up: for a thread of
    its own. A broken one is noted for the next start. Raises `StateError` when it can't be read at all.
    """
    try:
        connection = database.connect_reader(path)
        try:
            sound = _quick_check(connection)
        finally:
            connection.close()
    except StateError as error:
        if error.code != "state.corrupt":
            raise
        sound = False
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
        if not _header_holds(path, log) or not _log_holds(log):
            return True
        connection = database.connect(path, lambda _: None)
    except StateError as error:
        if error.code == "state.corrupt":
            return True
        raise
    except OSError as error:
        raise StateError("state.unusable", f"{path}: {error.strerror}") from error
    try:
        return not (_quick_check(connection) if size <= CHECKED_AT_START else _ends_hold(connection))
    finally:
        with contextlib.suppress(StateError), translated():
            connection.close()


def _header_holds(path: Path, log: Path) -> bool:
    with path.open("rb") as file:
        header = file.read(100)
        size = os.fstat(file.fileno()).st_size
    if header[: len(MAGIC)] != MAGIC:
        return False
    page = int.from_bytes(header[16:18])
    pages = int.from_bytes(header[28:32])
    # With a log, a checkpoint may have been cut off before the file grew: what lacks is still in there.
    short = header[24:28] == header[92:96] and pages * (65536 if page == 1 else page) > size
    return not (short and (not log.exists() or log.stat().st_size == 0))


def _log_holds(log: Path) -> bool:
    """SQLite takes a log whose header is damaged for an empty one, and what was committed in it for never committed."""
    if not log.exists() or log.stat().st_size <= WAL_HEADER:
        return True
    with log.open("rb") as file:
        header = file.read(WAL_HEADER)
    return wal_header_holds(header) or not any(header)


def _quick_check(connection: Any) -> bool:
    try:
        with translated():
            return bool(connection.execute("PRAGMA quick_check(1)").fetchone()[0] == "ok")
    except StateError as error:
        if error.code != "state.corrupt":
            raise
        return False


def _ends_hold(connection: Any) -> bool:
    """Read what a start needs: the schema, the tables of one page, both ends of the envelopes."""
    try:
        with translated():
            for table in ("meta", "stream"):
                connection.execute(f"SELECT * FROM {table}").fetchall()  # noqa: S608 - two names of ours
            for order in ("", " DESC"):
                connection.execute(f"SELECT * FROM envelope ORDER BY id{order} LIMIT 64").fetchall()  # noqa: S608
            if connection.execute("PRAGMA user_version").fetchone()[0] == outbox_schema.VERSION:
                outbox_report.counts(connection)
    except StateError as error:
        if error.code != "state.corrupt":
            raise
        return False
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
    outbox_aside.sync(new.parent)
    return salvaged
