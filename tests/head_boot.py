"""Heads that start through their boot loader, for tests: the host build as a process, and the MPS2 board under QEMU."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import tempfile
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import pytest

from edged.drivers import head_image
from edged.drivers.head_client import HeadClient
from edged.drivers.head_image import Version
from edged.drivers.head_transport import transport_of
from edged.emulator import host_head
from edged.errors import StateError
from edged.uplink.keys import generate_key
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

FIRMWARE = Path(__file__).parents[1] / "firmware"
KEY = generate_key()
OLD, NEW, NEWER = Version(1, 0, 0), Version(1, 1, 0), Version(1, 2, 0)


def make(*targets: str, **variables: str) -> Path:
    """Build something of the firmware; skips where there is no compiler."""
    if shutil.which("make") is None or shutil.which("cc") is None:
        pytest.skip("there is no C compiler")
    said = [f"{name}={value}" for name, value in variables.items()]
    subprocess.run(["make", "-s", "-j2", "-C", FIRMWARE, *targets, *said], check=True, capture_output=True)
    return FIRMWARE / "build"


@cache
def program() -> Path:
    """The host build, without what only a debugger reads: it goes over the line in every test."""
    try:
        built = host_head.build()
    except StateError as error:
        pytest.skip(f"the firmware can't be built: {error.code}")
    stripped = Path(tempfile.mkdtemp(prefix="edged-head-")) / "edged-head"
    shutil.copy(built, stripped)
    if shutil.which("strip"):
        subprocess.run(["strip", stripped], check=True)
    return stripped


def image(version: Version, security: int, **changes: Any) -> bytes:
    """A signed image of the host build."""
    said: dict[str, Any] = {"board": "host", "load_address": 0, "key": KEY, "payload": program().read_bytes()}
    said |= changes
    return head_image.build(version=version, security_version=security, **said)


class HostBoard:
    """A head that is a process with a boot loader; empty at first. `kill` and `start` are a power cut."""

    def __init__(self, directory: Path, **environment: str) -> None:
        self.store = directory / "head"
        self.store.mkdir(exist_ok=True)
        (self.store / "boot-key").write_bytes(head_image.point(KEY.public_key()))
        self.port = f"unix:{self.store / 'line'}"
        self.environment = environment
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._process = subprocess.Popen(
            [program(), "--socket", self.store / "line", "--store", self.store, "--boot"],
            stdout=subprocess.DEVNULL,
            env={**os.environ, **self.environment},
        )

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.kill()


@asynccontextmanager
async def client(port: str) -> AsyncIterator[HeadClient]:
    """A session with the head at `port`."""
    async with HeadClient(transport_of(port)) as line:
        await until(lambda: line.welcome)
        yield line


async def restarted(line: HeadClient, boots: int) -> None:
    """Until the head has started again."""
    await until(lambda: line.welcome is not None and line.welcome.boots != boots)


class Mps2:
    """The MPS2 board under QEMU with the loader that cuts its own power when it is told to (through qtest)."""

    CUT_AT = 0x00320000

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.port = f"unix:{directory / 'line'}"

    async def __aenter__(self) -> Self:
        loader = FIRMWARE / "build" / "mps2-an385" / "loader-cuts.elf"
        self._process = await asyncio.create_subprocess_exec(
            *("qemu-system-arm", "-M", "mps2-an385", "-accel", "tcg", "-display", "none", "-monitor", "none"),
            *("-kernel", str(loader), "-serial", f"unix:{self._directory / 'line'},server=on,wait=off"),
            *("-qtest", f"unix:{self._directory / 'qtest'},server=on,wait=off", "-qtest-log", "/dev/null"),
        )
        async with asyncio.timeout(90):
            while not await self._connected():
                await asyncio.sleep(0.01)
        return self

    async def _connected(self) -> bool:
        """Whether there is a connection; QEMU's socket is there a moment before it listens."""
        try:
            self._answers, self._commands = await asyncio.open_unix_connection(str(self._directory / "qtest"))
        except (FileNotFoundError, ConnectionRefusedError):
            return False
        return True

    async def __aexit__(self, *error: object) -> None:
        self._commands.close()
        self._process.kill()
        await self._process.wait()

    async def _ask(self, command: str) -> str:
        self._commands.write(command.encode() + b"\n")
        return (await self._answers.readline()).decode()

    async def cut(self, operations: int, octets: int) -> None:
        """Cut the power in the operation of that number from now on, so many octets of it done; 0: not at all."""
        await self._ask(f"writel {self.CUT_AT + 4:#x} {octets:#x}")
        await self._ask(f"writel {self.CUT_AT:#x} {operations:#x}")

    async def left(self) -> int:
        """Operations until the cut; 0 when there is none."""
        return int((await self._ask(f"readl {self.CUT_AT:#x}")).split()[1], 16)
