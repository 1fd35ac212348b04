"""Who doesn't belong to the fleet any more, as every verifier of signatures asks it. Takes time as an argument, no I/O.

A message that arrives now from a revoked signer is refused, whatever date it carries: the date is the thief's word.
What arrived before somebody was revoked, by the word of who kept it then, stays what it was.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

import msgspec
from cryptography.hazmat.primitives.serialization import Encoding

from edged.errors import CertificateError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from cryptography import x509

    from edged.uplink.names import Principal, Role

K = TypeVar("K")

REVOKED: Final = "cert.revoked"

ALWAYS: Final = 0
"""`at` of what nobody's record can save: revoked from the beginning."""


class RevokedCertificate(Protocol):
    """One certificate that is refused from a moment on."""

    @property
    def sha256(self) -> str:
        """Hex SHA-256 of the certificate's DER."""

    @property
    def at(self) -> int:
        """Seconds since 1970."""


class RevokedName(Protocol):
    """Somebody all of whose certificates are refused from a moment on."""

    @property
    def role(self) -> Role:
        """With `name`: who."""

    @property
    def name(self) -> str:
        """With `role`: who."""

    @property
    def at(self) -> int:
        """Seconds since 1970."""


class FleetAuthorities(Protocol):
    """What `fleet/authority.json` says of revoked authorities and certificates."""

    @property
    def revoked(self) -> Sequence[RevokedCertificate]:
        """Issuing authorities and certificates of admins."""


class Revocations(msgspec.Struct, frozen=True):
    """What is revoked, and since when (seconds since 1970). Immutable, so threads may share it."""

    certificates: dict[str, int] = {}
    """Hex SHA-256 of a certificate's DER, an authority's too, to the moment."""
    principals: dict[tuple[str, str], int] = {}
    """(role, name) to the moment."""

    @classmethod
    def of(
        cls, certificates: Iterable[RevokedCertificate] = (), principals: Iterable[RevokedName] = ()
    ) -> Revocations:
        """From their records; of several about one thing the earliest counts."""
        found = cls({}, {})
        for certificate in certificates:
            _earliest(found.certificates, certificate.sha256, certificate.at)
        for principal in principals:
            _earliest(found.principals, (str(principal.role), principal.name), principal.at)
        return found

    @classmethod
    def of_authority(cls, authority: FleetAuthorities) -> Revocations:
        """What the offline keys have revoked: issuing authorities, and certificates of admins."""
        return cls.of(certificates=authority.revoked)

    def __bool__(self) -> bool:
        return bool(self.certificates or self.principals)

    def __or__(self, other: Revocations) -> Revocations:
        """What either revokes."""
        found = Revocations(dict(self.certificates), dict(self.principals))
        for sha256, at in other.certificates.items():
            _earliest(found.certificates, sha256, at)
        for principal, at in other.principals.items():
            _earliest(found.principals, principal, at)
        return found

    def since(self, fingerprints: Iterable[str], principal: Principal) -> int | None:
        """Since when a chain with these certificates (`fingerprint`) and holder is revoked; None when it isn't."""
        found = [self.certificates[one] for one in fingerprints if one in self.certificates]
        if (at := self.principals.get((str(principal.role), principal.name))) is not None:
            found.append(at)
        return min(found, default=None)

    def check(
        self, fingerprints: Iterable[str], principal: Principal, *, arrived: datetime | None = None
    ) -> None:
        """Refuse a revoked chain.

        `arrived`: when the message came, by the record of who kept it since, never by its own word; None for one that
        comes now. Raises `CertificateError` (`cert.revoked`).
        """
        at = self.since(fingerprints, principal)
        if at is not None and (arrived is None or arrived.timestamp() >= at):
            raise CertificateError(REVOKED)


NONE: Final = Revocations()
"""Nothing is revoked, as far as is known."""


def fingerprint(certificate: x509.Certificate) -> str:
    """Hex SHA-256 of a certificate's DER."""
    return hashlib.sha256(certificate.public_bytes(Encoding.DER)).hexdigest()


def _earliest(found: dict[K, int], key: K, at: int) -> None:
    found[key] = min(at, found.get(key, at))
