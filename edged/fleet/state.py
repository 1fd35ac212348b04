"""The admin's state directory: everything about a fleet but its offline keys, in text files that git can keep.

    fleet/authority.json       X.509 authorities and what of them is revoked, signed by the offline keys
    fleet.toml                 the fleet's name, broker, enrolment service (`FleetFile`)
    devices/{name}.toml        one box: groups, site, certificates, what was pushed last (`DeviceRecord`)
    config/fleet.toml, config/group/{group}.toml, config/device/{device}.toml     layers of configuration
    audiences/{name}.json      the privacy officer's documents
    sealing-keys/{name}.jws    a box's own signed word for the key that what is for it alone is sealed to
    organisation-keys/{name}.json     an audience's pseudonym key, sealed to each box that may have it
    metadata/                  TUF metadata that all boxes share, every version of it
    pushes/, rollouts/         what was pushed when, and how it went
    artefacts/                 large files (ignored by git)
    secrets/                   the admin's own keys (ignored by git, mode 0700)

Every file is written whole or not at all; one command at a time changes the directory.
"""

from __future__ import annotations

import contextlib
import fcntl
from typing import TYPE_CHECKING, Annotated, Final, NamedTuple, Self

import msgspec

from edged.config import load_toml
from edged.errors import CertificateError, ConfigError, StateError
from edged.uplink.authority import FleetAuthority
from edged.uplink.fields import Name, Seconds
from edged.uplink.keys import read_private
from edged.uplink.mqtt_types import Endpoint
from edged.uplink.names import Principal, Usage, valid_name
from edged.uplink.roles import TrustAnchor, load_chain
from edged.uplink.sign import Signer
from edged.whole_file import whole_file

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric import ec

FLEET_FILE: Final = "fleet.toml"

LEAF_DAYS: Final = 397
"""A year and a month: how long a certificate holds when nothing else is asked for."""


class FleetFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`fleet.toml`."""

    fleet: Name
    admin: Name
    """Name of the admin whose keys lie in `secrets/`."""
    demo: bool = False
    broker_host: str = "127.0.0.1"
    broker_port: int = 8883
    enrolment: str | None = None
    """`host:port` under which boxes reach `edged fleet serve`."""


class IssuedCertificate(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One certificate of a box."""

    usage: Usage
    serial: str
    """Hexadecimal."""
    not_before: Seconds
    not_after: Seconds
    pem: str
    revoked_at: Seconds | None = None


class DeviceRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`devices/{name}.toml`."""

    name: Name
    groups: tuple[Name, ...] = ()
    site: str = ""
    added_at: Seconds
    token_sha256: str | None = None
    """Of the last enrolment token, until it ends: a box whose answer was lost asks again with the same keys."""
    token_until: Seconds | None = None
    token_serials: dict[Usage, str] = {}
    """Certificates that this token has given, one a usage: it gives no others."""
    token_refused_at: Seconds | None = None
    """When somebody last came with this token and other keys: two have it, or one has lost its keys."""
    certificates: tuple[IssuedCertificate, ...] = ()
    revoked_at: Seconds | None = None
    push: Annotated[int, msgspec.Meta(ge=0)] = 0
    """Number of the last push to this box."""
    push_until: Seconds | None = None
    """When the box begins to refuse it, had it not come for it before; `edged fleet refresh` warns in time."""


class _Issuer(NamedTuple):
    authority: FleetAuthority
    pem: bytes
    days: int


class FleetState:
    """An opened state directory. Reading needs no lock; whoever changes something holds `changing()`."""

    def __init__(self, directory: Path, file: FleetFile) -> None:
        self.directory = directory
        self.file = file

    @classmethod
    def open(cls, directory: Path) -> Self:
        """Raises `StateError` (`fleet.no_state`), `ConfigError` for a broken `fleet.toml`."""
        path = directory / FLEET_FILE
        if not path.exists():
            raise StateError("fleet.no_state", str(directory))
        return cls(directory, load_toml(path, FleetFile))

    @property
    def secrets(self) -> Path:
        """Where the admin's own keys lie."""
        return self.directory / "secrets"

    @property
    def anchors_file(self) -> Path:
        """The fleet's X.509 authorities (PEM): what everybody in the fleet is given as its `fleet_ca`."""
        return self.directory / "authorities.pem"

    @contextlib.contextmanager
    def changing(self) -> Iterator[None]:
        """Hold the directory for one command. Raises `StateError` (`fleet.busy`) while another one has it."""
        with (self.directory / ".lock").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise StateError("fleet.busy", str(self.directory)) from None
            yield

    def devices(self) -> dict[str, DeviceRecord]:
        """Every box, by name. Raises `ConfigError`."""
        paths = sorted((self.directory / "devices").glob("*.toml"))
        return {path.stem: load_toml(path, DeviceRecord) for path in paths}

    def device(self, name: str) -> DeviceRecord:
        """One box. Raises `ConfigError` (`fleet.no_such_device`)."""
        path = self.directory / "devices" / f"{name}.toml"
        if not valid_name(name) or not path.exists():
            raise ConfigError(name, "fleet.no_such_device")
        return load_toml(path, DeviceRecord)

    def save_device(self, record: DeviceRecord) -> None:
        """Write one box's file."""
        write_text(self.directory / "devices" / f"{record.name}.toml", as_toml(record))

    def anchor(self) -> TrustAnchor:
        """The fleet's X.509 authorities. Raises `CertificateError`."""
        return TrustAnchor.from_file(self.anchors_file)

    def authority(self) -> FleetAuthority:
        """The authority that issues certificates here, `secrets/ca.{pem,key}`. Raises `CertificateError`."""
        return FleetAuthority.load(
            (self.secrets / "ca.pem").read_bytes(), read_private(self.secrets / "ca.key")
        )

    def issue(
        self,
        principal: Principal,
        usage: Usage,
        public_key: ec.EllipticCurvePublicKey,
        *,
        now: datetime,
        days: int = LEAF_DAYS,
    ) -> bytes:
        """A certificate with the issuing authority's behind it (PEM): what its holder presents.

        It never outlives the authority. Raises `CertificateError` (`fleet.authority_ended`), and `ValueError` for a
        principal of another fleet.
        """
        issuer = self._issuer(now, days)
        return issuer.authority.issue(principal, usage, public_key, now=now, days=issuer.days) + issuer.pem

    def issue_server(
        self,
        hosts: Sequence[str],
        public_key: ec.EllipticCurvePublicKey,
        *,
        now: datetime,
        days: int = LEAF_DAYS,
    ) -> bytes:
        """A TLS server's certificate with the issuing authority's behind it (PEM). Raises as `issue` does."""
        issuer = self._issuer(now, days)
        return issuer.authority.issue_server(hosts, public_key, now=now, days=issuer.days) + issuer.pem

    def _issuer(self, now: datetime, days: int) -> _Issuer:
        pem = (self.secrets / "ca.pem").read_bytes()
        left = (load_chain(pem)[0].not_valid_after_utc - now).days
        if left < 1:
            raise CertificateError("fleet.authority_ended")
        return _Issuer(self.authority(), pem, min(days, left))

    def signer(self) -> Signer:
        """The admin's signing key, `secrets/admin-signing.{pem,key}`. Raises `CertificateError`."""
        return Signer.from_files(self.secrets / "admin-signing.key", self.secrets / "admin-signing.pem")

    def endpoint(self) -> Endpoint:
        """The broker, with the admin's TLS key, `secrets/admin-tls.{pem,key}`."""
        return Endpoint(
            host=self.file.broker_host,
            port=self.file.broker_port,
            ca=self.anchors_file,
            certificate=self.secrets / "admin-tls.pem",
            key=self.secrets / "admin-tls.key",
        )


def as_toml(record: msgspec.Struct) -> str:
    """A struct as TOML: one key a line, in the struct's order, so that differences read well."""
    from edged.fleet.toml_text import dump

    return dump(msgspec.to_builtins(record))


def write_text(path: Path, text: str) -> None:
    """Write a file whole or not at all, and durably. Raises `OutputError`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path, mode=None) as stream:
        stream.write(text.encode())
