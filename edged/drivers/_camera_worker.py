"""The thread of one camera: opens it, opens it again when it was gone, and does what is asked of it, one after another.

Nothing of a camera is done anywhere else, and nothing waits for the thread: who doesn't want to wait any more leaves it
with what it is doing, which is grabbing a frame and takes a second at most.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from edged import log
from edged.drivers._camera_eye import Eye, GivenUpError, Standing
from edged.drivers.v4l2 import DEVICE
from edged.errors import DecodeError, DeviceError, DeviceGoneError
from edged.verdict import Reason

if TYPE_CHECKING:
    from collections.abc import Callable

REOPEN_S: Final = (0.2, 0.5, 1.0, 2.0, 5.0)
"""Pauses between attempts to open a camera; the last one repeats. A camera that is plugged in needs a second."""

IDLE_S: Final = 0.5
"""How often a camera that nobody wants pictures of is asked whether it is there."""

STOP_S: Final = 3.0
"""For the thread to end: longer than the longest wait for a frame. It is left behind when the kernel holds it."""

T = TypeVar("T")


class _Job(Generic[T]):
    """One thing to be done with the camera. `give_up` may come from the loop at any time."""

    def __init__(self, work: Callable[[Eye, Callable[[], bool]], T]) -> None:
        self._work = work
        self._loop = asyncio.get_running_loop()
        self._given_up = threading.Event()
        self.result: asyncio.Future[T] = self._loop.create_future()

    def give_up(self) -> None:
        self._given_up.set()

    def run(self, eye: Eye) -> None:
        """In the camera's thread. Raises `DeviceGoneError`, once whoever waits has been told."""
        try:
            value = self._work(eye, lambda: not self._given_up.is_set())
        except GivenUpError:
            return
        except DeviceGoneError as error:
            self.fail(error)
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is belongs to whoever awaits the picture
            self.fail(error)
        else:
            self._post(self._succeeded, value)

    def fail(self, error: Exception) -> None:
        """In the camera's thread."""
        self._post(self._failed, error)

    def _post(self, call: Callable[..., None], argument: Any) -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody waits
            self._loop.call_soon_threadsafe(call, argument)

    def _succeeded(self, value: T) -> None:
        if not self.result.done():
            self.result.set_result(value)

    def _failed(self, error: Exception) -> None:
        if not self.result.done():
            self.result.set_exception(error)


class CameraWorker:
    """The thread, and what waits for it.

    `open_eye` opens the camera, in the thread; `tell` hears there what has changed: how one that is there stands, or
    why there is none.
    """

    def __init__(self, open_eye: Callable[[], Eye], tell: Callable[[Standing | Reason], None]) -> None:
        self._open_eye = open_eye
        self._tell = tell
        self._jobs: queue.SimpleQueue[_Job[Any] | None] = queue.SimpleQueue()
        self._stopped = threading.Event()
        self._reopen = threading.Event()
        self._thread = threading.Thread(target=self._run, name="camera", daemon=True)
        self._failures = 0

    def start(self) -> None:
        self._thread.start()

    async def stop(self) -> None:
        """End the thread, unless the kernel doesn't answer it."""
        self._stopped.set()
        self._jobs.put(None)
        await asyncio.to_thread(self._thread.join, STOP_S)

    def reopen(self) -> None:
        """Close the camera and open it again before the next job: it doesn't film as it should."""
        self._reopen.set()

    async def do(self, work: Callable[[Eye, Callable[[], bool]], T], limit_s: float) -> T:
        """Have `work` done with the camera; its second argument says whether the result is still wanted.

        Raises `DeviceGoneError` when the camera is gone, or was before; `DeviceError` when it takes longer than
        `limit_s`; and what `work` raises.
        """
        job = _Job(work)
        self._jobs.put(job)
        try:
            async with asyncio.timeout(limit_s):
                return await job.result
        except TimeoutError:
            raise DeviceError(DEVICE, "camera.too_slow") from None
        finally:
            job.give_up()

    def _run(self) -> None:
        while not self._stopped.is_set():
            try:
                self._serve()
            except DeviceError as error:
                self._tell(Reason(error.code, {"detail": error.detail} if error.detail else {}))
                self._wait_without(DeviceGoneError(DEVICE, error.code, error.detail))
            except DecodeError as error:
                self._tell(Reason(error.code))
                self._wait_without(DeviceGoneError(DEVICE, error.code))
            except Exception as error:  # noqa: BLE001 - this thread must not end: nothing would tell of the camera
                log.get("camera").error("the camera failed; please report this", exc_info=error)
                self._tell(Reason("camera.failed"))
                self._wait_without(DeviceGoneError(DEVICE, "camera.failed"))
        self._refuse(DeviceGoneError(DEVICE, "camera.not_there"))

    def _serve(self) -> None:
        """Open the camera and serve until stopped. Raises `DeviceError` when it is gone or can't be opened."""
        eye = self._open_eye()
        try:
            self._reopen.clear()
            self._tell(eye.standing)
            while not self._stopped.is_set() and not self._reopen.is_set():
                try:
                    job = self._jobs.get(timeout=IDLE_S)
                except queue.Empty:
                    eye.still_there()
                    continue
                if job is not None:
                    job.run(eye)
                    self._failures = 0
                    del job
        finally:
            eye.close()

    def _wait_without(self, why: DeviceGoneError) -> None:
        """Wait before the next attempt; whoever wants a picture meanwhile hears why there is none."""
        pause = REOPEN_S[min(self._failures, len(REOPEN_S) - 1)]
        self._failures += 1
        self._refuse(why)
        self._stopped.wait(pause)

    def _refuse(self, why: DeviceGoneError) -> None:
        with suppress(queue.Empty):
            while True:
                job = self._jobs.get_nowait()
                if job is not None:
                    job.fail(why)
