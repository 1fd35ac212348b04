"""What a box says about itself: the retained status topic, the daemon's health, and events of the uplink."""

from __future__ import annotations

from typing import Literal

import msgspec


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


class UplinkHealth(msgspec.Struct, frozen=True):
    """The uplink as the daemon's status command shows it."""

    connected: bool
    problem: str | None
    """Code of why there is no connection, or None."""
    pending: int
    refused: int
    last_refusal: str | None
    receipts_refused: int
    last_receipt_refusal: str | None


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
    """The broker refused an envelope; it is kept and tried again, slowly."""

    inspection: str
    audience: str
    seq: int
    code: str


class Receipted(msgspec.Struct, frozen=True, tag="receipted", tag_field="change"):
    """A collector has stored `count` more envelopes."""

    count: int


class ReceiptRefused(msgspec.Struct, frozen=True, tag="receipt_refused", tag_field="change"):
    """A receipt was forged, or doesn't agree with what this box has sent; it forgot nothing."""

    code: str


UplinkEvent = Connected | Disconnected | Published | Refused | Receipted | ReceiptRefused
"""What the uplink tells the daemon as it happens."""
