"""The fleet's certificate authority: issues what `edged.uplink.roles` verifies.

The authority assigns the subject of every certificate from a `Principal`; a certificate request's own subject
is never looked at. Only public keys come in.
"""

from __future__ import annotations

import ipaddress
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final, assert_never

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

from edged.errors import CertificateError
from edged.uplink import keys
from edged.uplink.names import SCHEME, Principal, Usage, valid_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cryptography.hazmat.primitives.asymmetric import ec

MAX_INTERMEDIATES: Final = 2
"""Offline root, then at most an organisation's and a site's authority; nobody's fleet needs more."""

BACKDATE: Final = timedelta(hours=1)
"""Certificates start this much early, because a box's clock may run behind the authority's."""

DEMO_SCHEME: Final = "edged-demo:"
"""Scheme of the SAN URI that marks everything of a demo fleet, from the root to the leaves."""

DOCUMENT_SIGNING: Final = ObjectIdentifier("1.3.6.1.5.5.7.3.36")
"""id-kp-documentSigning (RFC 9336): marks a key that signs messages and opens no connection."""

_SERVER_NAME = "edged server"  # with a space: no broker user name, no principal can ever be called so


def extended_usage(usage: Usage) -> ObjectIdentifier:
    """The one extended key usage that a certificate of this usage carries."""
    match usage:
        case Usage.TLS:
            return ExtendedKeyUsageOID.CLIENT_AUTH
        case Usage.SIGNING:
            return DOCUMENT_SIGNING
        case _:
            assert_never(usage)


class FleetAuthority:
    """A certificate authority of one fleet: its certificate and its key.

    A demo fleet is marked in the authority's certificate and in every certificate issued from it; a verifier
    compares the two, so the mark outlives even an unmarked certificate made for the same key.
    """

    def __init__(self, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
        if certificate.public_key() != key.public_key():
            raise CertificateError("cert.key_mismatch")
        uris = _uris(certificate)
        fleets = [uri.removeprefix(SCHEME) for uri in uris if uri.startswith(SCHEME)]
        if len(fleets) != 1 or not valid_name(fleets[0]):
            raise CertificateError("cert.malformed", "not a fleet's authority")
        self.fleet: str = fleets[0]
        self.demo: bool = DEMO_SCHEME + self.fleet in uris
        self._certificate = certificate
        self._key = key

    @classmethod
    def create(cls, fleet: str, *, demo: bool, now: datetime, days: int = 3650) -> FleetAuthority:
        """A new self-signed root for `fleet`. `now` is timezone-aware. Raises `ValueError` for a bad name."""
        if not valid_name(fleet):
            raise ValueError("names are lower-case letters and digits with single hyphens, at most 63 long")
        key = keys.generate_key()
        name = _authority_name(fleet, "edged demo fleet, not for live use" if demo else "edged fleet")
        builder = _builder(name, key.public_key(), now, days).issuer_name(name)
        builder = _as_authority(builder, fleet, demo, MAX_INTERMEDIATES)
        return cls(builder.sign(key, hashes.SHA256()), key)

    @classmethod
    def load(cls, certificate_pem: bytes, key_pem: bytes) -> FleetAuthority:
        """An authority from its PEM files. Raises `CertificateError`."""
        try:
            certificate = x509.load_pem_x509_certificate(certificate_pem)
        except ValueError as error:
            raise CertificateError("cert.malformed") from error
        return cls(certificate, keys.load_private(key_pem))

    @property
    def certificate_pem(self) -> bytes:
        """The authority's certificate: what verifiers pin as `TrustAnchor`."""
        return self._certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        """The authority's private key, for `write_private` alone."""
        return keys.private_pem(self._key)

    def issue(
        self,
        principal: Principal,
        usage: Usage,
        public_key: ec.EllipticCurvePublicKey,
        *,
        now: datetime,
        days: int = 397,
    ) -> bytes:
        """A certificate (PEM) that says who holds `public_key` and what for.

        `days` defaults to a year and a month, the longest that the web's own rules ever settled on. Raises
        `ValueError` when the principal is of another fleet.
        """
        if principal.fleet != self.fleet:
            raise ValueError("this authority issues for its own fleet alone")
        builder = _builder(_common_name(principal.username), public_key, now, days)
        builder = _as_leaf(builder, extended_usage(usage), self._marked([principal.uri]))
        return self._sign(builder)

    def issue_server(
        self, hosts: Sequence[str], public_key: ec.EllipticCurvePublicKey, *, now: datetime, days: int = 397
    ) -> bytes:
        """A TLS server certificate (PEM) for host names and IP addresses; it names no principal."""
        names: list[x509.GeneralName] = [_general_name(host) for host in hosts]
        if not names:
            raise ValueError("a server certificate needs at least one host")
        builder = _builder(_common_name(_SERVER_NAME), public_key, now, days)
        return self._sign(_as_leaf(builder, ExtendedKeyUsageOID.SERVER_AUTH, names))

    def revocation_list(self, serial_numbers: Sequence[int], *, now: datetime, valid: timedelta) -> bytes:
        """The list (PEM) of revoked certificates that this authority issued, to be replaced within `valid`.

        For brokers: whose key was stolen can't connect any more. An expired list lets nobody in.
        """
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self._certificate.subject)
            .last_update(now - BACKDATE)
            .next_update(now + valid)
            .add_extension(x509.CRLNumber(int(now.timestamp())), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False
            )
        )
        for number in serial_numbers:
            revoked = x509.RevokedCertificateBuilder().serial_number(number).revocation_date(now)
            builder = builder.add_revoked_certificate(revoked.build())
        return builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    def issue_intermediate(
        self,
        label: str,
        public_key: ec.EllipticCurvePublicKey,
        *,
        now: datetime,
        days: int = 1095,
        path_length: int = 0,
    ) -> bytes:
        """The certificate (PEM) of an authority under this one, so that the root can stay offline."""
        if not valid_name(label):
            raise ValueError("names are lower-case letters and digits with single hyphens, at most 63 long")
        name = _authority_name(self.fleet, label)
        builder = _as_authority(_builder(name, public_key, now, days), self.fleet, self.demo, path_length)
        return self._sign(builder)

    def _marked(self, uris: list[str]) -> list[x509.GeneralName]:
        marks = [DEMO_SCHEME + self.fleet] if self.demo else []
        return [x509.UniformResourceIdentifier(uri) for uri in uris + marks]

    def _sign(self, builder: x509.CertificateBuilder) -> bytes:
        identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        builder = builder.issuer_name(self._certificate.subject).add_extension(identifier, critical=False)
        return builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def _common_name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _authority_name(fleet: str, label: str) -> x509.Name:
    attributes = ((NameOID.ORGANIZATION_NAME, fleet), (NameOID.COMMON_NAME, label))
    return x509.Name([x509.NameAttribute(oid, value) for oid, value in attributes])


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _uris(certificate: x509.Certificate) -> list[str]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError) as error:
        raise CertificateError("cert.malformed") from error
    return names.get_values_for_type(x509.UniformResourceIdentifier)


def _builder(
    subject: x509.Name, public_key: ec.EllipticCurvePublicKey, now: datetime, days: int
) -> x509.CertificateBuilder:
    if now.tzinfo is None:
        raise ValueError("now must be timezone-aware")
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATE)
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
    )


def _as_authority(
    builder: x509.CertificateBuilder, fleet: str, demo: bool, path_length: int
) -> x509.CertificateBuilder:
    uris = [SCHEME + fleet] + ([DEMO_SCHEME + fleet] if demo else [])
    return (
        builder.add_extension(x509.BasicConstraints(ca=True, path_length=path_length), critical=True)
        .add_extension(_key_usage(authority=True), critical=True)
        .add_extension(
            x509.SubjectAlternativeName([x509.UniformResourceIdentifier(uri) for uri in uris]), critical=False
        )
    )


def _as_leaf(
    builder: x509.CertificateBuilder, usage: ObjectIdentifier, names: list[x509.GeneralName]
) -> x509.CertificateBuilder:
    return (
        builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(authority=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([usage]), critical=True)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
    )


def _key_usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )
