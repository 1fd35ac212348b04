"""A small world of issuing states: CSCAs, link certificates, list signers, master lists, CRLs, LDIF. Keys are P-256."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from asn1crypto import cms, core
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID, ObjectIdentifier

from edged.core.emrtd import tlv

UTC = dt.UTC
BORN = dt.datetime(2020, 1, 1, tzinfo=UTC)
DIES = dt.datetime(2035, 1, 1, tzinfo=UTC)
LIST_SIGNER = "2.23.136.1.1.3"
MASTER_LIST = "2.23.136.1.1.2"
SECURITY_OBJECT = "2.23.136.1.1.1"


@dataclass(frozen=True)
class Party:
    """A certificate and its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.DER)

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def fingerprint(self) -> str:
        return hashlib.sha256(self.der).hexdigest()


def name(country: str, common: str) -> x509.Name:
    return x509.Name(
        [x509.NameAttribute(NameOID.COUNTRY_NAME, country), x509.NameAttribute(NameOID.COMMON_NAME, common)]
    )


def issue(
    country: str,
    common: str,
    by: Party | None = None,
    *,
    key: ec.EllipticCurvePrivateKey | None = None,
    ca: bool = True,
    usage: str | None = None,
    born: dt.datetime = BORN,
    dies: dt.datetime = DIES,
    serial: int | None = None,
    path_length: int | None = 0,
) -> Party:
    """A certificate; self-signed without `by`. With `by` and `key` of a CSCA it is a link certificate."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    subject = name(country, common)
    issuer_key = by.key if by else key
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(by.certificate.subject if by else subject)
        .public_key(key.public_key())
        .serial_number(serial or x509.random_serial_number())
        .not_valid_before(born)
        .not_valid_after(dies)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False
        )
        .add_extension(
            x509.KeyUsage(
                digital_signature=not ca,
                content_commitment=False,
                key_encipherment=False,
                data_encipherment=False,
                key_agreement=False,
                key_cert_sign=ca,
                crl_sign=ca,
                encipher_only=False,
                decipher_only=False,
            ),
            critical=True,
        )
    )
    if ca:
        builder = builder.add_extension(
            x509.BasicConstraints(ca=True, path_length=path_length), critical=True
        )
    if usage:
        builder = builder.add_extension(x509.ExtendedKeyUsage([ObjectIdentifier(usage)]), critical=True)
    return Party(builder.sign(issuer_key, hashes.SHA256()), key)


def signer(root: Party, country: str, usage: str | None = LIST_SIGNER, **more: object) -> Party:
    return issue(country, "Master List Signer", root, ca=False, usage=usage, **more)  # type: ignore[arg-type]


def content(certificates: Iterable[bytes]) -> bytes:
    """CscaMasterList ::= SEQUENCE { version INTEGER, certList SET OF Certificate } (Doc 9303-12 §9)."""

    class Certificates(core.SetOf):
        _child_spec = asn1_x509.Certificate

    class CscaMasterList(core.Sequence):
        _fields = [("version", core.Integer), ("certs", Certificates)]  # noqa: RUF012

    return CscaMasterList(
        {"version": 0, "certs": [asn1_x509.Certificate.load(der) for der in certificates]}
    ).dump()


def master_list(
    by: Party,
    certificates: Iterable[bytes],
    made: dt.datetime | None,
    *,
    extra: Iterable[bytes] = (),
    content_type: str = MASTER_LIST,
    octets: bytes | None = None,
) -> bytes:
    """A signed list; `extra` certificates travel beside the signer's own."""
    octets = content(certificates) if octets is None else octets
    attributes = [
        cms.CMSAttribute({"type": "content_type", "values": [content_type]}),
        cms.CMSAttribute({"type": "message_digest", "values": [hashlib.sha256(octets).digest()]}),
    ]
    if made is not None:
        time = cms.Time({"utc_time": core.UTCTime(made)})
        attributes.append(cms.CMSAttribute({"type": "signing_time", "values": [time]}))
    signed = cms.CMSAttributes(attributes)
    own = asn1_x509.Certificate.load(by.der)
    info = cms.SignerInfo(
        {
            "version": "v3",
            "sid": cms.SignerIdentifier({"subject_key_identifier": own.key_identifier}),
            "digest_algorithm": {"algorithm": "sha256"},
            "signed_attrs": signed,
            "signature_algorithm": {"algorithm": "sha256_ecdsa"},
            "signature": by.key.sign(signed.untag().dump(), ec.ECDSA(hashes.SHA256())),
        }
    )
    data = cms.SignedData(
        {
            "version": "v3",
            "digest_algorithms": [{"algorithm": "sha256"}],
            "encap_content_info": {
                "content_type": content_type,
                "content": core.ParsableOctetString(octets),
            },
            "certificates": [
                cms.CertificateChoices({"certificate": asn1_x509.Certificate.load(der)})
                for der in (by.der, *extra)
            ],
            "signer_infos": [info],
        }
    )
    return cms.ContentInfo({"content_type": "signed_data", "content": data}).dump()


def crl(
    by: Party,
    revoked: Iterable[int] = (),
    *,
    made: dt.datetime = dt.datetime(2026, 1, 1, tzinfo=UTC),
    until: dt.datetime = dt.datetime(2026, 12, 31, tzinfo=UTC),
    number: int = 1,
) -> bytes:
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(by.certificate.subject)
        .last_update(made)
        .next_update(until)
        .add_extension(x509.CRLNumber(number), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(by.key.public_key()), critical=False
        )
    )
    for serial in revoked:
        builder = builder.add_revoked_certificate(
            x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(made).build()
        )
    return builder.sign(by.key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


def ldif(*entries: tuple[str, str, bytes], end: str = "\n") -> bytes:
    """Entries (dn, attribute, value), folded at 76 columns as the PKD writes them."""
    lines = ["version: 1", "# a comment", "  that goes on", ""]
    for dn, attribute, value in entries:
        lines += fold(f"dn: {dn}")
        lines += ["objectClass: top", "cn:: " + base64.b64encode(b"\xc3\xa9").decode()]
        lines += fold(f"{attribute}:: " + base64.b64encode(value).decode())
        lines.append("")
    return end.join(lines).encode()


def fold(line: str, width: int = 76) -> list[str]:
    return [line[:width], *(" " + line[at : at + width - 1] for at in range(width, len(line), width - 1))]


def security_object(groups: dict[int, bytes]) -> bytes:
    """LDSSecurityObject with SHA-256 hashes (Doc 9303-10 §4.6.2.2)."""
    hashes = b"".join(
        tlv.encode(
            0x30,
            tlv.encode(0x02, bytes((number,))) + tlv.encode(0x04, hashlib.sha256(octets).digest()),
        )
        for number, octets in groups.items()
    )
    algorithm = bytes.fromhex("300B0609608648016503040201")
    return tlv.encode(0x30, b"\x02\x01\x00" + algorithm + tlv.encode(0x30, hashes))


def sod(
    by: Party, groups: dict[int, bytes], made: dt.datetime = dt.datetime(2024, 1, 1, tzinfo=UTC)
) -> bytes:
    """EF.SOD over data groups, signed by a document signer."""
    signed = master_list(by, [], made, content_type=SECURITY_OBJECT, octets=security_object(groups))
    return tlv.encode(0x77, signed)


def dg1(mrz: str) -> bytes:
    return tlv.encode(0x61, tlv.encode(0x5F1F, mrz.encode()))
