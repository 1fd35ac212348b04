"""Signed messages: compact JWS (RFC 7515), ES256 only, with the signer's chain in `x5c`.

One message has exactly one serialisation: base64url without slack bits, and `s` in the lower half of the
order. Otherwise anybody between the box and the centre could turn a good signature `(r, s)` into another good
one `(r, n - s)`, and the same envelope would arrive under two hashes, which is the alarm for a lying device.
"""

from __future__ import annotations

import base64
import hashlib
import re
from datetime import datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Final

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey

from edged.errors import CertificateError, SignatureRefusedError
from edged.uplink.fields import decoder
from edged.uplink.keys import KeySource
from edged.uplink.roles import (
    KNOWN_CHAINS,
    MALFORMED,
    MAX_CHAIN,
    Principal,
    Role,
    TrustAnchor,
    Usage,
    is_demo,
    load_chain,
    load_private,
    principal_of,
    read_private,
)

ALGORITHM: Final = "ES256"

MAX_COMPACT: Final = 64 * 1024
"""Longest signed message in bytes: an envelope has about 2 KiB, a full receipt under 60 KiB."""

MAX_HEADER: Final = 12 * 1024
"""Longest protected header: three certificates of up to 2 KiB, in base64 twice, and some room."""

_ORDER: Final = (
    0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551  # of P-256 (FIPS 186-4 D.1.2.3)
)
HALF_ORDER: Final = _ORDER // 2
"""The highest `s` of a signature in its one spelling."""

_COMPACT = re.compile(rb"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]{86})")


class _Header(msgspec.Struct, forbid_unknown_fields=True):
    """The whole protected header: `crit`, `jwk`, `jku`, `b64` and the rest are refused by not being here."""

    alg: str
    typ: str
    x5c: Annotated[tuple[str, ...], msgspec.Meta(max_length=16)]


class _Registry(jws.JWSRegistry):
    """joserfc's limits, widened to ours: its 512-byte header has no room for a certificate."""

    max_header_length = MAX_HEADER
    max_payload_length = 16 << 20  # the most that any type of message may have; each has its own bound


_REGISTRY = _Registry(algorithms=[ALGORITHM])


class Signer:
    """Signs messages as one principal. Holds the private key; `repr` shows nothing of it.

    Attributes:
        principal: whom the certificate names.
        demo: whether the certificate is of a demo fleet.
        not_before: when the certificate begins to hold.
        not_after: when it expires.
    """

    def __init__(self, key: ec.EllipticCurvePrivateKey, chain: tuple[x509.Certificate, ...]) -> None:
        """Take a P-256 key and the chain, leaf first, without the root. Raises `CertificateError`."""
        if not 1 <= len(chain) <= MAX_CHAIN:
            raise CertificateError("cert.malformed", f"a chain has 1 to {MAX_CHAIN} certificates")
        self.principal: Principal = principal_of(chain[0], usage=Usage.SIGNING)
        if chain[0].public_key() != key.public_key():
            raise CertificateError("cert.key_mismatch")
        self.chain: tuple[x509.Certificate, ...] = tuple(chain)
        self.demo: bool = is_demo(chain[0])
        self.not_before: datetime = chain[0].not_valid_before_utc
        self.not_after: datetime = chain[0].not_valid_after_utc
        # joserfc describes a key by its numbers: those of the public half, because a token doesn't give the others.
        self._key = ECKey(key, ECKey.import_key(key.public_key()).as_dict())
        self._private = key
        self._x5c = [base64.b64encode(link.public_bytes(Encoding.DER)).decode() for link in chain]

    @classmethod
    def from_files(cls, key_path: Path | str, certificate_path: Path | str) -> Signer:
        """A signer from its PEM files; the key's mode must be 0600. Raises `CertificateError`.

        The key may be a `pkcs11:` URI instead: it stays in its token, where every message is signed.
        """
        try:
            certificate = Path(certificate_path).read_bytes()
        except OSError as error:
            raise CertificateError("cert.unreadable", f"{certificate_path}: {error.strerror}") from error
        chain = load_chain(certificate)
        return cls(_private(key_path, chain), chain)

    def sign(self, typ: str, payload: bytes, *, most: int = MAX_COMPACT) -> str:
        """`payload` as a compact JWS of type `typ`. Raises `ValueError` when it gets too large to verify.

        `most`: bytes that verifiers of this type take.
        """
        header = {"alg": ALGORITHM, "typ": typ, "x5c": self._x5c}
        compact = _low_s(jws.serialize_compact(header, payload, self._key, registry=_REGISTRY))
        if len(compact) > most:
            raise ValueError(f"a signed message may have {most} bytes at most")
        return compact

    def sign_cose(self, to_be_signed: bytes) -> bytes:
        """An ES256 signature in COSE's form (RFC 9053 §2.1): `r` and `s`, 32 bytes each, `s` in the lower half.

        Raises `CertificateError` when the key is in a token that fails.
        """
        r, s = decode_dss_signature(self._private.sign(to_be_signed, ec.ECDSA(hashes.SHA256())))
        return r.to_bytes(32) + min(s, _ORDER - s).to_bytes(32)


class Verified(msgspec.Struct, frozen=True):
    """A message whose signature, chain and role hold."""

    principal: Principal
    payload: bytes
    sha256: bytes
    """SHA-256 of the compact serialisation in ASCII: the message's name in receipts and `prev`."""
    not_before: datetime
    """When the signer's own certificate began to hold."""
    not_after: datetime
    """When it ends."""

    def valid_at(self, iat: int) -> bool:
        """Whether the signer's certificate held at `iat`, the second at which the message says it was signed."""
        return self.not_before.timestamp() <= iat <= self.not_after.timestamp()

    def until(self, exp: int) -> int:
        """How long a message that says that it holds until `exp` does: no longer than its signer's certificate.

        Otherwise whoever finds an old key could date a message back, and it would hold for as long as he likes.
        """
        return min(exp, int(self.not_after.timestamp()))


def verify(
    compact: str | bytes,
    *,
    typ: str,
    anchor: TrustAnchor,
    role: Role,
    at: datetime,
    late: timedelta = timedelta(0),
    arrived: datetime | None = None,
    most: int = MAX_COMPACT,
) -> Verified:
    """Check one signed message, cheapest checks first; `at` is the moment at which the chain must be valid.

    `arrived`: when it came, by the record of who kept it (`Revocations.check`); None for one that comes now. `most`:
    bytes that are looked at.

    With `late`, a signer's own certificate may have ended so long before `at`; the chain is then checked at the
    last moment of that certificate, and the caller must see that the message was signed before
    (`Verified.valid_at`).

    Raises `SignatureRefusedError` and nothing else, whatever the bytes: `jws.too_large`, `jws.malformed`,
    `jws.header_refused`, `jws.wrong_algorithm`, `jws.wrong_type`, `jws.no_certificate`,
    `jws.too_many_certificates`, `jws.signature_wrong`, `cert.wrong_role`, `cert.authority_expired` or a code of
    `TrustAnchor.verify`.
    """
    data = _ascii(compact, most)
    header_segment, payload_segment, signature_segment = _segments(data)
    header = _header(header_segment, typ)
    chain, key = _presented(header.x5c)
    try:
        principal = _holder(chain, anchor, at, late, arrived)
    except CertificateError as error:
        raise SignatureRefusedError(error.code) from error
    if principal.role is not role:
        raise SignatureRefusedError("cert.wrong_role", f"{principal.role} instead of {role}")
    _decode(payload_segment)  # joserfc's own decoder forgives slack bits
    if int.from_bytes(_decode(signature_segment)[32:]) > HALF_ORDER:
        raise SignatureRefusedError("jws.signature_wrong", "s in the upper half")
    if key is None:
        raise SignatureRefusedError("jws.wrong_algorithm", "the key is not on P-256")
    try:
        signed = jws.deserialize_compact(data, key, registry=_REGISTRY)
    except (JoseError, ValueError) as error:
        raise SignatureRefusedError("jws.signature_wrong") from error
    return Verified(
        principal,
        signed.payload,
        hashlib.sha256(data).digest(),
        chain[0].not_valid_before_utc,
        chain[0].not_valid_after_utc,
    )


def certificates(compact: str | bytes) -> tuple[x509.Certificate, ...]:
    """The chain in what may be a signed message, leaf first; proves nothing. Raises `SignatureRefusedError`."""
    return _presented(_parsed_header(_segments(_ascii(compact))[0]).x5c)[0]


def claimed_type(compact: str | bytes) -> str:
    """The `typ` of what may be a signed message, to find out how to verify it; proves nothing.

    Raises `SignatureRefusedError` (`jws.too_large`, `jws.malformed`, `jws.header_refused`).
    """
    return _parsed_header(_segments(_ascii(compact))[0]).typ


def unverified_payload(compact: bytes) -> bytes:
    """The payload of what may be a signed message, to find out whom it claims to be of; proves nothing.

    Raises `SignatureRefusedError` (`jws.too_large`, `jws.malformed`).
    """
    return _decode(_segments(_ascii(compact))[1])


def _holder(
    chain: tuple[x509.Certificate, ...],
    anchor: TrustAnchor,
    at: datetime,
    late: timedelta,
    arrived: datetime | None,
) -> Principal:
    """Raises `CertificateError`; `cert.expired` means the signer's own, which nothing mends."""
    try:
        return anchor.verify(chain, usage=Usage.SIGNING, at=at, arrived=arrived)
    except CertificateError as error:
        if error.code != "cert.expired":
            raise
        end = chain[0].not_valid_after_utc
        if at <= end:
            raise CertificateError("cert.authority_expired") from None
        if at > end + late:
            raise
    try:
        return anchor.verify(chain, usage=Usage.SIGNING, at=end, arrived=arrived)
    except CertificateError as error:
        if error.code == "cert.expired":
            raise CertificateError("cert.authority_expired") from None
        raise


def _ascii(compact: str | bytes, most: int = MAX_COMPACT) -> bytes:
    if len(compact) > most:
        raise SignatureRefusedError("jws.too_large")
    if isinstance(compact, bytes):
        return compact
    try:
        return compact.encode("ascii")
    except UnicodeEncodeError:
        raise SignatureRefusedError("jws.malformed") from None


def _segments(data: bytes) -> tuple[bytes, bytes, bytes]:
    match = _COMPACT.fullmatch(data)
    if match is None:
        raise SignatureRefusedError("jws.malformed")
    if len(match[1]) > MAX_HEADER:
        raise SignatureRefusedError("jws.too_large")
    return match[1], match[2], match[3]


def _decode(segment: bytes) -> bytes:
    """Strict base64url: the one encoding of its bytes, without padding (RFC 7515 §2)."""
    try:
        decoded = base64.urlsafe_b64decode(segment + b"=" * (-len(segment) % 4))
    except ValueError:
        raise SignatureRefusedError("jws.malformed") from None
    if base64.urlsafe_b64encode(decoded).rstrip(b"=") != segment:
        raise SignatureRefusedError("jws.malformed")
    return decoded


def _parsed_header(segment: bytes) -> _Header:
    try:
        return decoder(_Header).decode(_decode(segment))
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise SignatureRefusedError("jws.header_refused") from None


def _header(segment: bytes, typ: str) -> _Header:
    header = _parsed_header(segment)
    if header.alg != ALGORITHM:
        raise SignatureRefusedError("jws.wrong_algorithm")
    if header.typ != typ:
        raise SignatureRefusedError("jws.wrong_type")
    return header


@lru_cache(maxsize=KNOWN_CHAINS)
def _presented(x5c: tuple[str, ...]) -> tuple[tuple[x509.Certificate, ...], ECKey | None]:
    """RFC 7515 §4.1.6: DER in standard base64, leaf first; and the leaf's key, None when it isn't on P-256.

    The same bytes are the same certificates, so they are remembered: nobody is believed by it.
    """
    if not x5c:
        raise SignatureRefusedError("jws.no_certificate")
    if len(x5c) > MAX_CHAIN:
        raise SignatureRefusedError("jws.too_many_certificates")
    try:
        chain = tuple(x509.load_der_x509_certificate(base64.b64decode(text, validate=True)) for text in x5c)
        key = chain[0].public_key()
    except MALFORMED:
        raise SignatureRefusedError("cert.malformed") from None
    if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1):
        return chain, ECKey.import_key(key)
    return chain, None


def _private(place: Path | str, chain: tuple[x509.Certificate, ...]) -> ec.EllipticCurvePrivateKey:
    if not KeySource(place).in_token:
        return load_private(read_private(Path(place)))
    from edged.uplink.pkcs11 import open_key  # an extra, and slow to load

    public = chain[0].public_key() if chain else None
    if not isinstance(public, ec.EllipticCurvePublicKey):
        raise CertificateError("cert.malformed")
    return open_key(str(place), public)


def _low_s(compact: str) -> str:
    """The same signature with `s` in the lower half (see the module's text)."""
    signed, _, segment = compact.rpartition(".")
    raw = base64.urlsafe_b64decode(segment + "==")
    s = int.from_bytes(raw[32:])
    if s <= HALF_ORDER:
        return compact
    raw = raw[:32] + (_ORDER - s).to_bytes(32)
    return f"{signed}.{base64.urlsafe_b64encode(raw).rstrip(b'=').decode()}"
