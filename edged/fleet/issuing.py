"""Certificates for everybody who is no box: collectors, recipients, colleagues, and servers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from edged.errors import CertificateError, ConfigError
from edged.fleet import members
from edged.fleet.state import LEAF_DAYS
from edged.uplink import topics
from edged.uplink.keys import MAX_KEY_FILE, generate_key, private_pem, write_private
from edged.uplink.names import Principal, Role, Usage

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from edged.fleet.state import FleetState

ROLES: Final = (Role.COLLECTOR, Role.AUDIENCE, Role.ADMIN, Role.HELPDESK)
"""Who gets certificates so. Boxes enrol; what the privacy officer and the release role sign is TUF metadata."""

USAGES: Final[Mapping[Role, tuple[Usage, ...]]] = {role: tuple(Usage) for role in ROLES} | {
    Role.HELPDESK: (Usage.TLS,)
}
"""The help desk signs nothing."""

CA_FILE: Final = "fleet-ca.pem"


class Written(msgspec.Struct, frozen=True):
    """One key and certificate that lie in a directory now; `key` is None where the holder has it already."""

    usage: str
    certificate: str
    key: str | None
    not_after: int
    """Seconds since 1970."""


def issue_member(
    state: FleetState,
    role: Role,
    name: str,
    directory: Path,
    *,
    public: Mapping[Usage, Path],
    now: datetime,
    days: int = LEAF_DAYS,
) -> list[Written]:
    """Certify somebody of the fleet, and note it in the state; everything goes into `directory`.

    A key of `public` is the holder's own; any other is made here, and has to be handed over. A file that is there
    already isn't touched. Raises `ConfigError`, `CertificateError`, `FileExistsError`.
    """
    if not topics.usable(name):
        raise ConfigError(name, "fleet.bad_name", name=name[:63])
    principal = Principal(state.file.fleet, role, name)
    usages = tuple(public) or USAGES[role]
    made = []
    with state.changing():
        _prepare(state, directory, [usage.value for usage in usages])
        for usage in usages:
            key = None if usage in public else generate_key()
            open_key = _public_key(public[usage]) if key is None else key.public_key()
            chain = state.issue(principal, usage, open_key, now=now, days=days)
            members.record(state, principal, usage, chain)
            made.append(_write(directory, usage.value, key, chain))
    return made


def issue_server(
    state: FleetState, hosts: Sequence[str], directory: Path, *, now: datetime, days: int = LEAF_DAYS
) -> list[Written]:
    """A key and certificate for a TLS server: the broker, under all its names. Raises as `issue_member` does."""
    key = generate_key()
    with state.changing():
        _prepare(state, directory, ["server"])
        return [
            _write(directory, "server", key, state.issue_server(hosts, key.public_key(), now=now, days=days))
        ]


def _prepare(state: FleetState, directory: Path, stems: Sequence[str]) -> None:
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    for stem in stems:
        for path in (directory / f"{stem}.pem", directory / f"{stem}.key"):
            if path.exists():
                raise ConfigError(str(path), "fleet.file_exists")
    (directory / CA_FILE).write_bytes((state.directory / "authorities.pem").read_bytes())


def _write(directory: Path, stem: str, key: ec.EllipticCurvePrivateKey | None, chain: bytes) -> Written:
    certificate, secret = directory / f"{stem}.pem", directory / f"{stem}.key"
    if key is not None:
        write_private(secret, private_pem(key))
    certificate.write_bytes(chain)
    until = members.not_after(chain)
    return Written(stem, str(certificate), None if key is None else str(secret), until)


def _public_key(path: Path) -> ec.EllipticCurvePublicKey:
    """Raises `CertificateError`."""
    try:
        with path.open("rb") as file:
            key = load_pem_public_key(file.read(MAX_KEY_FILE))
    except OSError as error:
        raise CertificateError("key.unreadable", f"{path}: {error.strerror}") from error
    except (ValueError, UnsupportedAlgorithm):
        raise CertificateError("key.malformed", str(path)) from None
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise CertificateError("key.wrong_type", str(path))
    return key
