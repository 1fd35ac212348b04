"""The shipped contracts, kept by the drivers that come with edged against emulated devices on sockets and ttys."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from edged.config import SwipeSettings
from edged.device_settings import IdCardSettings
from edged.drivers import swipe
from edged.drivers.head import SerialHead
from edged.emulator.sam import SamTty
from edged.emulator.swipe_reader import SwipeReaderEmulator
from edged.events import Indication, Light
from edged.testing import HeadContract, IdCardContract, SwipeContract
from tests.head_peers import PeerAtWork, SocketPeer, TtyPeer
from tests.sam_bench import CARDS, driver

Maker = Callable[..., AbstractAsyncContextManager[Any]]
CARD = CARDS["citizen"]


class HeadAtWork:
    """A head by another hand (`tests.head_peer`), and the serial driver on it."""

    simulated = True

    def __init__(self, peer: PeerAtWork) -> None:
        self._peer = peer
        self.device = SerialHead(peer.port)

    async def plug(self) -> None:
        await self._peer.plug()

    async def unplug(self) -> None:
        await self._peer.unplug()

    async def press(self) -> None:
        self._peer.press()

    async def place(self) -> None:
        self._peer.lay(1)

    async def turn(self) -> None:
        self._peer.lay(2)

    async def remove(self) -> None:
        self._peer.lay(0)

    async def lit(self) -> Light | None:
        return None

    async def shown(self) -> Indication | None:
        return None

    async def beeps(self) -> int:
        return sum(message[0] == 0x21 for message in self._peer.head.asked)


class _SerialHead(HeadContract):
    kind: type[PeerAtWork]

    @pytest.fixture
    def bench(self, tmp_path: Path) -> Maker:
        @asynccontextmanager
        async def made(*, attached: bool = True) -> AsyncIterator[HeadAtWork]:
            async with self.kind(tmp_path / "head") as peer:
                if not attached:
                    await peer.unplug()
                yield HeadAtWork(peer)

        return made


class TestHeadOnASocket(_SerialHead):
    kind = SocketPeer


class TestHeadOnATty(_SerialHead):
    kind = TtyPeer


class ModuleAtWork:
    simulated = True
    secrets: Sequence[str] = tuple(filter(None, CARD.text.decode("utf-16-le").split()))
    number = CARD.text[122:158].decode("utf-16-le").strip()

    def __init__(self, tty: SamTty) -> None:
        self._tty = tty
        self.device = driver(IdCardSettings(port=str(tty.link)))

    async def plug(self) -> None:
        self._tty.plug()

    async def unplug(self) -> None:
        await self._tty.unplug()

    async def place(self) -> None:
        self._tty.lay(CARD)

    async def remove(self) -> None:
        self._tty.lift()


class TestIdCardModule(IdCardContract):
    @pytest.fixture
    def bench(self, tmp_path: Path) -> Maker:
        @asynccontextmanager
        async def made(*, attached: bool = True) -> AsyncIterator[ModuleAtWork]:
            tty = SamTty(tmp_path / "sam")
            if attached:
                tty.plug()
            try:
                yield ModuleAtWork(tty)
            finally:
                await tty.unplug()

        return made


class SwipeAtWork:
    simulated = True

    def __init__(self, reader: SwipeReaderEmulator, port: Path) -> None:
        self._reader = reader
        self.device = swipe.open(SwipeSettings(port=str(port)))

    async def plug(self) -> None:
        self._reader.plug()

    async def unplug(self) -> None:
        self._reader.unplug()

    async def swipe(self, lines: Sequence[str]) -> None:
        await self._reader.ready()
        assert await self._reader.swipe(tuple(lines))


class _Swipe(SwipeContract):
    kind: str

    @pytest.fixture
    def bench(self, tmp_path: Path) -> Maker:
        @asynccontextmanager
        async def made(*, attached: bool = True) -> AsyncIterator[SwipeAtWork]:
            reader = SwipeReaderEmulator(tmp_path / "port", self.kind)
            if attached:
                reader.plug()
            try:
                yield SwipeAtWork(reader, tmp_path / "port")
            finally:
                reader.unplug()

        return made


class TestElyctis(_Swipe):
    kind = "elyctis"


class TestDesko(_Swipe):
    kind = "desko"


class TestLines(_Swipe):
    kind = "lines"
