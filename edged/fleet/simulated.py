"""Simulated boxes for tests and benchmarks: real certificates, a real broker, real verification, scripted outcomes.

A box verifies each push as a real one does (`edged.pushed.verifying`), and then does what its script says instead of
reading documents. One process holds as many as it has sockets for, each with a certificate of its own, because the
broker has one connection for each. Demo fleets only: a real fleet's boxes are no actors.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, Literal

import msgspec

from edged.errors import PushRefusedError, StateError, UplinkError
from edged.fleet.state import DeviceRecord, IssuedCertificate
from edged.pushed.verifying import Accepted, first_trust, verify_bundle
from edged.uplink import topics
from edged.uplink.keys import generate_key, load_private, private_pem
from edged.uplink.mqtt import Connection, Endpoint, Session, Will, connect
from edged.uplink.names import Principal, Role, Usage
from edged.uplink.reported import Reported, seal_reported
from edged.uplink.roles import load_chain
from edged.uplink.sign import Signer
from edged.uplink.status import Status

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Sequence
    from pathlib import Path

    from edged.fleet.state import FleetState

SOFTWARE: Final = "0.0-simulated"

FIRST_VERSION: Final = "boot"
"""What a box runs before its first push."""

CONNECTING: Final = 16
"""Boxes that connect at a time: a handshake takes some milliseconds of both sides."""

AGAIN_S: Final = 0.2

Outcome = Literal["applied", "rolled_back", "rejected", "silent"]


class Script(msgspec.Struct, frozen=True):
    """What a box makes of a push that it has verified. `silent`: it goes on trial, and is heard of no more."""

    outcome: Outcome = "applied"
    after_s: float = 0.0
    code: str | None = None
    path: str | None = None
    probe: str | None = None


class Keys(msgspec.Struct, frozen=True):
    """One box's certificates and keys."""

    endpoint: Endpoint
    signer: Signer


class SimulatedBox:
    """One box. `run` until cancelled.

    Attributes:
        taken: pushes that it has verified, by number.
        heard: messages on its `desired`, empty ones and repeats as well.
        ready: set while it is connected and listens.
    """

    def __init__(
        self, name: str, keys: Keys, *, root: bytes, script: Callable[[str, Accepted], Script]
    ) -> None:
        self.name = name
        self.taken: list[int] = []
        self.heard = 0
        self.ready = asyncio.Event()
        self.applied_at: dict[int, float] = {}
        """When it said so, by number of the push: `time.monotonic`."""
        self._keys = keys
        self._fleet = keys.signer.principal.fleet
        self._trusted = first_trust(root)
        self._script = script
        self._running, self._running_push = FIRST_VERSION, 0
        self._seen: bytes | None = None
        self._said: bytes | None = None

    async def run(self) -> None:
        """Stay connected, and take what is pushed."""
        while True:
            with contextlib.suppress(UplinkError):
                await self._connected()
            self.ready.clear()
            await asyncio.sleep(AGAIN_S)

    async def _connected(self) -> None:
        topic = topics.status(self._fleet, self.name)
        session = Session(self.name, will=Will(topic, self._status("offline")))
        async with connect(self._keys.endpoint, session) as connection:
            await connection.subscribe(topics.desired(self._fleet, self.name))
            await connection.publish(topic, self._status("online"), retain=True)
            if self._said is not None:
                await connection.publish(topics.reported(self._fleet, self.name), self._said, retain=True)
            self.ready.set()
            while True:
                for received in await connection.receive():
                    self.heard += 1
                    if received.payload and received.payload != self._seen:
                        await self._take(connection, received.payload)
                    connection.acknowledge(received)

    async def _take(self, connection: Connection, data: bytes) -> None:
        try:
            accepted = await asyncio.to_thread(self._verified, data)
        except PushRefusedError as error:
            refused = Script(code=error.code, path=error.where or None)
            await self._report(connection, error.push, "rejected", refused)
            return
        self._seen, self._trusted = data, accepted.trusted
        self.taken.append(accepted.push)
        script = self._script(self.name, accepted)
        if script.outcome == "rejected":
            await self._report(connection, accepted.push, "rejected", script)
            return
        await self._report(connection, accepted.push, "trial", Script())
        if script.outcome == "silent":
            return
        if script.after_s:
            await asyncio.sleep(script.after_s)
        if script.outcome == "applied":
            self._running, self._running_push = accepted.document.version, accepted.push
            self.applied_at[accepted.push] = time.monotonic()
        await self._report(connection, accepted.push, script.outcome, script)

    def _verified(self, data: bytes) -> Accepted:
        return verify_bundle(data, trusted=self._trusted, device=self.name, now=datetime.now(UTC))

    async def _report(
        self,
        connection: Connection,
        push: int,
        outcome: Literal["trial", "applied", "rejected", "rolled_back"],
        script: Script,
    ) -> None:
        report = Reported(
            iss=self.name,
            fleet=self._fleet,
            iat=int(time.time()),
            push=push,
            outcome=outcome,
            running=self._running,
            running_push=self._running_push,
            code=script.code,
            path=script.path,
            probe=script.probe,
            software=SOFTWARE,
        )
        self._said = seal_reported(report, self._keys.signer).encode()
        with contextlib.suppress(UplinkError):  # it goes on, and says the last of it on the next connection
            await connection.publish(topics.reported(self._fleet, self.name), self._said, retain=True)

    def _status(self, state: Literal["online", "offline"]) -> bytes:
        return msgspec.json.encode(Status(state, self.name, "simulated", SOFTWARE, self._running))


def enrol(
    state: FleetState,
    names: Iterable[str],
    directory: Path,
    now: datetime,
    spots: Callable[[str], tuple[str, tuple[str, ...]]],
) -> dict[str, Keys]:
    """Give boxes certificates and a file in the state; `spots`: site and groups of each.

    Raises `StateError` (`fleet.simulated_demo_only`), `CertificateError`.
    """
    if not state.file.demo:
        raise StateError("fleet.simulated_demo_only")
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    return {name: _enrolled(state, name, directory, now, *spots(name)) for name in names}


def _enrolled(
    state: FleetState, name: str, directory: Path, now: datetime, site: str, groups: tuple[str, ...]
) -> Keys:
    principal = Principal(state.file.fleet, Role.DEVICE, name)
    issued, files = [], {}
    for usage in Usage:
        key = generate_key()
        pem = state.issue(principal, usage, key.public_key(), now=now)
        leaf = load_chain(pem)[0]
        issued.append(
            IssuedCertificate(
                usage=usage,
                serial=f"{leaf.serial_number:x}",
                not_before=int(leaf.not_valid_before_utc.timestamp()),
                not_after=int(leaf.not_valid_after_utc.timestamp()),
                pem=pem.decode(),
            )
        )
        files[usage] = (private_pem(key), pem)
    # Not `write_private`: nobody needs the key of an actor after a power cut, and syncing a thousand takes long.
    key_path, pem_path = directory / f"{name}.key", directory / f"{name}.pem"
    descriptor = os.open(key_path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(files[Usage.TLS][0])
    pem_path.write_bytes(files[Usage.TLS][1])
    record = DeviceRecord(
        name=name, groups=groups, site=site, added_at=int(now.timestamp()), certificates=tuple(issued)
    )
    state.save_device(record)
    endpoint = msgspec.structs.replace(state.endpoint(), certificate=pem_path, key=key_path)
    signing_key, signing_pem = files[Usage.SIGNING]
    return Keys(endpoint, Signer(load_private(signing_key), load_chain(signing_pem)))


@contextlib.asynccontextmanager
async def running(boxes: Sequence[SimulatedBox]) -> AsyncIterator[None]:
    """Run boxes until left; entered when all are connected."""
    gate = asyncio.Semaphore(CONNECTING)
    tasks: list[asyncio.Task[None]] = []

    async def start(box: SimulatedBox) -> None:
        async with gate:
            tasks.append(asyncio.create_task(box.run(), name=box.name))
            await box.ready.wait()

    try:
        await asyncio.gather(*(start(box) for box in boxes))
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
