"""`edged fleet config push`: push what the layers say, and wait for what the boxes make of it."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from edged import log
from edged.commands._arguments import span
from edged.commands._fleet_carry import carry_out, exit_code
from edged.commands._fleet_common import add_dry_run, open_state
from edged.commands._fleet_devices import add_devices, admin_only, chosen, endpoint, tell_errors
from edged.commands._fleet_outcomes import failure
from edged.commands._saying import printable, say, show_json, show_line
from edged.commands._table import show_table
from edged.errors import ConfigError
from edged.fleet.differences import shortened
from edged.fleet.link import admin_link
from edged.fleet.pushing import Pusher, publish
from edged.fleet.redoing import at_one_go, enough, patient, up_to_date
from edged.fleet.seen import look

if TYPE_CHECKING:
    import argparse

    from edged.fleet.rollout import Rollout
    from edged.fleet.state import FleetState

PATIENCE_S: Final = 900.0
"""An inspection ends, files come, the probation passes."""

OFFLINE_S: Final = 5.0
"""Boxes that aren't there aren't waited for: their push waits for them."""

AT_ONCE: Final = 50

_SHOWN: Final = 8


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `edged fleet config push`."""
    add_devices(parser)
    add_dry_run(parser)
    parser.add_argument("--skip", action="store_true", help="help.fleet.skip")
    parser.add_argument("--force", action="store_true", help="help.fleet.force")
    add_waiting(parser)


def add_waiting(parser: argparse.ArgumentParser) -> None:
    """`--no-wait`, `--patience SECONDS`, `--overtake`."""
    add_overtake(parser)
    parser.add_argument("--no-wait", action="store_true", help="help.fleet.no_wait")
    parser.add_argument(
        "--patience", type=span, default=PATIENCE_S, metavar="TIME", help="help.fleet.patience"
    )


def add_overtake(parser: argparse.ArgumentParser) -> None:
    """`--overtake`."""
    parser.add_argument("--overtake", action="store_true", help="help.fleet.overtake")


def run(args: argparse.Namespace) -> int:
    """EX_OK when every box has it; EX_CONFIG when layers don't compile; else see `exit_code`."""
    state = open_state(args)
    admin_only(args, state)
    now = datetime.now(UTC)
    pusher = Pusher(state, now=now, by=f"admin.{state.file.admin}", overtake=args.overtake)
    names = compiled_names(args, pusher, chosen(args, state))
    documents = pusher.compile(()).documents
    same = set() if args.force else up_to_date(pusher.pushes, documents, now.timestamp())
    return push(args, state, pusher, [name for name in names if name not in same], len(same))


def compiled_names(args: argparse.Namespace, pusher: Pusher, names: list[str]) -> list[str]:
    """Compile all before anything is pushed; with `--skip` those that do.

    Raises `ConfigError` (`fleet.not_compiled`).
    """
    errors = pusher.compile(names).errors
    tell_errors(args, errors.values())
    good = [name for name in names if name not in errors]
    if errors and not (args.skip and good):
        raise ConfigError(shortened(sorted(errors), _SHOWN), "fleet.not_compiled", count=str(len(errors)))
    return good


def push(args: argparse.Namespace, state: FleetState, pusher: Pusher, names: list[str], same: int) -> int:
    """Push to these boxes; `same` more have it already."""
    if same and not args.json:
        show_line(say(args, "fleet.up_to_date", count=same))
    if not names:
        tell_nothing_to_push(args, same)
        return os.EX_OK
    documents = pusher.compile(()).documents
    if args.dry_run:
        _show_plan(args, {name: documents[name].document.version for name in names})
        return os.EX_OK
    if args.no_wait:
        return _push_only(args, state, pusher, names)
    version = documents[names[0]].document.version
    limits = patient(enough(args.patience, documents), OFFLINE_S, AT_ONCE)
    engine = at_one_go(documents, names, version=version, by="", limits=limits, now=time.time())
    try:
        carry_out(args, state, engine, pusher)
    except KeyboardInterrupt:
        print(f"edged: {printable(say(args, 'fleet.push_interrupted'))}", file=sys.stderr)
        raise
    _show_results(args, engine)
    return exit_code(engine)


def tell_nothing_to_push(args: argparse.Namespace, same: int) -> None:
    """For machines: that there was nothing to do is an event as well."""
    if args.json:
        show_json({"event": "up_to_date", "count": same})


def _show_plan(args: argparse.Namespace, versions: dict[str, str]) -> None:
    if args.json:
        for name, version in versions.items():
            show_json({"device": name, "version": version})
        return
    show_line(say(args, "fleet.would_push", count=len(versions)))
    show_table([say(args, "list.device"), say(args, "history.version")], versions.items())


def _push_only(args: argparse.Namespace, state: FleetState, pusher: Pusher, names: list[str]) -> int:
    log.configure("error")

    async def go() -> None:
        async with admin_link(state, endpoint=endpoint(args, state)) as link:
            seen = (await look(link, names, None)).boxes
            reports = {name: one.reported for name, one in seen.items() if one.reported is not None}
            await asyncio.to_thread(pusher.heard, reports)
            for begin in range(0, len(names), AT_ONCE):
                prepared = await asyncio.to_thread(pusher.prepare, names[begin : begin + AT_ONCE])
                await asyncio.gather(*(publish(link, one.device, one.data) for one in prepared))
                if args.json:
                    for one in prepared:
                        show_json({"device": one.device, "push": one.number, "version": one.version})

    asyncio.run(go())
    if not args.json:
        show_line(say(args, "fleet.pushed", count=len(names)))
    return os.EX_OK


def _show_results(args: argparse.Namespace, engine: Rollout) -> None:
    boxes = engine.record.boxes
    if args.json:
        return  # told as it happened
    columns = ("list.device", "history.number", "history.outcome", "history.why")
    rows = [
        (
            name,
            str(box.push or "–"),
            say(args, f"outcome.{box.state}"),
            failure(args, box.code, box.path, box.probe),
        )
        for name, box in boxes.items()
        if len(boxes) <= AT_ONCE or box.state != "applied"
    ]
    show_table([say(args, column) for column in columns], rows)
    applied = sum(box.state == "applied" for box in boxes.values())
    show_line(say(args, "fleet.push_done", applied=applied, count=len(boxes)))
    if engine.failures():
        show_line(say(args, "fleet.push_failed_next"))
