"""`edged fleet rollout status [ID]`: how far one is."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from edged.commands._fleet_carry import tell_failures
from edged.commands._fleet_common import open_state
from edged.commands._fleet_rollout_common import show_waves
from edged.commands._saying import minute, say, show_json, show_line
from edged.errors import ConfigError
from edged.fleet.rollout import Rollout
from edged.fleet.rollout_files import RolloutFiles

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `edged fleet rollout status`."""
    parser.add_argument("id", nargs="?", metavar="ID", help="help.fleet.rollout.status.id")


def run(args: argparse.Namespace) -> int:
    """EX_OK."""
    state = open_state(args)
    files = RolloutFiles(state)
    names = files.names()
    if args.id is None and not names:
        raise ConfigError(str(state.directory), "fleet.no_rollouts")
    found = [files.read(args.id)] if args.id else map(files.read, names)
    engine = Rollout(max(found, key=lambda one: one.started_at))
    record = engine.record
    if args.json:
        show_json(
            {
                "event": "rollout",
                "id": record.id,
                "version": record.version,
                "by": record.by,
                "started_at": record.started_at,
                "state": record.state,
                "reason": record.reason,
                "failures": engine.failures(),
            }
        )
    else:
        at = minute(datetime.fromtimestamp(record.started_at, UTC))
        show_line(say(args, "rollout.head", id=record.id, version=record.version, by=record.by, at=at))
    show_waves(args, engine)
    if not args.json:
        tell_failures(args, engine)
        state_code = f"rollout.state_{record.state}"
        show_line(say(args, state_code, id=record.id, reason=record.reason or "rollout.stopped"))
    return os.EX_OK
