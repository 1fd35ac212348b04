"""Certificates for those of the fleet who are no boxes: collectors, partners, other admins, the help desk.

A partner makes its keys itself and sends requests (CSR) or public keys; of a request nothing but the key counts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from edged.errors import CertificateError, ConfigError, OutputError
from edged.fleet import members
from edged.fleet.state import write_text
from edged.uplink.keys import generate_key, private_pem, write_private
from edged.uplink.names import Principal, Role, Usage

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from pathlib import Path

    from edged.fleet.state import FleetState

CA_FILE: Final = "fleet-ca.pem"

MAX_REQUEST: Final = 16 * 1024
"""Bytes of a request: a P-256 one has under 1 KiB."""


def certify(
    state: FleetState, principal: Principal, usage: Usage, key: ec.EllipticCurvePublicKey, *, now: datetime
) -> bytes:
    """A certificate (PEM, the issuing authority's behind it) for `key`, noted in the state.

    Raises `ConfigError` (`fleet.enrol_boxes`, `fleet.name_revoked`), `CertificateError`.
    """
    if principal.role is Role.DEVICE:
        raise ConfigError(principal.name, "fleet.enrol_boxes")
    if members.revocations(state).of(principal) is not None:
        raise ConfigError(principal.name, "fleet.name_revoked")
    pem = state.issue(principal, usage, key, now=now)
    members.record(state, principal, usage, pem)
    return pem


def make_keys(state: FleetState, principal: Principal, directory: Path, *, now: datetime) -> list[Path]:
    """Both keys and certificates of somebody in `directory`; the certificates' paths.

    Raises what `certify` raises, and `OutputError` (`fleet.keys_exist`) rather than replace a key.
    """
    made = []
    for usage in Usage:
        stem = directory / f"{principal.username}-{usage}"
        key_file, pem_file = stem.with_name(f"{stem.name}.key"), stem.with_name(f"{stem.name}.pem")
        if key_file.exists() or pem_file.exists():
            raise OutputError("fleet.keys_exist", str(key_file))
        key = generate_key()
        pem = certify(state, principal, usage, key.public_key(), now=now)
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_private(key_file, private_pem(key))
        write_text(pem_file, pem.decode())
        made.append(pem_file)
    ca_file = directory / CA_FILE
    write_text(ca_file, state.anchors_file.read_text(encoding="ascii"))
    return [*made, ca_file]


def make_server(state: FleetState, hosts: Sequence[str], directory: Path, *, now: datetime) -> list[Path]:
    """Key and certificate of a server (the broker) under all its names, and whom its clients' chains must end at.

    The files' paths. Raises `CertificateError`, and `OutputError` (`fleet.keys_exist`) rather than replace a key.
    """
    key_file, pem_file, ca_file = (directory / name for name in ("server.key", "server.pem", CA_FILE))
    if key_file.exists() or pem_file.exists():
        raise OutputError("fleet.keys_exist", str(key_file))
    key = generate_key()
    pem = state.issue_server(hosts, key.public_key(), now=now)
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_private(key_file, private_pem(key))
    write_text(pem_file, pem.decode())
    write_text(ca_file, state.anchors_file.read_text(encoding="ascii"))
    return [pem_file, ca_file]


def key_of_request(path: Path) -> ec.EllipticCurvePublicKey:
    """The public key in a certificate request (PKCS#10), or as it is (PEM both).

    With a request its holder proves to have the private one; whoever sends the other way has to be known.

    Raises `ConfigError` (`cert.unreadable`), `CertificateError` (`fleet.bad_request`).
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_REQUEST)
    except OSError:
        raise ConfigError(str(path), "cert.unreadable") from None
    try:
        if b"-----BEGIN PUBLIC KEY-----" in data:
            key, proven = serialization.load_pem_public_key(data), True
        else:
            request = x509.load_pem_x509_csr(data)
            key, proven = request.public_key(), request.is_signature_valid
    except (ValueError, TypeError, UnsupportedAlgorithm, InvalidSignature):
        raise CertificateError("fleet.bad_request", str(path)) from None
    if (
        not proven
        or not isinstance(key, ec.EllipticCurvePublicKey)
        or not isinstance(key.curve, ec.SECP256R1)
    ):
        raise CertificateError("fleet.bad_request", str(path))
    return key
