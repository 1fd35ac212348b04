"""The box as its fleet's pushes see it: what the switch asks of the daemon (`edged.pushed.host.Host`)."""

from __future__ import annotations

import asyncio
import hashlib
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import msgspec

from edged import log, messages
from edged.errors import ConfigError
from edged.messages import shared
from edged.pushed import calibration, probes
from edged.pushed.artefact_kinds import check_files, read_messages
from edged.pushed.host import ProbeResult
from edged.self_test import inspect_specimen
from edged.uplink import fleet_authority
from edged.uplink.keys import keep_private
from edged.uplink.revoked import Revocations
from edged.uplink.roles import TrustAnchor

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from edged.box import Box
    from edged.config import BoxSettings
    from edged.pushed.host import Generation
    from edged.pushed.software import Software
    from edged.self_test import Tested
    from edged.uplink.fleet_authority import FleetAuthorities

ANCHORS: Final = "authorities-"
"""Begins the name of the file in the state directory that has the fleet's authorities as a push named them."""


class Managed:
    """`edged.pushed.host.Host` for one `Box`.

    Attributes:
        authorities: the fleet's as the version in force names them, with all that was ever revoked; None with the boot
            file alone.
    """

    def __init__(self, box: Box, software: Software) -> None:
        self.authorities: FleetAuthorities | None = None
        self._box = box
        self._software = software
        self._push = 0
        self._sentences: bytes | None = None

    @property
    def boot_settings(self) -> BoxSettings:
        """What the boot file says."""
        return self._box.boot

    async def clock_trusted(self) -> bool:
        """Whether the clock may be believed now. Raises `StateError`."""
        return (await self._box.read_clock()).trusted

    async def idle(self) -> None:
        """Wait until no inspection is running."""
        await self._box.station.between_inspections(_nothing)

    async def revoke(self, document: bytes) -> None:
        """Refuse from now on what `fleet/authority.json` revokes. Raises `DecodeError`."""
        newest = await asyncio.to_thread(fleet_authority.parse, document)
        self._box.held.anchor.revoke("authority", Revocations.of_authority(newest))

    async def switch(self, generation: Generation) -> None:
        """Put `generation` in force. Raises `EdgedError`, and then what was before is still in force."""
        if generation.revoked is not None:
            await self.revoke(generation.revoked)
        settings, sentences = await asyncio.to_thread(self._prepared, generation)
        await self._box.switch(settings)
        self._push = generation.push
        self.authorities = _authorities_of(generation)
        messages.lay_over({} if sentences is None else sentences[1])
        self._sentences = None if sentences is None else sentences[0]
        self.share()
        await asyncio.to_thread(self._tidy)

    def share(self) -> None:
        """Let the clerk's commands speak as was pushed; once more when the control socket's directory is there."""
        with suppress(OSError):  # they speak the shipped words then: a counter goes on
            shared.share(self._box.boot.control.socket, self._sentences)

    async def probe(self, deadline_s: float) -> ProbeResult:
        """Have what is in force prove itself within so many seconds: first that it is the software that was pushed."""
        until = asyncio.get_running_loop().time() + deadline_s
        result = await self._software.probe(self._push, deadline_s)
        if result.passed:
            result = await self._probe(until - asyncio.get_running_loop().time())
        if result.passed:
            await self._software.healthy(self._push)
        return result

    async def _probe(self, deadline_s: float) -> ProbeResult:
        box = self._box
        try:
            bounds = await asyncio.to_thread(
                calibration.load, box.boot.state.directory / calibration.CALIBRATION_FILE
            )
        except ConfigError as error:
            return ProbeResult("frames", error.code)
        parts = probes.Parts(
            head=box.attached.head,
            camera=box.attached.camera,
            indication=lambda: box.station.indication,
            calibration=bounds,
            between=self._between,
            specimen=self._specimen,
            connected=self._connected,
            trouble=lambda: box.line.uplink.health.problem,
        )
        return await probes.run(parts, deadline_s)

    async def tested(self) -> Tested:
        """A shipped specimen through the box, by what is in force. Raises `StateError`."""
        box, held = self._box, self._box.held
        tested = await inspect_specimen(
            held,
            scene=held.settings.default_scene,
            clock=await box.read_clock(),
            state=box.state,
            signer=held.signer,
            anchor=held.anchor,
        )
        box.line.uplink.wake()
        return tested

    async def _connected(self) -> None:
        await self._box.online.wait()

    async def _specimen(self) -> str | None:
        return (await self.tested()).code

    async def _between(self, work: Callable[[], Awaitable[str | None]]) -> str | None:
        return await self._box.station.between_inspections(work)

    def _prepared(
        self, generation: Generation
    ) -> tuple[BoxSettings, tuple[bytes, dict[str, dict[str, str]]] | None]:
        """The settings with everything pushed in its place, and the sentences; blocks. Raises `EdgedError`."""
        check_files(generation.files)
        settings = generation.settings
        if generation.authority is not None:
            settings = self._with_authorities(settings, generation.authority)
        catalogue = generation.files.get("messages")
        sentences = None
        if catalogue is not None:
            data, entries = read_messages(catalogue)
            sentences = data, {code: dict(texts) for code, texts in entries.items()}
        log.get("fleet").info("switching", push=generation.push, config_version=settings.version)
        return settings, sentences

    def _with_authorities(self, settings: BoxSettings, document: bytes) -> BoxSettings:
        """The settings with the authorities that the fleet's offline keys name instead of the boot file's."""
        anchors = "".join(fleet_authority.parse(document).anchors).encode()
        booted, pushed = (
            TrustAnchor.from_file(self._box.boot.identity.fleet_ca),
            TrustAnchor.from_pem(anchors),
        )
        if (booted.fleet, booted.demo) != (pushed.fleet, pushed.demo):
            raise ConfigError(fleet_authority.TARGET, "cert.wrong_fleet")
        path = self._box.boot.state.directory / f"{ANCHORS}{hashlib.sha256(anchors).hexdigest():.16}.pem"
        if not _has(path, anchors):
            keep_private(path, anchors)
        identity = msgspec.structs.replace(settings.identity, fleet_ca=path)
        return msgspec.structs.replace(settings, identity=identity)

    def _tidy(self) -> None:
        """Take away the authorities of pushes that aren't in force."""
        used = self._box.held.settings.identity.fleet_ca
        with suppress(OSError):
            for path in self._box.boot.state.directory.glob(f"{ANCHORS}*.pem"):
                if path != used:
                    path.unlink()


def _has(path: Path, data: bytes) -> bool:
    try:
        return path.read_bytes() == data
    except OSError:
        return False


def _authorities_of(generation: Generation) -> FleetAuthorities | None:
    if generation.authority is None:
        return None
    document = fleet_authority.parse(generation.authority)
    if generation.revoked is None:
        return document
    return msgspec.structs.replace(document, revoked=fleet_authority.parse(generation.revoked).revoked)


async def _nothing() -> None:
    """What is done while no inspection runs, for who only wants to know that none does."""
