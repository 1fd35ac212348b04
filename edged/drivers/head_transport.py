"""Ways to the head: what they have in common, and the Unix socket of an emulated one. Serial and USB stand beside this.

A connection is callbacks and a queue: octets that come are handed to the event loop at once, octets to be sent never
block it, and the end of it is told once.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, Protocol

from edged.drivers.ports import SOCKET
from edged.errors import DeviceError, DeviceGoneError

if TYPE_CHECKING:
    from collections.abc import Callable

DEVICE: Final = "head"

MAX_UNSENT: Final = 16 * 1024
"""Octets that wait to be sent. The link has 2 kB on its way at most: with more, nobody takes them."""


class Connection(Protocol):
    """An open line."""

    def send(self, data: bytes) -> None:
        """Send when it's possible; never blocks. A line that takes nothing any more is ended."""
        ...

    async def ended(self) -> None:
        """Return when the line is gone."""
        ...

    async def close(self) -> None:
        """Close it; no thread is left behind, and no callback comes afterwards."""
        ...


class Transport(Protocol):
    """A way to a head, that can be tried again and again."""

    @property
    def name(self) -> str:
        """As a technician knows it: the port's path, `usb:1-1.2`."""
        ...

    @property
    def driver(self) -> str:
        """Name of the driver, for the provenance."""
        ...

    @property
    def simulated(self) -> bool:
        """Whether no hardware can stand behind it."""
        ...

    async def connect(self, hear: Callable[[bytes], None]) -> Connection:
        """Open the line; `hear` is called in the event loop with what comes.

        Raises `DeviceGoneError` when nothing is there, `DeviceError` when it can't be used; the code says what to do.
        """
        ...


def transport_of(port: str) -> Transport:
    """The way to a head at `[head] port`: a tty, or `unix:PATH`."""
    if port.startswith(SOCKET):
        return SocketTransport(port.removeprefix(SOCKET))
    from edged.drivers.head_serial import SerialTransport

    return SerialTransport(port)


class SocketTransport:
    """`Transport` to an emulated head that listens on a Unix socket."""

    driver: Final = "serial"
    simulated: Final = True

    def __init__(self, path: str) -> None:
        self._path = path
        self.name = SOCKET + path

    async def connect(self, hear: Callable[[bytes], None]) -> Connection:
        """See `Transport.connect`."""
        loop = asyncio.get_running_loop()
        try:
            _, line = await loop.create_unix_connection(lambda: _SocketLine(hear), self._path)
        except PermissionError as error:
            raise DeviceError(DEVICE, "reader_head.no_permission") from error
        except (OSError, ValueError) as error:  # ValueError: a NUL in the path
            raise DeviceGoneError(DEVICE, "reader_head.no_port") from error
        return line


class _SocketLine(asyncio.Protocol):
    def __init__(self, hear: Callable[[bytes], None]) -> None:
        self._hear = hear
        self._ended = asyncio.Event()
        self._closing = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        if not self._closing:
            self._hear(data)

    def connection_lost(self, error: Exception | None) -> None:  # noqa: ARG002 - gone is gone
        self._ended.set()

    def send(self, data: bytes) -> None:
        if self._transport.get_write_buffer_size() > MAX_UNSENT:
            self._transport.abort()
        elif not self._transport.is_closing():
            self._transport.write(data)

    async def ended(self) -> None:
        await self._ended.wait()

    async def close(self) -> None:
        self._closing = True
        self._transport.abort()
        await self._ended.wait()
