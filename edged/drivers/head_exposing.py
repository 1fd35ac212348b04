"""One EXPOSE at a time: its steps light up by themselves in the head, and each is measured there."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from edged.drivers.head_light_messages import Expose
from edged.drivers.head_transport import DEVICE
from edged.errors import DeviceError, DeviceGoneError

if TYPE_CHECKING:
    from collections.abc import Callable

    from edged.drivers.head_client import HeadClient
    from edged.drivers.head_events import Exposed, Lamp
    from edged.drivers.head_light_messages import Step

GRACE_S: Final = 2.0
"""Beyond the steps' own time, for the event of the last one to come."""


BUSY_S: Final = 3.0
"""For light while an update writes a sector or verifies an image, or a lamp rests: a document that was laid down
meanwhile isn't refused for it. Less than a camera or an inspection waits for a picture."""


@dataclass(frozen=True)
class MeasuredWindow:
    """One step as it was.

    Attributes:
        step: its number, from 1.
        lamp: None for a dark step.
        strobe_us: when the strobe line rose, in µs of the head's clock.
        window_us: for how long it was up.
        complete: False when it was cut short (cover opened, too hot): no further step follows.
        began_s: when it rose by this machine's monotonic clock: late by the event's way, some ms.
        ended_s: when it fell, likewise.
    """

    step: int
    lamp: Lamp | None
    strobe_us: int
    window_us: int
    complete: bool
    began_s: float
    ended_s: float


class Exposing:
    """Collects what the head measures."""

    def __init__(self, client: HeadClient) -> None:
        self._client = client
        self._one = asyncio.Lock()
        self._done: asyncio.Future[None] | None = None
        self._steps: tuple[Step, ...] = ()
        self._asked_at = 0.0
        self._windows: list[MeasuredWindow] = []
        self._on_step: Callable[[MeasuredWindow], None] = lambda _: None

    async def expose(
        self, steps: tuple[Step, ...], on_step: Callable[[MeasuredWindow], None]
    ) -> tuple[MeasuredWindow, ...]:
        """See `edged.drivers.head.LinkedHead.expose`."""
        takes_s = sum(step.lead_us + step.window_us for step in steps) / 1e6
        async with self._one:
            loop = asyncio.get_running_loop()
            self._steps, self._windows, self._on_step, self._asked_at = steps, [], on_step, loop.time()
            done = self._done = loop.create_future()
            try:
                await self._client.request_when_free(Expose(steps), BUSY_S)
                async with asyncio.timeout(takes_s + GRACE_S):
                    await done
            except TimeoutError as error:
                raise DeviceError(DEVICE, "reader_head.no_reply") from error
            finally:
                self._done = None
            return tuple(self._windows)

    def told(self, exposed: Exposed, at: float) -> None:
        """A step is over."""
        if self._done is None or self._done.done() or at < self._asked_at:
            return  # of an exposure that nobody waits for any more
        if exposed.step != len(self._windows) + 1 or exposed.lamp != self._steps[exposed.step - 1].lamp:
            return
        window = MeasuredWindow(
            step=exposed.step,
            lamp=exposed.lamp,
            strobe_us=exposed.strobe_us,
            window_us=exposed.window_us,
            complete=exposed.complete,
            began_s=at - exposed.window_us / 1e6,
            ended_s=at,
        )
        self._windows.append(window)
        self._on_step(window)
        if len(self._windows) == len(self._steps) or not exposed.complete:
            self._done.set_result(None)

    def lost(self, code: str) -> None:
        """The session is over."""
        if self._done is not None and not self._done.done():
            self._done.set_exception(DeviceGoneError(DEVICE, code))
            self._done.exception()  # the request may fail first: then nobody asks for it
