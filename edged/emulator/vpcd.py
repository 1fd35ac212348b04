"""Lays an emulated card on a reader: vsmartcard's vpcd over TCP, or a simulated reader on a Unix socket.

Both listen and speak the same protocol: two octets of length, big-endian, then so much. One octet is an order, more is
a command. Hanging up takes the card away. Thin I/O around `faults.FaultyCard`.
"""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable

    from edged.emulator.faults import FaultyCard

GET_ATR: Final = b"\x04"
"""The one order that is answered; the others are power off, power on, reset."""
LENGTH_OCTETS: Final = 2
RETRY_S: Final = 0.2
"""Between tries to reach a reader that isn't there (yet)."""

Target: TypeAlias = tuple[str, int] | Path
"""Where the reader listens: host and port, or the path of a Unix socket."""


class Happened(StrEnum):
    """What becomes of a card that was laid."""

    WAITING = "waiting"
    """No reader is there; it is tried again."""
    CONNECTED = "connected"
    READER_GONE = "reader_gone"
    """The reader hung up; it is tried again."""
    CARD_GONE = "card_gone"
    """The card was taken away by its own fault."""
    LIFTED = "lifted"


class Slot:
    """One reader, and the card that lies on it or waits for it."""

    def __init__(self, target: Target, told: Callable[[Happened], None] = lambda _: None) -> None:
        self._target = target
        self._told = told
        self._task: asyncio.Task[None] | None = None

    async def lay(self, card: FaultyCard) -> None:
        """Lay a card down, the one before it taken away."""
        await self.lift()
        self._task = asyncio.create_task(self._keep(card), name="emulated chip")

    async def lift(self) -> None:
        """Take the card away; nothing happens without one."""
        task, self._task = self._task, None
        if task is None:
            return
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        self._told(Happened.LIFTED)

    async def until_gone(self) -> None:
        """Wait until the card is taken away; only its own fault or `lift` do that."""
        if self._task is not None:
            await asyncio.wait([self._task])

    async def _keep(self, card: FaultyCard) -> None:
        waiting = False
        while True:
            try:
                connection = await connect(self._target)
            except OSError:
                if not waiting:
                    self._told(Happened.WAITING)
                waiting = True
                await asyncio.sleep(RETRY_S)
                continue
            waiting = False
            self._told(Happened.CONNECTED)
            try:
                gone = await serve(connection, card)
            finally:
                connection.close()
            self._told(Happened.CARD_GONE if gone else Happened.READER_GONE)
            if gone:
                return
            card.reset()
            await asyncio.sleep(RETRY_S)


async def connect(target: Target) -> socket.socket:
    """A connection to the reader. Raises OSError."""
    loop = asyncio.get_running_loop()
    if isinstance(target, Path):
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        address: str | tuple[str, int] = str(target)
    else:
        connection = socket.socket(socket.AF_INET, socket.SOCK_STREAM)  # vpcd knows no other
        address = target
    connection.setblocking(False)
    try:
        await loop.sock_connect(connection, address)
        if connection.family != socket.AF_UNIX:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except BaseException:
        connection.close()
        raise
    return connection


async def serve(connection: socket.socket, card: FaultyCard) -> bool:
    """Answer whatever the reader sends. True when the card is gone by its own fault, False when the reader is."""
    loop = asyncio.get_running_loop()
    try:
        while True:
            length = int.from_bytes(await _take(connection, LENGTH_OCTETS), "big")
            message = await _take(connection, length)
            if len(message) > 1:
                if card.delay_s:
                    await asyncio.sleep(card.delay_s)
                said, whole = card.say(message)
                answer = len(said).to_bytes(LENGTH_OCTETS, "big") + said
                if not whole:
                    # What is heard of it announces more than comes.
                    with suppress(OSError):
                        torn = (len(said) + 2).to_bytes(LENGTH_OCTETS, "big") + said
                        await loop.sock_sendall(connection, torn if said else b"")
                    return True
                await loop.sock_sendall(connection, answer)
            elif message == GET_ATR:
                atr = card.atr
                await loop.sock_sendall(connection, len(atr).to_bytes(LENGTH_OCTETS, "big") + atr)
            else:
                card.reset()
    except (OSError, EOFError):
        return False


async def _take(connection: socket.socket, octets: int) -> bytes:
    """So many octets. Raises EOFError when the reader hangs up."""
    loop = asyncio.get_running_loop()
    taken = bytearray()
    while len(taken) < octets:
        if connection.family != socket.AF_UNIX:
            # vpcd sends length and message apart: a delayed acknowledgement of the first would cost 40 ms an APDU.
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        more = await loop.sock_recv(connection, octets - len(taken))
        if not more:
            raise EOFError
        taken += more
    return bytes(taken)
