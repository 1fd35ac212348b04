"""Who belongs to the fleet besides boxes, as the admin's state knows them: collectors, audiences, admins, helpers.

    members/{role}.{name}.toml     one of them, and every certificate it was given (`MemberRecord`)
    revocations.toml               everybody and everything that was revoked (`RevocationsFile`)

A revocation is one file written whole: whatever fails after it is made up for by the next `edged fleet revoke` or
`edged fleet directory publish`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from edged.config import load_toml
from edged.fleet.state import IssuedCertificate, as_toml, write_text
from edged.uplink.directory import Reason
from edged.uplink.fields import Name, Seconds, Sha256
from edged.uplink.names import Principal, Role, Usage
from edged.uplink.revoked import Revocations, fingerprint

if TYPE_CHECKING:
    from pathlib import Path

    from edged.fleet.state import FleetState

REVOCATIONS: Final = "revocations.toml"


class MemberRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`members/{role}.{name}.toml`."""

    role: Role
    name: Name
    certificates: tuple[IssuedCertificate, ...] = ()


class RevokedName(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Somebody who was revoked, with everything certified for the name."""

    role: Role
    name: Name
    at: Seconds
    reason: Reason


class RevokedCertificate(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One certificate that was revoked; its holder may have others."""

    role: Role
    name: Name
    sha256: Sha256
    serial: str
    """Hexadecimal; for the broker's list."""
    not_after: Seconds
    at: Seconds
    reason: Reason


class RevocationsFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`revocations.toml`. Nothing is ever taken out of it."""

    names: tuple[RevokedName, ...] = ()
    certificates: tuple[RevokedCertificate, ...] = ()

    def of(self, principal: Principal) -> RevokedName | None:
        """The revocation of somebody's name."""
        return next(
            (one for one in self.names if (one.role, one.name) == (principal.role, principal.name)), None
        )


def record(state: FleetState, principal: Principal, usage: Usage, pem: bytes) -> None:
    """Note a certificate that was issued to somebody who is no box; call it wherever that is done."""
    certificate = x509.load_pem_x509_certificate(pem)
    issued = IssuedCertificate(
        usage=usage,
        serial=f"{certificate.serial_number:x}",
        not_before=int(certificate.not_valid_before_utc.timestamp()),
        not_after=not_after(pem),
        pem=certificate.public_bytes(_PEM).decode(),
    )
    found = member(state, principal.role, principal.name)
    kept = tuple(one for one in found.certificates if one.serial != issued.serial)
    path = _path(state, principal.role, principal.name)
    write_text(path, as_toml(msgspec.structs.replace(found, certificates=(*kept, issued))))


def member(state: FleetState, role: Role, name: str) -> MemberRecord:
    """Somebody's record; an empty one where there is none. Raises `ConfigError`."""
    path = _path(state, role, name)
    return load_toml(path, MemberRecord) if path.exists() else MemberRecord(role=role, name=name)


def members(state: FleetState) -> list[MemberRecord]:
    """Everybody's records, by role and name. Raises `ConfigError`."""
    paths = sorted((state.directory / "members").glob("*.toml"))
    return [load_toml(path, MemberRecord) for path in paths]


def certificates(state: FleetState, principal: Principal) -> tuple[IssuedCertificate, ...]:
    """All that was certified for somebody. Raises `ConfigError` (`fleet.no_such_device`)."""
    if principal.role is Role.DEVICE:
        return state.device(principal.name).certificates
    return member(state, principal.role, principal.name).certificates


def revocations(state: FleetState) -> RevocationsFile:
    """What was revoked so far. Raises `ConfigError`."""
    path = state.directory / REVOCATIONS
    return load_toml(path, RevocationsFile) if path.exists() else RevocationsFile()


def revoked(state: FleetState) -> Revocations:
    """The same for `TrustAnchor.revoke("directory", …)`: whom the admin's own commands believe no more."""
    found = revocations(state)
    return Revocations.of(found.certificates, found.names)


def save_revocations(state: FleetState, found: RevocationsFile) -> None:
    """Write it down, durably."""
    write_text(state.directory / REVOCATIONS, as_toml(found))


def not_after(pem: bytes) -> int:
    """When a certificate (PEM, the first where there are several) ends, in seconds since 1970."""
    return int(x509.load_pem_x509_certificate(pem).not_valid_after_utc.timestamp())


def sha256_of(issued: IssuedCertificate) -> str:
    """Hex SHA-256 of a recorded certificate's DER."""
    return fingerprint(x509.load_pem_x509_certificate(issued.pem.encode()))


def _path(state: FleetState, role: Role, name: str) -> Path:
    return state.directory / "members" / f"{role}.{name}.toml"


_PEM: Final = serialization.Encoding.PEM
