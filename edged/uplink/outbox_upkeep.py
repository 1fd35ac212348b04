"""The outbox's upkeep beside a running daemon: bounds every hour, every page once a week, the end when it is broken.

`keep` is a task of the daemon's task group. It never returns: it raises when the database was found broken, by SQLite
in anybody's work or by the weekly check. The process then ends, the service manager starts it again, and
`edged.uplink.outbox_recovery.open_state` repairs what the note beside the database tells it to.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from edged import log
from edged.errors import StateError
from edged.uplink import outbox_recovery
from edged.uplink.reconnect import within

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import datetime
    from pathlib import Path

    from edged.uplink.database import DatabaseThread
    from edged.uplink.outbox import StateDatabase

TIDY_S: Final = 3600.0
"""Between two tidyings; commits keep the bound of bytes by themselves, and days are what age is counted in."""


async def keep(
    state: DatabaseThread[StateDatabase],
    path: Path,
    clock: Callable[[], Awaitable[tuple[datetime, bool]]],
    *,
    tidy_s: float = TIDY_S,
) -> None:
    """Tidy now and every `tidy_s`; `clock` says what time it is and whether that is to be trusted.

    Raises `StateError` (`state.corrupt`) once the database at `path` is known to be broken; other errors of the disk
    are logged, and the next round tries again.
    """
    told = log.get("outbox")
    while not state.corrupt.is_set():
        try:
            await _round(state, path, *(await clock()))
        except StateError as error:
            if error.code != "state.corrupt":
                told.error("the outbox can't be tidied", code=error.code)
        await within(state.corrupt.wait(), tidy_s)
    raise StateError("state.corrupt", str(path))


async def _round(state: DatabaseThread[StateDatabase], path: Path, now: datetime, trusted: bool) -> None:
    lost = pruned = 0
    while True:
        done = await state.write(lambda database: database.tidy(now, clock_trusted=trusted))
        lost, pruned = lost + done.lost, pruned + done.pruned
        if not done.more:
            break
    if lost or pruned:
        log.get("outbox").info("tidied", lost=lost, pruned=pruned)
    if await state.run(lambda database: database.check_due(now)):
        if not await asyncio.to_thread(outbox_recovery.check, path):
            state.corrupt.set()
            return
        await state.write(lambda database: database.note_checked(now))
