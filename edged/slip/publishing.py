"""The box's list of slips that hold no more, published: as a connection begins, when it changes, before it ends."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from edged import log
from edged.errors import SignatureRefusedError
from edged.uplink import topics
from edged.uplink.mqtt import PublishRefusedError
from edged.uplink.reconnect import within
from edged.uplink.slip_status import LIST_LIFE, seal_list

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from edged.slip.book import SlipBook
    from edged.uplink.mqtt import Connection
    from edged.uplink.mqtt_types import Received
    from edged.uplink.sign import Signer

AGAIN: Final = timedelta(hours=6)
"""A list is made anew this often: well before it ends, and after a clock that was set."""

LEAST_S: Final = 1.0
"""Between two lists: a clerk who withdraws ten slips is one message or two."""

assert AGAIN < LIST_LIFE / 2


class SlipPublisher:
    """A rider (`edged.uplink.riding.Rider`) that only speaks."""

    def __init__(
        self,
        book: SlipBook,
        *,
        signer: Callable[[], Signer],
        clock: Callable[[], datetime],
        again: timedelta = AGAIN,
        least_s: float = LEAST_S,
    ) -> None:
        self._book = book
        self._signer = signer
        self._clock = clock
        self._again_s = again.total_seconds()
        self._least_s = least_s

    def filters(self) -> Sequence[str]:
        """Nothing."""
        return ()

    def wants(self, topic: str) -> bool:  # noqa: ARG002
        """No."""
        return False

    async def take(self, received: Sequence[Received]) -> None:
        """Nothing comes."""

    async def serve(self, connection: Connection) -> None:
        """Publish until the connection ends. Raises `UplinkError`, `StateError`, `CertificateError` (a token's)."""
        while True:
            self._book.changed.clear()
            await self._publish(connection)
            await asyncio.sleep(self._least_s)
            await within(self._book.changed.wait(), self._again_s)

    async def _publish(self, connection: Connection) -> None:
        now, signer = self._clock(), self._signer()
        ended = await self._book.ended(now)
        try:
            compact = await asyncio.to_thread(
                seal_list, ended.withdrawn, ended.superseded, now=now, signer=signer
            )
            who = signer.principal
            await connection.publish(topics.slips(who.fleet, who.name), compact.encode(), retain=True)
        except (PublishRefusedError, SignatureRefusedError) as error:
            # Verdicts matter more: go on without it, and say so. Verifiers see that the list gets old.
            log.get("slip").error("the list of slips isn't published", code=error.code)
