"""Photographs the window and reads what it shows: the camera, the lights, the reading thread, the sides at hand."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from edged import log
from edged.drivers import LiveCamera
from edged.drivers.liveness import longest_s, require_live
from edged.errors import DecodeError, DeviceError, DeviceGoneError
from edged.events import (
    CaptureFailed,
    DeviceGone,
    DocumentSwiped,
    Event,
    Frame,
    FrameCaptured,
    Light,
    PageRead,
)
from edged.side import ReadSide, Side
from edged.verdict import Reason

if TYPE_CHECKING:
    from edged.core.reading import PageReading
    from edged.drivers import Camera, Head
    from edged.orders import Capture

ILLUMINATION_MS = 120
"""How long the window is lit for a frame by a camera that doesn't say what it needs."""

BeginSide = Callable[[], Side]
"""A side of which nothing is known yet."""

ReadText = Callable[[tuple[str, ...]], "PageReading"]
"""Judges the lines of an MRZ that no picture shows."""


class Optics:
    """Answers the commands to capture and to read. Keeps the sides of one document until `forget`."""

    def __init__(self, head: Head, camera: Camera, begin_side: BeginSide, read_text: ReadText) -> None:
        self._head = head
        self._camera = camera
        self._begin_side = begin_side
        self._read_text = read_text
        self._sides: list[Side] = []
        self._reading_thread = ThreadPoolExecutor(1, thread_name_prefix="reading")
        self._reading_since: float | None = None
        self._live = False
        self._log = log.get("station")

    async def capture(self, asked: Capture, wanted: Callable[[], bool]) -> Event:
        """Photograph the window, unless the picture isn't `wanted` any more after the pause."""
        try:
            if asked.pause_s:
                await asyncio.sleep(asked.pause_s)
                if not wanted():
                    return CaptureFailed(Reason("inspection.cancelled"))
            if not self._live:
                await self._prove_live()
            hold_ms, lit_at = self._hold_ms(asked.light), time.monotonic()
            if hold_ms > 0:
                await self._head.illuminate(asked.light, hold_ms)
            frame = await self._camera.capture(asked.light)
            if hold_ms > 0 and asked.light is not Light.WHITE and _too_late(frame, lit_at + hold_ms / 1000):
                return CaptureFailed(Reason("camera.too_slow"))
            return FrameCaptured(frame, (self._head.lights & self._camera.lights) | {Light.WHITE})
        except DeviceGoneError as error:
            return DeviceGone(error.device)
        except (DeviceError, DecodeError) as error:
            return CaptureFailed(Reason(error.code))
        except Exception as error:  # noqa: BLE001 - a document must never be able to take the daemon down
            self._log.error("capturing failed; please report this", exc_info=error)
            return CaptureFailed(Reason("inspection.internal_error"))

    async def _prove_live(self) -> None:
        await require_live(self._head, self._camera)
        self._live = True

    def proof_s(self) -> float:
        """How much longer the next picture may take, because the camera proves first what it sees."""
        return 0.0 if self._live else longest_s(self._head, self._camera)

    def _hold_ms(self, light: Light) -> int:
        return self._camera.hold_ms(light) if isinstance(self._camera, LiveCamera) else ILLUMINATION_MS

    def doubt(self) -> None:
        """Have the camera prove before the next picture that it sees this window."""
        self._live = False

    def read(self, frame: Frame, *, again: bool) -> Awaitable[Event]:
        """Read a frame in the reading thread: `again` with those of its side, or as the first of the next side.

        The side is begun before this returns: begun later, it might be the next document's.
        """
        if not again:
            self._sides.append(self._begin_side())
        return self._read(self._sides[-1], frame)

    async def _read(self, side: Side, frame: Frame) -> Event:
        try:
            loop = asyncio.get_running_loop()
            return PageRead(await loop.run_in_executor(self._reading_thread, self._timed, side, frame))
        except Exception as error:  # noqa: BLE001 - a page must never be able to take the daemon down
            self._log.error("reading a page failed; please report this", exc_info=error)
            return CaptureFailed(Reason("inspection.internal_error"))

    def read_lines(self, swiped: DocumentSwiped) -> Awaitable[Event]:
        """Read what a swipe reader delivered, as a side without a picture, begun before this returns."""
        self._sides.append(self._begin_side())
        return self._read_lines(swiped)

    async def _read_lines(self, swiped: DocumentSwiped) -> Event:
        try:
            loop = asyncio.get_running_loop()
            return PageRead(await loop.run_in_executor(self._reading_thread, self._read_text, swiped.lines()))
        except Exception as error:  # noqa: BLE001 - a page must never be able to take the daemon down
            self._log.error("reading swiped lines failed; please report this", exc_info=error)
            return CaptureFailed(Reason("inspection.internal_error"))

    def _timed(self, side: Side, frame: Frame) -> PageReading:
        """In the reading thread."""
        self._reading_since = time.monotonic()
        try:
            return side.add(frame)
        finally:
            self._reading_since = None

    def read_sides(self, readings: Sequence[PageReading]) -> tuple[ReadSide, ...]:
        """The sides that were begun, in order, each with the reading that stands for it."""
        return tuple(side.read(reading) for side, reading in zip(self._sides, readings, strict=True))

    def forget(self) -> None:
        """Overwrite all pictures of the sides, and drop them."""
        for side in self._sides:
            side.forget()
        self._sides.clear()

    def reading_for_s(self) -> float:
        """For how long the reading thread has been at one page; 0 when it isn't."""
        since = self._reading_since
        return 0.0 if since is None else time.monotonic() - since

    def close(self) -> None:
        """Take no further page; the one at hand is read to its end."""
        self._reading_thread.shutdown(wait=False, cancel_futures=True)


def _too_late(frame: Frame, dark_from: float) -> bool:
    """Whether an infrared or ultraviolet picture may show the window without that light, which says other things of it.

    Of a white one nobody need ask: the room's light is as good.
    """
    return frame.shot is not None and frame.shot.at > dark_from
