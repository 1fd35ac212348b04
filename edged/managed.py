"""The box as its fleet manages it: what the switch asks of the daemon (`edged.pushed.host.Host`)."""

from __future__ import annotations

import asyncio
import hashlib
from typing import TYPE_CHECKING, Final

import msgspec

from edged.errors import ConfigError
from edged.uplink import fleet_authority
from edged.uplink.keys import write_private
from edged.uplink.roles import TrustAnchor

if TYPE_CHECKING:
    from edged.box import Box
    from edged.config import BoxSettings
    from edged.pushed.host import Generation

ANCHORS_FILE: Final = "authorities-{sha256:.16}.pem"
"""The fleet's authorities as a push named them, in the state directory."""


class Managed:
    """`edged.pushed.host.Host` for one `Box`."""

    def __init__(self, box: Box) -> None:
        self._box = box

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

    async def switch(self, generation: Generation) -> None:
        """Put `generation` in force. Raises `EdgedError`, and then what was before is still in force."""
        settings = generation.settings
        if generation.authority is not None:
            settings = await asyncio.to_thread(self._with_authorities, settings, generation.authority)
        await self._box.switch(settings)

    def _with_authorities(self, settings: BoxSettings, document: bytes) -> BoxSettings:
        """The settings with the authorities that the fleet's offline keys name instead of the boot file's."""
        anchors = "".join(fleet_authority.parse(document).anchors).encode()
        booted, pushed = (
            TrustAnchor.from_file(self._box.boot.identity.fleet_ca),
            TrustAnchor.from_pem(anchors),
        )
        if (booted.fleet, booted.demo) != (pushed.fleet, pushed.demo):
            raise ConfigError(fleet_authority.TARGET, "cert.wrong_fleet")
        name = ANCHORS_FILE.format(sha256=hashlib.sha256(anchors).hexdigest())
        path = self._box.boot.state.directory / name
        if not path.exists():
            write_private(path, anchors)
        identity = msgspec.structs.replace(settings.identity, fleet_ca=path)
        return msgspec.structs.replace(settings, identity=identity)


async def _nothing() -> None:
    """What is done while no inspection runs, for who only wants to know that none does."""
