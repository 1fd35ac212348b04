"""Who may say what: the check of a certificate chain against the fleet's authority.

A certificate names its holder in a SAN URI `edged://{fleet}/{role}/{name}`, and for the broker in its common
name. A key either opens TLS connections or signs messages, never both, so a stolen TLS key signs no verdict.
`TrustAnchor.verify` follows RFC 5280 §6.1 for the narrow profile that `edged.uplink.authority` issues;
whatever is outside the profile is refused, not interpreted.
"""

from __future__ import annotations

import threading
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtensionOID, NameOID, ObjectIdentifier

from edged.errors import CertificateError
from edged.uplink.authority import DEMO_SCHEME, MAX_INTERMEDIATES, FleetAuthority, extended_usage
from edged.uplink.keys import generate_key, load_private, private_pem, read_private, write_private
from edged.uplink.names import SCHEME, Principal, Role, Usage, valid_name
from edged.uplink.revoked import NONE, Revocations, fingerprint

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

__all__ = [
    "MALFORMED",
    "MAX_CHAIN",
    "FleetAuthority",
    "Principal",
    "Role",
    "TrustAnchor",
    "Usage",
    "generate_key",
    "is_demo",
    "load_chain",
    "load_private",
    "principal_of",
    "private_pem",
    "read_private",
    "valid_name",
    "write_private",
]

Source = Literal["authority", "directory"]
"""Who revokes: the offline keys (`fleet/authority.json`), the admin (the signed directory)."""

MAX_CHAIN: Final = 1 + MAX_INTERMEDIATES
"""Certificates a sender may present: its own and the intermediates, without the root."""

MAX_ANCHORS: Final = 4
"""Roots trusted at once: one; two while a root is replaced; and room for a replacement gone wrong."""

KNOWN_CHAINS: Final = 4096
"""Chains that are remembered as good, of about 2 KiB each: the boxes that one collector hears within minutes."""

MAX_PEM: Final = 64 * 1024
"""A chain of certificates is under 8 KiB as PEM; anything much larger is the wrong file."""

MALFORMED: Final = (
    *(ValueError, TypeError, UserWarning, UnsupportedAlgorithm),
    *(x509.InvalidVersion, x509.DuplicateExtension, x509.UnsupportedGeneralNameType),
)
"""What cryptography raises for broken certificates, lazily, when their parts are looked at. Of some faults (a
negative serial number) it only warns, which is an exception where warnings are errors."""

_UNDERSTOOD: Final = frozenset(
    {
        ExtensionOID.BASIC_CONSTRAINTS,
        ExtensionOID.KEY_USAGE,
        ExtensionOID.EXTENDED_KEY_USAGE,
        ExtensionOID.SUBJECT_ALTERNATIVE_NAME,
    }
)
"""Extensions evaluated here; any other that is critical refuses the certificate (RFC 5280 §4.2)."""

_HASHES: Final = (hashes.SHA256, hashes.SHA384, hashes.SHA512)
_CURVES: Final = (ec.SECP256R1, ec.SECP384R1, ec.SECP521R1)


class TrustAnchor:
    """The fleet root (or roots, while one replaces another) that chains must end at.

    Attributes:
        fleet: the fleet's name, from the root certificate.
        demo: whether the root is marked as a demo fleet's; nothing under it is ever `live`.
        sha256: hex SHA-256 of each root's DER.
    """

    def __init__(self, roots: Sequence[x509.Certificate]) -> None:
        """Take parsed roots. Raises `CertificateError` for none, too many, or roots of several fleets."""
        if not 1 <= len(roots) <= MAX_ANCHORS:
            raise CertificateError("cert.malformed", f"1 to {MAX_ANCHORS} roots are needed, not {len(roots)}")
        marks = {_authority_marks(root) for root in roots}
        if len(marks) != 1:
            raise CertificateError("cert.wrong_fleet", "the roots are of several fleets")
        self.fleet, self.demo = marks.pop()
        # Of a root and its renewal with the same key, both fit: the one that holds longer.
        self._roots = tuple(sorted(roots, key=lambda root: root.not_valid_after_utc, reverse=True))
        self.sha256 = tuple(fingerprint(root) for root in self._roots)
        self._path = lru_cache(maxsize=KNOWN_CHAINS)(self._checked_path)
        self._changing = threading.Lock()
        self._by_source: dict[Source, Revocations] = {}
        self._revocations = NONE

    @property
    def revocations(self) -> Revocations:
        """What is revoked by now, by any source."""
        return self._revocations

    def revoke(self, source: Source, revocations: Revocations) -> None:
        """Replace what `source` has revoked: counts for every message from now on, in every thread."""
        with self._changing:
            self._by_source[source] = revocations
            union = NONE
            for one in self._by_source.values():
                union |= one
            self._revocations = union

    def is_revoked(self, chain: Sequence[x509.Certificate]) -> bool:
        """Whether a chain of signing certificates, whatever its times, is revoked by now.

        Raises `CertificateError` for one that was never good.
        """
        try:
            _, principal, fingerprints = self._path(tuple(chain), Usage.SIGNING)
        except MALFORMED as error:
            raise CertificateError("cert.malformed") from error
        return self._revocations.since(fingerprints, principal) is not None

    def believe(self, other: TrustAnchor) -> None:
        """From now on the roots of `other`, an anchor of the same fleet; what is revoked stays so."""
        if (other.fleet, other.demo) != (self.fleet, self.demo):
            raise CertificateError("cert.wrong_fleet")
        with self._changing:
            self._roots, self.sha256 = other._roots, other.sha256
            self._path = lru_cache(maxsize=KNOWN_CHAINS)(self._checked_path)

    def without(self, source: Source) -> TrustAnchor:
        """The same authority as if `source` had revoked nothing."""
        twin = TrustAnchor(self._roots)
        for one, revocations in self._by_source.items():
            if one != source:
                twin.revoke(one, revocations)
        return twin

    @classmethod
    def from_pem(cls, pem: bytes) -> TrustAnchor:
        """The roots in a PEM file's bytes. Raises `CertificateError`."""
        return cls(load_chain(pem))

    @classmethod
    def from_file(cls, path: Path | str) -> TrustAnchor:
        """The roots in a PEM file. Raises `CertificateError` (`cert.unreadable`, `cert.malformed`)."""
        try:
            with Path(path).open("rb") as file:
                return cls.from_pem(file.read(MAX_PEM + 1))
        except OSError as error:
            raise CertificateError("cert.unreadable", f"{path}: {error.strerror}") from error

    def verify(
        self,
        chain: Sequence[x509.Certificate],
        *,
        usage: Usage,
        at: datetime,
        arrived: datetime | None = None,
    ) -> Principal:
        """Whose certificate `chain[0]` is, once the whole chain up to a root holds at the moment `at`.

        `chain` is the leaf and then at most `MAX_INTERMEDIATES` issuers, in order, without the root; `at` is
        timezone-aware; `arrived` as in `Revocations.check`. Raises `CertificateError`: `cert.malformed`,
        `cert.unknown_issuer`, `cert.revoked`, `cert.expired`, `cert.not_yet_valid`, `cert.wrong_usage`,
        `cert.wrong_fleet`, `cert.demo_mismatch`.
        """
        if at.tzinfo is None:
            raise ValueError("at must be timezone-aware")
        if not 1 <= len(chain) <= MAX_CHAIN:
            raise CertificateError("cert.malformed", f"a chain has 1 to {MAX_CHAIN} certificates")
        try:
            return self._verify(chain, usage, at, arrived)
        except MALFORMED as error:
            raise CertificateError("cert.malformed") from error

    def _verify(
        self, chain: Sequence[x509.Certificate], usage: Usage, at: datetime, arrived: datetime | None
    ) -> Principal:
        path, principal, fingerprints = self._path(tuple(chain), usage)
        # Before the times: whoever forgives a certificate that has ended must not forgive one that was stolen.
        self._revocations.check(fingerprints, principal, arrived=arrived)
        for certificate in path:
            _check_validity(certificate, at)
        return principal

    def _checked_path(
        self, chain: tuple[x509.Certificate, ...], usage: Usage
    ) -> tuple[tuple[x509.Certificate, ...], Principal, tuple[str, ...]]:
        """The chain with its root, its holder, each certificate's SHA-256: all that is true of these bytes at any time.

        A device signs a thousand messages with one certificate, so this is remembered. What may change is checked
        for every message: times, and whatever else is to end a certificate's life before its time.
        """
        path = (*chain, self._root_of(chain[-1]))
        for depth, issuer in enumerate(path[1:]):
            _check_authority(issuer, below=depth, usage=usage)
            if _authority_marks(issuer) != (self.fleet, self.demo):
                raise CertificateError("cert.wrong_fleet", "an issuer is of another fleet")
        for certificate, issuer in pairwise(chain):
            _check_issued(certificate, issuer)
        principal = principal_of(path[0], usage=usage)
        if principal.fleet != self.fleet:
            raise CertificateError("cert.wrong_fleet")
        if is_demo(path[0]) != self.demo:
            raise CertificateError("cert.demo_mismatch")
        return path, principal, tuple(fingerprint(one) for one in path)

    def _root_of(self, last: x509.Certificate) -> x509.Certificate:
        """The root that issued `last`; between roots of one name (a renewed one), the signature decides."""
        for root in self._roots:
            try:
                _check_issued(last, root)
            except CertificateError:
                continue
            return root
        raise CertificateError("cert.unknown_issuer")


def load_chain(pem: bytes) -> tuple[x509.Certificate, ...]:
    """Every certificate in `pem`, in order. Raises `CertificateError` (`cert.malformed`)."""
    if len(pem) > MAX_PEM:
        raise CertificateError("cert.malformed", f"larger than {MAX_PEM} bytes")
    try:
        return tuple(x509.load_pem_x509_certificates(pem))
    except MALFORMED as error:
        raise CertificateError("cert.malformed") from error


def principal_of(leaf: x509.Certificate, *, usage: Usage) -> Principal:
    """What a leaf certificate says of itself, checked for form and usage but not for who issued it.

    Raises `CertificateError` (`cert.malformed`, `cert.wrong_usage`).
    """
    try:
        _check_extensions(leaf)
        constraints = leaf.extensions.get_extension_for_class(x509.BasicConstraints).value
        key_usage = leaf.extensions.get_extension_for_class(x509.KeyUsage).value
        extended = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        if constraints.ca or key_usage.key_cert_sign or not key_usage.digital_signature:
            raise CertificateError("cert.wrong_usage", "an authority's certificate can't be used as a leaf")
        if list(extended) != [extended_usage(usage)]:
            raise CertificateError("cert.wrong_usage", f"this is not a {usage} certificate")
        if not isinstance(leaf.public_key(), ec.EllipticCurvePublicKey):
            raise CertificateError("cert.wrong_usage", "the key is not an elliptic-curve key")
        uris = [uri for uri in _uris(leaf) if uri.startswith(SCHEME)]
        if len(uris) != 1:
            raise CertificateError("cert.malformed", "exactly one name is needed")
        principal = Principal.from_uri(uris[0])
        common_names = leaf.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        if [attribute.value for attribute in common_names] != [principal.username]:
            raise CertificateError("cert.malformed", "common name and SAN URI differ")
    except (x509.ExtensionNotFound, *MALFORMED) as error:
        raise CertificateError("cert.malformed") from error
    return principal


def is_demo(certificate: x509.Certificate) -> bool:
    """Whether a certificate carries the mark of a demo fleet."""
    return any(uri.startswith(DEMO_SCHEME) for uri in _uris(certificate))


def _uris(certificate: x509.Certificate) -> list[str]:
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    uris = names.get_values_for_type(x509.UniformResourceIdentifier)
    if len(uris) != len(list(names)):
        raise CertificateError("cert.malformed", "a name that is no URI")
    return uris


def _authority_marks(certificate: x509.Certificate) -> tuple[str, bool]:
    """Fleet and demo mark of an authority's certificate."""
    try:
        constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
        uris = _uris(certificate)
    except (x509.ExtensionNotFound, *MALFORMED) as error:
        raise CertificateError("cert.malformed", "not a fleet's authority") from error
    fleets = [uri.removeprefix(SCHEME) for uri in uris if uri.startswith(SCHEME)]
    if not constraints.ca or len(fleets) != 1 or not valid_name(fleets[0]):
        raise CertificateError("cert.malformed", "not a fleet's authority")
    return fleets[0], DEMO_SCHEME + fleets[0] in uris


def _check_issued(certificate: x509.Certificate, issuer: x509.Certificate) -> None:
    algorithm = certificate.signature_hash_algorithm
    key = issuer.public_key()
    if not isinstance(algorithm, _HASHES):
        raise CertificateError("cert.malformed", "signed with a hash that is not SHA-2")
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, _CURVES):
        raise CertificateError("cert.malformed", "the issuer's key is not on a NIST curve")
    try:
        certificate.verify_directly_issued_by(issuer)
    except (InvalidSignature, *MALFORMED) as error:
        raise CertificateError("cert.unknown_issuer") from error


def _check_authority(issuer: x509.Certificate, *, below: int, usage: Usage) -> None:
    """RFC 5280 §6.1.4: an issuer may sign certificates, and `below` authorities may stand under it."""
    try:
        _check_extensions(issuer)
        constraints = issuer.extensions.get_extension_for_class(x509.BasicConstraints)
        key_usage = issuer.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound as error:
        raise CertificateError("cert.malformed") from error
    if not constraints.critical or not constraints.value.ca or not key_usage.key_cert_sign:
        raise CertificateError("cert.wrong_usage", "an issuer is no authority")
    if constraints.value.path_length is not None and constraints.value.path_length < below:
        raise CertificateError("cert.wrong_usage", "an issuer may not have authorities under it")
    if not _allows(issuer, extended_usage(usage)):
        raise CertificateError("cert.wrong_usage", f"an issuer may not issue {usage} certificates")


def _allows(issuer: x509.Certificate, usage: ObjectIdentifier) -> bool:
    """Extended key usage on an authority limits what it may issue, as OpenSSL and browsers read it."""
    try:
        extended = issuer.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return True
    return usage in list(extended)


def _check_extensions(certificate: x509.Certificate) -> None:
    """No critical extension that isn't evaluated here, no name constraints (which would have to be)."""
    for extension in certificate.extensions:
        if extension.critical and extension.oid not in _UNDERSTOOD:
            raise CertificateError("cert.malformed", "an unknown critical extension")
        if extension.oid == ExtensionOID.NAME_CONSTRAINTS:
            raise CertificateError("cert.malformed", "name constraints are not supported")


def _check_validity(certificate: x509.Certificate, at: datetime) -> None:
    if at < certificate.not_valid_before_utc:
        raise CertificateError("cert.not_yet_valid")
    if at > certificate.not_valid_after_utc:
        raise CertificateError("cert.expired")
