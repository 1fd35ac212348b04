"""The demo's swipe reader and ID-card module: emulated, on kernel ttys, behind the drivers that real ones have."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Final, Self

from edged.emulator.sam import SamTty
from edged.emulator.swipe_reader import SwipeReaderEmulator

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

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
        self.module = SamTty(home / "id-card")
        self.config = _CONFIG.format(swipe=home / "swipe", id_card=home / "id-card")

    async def __aenter__(self) -> Self:
        """Plug them in."""
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self.swipe)
            await stack.enter_async_context(self.module)
            self._open = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Pull them out."""
        await self._open.aclose()
