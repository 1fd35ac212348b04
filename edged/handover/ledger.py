"""What a handover leaves in the journal: names, codes and pseudonyms, on the disk before anything else happens."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edged import log
from edged.errors import StateError
from edged.handover import protocol
from edged.journal.handovers import UNKNOWN, Note, writing

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from edged.handover.desk import Ended
    from edged.handover.peers import Peer
    from edged.journal.database import Journal
    from edged.privacy.held import HeldFields
    from edged.privacy.pseudonym import Pseudonymiser
    from edged.uplink.database import DatabaseThread


class Ledger:
    """The handover's part of the journal."""

    def __init__(
        self, journal: DatabaseThread[Journal], pseudonym: Pseudonymiser, clock: Callable[[], datetime]
    ) -> None:
        self._journal = journal
        self._pseudonym = pseudonym
        self._clock = clock
        self._log = log.get("handover")

    async def write(self, *notes: Note) -> bool:
        """Whether they are in the journal, on the disk; all of them, or none. Raises nothing but a cancellation."""
        if not notes:
            return True
        try:
            await self._journal.write(writing(notes, self._clock()))
        except (StateError, ValueError, RuntimeError) as error:  # RuntimeError: the journal is closed
            self._log.error("a handover can't be journalled", exc_info=error)
            return False
        return True

    async def write_taken(self, peer: Peer, inspection: str, fields: tuple[str, ...]) -> bool:
        """Before they leave."""
        return await self.write(_of(peer, kind="taken", inspection=inspection, fields=fields))

    async def write_refused(self, peer: Peer, inspection: str, code: str) -> bool:
        """What was asked about no inspection of ours isn't written down."""
        known = code != "handover.no_such_inspection" and protocol.is_inspection(inspection)
        return await self.write(
            _of(peer, kind="refused", inspection=inspection if known else UNKNOWN, code=code)
        )

    def offered(
        self,
        application: str,
        inspection: str,
        held: HeldFields,
        *,
        operator: str | None,
        reference: str | None,
        consent: str | None,
    ) -> Note:
        """The note of an offer: who it was made for, in pseudonyms."""
        return Note(
            kind="offered",
            inspection=inspection,
            audience=application,
            fields=held.names,
            withheld=held.withheld,
            operator=self._unreadable("operator", operator),
            reference=self._unreadable("reference", reference),
            consent=consent,
        )

    def _unreadable(self, claim: str, value: str | None) -> str | None:
        return None if value is None else self._pseudonym.pseudonym(claim, value)


def expired(ended: Ended) -> Note:
    """The note of an offer that nobody took."""
    return Note(
        kind="expired",
        inspection=ended.inspection,
        audience=ended.application,
        fields=ended.names,
        code=ended.end.value,
    )


def _of(
    peer: Peer, *, kind: str, inspection: str, fields: tuple[str, ...] = (), code: str | None = None
) -> Note:
    return Note(
        kind=kind, inspection=inspection, audience=peer.application, fields=fields, code=code, way=peer.way
    )
