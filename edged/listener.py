"""Connections of one listening socket, Unix or TCP, with TLS or without: bounded before anybody is known.

Everything a stranger can make a process hold is bounded: connections, of everybody and of one alone, seconds, octets
of a line. What goes wrong with one connection ends that one; `close` ends them all at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
import ssl
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from edged import leftover_socket

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from pathlib import Path

    from structlog.typing import FilteringBoundLogger

ACCEPT_AGAIN_S: Final = 1.0
"""After an accept that failed: descriptors come back when connections end."""

LAST_WORDS_S: Final = 2.0
"""How long a connection that is over may take to have its last line read."""

_LAST_WORDS: Final = 64 * 1024  # octets thrown away at a time while the other side still talks

_IP_FREEBIND: Final = 15  # ip(7); Python has no name for it


class Bounds(NamedTuple):
    """Of one listener."""

    connections: int
    """At once; who comes then is turned away without a word."""
    each: int
    """Of one caller, so that nobody alone can keep the others out."""
    line: int
    """Octets that `StreamReader.readline` and `readuntil` take."""
    handshake_s: float = 10.0
    """Of TLS: a slow machine on the same network takes one."""
    whole_s: float | None = None
    """From the first octet of the handshake to the last of the answer; None: whoever serves sees to it."""


Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
"""Serves one connection until it ends. When it returns, what was written is sent and the connection closed."""

Caller = Callable[[socket.socket, Any], str]
"""Whose turns a connection is counted among, of the socket and the other side's address."""


class Listener:
    """Takes connections from `open` until `close`."""

    def __init__(
        self,
        listening: socket.socket,
        serve: Serve,
        bounds: Bounds,
        *,
        caller: Caller,
        log: FilteringBoundLogger,
        context: ssl.SSLContext | None = None,
        tls_failed: Callable[[ssl.SSLError], None] = lambda _: None,
    ) -> None:
        """`tls_failed` hears of handshakes that TLS itself refuses. The listener closes `listening` in the end."""
        listening.setblocking(False)
        self.context = context
        """For TLS: of the handshakes from now on."""
        self._listening = listening
        self._serve = serve
        self._bounds = bounds
        self._caller = caller
        self._tls_failed = tls_failed
        self._busy: Counter[str] = Counter()
        self._tasks: set[asyncio.Task[None]] = set()
        self._log = log

    @property
    def port(self) -> int:
        """Of a TCP socket."""
        port: int = self._listening.getsockname()[1]
        return port

    def busy(self, caller: str) -> int:
        """Connections that a caller has now."""
        return self._busy[caller]

    def open(self) -> None:
        """Begin to take connections."""
        self._spawn(self._accept())

    async def close(self) -> None:
        """Take no more, and end those that there are, whatever they are at."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._listening.close()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, address = await loop.sock_accept(self._listening)
            except OSError as error:  # no descriptor left, or gone before it was taken
                self._log.warning("a connection can't be taken", errno=error.errno)
                await asyncio.sleep(ACCEPT_AGAIN_S)
                continue
            try:
                caller = self._caller(connection, address)
            except OSError:  # it has left meanwhile
                connection.close()
                continue
            if self._busy.total() >= self._bounds.connections or self._busy[caller] >= self._bounds.each:
                connection.close()
                continue
            self._busy[caller] += 1
            self._spawn(self._connection(connection, caller))

    async def _connection(self, connection: socket.socket, caller: str) -> None:
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(limit=self._bounds.line)
        protocol = asyncio.StreamReaderProtocol(reader)
        transport: asyncio.Transport | None = None
        try:
            async with asyncio.timeout(self._bounds.whole_s):
                transport, _ = await loop.connect_accepted_socket(
                    lambda: protocol,
                    connection,
                    ssl=self.context,
                    ssl_handshake_timeout=None if self.context is None else self._bounds.handshake_s,
                )
                writer = asyncio.StreamWriter(transport, protocol, reader, loop)
                await self._serve(reader, writer)
                await _send_off(writer)
        except ssl.SSLError as error:
            self._tls_failed(error)
        except (TimeoutError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            self._log.debug("a connection ended early")
        except Exception as error:  # noqa: BLE001 - it costs this connection, and no other
            self._log.error("a connection failed; please report this", exc_info=error)
        finally:
            self._busy[caller] -= 1
            if self._busy[caller] <= 0:
                del self._busy[caller]
            if transport is None:
                connection.close()
            else:
                transport.abort()


async def _send_off(writer: asyncio.StreamWriter) -> None:
    writer.close()
    async with asyncio.timeout(LAST_WORDS_S):
        await writer.wait_closed()


async def leave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """End a connection so that its last line is read: what the other side still says is heard, and thrown away."""
    with contextlib.suppress(OSError, TimeoutError):
        async with asyncio.timeout(LAST_WORDS_S):
            await writer.drain()
            if writer.can_write_eof():  # TLS can't: its own goodbye waits for the other side's
                writer.write_eof()
                while await reader.read(_LAST_WORDS):
                    pass
            writer.close()
            await writer.wait_closed()


def at_path(path: Path, *, mode: int, directory: int, backlog: int) -> socket.socket:
    """A listening Unix socket with `mode`, whatever the umask; `directory`: of its directory where that is made.

    Blocking. Raises `OSError`: `EADDRINUSE` when somebody serves there, `EEXIST` when another file is in the way.
    """
    found = socket.socket(socket.AF_UNIX)
    try:
        if not path.parent.exists():
            path.parent.mkdir(parents=True)
            path.parent.chmod(directory)
        _make_room(path)
        found.bind(str(path))
        path.chmod(mode)
        found.listen(backlog)
    except BaseException:
        found.close()
        raise
    return found


def _make_room(path: Path) -> None:
    match leftover_socket.remove(path):
        case "a_file":
            raise FileExistsError(errno.EEXIST, "a file is in the way")
        case "served":
            raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))


def on_network(host: str, port: int, *, backlog: int, may_come_later: bool = False) -> socket.socket:
    """A listening TCP socket; of IPv6 for IPv6 alone. Raises `OSError`.

    `may_come_later`: the address needn't be the machine's yet, because a cable isn't plugged in, say.
    """
    found = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    try:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if may_come_later:
            found.setsockopt(socket.IPPROTO_IP, _IP_FREEBIND, 1)  # of IPv6 as well
        if found.family == socket.AF_INET6:
            found.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        found.bind((host, port))
        found.listen(backlog)
    except BaseException:
        found.close()
        raise
    return found
