"""Opening the store whatever has become of it: a broken one is set aside, never mended, and a new one is begun.

Nothing of it can't be had again: the fleet's root is in the boot file's place, and the broker keeps the last push. What
must not be had again is an older push, which `edged.pushed.floor` remembers. The steps are those of
`edged.uplink.outbox_recovery`, with nothing to salvage; a power cut may fall between any two.
"""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Final

import msgspec

from edged import log
from edged.errors import StateError
from edged.pushed.floor import FLOOR_FILE, Floor, read_floor, write_floor
from edged.pushed.steps import Report, Slot
from edged.pushed.store import STORE_FILE, FleetStore, root_version, set_up
from edged.uplink import database, outbox_aside

if TYPE_CHECKING:
    from pathlib import Path

_NEW: Final = STORE_FILE + ".new"


def open_store(directory: Path, owner: str) -> FleetStore:
    """Open the store of `owner` (`fleet/device`) in the state directory; blocks on the disk.

    Raises `StateError`: `state.other_device`, `state.newer`, and trouble of the disk.
    """
    path, floor_path = directory / STORE_FILE, directory / FLOOR_FILE
    try:
        floor = read_floor(floor_path)
        aside = None
        if outbox_aside.note_path(path).exists() or not _sound(path, owner):
            aside = _begin_again(path, owner)
    except OSError as error:
        raise StateError("state.unusable", f"{path}: {error.strerror}") from error
    connection = database.connect(path, lambda connection: set_up(connection, owner))
    try:
        store = FleetStore(connection, path, floor_path, floor, aside)
        _level(store, floor_path, floor)
    except BaseException:
        connection.close()
        raise
    if aside is not None:
        log.get("fleet").error("the fleet's store was broken and is begun anew", aside=aside)
    return store


def _sound(path: Path, owner: str) -> bool:
    """Whether SQLite finds nothing wrong, and we can read all of it. It is small, so every page is looked at."""
    wal = outbox_aside.log_path(path)
    if not path.exists() or path.stat().st_size == 0:
        return not wal.exists() or wal.stat().st_size == 0
    try:
        connection = database.connect(path, lambda connection: set_up(connection, owner))
    except StateError as error:
        if error.code != "state.corrupt":
            raise
        return False
    except (sqlite3.DatabaseError, TypeError):  # a table or its one row isn't there
        return False
    try:
        with database.translated():
            if connection.execute("PRAGMA quick_check").fetchone()[0] != "ok":
                return False
        store = FleetStore(connection, path, path, Floor(), None)
        store.stored()
        for slot in (Slot.GOOD, Slot.CANDIDATE):
            store.version(slot)
        if (trusted := store.trusted()) is not None:
            root_version(trusted)
    except StateError as error:
        if error.code != "state.corrupt":
            raise
        return False
    except (sqlite3.DatabaseError, msgspec.ValidationError, TypeError):
        return False
    finally:
        connection.close()
    return True


def _begin_again(path: Path, owner: str) -> str:
    """Set the store aside and put an empty one in its place; its name aside. Raises `OSError`, `StateError`."""
    outbox_aside.note_corrupt(path)
    aside = outbox_aside.set_aside(path, outbox_aside.noted_number(path))
    new = path.with_name(_NEW)
    for end in ("", "-wal", "-shm"):
        new.with_name(new.name + end).unlink(missing_ok=True)
    connection = database.connect(new, lambda connection: set_up(connection, owner))
    database.fold(connection)
    connection.close()
    outbox_aside.take_place(new, path)
    outbox_aside.forget_note(path)
    return aside.name


def _level(store: FleetStore, floor_path: Path, floor: Floor) -> None:
    """Bring store and floor together after whatever happened to either. The higher number counts."""
    stored, trusted = store.stored(), store.trusted()
    level = floor if trusted is None else floor.raised(root_version(trusted), stored.newest)
    if level != floor:
        write_floor(floor_path, level)
        store.floor = level
    if level.failed and (level.failed > stored.newest or level.failed == stored.candidate):
        store.remember_failed(Report(push=level.failed, outcome="rolled_back", code="push.failed_before"))
