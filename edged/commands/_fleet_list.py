"""`edged fleet list`: every box on a line."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec

from edged.commands._fleet_common import add_state, open_state
from edged.commands._fleet_devices import add_as
from edged.commands._fleet_look import add_look, latest, say_age
from edged.commands._saying import minute, say, show_json, show_line
from edged.commands._table import show_table
from edged.fleet.overview import listed

if TYPE_CHECKING:
    import argparse

    from edged.fleet.overview import Overview

_COLUMNS = (
    "device",
    "groups",
    "site",
    "online",
    "software",
    "config",
    "push",
    "certificate",
    "seen",
    "problem",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `edged fleet list`."""
    add_state(parser)
    add_as(parser)
    parser.add_argument(
        "--group", action="append", default=[], dest="groups", metavar="GROUP", help="help.fleet.group"
    )
    parser.add_argument("--problem", action="store_true", help="help.fleet.list.problem")
    add_look(parser)


def run(args: argparse.Namespace) -> int:
    """EX_OK."""
    state = open_state(args)
    records = state.devices()
    sightings = latest(args, state, records)
    boxes = sightings.boxes if sightings else {}
    rows = listed(records.values(), boxes, time.time(), groups=tuple(args.groups), problem=args.problem)
    if args.json:
        for one in rows:
            show_json(msgspec.to_builtins(one) | {"as_of": sightings and sightings.at})
        return os.EX_OK
    if not show_table([say(args, f"list.{name}") for name in _COLUMNS], (cells(args, one) for one in rows)):
        show_line(say(args, "list.none" if not records else "list.none_such"))
        return os.EX_OK
    online = sum(one.online is True for one in rows)
    problems = sum(bool(one.problems) for one in rows)
    show_line(say(args, "list.summary", count=len(rows), online=online, problems=problems))
    say_age(args, sightings)
    return os.EX_OK


def cells(args: argparse.Namespace, one: Overview) -> tuple[str, ...]:
    """One box's line."""
    seen = minute(None if one.last_seen is None else datetime.fromtimestamp(one.last_seen, UTC))
    return (
        one.device,
        ",".join(one.groups) or "–",
        one.site or "–",
        say(
            args,
            "list.unknown" if one.online is None else "list.online_yes" if one.online else "list.online_no",
        ),
        one.software or "–",
        one.config or "–",
        last_push(args, one),
        "–" if one.certificate_days is None else say(args, "list.days", days=one.certificate_days),
        seen,
        ", ".join(say(args, f"problem.{problem}") for problem in one.problems) or "–",
    )


def last_push(args: argparse.Namespace, one: Overview) -> str:
    """`12 applied`; of a push that the box hasn't answered, its number alone."""
    if not one.pushed and not one.push:
        return "–"
    if one.outcome is None or (one.push or 0) < one.pushed:
        return f"{one.pushed} {say(args, 'outcome.made')}"
    return f"{one.push} {say(args, f'outcome.{one.outcome}')}"
