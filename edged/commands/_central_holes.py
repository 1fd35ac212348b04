"""`edged central holes`: numbers that are missing, and that no gap record accounts for."""

from __future__ import annotations

import argparse
import os
from typing import Final

from edged.commands._archive_common import reading
from edged.commands._saying import say, show_json, show_line
from edged.commands._table import show_table

_MOST: Final = 1_000_000
_USUAL: Final = 1000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `edged central holes`."""
    parser.add_argument(
        "--limit", type=_limit, default=_USUAL, metavar="NUMBER", help="help.central.holes.limit"
    )


def run(args: argparse.Namespace) -> int:
    """EX_OK when nothing is missing, 1 when something is."""
    with reading(args) as found:
        # One more than is shown tells whether there are more.
        holes = found.archive.holes(args.limit + 1)
    shown = holes[: args.limit]
    if args.json:
        for hole in shown:
            show_json(hole)
    else:
        header = [say(args, f"streams.{name}") for name in ("device", "audience", "log", "first", "last")]
        rows = ((one.device, one.audience, one.log_id, str(one.first), str(one.last)) for one in shown)
        if not show_table(header, rows):
            show_line(say(args, "delivery.whole"))
        if len(holes) > len(shown):
            show_line(say(args, "holes.more", count=len(shown)))
    return 1 if holes else os.EX_OK


def _limit(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or not 1 <= int(text) <= _MOST:
        raise argparse.ArgumentTypeError("usage.bad_number")
    return int(text)
