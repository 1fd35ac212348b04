"""A line whose reading and writing block: two threads, and a queue between them and the event loop."""

from __future__ import annotations

import asyncio
import queue
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

from edged import log
from edged.drivers.head_transport import DEVICE, MAX_UNSENT
from edged.errors import DeviceError

if TYPE_CHECKING:
    from collections.abc import Callable

STOP_S: Final = 2.0
"""For both threads to end; they do within milliseconds (serial) or one wait for data (USB)."""

P = TypeVar("P", bound="BlockingPort")


class BlockingPort(Protocol):
    """A port. `read` and `write` raise `OSError` when it is gone; one thread calls each."""

    def read(self) -> bytes:
        """What has come, waiting for it; nothing when `stop` was called, or now and then."""
        ...

    def write(self, data: bytes) -> None:
        """Write all of it, or until `stop` is called."""
        ...

    def stop(self) -> None:
        """Make both return soon. Called once, from any thread."""
        ...

    def close(self) -> None:
        """Close it; called when nobody reads or writes any more."""
        ...


class ThreadedLine:
    """`edged.drivers.head_transport.Connection` on a port that blocks. To be made in the event loop."""

    def __init__(self, port: BlockingPort, hear: Callable[[bytes], None], name: str) -> None:
        """The port is this line's from now on. Raises `DeviceError` when no thread can be had; it is closed then."""
        self._port = port
        self._hear = hear
        self._loop = asyncio.get_running_loop()
        self._ended = asyncio.Event()
        self._closed = asyncio.Event()
        self._stopping = threading.Event()
        self._to_write: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._unsent = 0
        self._running = 2
        self._lock = threading.Lock()
        works = [self._read, self._write]
        while works:
            work = works.pop()
            try:
                threading.Thread(target=self._run, args=(work,), name=name, daemon=True).start()
            except RuntimeError as error:
                self._stop()
                for _ in (work, *works):
                    self._left()
                raise DeviceError(DEVICE, "reader_head.port_failed") from error

    def send(self, data: bytes) -> None:
        """See `Connection.send`."""
        with self._lock:
            self._unsent += len(data)
            stuck = self._unsent > MAX_UNSENT
        if stuck:
            self._stop()
        else:
            self._to_write.put(data)

    async def ended(self) -> None:
        """See `Connection.ended`."""
        await self._ended.wait()

    async def close(self) -> None:
        """See `Connection.close`."""
        self._hear = lambda _: None
        self._stop()
        with suppress(TimeoutError):
            async with asyncio.timeout(STOP_S):
                await self._closed.wait()

    def _stop(self) -> None:
        with (
            self._lock
        ):  # to the end: no thread may be the last one out, and close the port, before it is stopped
            if not self._stopping.is_set():
                self._stopping.set()
                self._to_write.put(None)
                self._port.stop()

    def _run(self, work: Callable[[], None]) -> None:
        """In a thread: work until the port is gone or nobody wants it any more; the last one out closes it."""
        try:
            work()
        except OSError:
            pass  # the port is gone
        except Exception as error:  # noqa: BLE001 - a line that nobody serves any more must be known to have ended
            log.get(DEVICE).error("the head's port failed; please report this", exc_info=error)
        self._stop()
        self._call(self._ended.set)
        self._left()

    def _left(self) -> None:
        with self._lock:
            self._running -= 1
            last = self._running == 0
        if last:
            with suppress(OSError):
                self._port.close()
            self._call(self._closed.set)

    def _read(self) -> None:
        while not self._stopping.is_set():
            if data := self._port.read():
                self._call(self._heard, data)

    def _write(self) -> None:
        while (data := self._to_write.get()) is not None:
            self._port.write(data)
            with self._lock:
                self._unsent -= len(data)

    def _heard(self, data: bytes) -> None:
        self._hear(data)

    def _call(self, callback: Callable[..., None], *args: object) -> None:
        with suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(callback, *args)


async def opened(open_port: Callable[[], P], close: Callable[[P], None]) -> P:
    """What `open_port` opens, in a thread; whoever is cancelled meanwhile leaves no open port behind."""
    opening = asyncio.get_running_loop().run_in_executor(None, open_port)
    try:
        return await asyncio.shield(opening)
    except asyncio.CancelledError:
        opening.add_done_callback(
            lambda done: None if done.cancelled() or done.exception() else close(done.result())
        )
        raise
