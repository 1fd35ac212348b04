"""Trust data in memory: CSCA certificates that are believed, link certificates, document signers, CRLs.

Made from an index, so that hundreds of certificates needn't be parsed at a start: one is when it is asked for. What
is believed, and why, is for whoever fills it; nothing here reads a file or a clock.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from edged.core.emrtd.certificates import parse_certificate
from edged.core.emrtd.crl import parse_crl
from edged.errors import DecodeError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from edged.core.emrtd.certificates import Certificate
    from edged.core.emrtd.cms import SignerInfo
    from edged.core.emrtd.crl import Crl


class AnchorEntry(NamedTuple):
    """A CSCA certificate in the index.

    Attributes:
        der: the certificate.
        country: `Certificate.country`, "" without.
        subject: `Certificate.subject.digest`.
        ski: subject key identifier, b"" without.
        trusted: False for a certificate (a link from an older key, say) that is believed only as far as a trusted
            one has signed it.
    """

    der: bytes
    country: str
    subject: str
    ski: bytes
    trusted: bool = True


class SignerEntry(NamedTuple):
    """A document signer's certificate in the index, for security objects that don't embed it; never trusted."""

    der: bytes
    issuer: str
    serial: int
    ski: bytes


class CrlEntry(NamedTuple):
    """A revocation list in the index: `issuer` is `Crl.issuer.digest`. Its signature is checked when it is used."""

    der: bytes
    issuer: str


class Issuer(NamedTuple):
    """A candidate for having issued a certificate."""

    certificate: Certificate
    trusted: bool


def anchor_entry(certificate: Certificate, *, trusted: bool = True) -> AnchorEntry:
    """The index's entry for a CSCA certificate."""
    return AnchorEntry(
        certificate.der,
        certificate.country or "",
        certificate.subject.digest,
        certificate.ski or b"",
        trusted,
    )


def signer_entry(certificate: Certificate) -> SignerEntry:
    """The index's entry for a document signer's certificate."""
    return SignerEntry(certificate.der, certificate.issuer.digest, certificate.serial, certificate.ski or b"")


def crl_entry(crl: Crl) -> CrlEntry:
    """The index's entry for a revocation list."""
    return CrlEntry(crl.der, crl.issuer.digest)


class TrustAnchors:
    """Look-up in trust data. Entries that can't be parsed are as if they weren't there.

    Safe to share between threads: what it remembers is only what it would work out again.
    """

    def __init__(
        self,
        anchors: Iterable[AnchorEntry] = (),
        crls: Iterable[CrlEntry] = (),
        signers: Iterable[SignerEntry] = (),
    ) -> None:
        self._parsed: dict[bytes, Certificate | None] = {}
        self._crls: dict[bytes, Crl | None] = {}
        self._proven: dict[bytes, bool] = {}
        self._trusted: dict[bytes, bool] = {}
        self._by_ski: dict[bytes, list[bytes]] = {}
        self._by_subject: dict[str, list[bytes]] = {}
        self._by_country: dict[str, list[bytes]] = {}
        for entry in anchors:
            known = self._trusted.get(entry.der)
            self._trusted[entry.der] = bool(known) or entry.trusted
            if known is not None:
                continue
            if entry.ski:
                self._by_ski.setdefault(entry.ski, []).append(entry.der)
            self._by_subject.setdefault(entry.subject, []).append(entry.der)
            self._by_country.setdefault(entry.country, []).append(entry.der)
        self._lists: dict[str, list[bytes]] = {}
        for crl in crls:
            self._lists.setdefault(crl.issuer, []).append(crl.der)
        self._signers: dict[tuple[str, int], list[bytes]] = {}
        self._signers_by_ski: dict[bytes, list[bytes]] = {}
        for signer in signers:
            self._signers.setdefault((signer.issuer, signer.serial), []).append(signer.der)
            if signer.ski:
                self._signers_by_ski.setdefault(signer.ski, []).append(signer.der)

    def __len__(self) -> int:
        return len(self._trusted)

    def __repr__(self) -> str:
        return f"<TrustAnchors: {len(self)} certificates, {sum(map(len, self._lists.values()))} CRLs>"

    @property
    def countries(self) -> frozenset[str]:
        """Countries (as certificates write them, "DE") that a trusted certificate is there for."""
        return frozenset(
            country
            for country, ders in self._by_country.items()
            if country and any(self._trusted[der] for der in ders)
        )

    def issuers(self, issued: Certificate | Crl) -> Iterator[Issuer]:
        """Who may have issued it, each once: by key identifier, then by name, then the rest of its country.

        Key identifiers and names are hints, and wrong in some documents: only the signature tells. Among equals
        trusted ones come first.
        """
        seen: set[bytes] = set()
        for ders in (
            self._by_ski.get(issued.aki or b"", ()),
            self._by_subject.get(issued.issuer.digest, ()),
            self._by_country.get(issued.issuer.country or "", ()),
        ):
            for der in sorted(ders, key=lambda der: not self._trusted[der]):
                if der not in seen:
                    seen.add(der)
                    certificate = self._certificate(der)
                    if certificate is not None:
                        yield Issuer(certificate, self._trusted[der])

    def document_signers(self, signer: SignerInfo) -> tuple[Certificate, ...]:
        """Certificates that a SignerInfo names, for a security object without its own."""
        ders: Iterable[bytes] = ()
        if signer.issuer is not None and signer.serial is not None:
            ders = self._signers.get((signer.issuer.digest, signer.serial), ())
        elif signer.ski:
            ders = self._signers_by_ski.get(signer.ski, ())
        found = (self._certificate(der) for der in ders)
        return tuple(certificate for certificate in found if certificate is not None)

    def crls(self, certificate: Certificate, issuer: Certificate | None = None) -> list[Crl]:
        """Lists by the certificate's issuer that a trusted CSCA of the issuer's country signed, newest first.

        `issuer` is who signed it, where that is known: its name may not be the one that the certificate has for it.
        """
        names = dict.fromkeys((certificate.issuer.digest, *([issuer.subject.digest] if issuer else ())))
        found = (self._crl(der) for name in names for der in self._lists.get(name, ()))
        proven = [crl for crl in found if crl is not None and self._is_proven(crl)]
        return sorted(proven, key=lambda crl: crl.this_update, reverse=True)

    def _is_proven(self, crl: Crl) -> bool:
        if crl.der not in self._proven:
            self._proven[crl.der] = any(
                issuer.trusted
                and issuer.certificate.country == crl.issuer.country
                and _signed(crl, issuer.certificate)
                for issuer in self.issuers(crl)
            )
        return self._proven[crl.der]

    def _certificate(self, der: bytes) -> Certificate | None:
        if der not in self._parsed:
            try:
                self._parsed[der] = parse_certificate(der)
            except DecodeError:
                self._parsed[der] = None
        return self._parsed[der]

    def _crl(self, der: bytes) -> Crl | None:
        if der not in self._crls:
            try:
                self._crls[der] = parse_crl(der)
            except DecodeError:
                self._crls[der] = None
        return self._crls[der]


def _signed(crl: Crl, issuer: Certificate) -> bool:
    try:
        return crl.signed_by(issuer)
    except DecodeError:
        return False


EMPTY: Final = TrustAnchors()
"""No trust data at all: every chain is undetermined."""
