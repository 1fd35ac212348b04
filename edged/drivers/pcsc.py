"""The chip reader behind PC/SC (pcsc-lite's pcscd): any reader that it has a driver for. Needs the extra `edged[pcsc]`.

Two threads. One watches: which readers there are, whether a card lies on the one that is used, whether pcscd runs; it
waits inside pcscd and takes no processor time. The other is the worker that readings run in.
"""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Final, NamedTuple, Self, TypeVar

from edged import log
from edged.drivers._chip_worker import DEVICE, ChipWorker
from edged.drivers._pcsc_api import Context, PcscLink, ReaderState, scard
from edged.drivers._pcsc_names import choose, is_sam, is_virtual
from edged.drivers.facts import DeviceFacts
from edged.errors import DeviceError, DeviceGoneError
from edged.events import ChipEvent, ChipPlaced, ChipRemoved, DeviceBack, DeviceGone
from edged.uplink.envelope import Provenance
from edged.uplink.fields import MAX_OPAQUE
from edged.verdict import Reason

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping
    from types import TracebackType

    from edged.config import ChipReaderSettings
    from edged.core.emrtd.steps import Exchange, Phase, Step

LOOK_AGAIN_MS: Final = 2000
"""Longest wait inside pcscd. Everything of interest ends it sooner; this is for what pcscd forgot to tell."""

RECONNECT_S: Final = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
"""Pauses between attempts to reach pcscd; the last one repeats. systemd starts it again within a second."""

STOP_AGAIN_S: Final = 0.01
"""A cancellation that comes before the wait it is meant for is lost; it is repeated this often."""

STOP_S: Final = 2.0
"""For the watching thread to end. It always does, unless pcscd itself hangs."""

LOOK_S: Final = 2.0
"""For the first look at the readers, which takes milliseconds unless pcscd hangs."""

T = TypeVar("T")


class Seen(NamedTuple):
    """How things stand at the readers.

    Attributes:
        reader: name of the one that is used, None when there is none.
        state: of that reader; None without one.
        trouble: why there is no reader.
        max_apdu: see `edged.drivers.Chip`.
    """

    reader: str | None
    state: ReaderState | None
    trouble: Reason | None
    max_apdu: int | None = None


class Reader(NamedTuple):
    """One reader as a technician looks at it.

    Attributes:
        name: what to configure, or a part of it.
        kind: "used" (it would be chosen now), "free", or "sam" (never used: the slot of a security module).
        card_present: whether a card lies on it.
        max_apdu: see `edged.drivers.Chip`.
        simulated: whether it is made of software.
    """

    name: str
    kind: str
    card_present: bool
    max_apdu: int | None
    simulated: bool


def list_readers(wanted: str = "") -> tuple[Reader, ...]:
    """All readers that are plugged in. Blocks for some milliseconds. Raises `DeviceError`, as `PcscChip` tells it."""
    with Context() as context:
        names = context.readers()
        chosen = choose(names, wanted)
        found = []
        for name in names:
            kind = "used" if name == chosen else "sam" if is_sam(name) else "free"
            state = context.wait(len(names), name, 0, 0)
            present = state is not None and state.present
            found.append(Reader(name, kind, present, context.max_apdu(name), is_virtual(name)))
        return tuple(found)


class _Watcher:
    """The thread that watches; `tell` is called in it whenever something may have changed."""

    def __init__(self, wanted: str, tell: Callable[[Seen], None]) -> None:
        self._wanted = wanted
        self._tell = tell
        self._stopped = threading.Event()
        self._failures = 0
        self._context: Context | None = None
        self._max_apdu: dict[str, int | None] = {}
        self._thread = threading.Thread(target=self._run, name="chip watch", daemon=True)

    def start(self) -> None:
        self._thread.start()

    async def stop(self) -> None:
        """End the thread, wherever it waits; leave it behind when pcscd doesn't answer."""
        self._stopped.set()
        canceller: threading.Thread | None = None
        with suppress(TimeoutError):
            async with asyncio.timeout(STOP_S):
                while self._thread.is_alive():
                    context = self._context
                    if context is not None and (canceller is None or not canceller.is_alive()):
                        # In a thread as well: to cancel is to ask pcscd.
                        canceller = threading.Thread(target=context.cancel, name="chip cancel", daemon=True)
                        canceller.start()
                    await asyncio.sleep(STOP_AGAIN_S)

    def _run(self) -> None:
        while not self._stopped.is_set():
            try:
                with Context() as context:
                    self._context = context
                    self._follow(context)
            except DeviceError as error:
                self._tell(Seen(None, None, Reason(error.code)))
            except Exception as error:  # noqa: BLE001 - this thread must not end: nothing would tell of the reader
                log.get("chip").error("watching the chip reader failed; please report this", exc_info=error)
                self._tell(Seen(None, None, Reason("chip.reader_failed")))
            finally:
                self._context = None
            self._stopped.wait(RECONNECT_S[min(self._failures, len(RECONNECT_S) - 1)])
            self._failures += 1

    def _follow(self, context: Context) -> None:
        """Look until stopped. Raises `DeviceError`."""
        reader: str | None = None
        event = 0
        while not self._stopped.is_set():
            names = context.readers()
            chosen = choose(names, self._wanted)
            if chosen != reader:
                reader, event = chosen, 0
            if reader is None:
                code = "chip.no_such_reader" if names else "chip.no_reader"
                self._tell(Seen(None, None, Reason(code)))
            elif reader not in self._max_apdu:
                self._max_apdu[reader] = context.max_apdu(reader)
            state = context.wait(len(names), reader, event, LOOK_AGAIN_MS)
            self._failures = 0
            if reader is not None and state is None:  # gone since it was listed
                self._stopped.wait(RECONNECT_S[0])
            elif reader is not None and state is not None:
                event = state.event
                self._tell(Seen(reader, state, None, self._max_apdu[reader]))


def open_chip(settings: ChipReaderSettings) -> PcscChip:
    """The reader that is configured, by a part of its name."""
    return PcscChip(settings.reader or "")


class PcscChip:
    """`edged.drivers.Chip` on a PC/SC reader: the one whose name contains `reader`, a contactless one by preference."""

    def __init__(self, reader: str = "") -> None:
        self._wanted = reader
        self._worker = ChipWorker("chip")
        self._watcher: _Watcher | None = None
        self._seen: Seen | None = None
        self._read_last: str | None = None
        self._link: PcscLink | None = None
        self._happened: asyncio.Queue[ChipEvent] = asyncio.Queue()
        self._looked = asyncio.Event()
        self._log = log.get("chip")

    @property
    def provenance(self) -> Provenance:
        """The reader that read last, or would read now: its name, which has its serial number where it has one."""
        reader = self._read_last or (self._seen.reader if self._seen else None)
        identity = reader[:MAX_OPAQUE] if reader else None
        return Provenance(
            driver="pcsc", identity=identity, simulated=reader is not None and is_virtual(reader)
        )

    @property
    def card_present(self) -> bool:
        """Whether pcscd sees a card on the reader."""
        return self._seen is not None and self._seen.state is not None and self._seen.state.present

    @property
    def trouble(self) -> Reason | None:
        """Why there is no reader; None when there is one."""
        return self._seen.trouble if self._seen else None

    @property
    def max_apdu(self) -> int | None:
        """As the reader's driver tells it (PC/SC part 10)."""
        return self._seen.max_apdu if self._seen else None

    def facts(self) -> DeviceFacts:
        """The reader that would be used now."""
        reader = self._seen.reader if self._seen else None
        return DeviceFacts(present=reader is not None, model=reader, port="pcsc", trouble=self.trouble)

    async def __aenter__(self) -> Self:
        scard()
        loop = asyncio.get_running_loop()

        def tell(seen: Seen) -> None:
            with suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(self._saw, seen)

        self._watcher = _Watcher(self._wanted, tell)
        self._watcher.start()
        try:
            async with asyncio.timeout(LOOK_S):
                await self._looked.wait()
        except TimeoutError:
            self._saw(Seen(None, None, Reason("chip.no_service")))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._watcher is not None:
            await self._watcher.stop()
            self._watcher = None
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

    def _begin(self) -> PcscLink:
        """A link to the reader that is used now. Raises `DeviceGoneError`."""
        seen = self._seen
        if seen is None or seen.reader is None:
            trouble = seen.trouble if seen else None
            raise DeviceGoneError(DEVICE, trouble.code if trouble else "chip.no_reader")
        reset_first = self._link is not None and self._link.unclean
        self._read_last = seen.reader
        self._link = PcscLink(seen.reader, reset_first=reset_first)
        return self._link

    def _saw(self, seen: Seen) -> None:
        """In the event loop: turn what the watcher saw into what happened since."""
        before, self._seen = self._seen, seen
        there = before is not None and before.reader is not None
        lay, lies = _card(before), _card(seen)
        if lay is not None and lay != lies:
            self._happened.put_nowait(ChipRemoved())
        if seen.reader is None and (there or before is None):
            self._happened.put_nowait(DeviceGone(DEVICE))
        if seen.reader is not None and before is not None and not there:
            self._happened.put_nowait(DeviceBack(DEVICE))
        if lies is not None and lies != lay:
            self._happened.put_nowait(ChipPlaced())
        if before is None or (before.reader, before.trouble) != (seen.reader, seen.trouble):
            self._log.info("chip reader", reader=seen.reader, trouble=seen.trouble and seen.trouble.code)
        self._looked.set()


def _card(seen: Seen | None) -> tuple[str | None, int] | None:
    """Which card lies there: on which reader, the how manieth. None when there is none."""
    if seen is None or seen.state is None or not seen.state.present:
        return None
    return seen.reader, seen.state.visits
