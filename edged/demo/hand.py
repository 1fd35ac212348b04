"""The hand at the counter: puts documents on the glass, turns them over, takes them away, and presses scan.

The camera sees files; the head's firmware, where there is one, sees its own presence sensor and button.
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any, Self

from edged.errors import DeviceGoneError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from types import TracebackType

    from edged.demo.head import DemoHead

CONNECT_TIMEOUT_S = 10.0


class Hand:
    """A client of `edged.drivers.simulated.SimulatedGlass`, and of the pins of `head` where that isn't simulated."""

    def __init__(self, socket: Path, head: DemoHead | None = None) -> None:
        self._socket = socket
        self._head = head if head is not None and head.board is not None else None

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
        if self._head is not None:
            await self._head.place(present=True)

    async def turn(self) -> None:
        """Turn the document over."""
        await self.do("turn")
        if self._head is not None:
            await self._head.turn()

    async def remove(self) -> None:
        """Take the document away."""
        if self._head is not None:
            await self._head.place(present=False)
        await self.do("remove")

    async def press(self) -> None:
        """Press the scan button on the head."""
        if self._head is not None:
            await self._head.press()
        else:
            await self.do("press")

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
