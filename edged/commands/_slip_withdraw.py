"""`edged slip withdraw NUMBER --reason …`: from now on whoever verifies that slip online hears that it is withdrawn."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from edged.commands import _daemon
from edged.commands._saying import say, show_json, show_line
from edged.commands._slip_common import WITHDRAWAL_REASONS, add_number, grouped

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which, and why."""
    _daemon.add_arguments(parser)
    add_number(parser)
    parser.add_argument(
        "--reason", choices=WITHDRAWAL_REASONS, required=True, help="help.slip.withdraw.reason"
    )


def run(args: argparse.Namespace) -> int:
    """EX_OK; `ControlError` when the box knows no such slip."""
    answer = _daemon.call(args, "slip_withdraw", number=args.number, reason=args.reason)
    if args.json:
        show_json(answer)
    else:
        show_line(say(args, "slip_command.withdrawn", number=grouped(args.number)))
    return os.EX_OK
