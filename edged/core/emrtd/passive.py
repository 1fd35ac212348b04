"""Passive authentication (Doc 9303-11 §5.1): are the files those a state signed, and which state was it?

Four checks, each on its own feet: `pa_signature` (the document signer signed the security object), `pa_certificate`
(a CSCA that is believed vouches for the signer; see `chain`), `pa_issuer` (signer and CSCA are of the state the MRZ
names), `pa_hashes` (the files are those the security object lists, hashed as they were read). Only together do they
prove anything: `PassiveResult.proves`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from edged.core.emrtd import cms
from edged.core.emrtd.chain import ChainFinding, judge_signer
from edged.core.emrtd.files import data_group
from edged.core.emrtd.issuing_states import certificate_countries, state_of
from edged.core.emrtd.security_object import (
    LDS_SECURITY_OBJECT,
    hash_matches,
    parse_security_object,
    signed_data_of_sod,
)
from edged.errors import DecodeError
from edged.verdict import Check, Reason, Result

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date, datetime

    from edged.core.emrtd.certificates import Certificate
    from edged.core.emrtd.cms import SignatureFinding
    from edged.core.emrtd.files import ElementaryFile
    from edged.core.emrtd.security_object import SecurityObject
    from edged.core.emrtd.trust_anchors import TrustAnchors

SIGNATURE: Final = "pa_signature"
CERTIFICATE: Final = "pa_certificate"
ISSUER: Final = "pa_issuer"
HASHES: Final = "pa_hashes"
PASSIVE_CHECKS: Final = (SIGNATURE, CERTIFICATE, ISSUER, HASHES)


@dataclass(frozen=True)
class PassiveFacts:
    """What passive authentication went by. Holds no identity: certificates are of states and their printers.

    Attributes:
        signer, anchor: document signer's and trusted CSCA's certificate, None when not found.
        links: certificates between the two.
        algorithm: of the security object's signature ("ECDSA with SHA-384"), "" when not understood.
        key: the signer's ("brainpoolP384r1"), "" when it can't be used.
        digest: hash of the data groups ("sha256"), "" when unknown.
        signed_on: day of signing, None when not told. (The second would tell one document from all others.)
        matching, mismatching: numbers of the data groups that are, and are not, as signed.
        unlisted: given, and not in the security object.
        not_given: in the security object, and not there to be checked.
    """

    signer: Certificate | None
    anchor: Certificate | None
    links: tuple[Certificate, ...]
    algorithm: str
    key: str
    digest: str
    signed_on: date | None
    matching: tuple[int, ...]
    mismatching: tuple[int, ...]
    unlisted: tuple[int, ...]
    not_given: tuple[int, ...]

    @property
    def listed(self) -> tuple[ElementaryFile, ...]:
        """The data groups in the security object."""
        numbers = sorted((*self.matching, *self.mismatching, *self.not_given))
        return tuple(file for file in map(data_group, numbers) if file is not None)


@dataclass(frozen=True)
class PassiveResult:
    """The four checks, in the order of `PASSIVE_CHECKS`, and what they went by (None when there is no SOD)."""

    checks: tuple[Check, ...]
    facts: PassiveFacts | None

    def check(self, name: str) -> Check:
        """The check with this name."""
        return next(check for check in self.checks if check.name == name)

    @property
    def genuine(self) -> bool:
        """Whether a believed state signed this security object, for a document of its own."""
        return all(self.check(name).result is Result.SUCCESSFUL for name in (SIGNATURE, CERTIFICATE, ISSUER))

    def proves(self, number: int) -> bool:
        """Whether this data group is proven: as signed, in a genuine security object."""
        return self.genuine and self.facts is not None and number in self.facts.matching


def verify_passive(
    sod: bytes,
    data_groups: Mapping[int, bytes],
    anchors: TrustAnchors,
    *,
    at: datetime | None,
    issuing_state: str | None,
) -> PassiveResult:
    """Passive authentication of a document.

    Args:
        sod: EF.SOD as read, with its tag.
        data_groups: data groups as read, tags and all, by number; those not given are told as not checked.
        anchors: trust data.
        at: now, UTC; None when the clock isn't trusted (see `chain.judge_signer`).
        issuing_state: as DG1's MRZ names it, without fillers; None when there is no DG1.

    Raises `DecodeError` when `sod` is no security object; `unreadable` makes a result of that.
    """
    signed = cms.parse_signed_data(bytes(signed_data_of_sod(sod)), what="sod")
    if signed.content_type not in LDS_SECURITY_OBJECT:
        raise DecodeError("sod", "pki.wrong_content")
    if signed.content is None:
        raise DecodeError("sod", "pki.nothing_signed")
    listed = parse_security_object(signed.content)
    elsewhere = [one for signer in signed.signers for one in anchors.document_signers(signer)]
    finding, chain = _best(cms.verify_signers(signed, elsewhere, what="sod"), anchors, at)
    facts = _facts(finding, chain, listed, data_groups)
    checks = (
        Check(SIGNATURE, finding.result, finding.reasons),
        _certificate_check(finding, chain),
        _issuer_check(finding.certificate, chain, issuing_state),
        _hashes_check(facts),
    )
    return PassiveResult(checks, facts)


def unreadable(error: DecodeError) -> PassiveResult:
    """The result for an EF.SOD that is none: its signature has failed, and nothing else can be said."""
    return PassiveResult(
        (
            Check(SIGNATURE, Result.FAILED, (Reason(error.code),)),
            *(
                Check(name, Result.UNDETERMINED, (Reason("chip.no_security_object"),))
                for name in PASSIVE_CHECKS[1:]
            ),
        ),
        None,
    )


def _best(
    findings: list[SignatureFinding], anchors: TrustAnchors, at: datetime | None
) -> tuple[SignatureFinding, ChainFinding | None]:
    """The signer to go by: one that is believed, else the first. Nobody can add one that is believed."""
    first: tuple[SignatureFinding, ChainFinding | None] | None = None
    for finding in findings:
        chain = None
        if finding.certificate is not None:
            signed_at = finding.signer.signing_time if finding.signer else None
            chain = judge_signer(finding.certificate, anchors, signed_at=signed_at, at=at)
        if finding.result is Result.SUCCESSFUL and chain and chain.result is Result.SUCCESSFUL:
            return finding, chain
        first = first or (finding, chain)
    assert first is not None, "there is a finding even for nothing signed"
    return first


def _certificate_check(finding: SignatureFinding, chain: ChainFinding | None) -> Check:
    if chain is None:
        # Nobody's key: who signed isn't known, so whether it is believed isn't either.
        return Check(CERTIFICATE, Result.UNDETERMINED, finding.reasons)
    return Check(CERTIFICATE, chain.result, chain.reasons)


def _issuer_check(signer: Certificate | None, chain: ChainFinding | None, state: str | None) -> Check:
    """State against the countries of signer and CSCA. Another country is a failure even where no chain was found."""
    if state is None:
        return Check(ISSUER, Result.UNDETERMINED, (Reason("chip.issuing_state_not_read"),))
    if signer is None or chain is None:
        return Check(ISSUER, Result.UNDETERMINED, (Reason("pki.signer_unknown"),))
    expected = certificate_countries(state)
    if not expected:
        return Check(ISSUER, Result.UNDETERMINED, (Reason("chip.issuing_state_unknown", {"state": state}),))
    named = [one.country for one in (signer, chain.anchor) if one is not None and one.country]
    other = next((country for country in named if country not in expected), None)
    if other is not None:
        params = {"state": state, "signer": state_of(other)}
        return Check(ISSUER, Result.FAILED, (Reason("chip.signed_by_another_state", params),))
    if chain.anchor is None or chain.anchor.country is None:
        return Check(ISSUER, Result.UNDETERMINED, (Reason("chip.issuer_unproven", {"state": state}),))
    return Check(ISSUER, Result.SUCCESSFUL)


def _hashes_check(facts: PassiveFacts) -> Check:
    wrong = [
        *(Reason("chip.data_group_changed", {"group": f"DG{number}"}) for number in facts.mismatching),
        *(Reason("chip.data_group_not_signed", {"group": f"DG{number}"}) for number in facts.unlisted),
    ]
    left = tuple(f"DG{number}" for number in facts.not_given)
    not_checked = (Reason("chip.data_groups_not_checked", {"groups": ", ".join(left)}),) if left else ()
    if wrong:
        return Check(HASHES, Result.FAILED, (*wrong, *not_checked))
    if not facts.digest:
        return Check(HASHES, Result.UNDETERMINED, (Reason("pki.algorithm_unsupported"),))
    return Check(HASHES, Result.SUCCESSFUL if facts.matching else Result.UNDETERMINED, not_checked)


def _facts(
    finding: SignatureFinding,
    chain: ChainFinding | None,
    listed: SecurityObject,
    data_groups: Mapping[int, bytes],
) -> PassiveFacts:
    outcome = {number: hash_matches(listed, number, octets) for number, octets in data_groups.items()}
    signing_time = finding.signer.signing_time if finding.signer else None
    return PassiveFacts(
        finding.certificate,
        chain.anchor if chain else None,
        chain.chain[1:-1] if chain else (),
        finding.algorithm.name if finding.algorithm else "",
        _key_name(finding.certificate),
        listed.hash_name or "",
        signing_time.date() if signing_time else None,
        tuple(sorted(number for number, same in outcome.items() if same)),
        tuple(sorted(number for number, same in outcome.items() if same is False)),
        tuple(sorted(set(data_groups) - set(listed.hashes))),
        tuple(sorted(set(listed.hashes) - set(data_groups))),
    )


def _key_name(signer: Certificate | None) -> str:
    try:
        return signer.public_key.name if signer is not None else ""
    except DecodeError:
        return ""
