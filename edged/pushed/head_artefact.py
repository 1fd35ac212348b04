"""The head's firmware, as the switch sees it: it has to be here, and in the head, before a version is tried.

The head tries new firmware by itself and goes back by itself (firmware/BOOT.md): when `fetch` returns, it has been
confirmed. A version whose other probes fail later doesn't take it back: it has proved itself, and the head's counter
may forbid the way back.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from edged import __version__
from edged.errors import DecodeError, DeviceError, PushRefusedError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Mapping

    from edged.desired import ArtefactKind
    from edged.pushed.host import Artefacts, Files
    from edged.pushed.verifying import ArtefactTarget


class HeadArtefact:
    """`Artefacts` around another's, the software's: the version that is asked for talks to the new firmware."""

    def __init__(
        self,
        artefacts: Artefacts,
        *,
        install: Callable[[bytes, Callable[[int], None]], Awaitable[object]],
        updatable: Callable[[], bool],
        running: str = __version__,
    ) -> None:
        """`install` puts an image into the head, raising `DeviceError` or `DecodeError`.

        Firmware that runs already is no work for it. `updatable` says whether this box has a head of ours.
        """
        self._artefacts = artefacts
        self._install = install
        self._updatable = updatable
        self._running = running

    async def here(self, targets: Mapping[ArtefactKind, ArtefactTarget]) -> Files | None:
        """See `Artefacts`."""
        return await self._artefacts.here(targets)

    async def keep(self, targets: Collection[ArtefactTarget]) -> None:
        """See `Artefacts`."""
        await self._artefacts.keep(targets)

    async def fetch(
        self, targets: Mapping[ArtefactKind, ArtefactTarget], on_progress: Callable[[int], None]
    ) -> Files:
        """See `Artefacts`. Raises `PushRefusedError` with the head's reason too, or `artefact.head_cannot_update`."""
        target = targets.get("firmware")
        if target is not None and not self._updatable():
            raise PushRefusedError("artefact.head_cannot_update", target.path)
        files = await self._artefacts.fetch(targets, on_progress)
        software = targets.get("software")
        taken_back = software is not None and software.version != self._running
        if target is not None and not taken_back:
            data = await asyncio.to_thread(files["firmware"].read_bytes)
            try:
                await self._install(data, lambda _: None)
            except (DeviceError, DecodeError) as error:
                raise PushRefusedError(error.code, target.path) from error
        return files
