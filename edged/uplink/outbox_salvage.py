"""A new state database out of what can be read of a broken one.

Envelopes are carried over verbatim under the log they were signed in; numbers that existed and can't be read get a gap
record. Everything is checked against its own hash and form first: a torn page must not make things up.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, TypeVar

import msgspec

from edged.errors import StateError
from edged.uplink import outbox_gaps
from edged.uplink.database import to_ms, transaction
from edged.uplink.fields import Code, Name, Seq, Sha256, Token, Word
from edged.uplink.outbox_pages import Pages
from edged.uplink.outbox_schema import ENVELOPE_COLUMNS, FIRST_ENVELOPE_COLUMNS, GAP_COLUMNS, STREAM_COLUMNS

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Collection
    from pathlib import Path

UNKNOWN_LOG: Final = "unknown"
"""Names the log in gap records when nothing that could be read says which it was."""

_META: Final = frozenset({"device", "log_id", "last_commit", "last_receipt"})
_PLAUSIBLE: Final = 1 << 53
"""Times in milliseconds and other numbers beyond it were never written by us."""

Count = Annotated[int, msgspec.Meta(ge=0, le=_PLAUSIBLE)]
Stamp = Annotated[
    int,
    msgspec.Meta(ge=to_ms(datetime.min.replace(tzinfo=UTC)), le=to_ms(datetime.max.replace(tzinfo=UTC))),
]
Id = Annotated[int, msgspec.Meta(ge=1, le=_PLAUSIBLE)]


class _Envelope(msgspec.Struct, kw_only=True):
    id: Id
    inspection: str
    log_id: Token
    audience: Name
    seq: Seq
    sha256: Sha256
    kind: Word
    size: Count
    state: Literal["pending", "receipted", "dead", "lost"]
    committed_at: Stamp
    aged_from: Stamp | None
    published_at: Stamp | None
    attempts: Count
    next_try: Stamp
    refused_by: Literal["broker", "collector"] | None
    refused_reason: Code | None
    refused_since: Stamp | None
    broker_refusals: Count
    collector_refusals: Count
    refused_attempt: Count | None
    receipted_at: Stamp | None
    gap: Id | None
    jws: str | None


class _FirstEnvelope(msgspec.Struct, kw_only=True):
    id: Id
    inspection: str
    audience: Name
    seq: Seq
    sha256: Sha256
    jws: str | None
    committed_at: Stamp
    published_at: Stamp | None
    attempts: Count
    next_try: Stamp
    refused_reason: Code | None
    receipted_at: Stamp | None


class _Gap(msgspec.Struct, kw_only=True):
    id: Id
    log_id: Token
    audience: Name
    first: Seq
    last: Seq | None
    reason: Literal["too_many_bytes", "too_old", "refused", "unreadable"]
    code: Code | None
    made_at: Stamp
    published_at: Stamp | None
    attempts: Count
    next_try: Stamp
    refused_reason: Code | None
    receipted_at: Stamp | None
    sha256: Sha256 | None
    jws: str | None


class _Stream(msgspec.Struct, kw_only=True):
    log_id: Token
    audience: Name
    next_seq: Seq
    prev: Sha256 | None
    pruned: Count


class Salvaged(msgspec.Struct, frozen=True):
    """What came over into the new database."""

    pending: int
    ledger: int
    """Envelopes of whatever state, the pending ones among them."""
    gaps: int
    """Gap records made because of what couldn't be read."""
    log_known: bool
    """Whether the old log's name could be read."""


R = TypeVar("R", bound=msgspec.Struct)


class Salvage:
    """Fills an empty, new database (`connection`) in one transaction; `run` once."""

    def __init__(self, connection: sqlite3.Connection, device: str, moment: int) -> None:
        self._connection = connection
        self._device = device
        self._moment = moment
        self._meta: dict[str, str] = {}
        self._streams: dict[tuple[str, str], _Stream] = {}
        self._newest = (0, "")

    def run(self, source: Path, audiences: Collection[str]) -> Salvaged:
        """Carry over what `source` (and its write-ahead log) holds. Raises `StateError` (`state.other_device` too)."""
        pages = Pages(source)
        try:
            with transaction(self._connection):
                for rowid, columns in pages.rows():
                    self._take(rowid, columns)
                self._check_device(source)
                log_id = self._name_log()
                made = self._tell_missing(log_id, audiences) + self._mend_references()
                self._keep_clock()
                pending, ledger = self._connection.execute("SELECT pending, committed FROM tally").fetchone()
        finally:
            pages.close()
        return Salvaged(pending, ledger, made, log_id != UNKNOWN_LOG)

    # --- rows ---

    def _take(self, rowid: int, columns: list[Any]) -> None:
        match len(columns):
            case 23 if (envelope := _convert(ENVELOPE_COLUMNS, [rowid, *columns[1:]], _Envelope)) is not None:
                if envelope.jws is None or _name_of(envelope.jws) == envelope.sha256:
                    self._insert("envelope", envelope)
                    self._newest = max(self._newest, (envelope.id, envelope.log_id))
            case 12 if (
                first := _convert(FIRST_ENVELOPE_COLUMNS, [rowid, *columns[1:]], _FirstEnvelope)
            ) is not None:
                if first.jws is None or _name_of(first.jws) == first.sha256:
                    self._insert("envelope", _of_first(first))
                    self._newest = max(self._newest, (first.id, _log_of(first.jws)))
            case 15 if (gap := _convert(GAP_COLUMNS, [rowid, *columns[1:]], _Gap)) is not None:
                if gap.jws is None or _name_of(gap.jws) == gap.sha256:
                    self._insert("gap", gap)
            case 5 if (stream := _convert(STREAM_COLUMNS, columns, _Stream)) is not None:
                self._streams[stream.log_id, stream.audience] = stream
            case 2 if columns[0] in _META and isinstance(columns[1], str):
                self._meta[columns[0]] = columns[1]
            case _:
                pass

    def _insert(self, table: Literal["envelope", "gap"], row: msgspec.Struct) -> None:
        names = row.__struct_fields__
        values = [getattr(row, name) for name in names]
        marks = ", ".join("?" * len(names))
        # Names of our own columns. OR IGNORE: a place or number that is taken, or a row that no table of ours allows.
        self._connection.execute(
            f"INSERT OR IGNORE INTO {table} ({', '.join(names)}) VALUES ({marks})",  # noqa: S608
            values,
        )

    # --- what the rows say together ---

    def _check_device(self, source: Path) -> None:
        if self._meta.get("device", self._device) != self._device:
            raise StateError("state.other_device", str(source))

    def _name_log(self) -> str:
        """The old log's name. Rows of the first release don't carry it: their bodies do, and all are of one log."""
        signed = self._connection.execute(
            "SELECT jws FROM envelope WHERE log_id = ? AND jws IS NOT NULL", (UNKNOWN_LOG,)
        )
        of_bodies = next(filter(None, (_log_of(row["jws"]) for row in signed)), "")
        meant = self._meta.get("log_id", "") or self._newest[1] or of_bodies
        log_id = meant if _is_token(meant) else UNKNOWN_LOG
        self._connection.execute("UPDATE envelope SET log_id = ? WHERE log_id = ?", (log_id, UNKNOWN_LOG))
        return log_id

    def _tell_missing(self, log_id: str, audiences: Collection[str]) -> int:
        """Gap records for every number that existed and isn't here; where the end isn't known, for all after it."""
        found = {
            (row["log_id"], row["audience"])
            for row in self._connection.execute("SELECT DISTINCT log_id, audience FROM envelope")
        }
        if all(key[0] != log_id for key in self._streams):
            found |= {(log_id, audience) for audience in audiences}
        made = 0
        for key in sorted(found | self._streams.keys()):
            stream = self._streams.get(key)
            expected = 1 + (stream.pruned if stream else 0)
            rows = self._connection.execute(
                "SELECT seq FROM envelope WHERE log_id = ? AND audience = ? ORDER BY seq", key
            )
            missing: list[tuple[int, int | None]] = []
            for row in rows:
                if row["seq"] > expected:
                    missing.append((expected, row["seq"] - 1))
                expected = row["seq"] + 1
            if stream is None:
                missing.append((expected, None))
            elif stream.next_seq > expected:
                missing.append((expected, stream.next_seq - 1))
            for first, last in missing:
                self._note(key[0], key[1], first, last, "unreadable", None)
            made += len(missing)
            end = max(expected, stream.next_seq if stream else 1)
            self._connection.execute(
                "INSERT INTO stream VALUES (?, ?, ?, ?, ?)",
                (*key, end, stream.prev if stream else None, stream.pruned if stream else 0),
            )
        return made

    def _mend_references(self) -> int:
        """A dead or lost envelope whose gap record is gone gets another one."""
        rows = self._connection.execute(
            "SELECT id, log_id, audience, seq, state, refused_reason FROM envelope"
            " WHERE gap IS NOT NULL AND gap NOT IN (SELECT id FROM gap)"
        ).fetchall()
        made = 0
        for row in rows:
            gap = None
            if row["state"] in ("dead", "lost"):
                code = row["refused_reason"] if row["state"] == "dead" else None
                reason: Literal["refused", "unreadable"] = "unreadable" if code is None else "refused"
                gap = self._note(row["log_id"], row["audience"], row["seq"], row["seq"], reason, code)
                made += 1
            self._connection.execute("UPDATE envelope SET gap = ? WHERE id = ?", (gap, row["id"]))
        return made

    def _note(
        self,
        log_id: str,
        audience: str,
        first: int,
        last: int | None,
        reason: Literal["refused", "unreadable"],
        code: str | None,
    ) -> int:
        return outbox_gaps.note(
            self._connection, log_id, audience, first, last, reason=reason, code=code, moment=self._moment
        )

    def _keep_clock(self) -> None:
        """The clock's floors; where they can't be read, the latest commit under a trusted clock."""
        latest = self._connection.execute("SELECT max(aged_from) FROM envelope").fetchone()[0]
        floors = {"last_commit": latest, "last_receipt": None}
        for key in floors:
            kept = self._meta.get(key, "")
            if (moment := _moment_of(kept)) is not None:
                floors[key] = moment
        self._connection.executemany(
            "INSERT INTO meta VALUES (?, ?)",
            [(key, str(value)) for key, value in floors.items() if value is not None],
        )


def _convert(names: tuple[str, ...], values: list[Any], model: type[R]) -> R | None:
    try:
        return msgspec.convert(dict(zip(names, values, strict=True)), model)
    except msgspec.ValidationError:
        return None


def _of_first(row: _FirstEnvelope) -> _Envelope:
    """A row of the first release, as `edged.uplink.outbox_schema` would have taken it over."""
    refused = row.refused_reason is not None
    return _Envelope(
        id=row.id,
        inspection=row.inspection,
        log_id=_log_of(row.jws) or UNKNOWN_LOG,
        audience=row.audience,
        seq=row.seq,
        sha256=row.sha256,
        kind="live",
        size=len(row.jws or ""),
        state="pending" if row.receipted_at is None else "receipted",
        committed_at=row.committed_at,
        aged_from=None,
        published_at=row.published_at,
        attempts=row.attempts,
        next_try=row.next_try,
        refused_by="broker" if refused else None,
        refused_reason=row.refused_reason,
        refused_since=row.committed_at if refused else None,
        broker_refusals=int(refused),
        collector_refusals=0,
        refused_attempt=None,
        receipted_at=row.receipted_at,
        gap=None,
        jws=row.jws,
    )


def _moment_of(text: str) -> int | None:
    try:
        return msgspec.convert(text, Stamp, strict=False)
    except msgspec.ValidationError:
        return None


def _name_of(jws: str) -> str:
    return hashlib.sha256(jws.encode()).hexdigest()


def _is_token(text: str) -> bool:
    try:
        msgspec.convert(text, Token)
    except msgspec.ValidationError:
        return False
    return True


def _log_of(jws: str | None) -> str:
    """The log that an envelope of ours (its hash was just compared) says it is of; "" when it can't be told."""
    try:
        part = (jws or "").split(".")[1]
        payload = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
        found = payload["log_id"]
    except (IndexError, ValueError, binascii.Error, KeyError, TypeError, RecursionError):
        return ""
    return found if isinstance(found, str) and _is_token(found) else ""
