"""Looking at boxes: over the broker, or as they were when somebody last did."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from edged import log
from edged.commands._fleet_devices import endpoint
from edged.commands._saying import explain, minute, printable, say, show_line
from edged.errors import StateError, UplinkError
from edged.fleet.link import admin_link
from edged.fleet.pushes import Pushes
from edged.fleet.seen import load, look, save
from edged.uplink.names import Role

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

    from edged.fleet.seen import Sightings
    from edged.fleet.state import DeviceRecord, FleetState


def add_look(parser: argparse.ArgumentParser) -> None:
    """`--offline`."""
    parser.add_argument("--offline", action="store_true", help="help.fleet.offline")


def latest(
    args: argparse.Namespace, state: FleetState, records: Mapping[str, DeviceRecord]
) -> Sightings | None:
    """How boxes are now; where the broker can't be asked, how they were, which is said on standard error."""
    log.configure("error")
    before = load(state)
    if args.offline or not records:
        return before
    try:
        found, admin = asyncio.run(_look(args, state, records, before))
    except (UplinkError, StateError) as error:
        if isinstance(error, StateError) and error.code != "fleet.link_busy":
            raise
        print(f"edged: {printable(explain(error, args.lang))}", file=sys.stderr)
        return before
    save(state, found)
    if admin:
        _note_outcomes(state, found)
    return found


async def _look(
    args: argparse.Namespace,
    state: FleetState,
    records: Mapping[str, DeviceRecord],
    before: Sightings | None,
) -> tuple[Sightings, bool]:
    async with admin_link(state, endpoint=endpoint(args, state)) as link:
        return await look(link, set(records), before), link.principal.role is Role.ADMIN


def _note_outcomes(state: FleetState, found: Sightings) -> None:
    """What became of pushes that nobody waited for; another command that is at work sees for itself."""
    pushes = Pushes(state)
    with contextlib.suppress(StateError), state.changing():
        for device, seen in found.boxes.items():
            if seen.reported is not None:
                pushes.note(device, seen.reported, int(time.time()))


def say_age(args: argparse.Namespace, sightings: Sightings | None) -> None:
    """Of when it is, unless it is of now."""
    if sightings is None:
        show_line(say(args, "look.never"))
        return
    age = max(0, round(time.time() - sightings.at))
    if age >= 5:  # a look takes a second or two
        at = minute(datetime.fromtimestamp(sightings.at, UTC))
        show_line(say(args, "look.age", at=at, ago=_span(args, age)))


def _span(args: argparse.Namespace, seconds: int) -> str:
    for size, code in ((86_400, "look.days"), (3600, "look.hours"), (60, "look.minutes")):
        if seconds >= 2 * size:
            return say(args, code, count=seconds // size)
    return say(args, "look.seconds", count=seconds)
