"""What a box was told to do and what it answered: nothing is done twice, and a repeat gets the first answer.

A command is written down before it is begun. What was begun and not answered when the box went down is answered
`command.interrupted` at the next start. Rows stay long after their command has expired; of those that are dropped the
latest expiry is kept, and nothing that ends before it is ever taken again.

Times are seconds since 1970 of a trusted clock. Every method belongs to one thread and raises `StateError`.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Final, Literal, Self

import msgspec

from edged import log
from edged.errors import SignatureRefusedError, StateError
from edged.uplink.command import MAX_ATTACHMENT, MAX_LIFE_S, OK, SKEW_S, Command, Signed
from edged.uplink.database import connect, transaction, translated
from edged.uplink.fields import decoder, encode

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator, Mapping
    from pathlib import Path

FILE: Final = "commands.sqlite"

KEPT_S: Final = 86_400
"""A row is kept so long after its command has expired."""

MAX_ROWS: Final = 20_000
"""More than a box obeys (10 a minute) in the time that rows are kept."""

MAX_ATTACHMENTS: Final = 8 * MAX_ATTACHMENT
"""Bytes of answers' files that are kept; the oldest go first, and a repeat is told that its file is gone."""

INTERRUPTED: Final = "command.interrupted"
GONE: Final = "command.answer_gone"

BROKEN: Final = ".broken"

NOTHING: Final = b"{}"
"""A result that says nothing."""

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS command (
    id TEXT PRIMARY KEY,
    sha256 TEXT NOT NULL,
    command BLOB NOT NULL,
    received INTEGER NOT NULL,
    exp INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('begun', 'restarting', 'answered')),
    code TEXT,
    result BLOB,
    attachment BLOB,
    answered INTEGER,
    restarted INTEGER,
    told INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX IF NOT EXISTS untold ON command (received) WHERE told = 0 AND state <> 'begun';
CREATE INDEX IF NOT EXISTS by_expiry ON command (exp);
CREATE TABLE IF NOT EXISTS fact (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;
PRAGMA user_version=1
"""


class Answer(msgspec.Struct, frozen=True):
    """What came of one command."""

    signed: Signed
    code: str
    result: dict[str, Any]
    attachment: bytes | None
    answered: int
    restarted: int | None
    """For `restart`: when the box was back."""


class CommandJournal:
    """The journal's file. Made by `open`; `DatabaseThread` may own it."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    @classmethod
    def open(cls, path: Path, now: int) -> Self:
        """Open or make it, and settle what a restart or a power cut has left. Raises `StateError`.

        A broken file is set aside. What it knew could then be told again by whoever recorded it, so no command is
        taken that may have been signed before (`command.journal_lost`): for an hour, by a trusted clock.
        """
        try:
            journal = cls._sound(path)
        except StateError as error:
            if error.code != "state.corrupt":
                raise
            log.get("commands").error(
                "the journal of commands is broken; a new one is begun", code=error.code
            )
            for end in ("", "-wal", "-shm"):
                with contextlib.suppress(FileNotFoundError):
                    path.with_name(path.name + end).replace(path.with_name(path.name + BROKEN + end))
            journal = cls(connect(path, _SCHEMA))
            with journal.transaction():
                journal._set("lost", 1)
        journal._settle(now)
        return journal

    @classmethod
    def _sound(cls, path: Path) -> Self:
        """Opened and read through: what is broken must show now, and not whenever an answer is to be told."""
        connection = connect(path, _SCHEMA)
        try:
            with translated():
                if connection.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok":
                    raise StateError("state.corrupt", "quick_check")
                for row in connection.execute("SELECT * FROM command WHERE state <> 'begun'"):
                    _answer(row)
        except BaseException:
            connection.close()
            raise
        return cls(connection)

    @property
    def in_transaction(self) -> bool:
        """Whether one is open."""
        return self._connection.in_transaction

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """All of the block, on the disk when it is left, or none of it."""
        with transaction(self._connection):
            yield

    def settle(self) -> None:
        """Nothing is to be done after a commit."""

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def find(self, signed: Signed) -> Literal["new", "running", "answered", "answered_with_file"]:
        """Whether this command was taken before, and answered.

        Raises `SignatureRefusedError` (`command.id_reused`) for another command of the same id.
        """
        with translated():
            row = self._row(signed.command.id)
        if row is None:
            return "new"
        if row["sha256"] != signed.sha256:
            raise SignatureRefusedError("command.id_reused")
        if row["state"] == "begun":
            return "running"
        return "answered_with_file" if row["file"] else "answered"

    def tell_again(self, identifier: str) -> None:
        """The answer is wanted once more."""
        with self.transaction():
            self._connection.execute("UPDATE command SET told = 0 WHERE id = ?", (identifier,))

    def tidy(self, now: int) -> None:
        """Before `begin`: drop what is long over, and settle until when a lost journal is missed."""
        with self.transaction():
            if self._get("lost"):
                self._set("lost", 0)
                self._set("lost_until", now + SKEW_S + MAX_LIFE_S)
            self._prune(now)

    def begin(self, signed: Signed, now: int) -> None:
        """Write down that this new command is about to be done.

        Raises `SignatureRefusedError`: `command.id_reused`, `command.journal_lost`, `command.journal_full`,
        `command.expired` (it may have been done and dropped since: the clock was set back).
        """
        command = signed.command
        with self.transaction():
            if self._row(command.id) is not None:
                raise SignatureRefusedError("command.id_reused")
            if command.exp <= self._get("lost_until"):
                raise SignatureRefusedError("command.journal_lost")
            if command.exp <= self._get("floor"):
                raise SignatureRefusedError("command.expired")
            if self._connection.execute("SELECT count(*) FROM command").fetchone()[0] >= MAX_ROWS:
                raise SignatureRefusedError("command.journal_full")
            self._connection.execute(
                "INSERT INTO command (id, sha256, command, received, exp, state) VALUES (?, ?, ?, ?, ?, 'begun')",
                (command.id, signed.sha256, encode(command), now, command.exp),
            )

    def answer(
        self,
        identifier: str,
        *,
        code: str = OK,
        result: Mapping[str, Any],
        attachment: bytes | None = None,
        restarting: bool = False,
        now: int,
    ) -> None:
        """Keep what came of a command; with `restarting` the box goes down as soon as it is told."""
        with self.transaction():
            changed = self._connection.execute(
                "UPDATE command SET state = ?, code = ?, result = ?, attachment = ?, answered = ?, told = 0"
                " WHERE id = ? AND state <> 'answered'",
                (
                    "restarting" if restarting else "answered",
                    *(code, msgspec.json.encode(result), attachment, now, identifier),
                ),
            )
            assert changed.rowcount == 1, "a command is answered once"
            self._drop_attachments()

    def untold(self) -> Answer | None:
        """The oldest answer that no broker has taken yet."""
        with translated():
            row = self._connection.execute(
                "SELECT * FROM command WHERE told = 0 AND state <> 'begun' ORDER BY received LIMIT 1"
            ).fetchone()
        return None if row is None else _answer(row)

    def told(self, answer: Answer) -> None:
        """A broker has taken this answer; one that was given meanwhile is still to be told."""
        with self.transaction():
            self._connection.execute(
                "UPDATE command SET told = 1 WHERE id = ? AND code = ? AND answered = ? AND restarted IS ?",
                (answer.signed.command.id, answer.code, answer.answered, answer.restarted),
            )

    def _settle(self, now: int) -> None:
        with self.transaction():
            self._connection.execute(
                "UPDATE command SET state = 'answered', code = ?, result = ?,"
                " answered = ?, told = 0 WHERE state = 'begun'",
                (INTERRUPTED, NOTHING, now),
            )
            self._connection.execute(
                "UPDATE command SET state = 'answered', restarted = ?, told = 0 WHERE state = 'restarting'",
                (now,),
            )

    def _prune(self, now: int) -> None:
        last = self._connection.execute(
            "SELECT max(exp) FROM command WHERE exp < ? AND state = 'answered'", (now - KEPT_S,)
        ).fetchone()[0]
        if last is not None:
            self._set("floor", max(last, self._get("floor")))
            self._connection.execute(
                "DELETE FROM command WHERE exp < ? AND state = 'answered'", (now - KEPT_S,)
            )

    def _drop_attachments(self) -> None:
        rows = self._connection.execute(
            "SELECT id, length(attachment) AS size FROM command WHERE attachment IS NOT NULL"
            " ORDER BY received DESC, id"
        ).fetchall()
        total = 0
        for row in rows:
            total += row["size"]
            if total > MAX_ATTACHMENTS:
                self._connection.execute(
                    "UPDATE command SET attachment = NULL, code = ?, result = ? WHERE id = ?",
                    (GONE, NOTHING, row["id"]),
                )

    def _row(self, identifier: str) -> sqlite3.Row | None:
        row: sqlite3.Row | None = self._connection.execute(
            "SELECT sha256, state, attachment IS NOT NULL AS file FROM command WHERE id = ?", (identifier,)
        ).fetchone()
        return row

    def _get(self, name: str) -> int:
        row = self._connection.execute("SELECT value FROM fact WHERE name = ?", (name,)).fetchone()
        return 0 if row is None else int(row["value"])

    def _set(self, name: str, value: int) -> None:
        self._connection.execute("INSERT OR REPLACE INTO fact VALUES (?, ?)", (name, value))


def _answer(row: sqlite3.Row) -> Answer:
    try:
        command = decoder(Command).decode(row["command"])
        result = msgspec.json.decode(row["result"])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise StateError("state.corrupt", "a command that can't be read") from None
    return Answer(
        Signed(command, row["sha256"]),
        *(row["code"], result, row["attachment"], row["answered"], row["restarted"]),
    )
