"""What the uplink knows of itself between two looks at the disk: health, status message and metrics come from it."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, Literal

import msgspec

from edged import __version__, messages
from edged.uplink.status import Status, UplinkHealth

if TYPE_CHECKING:
    from edged.uplink.outbox_types import Counts

OTHER_CODE: Final = "other"
"""In place of codes that this release's catalogue doesn't know."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Known:
    """Facts, written by the uplink's parts. `changed` is set by whoever writes one that others want to hear of.

    Attributes:
        counts: the outbox in numbers, as of the last look; None before the first.
        log_id: the database's own name.
        log_replaced: whether an earlier database was set aside as broken.
        clock_trusted: whether the box's clock may be believed; None while nobody has looked.
        connected_at: since when there is a connection; None without one.
        last_connected_at: when the last connection was made.
        connections: made since the start.
        problem: code of why there is no connection, `said` what broker or system said to it.
        problems: connections that failed or ended by themselves, by code.
        paused: code of why the whole uplink is held back.
        refused: refusals by broker and collectors, by code.
        receipts: receipts applied; `receipts_refused` those refused, by code.
    """

    def __init__(self) -> None:
        self.changed = asyncio.Event()
        self.link_changed = asyncio.Event()
        self.counts: Counts | None = None
        self.log_id = ""
        self.log_replaced = False
        self.clock_trusted: bool | None = None
        self.connected_at: datetime | None = None
        self.last_connected_at: datetime | None = None
        self.connections = 0
        self.problem: str | None = None
        self.said = ""
        self.problems: Counter[str] = Counter()
        self.paused: str | None = None
        self.refused: Counter[str] = Counter()
        self.receipts = 0
        self.receipts_refused: Counter[str] = Counter()
        self.last_receipt_refusal: str | None = None

    def connected(self, now: datetime) -> None:
        """A connection is there, and subscribed."""
        self.connected_at = self.last_connected_at = now
        self.connections += 1
        self.problem, self.said = None, ""
        self.changed.set()
        self.link_changed.set()

    def lost(self, code: str, said: str) -> None:
        """A connection ended by itself, or none could be made."""
        self.problem, self.said = code, said
        self.problems[code] += 1
        self.left()

    def left(self) -> None:
        """There is no connection."""
        self.connected_at = self.paused = None
        self.link_changed.set()

    def refuse(self, code: str) -> None:
        """Broker or collector refused a publication. A newer collector's codes count as one: labels are few."""
        self.refused[code if messages.known(code) else OTHER_CODE] += 1

    def refuse_receipt(self, code: str) -> None:
        """A receipt was forged or doesn't agree with the ledger."""
        self.receipts_refused[code] += 1
        self.last_receipt_refusal = code
        self.changed.set()

    def health(self, now: datetime) -> UplinkHealth:
        """For `edged status`."""
        health = UplinkHealth(
            connected=self.connected_at is not None,
            problem=self.problem,
            said=self.said,
            log_replaced=self.log_replaced,
            clock_trusted=self.clock_trusted,
            paused=self.paused,
            problems=self.problems.total(),
            receipts_refused=self.receipts_refused.total(),
            last_receipt_refusal=self.last_receipt_refusal,
        )
        if (counts := self.counts) is None:
            return health
        return msgspec.structs.replace(
            health,
            pending=counts.pending,
            pending_bytes=counts.bytes_pending,
            oldest_s=self.oldest_s(now),
            refused=counts.refused,
            last_refusal=counts.last_refusal,
            dead=counts.dead,
            gaps=counts.gaps_pending,
            lost=counts.lost,
        )

    def news(self) -> UplinkHealth:
        """The health without what changes by itself: that something waiting grows older is no news."""
        now = self.counts.oldest_pending if self.counts else None
        return self.health(now or _EPOCH)

    def oldest_s(self, now: datetime) -> int | None:
        """Seconds since the oldest pending envelope was committed; 0 where the clock was set back since."""
        oldest = self.counts.oldest_pending if self.counts else None
        return None if oldest is None else max(int((now - oldest).total_seconds()), 0)

    def status(
        self, state: Literal["online", "offline"] | None, *, device: str, config_version: str, now: datetime
    ) -> Status:
        """For the status topic; with None the one that the broker will speak for us: nobody counted."""
        status = Status(
            state=state or "offline",
            device=device,
            log_id=self.log_id,
            software_version=__version__,
            config_version=config_version,
        )
        if state is None or self.counts is None:
            return status
        health = self.health(now)
        return msgspec.structs.replace(
            status,
            **{name: getattr(health, name) for name in NUMBERS},
        )


NUMBERS: Final = tuple(
    name
    for name in Status.__struct_fields__
    if name not in ("state", "device", "log_id", "software_version", "config_version")
)
"""What of the health the status topic tells as well: counts and codes, never another party's words."""
