"""From a verdict to what leaves: each audience's draft, the slip's masked claims, what is held for a moment longer.

Raw identity goes in; what comes out has passed a policy, or lies in buffers that are overwritten (`HeldFields`).
Blocking, free of I/O.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from edged.identity import withheld
from edged.noticing import notice_of
from edged.privacy.disclosing import disclose
from edged.privacy.encrypting import encrypt_claims
from edged.privacy.held import FIELDS, HeldFields, hold
from edged.privacy.policy import Action, Policy, policy_hash
from edged.uplink.envelope import Consent, DocumentSummary, EnvelopeDraft, PolicyMark, Provenance
from edged.verdict import JudgedCheck, Reason, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import date

    from edged.clock import ClockReading
    from edged.config import AudienceSettings, BoxSettings
    from edged.core.document import DocumentData
    from edged.events import ScanRequest
    from edged.privacy.policy import ClaimValue
    from edged.privacy.pseudonym import Pseudonymiser

SLIP_POLICY: Final = Policy(
    name="slip",
    claims={
        "issuing_state": Action.KEEP,
        "surname": Action.MASK,
        "given_names": Action.MASK,
        "chinese_name": Action.MASK,
        "document_number": Action.MASK,
        "expiry_date": Action.GENERALISE,
    },
)
"""What is printed for the holder, who may lose it: no more than any audience could be told in clear."""

_STATE_PARAMS: Final = frozenset({"state", "country", "signer"})
"""Parameters of reasons that name a state."""

_OF_ANY_STATE: Final = frozenset({"TD1", "TD2", "TD3", "MRVA", "MRVB"})
"""Formats of documents (`edged.core.layout_tables.MrzFormat`) that don't tell which state issued it; all others do."""


class Sender(NamedTuple):
    """Who sends: what is sealed is bound to it."""

    fleet: str
    device: str


@withheld
@dataclass(frozen=True)
class Found:
    """What one document came to, before any audience.

    Attributes:
        data: its fields; None when none were read.
        certain: whether every character of them was read with confidence.
        summary: what kind of document it is.
    """

    data: DocumentData | None
    certain: bool
    summary: DocumentSummary


@dataclass(frozen=True)
class Unfinished:
    """A record that the clerk has to complete before it is sealed to `draft.audience`."""

    draft: EnvelopeDraft
    held: HeldFields


@dataclass(frozen=True)
class Outgoing:
    """What an inspection has to say, and to whom.

    Attributes:
        drafts: one for every audience that gets an envelope.
        slip: the holder's masked claims, for the feedback slip.
        handover: the fields for the application that asked; None where none may have any.
        handover_to: that application's audience.
        unfinished: records to be completed.
    """

    drafts: tuple[EnvelopeDraft, ...]
    slip: Mapping[str, ClaimValue]
    handover: HeldFields | None = None
    handover_to: str | None = None
    unfinished: tuple[Unfinished, ...] = ()

    def forget(self) -> None:
        """Overwrite what is held."""
        if self.handover is not None:
            self.handover.forget()
        for record in self.unfinished:
            record.held.forget()


@dataclass(frozen=True)
class Drafting:
    """Everything that decides what leaves, beside the document.

    Attributes:
        recipients: names of the audiences that get an envelope.
        pseudonyms: by audience.
    """

    verdict: Verdict
    request: ScanRequest
    settings: BoxSettings
    clock: ClockReading
    provenance: Mapping[str, Provenance]
    recipients: tuple[str, ...]
    pseudonyms: Mapping[str, Pseudonymiser]
    sender: Sender

    def outgoing(self, found: Found) -> Outgoing:
        """What leaves of one document. Raises `ConfigError` for a policy above the ceiling."""
        drafts = tuple(self._draft(name, found) for name in self.recipients)
        handover = self._handover(found)
        return Outgoing(
            drafts,
            disclose(
                found.data,
                SLIP_POLICY,
                pseudonyms=next(iter(self.pseudonyms.values())),  # its policy makes none
                today=self._today,
                certain=found.certain,
                consent=True,
            ),
            handover,
            None if handover is None else self.request.application,
            tuple(
                Unfinished(draft, self._hold(found, FIELDS))
                for draft in drafts
                if (policy := self._audience(draft.audience).policy).record is not None and self._may(policy)
            ),
        )

    def _audience(self, name: str) -> AudienceSettings:
        return self.settings.audiences[name]

    @property
    def _today(self) -> date | None:
        return self.clock.today if self.clock.trusted else None

    def _may(self, policy: Policy) -> bool:
        return policy.consent == "not_needed" or self.request.consent

    def _hold(self, found: Found, names: Iterable[str]) -> HeldFields:
        return hold(found.data, names, certain=found.certain, clock_trusted=self.clock.trusted)

    def _handover(self, found: Found) -> HeldFields | None:
        """The fields for the application that asked, where the scene's policy lets it have them."""
        audience = self.settings.audiences.get(self.request.application or "")
        if audience is None or self.request.scene not in audience.scenes:
            return None
        wanted = audience.policy.handover
        return self._hold(found, wanted.fields) if wanted is not None and self._may(audience.policy) else None

    def _draft(self, name: str, found: Found) -> EnvelopeDraft:
        audience, request, verdict = self._audience(name), self.request, self.verdict
        policy = audience.policy
        trusted: Literal["trusted", "not_trusted"] = "trusted" if self.clock.trusted else "not_trusted"
        mark = PolicyMark(policy.name, policy.version, policy_hash(policy))
        told_state = _may_know_state(policy) and self._may(policy)
        claims = disclose(
            found.data,
            policy,
            pseudonyms=self.pseudonyms[name],
            today=self._today,
            certain=found.certain,
            consent=request.consent,
        )
        sealed = None
        if policy.encrypt:
            sealed = encrypt_claims(
                claims,
                audience.encryption_keys[0],
                fleet=self.sender.fleet,
                device=self.sender.device,
                audience=name,
                policy_sha256=mark.sha256,
            )
        return EnvelopeDraft(
            audience=name,
            kind=verdict.kind,
            scene=verdict.scene,
            reference=request.reference if audience.reference else None,
            purpose=request.purpose if audience.reference else None,
            operator=request.operator if audience.reference else None,
            result=verdict.result,
            checks=verdict.checks if told_state else _without_state(verdict.checks),
            document=found.summary if told_state else _of_any_state(found.summary),
            claims=claims if sealed is None else {},
            provenance=dict(self.provenance),
            clock=trusted,
            policy=mark,
            consent=self._consent(policy),
            encrypted=sealed,
        )

    def _consent(self, policy: Policy) -> Consent | None:
        if policy.consent == "not_needed":
            return None
        return Consent(self.request.consent, notice_of(self.settings, self.request.scene).sha256)


def _may_know_state(policy: Policy) -> bool:
    """Only in clear: the checks' reasons, which name it, aren't encrypted."""
    return policy.keeps("issuing_state") and not policy.encrypt


def _of_any_state(summary: DocumentSummary) -> DocumentSummary:
    """The summary for an audience that may not know which state issued the document: some formats are one state's."""
    if summary.format in _OF_ANY_STATE:
        return summary
    return DocumentSummary(summary.document_class, None)


def _without_state(checks: Iterable[JudgedCheck]) -> tuple[JudgedCheck, ...]:
    """The checks for an audience that may not know which state issued the document: their reasons name it."""
    return tuple(
        JudgedCheck(check.name, check.check_class, check.result, tuple(map(_unnamed, check.reasons)))
        for check in checks
    )


def _unnamed(reason: Reason) -> Reason:
    kept = {name: value for name, value in reason.params.items() if name not in _STATE_PARAMS}
    return reason if len(kept) == len(reason.params) else Reason(reason.code, kept)
