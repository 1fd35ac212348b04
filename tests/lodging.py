"""A guest, a recipient and a desk, for the tests of lodging."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.asymmetric import ec

from edged.clock import ClockReading
from edged.errors import StateError
from edged.journal.database import JOURNAL_FILE, Journal
from edged.lodging.desk import LodgingDesk
from edged.lodging.figures import Figures
from edged.privacy.held import HeldFields
from edged.privacy.policy import RecordPolicy
from edged.uplink.database import DatabaseThread
from edged.uplink.envelope import PolicyMark
from edged.uplink.record_reply import RecordReply
from tests.trust_support import FLEET, NOW, draft

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from edged.uplink.envelope import EnvelopeDraft

RECIPIENT = ec.generate_private_key(ec.SECP256R1())
POLICY = RecordPolicy("lodging", completion_s=300.0, deadline_h=24.0)
MARK = PolicyMark("hotel-stay", "1", "a" * 64)

PASSPORT = {
    "document_class": "passport",
    "document_code": "P",
    "issuing_state": "D",
    "document_number": "C01X00T478",
    "surname": "MUSTERMANNCANARY",
    "given_names": "ERIKACANARY",
    "nationality": "D",
    "sex": "F",
    "birth_date": "1974-08-12",
    "expiry_date": "2030-01-01",
}

TODAY = NOW.astimezone().date()

TYPED = {
    "visa_kind": "touristcanary",
    "stay_until": "2026-12-20",
    "entry_date": "2026-11-20",
    "entry_port": "pudongcanary",
    "stay_reason": "sightseeingcanary",
    "coming_from": "beijingcanary",
    "going_to": "suzhoucanary",
    "arrival_date": TODAY.isoformat(),
    "departure_date": (TODAY + timedelta(days=2)).isoformat(),
    "room": "room1203canary",
}


def held(**changes: str | None) -> HeldFields:
    values: dict[str, str | None] = {**PASSPORT, **changes}
    return HeldFields({name: value for name, value in values.items() if value is not None}, {})


def verdict(**changes: Any) -> EnvelopeDraft:
    return draft(
        **({"audience": "police", "scene": "hotel", "policy": MARK, "reference": "stay-1"} | changes)
    )


def reply(record_id: str, **changes: Any) -> RecordReply:
    at = int(NOW.timestamp()) + 60
    content: dict[str, Any] = {
        "iss": "police",
        "fleet": FLEET,
        "device": "box-1",
        "record_id": record_id,
        "verdict": "accepted",
        "fields": (),
        "iat": at,
        "received_at": at,
    }
    return RecordReply(**(content | changes))


@dataclass
class Bench:
    """A desk with clocks that the test turns, and what came out of it."""

    journal: DatabaseThread[Journal]
    path: Path
    now: datetime = NOW
    trusted: bool = True
    steady: float = 1000.0
    committed: list[EnvelopeDraft] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    fails: list[BaseException] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.desk = LodgingDesk(
            self.journal,
            self.commit,
            fleet=FLEET,
            device="box-1",
            clock=self.clock,
            steady=lambda: self.steady,
            notify=lambda event: self.events.append(dict(event)),
        )
        self.figures = Figures(self.journal, clock=self.clock, recipients=lambda: ["police"])

    async def clock(self) -> ClockReading:
        return ClockReading(self.now, self.trusted, self.now.date())

    async def commit(self, made: EnvelopeDraft) -> None:
        if self.fails:
            raise self.fails.pop(0)
        self.committed.append(made)

    async def open(self, fields: HeldFields | None = None, **changes: Any) -> str:
        record_id = await self.desk.opened(
            verdict(**changes),
            fields or held(),
            POLICY,
            RECIPIENT.public_key(),
            host="Grand Hotel",
            reading=await self.clock(),
        )
        assert record_id is not None
        return record_id

    async def seal(self, **typed: str) -> str:
        record_id = await self.open()
        told = await self.desk.complete({"record_id": record_id, "fields": TYPED | typed})
        assert told["state"] == "sealed", told
        return record_id


@contextlib.asynccontextmanager
async def bench(directory: Path) -> AsyncIterator[Bench]:
    path = directory / JOURNAL_FILE
    journal = await DatabaseThread.open("journal", lambda: Journal(path))
    try:
        yield Bench(journal, path)
    finally:
        await journal.close()


DISK_FULL = StateError("state.disk_full")
