"""A running box's certificates renewed, and what is new put in use: connected with, signed with, or taken back."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from edged import log
from edged.errors import EdgedError
from edged.pushed.est_client import Service
from edged.pushed.identity_files import files_of
from edged.pushed.renewing import Renewed, Renewer
from edged.uplink.names import Usage
from edged.uplink.status import Receipted

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from edged.box import Box
    from edged.pushed.identity_files import IdentityFiles
    from edged.uplink.fleet_authority import FleetAuthorities
    from edged.uplink.status import UplinkEvent

PATIENCE_S: Final = 300.0
"""A broker that doesn't let the box in with its new certificate for so long won't, or is away: the old one will do."""


class Renewals:
    """Two tasks of a box that knows its fleet's enrolment service: `run` and `follow`."""

    def __init__(
        self,
        box: Box,
        files: IdentityFiles,
        service: Service,
        newest: Callable[[], FleetAuthorities | None],
    ) -> None:
        """`newest`: the fleet's authorities as they were accepted last, by which a lost one is replaced."""
        self._box = box
        self._happened: asyncio.Queue[Renewed | Receipted] = asyncio.Queue()
        self._unproved = False
        self._log = log.get("renewal")
        self._renewer = Renewer(
            files,
            service,
            lambda: box.held.anchor,
            told=self._happened.put_nowait,
            authorities=lambda: box.held.settings.identity.fleet_ca,
            newest=newest,
        )

    @classmethod
    def of(cls, box: Box, newest: Callable[[], FleetAuthorities | None]) -> Renewals | None:
        """None for a box that doesn't know the service, or whose files are another tool's to renew."""
        fleet, files = box.boot.fleet, files_of(box.boot.identity)
        if fleet is None or fleet.enrolment is None or files is None:
            return None
        return cls(box, files, Service.of(fleet.enrolment), newest)

    def heard(self, event: UplinkEvent) -> None:
        """What the uplink tells: a receipt for what a new signing key has signed proves it."""
        if isinstance(event, Receipted) and self._unproved:
            self._unproved = False
            self._happened.put_nowait(event)

    async def run(self) -> None:
        """Renew when it is time, until cancelled. Raises `StateError`."""
        await self._renewer.run()

    async def follow(self) -> None:
        """Put in use what is new, until cancelled."""
        while True:
            happened = await self._happened.get()
            if isinstance(happened, Receipted):
                await self._renewer.proved(Usage.SIGNING)
            elif happened.what == "renewed":
                try:
                    await self._put_in_use(happened.usage)
                except (EdgedError, OSError) as error:
                    # What was before is still in force; the next start tries the files again.
                    self._log.error("a new certificate can't be used", usage=happened.usage, exc_info=error)

    async def rotate(self) -> Mapping[str, Any]:
        """A new signing key, certified and in use. Raises `CodedError`; then the old one still is."""
        await self._renewer.renew_now(Usage.SIGNING)
        await self._put_in_use(Usage.SIGNING)
        leaf = self._box.held.signer.chain[0]
        return {"serial": f"{leaf.serial_number:x}", "not_after": int(leaf.not_valid_after_utc.timestamp())}

    async def _put_in_use(self, usage: Usage) -> None:
        await self._box.renew()
        if usage is Usage.SIGNING:
            self._unproved = True
            return
        try:
            async with asyncio.timeout(PATIENCE_S):
                await self._box.online.wait()
        except TimeoutError:
            if await self._renewer.refused(usage):
                await self._box.renew()
        else:
            await self._renewer.proved(usage)
