"""The hand at the counter: puts documents on the simulated glass, turns them over, takes them away."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any, Self

from edged.errors import DeviceGoneError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from types import TracebackType

CONNECT_TIMEOUT_S = 10.0


class Hand:
    """A client of `edged.drivers.simulated.SimulatedGlass`."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket

    async def __aenter__(self) -> Self:
        """Raises `DeviceGoneError` when the glass isn't there within some seconds."""
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                while True:
                    try:
                        self._reader, self._writer = await asyncio.open_unix_connection(str(self._socket))
                    except OSError:
                        await asyncio.sleep(0.05)
                    else:
                        return self
        except TimeoutError as error:
            raise DeviceGoneError("head", "device.unplugged") from error

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.close()

    async def place(self, files: Sequence[Path]) -> None:
        """Put a document on the glass; `files` are its sides."""
        await self.do("place", files=[str(file.resolve()) for file in files])

    async def turn(self) -> None:
        """Turn the document over."""
        await self.do("turn")

    async def remove(self) -> None:
        """Take the document away."""
        await self.do("remove")

    async def do(self, what: str, **more: Any) -> dict[str, Any]:
        """One command of the glass. Raises `DeviceGoneError` when it is refused or the glass is gone."""
        try:
            self._writer.write(json.dumps({"do": what, **more}).encode() + b"\n")
            await self._writer.drain()
            line = await self._reader.readline()
        except ConnectionError as error:
            raise DeviceGoneError("head", "device.unplugged") from error
        if not line:
            raise DeviceGoneError("head", "device.unplugged")
        answer: dict[str, Any] = json.loads(line)
        if not answer["ok"]:
            raise DeviceGoneError("head", answer["error"])
        return answer
