"""Chip readers to test with: one made of a socket, one behind a real pcscd. The same contract holds for both."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Protocol

from edged.drivers import Chip
from edged.drivers.pcsc import PcscChip
from edged.drivers.simulated_chip import SimulatedChip
from edged.events import ChipEvent
from edged.testing.chip_talk import READ, digest, salvage, talk
from tests import pcsc_stack

__all__ = ["READ", "Bench", "digest", "pcsc_bench", "salvage", "socket_bench", "talk"]

PATIENCE_S = 60.0


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


class ContractBench:
    """`edged.testing.ChipBench`: the reader is not entered yet."""

    simulated = True

    def __init__(self, device: Chip, connect: Callable[[], socket.socket]) -> None:
        self.device = device
        self._connect = connect

    async def lay(self, answer: pcsc_stack.Answer) -> pcsc_stack.Card:
        return pcsc_stack.Card(self._connect(), answer)


class SocketContract(ContractBench):
    device: SimulatedChip

    async def unplug(self) -> None:
        self.device.unplug()

    async def plug(self) -> None:
        self.device.plug()


class PcscContract(ContractBench):
    def __init__(self, device: PcscChip, pcscd: pcsc_stack.Pcscd) -> None:
        super().__init__(device, lambda: pcscd.connect(pcsc_stack.PORTS[0]))
        self._pcscd = pcscd

    async def unplug(self) -> None:
        self._pcscd.kill()

    async def plug(self) -> None:
        await asyncio.to_thread(self._pcscd.start)


def _connected(path: Path) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(str(path))
    return connection


@contextlib.asynccontextmanager
async def socket_contract(path: Path, *, attached: bool) -> AsyncIterator[SocketContract]:
    made = SocketContract(SimulatedChip(path), lambda: _connected(path))
    if not attached:
        await made.unplug()
    yield made


@contextlib.asynccontextmanager
async def pcsc_contract(pcscd: pcsc_stack.Pcscd, *, attached: bool) -> AsyncIterator[PcscContract]:
    made = PcscContract(PcscChip("PCD 00 00"), pcscd)
    if not attached:
        await made.unplug()
    yield made
