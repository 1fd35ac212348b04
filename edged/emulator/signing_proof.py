"""Active authentication as the card does it (Doc 9303-11 §6.1): ISO/IEC 9796-2 scheme 1 with RSA, or ECDSA."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from edged.emulator.chance import Chance
    from edged.emulator.personalised import SigningKey

CHALLENGE_OCTETS: Final = 8

_HEADER: Final = b"\x6a"
"""Partial recovery, then the message's first octet (ISO/IEC 9796-2 §8)."""
_TRAILERS: Final = {
    "sha1": b"\xbc",
    "sha224": b"\x38\xcc",
    "sha256": b"\x34\xcc",
    "sha384": b"\x36\xcc",
    "sha512": b"\x35\xcc",
}
"""SHA-1 is told by the trailer that names no hash, as in Doc 9303-11 App. F."""


def sign(key: SigningKey, challenge: bytes, chance: Chance) -> bytes:
    """The chip's answer to Internal Authenticate."""
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

    if isinstance(key.key, RSAPrivateKey):
        return _recoverable(key.key, key.digest, challenge, chance)
    return _elliptic(key, challenge)


def _recoverable(key: Any, digest: str, challenge: bytes, chance: Chance) -> bytes:
    numbers = key.private_numbers()
    octets = (key.key_size + 7) // 8
    trailer = _TRAILERS[digest]
    own = chance.octets(octets - len(_HEADER) - hashlib.new(digest).digest_size - len(trailer))
    hashed = hashlib.new(digest, own + challenge).digest()
    message = int.from_bytes(_HEADER + own + hashed + trailer, "big")
    modulus = numbers.public_numbers.n
    return int.to_bytes(pow(message, numbers.d, modulus), octets, "big")


def _elliptic(key: SigningKey, challenge: bytes) -> bytes:
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec, utils

    digest = getattr(hashes, key.digest.upper())()
    signature: bytes = key.key.sign(challenge, ec.ECDSA(digest))
    if key.der:
        return signature
    r, s = utils.decode_dss_signature(signature)
    width = (key.key.curve.key_size + 7) // 8
    return r.to_bytes(width, "big") + s.to_bytes(width, "big")
