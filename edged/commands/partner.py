"""`edged partner follow --config FILE [--json]`: verify, keep and print one audience's verdicts."""

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
    """`follow`, its configuration file, `--json`."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    follow = actions.add_parser("follow", help="help.partner.follow")
    follow.add_argument("--config", type=Path, required=True, metavar="FILE", help="help.partner.config")
    follow.add_argument("--json", action="store_true", help="help.json_lines")


def run(args: argparse.Namespace) -> int:
    """Run until SIGTERM or SIGINT; exit 0 after a clean stop."""
    from edged.partner.follow import Follower, PartnerSettings

    settings = load_toml(args.config, PartnerSettings)
    log.configure("info")
    tell = _delivery.teller(args)

    async def follow() -> None:
        follower = Follower(settings, on_event=tell)
        _delivery.stop_on_signals(follower.stop)
        await follower.run()

    asyncio.run(follow())
    return os.EX_OK
