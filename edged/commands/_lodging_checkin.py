"""`edged lodging checkin`: how many foreigners have checked in, or that one has: what registration is measured by."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from edged.commands._daemon import call
from edged.commands._saying import say, show_json, show_line

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """A day's count, or one check-in's reference."""
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--count", type=int, metavar="N", help="help.lodging.count")
    what.add_argument("--reference", metavar="TEXT", help="help.lodging.reference")
    parser.add_argument("--day", metavar="DATE", help="help.lodging.day")


def run(args: argparse.Namespace) -> int:
    """EX_OK."""
    given: dict[str, Any] = {"count": args.count, "reference": args.reference, "day": args.day}
    told = call(
        args, "lodging_checkin", **{name: value for name, value in given.items() if value is not None}
    )
    if args.json:
        show_json(told)
    else:
        show_line(say(args, "lodging.checked_in", day=told["day"], count=told["check_ins"]))
        if not told["new"]:
            show_line(say(args, "lodging.checked_in_before"))
    return os.EX_OK
