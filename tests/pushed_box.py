"""A box that is pushed to, without its daemon: the real store, verification and agent; the host does as it is told."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, Self

from edged.config import BoxSettings, parse_toml
from edged.demo.fleet import DemoFleet
from edged.errors import ConfigError, PushRefusedError
from edged.pushed.agent import PushAgent
from edged.pushed.host import Generation, ProbeResult
from edged.pushed.steps import Report
from edged.uplink.mqtt_types import Received
from edged.uplink.names import Role, Usage
from edged.uplink.sign import Signer
from edged.uplink.topics import desired
from tests.tuf_repository import DEVICE, NOW, TufRepository
from tests.waiting import until

FLEET = "demo-fleet"

BOOT = """
version = "boot"
[identity]
fleet_ca = "ca.pem"
signing_key = "sign.key"
signing_certificate = "sign.pem"
tls_key = "tls.key"
tls_certificate = "tls.pem"
[broker]
host = "127.0.0.1"
[state]
directory = "."
[control]
socket = "control.sock"
[head]
driver = "simulated"
socket = "glass.sock"
[audiences.bank]
scenes = ["bank"]
[fleet]
root = "root.json"
"""


def boot_settings(directory: Path, root: Path | None = None) -> BoxSettings:
    """The boot file of a box whose state lies in `directory`, beside the fleet's root."""
    text = BOOT if root is None else BOOT.replace('"root.json"', f'"{root}"')
    return parse_toml(text.encode(), BoxSettings, base=directory)


def device_signer(directory: Path, fleet: str = FLEET) -> Signer:
    """The device's own key, of a fleet made for it."""
    made = DemoFleet(directory, fleet=fleet, now=NOW)
    files = made.issue(Role.DEVICE, DEVICE, Usage.SIGNING)
    return Signer.from_files(files.key, files.certificate)


class ScriptedHost:
    """The daemon's part. Versions named in `unstartable` don't start; `results` are what probes say of others."""

    def __init__(self, boot: BoxSettings) -> None:
        self.boot_settings = boot
        self.trusted = True
        self.in_force: Generation | None = None
        self.history: list[int] = []
        self.versions: list[str] = []
        self.revoked: list[bytes] = []
        self.results: dict[str, ProbeResult] = {}
        self.unstartable: set[str] = set()
        self.may_end = asyncio.Event()
        self.may_end.set()
        self.free = asyncio.Event()
        self.free.set()
        self.probing = asyncio.Event()
        self.on_switch: Callable[[Generation], None] = lambda _: None

    async def clock_trusted(self) -> bool:
        return self.trusted

    async def idle(self) -> None:
        await self.free.wait()

    async def revoke(self, document: bytes) -> None:
        self.revoked.append(document)

    async def switch(self, generation: Generation) -> None:
        self.history.append(generation.push)
        self.on_switch(generation)
        if generation.settings.version in self.unstartable:
            raise ConfigError("audiences.bank.pseudonym_key", "key.missing")
        self.in_force = generation
        self.versions.append(generation.settings.version)

    async def probe(self, deadline_s: float) -> ProbeResult:
        assert self.in_force is not None
        result = self.results.get(self.in_force.settings.version, ProbeResult())
        self.probing.set()
        await self.may_end.wait()
        return result


class ScriptedFiles:
    """Artefacts that are there, or come when `arrive` is called, or never."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.contents: dict[str, bytes] = {}
        self.kept: list[str] = []
        self.fetching = False
        self.may_come = asyncio.Event()
        self.may_come.set()

    def _path(self, target: Any) -> Path:
        return self.directory / str(target.sha256)

    async def here(self, targets: Mapping[Any, Any]) -> Mapping[Any, Path] | None:
        found = {kind: self._path(target) for kind, target in targets.items()}
        return found if all(path.exists() for path in found.values()) else None

    async def fetch(
        self, targets: Mapping[Any, Any], on_progress: Callable[[int], None]
    ) -> Mapping[Any, Path]:
        assert not self.fetching, "one at a time"
        self.fetching = True
        try:
            on_progress(50)
            await self.may_come.wait()
        finally:
            await asyncio.sleep(0)
            self.fetching = False
        for target in targets.values():
            content = self.contents.get(target.path, b"")
            if hashlib.sha256(content).hexdigest() != target.sha256:
                raise PushRefusedError("push.hash_wrong", target.path)
            self._path(target).write_bytes(content)
        found = await self.here(targets)
        assert found is not None
        return found

    async def keep(self, targets: Collection[Any]) -> None:
        self.kept = [target.path for target in targets]


class PushedBox:
    """The agent at work in `directory`; entering starts it, leaving stops it as a SIGTERM would."""

    def __init__(self, directory: Path, signer: Signer, repository: TufRepository | None = None) -> None:
        self.directory = directory
        self.signer = signer
        self.repository = repository or TufRepository()
        root = directory / "root.json"
        if not root.exists():
            root.write_bytes(self.repository.first_root)
        self.host = ScriptedHost(boot_settings(directory))
        self.files = ScriptedFiles(directory)
        self.now = NOW
        self.mid = 0

    async def __aenter__(self) -> Self:
        self.agent = await PushAgent.open(
            host=self.host,
            artefacts=self.files,
            signer=lambda: self.signer,
            clock=lambda: self.now,
            look_s=0.001,
            refused_pause_s=0.0,
        )
        await self.agent.begin()
        self.task = asyncio.create_task(self.agent.run())
        return self

    async def restart(self) -> ScriptedHost:
        """As if the process ended and began again; the new host, which has the old one's whims."""
        await self.stop()
        before, self.host = self.host, ScriptedHost(self.host.boot_settings)
        self.host.results, self.host.unstartable = before.results, before.unstartable
        await self.__aenter__()
        return self.host

    async def __aexit__(self, *error: object) -> None:
        await self.stop()

    async def stop(self) -> None:
        """As a SIGTERM does; once is enough."""
        if self.task.done():
            return
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)
        await self.agent.close()

    async def deliver(self, *bundles: bytes) -> None:
        """As the broker does: retained."""
        topic = desired(self.signer.principal.fleet, DEVICE)
        await self.agent.take([Received(topic, data, True, {}, 1) for data in bundles])

    @property
    def report(self) -> Report:
        return self.agent.report

    async def settled(self, outcome: str, push: int | None = None, code: str | None = None) -> Report:
        """Wait for the report."""

        def said() -> bool:
            if self.task.done():
                self.task.result()
            report = self.report
            return (
                report.outcome == outcome
                and (push is None or report.push == push)
                and (code is None or report.code == code)
            )

        await until(said, 30, so_far=lambda: self.report)
        return self.report

    async def push(self, outcome: str = "applied", **config: Any) -> bytes:
        """Push a configuration and wait for what comes of it."""
        bundle = self.repository.push(**config)
        await self.deliver(bundle)
        await self.settled(outcome, self.repository.snapshot.version)
        return bundle

    def disk(self) -> dict[str, bytes]:
        """Everything the switch keeps."""
        return {
            path.name: path.read_bytes()
            for path in self.directory.iterdir()
            if path.name.startswith("fleet") and not path.name.endswith("-shm")
        }
