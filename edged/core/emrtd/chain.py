"""From a document signer to a CSCA that is believed (Doc 9303-11 §5.1, Doc 9303-12 §4.4): links, dates, revocation.

**Dates.** What counts is when things were signed, not today: a passport outlives the certificate of its signer by
years. The signer's certificate must be valid at the signing time, where the security object says it (an attribute,
signed with the rest). Where it doesn't, which most states' don't, the signature was made at some unknown moment of the
certificate's validity, and only one thing can be wrong: that this validity has not begun yet. Each issuing certificate
must have been valid when it signed the next one, at the beginning of the next one's validity; and a CSCA that had
expired before the document was signed vouches for nothing. An issuer's certificate that began *after* what it issued is
no proof of forgery (CSCAs certify an old key again) and none of genuineness: undetermined. The private key usage period
is the issuer's own rule for how long a signer may sign: overstepping it is told and decides nothing.

**Key identifiers and names** are hints for where to look; the signature tells. A certificate whose issuer isn't there
is undetermined, one that names a key of its state which is there and which didn't sign it has failed. Countries are no
hints: an authority of one state vouches for no signer whose issuer is another's.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from itertools import islice, pairwise
from typing import TYPE_CHECKING, Final

from edged.core.emrtd.certificates import DIGITAL_SIGNATURE
from edged.core.emrtd.issuing_states import same_country
from edged.errors import DecodeError
from edged.verdict import Reason, Result

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from edged.core.emrtd.certificates import Certificate
    from edged.core.emrtd.trust_anchors import Issuer, TrustAnchors

MAX_LINKS: Final = 3
"""Certificates between a signer and a trusted one; a CSCA changes its key every three to five years."""
MAX_SIGNATURES: Final = 64
"""Signatures tried for one document, a few tenths of a millisecond each; the largest state has two dozen CSCAs."""
MAX_CHAINS: Final = 4
"""Chains looked at until the dates of one fit: the same key may be certified several times, with other dates."""
TOLERANCE: Final = timedelta(days=1)
"""States write local time as if it were UTC, and use a certificate on the day it is made."""
_OTHER_SIGNERS: Final = "2.23.136.1.1."
"""ICAO's extended key usages are all for other signers than those of documents (Doc 9303-12 §7.1.1)."""
_CONNECTIONS: Final = frozenset(("1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.2"))
"""Extended key usages of TLS: a CSCA may certify servers too (§7.1.1, communications), whose keys are less guarded."""


@dataclass(frozen=True)
class ChainFinding:
    """What is known about a document signer's certificate.

    Attributes:
        result: successful, failed or undetermined, with `reasons`; reasons also on success (what isn't known).
        chain: the signer first, the trusted CSCA last; the signer alone when there is no chain.
    """

    result: Result
    reasons: tuple[Reason, ...]
    chain: tuple[Certificate, ...]

    @property
    def anchor(self) -> Certificate | None:
        """The trusted CSCA, None without a chain."""
        return self.chain[-1] if len(self.chain) > 1 else None


@dataclass
class _Search:
    """One look for chains: what is left to spend, and what was met on the way."""

    anchors: TrustAnchors
    left: int = MAX_SIGNATURES
    named: bool = (
        False  # a trusted certificate with the key the signer names was there, usable, and didn't sign
    )
    unusable: str | None = None  # why a candidate's key or algorithm can't be used here

    def chains(self, path: tuple[Certificate, ...]) -> Iterator[tuple[Certificate, ...]]:
        """Every way from the end of `path` to a trusted certificate."""
        issued = path[-1]
        for issuer in self.anchors.issuers(issued):
            certificate = issuer.certificate
            if any(certificate.der == one.der for one in path) or not _may_certify(issuer):
                continue
            if self.left <= 0:
                return
            self.left -= 1
            try:
                signed = issued.signed_by(certificate)
            except DecodeError as error:
                self.unusable = error.code
                continue
            if not signed:
                if len(path) == 1 and issuer.trusted and _names(issued, certificate):
                    self.named = True
                continue
            if issuer.trusted:
                yield (*path, certificate)
            elif len(path) <= MAX_LINKS:
                yield from self.chains((*path, certificate))


def judge_signer(
    signer: Certificate, anchors: TrustAnchors, *, signed_at: datetime | None, at: datetime | None
) -> ChainFinding:
    """Whether the document signer is to be believed.

    `signed_at` is the signed signing time, None when not told; `at` is now, None when the clock isn't trusted: then
    it isn't said whether a certificate is valid already, or a revocation list up to date. Never raises.
    """
    if not _may_sign(signer):
        return ChainFinding(Result.FAILED, (Reason("chip.signer_not_for_documents"),), (signer,))
    search = _Search(anchors)
    wrong: ChainFinding | None = None
    for chain in islice(search.chains((signer,)), MAX_CHAINS):
        pairs = zip(chain, (*chain[1:], None), strict=True)  # who signed the last one isn't known here
        revoked = next((one for one, issuer in pairs if _revoked(one, issuer, anchors)), None)
        if revoked is not None:
            code = "chip.signer_revoked" if revoked is signer else "chip.issuer_revoked"
            return ChainFinding(Result.FAILED, (Reason(code),), chain)
        states = _states(chain)
        if states is not None:
            wrong = wrong or ChainFinding(Result.FAILED, (states,), chain)
            continue
        dates = _dates(chain, signed_at, at)
        if dates is None:
            return ChainFinding(Result.SUCCESSFUL, tuple(_notes(chain, anchors, signed_at, at)), chain)
        wrong = wrong or ChainFinding(dates[0], (Reason(dates[1]),), chain)
    return wrong or _without_chain(signer, search)


def _without_chain(signer: Certificate, search: _Search) -> ChainFinding:
    country = signer.issuer.country or signer.country or "?"
    if search.named:
        return ChainFinding(Result.FAILED, (Reason("chip.signer_forged", {"country": country}),), (signer,))
    if search.unusable:
        return ChainFinding(Result.UNDETERMINED, (Reason(search.unusable),), (signer,))
    known = country in search.anchors.countries
    code = "chip.no_trust_anchor_for_key" if known else "chip.no_trust_anchor"
    return ChainFinding(Result.UNDETERMINED, (Reason(code, {"country": country}),), (signer,))


def _names(issued: Certificate, issuer: Certificate) -> bool:
    """Whether a certificate names this issuer's key. The identifier alone may be another state's as well."""
    same = issued.issuer.country is not None and issued.issuer.country == issuer.country
    return same and issued.aki is not None and issued.aki == issuer.ski


def _states(chain: tuple[Certificate, ...]) -> Reason | None:
    """Why the chain leaves its state, None when it doesn't (Doc 9303-12 §7.1.1: one country from CSCA to signer)."""
    for issued, issuer in pairwise(chain):
        claimed, own = issued.issuer.country, issuer.country
        if claimed is not None and own is not None and not same_country(claimed, own):
            return Reason("chip.signer_of_another_state", {"country": claimed, "signer": own})
    return None


def _may_certify(issuer: Issuer) -> bool:
    """keyCertSign, where usage is told. Some CSCAs and links lack basicConstraints; none that says it is an end."""
    certificate = issuer.certificate
    return certificate.may_certify or (certificate.key_usage is None and issuer.trusted)


def _may_sign(signer: Certificate) -> bool:
    """Whether usage allows signing documents: digitalSignature where told, and no other purpose of ICAO's."""
    usages = signer.extended_key_usage
    if usages & _CONNECTIONS or any(usage.startswith(_OTHER_SIGNERS) for usage in usages):
        return False
    return signer.key_usage is None or DIGITAL_SIGNATURE in signer.key_usage


def _revoked(certificate: Certificate, issuer: Certificate | None, anchors: TrustAnchors) -> bool:
    return any(certificate.serial in crl.revoked for crl in anchors.crls(certificate, issuer))


def _dates(
    chain: tuple[Certificate, ...], signed_at: datetime | None, at: datetime | None
) -> tuple[Result, str] | None:
    """What is wrong with the dates, None when nothing is."""
    signer = chain[0]
    if at is not None and _precedes(at, signer.not_before):
        return Result.FAILED, "chip.signer_not_yet_valid"
    if signed_at is not None and (
        _precedes(signed_at, signer.not_before) or _precedes(signer.not_after, signed_at)
    ):
        return Result.FAILED, "chip.signed_outside_validity"
    early = False
    for index, issuer in enumerate(chain[1:], 1):
        issued = chain[index - 1].not_before
        last = max(issued, signed_at) if signed_at is not None and index == 1 else issued
        if _precedes(issuer.not_after, last):
            return Result.FAILED, "chip.issuer_expired_at_signing"
        early = early or _precedes(issued, issuer.not_before)
    return (Result.UNDETERMINED, "chip.issuer_younger") if early else None


def _precedes(first: datetime, second: datetime) -> bool:
    """Whether one moment lies before another by more than states are imprecise.

    The distance counts: the moment that certificates without an end name (9999-12-31) has no next day.
    """
    return second - first > TOLERANCE


def _notes(
    chain: tuple[Certificate, ...], anchors: TrustAnchors, signed_at: datetime | None, at: datetime | None
) -> Iterator[Reason]:
    """What is to be told about a chain that holds."""
    signer = chain[0]
    if any(one.algorithm.weak for one in chain[:-1]):
        yield Reason("pki.sha1")
    first, last = signer.private_key_period
    if signed_at is not None and (
        (first is not None and _precedes(signed_at, first))
        or (last is not None and _precedes(last, signed_at))
    ):
        yield Reason("chip.signer_past_its_period")
    lists = anchors.crls(signer, chain[1])
    if not lists:
        yield Reason("chip.no_revocation_list", {"country": signer.issuer.country or "?"})
    elif at is None:
        yield Reason("chip.revocation_age_unknown")
    elif lists[0].next_update is None or lists[0].next_update < at:
        yield Reason("chip.revocation_list_old", {"country": signer.issuer.country or "?"})
