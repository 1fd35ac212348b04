"""Master lists: a state's signed list of CSCA certificates that it believes (Doc 9303-12 §9).

The list's certificates are believed because its signer is, and the signer because it was certified, for this purpose
alone, by the CSCA of the same state that an operator has pinned: directly, or over link certificates (§7.1: an old
key signs the new one).
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final, NamedTuple

from edged.core.emrtd import certificates, cms, tlv
from edged.errors import DecodeError, SignatureRefusedError
from edged.verdict import Result

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from edged.core.emrtd.certificates import Certificate
    from edged.core.emrtd.cms import SignedData

MAX_OCTETS: Final = 16 << 20
"""Of one list; the largest of 2025 has 0.9 MB."""

MAX_CERTIFICATES: Final = 5000
"""On one list; those of 2025 have up to 600."""

MAX_LINKS: Final = 4
"""Certificates between signer and pinned root: a CSCA is followed every three to five years, a signer lives five."""

MAX_TRIES: Final = 32
"""Signatures tried while looking for the way to a root. Names part nearly all candidates beforehand."""

_WHAT: Final = "master list"
_SEQUENCE, _SET, _INTEGER = 0x30, 0x31, 0x02


class MasterList(NamedTuple):
    """A list as read, verified by nobody yet.

    Attributes:
        certificates: DER, in order, unparsed.
        made: when its signer says it was signed.
    """

    signed: SignedData
    certificates: tuple[bytes, ...]
    made: datetime


class ListSigner(NamedTuple):
    """Who vouches for a list.

    Attributes:
        certificate: the signer's.
        root: the pinned certificate it was verified against.
        links: certificates between the two, from the signer's issuer on.
    """

    certificate: Certificate
    root: Certificate
    links: tuple[Certificate, ...]

    @property
    def publisher(self) -> str:
        """The state (or organisation) whose list it is: its country code ("DE", "UN")."""
        return self.root.country or ""


def parse_master_list(data: bytes) -> MasterList:
    """Read a list (a CMS ContentInfo). Verifies nothing.

    Raises `DecodeError` ("master list", "pki.…" | "tlv.…" | "masterlist.not_one" | "masterlist.malformed" |
    "masterlist.undated" | "masterlist.too_many").
    """
    signed = cms.parse_signed_data(data, what=_WHAT, limit=MAX_OCTETS)
    if signed.content_type != cms.MASTER_LIST or signed.content is None:
        raise DecodeError(_WHAT, "masterlist.not_one")
    made = signed.signers[0].signing_time if len(signed.signers) == 1 else None
    if made is None:
        # Without a date, and one alone, no list is newer than another (§9.2: signingTime is mandatory).
        raise DecodeError(_WHAT, "masterlist.undated")
    return MasterList(signed, _certificates(signed.content), made)


def _certificates(content: bytes) -> tuple[bytes, ...]:
    """CscaMasterList ::= SEQUENCE { version INTEGER {v0(0)}, certList SET OF Certificate }."""
    body = tlv.only(content, _SEQUENCE, _WHAT)
    version = tlv.read_one(body, _WHAT)
    if version.tag != _INTEGER or bytes(version.value) != b"\0":
        raise DecodeError(_WHAT, "masterlist.malformed")
    rest = tlv.only(body[version.size :], _SET, _WHAT)
    found: list[bytes] = []
    while rest:
        if len(found) == MAX_CERTIFICATES:
            raise DecodeError(_WHAT, "masterlist.too_many")
        one = tlv.read_one(rest, _WHAT)
        found.append(bytes(rest[: one.size]))
        rest = rest[one.size :]
    return tuple(found)


def verify_master_list(
    given: MasterList, roots: Sequence[Certificate], others: Iterable[Certificate] = ()
) -> ListSigner:
    """Who vouches for the list. `others` may be links between its signer and one of the pinned `roots`.

    Every certificate on the way must have been valid when the list was signed; whether it is still is another
    question (§9 leaves old lists as good as they were). Raises `SignatureRefusedError`: what `cms.verify_signed_data`
    has as reasons, "masterlist.wrong_signer", "masterlist.signer_not_valid", "masterlist.root_unknown".
    """
    finding = cms.verify_signed_data(given.signed, content_types=frozenset({cms.MASTER_LIST}), what=_WHAT)
    signer = finding.certificate
    if finding.result is not Result.SUCCESSFUL or signer is None:
        raise SignatureRefusedError(finding.reasons[0].code)
    if certificates.MASTER_LIST_SIGNER not in signer.extended_key_usage:
        raise SignatureRefusedError("masterlist.wrong_signer", signer=signer.subject.text)
    if not _valid(signer, given):
        raise SignatureRefusedError("masterlist.signer_not_valid", signer=signer.subject.text)
    embedded: list[Certificate] = []
    for der in given.signed.certificates:
        with suppress(DecodeError):
            embedded.append(certificates.parse_certificate(der))
    way = _Search(given, roots, [*embedded, *others]).way(signer, MAX_LINKS)
    if way is None:
        raise SignatureRefusedError("masterlist.root_unknown", issuer=signer.issuer.text)
    return ListSigner(signer, way[-1], way[:-1])


class _Search:
    """For the way from a signer to a root; tries no more than `MAX_TRIES` signatures."""

    def __init__(
        self, given: MasterList, roots: Sequence[Certificate], others: Sequence[Certificate]
    ) -> None:
        self._given = given
        self._roots = roots
        self._others = others
        self._tries = 0

    def way(self, certificate: Certificate, links: int) -> tuple[Certificate, ...] | None:
        """Issuers of `certificate` up to a root; None when there is no way."""
        for root in self._roots:
            if self._issued(certificate, root):
                return (root,)
        if not links:
            return None
        for other in self._others:
            if other.der != certificate.der and self._issued(certificate, other):
                further = self.way(other, links - 1)
                if further is not None:
                    return (other, *further)
        return None

    def _issued(self, certificate: Certificate, by: Certificate) -> bool:
        if (
            certificate.issuer.normal != by.subject.normal
            or certificate.country != by.country  # a state's signer is certified by its own CSCA
            or not by.may_certify
            or not _valid(by, self._given)
            or self._tries == MAX_TRIES
        ):
            return False
        self._tries += 1
        try:
            return certificate.signed_by(by)
        except DecodeError:
            return False


def _valid(certificate: Certificate, given: MasterList) -> bool:
    return certificate.not_before <= given.made <= certificate.not_after
