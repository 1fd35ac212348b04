"""`edged fleet rollout start`: push what the layers say, to a few boxes first, then to more and more."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from edged import log
from edged.commands._arguments import share, span
from edged.commands._fleet_carry import carry_out
from edged.commands._fleet_common import add_dry_run, open_state
from edged.commands._fleet_config_push import OFFLINE_S, add_overtake, compiled_names, tell_nothing_to_push
from edged.commands._fleet_devices import add_devices, admin_only, chosen, endpoint, tell_errors
from edged.commands._fleet_rollout_common import carry, tell_end
from edged.commands._saying import explain, printable, say, show_json, show_line
from edged.commands._table import show_table
from edged.errors import ConfigError, StateError, UplinkError
from edged.fleet import waves as spreading
from edged.fleet.differences import shortened
from edged.fleet.link import admin_link
from edged.fleet.pushes import Pushes
from edged.fleet.pushing import Pusher
from edged.fleet.redoing import at_one_go, before, enough, patient, sha256, to_take_back, up_to_date
from edged.fleet.rollout import Limits, begin
from edged.fleet.rollout_files import RolloutFiles
from edged.fleet.seen import load, look
from edged.uplink.topics import usable

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping, Sequence

    from edged.fleet.rollout import Record
    from edged.fleet.state import DeviceRecord, FleetState

_SHOWN = 8
_DEFAULT = Limits()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `edged fleet rollout start`."""
    add_devices(parser)
    parser.add_argument("--name", metavar="ID", help="help.fleet.rollout.name")
    parser.add_argument(
        "--waves", default=spreading.DEFAULT_WAVES, metavar="STEPS", help="help.fleet.rollout.waves"
    )
    parser.add_argument("--canary", metavar="COUNT|SHARE", help="help.fleet.rollout.canary")
    for option, kind, default in (
        ("soak", span, _DEFAULT.soak_s),
        ("patience", span, _DEFAULT.patience_s),
        ("offline-after", span, _DEFAULT.offline_s),
        ("max-failure-share", share, _DEFAULT.max_failure_share),
        ("max-failures", int, None),
        ("max-unreachable", share, _DEFAULT.max_unreachable),
        ("at-once", int, _DEFAULT.at_once),
    ):
        text = f"help.fleet.rollout.{option.replace('-', '_')}"
        parser.add_argument(f"--{option}", type=kind, default=default, metavar=option.upper(), help=text)
    parser.add_argument("--skip", action="store_true", help="help.fleet.skip")
    parser.add_argument("--force", action="store_true", help="help.fleet.force")
    parser.add_argument("--back", action="store_true", help="help.fleet.rollout.back")
    add_overtake(parser)
    add_dry_run(parser)


def run(args: argparse.Namespace) -> int:
    """EX_OK when every wave has ended; EX_UNAVAILABLE when it stopped; EX_CONFIG when layers don't compile."""
    state = open_state(args)
    admin_only(args, state)
    files = RolloutFiles(state)
    now = datetime.now(UTC)
    name = _name(args, files, now)
    by = f"admin.{state.file.admin}"
    pusher = Pusher(state, now=now, by=by, rollout=name, overtake=args.overtake)
    names = compiled_names(args, pusher, chosen(args, state))
    documents = pusher.compile(()).documents
    same = set() if args.force else up_to_date(pusher.pushes, documents, now.timestamp())
    names = [one for one in names if one not in same]
    if same and not args.json:
        show_line(say(args, "fleet.up_to_date", count=len(same)))
    if not names:
        tell_nothing_to_push(args, len(same))
        return os.EX_OK
    records = state.devices()
    waves = _waves(args, state, records, names, name)
    versions = {one: documents[one].document.version for one in names}
    different = set(versions.values())
    engine = begin(
        waves,
        {one: sha256(documents[one]) for one in names},
        identifier=name,
        version=different.pop() if len(different) == 1 else f"{len(different)} versions",
        by=by,
        limits=_limits(args, enough(args.patience, documents)),
        now=now.timestamp(),
        versions=versions,
    )
    if args.dry_run:
        return _show_plan(args, records, waves, name)
    with files.held(name):
        files.write(engine.record)
        if args.json:
            show_json({"event": "begins", "id": name, "count": len(names), "waves": len(waves)})
        else:
            show_line(say(args, "rollout.begins", id=name, count=len(names), waves=len(waves)))
        carry(args, state, files, engine, pusher)
    code = tell_end(args, engine)
    if args.back and engine.record.state == "stopped":
        push_back(args, state, engine.record)
    return code


def _name(args: argparse.Namespace, files: RolloutFiles, now: datetime) -> str:
    if args.name is None:
        return files.free_name(now)
    if not usable(args.name):
        raise ConfigError("--name", "fleet.bad_name", name=args.name[:63])
    if files.exists(args.name):
        raise StateError("fleet.rollout_exists", args.name)
    return str(args.name)


def _limits(args: argparse.Namespace, patience_s: float) -> Limits:
    if args.at_once < 1 or (args.max_failures is not None and args.max_failures < 0):
        raise ConfigError("--at-once, --max-failures", "rollout.bad_number")
    return Limits(
        max_failure_share=args.max_failure_share,
        max_failures=args.max_failures,
        max_unreachable=args.max_unreachable,
        soak_s=args.soak,
        patience_s=patience_s,
        offline_s=args.offline_after,
        at_once=min(args.at_once, 1000),
    )


def _waves(
    args: argparse.Namespace,
    state: FleetState,
    records: Mapping[str, DeviceRecord],
    names: Sequence[str],
    seed: str,
) -> tuple[tuple[str, ...], ...]:
    """The waves; canaries are boxes that are there, as far as the broker can be asked."""
    steps = spreading.parse_steps(f"{args.canary},{args.waves}" if args.canary else args.waves)
    spots = {name: spreading.Spot(records[name].site, records[name].groups) for name in names}
    return spreading.plan(spots, steps, seed=seed, online=_online(args, state, names))


def _online(args: argparse.Namespace, state: FleetState, names: Sequence[str]) -> set[str]:
    log.configure("error")
    sightings = load(state)

    async def ask() -> None:
        nonlocal sightings
        async with admin_link(state, endpoint=endpoint(args, state)) as link:
            sightings = await look(link, names, sightings, reports=False)

    try:
        asyncio.run(ask())
    except (UplinkError, StateError) as error:
        if not args.dry_run:
            raise
        print(f"edged: {printable(explain(error, args.lang))}", file=sys.stderr)
    return {name for name, seen in (sightings.boxes if sightings else {}).items() if seen.online}


def _show_plan(
    args: argparse.Namespace, records: Mapping[str, DeviceRecord], waves: Sequence[Sequence[str]], name: str
) -> int:
    if args.json:
        for number, wave in enumerate(waves, 1):
            show_json({"event": "planned", "id": name, "wave": number, "waves": len(waves), "devices": wave})
        return os.EX_OK
    show_line(say(args, "rollout.would", id=name, count=sum(map(len, waves)), waves=len(waves)))
    columns = ("rollout.column_wave", "rollout.column_boxes", "rollout.column_sites", "rollout.column_which")
    show_table(
        [say(args, column) for column in columns],
        [
            (
                str(number),
                str(len(wave)),
                str(len({records[one].site for one in wave})),
                shortened(wave, _SHOWN),
            )
            for number, wave in enumerate(waves, 1)
        ],
    )
    return os.EX_OK


def push_back(args: argparse.Namespace, state: FleetState, record: Record) -> None:
    """Push what was there before to every box that took, or may yet take, what the rollout brought."""
    now = datetime.now(UTC)
    pushes = Pushes(state)
    again = before(pushes, record)
    stay = [name for name in to_take_back(record) if name not in again]
    pusher = Pusher(state, now=now, by=record.by, rollout=record.id, again=again, overtake=args.overtake)
    compilation = pusher.compile(again)
    tell_errors(args, compilation.errors.values())
    names = list(compilation.documents)
    applied: list[str] = []
    if names:
        limits = patient(
            enough(record.limits.patience_s, compilation.documents), OFFLINE_S, record.limits.at_once
        )
        engine = at_one_go(
            compilation.documents, names, version=record.version, by=record.by, limits=limits, now=time.time()
        )
        carry_out(args, state, engine, pusher)
        applied = [name for name, box in engine.record.boxes.items() if box.state == "applied"]
    stay += list(compilation.errors)
    if args.json:
        show_json({"event": "back", "id": record.id, "devices": names, "applied": applied, "stay": stay})
        return
    if not again:
        show_line(say(args, "rollout.nothing_to_take_back"))
    else:
        show_line(say(args, "rollout.taken_back", applied=len(applied), count=len(again)))
    if stay and again:
        show_line(say(args, "rollout.stay", count=len(stay), devices=shortened(sorted(stay), _SHOWN)))
