"""A receipt printer that understands ESC/POS (docs/printers.md): `edged.drivers.Printer`.

The port is opened for every operation, in a thread of its own, and closed after it: printers are switched off and on,
and pulled out. Encoders are python-escpos'; its own ways to a printer block without an end, so ours are used.
"""

from __future__ import annotations

import asyncio
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Self, TypeVar

from edged import log
from edged.drivers import escpos_status as asking
from edged.drivers.escpos_bytes import Paper, encode
from edged.drivers.escpos_ways import DEVICE, AbandonedError, Abort, failure, open_way, simulated
from edged.drivers.print_job import PrinterStatus
from edged.errors import DeviceError, DeviceGoneError
from edged.uplink.envelope import Provenance

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from edged.device_settings import PrinterSettings
    from edged.drivers.escpos_ways import Way
    from edged.drivers.print_job import PrintJob

ANSWER_S: Final = 0.7
"""For the answer to a question about the status; it comes within milliseconds, over a network within tens of them."""
STALE_S: Final = 0.005
STALE_READS: Final = 16
"""For what lies ready when the port is opened; who goes on talking unasked is asked all the same."""
DONE_S: Final = 20.0
"""For a job that is in the printer's memory to have been printed: 64 KiB of pictures take ten seconds."""
CLOSE_S: Final = 2.0
"""For the threads of abandoned operations to end. A transfer that hangs inside libusb is left to its own limit."""

T = TypeVar("T")


class EscposPrinter:
    """`edged.drivers.Printer` on a tty, USB or TCP; nothing is held open between two operations."""

    def __init__(self, settings: PrinterSettings) -> None:
        assert settings.port is not None, "edged.device_checks demands it"
        self._port = settings.port
        self._baud = settings.baud
        self.paper = Paper(
            settings.width_mm, settings.chinese, settings.font, settings.qr == "native", settings.cutter
        )
        self._lock = asyncio.Lock()
        self._threads: dict[threading.Thread, Abort] = {}
        self._log = log.get(DEVICE)

    @property
    def provenance(self) -> Provenance:
        """The port; a printer tells nothing that identifies it."""
        return Provenance(driver="escpos", identity=self._port, simulated=simulated(self._port))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for abort in self._threads.values():
            abort.set()
        ends = time.monotonic() + CLOSE_S
        for thread in list(self._threads):
            await asyncio.to_thread(thread.join, max(0.0, ends - time.monotonic()))

    async def status(self) -> PrinterStatus:
        """See `edged.drivers.Printer.status`."""
        with suppress(DeviceError):
            return await self._run(lambda way: _status(way, model=True))
        return PrinterStatus(answers=False)

    async def print(self, job: PrintJob) -> None:
        """See `edged.drivers.Printer.print`. "printer.stuck" when it takes nothing more and doesn't say why."""
        await self._run(lambda way: self._print(way, job))

    def _print(self, way: Way, job: PrintJob) -> None:
        data = encode(job.elements(), self.paper)
        try:
            status = _status(way)
            _refuse(status)
            says_when_done = status.paper is not None and _done(way, ANSWER_S)
            try:
                way.write(memoryview(data))
            except TimeoutError as error:
                _refuse(_status(way))
                raise DeviceError(DEVICE, "printer.stuck") from error
            if says_when_done:
                _await_done(way)
            elif status.paper is not None:
                _refuse(_status(way))
        finally:
            data[:] = bytes(len(data))

    async def _run(self, work: Callable[[Way], T]) -> T:
        """Run `work` with the port open, in a thread. A cancelled one ends by itself; the next waits for that."""
        async with self._lock:
            for thread in list(self._threads):
                await asyncio.to_thread(thread.join)
            loop = asyncio.get_running_loop()
            result: asyncio.Future[T] = loop.create_future()
            abort = Abort()

            def run() -> None:
                try:
                    outcome: T | Exception = _operate(self._port, self._baud, abort, work)
                except Exception as error:  # noqa: BLE001 - whatever it is belongs to whoever awaits it
                    outcome = error
                with suppress(RuntimeError):  # the loop is closed: nobody waits
                    loop.call_soon_threadsafe(ended, outcome)

            def ended(outcome: T | Exception) -> None:
                del self._threads[thread]
                abort.close()
                if result.done():
                    return
                if isinstance(outcome, Exception):
                    result.set_exception(outcome)
                else:
                    result.set_result(outcome)

            thread = threading.Thread(target=run, name="printer", daemon=True)
            self._threads[thread] = abort
            thread.start()
            try:
                return await result
            except asyncio.CancelledError:
                if thread in self._threads:
                    abort.set()
                raise


def _operate(port: str, baud: int, abort: Abort, work: Callable[[Way], T]) -> T:
    """One operation, in its thread. Raises `DeviceError`."""
    way: Way | None = None
    try:
        way = open_way(port, baud, abort)
        _drop_stale(way)
        return work(way)
    except AbandonedError as error:
        raise DeviceGoneError(DEVICE, "printer.gone") from error
    except OSError as error:
        raise failure(error) from error
    finally:
        if way is not None:
            way.close()


def _drop_stale(way: Way) -> None:
    """What the printer still had to say to whoever asked before: taken for our answer, it could say "printed"."""
    for _ in range(STALE_READS):
        if not way.read(STALE_S):
            return


def _status(way: Way, *, model: bool = False) -> PrinterStatus:
    """Ask; None where no answer comes. Raises `OSError`."""
    offline = _ask(way, asking.ASK_OFFLINE)
    if offline is None:  # it says nothing of itself: a question more would be half a second more
        return PrinterStatus(answers=True)
    paper = _ask(way, asking.ASK_PAPER)
    ended = asking.stopped_by_paper(offline) or (paper is not None and asking.paper_ended(paper))
    name = None
    if model and not ended and not asking.cover_open(offline):
        way.write(memoryview(asking.ASK_MODEL))
        name = asking.model_name(_until(way, lambda heard: asking.model_name(heard) is not None))
    return PrinterStatus(
        answers=True,
        paper=not ended,
        paper_low=None if paper is None else asking.paper_low(paper),
        cover_closed=not asking.cover_open(offline),
        model=name,
    )


def _ask(way: Way, question: bytes) -> int | None:
    way.write(memoryview(question))
    heard = _until(way, lambda heard: any(map(asking.is_answer, heard)))
    return next((byte for byte in heard if asking.is_answer(byte)), None)


def _until(way: Way, enough: Callable[[bytes], bool], seconds: float = ANSWER_S) -> bytes:
    """What comes until it is enough, or the time is over."""
    heard = b""
    ends = time.monotonic() + seconds
    while not enough(heard) and len(heard) < 256 and (left := ends - time.monotonic()) > 0:
        heard += way.read(left)
    return heard


def _refuse(status: PrinterStatus) -> None:
    if status.cover_closed is False:
        raise DeviceError(DEVICE, "printer.cover_open")
    if status.paper is False:
        raise DeviceError(DEVICE, "printer.no_paper")


def _done(way: Way, seconds: float) -> bool:
    """Whether it says within the time that it has printed everything; many printers never do."""
    way.write(memoryview(asking.ASK_DONE))
    return any(map(asking.is_done, _until(way, lambda heard: any(map(asking.is_done, heard)), seconds)))


def _await_done(way: Way) -> None:
    """Wait until the printer has printed. Raises `DeviceError` where it stopped in the middle."""
    way.write(memoryview(asking.ASK_DONE))
    ends = time.monotonic() + DONE_S
    while time.monotonic() < ends:
        # Asked in between: a printer that has stopped answers nothing else.
        heard = _until(way, lambda heard: any(map(asking.is_done, heard)))
        if any(map(asking.is_done, heard)):
            return
        way.write(memoryview(asking.ASK_OFFLINE))
        heard = _until(way, bool)
        if any(map(asking.is_done, heard)):
            return
        offline = next(filter(asking.is_answer, heard), None)
        if offline is not None:
            stopped = asking.stopped_by_paper(offline)
            _refuse(PrinterStatus(True, not stopped, cover_closed=not asking.cover_open(offline)))
    raise DeviceError(DEVICE, "printer.stuck")


def open_printer(settings: PrinterSettings) -> EscposPrinter:
    """The printer that the settings name; it may be switched on later."""
    return EscposPrinter(settings)


open = open_printer  # noqa: A001 - the name that the registry of drivers looks for
