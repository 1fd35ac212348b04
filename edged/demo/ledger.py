"""The ledger: what became of every envelope, from the parties' own stores and from nothing else.

It balances when, for every stream, the numbers committed on the box are exactly those published, archived and
receipted, hash by hash, and every partner's copy of its stream is whole from the first number to the last; and
when the box has kept at least as many envelopes as its answers to the presses of scan said.
"""

from __future__ import annotations

import contextlib
import sqlite3
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edged.central.archive import open_reader
from edged.errors import StateError
from edged.uplink.outbox import ledger as box_ledger
from edged.uplink.streams import ledger as receiver_ledger

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from edged.uplink.streams import ReceiverLedger


@dataclass(frozen=True)
class StreamLedger:
    """One stream as its parties have it. `received` is None where no partner of the demo follows it."""

    audience: str
    committed: int
    published: int
    archived: int
    receipted: int
    received: int | None
    duplicates: int
    holes: int
    balanced: bool


@dataclass(frozen=True)
class Ledger:
    """All streams of the box, and the alarms that collector and partners raised."""

    streams: tuple[StreamLedger, ...]
    alarms: int
    reported: int
    """Envelopes that the box said it had committed, in its answers. A box that was killed may have more."""

    @property
    def committed(self) -> int:
        """Envelopes that the box has kept."""
        return sum(stream.committed for stream in self.streams)

    @property
    def balanced(self) -> bool:
        """Whether nothing is lost, doubled or alarming anywhere. Nothing at all balances if nothing was reported."""
        whole = all(stream.balanced for stream in self.streams)
        return whole and not self.alarms and self.committed >= self.reported


def read_ledger(box: Path, archive: Path, partners: Mapping[str, Path], *, reported: int) -> Ledger:
    """Read every party's database (read-only). Raises `StateError` when one can't be read."""
    try:
        return _read(box, archive, partners, reported)
    except sqlite3.OperationalError as error:  # a party that has just made its file has no tables yet
        raise StateError("state.unusable") from error


def _archived(archive: Path) -> ReceiverLedger:
    with contextlib.closing(open_reader(str(archive))) as reader:
        return reader.ledger()


def _read(box: Path, archive: Path, partners: Mapping[str, Path], reported: int) -> Ledger:
    sent = box_ledger(box)
    archived = _archived(archive)
    received = {name: receiver_ledger(path) for name, path in partners.items()}
    streams = []
    for key in sorted(sent, key=lambda key: key[2]):
        rows = sent[key]
        hashes = {row.seq: row.sha256 for row in rows}
        kept = archived.streams.get(key)
        archive_hashes = kept.hashes if kept else {}
        partner = received[key[2]].streams.get(key) if key[2] in received else None
        expected = key[2] in received
        published = sum(row.published for row in rows)
        receipted = sum(row.receipted for row in rows)
        partner_hashes = partner.hashes if partner else {}
        whole = not expected or partner_hashes == hashes
        streams.append(
            StreamLedger(
                audience=key[2],
                committed=len(rows),
                published=published,
                archived=len(archive_hashes),
                receipted=receipted,
                received=len(partner_hashes) if expected else None,
                duplicates=(kept.duplicates if kept else 0) + (partner.duplicates if partner else 0),
                holes=len(hashes.keys() - partner_hashes.keys()) if expected else 0,
                balanced=whole and archive_hashes == hashes and published == receipted == len(rows),
            )
        )
    strangers = archived.streams.keys() - sent.keys()
    alarms = archived.alarms + sum(one.alarms for one in received.values())
    return Ledger(tuple(streams), alarms + len(strangers), reported)
