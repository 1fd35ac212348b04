"""Revoking: written down first, then told to everybody, then enforced at the broker.

Each step may be repeated: a revocation that was cut off anywhere is finished by the same command.
"""

from __future__ import annotations

import asyncio
import subprocess
import tempfile
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from edged.errors import ConfigError, StateError, UplinkError
from edged.fleet import authorities, members
from edged.fleet.members import RevocationsFile, RevokedCertificate, RevokedName
from edged.uplink.authority import FleetAuthority
from edged.uplink.directory import graver
from edged.uplink.keys import generate_key, private_pem, read_private, write_private
from edged.uplink.mqtt import Session, connect
from edged.uplink.names import Principal, Role, Usage
from edged.uplink.revoked import fingerprint
from edged.uplink.roles import load_chain

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from edged.fleet.state import FleetState, IssuedCertificate
    from edged.uplink.directory import Reason
    from edged.uplink.mqtt_types import Endpoint

CRL_VALID: Final = timedelta(days=365)
"""A broker lets nobody in once its list has ended: it is made anew with every directory."""

RELOAD_S: Final = 30.0
"""A broker's reload takes a moment; what takes longer hangs."""

ENFORCED_TRIES: Final = 20
ENFORCED_EVERY_S: Final = 0.5
"""A reload that only sends a signal has returned before the broker has read anything: ten seconds."""

_REFUSED: Final = frozenset({"uplink.closed_early", "uplink.tls_failed"})
"""How a broker's refusal of a certificate looks: with TLS 1.3 it comes after the handshake."""

SESSION_DAYS: Final = 1
"""The certificate with which a stolen one's session is ended holds no longer."""


def revoke_name(state: FleetState, principal: Principal, *, at: datetime, reason: Reason) -> RevocationsFile:
    """Note that somebody is revoked, with everything certified for the name; durable when this returns.

    Repeated, the earlier moment and the graver reason count: what was retired and is stolen afterwards is stolen.
    Raises `ConfigError` (`fleet.no_such_device`, `fleet.revoke_self`).
    """
    _not_ourselves(state, principal)
    if principal.role is Role.DEVICE:
        record = state.device(principal.name)
    found = members.revocations(state)
    moment = int(at.timestamp())
    known = found.of(principal)
    one = RevokedName(role=principal.role, name=principal.name, at=moment, reason=reason)
    if known is not None:
        one = msgspec.structs.replace(known, at=min(moment, known.at), reason=graver(known.reason, reason))
    if one != known:
        found = msgspec.structs.replace(found, names=(*(x for x in found.names if x is not known), one))
        members.save_revocations(state, found)
    if principal.role is Role.DEVICE:
        before = moment if record.revoked_at is None else min(moment, record.revoked_at)
        issued = tuple(_ended(one, before) for one in record.certificates)
        state.save_device(
            msgspec.structs.replace(
                record, revoked_at=before, certificates=issued, token_sha256=None, token_until=None
            )
        )
    return found


def revoke_certificate(
    state: FleetState, principal: Principal, sha256: str, *, at: datetime, reason: Reason
) -> RevocationsFile:
    """Note that one certificate of somebody is revoked; durable when this returns.

    Repeated, the first moment and the graver reason count.

    Raises `ConfigError` (`fleet.no_such_device`, `fleet.no_such_certificate`, `fleet.revoke_self`).
    """
    _not_ourselves(state, principal)
    issued = next(
        (one for one in members.certificates(state, principal) if members.sha256_of(one) == sha256), None
    )
    if issued is None:
        raise ConfigError("--certificate", "fleet.no_such_certificate")
    found = members.revocations(state)
    if (known := next((one for one in found.certificates if one.sha256 == sha256), None)) is not None:
        if (worse := graver(known.reason, reason)) != known.reason:
            again = msgspec.structs.replace(known, reason=worse)
            others = tuple(x for x in found.certificates if x is not known)
            found = msgspec.structs.replace(found, certificates=(*others, again))
            members.save_revocations(state, found)
        return found
    one = RevokedCertificate(
        role=principal.role,
        name=principal.name,
        sha256=sha256,
        serial=issued.serial,
        not_after=issued.not_after,
        at=int(at.timestamp()),
        reason=reason,
    )
    found = msgspec.structs.replace(found, certificates=(*found.certificates, one))
    members.save_revocations(state, found)
    if principal.role is Role.DEVICE:
        record = state.device(principal.name)
        ended = tuple(_ended(x, one.at) if x is issued or x == issued else x for x in record.certificates)
        state.save_device(msgspec.structs.replace(record, certificates=ended))
    return found


def revoked_serials(state: FleetState, now: datetime) -> list[int]:
    """Serial numbers for the broker's list: all that is revoked and would hold otherwise. Raises `ConfigError`."""
    found = members.revocations(state)
    gone = {(one.role, one.name) for one in found.names}
    issued: list[IssuedCertificate] = []
    for device in state.devices().values():
        whole = device.revoked_at is not None or (Role.DEVICE, device.name) in gone
        issued += [one for one in device.certificates if whole or one.revoked_at is not None]
    ended = {one.sha256 for one in authorities.current(state).revoked}  # an admin's, by the offline keys
    for member in members.members(state):
        whole = (member.role, member.name) in gone
        issued += [
            one
            for one in member.certificates
            if whole or one.revoked_at is not None or members.sha256_of(one) in ended
        ]
    pairs = [(one.serial, one.not_after) for one in issued]
    pairs += [(one.serial, one.not_after) for one in found.certificates]
    return sorted({int(serial, 16) for serial, not_after in pairs if not_after > now.timestamp()})


class Throwaway(NamedTuple):
    """A key and a certificate for one connection."""

    key: bytes
    pem: bytes

    @property
    def serial(self) -> int:
        """The certificate's serial number."""
        return x509.load_pem_x509_certificate(self.pem).serial_number


def throwaway(state: FleetState, principal: Principal, *, now: datetime) -> Throwaway:
    """Made for `principal`; its key exists nowhere else. Raises `CertificateError`."""
    key = generate_key()
    pem = state.issue(principal, Usage.TLS, key.public_key(), now=now, days=SESSION_DAYS)
    return Throwaway(private_pem(key), pem)


def revocation_list(
    state: FleetState, before: bytes, *, now: datetime, canary: Throwaway | None = None
) -> bytes:
    """The broker's file: a list of each issuing authority anew, and in `before` those of others as they are.

    With `canary` in it, too: `enforced` shows by it that the broker has read this very list.

    A broker that looks into lists at all needs one of every authority that has issued a client's certificate. Raises
    `ConfigError`, `CertificateError`, `StateError` (`fleet.crl_broken`).
    """
    serials = revoked_serials(state, now) + ([canary.serial] if canary is not None else [])
    made = b"".join(
        one.revocation_list(serials, now=now, valid=CRL_VALID) for one in _authorities(state, now)
    )
    mine = [_issuer(one) for one in _lists(made)]
    try:
        others = [one for one in _lists(before) if _issuer(one) not in mine]
    except (ValueError, x509.ExtensionNotFound):
        raise StateError("fleet.crl_broken") from None
    return made + b"".join(one.public_bytes(serialization.Encoding.PEM) for one in others)


def reload_broker(command: Sequence[str]) -> None:
    """Run what makes the broker read its list. Raises `StateError` (`fleet.reload_failed`)."""
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=RELOAD_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise StateError("fleet.reload_failed", command[0]) from error
    if done.returncode:
        raise StateError("fleet.reload_failed", f"{command[0]}: exit {done.returncode}")


async def enforced(principal: Principal, endpoint: Endpoint, canary: Throwaway) -> bool:
    """Whether the broker lets nobody in any more whom the list that has `canary` names; it may take some seconds.

    Raises `UplinkError` for a broker that can't be reached, `CertificateError`.
    """
    for _ in range(ENFORCED_TRIES):
        try:
            await end_session(principal, endpoint, canary)
        except UplinkError as error:
            if error.code in _REFUSED:
                return True
            raise
        await asyncio.sleep(ENFORCED_EVERY_S)
    return False


async def end_session(principal: Principal, endpoint: Endpoint, certificate: Throwaway) -> None:
    """End whatever session the broker has of `principal`: connect under the same name, once, and leave.

    The broker throws out who was there (MQTT 5 §3.1.4) and forgets what it had queued. Raises `UplinkError`,
    `CertificateError`.
    """
    with tempfile.TemporaryDirectory(prefix="edged-") as name:  # mode 0700
        directory = Path(name)
        write_private(directory / "key", certificate.key)
        (directory / "certificate").write_bytes(certificate.pem)
        ours = msgspec.structs.replace(endpoint, certificate=directory / "certificate", key=directory / "key")
        async with connect(ours, Session(principal.username)):
            pass


def certificate_of(path: Path) -> str:
    """SHA-256 of the first certificate in a PEM file. Raises `ConfigError` (`cert.unreadable`, `cert.malformed`)."""
    try:
        return fingerprint(x509.load_pem_x509_certificate(path.read_bytes()))
    except OSError:
        raise ConfigError(str(path), "cert.unreadable") from None
    except ValueError:
        raise ConfigError(str(path), "cert.malformed") from None


def _not_ourselves(state: FleetState, principal: Principal) -> None:
    """Whoever signs the directory can't be revoked by it."""
    if (principal.role, principal.name) == (Role.ADMIN, state.file.admin):
        raise ConfigError("--admin", "fleet.revoke_self")


def _ended(issued: IssuedCertificate, at: int) -> IssuedCertificate:
    return issued if issued.revoked_at is not None else msgspec.structs.replace(issued, revoked_at=at)


def _authorities(state: FleetState, now: datetime) -> list[FleetAuthority]:
    """Who issues certificates, and who did, for as long as anything of theirs may hold."""
    found = [state.authority()]
    for path in sorted((state.secrets / "retired").glob("ca-*.pem")):
        pem = path.read_bytes()
        if load_chain(pem)[0].not_valid_after_utc > now:
            found.append(FleetAuthority.load(pem, read_private(path.with_suffix(".key"))))
    return found


def _lists(data: bytes) -> list[x509.CertificateRevocationList]:
    end = b"-----END X509 CRL-----"
    return [x509.load_pem_x509_crl(part + end) for part in data.split(end)[:-1]]


def _issuer(crl: x509.CertificateRevocationList) -> tuple[x509.Name, bytes | None]:
    """Name and key: an authority's successor may have its name."""
    identifier = crl.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value
    return crl.issuer, identifier.key_identifier
