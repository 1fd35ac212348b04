"""An issuing state for tests: CSCA, links, document signers, revocation lists and security objects, made to measure.

Written on asn1crypto's own schemas and `cryptography`'s signing, apart from the code under test.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from asn1crypto import algos, core, crl, keys, x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
HASHES: dict[str, hashes.HashAlgorithm] = {
    "sha1": hashes.SHA1(),
    "sha224": hashes.SHA224(),
    "sha256": hashes.SHA256(),
    "sha384": hashes.SHA384(),
    "sha512": hashes.SHA512(),
}
LDS = "2.23.136.1.1.1"


def day(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def ec_key(number: int, curve: ec.EllipticCurve | None = None) -> ec.EllipticCurvePrivateKey:
    """A key that is the same in every run."""
    secret = (
        int.from_bytes(hashlib.sha256(b"chip %d" % number).digest(), "big") >> 72
    )  # shorter than every order
    return ec.derive_private_key(secret, curve or ec.SECP256R1())


@lru_cache(maxsize=8)
def rsa_key(bits: int = 2048, number: int = 0, exponent: int = 65537) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(exponent, bits)


def spki(key: PrivateKey) -> bytes:
    return key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def wrap(tag: int, *parts: bytes) -> bytes:
    body = b"".join(parts)
    size = len(body)
    if size < 0x80:
        head = bytes((size,))
    else:
        octets = (size.bit_length() + 7) // 8
        head = bytes((0x80 | octets,)) + size.to_bytes(octets, "big")
    return bytes((tag,)) + head + body


def sequence(*parts: bytes) -> bytes:
    return wrap(0x30, *parts)


@dataclass(frozen=True)
class Scheme:
    """How something is signed, and how its AlgorithmIdentifier says so."""

    digest: str = "sha256"
    pss: bool = False
    mgf: str | None = None
    salt: int | None = None
    oid: str | None = None  # another identifier than the fitting one

    def sign(self, key: PrivateKey, message: bytes) -> bytes:
        algorithm = HASHES[self.digest]
        if isinstance(key, ec.EllipticCurvePrivateKey):
            return key.sign(message, ec.ECDSA(algorithm))
        if self.pss:
            salt = algorithm.digest_size if self.salt is None else self.salt
            return key.sign(
                message, padding.PSS(padding.MGF1(HASHES[self.mgf or self.digest]), salt), algorithm
            )
        return key.sign(message, padding.PKCS1v15(), algorithm)

    def identifier(self, key: PrivateKey) -> bytes:
        if self.oid is not None:
            return sequence(core.ObjectIdentifier(self.oid).dump())
        if self.pss:
            parameters = algos.RSASSAPSSParams(
                {
                    "hash_algorithm": {"algorithm": self.digest},
                    "mask_gen_algorithm": {
                        "algorithm": "mgf1",
                        "parameters": {"algorithm": self.mgf or self.digest},
                    },
                    "salt_length": HASHES[self.digest].digest_size if self.salt is None else self.salt,
                }
            )
            return algos.SignedDigestAlgorithm({"algorithm": "rsassa_pss", "parameters": parameters}).dump()
        kind = "ecdsa" if isinstance(key, ec.EllipticCurvePrivateKey) else "rsa"
        return algos.SignedDigestAlgorithm({"algorithm": f"{self.digest}_{kind}"}).dump()


def name(country: str | None, common: str, **more: str) -> x509.Name:
    parts = {"country_name": country, "common_name": common, **more}
    return x509.Name.build({kind: text for kind, text in parts.items() if text is not None})


def key_id(key: PrivateKey) -> bytes:
    return hashlib.sha1(spki(key)).digest()


def certificate(
    *,
    subject: x509.Name,
    issuer: x509.Name,
    key: PrivateKey,
    signer: PrivateKey,
    serial: int = 1,
    valid: tuple[str, str] = ("2020-01-01", "2030-01-01"),
    scheme: Scheme = Scheme(),
    key_info: bytes | None = None,
    usage: set[str] | None = None,
    ca: bool | None = None,
    ski: bytes | None = None,
    aki: bytes | None = None,
    extended: Sequence[str] = (),
    raw: Mapping[str, bytes] | None = None,
) -> bytes:
    """A certificate in DER. `raw` has further extensions by object identifier, as octets."""
    extensions: list[dict[str, Any]] = []
    if usage is not None:
        extensions.append({"extn_id": "key_usage", "critical": True, "extn_value": x509.KeyUsage(usage)})
    if ca is not None:
        extensions.append(
            {
                "extn_id": "basic_constraints",
                "critical": True,
                "extn_value": x509.BasicConstraints({"ca": ca}),
            }
        )
    if ski is not None:
        extensions.append({"extn_id": "key_identifier", "extn_value": core.OctetString(ski)})
    if aki is not None:
        extensions.append(
            {
                "extn_id": "authority_key_identifier",
                "extn_value": x509.AuthorityKeyIdentifier({"key_identifier": aki}),
            }
        )
    if extended:
        extensions.append(
            {"extn_id": "extended_key_usage", "extn_value": x509.ExtKeyUsageSyntax(list(extended))}
        )
    made = [x509.Extension(extension).dump() for extension in extensions]
    for oid, octets in (raw or {}).items():
        body = core.ObjectIdentifier(oid).dump() + core.OctetString(octets).dump()
        made.append(b"\x30" + bytes((len(body),)) + body)
    identifier = scheme.identifier(signer)
    tbs = sequence(
        b"\xa0\x03\x02\x01\x02",
        core.Integer(serial).dump(),
        identifier,
        issuer.dump(),
        x509.Validity({"not_before": _time(valid[0]), "not_after": _time(valid[1])}).dump(),
        subject.dump(),
        key_info or spki(key),
        *([wrap(0xA3, sequence(*made))] if made else []),
    )
    return sequence(tbs, identifier, core.OctetBitString(scheme.sign(signer, tbs)).dump())


def _time(text: str) -> x509.Time:
    moment = day(text)
    kind = "utc_time" if 1950 <= moment.year < 2050 else "general_time"
    return x509.Time({kind: moment})


@dataclass(frozen=True)
class Csca:
    """A country's signing authority with one key."""

    country: str | None
    key: PrivateKey
    name: x509.Name
    der: bytes

    def signer(self, key: PrivateKey, **options: Any) -> bytes:
        """A document signer's certificate."""
        options = {
            "subject": name(self.country, "Document Signer"),
            "usage": {"digital_signature"},
            "aki": key_id(self.key),
            "serial": 1000,
            **options,
        }
        return certificate(issuer=self.name, key=key, signer=self.key, **options)

    def crl(
        self, *serials: int, since: str = "2026-11-01", until: str | None = "2027-02-01", **options: Any
    ) -> bytes:
        scheme = options.get("scheme", Scheme())
        key = options.get("key", self.key)
        entries = [{"user_certificate": serial, "revocation_date": _time(since)} for serial in serials]
        tbs = crl.TbsCertList(
            {
                "version": "v2",
                "signature": algos.SignedDigestAlgorithm.load(scheme.identifier(key)),
                "issuer": options.get("issuer", self.name),
                "this_update": _time(since),
                **({"next_update": _time(until)} if until else {}),
                **({"revoked_certificates": entries} if entries else {}),
                "crl_extensions": [
                    {
                        "extn_id": "authority_key_identifier",
                        "extn_value": x509.AuthorityKeyIdentifier({"key_identifier": key_id(self.key)}),
                    }
                ],
            }
        ).dump()
        return sequence(tbs, scheme.identifier(key), core.OctetBitString(scheme.sign(key, tbs)).dump())


def csca(country: str | None, key: PrivateKey, common: str = "CSCA", **options: Any) -> Csca:
    """A self-signed CSCA."""
    own = options.pop("subject", name(country, common))
    settings = {
        "usage": {"key_cert_sign", "crl_sign"},
        "ca": True,
        "ski": key_id(key),
        "aki": key_id(key),
        **options,
    }
    return Csca(country, key, own, certificate(subject=own, issuer=own, key=key, signer=key, **settings))


def security_object(groups: Mapping[int, bytes], digest: str = "sha256") -> bytes:
    """An LDSSecurityObject over the data groups."""
    entries = [
        sequence(core.Integer(number).dump(), core.OctetString(hashlib.new(digest, octets).digest()).dump())
        for number, octets in groups.items()
    ]
    return sequence(
        core.Integer(0).dump(), algos.DigestAlgorithm({"algorithm": digest}).dump(), sequence(*entries)
    )


def attribute(kind: str, value: bytes) -> bytes:
    return sequence(core.ObjectIdentifier(kind).dump(), wrap(0x31, value))


def sod(
    content: bytes,
    signer_der: bytes | None,
    key: PrivateKey,
    *,
    scheme: Scheme = Scheme(),
    content_type: str = LDS,
    digest: str | None = None,
    attributes: bool = True,
    signed_at: str | None = None,
    identifier: bytes | None = None,
    edit: Callable[[list[bytes]], list[bytes]] = lambda attributes: attributes,
    certificates: Sequence[bytes] | None = None,
    tag: bool = True,
    named: bytes | None = None,
) -> bytes:
    """An EF.SOD. `edit` changes the signed attributes before they are signed; `named` is the certificate that the
    SignerInfo names, where it isn't the one embedded."""
    hashed = digest or scheme.digest
    embedded = [signer_der] if certificates is None and signer_der else list(certificates or ())
    about = x509.Certificate.load(named or signer_der or b"")
    sid = identifier or sequence(about.issuer.dump(), core.Integer(about.serial_number).dump())
    pieces = []
    if attributes:
        pieces = [
            attribute("1.2.840.113549.1.9.3", core.ObjectIdentifier(content_type).dump()),
            attribute("1.2.840.113549.1.9.4", core.OctetString(hashlib.new(hashed, content).digest()).dump()),
        ]
        if signed_at is not None:
            pieces.append(attribute("1.2.840.113549.1.9.5", core.UTCTime(day(signed_at)).dump()))
        pieces = edit(pieces)
    to_sign = wrap(0x31, *pieces) if attributes else content
    signer = sequence(
        core.Integer(1).dump(),
        sid,
        algos.DigestAlgorithm({"algorithm": hashed}).dump(),
        *([wrap(0xA0, *pieces)] if attributes else []),
        scheme.identifier(key),
        core.OctetString(scheme.sign(key, to_sign)).dump(),
    )
    signed = sequence(
        core.Integer(3).dump(),
        wrap(0x31, algos.DigestAlgorithm({"algorithm": hashed}).dump()),
        sequence(core.ObjectIdentifier(content_type).dump(), wrap(0xA0, core.OctetString(content).dump())),
        *([wrap(0xA0, *embedded)] if embedded else []),
        wrap(0x31, signer),
    )
    info = sequence(core.ObjectIdentifier("1.2.840.113549.1.7.2").dump(), wrap(0xA0, signed))
    return wrap(0x77, info) if tag else info


def explicit_key_info(key: ec.EllipticCurvePrivateKey, curve: Any, **changes: Any) -> bytes:
    """A SubjectPublicKeyInfo with the curve's parameters spelled out; `changes` replace some of them."""
    size = curve.octets
    numbers = key.public_key().public_numbers()
    given = {
        "p": curve.p,
        "a": curve.a.to_bytes(size, "big"),
        "b": curve.b.to_bytes(size, "big"),
        "base": b"\x04" + curve.gx.to_bytes(size, "big") + curve.gy.to_bytes(size, "big"),
        "order": curve.n,
        "cofactor": curve.h,
        "point": b"\x04" + numbers.x.to_bytes(size, "big") + numbers.y.to_bytes(size, "big"),
        **changes,
    }
    domain = keys.SpecifiedECDomain(
        {
            "version": "ecdpVer1",
            "field_id": {"field_type": "prime_field", "parameters": core.Integer(given["p"])},
            "curve": {"a": given["a"], "b": given["b"]},
            "base": keys.ECPoint(given["base"]),
            "order": given["order"],
            **({"cofactor": given["cofactor"]} if given["cofactor"] is not None else {}),
        }
    )
    algorithm = sequence(core.ObjectIdentifier("1.2.840.10045.2.1").dump(), domain.dump())
    return sequence(algorithm, core.OctetBitString(given["point"]).dump())
