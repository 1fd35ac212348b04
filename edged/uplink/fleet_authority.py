"""`fleet/authority.json`: a fleet's X.509 authorities, and which certificates of authority end before their time.

A target that the offline keys sign, so it is the way back where certificates alone know none: a lost or stolen
authority key (another anchor), a compromised issuing authority or admin (revoked here). Boxes that are revoked stand in
the signed directory instead: there are many of them, and no offline key is needed for one. Does no I/O.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Annotated, Final, Literal

import msgspec
from cryptography.hazmat.primitives.serialization import Encoding

from edged.errors import CertificateError, DecodeError
from edged.uplink.fields import Seconds, Sha256, decoder
from edged.uplink.roles import MAX_ANCHORS, TrustAnchor

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cryptography import x509

TARGET: Final = "fleet/authority.json"
"""Path of the target, and of the file in the admin's state directory."""

MAX_REVOKED: Final = 64
"""Certificates revoked at once. Each ends at last by itself, and only authorities and admins stand here."""

MAX_DOCUMENT: Final = 16 * 1024
"""Bytes: four anchors and `MAX_REVOKED` lines; it is part of every push."""

MAX_ANCHOR: Final = 2 * 1024
"""Bytes of one anchor's PEM: a P-256 authority has under 1 KiB."""

Why = Literal["key_compromise", "superseded", "cessation_of_operation"]
"""Names of RFC 5280 §5.3.1."""


class Revoked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One certificate that proves nothing any more: an issuing authority's, or an admin's own."""

    sha256: Sha256
    """Of its DER encoding."""
    at: Seconds
    """When it was revoked: for the record. Whatever it signed is refused, whenever it says it was signed."""
    reason: Why


class FleetAuthorities(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The document. `anchors` are PEM certificates of self-signed authorities of this fleet, newest first."""

    format: Literal[1]
    anchors: Annotated[
        tuple[Annotated[str, msgspec.Meta(max_length=MAX_ANCHOR)], ...],
        msgspec.Meta(min_length=1, max_length=MAX_ANCHORS),
    ]
    revoked: Annotated[tuple[Revoked, ...], msgspec.Meta(max_length=MAX_REVOKED)] = ()

    def anchor(self) -> TrustAnchor:
        """What chains are verified against. Raises `CertificateError`; never for a document of `parse`."""
        return TrustAnchor.from_pem("".join(self.anchors).encode())

    def revokes(self, chain: Iterable[x509.Certificate]) -> bool:
        """Whether any certificate of a chain is revoked here."""
        ended = {one.sha256 for one in self.revoked}
        return any(sha256_of(certificate) in ended for certificate in chain)


def sha256_of(certificate: x509.Certificate) -> str:
    """Hex SHA-256 of a certificate's DER encoding, as `Revoked.sha256` has it."""
    return hashlib.sha256(certificate.public_bytes(Encoding.DER)).hexdigest()


def encode(document: FleetAuthorities) -> bytes:
    """The target's bytes. Raises `DecodeError` for what no box would take."""
    data = msgspec.json.encode(document, order="deterministic")
    parse(data)
    return data


def parse(data: bytes) -> FleetAuthorities:
    """Read the target. Raises `DecodeError` (`authority.malformed`, `authority.too_large`)."""
    if len(data) > MAX_DOCUMENT:
        raise DecodeError("authority", "authority.too_large")
    try:
        document = decoder(FleetAuthorities).decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise DecodeError("authority", "authority.malformed") from None
    try:
        document.anchor()
    except CertificateError as error:
        raise DecodeError("authority", "authority.malformed", error.code) from None
    return document
