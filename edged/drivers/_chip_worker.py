"""Runs exchanges with a chip in one thread of the reader's own, so that no chip can ever hold up the event loop.

The whole exchange runs in that thread: a command goes out as soon as the last answer is in. A command can't be taken
back once it is under way, so whoever doesn't want to wait for its answer, because the reading was cancelled or took too
long, leaves the thread with it: the answer is dropped when it comes, and the next reading begins then.
"""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from contextlib import suppress
from enum import Enum, auto
from typing import TYPE_CHECKING, Any, Final, Generic, Protocol, TypeVar

from edged.core.emrtd.apdu import Command
from edged.core.emrtd.steps import PhaseBegan, drive
from edged.errors import ChipError, ChipGoneError, ChipOverrunError, DeviceError, DeviceGoneError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from edged.core.emrtd.steps import Exchange, Phase, Step

DEVICE: Final = "chip"

CONNECT_S: Final = 5.0
"""For powering a chip up. The slowest take a second; a reader tries up to three voltages and speeds."""

GRACE_S: Final = 0.05
"""A phase that ends between two commands is noticed by `drive` itself; this much later it is one command that hangs."""

CLOSE_S: Final = 2.0
"""For the command under way to end when the driver closes. Longer than that, its thread is left to the process' end."""

MAX_LAST_STEPS: Final = 1000
"""An exchange that is told its chip is gone says what it has; one that goes on asking is our own bug."""

T = TypeVar("T")


class Link(Protocol):
    """A way to one chip. Blocking, used in the worker's thread alone, for one reading."""

    lost: str | None
    """The code of why the reader itself is gone, when it is."""

    def connect(self, given_up: threading.Event) -> None:
        """Power the chip up. Raises `DeviceError`, `ChipError`; ends early when `given_up` is set."""
        ...

    def transmit(self, apdu: bytes) -> bytes:
        """One command and its answer. Raises `ChipError`, and `ChipGoneError` when nothing can be asked any more."""
        ...

    def disconnect(self) -> None:
        """Reset the chip and let go of it. Never raises. Also called when `connect` failed or never was called."""
        ...


class _State(Enum):
    QUEUED = auto()
    CONNECTING = auto()
    THINKING = auto()
    ASKING = auto()
    OVER = auto()


class _GivenUpError(Exception):
    """Nobody waits for this reading any more."""


class _Job(Generic[T]):
    """One reading. Its exchange belongs to the worker, and to whoever gave up while a command was under way."""

    def __init__(
        self,
        link: Link,
        exchange: Exchange[T],
        watch: Callable[[Step], None],
        budget_s: Mapping[Phase, float],
    ) -> None:
        self._link = link
        self._exchange = exchange
        self._watch = watch
        self._budget_s = budget_s
        self._loop = asyncio.get_running_loop()
        self.result: asyncio.Future[T] = self._loop.create_future()
        self._given_up = threading.Event()
        self._lock = threading.Lock()
        self._state = _State.QUEUED
        self._timer = self._loop.call_later(CONNECT_S, self._late)
        self._phase: Phase | None = None

    # --- in the worker's thread ---

    def run(self) -> None:
        """Connect, drive the exchange to its end, tell the result, disconnect."""
        try:
            try:
                self._enter(_State.CONNECTING)
                self._link.connect(self._given_up)
                self._enter(_State.THINKING)
                value = drive(
                    self._exchange,
                    self._transmit,
                    watch=self._tell,
                    budget_s=self._budget_s,
                    clock=time.monotonic,
                )
                self._enter(_State.OVER)
                self._post(self._succeeded, value)
            finally:
                self._link.disconnect()
        except _GivenUpError:
            pass
        except Exception as error:  # noqa: BLE001 - whatever it is belongs to whoever awaits the reading
            self._post(self._failed, self._blamed(error))

    def _transmit(self, apdu: bytes) -> bytes:
        self._enter(_State.ASKING)
        try:
            return self._link.transmit(apdu)
        finally:
            self._enter(_State.THINKING)

    def _enter(self, state: _State) -> None:
        with self._lock:
            if self._given_up.is_set():
                raise _GivenUpError
            self._state = state

    def _blamed(self, error: Exception) -> Exception:
        """A chip that is gone because its reader is gone is the reader's trouble."""
        if isinstance(error, ChipGoneError) and self._link.lost is not None:
            gone = DeviceGoneError(DEVICE, self._link.lost)
            gone.__cause__ = error
            return gone
        return error

    def _tell(self, step: Step) -> None:
        self._post(self._told, step)

    def _post(self, call: Callable[..., None], argument: Any) -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody waits
            self._loop.call_soon_threadsafe(call, argument)

    # --- in the event loop ---

    def give_up(self) -> _State:
        """Nobody waits any more. Returns what was being done; the exchange is ours if a command is under way."""
        self._timer.cancel()
        with self._lock:
            self._given_up.set()
            return self._state

    def _told(self, step: Step) -> None:
        if self.result.done():
            return
        if isinstance(step, PhaseBegan):
            self._timer.cancel()
            self._phase = step.phase
            limit = self._budget_s.get(step.phase)
            if limit is not None:
                self._timer = self._loop.call_later(limit + GRACE_S, self._late)
        self._watch(step)

    def _late(self) -> None:
        """The time is up; `drive` would have said so if it weren't waiting for the chip."""
        if self.result.done():
            return
        with self._lock:
            state = self._state
            if state in {_State.QUEUED, _State.CONNECTING} or (
                state is _State.ASKING and self._phase is not None
            ):
                self._given_up.set()
        match state:
            case _State.QUEUED:
                self._failed(DeviceError(DEVICE, "chip.reader_stuck"))
            case _State.CONNECTING:
                self._failed(ChipError("chip.mute"))
            case _State.ASKING if self._phase is not None:
                self._conclude(ChipOverrunError(self._phase.value))
            case _State.THINKING if self._phase is not None:
                self._timer = self._loop.call_later(GRACE_S, self._late)
            case _:
                pass  # over, or without a budget

    def _conclude(self, error: ChipError | None) -> None:
        """Let the exchange say what it has: the chip doesn't answer any more."""
        for _ in range(MAX_LAST_STEPS):
            try:
                step = self._exchange.send(None) if error is None else self._exchange.throw(error)
            except StopIteration as stop:
                self._succeeded(stop.value)
                return
            except Exception as raised:  # noqa: BLE001 - belongs to whoever awaits the reading
                self._failed(raised)
                return
            if isinstance(step, Command):
                error = ChipGoneError("chip.no_answer")
            else:
                error = None
                self._watch(step)
        raise AssertionError("an exchange goes on asking a chip that is gone")

    def _succeeded(self, value: T) -> None:
        self._timer.cancel()
        if not self.result.done():
            self.result.set_result(value)

    def _failed(self, error: Exception) -> None:
        self._timer.cancel()
        if not self.result.done():
            self.result.set_exception(error)


class ChipWorker:
    """The thread of one reader, and who may use it next."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._jobs: queue.SimpleQueue[_Job[Any] | None] = queue.SimpleQueue()
        self._turn = asyncio.Lock()
        self._thread: threading.Thread | None = None

    async def read(
        self,
        begin: Callable[[], Link],
        exchange: Exchange[T],
        *,
        watch: Callable[[Step], None],
        budget_s: Mapping[Phase, float] | None,
    ) -> T:
        """As `edged.drivers.Chip.read`; one reading at a time, the next waits for its turn.

        `begin` makes the link when its turn has come, and raises what is wrong by then.
        """
        async with self._turn:
            link = begin()
            if self._thread is None:
                # Left behind at exit rather than waited for: it may be in a command that never ends.
                self._thread = threading.Thread(target=self._work, name=self._name, daemon=True)
                self._thread.start()
            job = _Job(link, exchange, watch, budget_s or {})
            self._jobs.put(job)
            try:
                return await job.result
            finally:
                job.give_up()

    async def close(self) -> None:
        """Wait for the thread's end, but not for a chip that doesn't answer."""
        if self._thread is not None:
            thread, self._thread = self._thread, None
            self._jobs.put(None)
            await asyncio.to_thread(thread.join, CLOSE_S)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            job.run()
            del job  # with its exchange, and the keys in it
