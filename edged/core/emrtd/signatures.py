"""Signatures of certificates, security objects and CRLs: which algorithm, and whether one verifies.

RSA PKCS#1 v1.5, RSA-PSS with any hash, MGF1 hash and salt, ECDSA (X9.62 and BSI's plain format) with SHA-1 to SHA-512
(Doc 9303-12 §4.1.6). Verification is `cryptography`'s, and `ecdsa`'s on curves that it lacks. MD5 and older
count as unsupported: what they sign can be forged. SHA-1 counts (documents of ten years ago have nothing else) and
is told (`weak`).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from asn1crypto import core

from edged.core.emrtd import asn1, tlv
from edged.core.emrtd.curves import openssl_curve
from edged.core.emrtd.public_keys import EcKey, RsaKey
from edged.errors import DecodeError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
    from cryptography.hazmat.primitives.hashes import HashAlgorithm

    from edged.core.emrtd.asn1 import Algorithm
    from edged.core.emrtd.public_keys import PublicKey

MAX_SIGNATURE_OCTETS: Final = 1100
"""RSA 8192 has 1024; ECDSA on 521 bits about 140."""
MAX_SALT_OCTETS: Final = 1024
"""Longer than any hash; a salt can't be longer than the modulus anyway."""


class Family(Enum):
    """How a signature is made. The value is its name in reports."""

    RSA = "RSA"
    RSA_PSS = "RSA-PSS"
    ECDSA = "ECDSA"
    ECDSA_PLAIN = "ECDSA plain"


@dataclass(frozen=True)
class SignatureAlgorithm:
    """How to verify one signature.

    Attributes:
        digest: hash of the message: "sha1", "sha224", "sha256", "sha384", "sha512".
        mgf_digest: hash of MGF1, RSA-PSS only.
        salt: its octets, RSA-PSS only.
    """

    family: Family
    digest: str
    mgf_digest: str = ""
    salt: int = 0

    @property
    def weak(self) -> bool:
        """Whether the message is hashed with SHA-1, for which collisions can be made."""
        return self.digest == "sha1"

    @property
    def name(self) -> str:
        """For reports: "ECDSA with SHA-256"; PSS with what differs from the usual."""
        text = f"{self.family.value} with {digest_name(self.digest)}"
        if self.family is Family.RSA_PSS and self.mgf_digest != self.digest:
            text += f", MGF1 with {digest_name(self.mgf_digest)}"
        if self.family is Family.RSA_PSS and self.salt != hashlib.new(self.digest).digest_size:
            text += f", salt of {self.salt}"
        return text


_DIGESTS: Final = {
    "1.3.14.3.2.26": "sha1",
    "2.16.840.1.101.3.4.2.4": "sha224",
    "2.16.840.1.101.3.4.2.1": "sha256",
    "2.16.840.1.101.3.4.2.2": "sha384",
    "2.16.840.1.101.3.4.2.3": "sha512",
}
_RSA: Final = "1.2.840.113549.1.1."
_PSS: Final = "1.2.840.113549.1.1.10"
_MGF1: Final = "1.2.840.113549.1.1.8"
_PLAIN: Final = "0.4.0.127.0.7.1.1.4.1."  # ecdsa-plain-signatures, BSI TR-03111 §5.2.1.1
_WITH_DIGEST: Final = {
    _RSA + "5": (Family.RSA, "sha1"),
    _RSA + "14": (Family.RSA, "sha224"),
    _RSA + "11": (Family.RSA, "sha256"),
    _RSA + "12": (Family.RSA, "sha384"),
    _RSA + "13": (Family.RSA, "sha512"),
    "1.3.14.3.2.29": (Family.RSA, "sha1"),  # OIW's older name
    "1.2.840.10045.4.1": (Family.ECDSA, "sha1"),
    "1.2.840.10045.4.3.1": (Family.ECDSA, "sha224"),
    "1.2.840.10045.4.3.2": (Family.ECDSA, "sha256"),
    "1.2.840.10045.4.3.3": (Family.ECDSA, "sha384"),
    "1.2.840.10045.4.3.4": (Family.ECDSA, "sha512"),
    _PLAIN + "1": (Family.ECDSA_PLAIN, "sha1"),
    _PLAIN + "2": (Family.ECDSA_PLAIN, "sha224"),
    _PLAIN + "3": (Family.ECDSA_PLAIN, "sha256"),
    _PLAIN + "4": (Family.ECDSA_PLAIN, "sha384"),
    _PLAIN + "5": (Family.ECDSA_PLAIN, "sha512"),
}
_WITHOUT_DIGEST: Final = {
    _RSA + "1": Family.RSA,  # rsaEncryption
    "1.2.840.10045.2.1": Family.ECDSA,  # id-ecPublicKey
    "1.2.840.10045.4.3": Family.ECDSA,  # ecdsa-with-Specified
}


class _PssParameters(core.Sequence):  # type: ignore[misc]
    """RSASSA-PSS-params (RFC 4055 §3.1)."""

    _fields = [  # noqa: RUF012
        ("digest", asn1.AlgorithmIdentifierType, {"explicit": 0, "optional": True}),
        ("mask", asn1.AlgorithmIdentifierType, {"explicit": 1, "optional": True}),
        ("salt", core.Integer, {"explicit": 2, "default": 20}),
        ("trailer", core.Integer, {"explicit": 3, "default": 1}),
    ]


def digest_name(digest: str) -> str:
    """For reports: "SHA-256"."""
    return digest.upper().replace("SHA", "SHA-")


def read_digest(der: bytes, what: str = "certificate") -> str:
    """The hash an AlgorithmIdentifier names; one of a whole signature algorithm is taken for its hash.

    Raises `DecodeError` (`what`, "pki.algorithm_unsupported" | "pki.malformed").
    """
    return digest_of(asn1.read_algorithm(der, what).oid, what)


def digest_of(oid: str, what: str = "certificate") -> str:
    """The hash with this object identifier, see `read_digest`."""
    found = _DIGESTS.get(oid) or _WITH_DIGEST.get(oid, (None, ""))[1]
    if not found:
        raise DecodeError(what, "pki.algorithm_unsupported")
    return found


def signature_algorithm(
    der: bytes, digest: str | None = None, what: str = "certificate"
) -> SignatureAlgorithm:
    """What an AlgorithmIdentifier says about a signature.

    `digest` is the hash named beside it (SignerInfo's), for identifiers that name none: rsaEncryption, plain
    id-ecPublicKey, RSA-PSS without parameters. Where the identifier names one, that one counts.
    Raises `DecodeError` (`what`, "pki.algorithm_unsupported" | "pki.malformed").
    """
    algorithm = asn1.read_algorithm(der, what)
    if algorithm.oid == _PSS:
        return _pss(algorithm, digest, what)
    if algorithm.oid in _WITH_DIGEST:
        return SignatureAlgorithm(*_WITH_DIGEST[algorithm.oid])
    family = _WITHOUT_DIGEST.get(algorithm.oid)
    if family is None:
        raise DecodeError(what, "pki.algorithm_unsupported")
    if algorithm.oid == "1.2.840.10045.4.3" and algorithm.parameters:
        digest = read_digest(algorithm.parameters, what)
    if digest is None:
        raise DecodeError(what, "pki.algorithm_unsupported")
    return SignatureAlgorithm(family, digest)


def _pss(algorithm: Algorithm, digest: str | None, what: str) -> SignatureAlgorithm:
    if algorithm.parameters is None:
        hashed = digest or "sha1"
        return SignatureAlgorithm(Family.RSA_PSS, hashed, hashed, hashlib.new(hashed).digest_size)
    with asn1.guarded(what, "pki.malformed"):
        given = _PssParameters.load(algorithm.parameters, strict=True)
        salt, trailer = given["salt"].native, given["trailer"].native
        hashed = masked = "sha1"
        if not isinstance(given["digest"], core.Void):
            hashed = digest_of(asn1.algorithm_of(given["digest"]).oid, what)
        if not isinstance(given["mask"], core.Void):
            generator = asn1.algorithm_of(given["mask"])
            if generator.oid != _MGF1:
                raise DecodeError(what, "pki.algorithm_unsupported")
            masked = read_digest(generator.parameters, what) if generator.parameters else "sha1"
    if trailer != 1 or not 0 <= salt <= MAX_SALT_OCTETS:
        raise DecodeError(what, "pki.algorithm_unsupported")
    return SignatureAlgorithm(Family.RSA_PSS, hashed, masked, salt)


def verify(
    key: PublicKey, algorithm: SignatureAlgorithm, signature: bytes, message: bytes, what: str = "certificate"
) -> bool:
    """Whether `signature` is `key`'s over `message`.

    False for a key of another kind than the algorithm's. Raises `DecodeError` (`what`, "pki.key_unsupported") for a
    key that no library here can use.
    """
    if len(signature) > MAX_SIGNATURE_OCTETS:
        return False
    if isinstance(key, RsaKey):
        return algorithm.family in {Family.RSA, Family.RSA_PSS} and _verify_rsa(
            key, algorithm, signature, message, what
        )
    if algorithm.family not in {Family.ECDSA, Family.ECDSA_PLAIN}:
        return False
    numbers = (
        plain_numbers(key, signature) if algorithm.family is Family.ECDSA_PLAIN else der_numbers(signature)
    )
    return numbers is not None and verify_ecdsa(key, algorithm.digest, numbers, message)


def _verify_rsa(
    key: RsaKey, algorithm: SignatureAlgorithm, signature: bytes, message: bytes, what: str
) -> bool:
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric import padding

    scheme = (
        padding.PKCS1v15()
        if algorithm.family is Family.RSA
        else padding.PSS(padding.MGF1(_hash(algorithm.mgf_digest)), algorithm.salt)
    )
    try:
        _rsa_key(key.n, key.e).verify(signature, message, scheme, _hash(algorithm.digest))
    except InvalidSignature:
        return False
    except (UnsupportedAlgorithm, ValueError):
        raise DecodeError(what, "pki.key_unsupported") from None
    return True


def der_numbers(signature: bytes) -> tuple[int, int] | None:
    """(r, s) of an Ecdsa-Sig-Value (RFC 3279 §2.2.3), None when it isn't one.

    Numbers written without the zero that keeps them positive are read as meant.
    """
    try:
        parts = list(tlv.iterate(tlv.only(signature, 0x30)))
    except DecodeError:
        return None
    if [part.tag for part in parts] != [0x02, 0x02]:
        return None
    return int.from_bytes(parts[0].value, "big"), int.from_bytes(parts[1].value, "big")


def plain_numbers(key: EcKey, signature: bytes) -> tuple[int, int] | None:
    """(r, s) of the plain format r‖s (TR-03111 §5.2.1.1), None when the length isn't twice the order's."""
    octets = (key.curve.n.bit_length() + 7) // 8
    if len(signature) != 2 * octets:
        return None
    return int.from_bytes(signature[:octets], "big"), int.from_bytes(signature[octets:], "big")


def verify_ecdsa(key: EcKey, digest: str, numbers: tuple[int, int], message: bytes) -> bool:
    """Whether (r, s) is `key`'s ECDSA signature over `message`."""
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric import ec, utils

    r, s = numbers
    if not (1 <= r < key.curve.n and 1 <= s < key.curve.n):
        return False
    try:
        usable = _ec_key(key.curve.name, key.x, key.y)
    except (UnsupportedAlgorithm, ValueError):
        usable = None
    if usable is None:
        return _verify_with_ecdsa(key, digest, numbers, message)
    try:
        usable.verify(utils.encode_dss_signature(r, s), message, ec.ECDSA(_hash(digest)))
    except InvalidSignature:
        return False
    except UnsupportedAlgorithm:
        return _verify_with_ecdsa(key, digest, numbers, message)
    return True


def _verify_with_ecdsa(key: EcKey, digest: str, numbers: tuple[int, int], message: bytes) -> bool:
    from ecdsa.ecdsa import Public_key, Signature

    curve = key.curve
    hashed = hashlib.new(digest, message).digest()
    number = int.from_bytes(hashed, "big") >> max(0, 8 * len(hashed) - curve.n.bit_length())
    public = Public_key(curve.generator, curve.point(key.x, key.y), verify=False)
    return bool(public.verifies(number, Signature(*numbers)))


# Building a key costs more than verifying with it; certificates of one issuer are verified in a row.
@lru_cache(maxsize=64)
def _rsa_key(n: int, e: int) -> RSAPublicKey:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers

    return RSAPublicNumbers(e, n).public_key()


@lru_cache(maxsize=64)
def _ec_key(name: str, x: int, y: int) -> EllipticCurvePublicKey | None:
    from cryptography.hazmat.primitives.asymmetric import ec

    theirs = openssl_curve(name)
    return None if theirs is None else ec.EllipticCurvePublicNumbers(x, y, theirs).public_key()


@lru_cache(maxsize=8)
def _hash(digest: str) -> HashAlgorithm:
    from cryptography.hazmat.primitives import hashes

    made: dict[str, type[Any]] = {
        "sha1": hashes.SHA1,
        "sha224": hashes.SHA224,
        "sha256": hashes.SHA256,
        "sha384": hashes.SHA384,
        "sha512": hashes.SHA512,
    }
    algorithm: HashAlgorithm = made[digest]()
    return algorithm
