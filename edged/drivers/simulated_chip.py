"""A chip reader without hardware and without pcscd: whoever connects to its Unix socket is a chip laid on the reader.

It speaks the protocol of vsmartcard's vpcd, so that an emulated card works with either: two octets of length,
big-endian, then so much; from the reader one octet is an order (0 power off, 1 power on, 2 reset, 4 give the ATR), more
is a command APDU. The card answers the fourth order and APDUs. Hanging up takes it away.

What it reads is simulated, says so in its provenance, and never becomes a live verdict.
"""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Self, TypeVar

from edged.core.emrtd.apdu import MAX_EXTENDED_NE
from edged.drivers._chip_worker import DEVICE, ChipWorker
from edged.drivers._unix_sockets import listen
from edged.drivers.facts import DeviceFacts
from edged.drivers.ports import SOCKET
from edged.errors import ChipError, ChipGoneError, DeviceGoneError
from edged.events import ChipEvent, ChipPlaced, ChipRemoved, DeviceBack, DeviceGone
from edged.uplink.envelope import Provenance
from edged.verdict import Reason

if TYPE_CHECKING:
    import threading
    from collections.abc import AsyncIterator, Callable, Mapping
    from pathlib import Path
    from types import TracebackType

    from edged.config import ChipReaderSettings
    from edged.core.emrtd.steps import Exchange, Phase, Step

POWER_OFF: Final = b"\x00"
POWER_ON: Final = b"\x01"
RESET: Final = b"\x02"
GET_ATR: Final = b"\x04"

MIN_ATR, MAX_ATR = 2, 33
"""ISO/IEC 7816-3 §8.2: TS and T0 at least, TS and 32 more at most."""

MAX_MESSAGE: Final = 0xFFFF
"""What two octets of length can say; an answer of 65 536 octets and its status word don't fit the protocol."""

ACCEPT_AGAIN_S: Final = 0.1

T = TypeVar("T")


class _SocketLink:
    """`edged.drivers._chip_worker.Link` over a connection of vpcd's protocol. The connection blocks."""

    def __init__(self, connection: socket.socket, released: Callable[[], None]) -> None:
        self._connection = connection
        self._released = released
        self.lost: str | None = None

    def connect(self, given_up: threading.Event) -> None:  # noqa: ARG002 - nobody else can hold it
        """Power it up and ask for its ATR: a peer that isn't a card says nothing, or nonsense."""
        self._send(POWER_ON)
        if not MIN_ATR <= len(self._ask(GET_ATR)) <= MAX_ATR:
            raise ChipError("chip.mute")

    def transmit(self, apdu: bytes) -> bytes:
        """One command and its answer, whatever it is."""
        return self._ask(apdu)

    def disconnect(self) -> None:
        """Reset it."""
        with suppress(ChipGoneError):
            self._send(RESET)
        self._released()

    def _ask(self, message: bytes) -> bytes:
        self._send(message)
        return self._take(int.from_bytes(self._take(2), "big"))

    def _send(self, message: bytes) -> None:
        if len(message) > MAX_MESSAGE:
            raise ChipError("chip.too_long")
        try:
            self._connection.sendall(len(message).to_bytes(2, "big") + message)
        except OSError as error:
            raise ChipGoneError("chip.gone") from error

    def _take(self, octets: int) -> bytes:
        taken = bytearray()
        while len(taken) < octets:
            try:
                more = self._connection.recv(octets - len(taken))
            except OSError as error:
                raise ChipGoneError("chip.gone") from error
            if not more:
                raise ChipGoneError("chip.gone")
            taken += more
        return bytes(taken)


class _Card:
    """A connection that is a card, and how many readings still hold on to it."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.readings = 0


def open_chip(settings: ChipReaderSettings) -> SimulatedChip:
    """A reader on the socket that is configured."""
    assert settings.socket is not None  # edged.device_checks.check_chip_reader
    return SimulatedChip(settings.socket)


class SimulatedChip:
    """`edged.drivers.Chip` on a Unix socket.

    One card at a time: a second one that connects is sent away. What speaks without being asked is no card, and is sent
    away too.
    """

    def __init__(self, path: Path, *, max_apdu: int | None = MAX_EXTENDED_NE) -> None:
        self._path = path
        self._max_apdu = max_apdu
        self._worker = ChipWorker("simulated chip")
        self._listener: socket.socket | None = None
        self._card: _Card | None = None
        self._link: _SocketLink | None = None
        self._unplugged = False
        self._happened: asyncio.Queue[ChipEvent] = asyncio.Queue()

    @property
    def provenance(self) -> Provenance:
        """Simulated, and saying so."""
        return Provenance(driver="simulated", identity="simulated-chip", simulated=True)

    @property
    def card_present(self) -> bool:
        """Whether a card is connected."""
        return self._card is not None

    @property
    def trouble(self) -> Reason | None:
        """Only when it was unplugged."""
        return Reason("device.unplugged") if self._unplugged else None

    @property
    def max_apdu(self) -> int | None:
        """As the simulation was told."""
        return self._max_apdu

    def facts(self) -> DeviceFacts:
        """Where a chip connects."""
        return DeviceFacts(present=not self._unplugged, port=f"{SOCKET}{self._path}", trouble=self.trouble)

    async def __aenter__(self) -> Self:
        self._listener = listen(self._path)
        self._listen()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._listener is not None:
            asyncio.get_running_loop().remove_reader(self._listener)
            self._listener.close()
            self._listener = None
            with suppress(OSError):
                self._path.unlink()
        self._take_away()
        await self._worker.close()

    async def events(self) -> AsyncIterator[ChipEvent]:
        """What happens at the reader, in order."""
        while True:
            yield await self._happened.get()

    async def read(
        self,
        exchange: Exchange[T],
        *,
        watch: Callable[[Step], None] = lambda _: None,
        budget_s: Mapping[Phase, float] | None = None,
    ) -> T:
        """See `edged.drivers.Chip.read`."""
        return await self._worker.read(self._begin, exchange, watch=watch, budget_s=budget_s)

    def _begin(self) -> _SocketLink:
        """Hold on to the card that lies there. Raises `DeviceGoneError`, `ChipGoneError`."""
        if self._unplugged:
            raise DeviceGoneError(DEVICE, "device.unplugged")
        card = self._card
        if card is None:
            raise ChipGoneError("chip.gone")
        loop = asyncio.get_running_loop()

        def released() -> None:  # in the worker's thread
            with suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(self._released, card)

        self._link = _SocketLink(card.connection, released)
        loop.remove_reader(card.connection)
        card.readings += 1
        return self._link

    def unplug(self) -> None:
        """As if the reader's cable were pulled."""
        if not self._unplugged:
            self._unplugged = True
            if self._link is not None:
                self._link.lost = "device.unplugged"
            self._take_away()
            self._happened.put_nowait(DeviceGone(DEVICE))

    def plug(self) -> None:
        """As if it were put back."""
        if self._unplugged:
            self._unplugged = False
            self._happened.put_nowait(DeviceBack(DEVICE))

    def _listen(self) -> None:
        if self._listener is not None:
            asyncio.get_running_loop().add_reader(self._listener, self._accept, self._listener)

    def _accept(self, listener: socket.socket) -> None:
        """Somebody connects."""
        try:
            connection, _ = listener.accept()
        except (BlockingIOError, ConnectionError):
            return
        except OSError:  # no descriptor left: some other connection's end will free one
            loop = asyncio.get_running_loop()
            loop.remove_reader(listener)
            loop.call_later(ACCEPT_AGAIN_S, self._listen)
            return
        if self._card is not None or self._unplugged:
            connection.close()
            return
        connection.setblocking(True)  # for the worker; here it is only looked at, without waiting
        self._card = _Card(connection)
        self._idle(self._card)
        self._happened.put_nowait(ChipPlaced())

    def _idle(self, card: _Card) -> None:
        """Notice when it hangs up while nobody reads it."""
        asyncio.get_running_loop().add_reader(card.connection, self._spoke, card)

    def _spoke(self, card: _Card) -> None:
        """Unasked: it hung up, or it is no card. A connection that broke reads as one that hung up."""
        if self._card is card:
            self._take_away()

    def _released(self, card: _Card) -> None:
        """A reading has let go of it."""
        card.readings -= 1
        if card.readings == 0:
            if self._card is card:
                self._idle(card)
            else:
                card.connection.close()

    def _take_away(self) -> None:
        card, self._card = self._card, None
        if card is None:
            return
        asyncio.get_running_loop().remove_reader(card.connection)
        with suppress(OSError):
            card.connection.shutdown(socket.SHUT_RDWR)  # also ends what the worker waits for
        if card.readings == 0:
            card.connection.close()
        self._happened.put_nowait(ChipRemoved())
