"""`edged run --config FILE`: the daemon, in the foreground, as systemd wants it."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING

from edged import log, process
from edged.config import load_box

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The configuration file."""
    parser.add_argument("--config", type=Path, required=True, metavar="FILE", help="help.run.config")


def run(args: argparse.Namespace) -> int:
    """Run until SIGTERM or SIGINT; exit 0 after a clean stop."""
    settings = load_box(args.config)
    log.configure(settings.log.level)
    os.umask(0o077)  # what this process makes is its own; the control socket is opened to its group by name
    import cv2  # noqa: F401 - see forbid_core_dumps

    process.forbid_core_dumps()
    process.give_back_large_blocks()
    if not process.lock_memory():
        log.get("process").warning(
            "memory may reach swap: the unit's LimitMEMLOCK must be infinity, or swap off"
        )
    from edged.daemon import Daemon

    asyncio.run(Daemon(settings).run())
    return os.EX_OK
