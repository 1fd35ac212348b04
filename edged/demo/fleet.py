"""A demo fleet's certificates: an authority that exists for one run, marked so that nothing of it is live."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from edged.uplink.authority import FleetAuthority
from edged.uplink.keys import generate_key, private_pem, write_private
from edged.uplink.names import Principal, Role, Usage

if TYPE_CHECKING:
    from datetime import datetime


class KeyFiles(msgspec.Struct, frozen=True):
    """Where a key and its certificate lie."""

    key: Path
    certificate: Path


class DemoFleet:
    """A fleet authority, and the files of everybody it has issued to, in one directory.

    Attributes:
        ca: the authority's certificate: what everybody in the fleet trusts.
        authority: who issues.
    """

    def __init__(self, directory: Path, *, fleet: str, now: datetime, demo: bool = True) -> None:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.fleet = fleet
        self.ca = directory / "fleet-ca.pem"
        self._directory = directory
        self._now = now
        self.authority = FleetAuthority.create(fleet, demo=demo, now=now)
        self.ca.write_bytes(self.authority.certificate_pem)

    def issue(self, role: Role, name: str, usage: Usage) -> KeyFiles:
        """A new key and certificate for one member and one use."""
        principal = Principal(self.fleet, role, name)
        key = generate_key()
        certificate = self.authority.issue(principal, usage, key.public_key(), now=self._now)
        return self._write(f"{principal.username}-{usage}", private_pem(key), certificate)

    def issue_server(self, name: str, hosts: tuple[str, ...]) -> KeyFiles:
        """A new key and certificate for a broker that is reached as `hosts`."""
        key = generate_key()
        certificate = self.authority.issue_server(hosts, key.public_key(), now=self._now)
        return self._write(f"server-{name}", private_pem(key), certificate)

    def _write(self, name: str, key: bytes, certificate: bytes) -> KeyFiles:
        files = KeyFiles(self._directory / f"{name}.key", self._directory / f"{name}.pem")
        write_private(files.key, key)
        files.certificate.write_bytes(certificate)
        return files
