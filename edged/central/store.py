"""The archive: every envelope verbatim, once, and the receipts that follow from it."""

from __future__ import annotations

from collections import defaultdict
from itertools import groupby
from typing import TYPE_CHECKING

import msgspec

from edged.uplink import intake
from edged.uplink.receipts import MAX_ENTRIES, ReceiptRange, range_sha256
from edged.uplink.streams import (
    Alarm,
    Duplicate,
    Hole,
    ReceiverLedger,
    RefusedAs,
    Stored,
    StreamStore,
    ledger,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime
    from pathlib import Path

    from edged.uplink.envelope import OpenedEnvelope
    from edged.uplink.intake import Incoming
    from edged.uplink.roles import TrustAnchor

__all__ = ["Alarm", "Archive", "Archived", "Hole", "ReceiverLedger", "ledger"]


class Archived(msgspec.Struct, frozen=True):
    """What became of one batch: counts, new alarms, and what to sign for each device."""

    stored: int
    duplicates: int
    alarms: tuple[Alarm, ...]
    receipts: tuple[tuple[str, tuple[ReceiptRange, ...]], ...]
    """(device, ranges), each fit for one receipt. Duplicates are receipted again: that heals a lost receipt."""


class Archive(intake.ReceivingStore):
    """The collector's database."""

    @classmethod
    def open(cls, path: Path, anchor: TrustAnchor) -> Archive:
        """Open or create the archive of `anchor`'s fleet. Raises `StateError`."""
        return cls(StreamStore.open(path), anchor)

    def store(self, messages: Sequence[Incoming], now: datetime) -> Archived:
        """Verify and archive a batch; on the disk when this returns. Raises `StateError`."""
        taken = intake.take(
            self._store,
            messages,
            anchor=self._anchor,
            now=now,
            body=lambda message, _: message.payload.decode("ascii"),
        )
        kept = [one.opened for one in taken if one.opened and not isinstance(one.outcome, RefusedAs)]
        return Archived(
            stored=sum(isinstance(one.outcome, Stored) for one in taken),
            duplicates=sum(isinstance(one.outcome, Duplicate) for one in taken),
            alarms=tuple(one.alarm for one in taken if one.alarm),
            receipts=receipts(kept),
        )


def receipts(kept: Iterable[OpenedEnvelope]) -> tuple[tuple[str, tuple[ReceiptRange, ...]], ...]:
    """What to sign for a batch: per device the runs of consecutive numbers of each stream, with their hashes."""
    streams: dict[tuple[str, str, str], dict[int, str]] = defaultdict(dict)
    for opened in kept:
        payload = opened.payload
        streams[payload.iss, payload.log_id, payload.audience][payload.seq] = opened.sha256
    ranges: dict[str, list[ReceiptRange]] = defaultdict(list)
    for (device, log_id, audience), hashes in sorted(streams.items()):
        # In a run of consecutive numbers, number minus index stays the same.
        for _, run in groupby(enumerate(sorted(hashes)), key=lambda pair: pair[1] - pair[0]):
            numbers = [number for _, number in run]
            digest = range_sha256(hashes[number] for number in numbers)
            ranges[device].append(ReceiptRange(log_id, audience, numbers[0], numbers[-1], digest))
    return tuple(
        (device, tuple(found[start : start + MAX_ENTRIES]))
        for device, found in ranges.items()
        for start in range(0, len(found), MAX_ENTRIES)
    )
