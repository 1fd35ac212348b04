"""What every emulated head has in common: a home of its own, power that comes with entering and goes with leaving."""

from __future__ import annotations

import shutil
import tempfile
from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from types import TracebackType


class Powered(ABC):
    """Entering makes `_home` and plugs it in; leaving pulls the plug and clears up, whatever went wrong."""

    _home: Path | None = None

    async def __aenter__(self) -> Self:
        """Raises `StateError` when it can't be started."""
        # A socket's path has a hundred characters, and a test's directory may be longer.
        self._home = Path(tempfile.mkdtemp(prefix="edged-head-"))
        try:
            await self.plug()
        except BaseException:
            await self.__aexit__(None, None, None)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await self.unplug()
        finally:
            if self._home is not None:
                shutil.rmtree(self._home, ignore_errors=True)
                self._home = None

    @abstractmethod
    async def plug(self) -> None:
        """Power comes. Raises `StateError` when it can't be started."""

    @abstractmethod
    async def unplug(self) -> None:
        """Power goes; the store is kept, `plug` starts it again."""
