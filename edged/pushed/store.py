"""What a box keeps of its fleet, in `fleet.sqlite`: whom it believes, its versions, and where the switch stands.

Each transition is one transaction, on the disk when it returns, as `edged.uplink.database` has it: a push's metadata
and the version it stages come together or not at all. Opening it is `edged.pushed.store_opening`'s.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from edged.errors import StateError
from edged.pushed import versions
from edged.pushed.floor import Floor, write_floor
from edged.pushed.steps import BOOT_FILE, NOTHING_YET, Report, Slot, Stored
from edged.pushed.verifying import Trusted
from edged.uplink import outbox_aside
from edged.uplink.database import transaction, translated
from edged.uplink.fields import decoder

if TYPE_CHECKING:
    import sqlite3
    from contextlib import AbstractContextManager
    from pathlib import Path

    from edged.pushed.verifying import Accepted
    from edged.pushed.versions import Version

STORE_FILE: Final = "fleet.sqlite"

SCHEMA_VERSION: Final = 1

_SCHEMA: Final = """
CREATE TABLE metadata (name TEXT PRIMARY KEY, data BLOB NOT NULL);
CREATE TABLE version (slot TEXT PRIMARY KEY CHECK (slot IN ('good', 'candidate')), push INTEGER NOT NULL,
    content TEXT NOT NULL, documents BLOB NOT NULL);
CREATE TABLE switch (id INTEGER PRIMARY KEY CHECK (id = 1), owner TEXT NOT NULL, attempts INTEGER NOT NULL,
    newest INTEGER NOT NULL, newest_bundle TEXT, report BLOB NOT NULL, revoked BLOB)
"""


class _Signed(msgspec.Struct):
    version: int


class _Metadata(msgspec.Struct):
    signed: _Signed


def root_version(trusted: Trusted) -> int:
    """Version of the root metadata in what is trusted. Raises `StateError` (`state.corrupt`)."""
    try:
        return decoder(_Metadata).decode(trusted.metadata["root.json"]).signed.version
    except (KeyError, msgspec.DecodeError):
        raise StateError("state.corrupt", "root metadata") from None


def set_up(connection: sqlite3.Connection, owner: str) -> None:
    """Make the tables of a new store. Raises `StateError`: `state.newer`, `state.other_device`."""
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version not in (0, SCHEMA_VERSION):
        raise StateError("state.newer", f"{version} instead of {SCHEMA_VERSION}")
    if version == 0:
        for statement in _SCHEMA.split(";"):
            connection.execute(statement)
        connection.execute(
            "INSERT INTO switch VALUES (1, ?, 0, 0, NULL, ?, NULL)", (owner, msgspec.json.encode(NOTHING_YET))
        )
        connection.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
    (found,) = connection.execute("SELECT owner FROM switch").fetchone()
    if found != owner:
        raise StateError("state.other_device", found)


class FleetStore:
    """An open store; for one thread (`edged.uplink.database.DatabaseThread`).

    Attributes:
        replaced: name of the file that a broken store was set aside as, when this one was opened.
        boot_ca: SHA-256 of the boot file's authorities, as `edged.pushed.versions.Version` has it.
    """

    boot_ca = ""

    def __init__(
        self, connection: sqlite3.Connection, path: Path, floor_path: Path, floor: Floor, replaced: str | None
    ) -> None:
        self._connection = connection
        self._path = path
        self._floor_path = floor_path
        self.floor = floor
        self.replaced = replaced

    # --- what a DatabaseThread needs ---

    @property
    def in_transaction(self) -> bool:
        """Whether one is open."""
        return self._connection.in_transaction

    def transaction(self) -> AbstractContextManager[None]:
        """As `edged.uplink.database.transaction`."""
        return transaction(self._connection)

    def settle(self) -> None:
        """Nothing is left to do after a transaction."""

    def note_corrupt(self) -> None:
        """Have the next start set it aside."""
        try:
            outbox_aside.note_corrupt(self._path)
        except OSError:  # the next start looks at every page anyway
            return

    def close(self) -> None:
        """Close the database."""
        self._connection.close()

    # --- reading ---

    def stored(self) -> Stored:
        """Where the switch stands. Raises `StateError`."""
        with translated():
            row = self._connection.execute("SELECT * FROM switch").fetchone()
            slots = {
                one["slot"]: one
                for one in self._connection.execute("SELECT slot, push, content FROM version")
            }
        good, candidate = slots.get(Slot.GOOD), slots.get(Slot.CANDIDATE)
        try:
            report = decoder(Report).decode(row["report"])
        except msgspec.DecodeError:
            raise StateError("state.corrupt", "a report") from None
        return Stored(
            good=BOOT_FILE if good is None else good["push"],
            good_content=None if good is None else good["content"],
            candidate=None if candidate is None else candidate["push"],
            candidate_content=None if candidate is None else candidate["content"],
            attempts=row["attempts"],
            newest=row["newest"],
            newest_bundle=row["newest_bundle"],
            report=report,
        )

    def trusted(self) -> Trusted | None:
        """Whom the box believes since its first push; None before. Raises `StateError`."""
        with translated():
            rows = self._connection.execute("SELECT name, data FROM metadata").fetchall()
        return Trusted({row["name"]: row["data"] for row in rows}) if rows else None

    def version(self, slot: Slot) -> Version | None:
        """The documents of a version; None for the boot file, and where there is none. Raises `StateError`."""
        with translated():
            row = self._connection.execute(
                "SELECT documents FROM version WHERE slot = ?", (slot.value,)
            ).fetchone()
        if row is None:
            return None
        try:
            return versions.decode(row["documents"])
        except msgspec.DecodeError:
            raise StateError("state.corrupt", "a version") from None

    def revoked(self) -> bytes | None:
        """The newest `fleet/authority.json` that was accepted, whatever became of its push. Raises `StateError`."""
        with translated():
            data: bytes | None = self._connection.execute("SELECT revoked FROM switch").fetchone()["revoked"]
        return data

    # --- transitions, each to be given to `DatabaseThread.write`; all raise `StateError` ---

    def stage(self, accepted: Accepted, bundle: str) -> None:
        """Take a push: its metadata is believed from now on, its version is the candidate, and no other is."""
        with transaction(self._connection):
            self._take(accepted, bundle)
            self._put(Slot.CANDIDATE, versions.Version.of(accepted, self.boot_ca))

    def adopt(self, accepted: Accepted, bundle: str, report: Report) -> None:
        """Take a push that changes nothing: what is good came with it from now on."""
        with transaction(self._connection):
            self._take(accepted, bundle)
            self._clear(Slot.CANDIDATE)
            self._put(Slot.GOOD, versions.Version.of(accepted, self.boot_ca))
            self._report(report)

    def count(self, attempt: int) -> None:
        """The candidate is going to be started for this time."""
        with transaction(self._connection):
            self._connection.execute("UPDATE switch SET attempts = ?", (attempt,))

    def keep(self, report: Report) -> None:
        """The candidate is the good one now."""
        with transaction(self._connection):
            self._clear(Slot.GOOD)
            self._connection.execute("UPDATE version SET slot = 'good' WHERE slot = 'candidate'")
            self._connection.execute("UPDATE switch SET attempts = 0")
            self._report(report)

    def fail(self, report: Report) -> None:
        """The candidate won't be tried again; what is good stays."""
        with transaction(self._connection):
            self._clear(Slot.CANDIDATE)
            self._connection.execute("UPDATE switch SET attempts = 0")
            self._report(report)

    def remember_failed(self, report: Report) -> None:
        """What the second memory knows and this store has lost: that push isn't tried again."""
        with transaction(self._connection):
            self._clear(Slot.CANDIDATE)
            self._connection.execute(
                "UPDATE switch SET attempts = 0, newest = ?, newest_bundle = NULL", (report.push,)
            )
            self._report(report)

    def note_failed(self, push: int) -> None:
        """Write it into the second memory, too: once `fail` is on the disk, a store that breaks forgets it no more."""
        self._lower_bound(msgspec.structs.replace(self.floor, failed=push))

    def _take(self, accepted: Accepted, bundle: str) -> None:
        # First: a power cut may leave the floor ahead of the store, which lets this push in again, but never behind.
        self._lower_bound(self.floor.raised(root_version(accepted.trusted), accepted.push))
        self._connection.execute("DELETE FROM metadata")
        self._connection.executemany("INSERT INTO metadata VALUES (?, ?)", accepted.trusted.metadata.items())
        self._connection.execute(
            "UPDATE switch SET attempts = 0, newest = ?, newest_bundle = ?, revoked = coalesce(?, revoked)",
            (accepted.push, bundle, accepted.authority),
        )

    def _lower_bound(self, floor: Floor) -> None:
        if floor != self.floor:
            write_floor(self._floor_path, floor)
            self.floor = floor

    def _put(self, slot: Slot, version: Version) -> None:
        self._connection.execute(
            "INSERT OR REPLACE INTO version VALUES (?, ?, ?, ?)",
            (slot.value, version.push, version.content, versions.encode(version)),
        )

    def _clear(self, slot: Slot) -> None:
        self._connection.execute("DELETE FROM version WHERE slot = ?", (slot.value,))

    def _report(self, report: Report) -> None:
        self._connection.execute("UPDATE switch SET report = ?", (msgspec.json.encode(report),))
