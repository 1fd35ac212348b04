"""EF.CardSecurity's own passive authentication (Doc 9303-11 §9.2.12): the keys of PACE-CAM count only when it holds.

It is signed apart from EF.SOD. So that keys of one document don't vouch for the files of another, its signer must be of
the same state, and a chip key that DG14 has too must be the same there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from edged.core.emrtd import cms
from edged.core.emrtd.chain import judge_signer
from edged.core.emrtd.issuing_states import same_country
from edged.core.emrtd.security_infos import (
    ChipAuthenticationPublicKeyInfo,
    read_card_security,
    read_dg14,
)
from edged.errors import DecodeError
from edged.verdict import Reason, Result

if TYPE_CHECKING:
    from datetime import datetime

    from edged.core.emrtd.certificates import Certificate
    from edged.core.emrtd.security_infos import SecurityInfos
    from edged.core.emrtd.trust_anchors import TrustAnchors

CONTENT_TYPES: Final = frozenset(("0.4.0.127.0.7.3.2.1",))
"""id-SecurityObject (BSI TR-03110-3 §A.1.2.5)."""


def verify_card_security(
    raw: bytes,
    dg14: bytes | None,
    anchors: TrustAnchors,
    *,
    document_signer: Certificate | None,
    at: datetime | None,
) -> tuple[Result, tuple[Reason, ...]]:
    """Whether the keys in EF.CardSecurity are this document's, and why not.

    `document_signer` is that of EF.SOD; `at` is now, None when the clock isn't trusted. Never raises.
    """
    try:
        held = read_card_security(raw)
        signed = cms.parse_signed_data(held.signed, what="card_security")
        elsewhere = read_dg14(dg14) if dg14 is not None else None
    except DecodeError as error:
        return Result.FAILED, (Reason(error.code),)
    found = cms.verify_signed_data(signed, content_types=CONTENT_TYPES, what="card_security")
    if found.result is not Result.SUCCESSFUL or found.certificate is None:
        return found.result, found.reasons
    signed_at = found.signer.signing_time if found.signer else None
    chain = judge_signer(found.certificate, anchors, signed_at=signed_at, at=at)
    if chain.result is not Result.SUCCESSFUL:
        return chain.result, chain.reasons
    if document_signer is None or not _one_state(document_signer, chain.anchor):
        return Result.FAILED, (Reason("chip.keys_of_another_state"),)
    if elsewhere is not None and not _agree(held.infos, elsewhere):
        return Result.FAILED, (Reason("chip.keys_of_another_document"),)
    return Result.SUCCESSFUL, ()


def _one_state(document_signer: Certificate, authority: Certificate | None) -> bool:
    """Whether the authority behind EF.CardSecurity is of the document's state. What names no state is of none."""
    state = document_signer.issuer.country or document_signer.country
    theirs = None if authority is None else authority.country
    return state is not None and theirs is not None and same_country(state, theirs)


def _agree(here: SecurityInfos, there: SecurityInfos) -> bool:
    """Whether some key is in both, or DG14 has none to compare."""
    ours, theirs = (
        {info.spki for info in infos.of(ChipAuthenticationPublicKeyInfo)} for infos in (here, there)
    )
    return not theirs or bool(ours & theirs)
