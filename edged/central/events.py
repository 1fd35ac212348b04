"""What a collector tells: plain data, printed as a line of words or of JSON. Nothing in it is of a document."""

from __future__ import annotations

import msgspec

from edged.central.retention import RetentionEvent
from edged.uplink.subscription import SubscriptionEvent


class Batch(msgspec.Struct, frozen=True, tag="batch", tag_field="event"):
    """Messages archived, and what was no news. Of several batches together: `seconds` in which they came."""

    stored: int
    duplicates: int
    refused: int
    gaps: int = 0
    """Gap records that are new."""
    seconds: float = 0.0


class ReceiptRefused(msgspec.Struct, frozen=True, tag="receipt_refused", tag_field="event"):
    """The broker refused a receipt; the device will send again and be receipted again."""

    device: str
    code: str


class Replayed(msgspec.Struct, frozen=True, tag="replayed", tag_field="event"):
    """A page of stored messages was sent to `audience`; `more`: its spans weren't finished by it."""

    audience: str
    sent: int
    more: bool


class ReplayFailed(msgspec.Struct, frozen=True, tag="replay_failed", tag_field="event"):
    """A request of `audience` got no answer, or not all of it; it asks again."""

    audience: str
    code: str


class AlarmCommandFailed(msgspec.Struct, frozen=True, tag="alarm_command_failed", tag_field="event"):
    """The configured command for alarms didn't do its work; the alarms themselves are in the archive."""

    code: str
    status: int | None
    """Its exit status, where it had one."""


CollectorEvent = (
    SubscriptionEvent | Batch | ReceiptRefused | Replayed | ReplayFailed | AlarmCommandFailed | RetentionEvent
)
