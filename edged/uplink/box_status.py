"""Telling how the box is on its retained status topic: soon after something changed, never in a torrent."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from edged import log
from edged.uplink.mqtt import PublishRefusedError
from edged.uplink.reconnect import within

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from edged.uplink.known import Known
    from edged.uplink.mqtt import Connection
    from edged.uplink.status import UplinkHealth

AGAIN_S: Final = 300.0
"""The status is made anew this often though nothing happens: what waits grows older, and clocks are set."""


async def tell_status(
    connection: Connection,
    topic: str,
    *,
    known: Known,
    refresh: Callable[[], Awaitable[None]],
    make: Callable[[], bytes],
    least_s: float,
) -> None:
    """Publish `make()` whenever something is new, at most every `least_s` seconds; until the connection ends.

    `refresh` brings what is known up to date before. Raises `UplinkError`, `StateError`.
    """
    told: UplinkHealth | None = None
    while True:
        changed = known.changed.is_set()
        known.changed.clear()
        await refresh()
        news = known.news()
        if news != told or not changed:
            told = news
            await _publish(connection, topic, make())
            await asyncio.sleep(least_s)
        await within(known.changed.wait(), AGAIN_S)


async def _publish(connection: Connection, topic: str, status: bytes) -> None:
    try:
        await connection.publish(topic, status, retain=True)
    except PublishRefusedError as error:
        # Verdicts matter, the status doesn't: go on without it, and say so.
        log.get("uplink").error("status refused", code=error.code)
