"""Who is at the other end: a system user of this machine, or a certificate of the fleet. Nothing else is believed."""

from __future__ import annotations

import pwd
import socket
import ssl
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from cryptography import x509

from edged.errors import CertificateError, ConfigError, ControlError
from edged.uplink.keys import read_private
from edged.uplink.names import Role, Usage
from edged.uplink.roles import MALFORMED

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from edged.uplink.roles import TrustAnchor

Way = Literal["socket", "tls"]

_NOBODY: Final = 65534
"""What the kernel's overflow id is unless somebody has changed it."""

_CREDENTIALS: Final = struct.Struct("3i")  # struct ucred: pid, uid, gid (unix(7))


class Peer(NamedTuple):
    """Somebody who proved to be an application. `chain`: without the root; empty for a local one."""

    application: str
    way: Way
    chain: tuple[x509.Certificate, ...] = ()


def user_ids(users: Mapping[str, str]) -> dict[int, str]:
    """User id to audience. Asks the system's user database; blocking.

    Raises `ConfigError`: `handover.no_such_user`, `handover.same_user`, `handover.user_is_anybody`.
    """
    found: dict[int, str] = {}
    for audience, user in users.items():
        try:
            uid = pwd.getpwnam(user).pw_uid
        except KeyError:
            raise ConfigError(f"handover.users.{audience}", "handover.no_such_user", user=user) from None
        if uid == _overflow():
            raise ConfigError(f"handover.users.{audience}", "handover.user_is_anybody", user=user)
        if uid in found:
            raise ConfigError(f"handover.users.{audience}", "handover.same_user", other=found[uid])
        found[uid] = audience
    return found


def _overflow() -> int:
    """The id under which a user namespace shows everybody whom it doesn't know (user_namespaces(7))."""
    try:
        return int(Path("/proc/sys/kernel/overflowuid").read_text())
    except (OSError, ValueError):
        return _NOBODY


def by_user(connection: socket.socket, users: Mapping[int, str]) -> Peer:
    """Whose process connected, by the kernel's word. Raises `ControlError` (`handover.unknown_user`)."""
    said = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    _, uid, _ = _CREDENTIALS.unpack(said)
    if uid not in users:
        raise ControlError("handover.unknown_user")
    return Peer(users[uid], "socket")


def by_certificate(session: ssl.SSLObject, anchor: TrustAnchor, now: datetime) -> Peer:
    """Whose certificate the handshake has shown.

    Raises `CertificateError`: what `TrustAnchor.verify` raises, `handover.not_an_application`.
    """
    chain = _chain(session)
    return Peer(application_of(chain, anchor, now), "tls", chain)


def application_of(chain: tuple[x509.Certificate, ...], anchor: TrustAnchor, now: datetime) -> str:
    """The audience that a chain names, if it holds now. Raises as `by_certificate`."""
    principal = anchor.verify(chain, usage=Usage.TLS, at=now)
    if principal.role is not Role.AUDIENCE:
        raise CertificateError("handover.not_an_application")
    return principal.name


def _chain(session: ssl.SSLObject) -> tuple[x509.Certificate, ...]:
    """What OpenSSL verified, without the root: revoking an authority in between must count.

    Public from Python 3.13 on; before, it is the inner object's.
    """
    if hasattr(session, "get_verified_chain"):
        octets = session.get_verified_chain()
    else:
        inner: Any = session._sslobj  # type: ignore[attr-defined]
        octets = [ssl.PEM_cert_to_DER_cert(one.public_bytes()) for one in inner.get_verified_chain()]
    try:
        return tuple(x509.load_der_x509_certificate(one) for one in octets[:-1])
    except MALFORMED as error:
        raise CertificateError("cert.malformed") from error


def server_context(key: Path, certificate: Path, ca: Path) -> ssl.SSLContext:
    """Mutual TLS 1.3; nothing is resumed, so that every connection shows its certificate. Reads files.

    Raises `CertificateError`.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.verify_mode = ssl.CERT_REQUIRED
    context.num_tickets = 0
    read_private(key)  # refuses a key that others can read; OpenSSL wouldn't
    for file, load in ((ca, _load_ca), (certificate, _load_own)):
        try:
            load(context, file, key)
        except ssl.SSLError as error:
            raise CertificateError(
                "cert.malformed" if file is ca else "cert.key_mismatch", str(file)
            ) from error
        except OSError as error:
            raise CertificateError("cert.unreadable", f"{file}: {error.strerror}") from error
    return context


def _load_ca(context: ssl.SSLContext, ca: Path, _key: Path) -> None:
    context.load_verify_locations(ca)


def _load_own(context: ssl.SSLContext, certificate: Path, key: Path) -> None:
    context.load_cert_chain(certificate, key)
