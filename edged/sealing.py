"""Sealed to one recipient: HPKE (RFC 9180), base mode, DHKEM(P-256, HKDF-SHA256), HKDF-SHA256, AES-256-GCM.

What is sealed can be opened by whoever holds the recipient's private key, and by nobody else: not even by the box that
sealed it. `context` binds it to where it belongs, so that it opens nowhere else. Below `privacy` and `uplink` because a
box seals and a partner opens. The primitives are `cryptography`'s.
"""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING, Annotated, Final, Literal

import msgspec
from cryptography.exceptions import InvalidTag, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

from edged.errors import ConfigError, DecodeError

if TYPE_CHECKING:
    from collections.abc import Iterable

ALGORITHM: Final = "HPKE-P256-SHA256-A256GCM"

MAX_SEALED: Final = 16 * 1024
"""Bytes of what may be sealed: a whole lodging record has under 2 KiB."""

_SUITE: Final = Suite(KEM.P256, KDF.HKDF_SHA256, AEAD.AES_256_GCM)
_ENCAPSULATED: Final = 65  # bytes of an uncompressed point of P-256
_TAG: Final = 16
_MIN_TEXT: Final = ((_ENCAPSULATED + _TAG) * 4 + 2) // 3  # base64url without padding
_MAX_TEXT: Final = ((_ENCAPSULATED + MAX_SEALED + _TAG) * 4 + 2) // 3

What = Literal["claims", "record", "pseudonym_key"]
"""What is sealed: one kind is never taken for another, whatever else its context says."""


class Sealed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Something sealed, as it travels (`docs/schemas/verdict.schema.json`)."""

    alg: Literal["HPKE-P256-SHA256-A256GCM"]
    what: What
    kid: Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{16}$(?!\n)")]
    """First 8 bytes of the SHA-256 of the recipient's public key (DER), hexadecimal: which of its keys opens it."""
    data: Annotated[
        str,
        msgspec.Meta(pattern=r"^[A-Za-z0-9_-]+$(?!\n)", min_length=_MIN_TEXT, max_length=_MAX_TEXT),
    ]
    """The encapsulated key (65 bytes, uncompressed) and the ciphertext, base64url without padding."""


def envelope_context(
    *, fleet: str, device: str, audience: str, policy_sha256: str, record_id: str | None = None
) -> tuple[str, ...]:
    """Where `claims` and a `record` belong: to one box's envelope for one audience, under one policy."""
    return fleet, device, audience, policy_sha256, record_id or ""


def load_recipient(pem: str) -> ec.EllipticCurvePublicKey:
    """A recipient's public key. Raises `ConfigError` (`config.not_a_public_key`) for anything but P-256 in PEM."""
    try:
        key = load_pem_public_key(pem.encode())
    except (ValueError, UnsupportedAlgorithm):
        raise ConfigError("encryption_keys", "config.not_a_public_key") from None
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise ConfigError("encryption_keys", "config.not_a_public_key")
    return key


def key_id(key: ec.EllipticCurvePublicKey) -> str:
    """What `Sealed.kid` is for this key."""
    return hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()[:16]


def seal(
    plaintext: bytes | bytearray, key: ec.EllipticCurvePublicKey, *, what: What, context: tuple[str, ...]
) -> Sealed:
    """`plaintext` for the holder of `key`'s private half.

    `context` says where it belongs (fleet, device, audience, …). The caller overwrites its buffer. Raises `ValueError`
    beyond `MAX_SEALED`.
    """
    if len(plaintext) > MAX_SEALED:
        raise ValueError(f"at most {MAX_SEALED} bytes can be sealed")
    sealed = _SUITE.encrypt(plaintext, key, _info(what, context))
    return Sealed(ALGORITHM, what, key_id(key), _text(sealed))


def open_sealed(
    sealed: Sealed, keys: Iterable[ec.EllipticCurvePrivateKey], *, what: What, context: tuple[str, ...]
) -> bytes:
    """The plaintext, with whichever of the recipient's keys it was sealed to.

    Raises `DecodeError`: `sealed.wrong_kind`, `sealed.other_key`, `sealed.broken`.
    """
    if sealed.what != what:
        raise DecodeError("sealed", "sealed.wrong_kind")
    key = next((one for one in keys if key_id(one.public_key()) == sealed.kid), None)
    if key is None:
        raise DecodeError("sealed", "sealed.other_key")
    try:
        return _SUITE.decrypt(_decoded(sealed.data), key, _info(what, context))
    except (InvalidTag, ValueError):
        raise DecodeError("sealed", "sealed.broken") from None


def _decoded(text: str) -> bytes:
    """Strictly, as Python's own decoder doesn't: one content has one spelling. Raises `ValueError`."""
    data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    if _text(data) != text:
        raise ValueError("not the one spelling")
    return data


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _info(what: What, context: tuple[str, ...]) -> bytes:
    """HPKE's `info`: unambiguous whatever the parts hold."""
    return msgspec.json.encode(["edged/1/sealed", what, *context])
