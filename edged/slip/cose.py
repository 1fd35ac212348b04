"""COSE_Sign1 (RFC 9052 §4.2) with ES256, as the slip uses it: untagged, `alg` and `kid` protected, nothing unprotected.

Untagged, because the URL says what it is and every byte makes the QR code larger; put `D2` in front for a library that
wants the tag. `kid` is the first eight bytes of the SHA-256 of the signer's certificate, as the directory lists it.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Final

import cbor2
import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from edged.errors import DecodeError
from edged.slip import strict_cbor
from edged.slip.claims import MAX_CLAIMS
from edged.uplink.revoked import fingerprint
from edged.uplink.sign import HALF_ORDER

if TYPE_CHECKING:
    from collections.abc import Callable

    from edged.uplink.directory import SigningKey
    from edged.uplink.sign import Signer

KID_BYTES: Final = 8
MAX_COSE: Final = MAX_CLAIMS + 100
"""Bytes of a signed slip: claims, headers and signature."""

_ALG: Final = 1
_KID: Final = 4
_ES256: Final = -7
_COMPONENT: Final = 32


class Sign1(msgspec.Struct, frozen=True):
    """A signed slip taken apart; nothing is proven by it."""

    kid: bytes
    protected: bytes
    payload: bytes
    signature: bytes

    @property
    def to_be_signed(self) -> bytes:
        """RFC 9052 §4.4, without external data."""
        return _to_be_signed(self.protected, self.payload)


def kid_of(certificate_sha256: str) -> bytes:
    """The key id of a certificate's hex SHA-256."""
    return bytes.fromhex(certificate_sha256)[:KID_BYTES]


def sign(payload: bytes, signer: Signer) -> bytes:
    """`payload`, signed with the box's own key; another signature each time. Raises `CertificateError` (a token's)."""
    return assemble(payload, kid_of(fingerprint(signer.chain[0])), signer.sign_cose)


def assemble(payload: bytes, kid: bytes, sign_raw: Callable[[bytes], bytes]) -> bytes:
    """A signed slip; `sign_raw` makes `r` and `s`, 64 bytes, of what is to be signed."""
    protected = _protected(kid)
    signature = sign_raw(_to_be_signed(protected, payload))
    return cbor2.dumps([protected, {}, payload, signature], canonical=True)


def unsigned(payload: bytes, kid: bytes) -> bytes:
    """What a signed slip looks like, with zeros where its signature goes: to see how large it gets."""
    return assemble(payload, kid, lambda _: bytes(2 * _COMPONENT))


def parse(data: bytes) -> Sign1:
    """Take a signed slip apart. Raises `DecodeError` (`slip.malformed`) and nothing else, whatever the bytes."""
    match strict_cbor.decode(data, MAX_COSE):
        case [bytes(protected), {**unprotected}, bytes(payload), bytes(signature)] if not unprotected:
            pass
        case _:
            raise DecodeError("slip", "slip.malformed", "COSE_Sign1")
    kid = protected[-KID_BYTES:]
    if protected != _protected(kid):  # it has one form
        raise DecodeError("slip", "slip.malformed", "protected header")
    if len(signature) != 2 * _COMPONENT:
        raise DecodeError("slip", "slip.malformed", "signature")
    return Sign1(kid, protected, payload, signature)


def verify(slip: Sign1, key: SigningKey) -> bool:
    """Whether `key` made the signature, in its one spelling (`s` in the lower half of the order)."""
    r, s = (int.from_bytes(slip.signature[at : at + _COMPONENT]) for at in (0, _COMPONENT))
    x, y = (int.from_bytes(base64.urlsafe_b64decode(one + "=")) for one in (key.x, key.y))
    if s > HALF_ORDER:
        return False
    try:
        public = ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key()
        public.verify(encode_dss_signature(r, s), slip.to_be_signed, ec.ECDSA(hashes.SHA256()))
    except (InvalidSignature, ValueError):
        return False
    return True


def _protected(kid: bytes) -> bytes:
    return cbor2.dumps({_ALG: _ES256, _KID: kid}, canonical=True)


def _to_be_signed(protected: bytes, payload: bytes) -> bytes:
    return cbor2.dumps(["Signature1", protected, b"", payload], canonical=True)
