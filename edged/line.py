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
        self._following: tuple[Uplink, Callable[[], None]] | None = None
        self.uplink = make()

    async def run(self, textfile: Path | None = None) -> None:
        """Until `stop`; only a bug of ours ends it otherwise. Metrics go into the directory `textfile`."""
        while True:
            ran = self.uplink
            async with asyncio.TaskGroup() as group:
                if textfile is not None:
                    metrics = group.create_task(ran.textfile(textfile).run(ran.refresh))
                await ran.run()
                if textfile is not None:
                    metrics.cancel()
            self._hand_over()
            if self._stopping or self.uplink is ran:
                return

    async def replace(self, ended: Callable[[], None] = lambda: None) -> None:
        """End this connection in order, and have another uplink made, by what holds now; `ended` between the two.

        Once begun it comes to its end, also when whoever waits for it here doesn't wait any longer.
        """
        following = self._make()  # what can fail, fails before the one that works is stopped
        self._following = following, ended
        await self.uplink.stop()
        self._hand_over()

    async def stop(self) -> None:
        """End `run`: publish what is due, wait a bounded time for receipts, say goodbye."""
        self._stopping = True
        await self.uplink.stop()

    def _hand_over(self) -> None:
        if self._following is None:
            return
        following, ended = self._following
        self._following = None
        ended()
        self.uplink = following
