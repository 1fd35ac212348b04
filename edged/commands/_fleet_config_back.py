"""`edged fleet config back`: push the content of an earlier push again, under a new number."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from edged.commands._fleet_common import add_dry_run, open_state
from edged.commands._fleet_config_push import add_waiting, compiled_names, push
from edged.commands._fleet_devices import add_devices, admin_only, chosen
from edged.errors import ConfigError
from edged.fleet.pushes import Pushes
from edged.fleet.pushing import Pusher

if TYPE_CHECKING:
    import argparse

    from edged.fleet.pushes import PushRecord


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `edged fleet config back`."""
    add_devices(parser)
    parser.add_argument("--push", type=int, metavar="NUMBER", help="help.fleet.config.back.push")
    parser.add_argument("--skip", action="store_true", help="help.fleet.skip")
    add_dry_run(parser)
    add_waiting(parser)


def run(args: argparse.Namespace) -> int:
    """As `edged fleet config push`."""
    state = open_state(args)
    admin_only(args, state)
    again = {name: _earlier(args, Pushes(state), name) for name in chosen(args, state)}
    pusher = Pusher(
        state, now=datetime.now(UTC), by=f"admin.{state.file.admin}", again=again, overtake=args.overtake
    )
    return push(args, state, pusher, compiled_names(args, pusher, list(again)), 0)


def _earlier(args: argparse.Namespace, pushes: Pushes, name: str) -> PushRecord:
    """The push that was asked for, or the last good one with another content than the last.

    Raises `ConfigError` (`fleet.no_such_push`, `fleet.nothing_before`).
    """
    if args.push is not None:
        return pushes.read(name, args.push)
    last = pushes.last(name)
    found = last and pushes.good(name, last.number)
    while found and last and found.version == last.version:
        found = pushes.good(name, found.number)
    if not found:
        raise ConfigError(name, "fleet.nothing_before")
    return found
