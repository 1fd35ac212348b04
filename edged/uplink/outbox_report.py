"""Looking at the state database, from within the daemon or, read only, from another process beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from edged.uplink import database
from edged.uplink.database import StreamKey, from_ms, translated
from edged.uplink.outbox_types import Counts, SentEnvelope

if TYPE_CHECKING:
    import sqlite3
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
