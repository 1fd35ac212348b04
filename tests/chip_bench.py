"""Chip readers to test with: one made of a socket, one behind a real pcscd. The same tests run on both."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import socket
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any, Protocol

from edged.core.emrtd.apdu import Command, Response
from edged.core.emrtd.steps import Exchange, FileProgress, Phase, PhaseBegan, ask
from edged.drivers import Chip
from edged.drivers.pcsc import PcscChip
from edged.drivers.simulated_chip import SimulatedChip
from edged.errors import ChipError
from edged.events import ChipEvent
from tests import pcsc_stack

PATIENCE_S = 20.0


class Bench(Protocol):
    chip: Chip

    async def lay(self, answer: pcsc_stack.Answer) -> pcsc_stack.Card:
        """Put a card on the reader; returns when the driver has told of it."""
        ...

    async def next(self) -> ChipEvent: ...

    async def unplug(self) -> None: ...

    async def plug(self) -> None: ...


class _Told:
    """The events of a chip reader, one after another."""

    def __init__(self, chip: Chip) -> None:
        self.chip = chip
        self._events = chip.events()

    async def next(self) -> ChipEvent:
        async with asyncio.timeout(PATIENCE_S):
            return await anext(self._events)


class SocketBench(_Told):
    def __init__(self, chip: SimulatedChip, path: Path) -> None:
        super().__init__(chip)
        self._simulated = chip
        self.path = path

    async def lay(self, answer: pcsc_stack.Answer) -> pcsc_stack.Card:
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(str(self.path))
        card = pcsc_stack.Card(connection, answer)
        assert type(await self.next()).__name__ == "ChipPlaced"
        return card

    async def unplug(self) -> None:
        self._simulated.unplug()

    async def plug(self) -> None:
        self._simulated.plug()


class PcscBench(_Told):
    def __init__(self, chip: PcscChip, pcscd: pcsc_stack.Pcscd, port: int) -> None:
        super().__init__(chip)
        self._pcscd = pcscd
        self._port = port

    async def lay(self, answer: pcsc_stack.Answer) -> pcsc_stack.Card:
        card = pcsc_stack.Card(self._pcscd.connect(self._port), answer)
        assert type(await self.next()).__name__ == "ChipPlaced"
        return card

    async def unplug(self) -> None:
        self._pcscd.kill()

    async def plug(self) -> None:
        await asyncio.to_thread(self._pcscd.start)


@contextlib.asynccontextmanager
async def socket_bench(directory: Path) -> AsyncIterator[SocketBench]:
    path = directory / "chip.sock"
    async with SimulatedChip(path) as chip:
        yield SocketBench(chip, path)


@contextlib.asynccontextmanager
async def pcsc_bench(pcscd: pcsc_stack.Pcscd, slot: int = 0) -> AsyncIterator[PcscBench]:
    async with PcscChip(f"PCD 00 0{slot}") as chip:
        yield PcscBench(chip, pcscd, pcsc_stack.PORTS[slot])


def digest(apdu: bytes) -> bytes:
    """What the test card answers: something that depends on every octet it was sent."""
    return hashlib.sha256(apdu).digest()[:16] + b"\x90\x00"


def talk(commands: Sequence[Command], seen: list[Any] | None = None) -> Exchange[list[Response]]:
    """Ask every command; returns the answers. What is thrown in goes to `seen` and on."""
    yield PhaseBegan(Phase.DATA)
    answers = []
    try:
        for number, command in enumerate(commands):
            answers.append((yield from ask(command)))
            yield FileProgress("dg1", number + 1, len(commands))
    except ChipError as error:
        if seen is not None:
            seen.append(error)
        raise
    return answers


def salvage(commands: Sequence[Command]) -> Exchange[tuple[int, str | None]]:
    """Ask every command; returns how many were answered, and why not all of them."""
    yield PhaseBegan(Phase.DATA)
    answered = 0
    try:
        for command in commands:
            yield from ask(command)
            answered += 1
    except ChipError as error:
        return answered, error.code
    return answered, None


READ = Command(0xB0, 0, 0, ne=16)
