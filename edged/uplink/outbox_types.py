"""What the state database gives and takes: plain values, no SQL."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final, Literal

import msgspec

DATABASE_FILE: Final = "state.sqlite"
"""The state database's name within the state directory."""


class RetryPolicy(msgspec.Struct, frozen=True):
    """How long an envelope waits before it is published again, in seconds; every wait doubles the last."""

    receipt_s: float = 30.0
    """After a PUBACK, for the collector's receipt."""
    refused_s: float = 60.0
    """After the broker said no: it will most likely say no again until somebody changes its settings."""
    bound_s: float = 3600.0
    """The longest wait of all."""

    def wait(self, first_s: float, attempts: int) -> timedelta:
        """The wait after `attempts` publications (the first is 1)."""
        doubled = first_s * 2.0 ** min(
            attempts - 1, 30
        )  # 30 doublings exceed any bound; more overflow a float
        return timedelta(seconds=min(doubled, self.bound_s))


class Bounds(msgspec.Struct, frozen=True, kw_only=True):
    """How much the box keeps, and how long."""

    max_bytes: int = 1 << 30
    """Of bodies (pending and dead) together: some 800 000 verdicts, years of a counter that never gets online."""
    max_age: timedelta = timedelta(days=180)
    """A verdict that nobody has fetched for half a year isn't waited for any more."""
    ledger: timedelta = timedelta(days=90)
    """How long the ledger remembers a receipted envelope (its number and hash; the body goes with the receipt)."""


class Finality(msgspec.Struct, frozen=True, kw_only=True):
    """After how many refusals in a row an envelope is a dead letter."""

    final_tries: int = 3
    """For what the broker says of this very message (`FINAL_CODES`)."""
    patient_tries: int = 24
    """For what may be mended at the broker, and then only after `patient` as well."""
    patient: timedelta = timedelta(hours=12)
    collector_tries: int = 3
    """For the collector, which refuses only what it will never store."""


FINAL_CODES: Final = frozenset(
    {"mqtt.packet_too_large", "mqtt.payload_format_invalid", "mqtt.topic_name_invalid"}
)
"""MQTT 5 reasons 0x95, 0x99 and 0x90: sending the same again can't help."""

PASSING_CODES: Final = frozenset({"mqtt.quota_exceeded", "mqtt.packet_identifier_in_use"})
"""0x97 and 0x91 say nothing of the message: a broker that is full for a week must not make a week's verdicts dead."""

DEFAULT_RETRY: Final = RetryPolicy()
DEFAULT_BOUNDS: Final = Bounds()
DEFAULT_FINALITY: Final = Finality()


class Due(msgspec.Struct, frozen=True):
    """An envelope whose time to be published has come."""

    id: int
    inspection: str
    audience: str
    seq: int
    sha256: str
    jws: str
    committed_at: datetime
    attempts: int
    log_id: str


class DueGap(msgspec.Struct, frozen=True):
    """A sealed gap record whose time to be published has come."""

    id: int
    audience: str
    log_id: str
    sha256: str
    jws: str
    attempts: int


class Look(msgspec.Struct, frozen=True):
    """What may be published now, without what is in flight."""

    live: list[Due]
    """Never tried and committed since the watermark: newest first."""
    backlog: list[Due]
    """Everything else that is due: by the time at which it fell due, then by age."""
    gaps: list[DueGap]
    drafts: bool
    """Whether gap records wait for `seal_gaps`."""
    wait_s: float | None
    """Seconds (more than 0) until more falls due; None when nothing will by itself. What is due already and found
    no room above doesn't count: look again when there is room."""


class Counts(msgspec.Struct, frozen=True):
    """How many envelopes stand where. `pending` is committed and still to be delivered; `refused` is a part of it."""

    committed: int
    published: int
    receipted: int
    pending: int
    refused: int
    last_refusal: str | None
    """Reason code of a refused envelope that is still pending."""
    dead: int = 0
    """Refused for good; their bodies are kept, and an operator may retry them."""
    lost: int = 0
    """Pushed out by the bounds and never receipted."""
    bytes_pending: int = 0
    bytes_dead: int = 0
    gaps_pending: int = 0
    """Gap records without a receipt, those not sealed yet included."""
    oldest_pending: datetime | None = None
    """When the pending envelope that was committed first was committed, by the clock of then."""


class ReceiptOutcome(msgspec.Struct, frozen=True):
    """What a verified receipt did: envelopes it let us forget, and why ranges of it were refused."""

    receipted: tuple[int, ...]
    """Ids newly receipted."""
    refused: tuple[str, ...]
    """Reason codes, one for each range that doesn't agree with our ledger."""
    gaps: tuple[int, ...] = ()
    """Ids of gap records newly receipted."""
    refusals: tuple[tuple[int, str], ...] = ()
    """(id, code) of pending envelopes that the collector refuses."""
    dead: tuple[int, ...] = ()
    """Ids of those of them that are dead letters now."""


class SentEnvelope(msgspec.Struct, frozen=True):
    """One envelope in the ledger."""

    seq: int
    sha256: str
    published: bool
    receipted: bool
    state: Literal["pending", "receipted", "dead", "lost"] = "pending"


class DeadLetter(msgspec.Struct, frozen=True):
    """An envelope refused for good. Its body (`jws`) is only read for export."""

    id: int
    log_id: str
    audience: str
    seq: int
    sha256: str
    size: int
    committed_at: datetime
    refused_by: Literal["broker", "collector"]
    code: str
    refusals: int


class Tidied(msgspec.Struct, frozen=True):
    """What a tidying did."""

    lost: int
    """Envelopes pushed out."""
    pruned: int
    """Rows of the ledger forgotten."""
    more: bool
    """Whether there is more to be done: call again."""


class GapLine(msgspec.Struct, frozen=True):
    """A gap record that no receipt has named yet."""

    log_id: str
    audience: str
    first: int
    last: int | None
    reason: str
    code: str | None
    made_at: datetime
    stage: Literal["draft", "signed", "published"]


class OutboxReport(msgspec.Struct, frozen=True):
    """How the outbox stands, for whoever looks from outside."""

    device: str
    log_id: str
    counts: Counts
    file_bytes: int
    """Of the database and its write-ahead log."""
    gaps: tuple[GapLine, ...]
    """Oldest first, at most `outbox_report.MAX_GAP_LINES`."""
    recovered_at: datetime | None
    """When a broken database was replaced by this one."""
    recovered_from: str | None
    """Name of the file that was set aside then."""
    set_aside: tuple[str, ...]
    """Names of the broken databases that are still kept."""
