"""`edged central collect --config FILE [--json]`: archive envelopes, sign receipts."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING

from edged import log
from edged.commands import _delivery
from edged.config import load_toml

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """`collect`, its configuration file, `--json`."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    collect = actions.add_parser("collect", help="help.central.collect")
    collect.add_argument("--config", type=Path, required=True, metavar="FILE", help="help.central.config")
    collect.add_argument("--json", action="store_true", help="help.json_lines")


def run(args: argparse.Namespace) -> int:
    """Run until SIGTERM or SIGINT; exit 0 after a clean stop."""
    from edged.central.collector import Collector, CollectorSettings

    settings = load_toml(args.config, CollectorSettings)
    log.configure("info")
    tell = _delivery.teller(args)

    async def collect() -> None:
        collector = Collector(settings, on_event=tell)
        _delivery.stop_on_signals(collector.stop)
        await collector.run()

    asyncio.run(collect())
    return os.EX_OK
