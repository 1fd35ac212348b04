"""A partner's own copy of its streams: what was verified, once, with a mark on what has been handed on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from edged.uplink import intake, streams
from edged.uplink.streams import Alarm, Duplicate, Hole, KeptStream, StreamStore
from edged.verdict import Kind

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from pathlib import Path

    from edged.uplink.database import StreamKey
    from edged.uplink.envelope import OpenedEnvelope
    from edged.uplink.intake import Incoming
    from edged.uplink.roles import TrustAnchor

__all__ = ["Alarm", "Hole", "Inbox", "KeptStream", "Received", "ledger"]


class Received(msgspec.Struct, frozen=True):
    """What became of one batch. Verdicts to hand on come from `Inbox.to_hand`."""

    duplicates: int
    alarms: tuple[Alarm, ...]


class Inbox(intake.ReceivingStore):
    """A partner's database."""

    def __init__(self, store: StreamStore, anchor: TrustAnchor, audience: str, *, tests: bool) -> None:
        super().__init__(store, anchor)
        self._audience = audience
        self._tests = tests

    @classmethod
    def open(cls, path: Path, anchor: TrustAnchor, audience: str, *, tests: bool) -> Inbox:
        """Open or create the inbox of `audience`. With `tests`, test and training verdicts are handed on, too.

        Raises `StateError`.
        """
        return cls(StreamStore.open(path), anchor, audience, tests=tests)

    def take(self, messages: Sequence[Incoming], now: datetime) -> Received:
        """Verify and keep a batch; on the disk when this returns. Raises `StateError`."""
        taken = intake.take(
            self._store,
            messages,
            anchor=self._anchor,
            audience=self._audience,
            now=now,
            body=_body,
            hand=lambda opened: self._tests or opened.payload.kind is Kind.LIVE,
        )
        return Received(
            duplicates=sum(isinstance(one.outcome, Duplicate) for one in taken),
            alarms=tuple(one.alarm for one in taken if one.alarm),
        )

    def to_hand(self, limit: int) -> list[tuple[int, str]]:
        """(id, JSON) of verdicts that are kept and not handed on yet, in order of arrival."""
        return self._store.to_hand(limit)

    def mark_handed(self, ids: list[int], now: datetime) -> None:
        """Note that these were handed on."""
        self._store.mark_handed(ids, now)


def _body(message: Incoming, opened: OpenedEnvelope) -> str:
    """The verified payload, and what travelled beside it."""
    return msgspec.json.encode(
        {"verdict": opened.payload, "sha256": opened.sha256, "lane": message.lane}
    ).decode()


def ledger(path: Path) -> dict[StreamKey, KeptStream]:
    """Another process's inbox by stream, read only. Raises `StateError`."""
    return streams.ledger(path).streams
