"""A line between two parties that misbehaves on purpose: a TCP proxy in this process's event loop.

Everything here is below TLS: the proxy sees ciphertext, delays it, tears it apart, swallows it, hangs up. What it does
applies to connections that are open and to those that come.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

CHUNK = 1 << 16


@dataclass
class Direction:
    """What happens to the bytes of one direction."""

    delay_s: float = 0.0
    piece: int = CHUNK
    """Bytes that are passed on at once."""
    open: bool = True
    """False: what comes is left unread, as behind a dead link; TCP alone notices, in its own time."""
    swallow: bool = False
    """Read and thrown away: to the sender all is well."""
    passed: int = 0
    _change: asyncio.Event = field(default_factory=asyncio.Event)

    def set(self, **changes: object) -> None:
        for name, value in changes.items():
            setattr(self, name, value)
        self._change.set()

    async def is_open(self) -> None:
        while not self.open:
            self._change.clear()
            await self._change.wait()


class Proxy:
    """Listens on loopback and passes everything on to `port`.

    Attributes:
        up, down: from client to server, and back.
        connections: how many there have been.
    """

    def __init__(self, port: int, *, host: str = "127.0.0.1") -> None:
        self.up, self.down = Direction(), Direction()
        self.connections = 0
        self.port = 0
        self.accepting = True
        self._host, self._target = host, port
        self._open: set[tuple[asyncio.StreamWriter, asyncio.StreamWriter | None]] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    @contextlib.asynccontextmanager
    async def serve(self, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[Proxy]:
        """Listen while inside."""
        server = await asyncio.start_server(self._accept, host, port, limit=CHUNK)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            self.reset()
            for task in list(self._tasks):
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def both(self, **changes: object) -> None:
        """The same for both directions."""
        self.up.set(**changes)
        self.down.set(**changes)

    def reset(self) -> None:
        """End every connection with RST, at both ends, now."""
        for pair in list(self._open):
            for writer in pair:
                if writer is not None:
                    _abort(writer)

    def half_close(self) -> None:
        """Tell clients that nothing more comes (FIN); what they send is still passed on."""
        for client, _ in list(self._open):
            if client.can_write_eof() and not client.is_closing():
                with contextlib.suppress(OSError):
                    client.write_eof()

    def black_hole(self) -> None:
        """Accept and say nothing from now on; what is open stays open and silent."""
        self.accepting = False
        self.both(open=False)

    def heal(self) -> None:
        """Be an ordinary line again. What hung before is cut, as a router that has started anew would."""
        self.accepting = True
        self.reset()
        self.both(delay_s=0.0, piece=CHUNK, open=True, swallow=False)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        pair: tuple[asyncio.StreamWriter, asyncio.StreamWriter | None] = (writer, None)
        self._open.add(pair)
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            if not self.accepting:
                await asyncio.Event().wait()
            back, forth = await asyncio.open_connection(self._host, self._target, limit=CHUNK)
            self._open.discard(pair)
            pair = (writer, forth)
            self._open.add(pair)
            await asyncio.gather(_pump(reader, forth, self.up), _pump(back, writer, self.down))
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            self._open.discard(pair)
            self._tasks.discard(task)
            for one in pair:
                if one is not None:
                    one.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, way: Direction) -> None:
    while True:
        await way.is_open()
        data = await reader.read(CHUNK)
        await way.is_open()
        if not data:
            with contextlib.suppress(OSError):
                writer.write_eof()
            return
        if way.swallow:
            continue
        for start in range(0, len(data), way.piece):
            if way.delay_s:
                await asyncio.sleep(way.delay_s)
            writer.write(data[start : start + way.piece])
            way.passed += len(data[start : start + way.piece])
            await writer.drain()


def _abort(writer: asyncio.StreamWriter) -> None:
    connection = writer.get_extra_info("socket")
    if connection is not None:
        with contextlib.suppress(OSError):
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
