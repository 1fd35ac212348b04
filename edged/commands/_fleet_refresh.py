"""`edged fleet refresh`: sign anew what expires soon. For cron, and for whoever brings an offline key."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from edged.commands._fleet_common import (
    add_dry_run,
    add_key_directory,
    add_root_keys,
    add_state,
    open_state,
)
from edged.commands._fleet_keys import as_json, soon_line
from edged.commands._saying import say, show_json, show_line
from edged.fleet import authorities, recovery
from edged.fleet.bundles import due_devices
from edged.fleet.key_files import read_offline
from edged.fleet.state import LEAF_DAYS
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
        done = _Done(
            recovery.Refreshed((), tuple(recovery.due(state, now)))
            if args.dry_run
            else recovery.refresh(state, present, now),
            due_devices(state, now),
            authorities.admin_due(state, now),
            authorities.issuing_end(state),
        )
        if done.admin and not args.dry_run:
            authorities.write_admin(state, now)
    short = done.issuing_end - now < timedelta(days=LEAF_DAYS)
    if args.json:
        show_json(_as_json(args, done, now))
    else:
        _say(args, done, short, now)
    return 1 if done.metadata.waiting or done.devices or short else os.EX_OK


class _Done(NamedTuple):
    """What was done, or would be."""

    metadata: recovery.Refreshed
    devices: list[str]
    admin: bool
    """Whether the admin has new certificates."""
    issuing_end: datetime


def _as_json(args: argparse.Namespace, done: _Done, now: datetime) -> dict[str, object]:
    return {
        "signed": done.metadata.signed,
        "waiting": [as_json(one, now) for one in done.metadata.waiting],
        "devices": done.devices,
        "admin_certificates": done.admin,
        "issuing_authority_until": done.issuing_end,
        "dry_run": args.dry_run,
    }


def _say(args: argparse.Namespace, done: _Done, short: bool, now: datetime) -> None:
    for role in done.metadata.signed:
        show_line(say(args, "fleet_refresh.signed", role=role))
    if done.admin:
        show_line(say(args, "fleet_refresh.would_admin" if args.dry_run else "fleet_refresh.admin"))
    for one in done.metadata.waiting:
        if one.soon:
            show_line(soon_line(args, one, now))
        else:
            show_line(say(args, "fleet_refresh.unsigned", role=one.role))
    if done.metadata.signed:
        show_line(say(args, "fleet_keys.push_now"))
    if done.devices:
        show_line(say(args, "fleet_refresh.devices", devices=", ".join(done.devices)))
    if short:
        show_line(say(args, "fleet_refresh.issuing", day=f"{done.issuing_end:%Y-%m-%d}"))
    if not (done.metadata.signed or done.metadata.waiting or done.devices or done.admin or short):
        show_line(say(args, "fleet_refresh.nothing"))
