"""The ID-card module (居民身份证 SAM) on a tty or on USB: `edged.drivers.IdCard`.

One thread of the driver's own talks to the module: it finds it, asks it once a second whether a card lies there, and
reads when somebody asks for it. A module that is gone, mute or faulty is looked for again, in longer and longer pauses.
"""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from contextlib import suppress
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self

from edged import log
from edged.core.id_card import IdCardReading, parse_id_card
from edged.device_checks import ID_CARD_BAUDS
from edged.drivers._sam_serial import serial_ports
from edged.drivers._sam_usb import VENDOR_PRODUCT, Endpoints, UsbPort
from edged.drivers._sam_wire import SamPort, StoppedError, Wire
from edged.drivers.sam_presence import Presence
from edged.drivers.sam_session import (
    DEVICE,
    MODULE_TROUBLE,
    SIMULATED_SAM,
    find,
    identify,
    read_card,
)
from edged.errors import DecodeError, DeviceError, DeviceGoneError
from edged.events import DeviceBack, DeviceGone, IdCardEvent
from edged.uplink.envelope import Provenance
from edged.verdict import Reason

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from types import TracebackType

    from edged.device_settings import IdCardSettings

POLL_S: Final = 1.0
"""Between two questions whether a card lies there."""

RECONNECT_S: Final = (0.2, 0.5, 1.0, 2.0, 5.0)
"""Pauses between attempts to find the module; the last one repeats."""

LOOK_S: Final = 2.0
"""For the first look at the module. One that is there answers within milliseconds at the usual speed."""

STOP_S: Final = 2.0
"""For the thread to end: it looks up every `SLICE_S`, unless the kernel hangs in a port."""


def open(settings: IdCardSettings, *, today: Callable[[], date] | None = None) -> Sam:  # noqa: A001 - as every driver
    """The module that these settings name. `today` tells which births lie in the future; None: by the clock, UTC."""
    return Sam(lambda: _ports(settings), additional_address=settings.additional_address, today=today)


def _ports(settings: IdCardSettings, backend: Any = None) -> Iterator[SamPort]:
    """Ways to the module, to be tried in turn and closed by whoever takes one. Raises `DeviceGoneError`."""
    if settings.port is not None:
        yield from serial_ports(settings.port, ID_CARD_BAUDS if settings.baud is None else (settings.baud,))
        return
    usual = Endpoints()
    endpoints = Endpoints(settings.usb_out or usual.out, settings.usb_in or usual.into)
    yield UsbPort(settings.usb or VENDOR_PRODUCT, endpoints, backend)


class Seen(NamedTuple):
    """How things stand at the module.

    Attributes:
        module: its SAM number; None when there is none that answers.
        simulated: whether no hardware stands behind it.
        trouble: why it can't be used.
        card_present: see `edged.drivers.IdCard`.
        happened: what happened at it since.
    """

    module: str | None
    simulated: bool = False
    trouble: Reason | None = None
    card_present: bool = False
    happened: tuple[IdCardEvent, ...] = ()


class _Looked(NamedTuple):
    """What one look at the module came to."""

    trouble: Reason | None
    happened: tuple[IdCardEvent, ...]


class _Job:
    """One reading that somebody waits for."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.result: asyncio.Future[IdCardReading] = self._loop.create_future()

    def done(self, found: IdCardReading | Exception) -> None:
        """Tell the outcome, from the driver's thread."""
        try:
            self._loop.call_soon_threadsafe(self._set, found)
        except RuntimeError:  # the loop is closed: nobody waits
            self._drop(found)

    def _set(self, found: IdCardReading | Exception) -> None:
        if self.result.done():  # nobody waits any more
            self._drop(found)
        elif isinstance(found, Exception):
            self.result.set_exception(found)
        else:
            self.result.set_result(found)

    @staticmethod
    def _drop(found: IdCardReading | Exception) -> None:
        if isinstance(found, IdCardReading):
            found.forget()


class _Worker:
    """The thread; `tell` is called in it whenever something may have changed."""

    def __init__(
        self,
        ports: Callable[[], Iterator[SamPort]],
        tell: Callable[[Seen], None],
        today: Callable[[], date],
        *,
        additional_address: bool,
        poll_s: float,
    ) -> None:
        self._ports = ports
        self._tell = tell
        self._today = today
        self._additional_address = additional_address
        self._poll_s = poll_s
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._stopped = threading.Event()
        self._presence = Presence()
        self._failures = 0
        self._thread = threading.Thread(target=self._run, name="id card", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def ask(self, job: _Job) -> None:
        """Read the card that lies there."""
        self._jobs.put(job)

    async def stop(self) -> None:
        """End the thread; leave it behind when the port itself hangs."""
        self._stopped.set()
        self._jobs.put(None)
        if self._thread.is_alive():
            await asyncio.to_thread(self._thread.join, STOP_S)

    def _run(self) -> None:
        with suppress(StoppedError):
            while not self._stopped.is_set():
                try:
                    self._attach()
                except DeviceError as error:
                    self._pause(error)
                except StoppedError:
                    break
                except Exception as error:  # noqa: BLE001 - this thread must not end: nothing would tell of the module
                    log.get(DEVICE).error("the ID-card driver failed; please report this", exc_info=error)
                    self._pause(DeviceError(DEVICE, "idcard.driver_failed"))
        self._refuse_the_rest()

    def _pause(self, trouble: DeviceError) -> None:
        """Until the module is looked for again; whoever wants a card read meanwhile hears why it isn't."""
        self._tell(Seen(None, trouble=Reason(trouble.code), happened=self._presence.gone()))
        until = time.monotonic() + RECONNECT_S[min(self._failures, len(RECONNECT_S) - 1)]
        self._failures += 1
        while (job := self._job_until(until)) is not None:
            job.done(DeviceGoneError(DEVICE, trouble.code))

    def _attach(self) -> None:
        """Find the module and serve it until it is gone. Raises `DeviceError`, `StoppedError`."""
        silent: DeviceGoneError | None = None
        for port in self._ports():
            try:
                wire = Wire(port, self._stopped)
                try:
                    module = wire.run(identify())
                except DeviceGoneError as error:  # perhaps at another speed
                    if silent is None or silent.code == "idcard.mute":
                        silent = error  # noise says more than silence
                    continue
                self._serve(wire, Seen(module, port.simulated or module == SIMULATED_SAM))
            finally:
                port.close()
        raise silent or DeviceGoneError(DEVICE, "idcard.no_module")

    def _serve(self, wire: Wire, seen: Seen) -> None:
        """Ask for cards, and read them, until the module is gone. Raises `DeviceError`, `StoppedError`.

        It is told to be there once it has looked for a card: one that says its name and can't do more comes to nothing
        in longer and longer pauses, instead of coming and going many times a second.
        """
        looked = self._look(wire)
        self._failures = 0
        seen = seen._replace(trouble=looked.trouble, card_present=self._presence.unread)
        self._tell(seen._replace(happened=looked.happened))
        while True:
            until = time.monotonic() + self._poll_s
            while (job := self._job_until(until)) is not None:
                seen = self._read(wire, seen, job)
                until = time.monotonic() + self._poll_s
            looked = self._look(wire)
            seen = self._changed(seen, looked.trouble, looked.happened)

    def _look(self, wire: Wire) -> _Looked:
        """Whether a card lies there. Raises `DeviceError` where the module can't work, `StoppedError`."""
        try:
            return _Looked(None, self._presence.looked(wire.run(find())))
        except DeviceGoneError:
            raise
        except DeviceError as error:
            if error.code in MODULE_TROUBLE:  # found again, it is reset
                raise
            return _Looked(Reason(error.code), ())

    def _read(self, wire: Wire, seen: Seen, job: _Job) -> Seen:
        try:
            found: IdCardReading | DeviceError | DecodeError = self._reading(wire)
        except (DeviceGoneError, StoppedError) as error:
            gone = error if isinstance(error, DeviceGoneError) else DeviceGoneError(DEVICE, "idcard.gone")
            job.done(gone)
            raise
        except (DeviceError, DecodeError) as error:
            if error.code in MODULE_TROUBLE:
                job.done(error)
                raise
            found = error
            happened = self._presence.gone() if error.code == "idcard.no_card" else ()
        except BaseException:
            job.done(DeviceError(DEVICE, "idcard.driver_failed"))
            raise
        else:
            happened = self._presence.was_read()
        # What is the case comes before what was waited for: a card that was read is not "present" any more.
        seen = self._changed(seen, None, happened)
        job.done(found)
        return seen

    def _reading(self, wire: Wire) -> IdCardReading:
        """Raises `DeviceError`, `DecodeError`, `StoppedError`."""
        content = wire.run(read_card(additional_address=self._additional_address))
        try:
            return parse_id_card(
                content.text,
                content.photo,
                today=self._today(),
                additional_address=content.additional_address,
            )
        finally:
            content.wipe()

    def _changed(self, seen: Seen, trouble: Reason | None, happened: tuple[IdCardEvent, ...]) -> Seen:
        """Tell how things stand now, where that is something new."""
        now = Seen(seen.module, seen.simulated, trouble, self._presence.unread, happened)
        if now._replace(happened=()) != seen._replace(happened=()) or happened:
            self._tell(now)
        return now

    def _job_until(self, until: float) -> _Job | None:
        """The next reading that is asked for before `until`, and still wanted. Raises `StoppedError`."""
        while True:
            try:
                job = self._jobs.get(timeout=max(0.0, until - time.monotonic()))
            except queue.Empty:
                return None
            if job is None:
                raise StoppedError
            if not job.result.done():
                return job

    def _refuse_the_rest(self) -> None:
        with suppress(queue.Empty):
            while True:
                job = self._jobs.get_nowait()
                if job is not None:
                    job.done(DeviceGoneError(DEVICE, "idcard.gone"))


class Sam:
    """`edged.drivers.IdCard` on a SAM module; made by `open`.

    `ports` gives the ways to the module, each of them tried until it answers.
    """

    def __init__(
        self,
        ports: Callable[[], Iterator[SamPort]],
        *,
        additional_address: bool = False,
        today: Callable[[], date] | None = None,
        poll_s: float = POLL_S,
    ) -> None:
        def tell(seen: Seen) -> None:
            if self._loop is not None:
                with suppress(RuntimeError):  # the loop is closed
                    self._loop.call_soon_threadsafe(self._saw, seen)

        self._loop: asyncio.AbstractEventLoop | None = None
        self._worker = _Worker(
            ports,
            tell,
            today or _utc_today,
            additional_address=additional_address,
            poll_s=poll_s,
        )
        self._seen: Seen | None = None
        self._last: Seen | None = None
        self._happened: asyncio.Queue[IdCardEvent] = asyncio.Queue()
        self._looked = asyncio.Event()
        self._closed = False
        self._log = log.get(DEVICE)

    @property
    def provenance(self) -> Provenance:
        """The module that answers now, or did last: by the number on its label."""
        last = self._last
        return Provenance(
            driver="sam",
            identity=None if last is None else last.module,
            simulated=last is not None and last.simulated,
        )

    @property
    def card_present(self) -> bool:
        """See `edged.drivers.IdCard.card_present`."""
        return self._seen is not None and self._seen.card_present

    @property
    def trouble(self) -> Reason | None:
        """See `edged.drivers.IdCard.trouble`."""
        return self._seen.trouble if self._seen else None

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self._worker.start()
        try:
            async with asyncio.timeout(LOOK_S):
                await self._looked.wait()
        except TimeoutError:
            self._saw(Seen(None, trouble=Reason("idcard.mute")))
        except BaseException:
            await self._worker.stop()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closed = True
        await self._worker.stop()

    async def events(self) -> AsyncIterator[IdCardEvent]:
        """What happens at the module, in order."""
        while True:
            yield await self._happened.get()

    async def read(self) -> IdCardReading:
        """See `edged.drivers.IdCard.read`. Cancelled, it ends at once; what the module still answers is dropped."""
        seen = self._seen
        if self._closed or seen is None or seen.module is None:
            trouble = seen.trouble if seen else None
            raise DeviceGoneError(DEVICE, trouble.code if trouble else "idcard.gone")
        job = _Job()
        self._worker.ask(job)
        return await job.result

    def _saw(self, seen: Seen) -> None:
        """In the event loop: turn what the thread saw into what happened since."""
        before, self._seen = self._seen, seen
        there = before is not None and before.module is not None
        if seen.module is not None:
            self._last = seen
            if before is not None and not there:
                self._happened.put_nowait(DeviceBack(DEVICE))
        for (
            event
        ) in seen.happened:  # a card is taken away before its module goes, and laid down after it came
            self._happened.put_nowait(event)
        if seen.module is None and (there or before is None):
            self._happened.put_nowait(DeviceGone(DEVICE))
        if before is None or (before.module, before.trouble) != (seen.module, seen.trouble):
            self._log.info("ID-card module", module=seen.module, trouble=seen.trouble and seen.trouble.code)
        self._looked.set()


def _utc_today() -> date:
    return datetime.now(UTC).date()
