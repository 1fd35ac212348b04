"""A thread that keeps one port open and reads it: whoever waits for it waits in the event loop.

The port may go and come back at any moment. Whatever is wrong with it is told by a code, once; nobody is ever told
bytes but the protocol.
"""

from __future__ import annotations

import errno
import os
import select
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from edged import log

if TYPE_CHECKING:
    from collections.abc import Callable

RECONNECT_S: Final = (0.2, 0.5, 1.0, 2.0, 5.0)
"""Pauses between attempts to open the port; the last one repeats."""
HELD_S: Final = 1.0
"""A port that stayed open so long was a port: one that goes at once is not opened again and again."""
CHUNK: Final = 1024
"""Bytes taken at once."""
WRITE_S: Final = 1.0
"""For a reader to take a command of some octets; one that doesn't is gone."""


class Port(Protocol):
    """An open port."""

    def fileno(self) -> int:
        """What becomes readable."""
        ...

    def read(self) -> bytes:
        """What is there; raises `OSError` when the port is gone."""
        ...

    def write(self, data: bytes) -> None:
        """Raises `OSError`."""
        ...

    def close(self) -> None:
        """Never raises."""
        ...


class OpenReader(NamedTuple):
    """An open port, and what is behind it. Asked of the open one: a link to it may lead elsewhere a moment later.

    Attributes:
        port: to be read.
        identity: who it says it is.
        simulated: whether it can't be hardware.
    """

    port: Port
    identity: str | None
    simulated: bool


class Talk(Protocol):
    """What is done with an open port. All of it is called in the thread."""

    @property
    def deadline(self) -> float | None:
        """When `passed` is to be called (`time.monotonic`)."""
        ...

    def opened(self, now: float) -> bytes:
        """The port was opened; what is to be written."""
        ...

    def received(self, data: bytes, now: float) -> bytes:
        """Bytes came; what is to be written."""
        ...

    def passed(self, now: float) -> bytes:
        """Time passed; what is to be written."""
        ...

    def closing(self) -> bytes:
        """The driver ends; what is to be written last."""
        ...


class PortReader:
    """The thread. `state` is told None when the port is open, and why it isn't: once for each change."""

    def __init__(
        self,
        name: str,
        open_port: Callable[[], Port],
        talk: Talk,
        state: Callable[[str | None], None],
        why: Callable[[OSError], str],
    ) -> None:
        self._open = open_port
        self._talk = talk
        self._state = state
        self._why = why
        self._told: str | None = ""
        self._stopping = threading.Event()
        self._waking, self._wake = os.pipe()
        self._log = log.get(name)
        self._thread = threading.Thread(target=self._run, name=f"{name} port", daemon=True)

    def start(self) -> None:
        """Begin to look for the port."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread; it waits for nothing that this doesn't end. Blocks for milliseconds."""
        self._stopping.set()
        with suppress(OSError):
            os.write(self._wake, b"\0")
        self._thread.join()
        os.close(self._wake)
        os.close(self._waking)

    def _run(self) -> None:
        failures = 0
        while not self._stopping.is_set():
            try:
                port = self._open()
            except OSError as error:
                self._tell(self._why(error))
            else:
                began = time.monotonic()
                try:
                    self._follow(port)
                except OSError as error:
                    self._tell(self._why(error))
                except Exception as error:  # noqa: BLE001 - this thread must not end: nothing would look for the port
                    # Not the exception's text: it may quote what was read.
                    self._log.error("reading the port failed; please report this", kind=type(error).__name__)
                    self._tell("swipe.failed")
                finally:
                    port.close()
                if time.monotonic() - began > HELD_S:
                    failures = 0
            self._stopping.wait(RECONNECT_S[min(failures, len(RECONNECT_S) - 1)])
            failures += 1

    def _follow(self, port: Port) -> None:
        """Read until stopped. Raises `OSError` when the port is gone."""
        self._write(port, self._talk.opened(time.monotonic()))
        self._tell(None)
        while not self._stopping.is_set():
            due = self._talk.deadline
            wait = None if due is None else max(0.0, due - time.monotonic())
            ready, _, _ = select.select([port.fileno(), self._waking], [], [], wait)
            if port.fileno() in ready:
                self._write(port, self._talk.received(port.read(), time.monotonic()))
            elif not ready:
                self._write(port, self._talk.passed(time.monotonic()))
        with suppress(OSError):
            self._write(port, self._talk.closing())

    def _write(self, port: Port, data: bytes) -> None:
        if data:
            port.write(data)

    def _tell(self, code: str | None) -> None:
        if code != self._told:
            self._told = code
            self._state(code)


def common_cause(error: OSError) -> str | None:
    """The part of a code that says why a port can't be opened: "no_permission", "busy", "not_there"; None otherwise."""
    match error.errno:
        case errno.EACCES | errno.EPERM:
            return "no_permission"
        case errno.EBUSY | errno.EAGAIN:
            return "busy"
        case errno.ENOENT | errno.ENODEV | errno.ENXIO | errno.EIO | None:
            return "not_there"
    return None
