"""The firmware's host build behind a pseudo-terminal: what a serial port is to the driver."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from pathlib import Path
from typing import Self

from edged.emulator import host_head


class TtyHost:
    """One such process; `say` gives it an order that `firmware/board/host/hands.c` knows."""

    async def __aenter__(self) -> Self:
        program = await asyncio.to_thread(host_head.build)
        self._home = Path(tempfile.mkdtemp(prefix="edged-tty-"))
        pins = self._home / "pins"
        self.port = str(self._home / "tty")
        self._process = await asyncio.create_subprocess_exec(
            *(program, "--pty", self.port, "--pins", pins, "--store", self._home),
            stdout=asyncio.subprocess.PIPE,
        )
        assert self._process.stdout is not None
        assert await self._process.stdout.readline() == b"ready\n"
        _, self._hands = await asyncio.open_unix_connection(pins)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._hands.close()
        self._process.terminate()
        await self._process.communicate()
        shutil.rmtree(self._home, ignore_errors=True)

    async def say(self, order: str) -> None:
        self._hands.write(order.encode() + b"\n")
        await self._hands.drain()

    async def button(self, *, down: bool) -> None:
        await self.say(f"button {'down' if down else 'up'}")
