"""`edged central collect --config FILE [--json]`: archive envelopes, sign receipts, answer replays."""

from __future__ import annotations

import asyncio
import os
import time
from typing import TYPE_CHECKING

from edged.commands import _central_words, _delivery

if TYPE_CHECKING:
    import argparse

    from edged.central.events import CollectorEvent
    from edged.central.settings import CollectorSettings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Nothing of its own."""


def run(args: argparse.Namespace) -> int:
    """Run until SIGTERM or SIGINT; exit 0 after a clean stop."""
    from edged import log
    from edged.central.settings import load

    settings = load(args.config)
    log.configure("info")
    asyncio.run(_collect(settings, args))
    return os.EX_OK


async def _collect(settings: CollectorSettings, args: argparse.Namespace) -> None:
    from edged.central.collector import Collector
    from edged.central.events import Batch
    from edged.central.progress import EVERY_S, Progress

    progress = Progress(time.monotonic())

    show = _delivery.teller(args, _central_words.in_words)

    def tell(event: CollectorEvent) -> None:
        if not isinstance(event, Batch):
            show(event)
        elif (said := progress.add(event, time.monotonic())) is not None:
            show(said)

    async def rest() -> None:
        """What came since the last line, when nothing more comes."""
        while True:
            await asyncio.sleep(EVERY_S)
            if (said := progress.due(time.monotonic())) is not None:
                show(said)

    collector = Collector(settings, on_event=tell)
    _delivery.stop_on_signals(collector.stop)
    ticking = asyncio.create_task(rest())
    try:
        await collector.run()
    finally:
        ticking.cancel()
        if (said := progress.due(time.monotonic() + EVERY_S)) is not None:
            show(said)
