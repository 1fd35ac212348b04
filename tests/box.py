"""A real daemon (`edged run`) as a child process, with a demo fleet's certificates, for tests."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from edged.control import ControlClient
from edged.demo.fleet import DemoFleet, KeyFiles
from edged.demo.hand import Hand
from edged.demo.head import SIMULATED
from edged.demo.stage import BOX_CONFIG
from edged.specimens import shipped
from edged.uplink.names import Role, Usage

SPECIMENS = {specimen.name: specimen for specimen in shipped()}
EDGED = (sys.executable, "-m", "edged")


class Box:
    """`edged run` in `directory`; `port` is where it looks for a broker (1: nowhere)."""

    def __init__(
        self,
        directory: Path,
        fleet: DemoFleet | None = None,
        *,
        port: int = 1,
        sign: KeyFiles | None = None,
        edit: tuple[str, str] = ("", ""),
        head: str | None = None,
        command: tuple[str, ...] = EDGED,
    ) -> None:
        directory.mkdir(exist_ok=True)
        self.directory = directory
        self.fleet = fleet or DemoFleet(directory / "pki", fleet="demo-fleet", now=datetime.now(UTC))
        self.config = directory / "edged.toml"
        text = BOX_CONFIG.format(
            ca=self.fleet.ca,
            sign=sign or self.fleet.issue(Role.DEVICE, "box-1", Usage.SIGNING),
            tls=self.fleet.issue(Role.DEVICE, "box-1", Usage.TLS),
            host="127.0.0.1",
            port=port,
            fixed="fixed_today = 2026-06-15",
        ) + (SIMULATED if head is None else head)
        assert edit[0] in text
        self.config.write_text(text.replace(*edit))
        self._command = command
        self.errors = b""

    @property
    def database(self) -> Path:
        return self.directory / "state" / "state.sqlite"

    async def spawn(self, **environment: str) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            *self._command,
            "run",
            "--config",
            str(self.config),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={**os.environ, **environment},
        )

    async def __aenter__(self) -> Self:
        self.process = await self.spawn()
        self.hand = await Hand(self.directory / "glass.sock").__aenter__()
        self.control = await self._connect()
        return self

    async def _connect(self) -> ControlClient:
        async with asyncio.timeout(60):
            while True:
                with contextlib.suppress(Exception):
                    return await ControlClient(self.directory / "control.sock").__aenter__()
                await asyncio.sleep(0.02)

    async def __aexit__(self, *error: object) -> None:
        await self.control.__aexit__(None, None, None)
        await self.hand.__aexit__(None, None, None)
        await self.stop()

    async def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        if self.process.returncode is None:
            self.process.send_signal(number)
        _, errors = await self.process.communicate()
        self.errors += errors
        assert self.process.returncode is not None
        return self.process.returncode

    @property
    def log(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.errors.splitlines()]

    async def scan(self, *files: Path | str, **params: Any) -> dict[str, Any]:
        """Put a document (files, or a specimen's name) on the glass, press scan, take it away."""
        sides = [
            side for file in files for side in (SPECIMENS[file].sides if isinstance(file, str) else (file,))
        ]
        await self.hand.place(sides)
        answer: dict[str, Any] = await self.control.call("scan", **params)
        await self.hand.remove()
        async with asyncio.timeout(60):
            while (await self.control.call("status"))["state"] != "ready":
                await asyncio.sleep(0.01)
        return answer
