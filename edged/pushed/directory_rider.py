"""The box's ear for the signed directory: whose receipts, pushes and commands it takes no more.

Of the directory a box needs the head alone: collectors, admins and audiences stand there. The newest is kept in the
state directory, so that nobody gets a second chance by a restart.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from edged import RELEASED, log
from edged.uplink.directory_keeper import WATCH_S, DirectoryKeeper
from edged.uplink.intake import Incoming

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime
    from pathlib import Path

    from edged.uplink.mqtt import Connection
    from edged.uplink.mqtt_types import Received
    from edged.uplink.roles import TrustAnchor

FILE: Final = "directory.json"
"""The kept head's name in the state directory."""

_MATTER_OF_TIME: Final = frozenset({"cert.not_yet_valid", "cert.expired", "directory.wrong_time"})
"""What a head is refused for when only this box's clock is wrong: looked at again."""


class DirectoryRider:
    """A rider (`edged.uplink.riding`) that applies the directory to `anchor`, and keeps it in `state_directory`.

    `on_alarm` hears codes of what was refused. `load` first, in any thread.
    """

    def __init__(
        self,
        anchor: TrustAnchor,
        state_directory: Path,
        *,
        clock: Callable[[], datetime],
        on_alarm: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._keeper = DirectoryKeeper(anchor, state_directory / FILE, pages=False)
        self._clock = clock
        self._on_alarm = on_alarm
        self._later: Incoming | None = None
        self._log = log.get("directory")

    def load(self) -> None:
        """Take back what was kept before anything is believed; blocks."""
        for alarm in self._keeper.load(self._now()):
            self._tell(alarm.code)

    def filters(self) -> Sequence[str]:
        """The directory's head."""
        return self._keeper.filters

    def wants(self, topic: str) -> bool:
        """The head alone."""
        return topic in self._keeper.filters

    async def take(self, received: Sequence[Received]) -> None:
        """Verify, apply and keep; what is refused is told."""
        for message in received:
            await self._take(Incoming(message.topic, message.payload))

    async def serve(self, connection: Connection) -> None:  # noqa: ARG002
        """Look again, now and then, at a head that this box's clock refused."""
        while True:
            await asyncio.sleep(WATCH_S)
            if self._later is not None:
                await self._take(self._later)

    async def _take(self, message: Incoming) -> None:
        alarms = await asyncio.to_thread(self._keeper.take, [message], self._now())
        codes = [alarm.code for alarm in alarms]
        self._later = message if _MATTER_OF_TIME.intersection(codes) else None
        for code in codes:
            self._tell(code)

    def _now(self) -> datetime:
        return max(self._clock(), RELEASED)

    def _tell(self, code: str) -> None:
        self._log.warning("directory", code=code)
        self._on_alarm(code)
