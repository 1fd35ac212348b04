"""`edged fleet config history`: what was pushed, when, by whom, and what the boxes made of it."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING

from edged.commands._arguments import count
from edged.commands._fleet_common import open_state
from edged.commands._fleet_outcomes import failure
from edged.commands._saying import minute, say, show_json, show_line
from edged.commands._table import show_table
from edged.fleet.pushes import Pushes

if TYPE_CHECKING:
    import argparse

    from edged.fleet.pushes import PushRecord


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `edged fleet config history`."""
    parser.add_argument("device", nargs="?", metavar="DEVICE", help="help.fleet.config.history.device")
    parser.add_argument(
        "--limit", type=count, default=50, metavar="N", help="help.fleet.config.history.limit"
    )


def run(args: argparse.Namespace) -> int:
    """EX_OK."""
    state = open_state(args)
    pushes = Pushes(state)
    if args.device is None:
        found = pushes.newest(args.limit)
    else:
        found = list(islice(pushes.of(state.device(args.device).name), args.limit))
    if args.json:
        for one in found:
            show_json(one)
        return os.EX_OK
    columns = ("number", "at", "by", "device", "version", "outcome", "rollout", "why")
    if not show_table(
        [say(args, f"history.{name}") for name in columns], (_cells(args, one) for one in found)
    ):
        show_line(say(args, "history.none"))
    return os.EX_OK


def _cells(args: argparse.Namespace, one: PushRecord) -> tuple[str, ...]:
    at = minute(datetime.fromtimestamp(one.at, UTC))
    what = (
        one.version if one.again is None else say(args, "history.again", version=one.version, push=one.again)
    )
    outcome = say(args, f"outcome.{one.outcome}")
    why = failure(args, one.code, one.path, one.probe)
    return (str(one.number), at, one.by, one.device, what, outcome, one.rollout or "–", why)
