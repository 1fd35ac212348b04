"""The line to the centre: one uplink after another, when the broker or the box's own certificates change."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from edged.uplink.publisher import Uplink


class Line:
    """Runs the uplink that `make` makes; after `replace`, another one. `run` is a task; `stop` in the end."""

    def __init__(self, make: Callable[[], Uplink]) -> None:
        self._make = make
        self._stopping = False
        self._changed = asyncio.Event()
        self.uplink = make()

    async def run(self, textfile: Path | None = None) -> None:
        """Until `stop`; only a bug of ours ends it otherwise. Metrics go into the directory `textfile`."""
        while not self._stopping:
            async with asyncio.TaskGroup() as group:
                if textfile is not None:
                    metrics = group.create_task(self.uplink.textfile(textfile).run(self.uplink.refresh))
                await self.uplink.run()
                if textfile is not None:
                    metrics.cancel()
            if not self._stopping:
                await self._changed.wait()
                self._changed.clear()

    async def replace(self, ended: Callable[[], None] = lambda: None) -> None:
        """End this connection in order, and have another uplink made, by what holds now; `ended` between the two."""
        before = self.uplink
        following = self._make()  # what can fail, fails before the one that works is stopped
        await before.stop()
        ended()
        self.uplink = following
        self._changed.set()

    async def stop(self) -> None:
        """End `run`: publish what is due, wait a bounded time for receipts, say goodbye."""
        self._stopping = True
        self._changed.set()
        await self.uplink.stop()
