"""Fixture material: a demo fleet and a real mosquitto for it, with everybody's keys at hand."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from edged.central.mosquitto import Access
from edged.demo.broker import HOST, DemoBroker
from edged.demo.fleet import DemoFleet
from edged.uplink.envelope import (
    DocumentSummary,
    Envelope,
    EnvelopeDraft,
    Provenance,
    StreamPosition,
    seal,
)
from edged.uplink.mqtt import Endpoint, Session
from edged.uplink.names import Principal, Role, Usage
from edged.uplink.roles import TrustAnchor
from edged.uplink.sign import Signer
from edged.verdict import Check, CheckClass, JudgedCheck, Kind, Result

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from edged.errors import UplinkError
    from edged.uplink.mqtt import Connection

FLEET = "north"
NOW = datetime.now(UTC).replace(microsecond=0)


class Town:
    """A fleet with a broker, two devices, two collectors, two partners; keys are made when asked for."""

    def __init__(self, directory: Path, *, demo: bool = True) -> None:
        self.directory = directory
        self.fleet = DemoFleet(directory / "fleet", fleet=FLEET, now=NOW, demo=demo)
        self.anchor = TrustAnchor.from_file(self.fleet.ca)
        self.broker = DemoBroker(
            directory / "broker",
            self.fleet,
            Access(
                FLEET,
                collectors=("centre", "second"),
                audiences=("bank", "hotel"),
                admins=("ops",),
                helpdesk=("desk",),
            ),
        )
        self._endpoints: dict[str, Endpoint] = {}
        self._signers: dict[str, Signer] = {}

    def endpoint(self, role: Role, name: str, **settings: Any) -> Endpoint:
        principal = Principal(FLEET, role, name)
        if principal.username not in self._endpoints:
            files = self.fleet.issue(role, name, Usage.TLS)
            self._endpoints[principal.username] = Endpoint(
                host=HOST,
                port=self.broker.port,
                ca=self.fleet.ca,
                certificate=files.certificate,
                key=files.key,
                answer_timeout_s=5.0,
            )
        base = self._endpoints[principal.username]
        return Endpoint(**{name: getattr(base, name) for name in Endpoint.__struct_fields__} | settings)

    def signer(self, role: Role, name: str) -> Signer:
        principal = Principal(FLEET, role, name)
        if principal.username not in self._signers:
            files = self.fleet.issue(role, name, Usage.SIGNING)
            self._signers[principal.username] = Signer.from_files(files.key, files.certificate)
        return self._signers[principal.username]


@contextmanager
def town(directory: Path, *, demo: bool = True) -> Iterator[Town]:
    place = Town(directory, demo=demo)
    place.broker.start()
    try:
        yield place
    finally:
        place.broker.stop()


def session(client_id: str, **settings: Any) -> Session:
    return Session(client_id=client_id, **settings)


async def ended(connection: Connection) -> UplinkError:
    """Wait until a connection ends; why it did."""
    await asyncio.wait((connection._client.lost,))
    return connection.error()


def draft(audience: str, **changes: Any) -> EnvelopeDraft:
    """What an inspection says to `audience`, as far as delivery cares."""
    content: dict[str, Any] = {
        "audience": audience,
        "kind": Kind.TEST,
        "scene": audience,
        "result": Result.SUCCESSFUL,
        "checks": (
            JudgedCheck("mrz_read", CheckClass.MANDATORY, Check("mrz_read", Result.SUCCESSFUL).result),
        ),
        "document": DocumentSummary("passport", "TD3"),
        "claims": {"issuing_state": "UTO"},
        "provenance": {"camera": Provenance("simulated", None, True)},
        "clock": "trusted",
        "reference": "till-7",
    }
    return EnvelopeDraft(**(content | changes))


class Sealer:
    """A device's `seal` callback, as the daemon will have one."""

    def __init__(self, signer: Signer, log_id: str, now: datetime = NOW) -> None:
        self.signer = signer
        self.log_id = log_id
        self.now = now
        self.count = 0

    def __call__(self, draft: EnvelopeDraft, position: StreamPosition, jti: str | None = None) -> Envelope:
        self.count += 1
        return seal(
            draft,
            position=position,
            log_id=self.log_id,
            jti=jti or f"{self.log_id}-{draft.audience}-{position.seq}",
            iat=int(self.now.timestamp()),
            config_version="1",
            signer=self.signer,
        )


def stream(sealer: Sealer, audience: str, count: int, **changes: Any) -> list[Envelope]:
    """A stream's first `count` envelopes."""
    envelopes: list[Envelope] = []
    for seq in range(1, count + 1):
        prev = envelopes[-1].sha256 if envelopes else None
        envelopes.append(sealer(draft(audience, **changes), StreamPosition(seq, prev)))
    return envelopes
