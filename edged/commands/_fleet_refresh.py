"""`edged fleet refresh`: sign anew what expires soon. For cron, and for whoever brings an offline key."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from edged.commands._fleet_common import (
    add_dry_run,
    add_key_directory,
    add_root_keys,
    add_state,
    open_state,
)
from edged.commands._fleet_keys import as_json, soon_line
from edged.commands._saying import say, show_json, show_line
from edged.fleet import recovery
from edged.fleet.bundles import due_devices
from edged.fleet.key_files import read_offline
from edged.fleet.tuf_roles import Holder

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `edged fleet refresh`."""
    add_state(parser)
    add_root_keys(parser, required=False)
    add_key_directory(parser, "--privacy-keys", required=False)
    add_key_directory(parser, "--release-keys", required=False)
    add_dry_run(parser)


def run(args: argparse.Namespace) -> int:
    """EX_OK; 1 when something is due that needs a key which isn't here, or a new push."""
    state = open_state(args)
    now = datetime.now(UTC)
    present = {Holder.ROOT: read_offline(Holder.ROOT, args.root_keys)}
    for holder, directory in ((Holder.PRIVACY, args.privacy_keys), (Holder.RELEASE, args.release_keys)):
        present[holder] = [] if directory is None else read_offline(holder, [directory])
    with state.changing():
        if args.dry_run:
            done = recovery.Refreshed((), tuple(recovery.due(state, now)))
        else:
            done = recovery.refresh(state, present, now)
        devices = due_devices(state, now)
    if args.json:
        show_json(
            {
                "signed": done.signed,
                "waiting": [as_json(one, now) for one in done.waiting],
                "devices": devices,
                "dry_run": args.dry_run,
            }
        )
    else:
        _say(args, done, devices, now)
    return 1 if done.waiting or devices else os.EX_OK


def _say(args: argparse.Namespace, done: recovery.Refreshed, devices: list[str], now: datetime) -> None:
    for role in done.signed:
        show_line(say(args, "fleet_refresh.signed", role=role))
    for one in done.waiting:
        if one.soon:
            show_line(soon_line(args, one, now))
        else:
            show_line(say(args, "fleet_refresh.unsigned", role=one.role, holder=f"fleet_keys.{one.holder}"))
    if done.signed:
        show_line(say(args, "fleet_keys.push_now"))
    if devices:
        show_line(say(args, "fleet_refresh.devices", devices=", ".join(devices)))
    if not (done.signed or done.waiting or devices):
        show_line(say(args, "fleet_refresh.nothing"))
