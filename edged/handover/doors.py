"""The doors of the handover service: a local socket, TLS on the counter's network. Bounded before anybody is known."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final

from edged import leftover_socket, log
from edged.errors import CodedError, StateError
from edged.handover.peers import user_of
from edged.handover.protocol import MAX_LINE_BYTES, refusal

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from pathlib import Path

    from edged.handover.peers import Peer

MAX_CONNECTIONS: Final = 32
"""A door's, at once: a counter has a few applications with a few connections each."""

MAX_EACH: Final = 8
"""Of one network address, or one system user, so that nobody alone can keep the others out."""

HANDSHAKE_S: Final = 10.0
"""A slow machine on the same network takes one."""

LAST_WORDS_S: Final = 2.0
"""How long a refusal may take to be read."""

ACCEPT_AGAIN_S: Final = 1.0
"""After an accept that failed: descriptors come back when connections end."""

_IP_FREEBIND: Final = 15  # ip(7); Python has no name for it

Serve = Callable[["Peer", asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
"""Serves a connection until it ends."""

Known = Callable[[socket.socket, ssl.SSLObject | None], "Peer"]
"""Who connected; raises `CodedError` for somebody who may not."""


class Door:
    """Takes connections of one listening socket until `close`; who is `known` is served, who isn't is told why."""

    def __init__(self, listener: socket.socket, known: Known, serve: Serve) -> None:
        self.context: ssl.SSLContext | None = None
        """For TLS: of the handshakes from now on."""
        self._listener = listener
        self._listener.setblocking(False)
        self._known = known
        self._serve = serve
        self._busy: Counter[str] = Counter()
        self._tasks: set[asyncio.Task[None]] = set()
        self._log = log.get("handover")

    @property
    def port(self) -> int:
        """Of a network door."""
        port: int = self._listener.getsockname()[1]
        return port

    def open(self) -> None:
        """Begin to take connections."""
        self._spawn(self._accept())

    async def close(self) -> None:
        """Take no more, and end those that there are."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._listener.close()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, address = await loop.sock_accept(self._listener)
            except OSError as error:
                self._log.warning("a connection can't be taken", errno=error.errno)
                await asyncio.sleep(ACCEPT_AGAIN_S)
                continue
            where = str(address[0]) if isinstance(address, tuple) else f"user {user_of(connection)}"
            if self._busy.total() >= MAX_CONNECTIONS or self._busy[where] >= MAX_EACH:
                connection.close()
                continue
            self._busy[where] += 1
            self._spawn(self._connection(connection, where))

    async def _connection(self, connection: socket.socket, where: str) -> None:
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(limit=MAX_LINE_BYTES)
        protocol = asyncio.StreamReaderProtocol(reader)
        transport: asyncio.Transport | None = None
        try:
            transport, _ = await loop.connect_accepted_socket(
                lambda: protocol,
                connection,
                ssl=self.context,
                ssl_handshake_timeout=None if self.context is None else HANDSHAKE_S,
            )
            writer = asyncio.StreamWriter(transport, protocol, reader, loop)
            try:
                peer = self._known(connection, writer.get_extra_info("ssl_object"))
            except CodedError as error:
                self._log.warning("nobody who may be here", code=error.code)
                writer.write(refusal(None, error.code))
                await leave(reader, writer)
                return
            await self._serve(peer, reader, writer)
        except ssl.SSLError:
            self._log.warning("a handshake failed: no certificate of this fleet")
        except (TimeoutError, OSError):
            self._log.debug("a connection ended early")
        finally:
            self._busy[where] -= 1
            if transport is None:
                connection.close()
            else:
                transport.abort()


async def leave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """End a connection so that its last line is read: what the other side still says is heard, and thrown away."""
    with contextlib.suppress(OSError, TimeoutError):
        async with asyncio.timeout(LAST_WORDS_S):
            await writer.drain()
            if writer.can_write_eof():  # TLS can't: its own goodbye waits for the other side's
                writer.write_eof()
                while await reader.read(MAX_LINE_BYTES):
                    pass
            writer.close()
            await writer.wait_closed()


def local(path: Path) -> socket.socket:
    """A listening Unix socket at `path`, for every user: the kernel says who connects, not the file's mode.

    Blocking. Raises `StateError` (`handover.unusable`).
    """
    found = socket.socket(socket.AF_UNIX)
    try:
        if not path.parent.exists():
            path.parent.mkdir(parents=True)
            path.parent.chmod(0o755)
        _make_room(path)
        found.bind(str(path))
        path.chmod(0o666)
        found.listen(MAX_CONNECTIONS)
    except OSError as error:
        found.close()
        raise StateError("handover.unusable", f"{path}: {error.strerror or error}") from error
    except BaseException:
        found.close()
        raise
    return found


def _make_room(path: Path) -> None:
    if (what := leftover_socket.remove(path)) is not None:
        said = {"a_file": "a file is in the way", "served": "in use"}[what]
        raise StateError("handover.unusable", f"{path}: {said}")


def network(host: str, port: int) -> socket.socket:
    """A listening TCP socket. Raises `StateError` (`handover.unusable`).

    The address may come later: a cable that isn't plugged in when the terminal starts must cost no verdict.
    """
    found = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    try:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.setsockopt(socket.IPPROTO_IP, _IP_FREEBIND, 1)  # of IPv6 as well
        if found.family == socket.AF_INET6:
            found.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        found.bind((host, port))
        found.listen(MAX_CONNECTIONS)
    except OSError as error:
        found.close()
        raise StateError("handover.unusable", f"{host} port {port}: {error.strerror}") from error
    return found
