"""An emulated ID-card module on a tty and the driver on it, for tests."""

from __future__ import annotations

import asyncio
import datetime
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from edged.device_settings import IdCardSettings
from edged.drivers import sam
from edged.drivers.sam import Sam
from edged.emulator.id_cards import id_cards
from edged.emulator.sam import Line, SamTty
from edged.emulator.sam_module import SamModule
from edged.events import IdCardEvent

TODAY = datetime.date(2026, 6, 15)
CARDS = id_cards()
POLL_S = 0.02
"""Tests don't wait a second for each look."""


def driver(settings: IdCardSettings, poll_s: float = POLL_S) -> Sam:
    """As `edged.drivers.sam.open` makes it, but in a hurry."""
    return Sam(
        lambda: sam._ports(settings),
        additional_address=settings.additional_address,
        today=lambda: TODAY,
        poll_s=poll_s,
    )


class Bench:
    """A tty, its module, and the driver."""

    def __init__(self, tty: SamTty, sam: Sam) -> None:
        self.tty = tty
        self.module = tty.module
        self.sam = sam
        self.told: list[IdCardEvent] = []
        self._events = sam.events()

    async def until(self, event: IdCardEvent) -> None:
        """Wait for what happens; everything else is in `told` as well."""
        async with asyncio.timeout(60):
            while True:
                self.told.append(await anext(self._events))
                if self.told[-1] == event:
                    return

    async def lay(self, name: str = "resident-2023") -> None:
        """Lay a card down, in place of another."""
        self.tty.lay(CARDS[name])


@asynccontextmanager
async def bench(
    directory: Path,
    *,
    module: SamModule | None = None,
    line: Line | None = None,
    plugged: bool = True,
    baud: int | None = None,
    additional_address: bool = False,
    poll_s: float = POLL_S,
) -> AsyncIterator[Bench]:
    tty = SamTty(directory / "sam", module, line)
    settings = IdCardSettings(port=str(tty.link), baud=baud, additional_address=additional_address)
    if plugged:
        tty.plug()
    try:
        async with driver(settings, poll_s) as sam:
            yield Bench(tty, sam)
    finally:
        await tty.unplug()
