"""Looking at the state database, from within the daemon or, read only, from another process beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

from edged.errors import StateError
from edged.uplink import database, outbox_aside, outbox_lanes, outbox_refusals, outbox_schema
from edged.uplink.database import StreamKey, from_ms, translated
from edged.uplink.outbox_types import Counts, DeadLetter, GapLine, OutboxReport, SentEnvelope

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator
    from datetime import datetime
    from pathlib import Path

_OLDEST: Final = (
    "SELECT committed_at FROM envelope INDEXED BY losses"
    " WHERE state IN ('pending', 'dead') AND loss_rank = ? ORDER BY id LIMIT 1"
)
_LAST_REFUSAL: Final = (
    "SELECT refused_reason FROM envelope INDEXED BY refused"
    " WHERE state = 'pending' AND refused_reason IS NOT NULL ORDER BY refused_reason DESC LIMIT 1"
)
_GAPS: Final = "SELECT * FROM gap WHERE receipted_at IS NULL ORDER BY id LIMIT ?"
_DEAD_BODIES: Final = (
    "SELECT jws, sha256 FROM envelope INDEXED BY losses"
    " WHERE state IN ('pending', 'dead') AND loss_rank = 0 ORDER BY id"
)
MAX_GAP_LINES: Final = 200
"""More than anyone reads; `counts` has the number of all."""

_PENDING_RANKS: Final = (1, 2, 3)


def counts(connection: sqlite3.Connection) -> Counts:
    """See `StateDatabase.counts`."""
    tally = connection.execute("SELECT * FROM tally").fetchone()
    refusal = connection.execute(_LAST_REFUSAL).fetchone()
    return Counts(
        committed=tally["committed"],
        published=tally["published"],
        receipted=tally["receipted"],
        pending=tally["pending"],
        refused=tally["refused"],
        last_refusal=refusal["refused_reason"] if refusal else None,
        dead=tally["dead"],
        lost=tally["lost"],
        bytes_pending=tally["bytes_pending"],
        bytes_dead=tally["bytes_dead"],
        gaps_pending=tally["gaps_pending"],
        oldest_pending=_oldest(connection),
    )


def _oldest(connection: sqlite3.Connection) -> datetime | None:
    first = [connection.execute(_OLDEST, (rank,)).fetchone() for rank in _PENDING_RANKS]
    times = [row["committed_at"] for row in first if row is not None]
    return from_ms(min(times)) if times else None


def meta(connection: sqlite3.Connection) -> dict[str, str]:
    """What the database says of itself."""
    return {row["key"]: row["value"] for row in connection.execute("SELECT key, value FROM meta")}


def connect(path: Path) -> sqlite3.Connection:
    """Open the database of this release for reading only, beside the daemon or without one.

    Raises `StateError`: `outbox.none` when there is none, `outbox.not_upgraded`, `state.newer`, `state.corrupt` and
    the like.
    """
    if not path.exists():
        raise StateError("outbox.none", str(path))
    connection = database.connect_reader(path)
    try:
        with translated():
            version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version != outbox_schema.VERSION:
            raise StateError("state.newer" if version > outbox_schema.VERSION else "outbox.not_upgraded")
    except BaseException:
        connection.close()
        raise
    return connection


def report(path: Path) -> OutboxReport:
    """How the outbox at `path` stands, read only. Raises `StateError` as `connect` does."""
    connection = connect(path)
    try:
        with translated():
            connection.execute("BEGIN")  # one moment for all of it
            about = meta(connection)
            found = counts(connection)
            gaps = tuple(_gap_line(row) for row in connection.execute(_GAPS, (MAX_GAP_LINES,)))
    finally:
        connection.close()
    recovered = about.get("recovered_at")
    return OutboxReport(
        device=about["device"],
        log_id=about["log_id"],
        counts=found,
        file_bytes=sum(file.stat().st_size for file in (path, outbox_aside.log_path(path)) if file.exists()),
        gaps=gaps,
        recovered_at=None if recovered is None else from_ms(int(recovered)),
        recovered_from=about.get("recovered_from"),
        set_aside=tuple(file.name for file in outbox_aside.kept(path)),
    )


def dead_letters(path: Path) -> list[DeadLetter]:
    """Dead letters of the outbox at `path`, oldest first, read only. Raises `StateError` as `connect` does."""
    connection = connect(path)
    try:
        with translated():
            return outbox_refusals.dead(connection, -1)
    finally:
        connection.close()


def dead_bodies(path: Path) -> Iterator[str]:
    """The bodies of the dead letters, oldest first, read only and a page at a time. Raises `StateError`."""
    connection = connect(path)
    try:
        with translated():
            for row in connection.execute(_DEAD_BODIES):
                outbox_lanes.check_body(row)
                yield row["jws"]
    finally:
        connection.close()


def _gap_line(row: sqlite3.Row) -> GapLine:
    stage: Literal["draft", "signed", "published"] = "draft" if row["jws"] is None else "signed"
    return GapLine(
        row["log_id"],
        row["audience"],
        row["first"],
        row["last"],
        row["reason"],
        row["code"],
        from_ms(row["made_at"]),
        stage if row["published_at"] is None else "published",
    )


def ledger(path: Path) -> dict[StreamKey, tuple[SentEnvelope, ...]]:
    """`StateDatabase.ledger` of another process's database, read only. Raises `StateError`."""
    connection = database.connect_reader(path)
    try:
        with translated():
            device = meta(connection)["device"]
        return ledger_of(connection, device)
    finally:
        connection.close()


def ledger_of(connection: sqlite3.Connection, device: str) -> dict[StreamKey, tuple[SentEnvelope, ...]]:
    """See `StateDatabase.ledger`."""
    streams: dict[StreamKey, list[SentEnvelope]] = {}
    with translated():
        for row in connection.execute(
            "SELECT log_id, audience, seq, sha256, published_at IS NOT NULL AS published, state"
            " FROM envelope ORDER BY log_id, audience, seq"
        ):
            sent = SentEnvelope(
                row["seq"],
                row["sha256"],
                bool(row["published"]),
                row["state"] == "receipted",
                row["state"],
            )
            streams.setdefault((device, row["log_id"], row["audience"]), []).append(sent)
    return {key: tuple(sent) for key, sent in streams.items()}
