"""One reader, one thread: every call of the SDK is made there, and it opens the reader again when it was gone.

Head and camera are two drivers to edged and one device to the SDK: they share a connection, by its serial number.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from acme_reader import sdk
from edged.drivers import codes
from edged.errors import DeviceError, DeviceGoneError

T = TypeVar("T")

LOOK_MS = 20
"""One wait for an event: how long a command waits for its turn at most."""

RETRY_S = (0.05, 0.2, 0.5, 1.0, 2.0, 5.0)
"""Pauses between attempts to open the reader; the last one repeats."""

CODES = {
    sdk.BUSY: codes.HELD,
    sdk.BAD_LAMP: codes.NO_SUCH_LIGHT,
    sdk.COVER_OPEN: codes.COVER_OPEN,
}
"""The SDK's numbers in edged's words (docs/drivers.md lists them); any other is `codes.FAILED`."""


class Connection:
    """A reader that may come and go; its drivers hear, in the event loop, what happens.

    Attributes:
        hears: whom to tell: "back", "gone", "laid", "turned", "lifted", "pressed".
        present: whether the reader answers.
        page: whether something lies in its window.
        trouble: a code, while it doesn't answer.
    """

    def __init__(self, serial: str) -> None:
        self._serial = serial
        self._users = 0
        self._jobs: queue.SimpleQueue[Callable[[sdk.Handle | None], None]] = queue.SimpleQueue()
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self.hears: list[Callable[[str], None]] = []
        self.present = False
        self.page = False
        self.trouble: str | None = None
        self._looked = asyncio.Event()

    async def enter(self, hear: Callable[[str], None]) -> None:
        """Start, for the first of its drivers. Returns once it is known whether the reader is there."""
        self.hears.append(hear)
        self._users += 1
        if self._users == 1:
            self._loop = asyncio.get_running_loop()
            self._looked = asyncio.Event()
            self._stopped.clear()
            self._thread = threading.Thread(target=self._run, name=f"acme {self._serial}", daemon=True)
            self._thread.start()
        await self._looked.wait()
        hear("back" if self.present else "gone")
        if self.page:
            hear("laid")

    async def leave(self, hear: Callable[[str], None]) -> None:
        """Stop, after the last."""
        self.hears.remove(hear)
        self._users -= 1
        if self._users == 0 and self._thread is not None:
            self._stopped.set()
            await asyncio.to_thread(self._thread.join)
            self._thread = None

    async def call(self, device: str, work: Callable[[sdk.Handle], T]) -> T:
        """Run `work` in the reader's thread. Raises `DeviceGoneError`, `DeviceError`.

        Whoever is cancelled doesn't wait: what has begun ends unheard, what hasn't is not begun.
        """
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[T] = loop.create_future()

        def job(handle: sdk.Handle | None) -> None:
            if answer.cancelled():
                return
            try:
                if handle is None:
                    raise DeviceGoneError(device, self.trouble or codes.UNPLUGGED)
                result = work(handle)
            except sdk.SdkError as error:
                lost = error.number in (sdk.LOST, sdk.NOT_FOUND)
                failure = (
                    DeviceGoneError(device, codes.UNPLUGGED)
                    if lost
                    else DeviceError(device, CODES.get(error.number, codes.FAILED), f"Acme {error.number}")
                )
                loop.call_soon_threadsafe(_fail, answer, failure)
                if lost:
                    raise
            except DeviceError as error:
                loop.call_soon_threadsafe(_fail, answer, error)
            else:
                loop.call_soon_threadsafe(_settle, answer, result)

        self._jobs.put(job)
        return await answer

    def _run(self) -> None:
        handle: sdk.Handle | None = None
        failures = 0
        while not self._stopped.is_set():
            try:
                if handle is None:
                    handle = sdk.open_reader(self._serial)
                    failures = 0
                    self._tell("back", None)
                self._serve(handle)
            except sdk.SdkError as error:
                code = CODES.get(error.number, codes.UNPLUGGED)
                if handle is not None or failures == 0:
                    self._tell("gone", code)
                handle = None
                self._refuse_until(RETRY_S[min(failures, len(RETRY_S) - 1)])
                failures += 1
        if handle is not None:
            sdk.close(handle)

    def _serve(self, handle: sdk.Handle) -> None:
        """What waits to be done, then one look for what happened. Raises `SdkError` when the reader is gone."""
        while True:
            try:
                job = self._jobs.get_nowait()
            except queue.Empty:
                break
            job(handle)
        what = sdk.wait_event(handle, LOOK_MS)
        if what is not None:
            self._tell(what, None)

    def _refuse_until(self, seconds: float) -> None:
        """Nobody waits for a reader that isn't there: whoever asks meanwhile is told so at once."""
        steps = max(1, int(seconds * 1000 / LOOK_MS))
        for _ in range(steps):
            if self._stopped.is_set():
                return
            try:
                self._jobs.get(timeout=LOOK_MS / 1000)(None)
            except queue.Empty:
                continue

    def _tell(self, what: str, trouble: str | None) -> None:
        def heard() -> None:
            if what in ("gone", "back"):
                self.present, self.trouble = what == "back", trouble
                self.page = False
            elif what in ("laid", "lifted"):
                self.page = what == "laid"
            first = not self._looked.is_set()
            self._looked.set()
            if not (first and what in ("gone", "back")):  # `enter` tells each of its drivers how it began
                for hear in tuple(self.hears):
                    hear(what)

        assert self._loop is not None
        try:
            self._loop.call_soon_threadsafe(heard)
        except RuntimeError:  # the loop is closed
            return


def _settle(answer: asyncio.Future[Any], result: object) -> None:
    if not answer.done():
        answer.set_result(result)


def _fail(answer: asyncio.Future[Any], error: Exception) -> None:
    if not answer.done():
        answer.set_exception(error)


_connections: dict[str, Connection] = {}


def shared(serial: str) -> Connection:
    """The connection of a serial number, the same for both drivers."""
    return _connections.setdefault(serial, Connection(serial))
