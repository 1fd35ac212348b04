"""Key pairs that sign, of authorities and document signers: RSA, RSA-PSS, ECDSA with named or explicit curves."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, Literal

from edged.core.emrtd.curves import curves, openssl_curve

if TYPE_CHECKING:
    from asn1crypto.algos import SignedDigestAlgorithm
    from asn1crypto.keys import PublicKeyInfo
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

MAX_RSA_KEYS: Final = 1024
"""Kept by a process: making one takes up to a second, and one that was dropped comes back as another key, which no
certificate or revocation list made before knows. A few KB each; the tests of one process make about a hundred."""


@dataclass(frozen=True)
class Scheme:
    """How a key signs.

    Attributes:
        digest: of the signature ("sha1", "sha256", "sha384", "sha512").
        bits: of an RSA key.
        curve: of an elliptic one.
        explicit: the curve is spelt out in the public key instead of named.
        mask: hash of PSS's mask generation, the same as `digest` unless given.
    """

    kind: Literal["RSA", "RSA-PSS", "ECDSA"]
    digest: str = "sha256"
    bits: int = 2048
    curve: str = "secp256r1"
    explicit: bool = False
    mask: str | None = None


class Signer:
    """One key pair.

    Attributes:
        key: `cryptography`'s private key.
    """

    def __init__(self, scheme: Scheme, seed: bytes) -> None:
        self.scheme = scheme
        self.key: Any
        if scheme.kind == "ECDSA":
            self.key = elliptic_key(scheme.curve, seed)
        else:
            self.key = rsa_key(scheme.bits, seed)

    def sign(self, message: bytes) -> bytes:
        """The signature, ECDSA's in DER. The same message gives the same one, PSS's apart."""
        from cryptography.hazmat.primitives.asymmetric import ec, padding

        digest = _hash(self.scheme.digest)
        if self.scheme.kind == "ECDSA":
            return bytes(self.key.sign(message, ec.ECDSA(digest, deterministic_signing=True)))
        if self.scheme.kind == "RSA":
            return bytes(self.key.sign(message, padding.PKCS1v15(), digest))
        mask = padding.MGF1(_hash(self.scheme.mask or self.scheme.digest))
        return bytes(self.key.sign(message, padding.PSS(mask, digest.digest_size), digest))

    def algorithm(self) -> SignedDigestAlgorithm:
        """The signature algorithm as certificates and SignerInfos name it."""
        from asn1crypto import algos

        scheme = self.scheme
        if scheme.kind == "ECDSA":
            return algos.SignedDigestAlgorithm({"algorithm": f"{scheme.digest}_ecdsa"})
        if scheme.kind == "RSA":
            return algos.SignedDigestAlgorithm({"algorithm": f"{scheme.digest}_rsa"})
        parameters = {
            "hash_algorithm": {"algorithm": scheme.digest},
            "mask_gen_algorithm": {
                "algorithm": "mgf1",
                "parameters": {"algorithm": scheme.mask or scheme.digest},
            },
            "salt_length": _hash(scheme.digest).digest_size,
        }
        return algos.SignedDigestAlgorithm({"algorithm": "rsassa_pss", "parameters": parameters})

    def public(self) -> PublicKeyInfo:
        """The public key as certificates have it."""
        info = public_key_info(self.key)
        if self.scheme.explicit:
            _spell_out(info, self.scheme.curve)
        return info


def public_key_info(key: Any) -> PublicKeyInfo:
    """SubjectPublicKeyInfo of a private key of `cryptography`'s."""
    from asn1crypto.keys import PublicKeyInfo
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return PublicKeyInfo.load(key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))


@lru_cache(maxsize=MAX_RSA_KEYS)
def rsa_key(bits: int, seed: bytes) -> RSAPrivateKey:
    """An RSA key, the same for the same seed as long as the process lives (its primes can't be had from a seed)."""
    from cryptography.hazmat.primitives.asymmetric import rsa

    assert seed
    return rsa.generate_private_key(65537, bits)


def elliptic_key(curve: str, seed: bytes) -> Any:
    """The key on a curve that a seed gives."""
    from cryptography.hazmat.primitives.asymmetric import ec

    theirs = openssl_curve(curve)
    assert theirs is not None, "profiles name curves that keys can be made on"
    return ec.derive_private_key(scalar(seed, curves()[curve].n), theirs)


def scalar(seed: bytes, order: int) -> int:
    """A number from 1 to `order` - 1 that a seed gives."""
    octets = (order.bit_length() + 7) // 8 + 8
    return 1 + int.from_bytes(hashlib.shake_256(seed).digest(octets), "big") % (order - 1)


def _hash(name: str) -> Any:
    from cryptography.hazmat.primitives import hashes

    return getattr(hashes, name.upper())()


def _spell_out(info: PublicKeyInfo, name: str) -> None:
    from asn1crypto import keys

    curve = curves()[name]
    a, b = (one.to_bytes(curve.octets, "big") for one in (curve.a, curve.b))
    domain = keys.SpecifiedECDomain(
        {
            "version": "ecdpVer1",
            "field_id": {"field_type": "prime_field", "parameters": curve.p},
            "curve": {"a": a, "b": b},
            "base": keys.ECPoint(curve.encode_point(curve.generator)),
            "order": curve.n,
            "cofactor": curve.h,
        }
    )
    info["algorithm"] = {
        "algorithm": "ec",
        "parameters": keys.ECDomainParameters(name="specified", value=domain),
    }
