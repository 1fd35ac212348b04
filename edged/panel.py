"""What the clerk sees and hears at the head: the indicator and the buzzer. A head that can't is never waited for."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from edged import log
from edged.errors import DeviceError, DeviceGoneError
from edged.events import Indication

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from edged.drivers import Head

INDICATE_TIMEOUT_S = 2.0
"""A head that takes longer to show something or to beep is treated as faulty for that once."""

BLINK_S = 0.4
"""Slow enough to be no flicker, fast enough to be no ordinary change of what is shown."""


class Panel:
    """The head's indicator and buzzer; `on_gone` is told the device that doesn't answer any more."""

    def __init__(self, head: Head, on_gone: Callable[[str], None]) -> None:
        self._head = head
        self._on_gone = on_gone
        self._log = log.get("station")
        self._identifying: asyncio.Task[None] | None = None
        self.indication = Indication.READY

    async def show(self, indication: Indication) -> None:
        """Show `indication`; remembered even when the head can't."""
        self.indication = indication
        await self._at_head(self._head.indicate(indication))

    async def beep(self) -> None:
        """Sound the buzzer once."""
        await self._at_head(self._head.beep())

    @property
    def identifying(self) -> bool:
        """Whether it blinks, to be found."""
        return self._identifying is not None

    async def identify(self, seconds: float) -> None:
        """Blink and beep for so long, so that somebody finds this box among others; then show `indication` again.

        It ends early, and shows nothing, when `stop_identifying` is called.
        """
        task = self._identifying = asyncio.create_task(self._blink(seconds), name="identify")
        try:
            await asyncio.wait((task,))
        finally:
            if self._identifying is task:
                await self.stop_identifying()
                await self.show(self.indication)

    async def stop_identifying(self) -> None:
        """Blink no more: something else is to be shown."""
        task, self._identifying = self._identifying, None
        if task is not None:
            task.cancel()
            await asyncio.wait((task,))

    async def _blink(self, seconds: float) -> None:
        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            await self.beep()
            for indication in (Indication.PLACE_DOCUMENT, Indication.READY):
                await self._at_head(self._head.indicate(indication))
                await asyncio.sleep(BLINK_S)

    async def _at_head(self, doing: Coroutine[Any, Any, None]) -> None:
        """Show or sound something. A head that can't is no reason to lose an inspection."""
        try:
            async with asyncio.timeout(INDICATE_TIMEOUT_S):
                await doing
        except DeviceGoneError as error:
            self._on_gone(error.device)
        except (DeviceError, TimeoutError) as error:
            self._log.warning("the head doesn't obey", exc_info=error)
