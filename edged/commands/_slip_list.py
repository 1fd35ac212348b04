"""`edged slip list`: the slips that the box still remembers, newest first."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from edged.commands import _daemon
from edged.commands._saying import minute, say, show_json, show_line
from edged.commands._slip_common import grouped
from edged.commands._table import show_table
from edged.errors import ConfigError
from edged.journal.slips import MAX_ROWS

if TYPE_CHECKING:
    import argparse

_LIMIT = 20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """How many."""
    _daemon.add_arguments(parser)
    parser.add_argument("--limit", type=int, default=_LIMIT, metavar="COUNT", help="help.slip.list.limit")


def run(args: argparse.Namespace) -> int:
    """EX_OK, also when there is none."""
    if not 1 <= args.limit <= MAX_ROWS:
        raise ConfigError("--limit", "config.out_of_range", least="1", most=str(MAX_ROWS))
    found = _daemon.call(args, "slip_list", limit=args.limit)["slips"]
    if args.json:
        show_json({"slips": found})
        return os.EX_OK
    names = ("number", "issued", "copies", "state")
    header = [say(args, f"slip_command.column_{name}") for name in names]
    if not show_table(header, (_row(args, one) for one in found)):
        show_line(say(args, "slip_command.none"))
    return os.EX_OK


def _row(args: argparse.Namespace, one: dict[str, Any]) -> list[str]:
    expired = one["status"] == "valid" and one["expires"] < time.time()
    state = say(args, f"slip_command.state_{'expired' if expired else one['status']}")
    if one["superseded_by"]:
        state = f"{state} ({grouped(one['superseded_by'])})"
    issued = minute(datetime.fromtimestamp(one["issued"], UTC))
    return [grouped(one["number"]), issued, str(one["copies"]), state]
