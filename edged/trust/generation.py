"""What a trust store holds at one time: objects with their provenance. Once written, a generation never changes."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Final, Literal

import msgspec

from edged.errors import StateError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from edged.core.emrtd.certificates import Certificate

FORMAT: Final = 1
"""Raised when an older edged could no longer make sense of a generation."""


class Source(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One thing that was imported: where it came from and who vouched for it.

    Attributes:
        id: its number in this store, never used twice.
        kind: what it was.
        publisher: whose it is: the name of the state's authority that stands behind the list's signer; for single
            certificates and CRLs empty.
        file: name of the file it came in, without its directory.
        sha256: of its octets.
        imported: when.
        made: when its signer says it was signed; lists only.
        signer: fingerprint of the list signer's certificate; lists only.
        root: fingerprint of the pinned root that the signer was verified against; lists only.
        confirmed: how an unsigned certificate was vouched for: "fingerprint", "yes", or "link" (signed by a
            certificate that was there).
    """

    id: int
    kind: Literal["master_list", "certificate", "crl"]
    file: str
    sha256: str
    imported: datetime
    publisher: str = ""
    made: datetime | None = None
    signer: str = ""
    root: str = ""
    confirmed: str = ""


class StoredCertificate(msgspec.Struct, frozen=True, forbid_unknown_fields=True, array_like=True):
    """A CSCA or link certificate: its octets, and beside them what is asked for without parsing them.

    Attributes:
        fingerprint: SHA-256 of the DER, hexadecimal.
        sources: whose it is, numbers of `Source`.
        country: code in its subject ("DE"), empty without.
        subject: digest of the subject's name, `Name.digest`.
        ski: subject key identifier, empty without.
        name: the subject for people.
        link: another key than its own has signed it.
    """

    fingerprint: str
    sources: tuple[int, ...]
    country: str
    subject: str
    ski: bytes
    name: str
    not_before: datetime
    not_after: datetime
    link: bool
    der: bytes


def stored_certificate(certificate: Certificate, sources: Iterable[int]) -> StoredCertificate:
    """A certificate as the store keeps it."""
    other_key = None not in (certificate.aki, certificate.ski) and certificate.aki != certificate.ski
    return StoredCertificate(
        fingerprint=certificate.fingerprint,
        sources=tuple(sorted(sources)),
        country=certificate.country or "",
        subject=certificate.subject.digest,
        ski=certificate.ski or b"",
        name=certificate.subject.text,
        not_before=certificate.not_before,
        not_after=certificate.not_after,
        link=other_key or not certificate.self_issued,
        der=certificate.der,
    )


class StoredCrl(msgspec.Struct, frozen=True, forbid_unknown_fields=True, array_like=True):
    """A revocation list whose signature was verified.

    Attributes:
        fingerprint: SHA-256 of the DER, hexadecimal.
        source: number of its `Source`.
        signer: fingerprint of the certificate that verified it.
        country, issuer, name: of its issuer: code, `Name.digest`, for people.
        key: authority key identifier, empty without.
        made, until: when it was made, and when the next is due (None: it doesn't say).
        revoked: how many certificates it revokes.
    """

    fingerprint: str
    source: int
    signer: str
    country: str
    issuer: str
    name: str
    key: bytes
    made: datetime
    until: datetime | None
    revoked: int
    der: bytes


class Root(msgspec.Struct, frozen=True, forbid_unknown_fields=True, array_like=True):
    """A certificate that master lists are verified against, pinned by an operator."""

    fingerprint: str
    pinned: datetime
    der: bytes


class Generation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One state of the store.

    Attributes:
        number: counts up; 0 is the empty store, which is never written.
        previous: the generation it was made from.
        made: when.
        next_source: the id that the next source gets.
    """

    number: int
    previous: int
    made: datetime | None
    next_source: int = 1
    sources: tuple[Source, ...] = ()
    certificates: tuple[StoredCertificate, ...] = ()
    crls: tuple[StoredCrl, ...] = ()
    roots: tuple[Root, ...] = ()
    format: int = FORMAT


EMPTY: Final = Generation(number=0, previous=0, made=None)

_DECODER: Final = msgspec.msgpack.Decoder(Generation)


def encode(generation: Generation) -> bytes:
    """The content of a generation's file."""
    return msgspec.msgpack.encode(generation)


def decode(content: bytes) -> Generation:
    """The inverse of `encode`. Raises `StateError` (truststore.damaged, truststore.newer)."""
    try:
        generation = _DECODER.decode(content)
    except msgspec.DecodeError as error:  # ValidationError is one
        raise StateError("truststore.damaged") from error
    if generation.format != FORMAT:
        raise StateError("truststore.newer")
    return generation
