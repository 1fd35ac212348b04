"""Drives the sessions of `sam_session` over a port: one question at a time, bounded in time whatever comes."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final, Protocol

from edged.drivers.sam_frame import Broken, Response, ResponseParser

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    from edged.drivers.sam_session import Answer, Ask, Session, T

SLICE_S: Final = 0.05
"""Longest wait in the port: so soon the thread notices that it shall end."""

GAP_S: Final = 0.5
"""Between two octets of one answer. The slowest speed has one a millisecond; converters collect them for 16 ms."""

MOST_S: Final = 5.0
"""For a whole answer, once it has begun: 1302 octets take 1.4 s at 9600 baud."""

BUFFER: Final = 4096
"""Octets taken at once: full packets of USB at any speed, or the host controller reports an overflow."""


class SamPort(Protocol):
    """A way to a module. Blocking, used in the driver's thread alone; every method raises `DeviceGoneError`."""

    simulated: bool
    """Whether no hardware stands behind it."""

    def start(self) -> None:
        """Drop what came unasked: the answer to what is asked next comes after this."""
        ...

    def write(self, octets: bytes) -> None:
        """One request."""
        ...

    def read_into(self, buffer: memoryview, wait_s: float) -> int:
        """What has come, or comes within `wait_s`: how many octets of `buffer` it fills; 0 for none."""
        ...

    def close(self) -> None:
        """Let go of it; never raises."""
        ...


class StoppedError(Exception):
    """The driver closes: nobody waits for the rest."""


class Wire:
    """One open port."""

    def __init__(
        self, port: SamPort, stopped: threading.Event, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._port = port
        self._stopped = stopped
        self._clock = clock
        self._parser = ResponseParser()
        self._buffer = memoryview(bytearray(BUFFER))

    def run(self, session: Session[T]) -> T:
        """What the session returns. Raises what it raises, `DeviceGoneError` of the port, and `StoppedError`."""
        try:
            ask = next(session)
            while True:
                ask = session.send(self._answer(ask))
        except StopIteration as stop:
            value: T = stop.value
            return value
        finally:
            session.close()

    def _answer(self, ask: Ask) -> Answer:
        """The first frame that comes; `Broken` when only damaged ones, or octets that are none, came; None: silence."""
        self._port.start()
        self._port.write(ask.octets)
        began: float | None = None
        waits_until = self._clock() + ask.wait_s
        found: Answer = None
        try:
            while not isinstance(found, Response):
                left = waits_until - self._clock()
                if left <= 0:
                    break
                came = self._port.read_into(self._buffer, min(left, SLICE_S))
                if self._stopped.is_set():
                    raise StoppedError
                if not came:
                    continue
                now = self._clock()
                began = now if began is None else began
                waits_until = min(now + GAP_S, began + MOST_S)
                found = self._taken(came, found)
        finally:
            self._parser.reset()
        return Broken.LENGTH if found is None and began is not None else found

    def _taken(self, came: int, found: Answer) -> Answer:
        """`found`, or what the octets that came make of it; those are overwritten."""
        for one in self._parser.feed(self._buffer[:came]):
            if isinstance(
                found, Response
            ):  # more than one frame answers one question: the rest is none of it
                if isinstance(one, Response):
                    one.wipe()
            else:
                found = one
        self._buffer[:came] = bytes(came)
        return found
