"""The archive, as everything at the centre sees it: SQLite for one machine, PostgreSQL for a fleet.

Every envelope and gap record verbatim, once. Methods block; an object belongs to one thread. All raise `StateError`.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Protocol

import msgspec

from edged.uplink.receipts import ReceiptRange, Refusal
from edged.uplink.replay import Span
from edged.uplink.streams import Alarm

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from edged.uplink.intake import Checked
    from edged.uplink.replay import Place, StreamExtent
    from edged.uplink.streams import Hole, ReceiverLedger


class Answer(msgspec.Struct, frozen=True):
    """What to sign for one device after a batch. Duplicates are in it again: that heals a lost receipt."""

    device: str
    ranges: tuple[ReceiptRange, ...]
    gaps: tuple[str, ...]
    """SHA-256 of gap records."""
    refused: tuple[Refusal, ...]


class Archived(msgspec.Struct, frozen=True):
    """What became of one batch."""

    stored: int
    duplicates: int
    gaps: int
    """Gap records that are new."""
    alarms: tuple[Alarm, ...]
    answers: tuple[Answer, ...]
    """One or more for each device that has anything; none has more than fits into one receipt."""


class Row(msgspec.Struct, frozen=True):
    """One envelope of the archive."""

    device: str
    log_id: str
    audience: str
    seq: int
    sha256: str
    received_at: datetime
    jws: str | None
    """None once retention has taken the body; number and hash stay."""


class Page(msgspec.Struct, frozen=True):
    """One answer to a replay request, before it is signed."""

    messages: tuple[str, ...]
    """Envelopes and gap records, verbatim."""
    more: tuple[Span, ...]


class Archive(Protocol):
    """One connection to the archive of one fleet."""

    def store(self, checked: Sequence[Checked], now: datetime) -> Archived:
        """Place a batch that `edged.uplink.intake.check` has looked at; all on the disk when this returns."""

    def holes(self, limit: int = 1000) -> list[Hole]:
        """What is missing below the highest number of each stream, and no gap record accounts for."""

    def alarms(self) -> list[Alarm]:
        """Everything that was refused and why, oldest first."""

    def ledger(self) -> ReceiverLedger:
        """Every stream, number by number: for proofs over archives that fit into memory."""

    def page(self, audience: str, spans: Sequence[Span], limit: int) -> Page:
        """At most `limit` stored messages of `audience` in `spans`, by span, in order of number."""

    def streams(self, audience: str, after: Place | None, limit: int) -> tuple[list[StreamExtent], bool]:
        """`audience`'s streams after a place, by (device, log_id); and whether there are more."""

    def rows(self, *, audience: str | None, since: datetime | None, until: datetime | None) -> Iterator[Row]:
        """Envelopes received in [since, until), in order of arrival, read in portions."""

    def forget(self, audience: str, before: datetime, limit: int, now: datetime) -> int:
        """Retention: drop the bodies of at most `limit` envelopes of `audience` received before then; how many."""

    def close(self) -> None:
        """Release the connection."""
