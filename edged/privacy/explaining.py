"""What a policy makes of one document, field by field, and why: for people who want to see it before they agree.

Pure. The values are what `edged.privacy.disclosing` really makes of the document, not a description of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from edged.privacy.ceiling import CEILING, Action
from edged.privacy.disclosing import disclose
from edged.privacy.masks import pattern_of
from edged.privacy.notice import told
from edged.privacy.policy import WITHHELD, ClaimValue, Policy, policy_hash

if TYPE_CHECKING:
    from datetime import date

    from edged.core.document import DocumentData
    from edged.privacy.pseudonym import Pseudonymiser


class ExplainedClaim(msgspec.Struct, frozen=True):
    """One claim.

    Attributes:
        claim: of `CEILING`.
        action: what the policy does with it.
        form: how far: a mask's pattern for this document, what it is generalised to, a pseudonym's scope and period.
        value: what the recipient gets; None for nothing.
        withheld: code of why a claim that the policy names has no value.
        why: code of the sentence that says why this happens.
    """

    claim: str
    action: Action
    form: str | None
    value: ClaimValue
    withheld: str | None
    why: str


class ExplainedField(msgspec.Struct, frozen=True):
    """One field of what goes out beside the claims: of the envelope, a sealed record, a handover or the slip.

    Attributes:
        field: as it is called there.
        value: what stands there for this document; None for nothing, or where `kind` says what stands there.
        kind: code of what stands there, where it is another each time, the box's own or in clear.
        withheld: code of why there is nothing.
        why: code of the sentence that says why it goes out, or doesn't.
    """

    field: str
    value: Any
    kind: str | None
    withheld: str | None
    why: str


class Explained(msgspec.Struct, frozen=True):
    """One recipient's policy, at work on one document.

    Attributes:
        audience: as people call it.
        sha256: of the policy, as in every envelope.
        policy: itself: purpose, basis, retention, consent, record and handover.
        told: groups of `edged.privacy.notice.GROUPS`.
        claims: every claim of the ceiling, in its order.
        scene: what the document is read for in this example.
        envelope: every field of its envelopes; none for an audience that gets none of a live inspection.
        record: every field of the record that is sealed to it.
        handover: every field of what its application may take.
    """

    audience: str
    sha256: str
    policy: Policy
    told: tuple[str, ...]
    claims: tuple[ExplainedClaim, ...]
    scene: str = ""
    envelope: tuple[ExplainedField, ...] = ()
    record: tuple[ExplainedField, ...] = ()
    handover: tuple[ExplainedField, ...] = ()


def explain(
    audience: str,
    policy: Policy,
    document: DocumentData | None,
    *,
    pseudonyms: Pseudonymiser,
    today: date | None,
    certain: bool,
) -> Explained:
    """What the audience gets of the document with the holder's consent. Parameters as of `disclose`.

    Raises `ConfigError` for a policy above the ceiling.
    """
    made = disclose(document, policy, pseudonyms=pseudonyms, today=today, certain=certain, consent=True)
    withheld = made.get(WITHHELD)
    reasons = withheld if isinstance(withheld, dict) else {}
    claims = tuple(
        ExplainedClaim(
            claim,
            policy.rule(claim).action,
            _form(claim, policy, document),
            made.get(claim),
            reasons.get(claim),
            _why(claim, policy),
        )
        for claim in CEILING
    )
    return Explained(audience, policy_hash(policy), policy, told(policy), claims)


def _form(claim: str, policy: Policy, document: DocumentData | None) -> str | None:
    rule = policy.rule(claim)
    match rule.action:
        case Action.MASK:
            kept = pattern_of(claim, rule, "unknown" if document is None else document.document_class.value)
            return f"{kept.start}+{kept.end}"
        case Action.GENERALISE:
            return rule.to
        case Action.PSEUDONYMISE if policy.pseudonym_period == "none":
            return policy.pseudonym_scope
        case Action.PSEUDONYMISE:
            return f"{policy.pseudonym_scope}/{policy.pseudonym_period}"
    return None


def _why(claim: str, policy: Policy) -> str:
    if CEILING[claim] is None:
        return "explain.why_never"
    return f"explain.why_{policy.rule(claim).action.value}"
