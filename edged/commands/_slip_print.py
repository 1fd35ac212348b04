"""`edged slip print`: one more copy out of the box's own printer."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from edged.commands import _daemon
from edged.commands._saying import say, show_json, show_line
from edged.commands._slip_common import add_number, grouped

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which."""
    _daemon.add_arguments(parser)
    add_number(parser, optional=True)


def run(args: argparse.Namespace) -> int:
    """EX_OK once it is printed; `ControlError` with the printer's reason when it isn't."""
    chosen: dict[str, Any] = {} if args.number is None else {"number": args.number}
    answer = _daemon.call(args, "slip_print", **chosen)
    if args.json:
        show_json(answer)
    else:
        number, copy = grouped(answer["number"]), str(answer["copy"])
        show_line(say(args, "slip_command.printed", number=number, copy=copy))
    return os.EX_OK
