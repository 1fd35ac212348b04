"""`tests.head_peer.PeerHead` at work: behind a Unix socket, and behind a pseudo-terminal; both can be unplugged."""

from __future__ import annotations

import asyncio
import os
import tty
from contextlib import suppress
from pathlib import Path
from typing import Self

from tests.head_line import PERFECT, Line, Manners
from tests.head_peer import PeerHead

TICK_S = 0.001


class PeerAtWork:
    """A head that lives in the event loop's time. `port` is what the driver opens."""

    def __init__(self, port: Path, head: PeerHead | None = None, manners: Manners = PERFECT, seed: int = 0):
        self.path = port
        self.head = head or PeerHead()
        self._from_host, self._to_host = Line(manners, seed), Line(manners, seed + 1)
        self._work: asyncio.Task[None] | None = None

    @property
    def port(self) -> str:
        return str(self.path)

    @property
    def now(self) -> int:
        return int(asyncio.get_running_loop().time() * 1000)

    async def __aenter__(self) -> Self:
        await self.plug()
        self._work = asyncio.create_task(self._live())
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._work is not None
        self._work.cancel()
        await asyncio.wait((self._work,))
        await self.unplug()

    async def plug(self) -> None:
        raise NotImplementedError

    async def unplug(self) -> None:
        raise NotImplementedError

    def write(self, data: bytes) -> None:
        raise NotImplementedError

    def take(self, data: bytes) -> None:
        self._from_host.put(data, self.now)
        self.turn()

    def turn(self) -> None:
        now = self.now
        for data in self._from_host.take(now):
            self.head.receive(data, now)
        self.head.tick(now)
        self._to_host.put(self.head.send(), now)
        for data in self._to_host.take(now):
            self.write(data)

    async def _live(self) -> None:
        while True:
            self.turn()
            await asyncio.sleep(TICK_S)

    # --- hands ---

    def press(self) -> None:
        self.head.press(self.now)
        self.turn()

    def lay(self, presence: int) -> None:
        self.head.lay(presence, self.now)  # type: ignore[arg-type]
        self.turn()

    def open_cover(self, opened: bool) -> None:
        self.head.open_cover(opened, self.now)
        self.turn()

    def fault(self, number: int, raised: bool) -> None:
        self.head.fault(number, raised, self.now)
        self.turn()

    def reset(self) -> None:
        self.head.reset(self.now)


class SocketPeer(PeerAtWork):
    """Behind a Unix socket."""

    _server: asyncio.Server | None = None
    _writer: asyncio.StreamWriter | None = None

    @property
    def port(self) -> str:
        return f"unix:{self.path}"

    async def plug(self) -> None:
        self._server = await asyncio.start_unix_server(self._serve, self.path)

    async def unplug(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        if self._writer is not None:
            self._writer.transport.abort()
            self._writer = None
        self.path.unlink(missing_ok=True)

    def write(self, data: bytes) -> None:
        if self._writer is not None:
            self._writer.write(data)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        with suppress(ConnectionError):
            while data := await reader.read(4096):
                self.take(data)
        writer.close()


class TtyPeer(PeerAtWork):
    """Behind a pseudo-terminal; `path` is a link to it, as udev makes one."""

    _master: int | None = None
    _slave: int | None = None

    async def plug(self) -> None:
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        self.path.symlink_to(os.ttyname(self._slave))
        asyncio.get_running_loop().add_reader(self._master, self._readable)

    async def unplug(self) -> None:
        self.path.unlink(missing_ok=True)
        if self._master is not None and self._slave is not None:
            asyncio.get_running_loop().remove_reader(self._master)
            os.close(self._slave)
            os.close(self._master)
            self._master = self._slave = None

    def write(self, data: bytes) -> None:
        if self._master is not None:
            with suppress(BlockingIOError):
                os.write(self._master, data)

    def _readable(self) -> None:
        if self._master is not None:
            with suppress(BlockingIOError, OSError):
                self.take(os.read(self._master, 4096))
