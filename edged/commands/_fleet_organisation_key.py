"""`edged fleet organisation-key`: an organisation's pseudonym key, from the privacy officer to its boxes."""

from __future__ import annotations

import asyncio
import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from edged import log
from edged.commands._fleet_common import add_dry_run, add_key_directory, add_state, open_state
from edged.commands._fleet_devices import add_as, add_devices, chosen, endpoint
from edged.commands._saying import say, show, show_json, show_line
from edged.commands._table import show_table
from edged.fleet import organisation_keys, sealing_keys
from edged.fleet.heard import Report
from edged.fleet.key_files import read_offline
from edged.fleet.layers import deliveries
from edged.fleet.link import admin_link
from edged.fleet.seen import load, look
from edged.fleet.tuf_roles import Holder

if TYPE_CHECKING:
    import argparse

    from edged.fleet.heard import Heard
    from edged.fleet.organisation_keys import Plan
    from edged.fleet.state import FleetState

_COLUMNS = ("audience", "device", "number", "key", "state")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """`new AUDIENCE`, `collect`, `deliver AUDIENCE [DEVICE…]`, `list`."""
    actions = parser.add_subparsers(dest="what", required=True, metavar="new|collect|deliver|list")

    def add(name: str) -> argparse.ArgumentParser:
        said = f"help.fleet.organisation_key.{name}"
        action = actions.add_parser(name, help=said, description=said)
        add_state(action)
        return action

    new, collect, deliver = add("new"), add("collect"), add("deliver")
    add("list")
    add_as(collect)
    for action in (new, deliver):
        action.add_argument("audience", metavar="AUDIENCE", help="help.fleet.organisation_key.audience")
        add_key_directory(action, "--privacy-keys")
        add_dry_run(action)
    add_devices(deliver)
    for option in ("without", "changed"):
        deliver.add_argument(
            f"--{option}",
            action="append",
            default=[],
            metavar="DEVICE",
            help=f"help.fleet.organisation_key.{option}",
        )
    deliver.add_argument("--anew", action="store_true", help="help.fleet.organisation_key.anew")


def run(args: argparse.Namespace) -> int:
    """EX_OK; EX_CONFIG for an audience or a box that isn't as it has to be."""
    state = open_state(args)
    match args.what:
        case "new":
            _new(args, state)
        case "collect":
            _collect(args, state)
        case "deliver":
            _deliver(args, state)
        case _:
            _list(args, state)
    return os.EX_OK


def _new(args: argparse.Namespace, state: FleetState) -> None:
    read_offline(Holder.PRIVACY, [args.privacy_keys])  # the officer's directory, and not another one
    if args.dry_run:
        number = organisation_keys.newest(args.audience, args.privacy_keys) + 1
    else:
        number = organisation_keys.new_key(state, args.audience, args.privacy_keys)
    if args.json:
        show_json({"audience": args.audience, "number": number, "dry_run": args.dry_run})
    else:
        code = "organisation_key.would_make" if args.dry_run else "organisation_key.made"
        show_line(say(args, code, audience=args.audience, number=number, directory=str(args.privacy_keys)))


def _collect(args: argparse.Namespace, state: FleetState) -> None:
    log.configure("error")
    names = {name for name, record in state.devices().items() if record.revoked_at is None}
    reports: dict[str, Report] = {}

    def hear(heard: Heard) -> None:
        if isinstance(heard, Report):
            reports[heard.device] = heard

    async def listen() -> None:
        async with admin_link(state, endpoint=endpoint(args, state)) as link:
            await look(link, names, load(state), on_heard=hear)

    if names:
        asyncio.run(listen())
    now = datetime.now(UTC)
    with state.changing():
        changed = sealing_keys.keep(state, reports, now)
    known = sealing_keys.BoxKeys(state, now).known
    missing = sorted(names - set(known))
    if args.json:
        show_json(
            {"keys": {name: box.kid for name, box in known.items()}, "new": changed, "missing": missing}
        )
        return
    show_line(say(args, "organisation_key.collected", count=len(known), new=len(changed)))
    if missing:
        show_line(say(args, "organisation_key.missing", devices=", ".join(missing)))


def _deliver(args: argparse.Namespace, state: FleetState) -> None:
    (key,) = read_offline(Holder.PRIVACY, [args.privacy_keys])
    now = datetime.now(UTC)
    named = args.devices or args.groups or args.all
    version = None
    with state.changing():
        made = organisation_keys.plan(
            state,
            args.audience,
            args.privacy_keys,
            sealing_keys.BoxKeys(state, now),
            to=chosen(args, state) if named else (),
            without=args.without,
            changed=args.changed,
            anew=args.anew,
        )
        if not args.dry_run and (made.to or made.dropped):
            version = organisation_keys.deliver(state, made, args.privacy_keys, key, now)
    if args.json:
        show_json(_plain(made) | {"version": version, "dry_run": args.dry_run})
        return
    _tell(args, made)


def _plain(made: Plan) -> dict[str, object]:
    return {
        "audience": made.audience,
        "number": made.number,
        "to": {device: {"key": box.kid, "why": why} for device, (box, why) in made.to.items()},
        "kept": sorted(made.kept),
        "dropped": made.dropped,
    }


def _tell(args: argparse.Namespace, made: Plan) -> None:
    if not (made.to or made.dropped):
        show_line(say(args, "organisation_key.nothing_new", audience=made.audience, number=made.number))
        return
    code = "organisation_key.would_deliver" if args.dry_run else "organisation_key.delivered"
    show_line(say(args, code, audience=made.audience, number=made.number))
    why_of = {"new": "organisation_key.why_new", "key_changed": "organisation_key.why_changed"}
    show(
        f"  {device}  {box.kid}  {say(args, why_of.get(why, 'organisation_key.why_rotated'))}"
        for device, (box, why) in made.to.items()
    )
    if made.dropped:
        show_line(say(args, "organisation_key.dropped", devices=", ".join(made.dropped)))
    show_line(say(args, "organisation_key.compare"))
    if not args.dry_run:
        show_line(say(args, "fleet_keys.push_now"))


def _list(args: argparse.Namespace, state: FleetState) -> None:
    """Every audience's boxes, and whether what each has is for the key that it says it has now."""
    boxes = sealing_keys.BoxKeys(state, datetime.now(UTC))
    rows = []
    for audience, delivery in deliveries(state).items():
        for device, sealed in delivery.sealed.items():
            box = boxes.known.get(device)
            code = boxes.code(device) if box is None else None
            if box is not None:
                good = box.kid == sealed.kid
                code = "organisation_key.state_good" if good else "organisation_key.state_other_key"
            rows.append((audience, device, delivery.number, sealed.kid, str(code)))
    if args.json:
        for audience, device, number, kid, code in rows:
            show_json({"audience": audience, "device": device, "number": number, "key": kid, "state": code})
        return
    header = [say(args, f"organisation_key.{name}") for name in _COLUMNS]
    cells = (
        (audience, device, str(number), kid, say(args, code)) for audience, device, number, kid, code in rows
    )
    if not show_table(header, cells):
        show_line(say(args, "organisation_key.none"))
