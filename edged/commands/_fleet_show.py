"""`edged fleet show DEVICE`: all about one box."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec

from edged.commands._fleet_common import add_state, open_state
from edged.commands._fleet_devices import add_as
from edged.commands._fleet_list import last_push
from edged.commands._fleet_look import add_look, latest, say_age
from edged.commands._fleet_outcomes import failure
from edged.commands._saying import minute, say, show_json
from edged.commands._table import show_pairs
from edged.fleet.overview import newest, overview

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from edged.fleet.overview import Overview
    from edged.fleet.seen import Seen
    from edged.fleet.state import DeviceRecord


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `edged fleet show`."""
    add_state(parser)
    add_as(parser)
    parser.add_argument("device", metavar="DEVICE", help="help.fleet.show.device")
    add_look(parser)


def run(args: argparse.Namespace) -> int:
    """EX_OK; EX_CONFIG for a box the fleet hasn't got."""
    state = open_state(args)
    record = state.device(args.device)
    sightings = latest(args, state, {record.name: record})
    seen = sightings.boxes.get(record.name) if sightings else None
    found = overview(record, seen, time.time())
    if args.json:
        show_json(
            msgspec.to_builtins(found)
            | {
                "as_of": sightings and sightings.at,
                "status": msgspec.to_builtins(seen.status) if seen else None,
                "token_refused_at": record.token_refused_at,
                "reported": msgspec.to_builtins(seen.reported) if seen else None,
                "certificates": [
                    {"usage": one.usage, "serial": one.serial, "not_after": one.not_after}
                    for one in newest(record)
                ],
            }
        )
        return os.EX_OK
    show_pairs(list(_rows(args, record, found, seen)))
    say_age(args, sightings)
    return os.EX_OK


def _rows(
    args: argparse.Namespace, record: DeviceRecord, found: Overview, seen: Seen | None
) -> Iterator[tuple[str, str]]:
    def row(name: str, value: object) -> tuple[str, str]:
        return say(args, f"list.{name}"), "–" if value in (None, "") else str(value)

    yield row("device", found.device)
    yield row("groups", ", ".join(found.groups))
    yield row("site", found.site)
    state = "unknown" if found.online is None else "online_yes" if found.online else "online_no"
    yield row("online", say(args, f"list.{state}"))
    yield row("seen", _when(found.last_seen))
    yield row("software", found.software)
    yield row("config", found.config)
    yield row("push", last_push(args, found))
    if why := failure(args, found.code, found.path, found.probe):
        yield row("why", why)
    for one in newest(record):
        yield row("certificate", say(args, "show.certificate", usage=one.usage, until=_when(one.not_after)))
    if found.token is not None:
        code = "show.token_used" if found.token.used else "show.token_open"
        yield row("token", say(args, code, until=_when(found.token.until)))
    if record.token_refused_at is not None:
        yield row("token_refused", _when(record.token_refused_at))
    if seen is not None and (status := seen.status) is not None:
        for name in ("pending", "refused", "dead", "gaps", "lost", "oldest_s"):
            if value := getattr(status, name):
                yield row(f"status_{name}", value)
    for problem in found.problems:
        yield row(
            "problem",
            say(args, f"problem.{problem}") + ": " + say(args, f"advice.{problem}", device=found.device),
        )


def _when(at: float | None) -> str:
    return minute(None if at is None else datetime.fromtimestamp(at, UTC))
