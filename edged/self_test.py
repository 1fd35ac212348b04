"""A shipped specimen through the whole box: read, judged, de-identified, sealed, verified; and never `live`.

What a probation asks of new settings and what a `scan` command does. The specimen's person is fiction, its pictures
come with the release, and its provenance says simulated, so whatever is made of it has the kind `test`. Every
audience's policy is tried; only those who receive tests are sent anything, the others' envelopes are thrown away.
"""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import msgspec

from edged.committing import commit, judged, sealer
from edged.errors import SignatureRefusedError
from edged.events import CommitFailed, Frame, Light, ScanRequest
from edged.side import ReadDocument, ReadSide
from edged.uplink.envelope import Provenance, StreamPosition, open_envelope
from edged.verdict import Kind, Result

if TYPE_CHECKING:
    from edged.clock import ClockReading
    from edged.in_force import InForce
    from edged.judging import Judgement
    from edged.uplink.database import DatabaseThread
    from edged.uplink.outbox import StateDatabase
    from edged.uplink.roles import TrustAnchor
    from edged.uplink.sign import Signer
    from edged.verdict import Verdict

MUST_SUCCEED: Final = ("document_detected", "mrz_read", "mrz_check_digits", "mrz_fields")
"""Checks that a shipped specimen passes wherever reading works; it has no chip and no face."""

PROVENANCE: Final = {"specimen": Provenance(driver="specimen", identity=None, simulated=True)}


@dataclass(frozen=True)
class Tested:
    """What became of the specimen.

    Attributes:
        verdict: as judged by the scene's settings.
        envelopes: how many were committed.
        code: why the box isn't well, as a code of the message catalogue; None when it is.
    """

    verdict: Verdict
    envelopes: int
    code: str | None


async def inspect_specimen(
    held: InForce,
    *,
    scene: str,
    clock: ClockReading,
    state: DatabaseThread[StateDatabase],
    signer: Signer,
    anchor: TrustAnchor,
) -> Tested:
    """One test inspection in `scene`, by what is in force. Raises `ConfigError` for an unknown scene."""
    from edged.specimens import FIXED_TODAY

    clock = replace(clock, today=FIXED_TODAY)
    side = await asyncio.to_thread(_read)
    everybody = {
        name: msgspec.structs.replace(one, receives=(*{*one.receives, Kind.TEST},))
        for name, one in held.settings.audiences.items()
    }
    tried = replace(held, settings=msgspec.structs.replace(held.settings, audiences=everybody))
    request = ScanRequest(scene)
    judgement = await judged(ReadDocument([side]), request, held=tried, clock=clock, provenance=PROVENANCE)
    judgement.outgoing.forget()
    assert judgement.verdict.kind is Kind.TEST
    version = held.settings.version
    if (code := _problem(judgement, signer, anchor, clock, version)) is not None:
        return Tested(judgement.verdict, 0, code)
    wanted = tuple(
        draft for draft in judgement.drafts if Kind.TEST in held.settings.audiences[draft.audience].receives
    )
    if not wanted:
        return Tested(judgement.verdict, 0, None)
    done = await commit(
        judgement.verdict,
        wanted,
        f"test-{secrets.token_hex(8)}",
        state=state,
        signer=signer,
        config_version=version,
        clock=clock,
    )
    if isinstance(done, CommitFailed):
        return Tested(judgement.verdict, 0, done.reason.code)
    return Tested(judgement.verdict, done.envelopes, None)


def _read() -> ReadSide:
    """In a worker thread."""
    from edged.core.burst import read_frames
    from edged.core.image import decode_image
    from edged.specimens import FIXED_TODAY, shipped

    page = decode_image(shipped()[0].sides[0].read_bytes())
    return ReadSide(
        read_frames([page], today=FIXED_TODAY), {Light.WHITE: Frame(page, Light.WHITE)}, Light.WHITE
    )


def _problem(
    judgement: Judgement, signer: Signer, anchor: TrustAnchor, clock: ClockReading, version: str
) -> str | None:
    """The code of what is wrong with a specimen's verdict or its envelopes."""
    results = {check.name: check.result for check in judgement.verdict.checks}
    if any(results.get(name) is not Result.SUCCESSFUL for name in MUST_SUCCEED):
        return "self_test.not_read"
    if not judgement.drafts:
        return "self_test.no_audience"
    sealed = sealer(signer, log_id="self-test", now=clock.now, config_version=version)
    for draft in judgement.drafts:
        envelope = sealed(draft, StreamPosition(1, None))
        # A clock that can't be believed must not make the box's own certificate look unusable.
        at = clock.now if clock.trusted else max(clock.now, signer.not_before)
        try:
            open_envelope(
                envelope.jws, anchor=anchor, at=at, audience=draft.audience, device=signer.principal.name
            )
        except SignatureRefusedError as error:
            return error.code
    return None
