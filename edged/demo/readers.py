"""The demo's swipe reader and ID-card module: emulated, on kernel ttys, behind the drivers that real ones have."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Final

from edged.emulator.sam import SamEmulator
from edged.emulator.swipe_reader import SwipeReaderEmulator

if TYPE_CHECKING:
    from pathlib import Path

_CONFIG: Final = """
[swipe]
port = "{swipe}"

[id_card]
port = "{id_card}"
"""


class DemoReaders:
    """The readers beside the window; `home` is a directory of their own.

    Attributes:
        swipe: swipes documents.
        module: cards are laid on it.
    """

    def __init__(self, home: Path) -> None:
        self.swipe = SwipeReaderEmulator(home / "swipe", "desko")
        self.module = SamEmulator(home / "id-card")
        self.config = _CONFIG.format(swipe=home / "swipe", id_card=home / "id-card")
        self._open = AsyncExitStack()

    async def start(self) -> None:
        """Plug them in."""
        await self._open.enter_async_context(self.swipe)
        await self._open.enter_async_context(self.module)

    async def stop(self) -> None:
        """Pull them out."""
        await self._open.aclose()
