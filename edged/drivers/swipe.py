"""Readers of MRZ text on a serial port, and keyboard wedges (docs/swipe-readers.md): `edged.drivers.Swipe`.

The port is read in a thread of its own; what a reader says goes through one of the sans-IO protocols
(`swipe_detect.PROTOCOLS`). The port may go and come back at any moment.
"""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Protocol, Self

from edged import log
from edged.drivers._port_reader import OpenReader, Port, PortReader, common_cause
from edged.drivers.swipe_detect import PROTOCOLS, AutoProtocol
from edged.events import DeviceBack, DeviceGone, DocumentSwiped, SwipeEvent
from edged.uplink.envelope import Provenance
from edged.verdict import Reason

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from types import TracebackType

    from edged.device_settings import SwipeSettings
    from edged.drivers.swipe_protocol import Lines, Step, SwipeProtocol

DEVICE: Final = "swipe"
LOOK_S: Final = 2.0
"""For the first attempt to open the port, which takes milliseconds."""
MAX_WAITING: Final = 16
"""Documents that nobody has taken yet; a reader that goes on by itself must fill neither memory nor event loop."""
_LONGEST_IDENTITY: Final = 128


class Way(Protocol):
    """How a reader is reached."""

    driver: str

    def open(self) -> OpenReader:
        """Raises `OSError`."""
        ...


class SwipeReader:
    """`edged.drivers.Swipe` on any way to a reader."""

    def __init__(self, way: Way, protocol: str = "auto") -> None:
        self._way = way
        self._make = PROTOCOLS[protocol]
        self._reader: PortReader | None = None
        self._happened: asyncio.Queue[SwipeEvent] = asyncio.Queue()
        self._room = threading.BoundedSemaphore(MAX_WAITING)
        self._full = False
        self._trouble: Reason | None = None
        self._known: bool | None = None
        self._looked = asyncio.Event()
        self._provenance = self._opened = Provenance(driver=way.driver, identity=None, simulated=False)
        self._log = log.get(DEVICE)

    @property
    def provenance(self) -> Provenance:
        """The reader that is open, or was last."""
        return self._provenance

    @property
    def trouble(self) -> Reason | None:
        """Why it can't be read; None when it can."""
        return self._trouble

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        talk = _Talk(self._make, lambda lines: self._offer(loop, lines))
        self._reader = PortReader(
            DEVICE,
            self._open,
            talk,
            lambda code: _post(
                loop, self._changed, code, self._opened if code is None else None, talk.speaks
            ),
            _why,
        )
        self._reader.start()
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_S):
                    await self._looked.wait()
        except BaseException:  # cancelled: nobody will leave what was never entered
            await self._stop()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stop()
        while not self._happened.empty():
            if isinstance(self._happened.get_nowait(), DocumentSwiped):
                self._room.release()

    async def _stop(self) -> None:
        reader, self._reader = self._reader, None
        if reader is not None:
            await asyncio.shield(asyncio.to_thread(reader.stop))

    async def events(self) -> AsyncIterator[SwipeEvent]:
        """What happens at the reader, in order."""
        while True:
            event = await self._happened.get()
            if isinstance(event, DocumentSwiped):
                self._room.release()
            yield event

    def _open(self) -> Port:
        """In the reader's thread. Raises `OSError`."""
        port, identity, simulated = self._way.open()
        identity = (identity or "")[:_LONGEST_IDENTITY] or None
        self._opened = Provenance(driver=self._way.driver, identity=identity, simulated=simulated)
        return port

    def _offer(self, loop: asyncio.AbstractEventLoop, lines: Lines) -> None:
        """In the reader's thread: what there is no room for never reaches the event loop, however fast it comes."""
        full = not self._room.acquire(blocking=False)
        if not full:
            _post(loop, self._read, lines)
        elif not self._full:
            self._log.warning("swipes are dropped: they come faster than they are taken")
        self._full = full

    def _read(self, lines: Lines) -> None:
        self._log.info("swiped", lines=len(lines))
        self._happened.put_nowait(DocumentSwiped(lines))

    def _changed(self, code: str | None, who: Provenance | None, protocol: str) -> None:
        there = code is None
        if who is not None:
            self._provenance = who
        self._trouble = None if code is None else Reason(code)
        if there and self._known is False:
            self._happened.put_nowait(DeviceBack(DEVICE))
        elif not there and self._known is not False:
            self._happened.put_nowait(DeviceGone(DEVICE))
        self._known = there
        self._log.info("swipe reader", identity=self._provenance.identity, protocol=protocol, trouble=code)
        self._looked.set()


class _Talk:
    """A protocol that begins anew whenever the port is opened; in the reader's thread."""

    def __init__(self, make: type[SwipeProtocol], tell: _Tell) -> None:
        self._make = make
        self._tell = tell
        self._protocol = make()

    @property
    def deadline(self) -> float | None:
        return self._protocol.deadline

    @property
    def speaks(self) -> str:
        """The protocol's name, as far as it is known."""
        found = self._protocol.found if isinstance(self._protocol, AutoProtocol) else None
        return (found or self._protocol).name

    def opened(self, now: float) -> bytes:
        self._protocol.wipe()
        self._protocol = self._make()
        return self._done(self._protocol.opened(now))

    def received(self, data: bytes, now: float) -> bytes:
        return self._done(self._protocol.received(data, now))

    def passed(self, now: float) -> bytes:
        return self._done(self._protocol.passed(now))

    def closing(self) -> bytes:
        last = self._protocol.closing()
        self._protocol.wipe()
        return last

    def _done(self, step: Step) -> bytes:
        for lines in step.documents:
            self._tell(lines)
        return step.write


class _Tell(Protocol):
    def __call__(self, lines: Lines) -> None: ...


def _post(loop: asyncio.AbstractEventLoop, call: object, *arguments: object) -> None:
    with suppress(RuntimeError):  # the loop is closed: nobody waits
        loop.call_soon_threadsafe(call, *arguments)  # type: ignore[arg-type]


def _why(error: OSError) -> str:
    """The code of what is wrong with the port."""
    match common_cause(error):
        case "no_permission":
            return "swipe.no_permission"
        case "busy":
            return "swipe.busy"
        case "not_there":
            return "swipe.not_there"
    return "swipe.unusable"


def open_reader(settings: SwipeSettings) -> SwipeReader:
    """The reader that the settings name; it may come and go."""
    if settings.driver == "keyboard":
        from edged.drivers.swipe_keyboard import KeyboardWay

        assert settings.device is not None, "edged.device_checks demands it"
        return SwipeReader(KeyboardWay(settings.device), "lines")
    from edged.drivers.swipe_serial import SerialWay

    assert settings.port is not None, "edged.device_checks demands it"
    return SwipeReader(SerialWay(settings.port, settings.baud), settings.protocol)


open = open_reader  # noqa: A001 - the name that the registry of drivers looks for
