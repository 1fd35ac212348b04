"""Taking what collectors say: verified, applied in one transaction, acknowledged when that is on the disk."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edged import RELEASED, log
from edged.errors import SignatureRefusedError
from edged.uplink import topics
from edged.uplink.receipts import Receipt, open_receipt
from edged.uplink.status import DeadLettered, Receipted, ReceiptRefused, Refused, UplinkEvent

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from edged.uplink.database import DatabaseThread
    from edged.uplink.known import Known
    from edged.uplink.mqtt import Connection
    from edged.uplink.mqtt_types import Received
    from edged.uplink.outbox import StateDatabase
    from edged.uplink.outbox_types import Counts, ReceiptOutcome
    from edged.uplink.roles import TrustAnchor

Place = tuple[str, str, int]
"""(inspection, audience, seq) of an envelope."""


class ReceiptTaker:
    """Applies receipts as they arrive: a rider (`edged.uplink.riding`) whose `settled` is set for each connection."""

    def __init__(
        self,
        *,
        fleet: str,
        device: str,
        state: DatabaseThread[StateDatabase],
        anchor: TrustAnchor,
        known: Known,
        clock: Callable[[], datetime],
        on_event: Callable[[UplinkEvent], None],
    ) -> None:
        self._topic = topics.receipt(fleet, device)
        self._device = device
        self._state = state
        self._anchor = anchor
        self._known = known
        self._clock = clock
        self._on_event = on_event
        self._log = log.get("uplink")

        self.settled: Callable[[], None] = lambda: None
        """Called after receipts that changed the outbox."""

    def filters(self) -> Sequence[str]:
        """The topic of this box's receipts."""
        return (self._topic,)

    def wants(self, topic: str) -> bool:
        """Receipts alone."""
        return topic == self._topic

    async def take(self, received: Sequence[Received]) -> None:
        """Verify and apply. Raises `StateError`."""
        if await self.apply([message.payload for message in received]):
            self.settled()

    async def serve(self, connection: Connection) -> None:
        """Nothing to say."""

    async def apply(self, compacts: Sequence[bytes]) -> bool:
        """Verify and apply; whether anything has changed. Refusals are counted and told. Raises `StateError`."""
        opened = await self._state.run(
            lambda database: [self._open(database, compact) for compact in compacts]
        )
        receipts = [one for one in opened if isinstance(one, Receipt)]
        for code in (one for one in opened if isinstance(one, str)):
            self._refuse(code)
        if not receipts:
            return False
        now = self._clock()

        def apply(database: StateDatabase) -> tuple[list[ReceiptOutcome], dict[int, Place], Counts]:
            outcomes = [database.apply_receipt(receipt, now) for receipt in receipts]
            refused = [identifier for outcome in outcomes for identifier, _ in outcome.refusals]
            return outcomes, database.places(refused), database.counts()

        outcomes, places, self._known.counts = await self._state.write(apply)
        for outcome in outcomes:
            self._tell(outcome, places)
        self._known.changed.set()
        return any(one.receipted or one.gaps or one.refusals for one in outcomes)

    def _open(self, database: StateDatabase, compact: bytes) -> Receipt | str:
        """In the database's thread: a receipt that holds, or the code of why it doesn't."""
        # A clock that fell back must not make a good collector's certificate "not yet valid": it can't be
        # earlier than this release, nor than the last commit or receipt we believed.
        floors = (RELEASED, database.last_commit(), database.last_receipt())
        at = max(self._clock(), *(moment for moment in floors if moment is not None))
        try:
            return open_receipt(compact, anchor=self._anchor, at=at, device=self._device)
        except SignatureRefusedError as error:
            return error.code

    def _tell(self, outcome: ReceiptOutcome, places: dict[int, Place]) -> None:
        self._known.receipts += 1
        for code in outcome.refused:
            self._refuse(code)
        if outcome.receipted:
            self._on_event(Receipted(len(outcome.receipted)))
        for identifier, code in outcome.refusals:
            inspection, audience, seq = places[identifier]
            self._known.refuse(code)
            self._log.error("refused by a collector", audience=audience, seq=seq, code=code)
            self._on_event(Refused(inspection, audience, seq, code))
            if identifier in outcome.dead:
                self._on_event(DeadLettered(audience, seq, code))

    def _refuse(self, code: str) -> None:
        self._known.refuse_receipt(code)
        self._log.error("receipt refused", code=code)
        self._on_event(ReceiptRefused(code))
