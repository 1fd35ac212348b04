"""An envelope's place in its stream, and its row; within the transaction that commits the inspection."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from edged.uplink.envelope import Envelope, EnvelopeDraft, StreamPosition

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable


def append(
    connection: sqlite3.Connection,
    log_id: str,
    inspection: str,
    draft: EnvelopeDraft,
    seal: Callable[[EnvelopeDraft, StreamPosition], Envelope],
    moment: int,
    *,
    clock_trusted: bool,
) -> Envelope:
    """Give `draft` the next place, have it sealed, and store it; `moment` in milliseconds since 1970."""
    key = (log_id, draft.audience)
    row = connection.execute(
        "SELECT next_seq, prev FROM stream WHERE log_id = ? AND audience = ?", key
    ).fetchone()
    position = StreamPosition(row["next_seq"], row["prev"]) if row else StreamPosition(1, None)
    envelope = seal(draft, position)
    assert (envelope.audience, envelope.seq) == (draft.audience, position.seq)
    assert envelope.sha256 == hashlib.sha256(envelope.jws.encode()).hexdigest()
    connection.execute(
        "INSERT INTO stream (log_id, audience, next_seq, prev) VALUES (?, ?, ?, ?)"
        " ON CONFLICT (log_id, audience) DO UPDATE SET next_seq = excluded.next_seq, prev = excluded.prev",
        (*key, position.seq + 1, envelope.sha256),
    )
    connection.execute(
        "INSERT INTO envelope (inspection, log_id, audience, seq, sha256, kind, size, committed_at, aged_from,"
        " next_try, jws) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            inspection,
            *key,
            position.seq,
            envelope.sha256,
            draft.kind.value,
            len(envelope.jws),
            moment,
            moment if clock_trusted else None,
            moment,
            envelope.jws,
        ),
    )
    return envelope
