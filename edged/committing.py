"""From what was read to envelopes on the disk: judged in a worker thread, sealed and stored in one transaction."""

from __future__ import annotations

import asyncio
import secrets
from typing import TYPE_CHECKING

from edged import log
from edged.drafting import Sender
from edged.errors import StateError
from edged.events import CommitFailed, Committed, ScanRequest
from edged.judging import judge_inspection
from edged.uplink.envelope import Envelope, EnvelopeDraft, StreamPosition, seal
from edged.verdict import Reason

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from edged.clock import ClockReading
    from edged.in_force import InForce
    from edged.judging import Judgement
    from edged.side import ReadDocument
    from edged.uplink.database import DatabaseThread
    from edged.uplink.envelope import Provenance
    from edged.uplink.outbox import StateDatabase
    from edged.uplink.sign import Signer
    from edged.verdict import Verdict


async def judged(
    document: ReadDocument,
    request: ScanRequest,
    *,
    held: InForce,
    clock: ClockReading,
    provenance: Mapping[str, Provenance],
) -> Judgement:
    """The verdict and its drafts, by what is in force."""
    return await asyncio.to_thread(
        judge_inspection,
        document,
        request=request,
        settings=held.settings,
        clock=clock,
        provenance=provenance,
        pseudonyms=held.pseudonyms,
        sender=Sender(held.signer.principal.fleet, held.signer.principal.name),
        thresholds=held.thresholds,
        anchors=await held.trust.anchors() if held.trust is not None else None,
    )


async def commit(
    verdict: Verdict,
    drafts: Sequence[EnvelopeDraft],
    inspection: str,
    *,
    state: DatabaseThread[StateDatabase],
    signer: Signer,
    config_version: str,
    clock: ClockReading,
) -> Committed | CommitFailed:
    """Every envelope of one inspection, signed and on the disk; or nothing, and why. Never raises `StateError`."""
    try:
        envelopes = await state.write(
            lambda database: database.commit_inspection(
                inspection,
                drafts,
                sealer(signer, log_id=database.log_id, now=clock.now, config_version=config_version),
                clock.now,
                clock_trusted=clock.trusted,
            )
        )
    except StateError as error:
        log.get("daemon").error("nothing was stored", exc_info=error)
        return CommitFailed(Reason("inspection.not_stored", {"reason": error.code}))
    return Committed(verdict, len(envelopes), sum(len(envelope.jws) for envelope in envelopes))


def sealer(
    signer: Signer, *, log_id: str, now: datetime, config_version: str
) -> Callable[[EnvelopeDraft, StreamPosition], Envelope]:
    """Signs a draft at the place that the outbox gives it."""

    def sealed(draft: EnvelopeDraft, position: StreamPosition) -> Envelope:
        return seal(
            draft,
            position=position,
            log_id=log_id,
            jti=secrets.token_hex(16),
            iat=int(now.timestamp()),
            config_version=config_version,
            signer=signer,
        )

    return sealed
