"""What a box says about itself: the retained status topic, the daemon's health, and events of the uplink."""

from __future__ import annotations

from typing import Literal

import msgspec

from edged.uplink.gaps import GapReason


class Status(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The retained message on `…/{device}/status`. Unsigned, so nothing is decided on it; holds no identity.

    The numbers are null in an `offline` that the broker speaks for a box that vanished: nobody counted.
    """

    state: Literal["online", "offline"]
    device: str
    log_id: str
    software_version: str
    config_version: str
    pending: int | None = None
    """Envelopes committed and not yet receipted."""
    refused: int | None = None
    """Those of them that the broker has refused."""
    last_refusal: str | None = None
    """Why, as a code of the message catalogue."""
    receipts_refused: int | None = None
    """Receipts, since the daemon's start, that were forged or don't agree with the box's ledger."""
    pending_bytes: int | None = None
    oldest_s: int | None = None
    """How many seconds ago the oldest pending envelope was committed; null when none is pending."""
    dead: int | None = None
    """Envelopes refused for good; they stay on the box until an operator decides."""
    gaps: int | None = None
    """Gap records that no receipt has named yet."""
    lost: int | None = None
    """Envelopes, ever, that bounds or a broken disk took away. Each is named by a gap record."""
    log_replaced: bool | None = None
    """Whether the database is not the box's first: an earlier one was set aside as broken."""
    clock_trusted: bool | None = None
    paused: str | None = None
    """Why the whole uplink is held back though it is connected, as a code of the message catalogue."""
    problems: int | None = None
    """Connections that failed or ended by themselves, since the daemon's start."""


class UplinkHealth(msgspec.Struct, frozen=True, kw_only=True):
    """The uplink as the daemon's status command shows it. Numbers are 0 until the disk has been asked."""

    connected: bool
    problem: str | None
    """Code of why there is no connection, or None."""
    said: str = ""
    """What broker or system said to it in words of their own, printable and bounded."""
    pending: int = 0
    pending_bytes: int = 0
    oldest_s: int | None = None
    refused: int = 0
    last_refusal: str | None = None
    dead: int = 0
    gaps: int = 0
    lost: int = 0
    log_replaced: bool = False
    clock_trusted: bool | None = None
    """None while nobody has looked."""
    paused: str | None = None
    problems: int = 0
    receipts_refused: int = 0
    last_receipt_refusal: str | None = None


class Connected(msgspec.Struct, frozen=True, tag="connected", tag_field="change"):
    """The broker has let us in."""


class Disconnected(msgspec.Struct, frozen=True, tag="disconnected", tag_field="change"):
    """A connection ended, or an attempt failed; the next one starts in `retry_s` seconds."""

    code: str
    retry_s: float


class Published(msgspec.Struct, frozen=True, tag="published", tag_field="change"):
    """The broker took an envelope. That is not durability."""

    inspection: str
    audience: str
    seq: int
    lane: Literal["live", "backlog"]


class Refused(msgspec.Struct, frozen=True, tag="refused", tag_field="change"):
    """Broker or collector refused an envelope; it is kept and tried again, slowly."""

    inspection: str
    audience: str
    seq: int
    code: str


class HeldBack(msgspec.Struct, frozen=True, tag="held_back", tag_field="change"):
    """The broker has enough for now: nothing is published for `wait_s` seconds, then one envelope asks again."""

    code: str
    wait_s: float


class DeadLettered(msgspec.Struct, frozen=True, tag="dead_lettered", tag_field="change"):
    """An envelope was refused for good. It stays on the box; a gap record tells the centre not to wait for it."""

    audience: str
    seq: int
    code: str


class GapMade(msgspec.Struct, frozen=True, tag="gap_made", tag_field="change"):
    """A gap record was signed: a run of a stream will not come. `last` is None when nobody can tell where it ends."""

    audience: str
    first: int
    last: int | None
    reason: GapReason


class Receipted(msgspec.Struct, frozen=True, tag="receipted", tag_field="change"):
    """A collector has stored `count` more envelopes."""

    count: int


class ReceiptRefused(msgspec.Struct, frozen=True, tag="receipt_refused", tag_field="change"):
    """A receipt was forged, or doesn't agree with what this box has sent; it forgot nothing."""

    code: str


UplinkEvent = (
    Connected
    | Disconnected
    | Published
    | Refused
    | HeldBack
    | DeadLettered
    | GapMade
    | Receipted
    | ReceiptRefused
)
"""What the uplink tells the daemon as it happens."""
