"""The doors of the handover service: a local socket, TLS on the counter's network. Who is known is served."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final

from edged import listener, log
from edged.errors import CodedError, StateError
from edged.handover.peers import user_of
from edged.handover.protocol import MAX_LINE_BYTES, refusal
from edged.listener import Bounds, Listener

if TYPE_CHECKING:
    from pathlib import Path

    from edged.handover.peers import Peer

MAX_CONNECTIONS: Final = 32
"""A door's, at once: a counter has a few applications with a few connections each."""

MAX_EACH: Final = 8
"""Of one network address, or one system user."""

BOUNDS: Final = Bounds(MAX_CONNECTIONS, MAX_EACH, MAX_LINE_BYTES)

Serve = Callable[["Peer", asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
"""Serves a connection until it ends."""

Known = Callable[[socket.socket, ssl.SSLObject | None], "Peer"]
"""Who connected; raises `CodedError` for somebody who may not."""


def door(
    listening: socket.socket, known: Known, serve: Serve, context: ssl.SSLContext | None = None
) -> Listener:
    """A listener that tells who isn't `known` why, and serves the others."""
    logger = log.get("handover")

    async def let_in(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            peer = known(writer.get_extra_info("socket"), writer.get_extra_info("ssl_object"))
        except CodedError as error:
            logger.warning("nobody who may be here", code=error.code)
            writer.write(refusal(None, error.code))
            await listener.leave(reader, writer)
            return
        await serve(peer, reader, writer)

    return Listener(
        listening,
        let_in,
        BOUNDS,
        caller=_caller,
        log=logger,
        context=context,
        tls_failed=lambda _: logger.warning("a handshake failed: no certificate of this fleet"),
    )


def _caller(connection: socket.socket, address: Any) -> str:
    return str(address[0]) if isinstance(address, tuple) else f"user {user_of(connection)}"


def local(path: Path) -> socket.socket:
    """A listening Unix socket at `path`, for every user: the kernel says who connects, not the file's mode.

    Blocking. Raises `StateError` (`handover.unusable`).
    """
    try:
        return listener.at_path(path, mode=0o666, directory=0o755, backlog=MAX_CONNECTIONS)
    except OSError as error:
        raise StateError("handover.unusable", f"{path}: {error.strerror or error}") from error


def network(host: str, port: int) -> socket.socket:
    """A listening TCP socket. Raises `StateError` (`handover.unusable`).

    The address may come later: a cable that isn't plugged in when the terminal starts must cost no verdict.
    """
    try:
        return listener.on_network(host, port, backlog=MAX_CONNECTIONS, may_come_later=True)
    except OSError as error:
        raise StateError("handover.unusable", f"{host} port {port}: {error.strerror}") from error
