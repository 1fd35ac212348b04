"""The ID-card module, as a station uses it: whether a card lies there, one card read at a time."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from edged import log
from edged.drivers import told
from edged.errors import DecodeError, DeviceError
from edged.events import DeviceBack, DeviceGone, IdCardRead
from edged.verdict import Reason

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from edged.drivers import IdCard
    from edged.events import IdCardEvent


class CardModule:
    """Reads the card on the module."""

    def __init__(self, module: IdCard) -> None:
        self._module = module
        self._task: asyncio.Task[IdCardRead] | None = None
        self._log = log.get("id_card")
        self.gone = False

    @property
    def card_present(self) -> bool:
        """Whether a card lies there that was not read yet: after a reading that failed, it still does."""
        return not self.gone and told.is_true(self._module, "card_present")

    async def run(self, tell: Callable[[IdCardEvent], None]) -> None:
        """Follow what happens at the module until cancelled, and pass it on."""
        async for event in told.events_of(self._module.events, "id_card"):
            if isinstance(event, DeviceGone | DeviceBack):
                self.gone = isinstance(event, DeviceGone)
            tell(event)

    def read(self) -> Awaitable[IdCardRead]:
        """Read the card that lies there. Never raises but for cancellation; `stop` ends it."""
        self._task = asyncio.ensure_future(self._read())
        self._task.add_done_callback(self._forget)
        return self._task

    def stop(self) -> None:
        """Give up what is being read, if anything is."""
        if self._task is not None:
            self._task.cancel()

    def _forget(self, task: asyncio.Task[IdCardRead]) -> None:
        """It holds what was read, which nobody may keep."""
        if self._task is task:
            self._task = None

    async def _read(self) -> IdCardRead:
        try:
            return IdCardRead(await self._module.read())
        except (DeviceError, DecodeError) as error:
            return IdCardRead(None, Reason(error.code))
        except Exception as error:  # noqa: BLE001 - a card must never be able to take the daemon down
            self._log.error("reading an ID card failed; please report this", exc_info=error)
            return IdCardRead(None, Reason("inspection.internal_error"))
