"""A fleet whose boxes can enrol: made by the real ceremony, served by the real service on loopback."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from edged.demo.fleet import KeyFiles
from edged.fleet.ceremony import Plan, found
from edged.fleet.enrolment import Enrolment, Happened
from edged.fleet.est_server import EstServer
from edged.fleet.inviting import invite
from edged.fleet.state import FLEET_FILE, FleetFile, FleetState, as_toml, write_text
from edged.pushed.est_client import EstClient, Service
from edged.pushed.identity_files import IdentityFiles
from edged.uplink import est
from edged.uplink.keys import generate_key, private_pem, write_private
from edged.uplink.names import Usage
from edged.uplink.roles import TrustAnchor, load_chain
from edged.uplink.token import Token

FLEET = "north"
HOST = "127.0.0.1"


def now() -> datetime:
    return datetime.now(UTC)


class Office:
    """The admin's side: a state directory, its offline keys, and what its service has told."""

    def __init__(self, directory: Path, *, fleet: str = FLEET) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.directory = directory
        self.roots = (directory / "root-1", directory / "root-2")
        plan = Plan(
            directory=directory / "state",
            file=FleetFile(fleet=fleet, admin="ops", demo=True, enrolment=f"{HOST}:1"),
            root_keys=self.roots,
            threshold=2,
            privacy_keys=directory / "privacy",
            release_keys=directory / "release",
        )
        self.state: FleetState = found(plan, now(), "en")
        self.happened: list[Happened] = []
        self.port = 0

    def enrolment(self, **settings: Any) -> Enrolment:
        return Enrolment(self.state, told=self.happened.append, **settings)

    @contextlib.asynccontextmanager
    async def open(self, **settings: Any) -> AsyncIterator[EstServer]:
        """The service; the state names its port from then on."""
        async with EstServer(
            self.state, self.enrolment(**settings), host=HOST, port=0, names=(HOST,)
        ) as server:
            self.at(server.port)
            yield server

    def at(self, port: int) -> None:
        """What the admin writes into `fleet.toml`."""
        self.port = port
        file = msgspec.structs.replace(self.state.file, enrolment=f"{HOST}:{port}")
        write_text(self.state.directory / FLEET_FILE, as_toml(file))
        self.state = FleetState.open(self.state.directory)

    def invite(self, device: str = "box-1", **settings: Any) -> Token:
        with self.state.changing():
            invitation = invite(self.state, device, **({"now": now()} | settings))
            self.state.save_device(invitation.record)
        return invitation.token

    def client(self, files: IdentityFiles | None = None) -> EstClient:
        pem = (self.state.directory / "authorities.pem").read_text()
        pair = None if files is None else files.current(Usage.TLS)
        return EstClient(Service(HOST, self.port), pem, pair)

    @property
    def anchor(self) -> TrustAnchor:
        return self.state.anchor()

    # --- what edged.demo.broker asks of a fleet ---

    @property
    def ca(self) -> Path:
        return self.state.directory / "authorities.pem"

    def issue_server(self, name: str, hosts: tuple[str, ...]) -> KeyFiles:
        key = generate_key()
        files = KeyFiles(self.directory / f"{name}.key", self.directory / f"{name}.pem")
        write_private(files.key, private_pem(key))
        files.certificate.write_bytes(self.state.issue_server(hosts, key.public_key(), now=now()))
        return files


def serial(files: IdentityFiles, usage: Usage) -> int:
    pair = files.current(usage)
    assert pair is not None
    return pair.certificates()[0].serial_number


def request() -> bytes:
    return est.request(generate_key(), "box")


def leaf(pem: bytes) -> Any:
    return load_chain(pem)[0]
