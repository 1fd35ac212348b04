"""`edged fleet rollout resume ID`: go on with one that stopped, or whose process ended."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from edged.commands._fleet_common import open_state
from edged.commands._fleet_config_push import add_overtake
from edged.commands._fleet_devices import admin_only, tell_errors
from edged.commands._fleet_rollout_common import carry, tell_end
from edged.commands._fleet_rollout_start import push_back
from edged.errors import ConfigError, StateError
from edged.fleet.pushing import Pusher
from edged.fleet.redoing import sha256
from edged.fleet.rollout import Rollout
from edged.fleet.rollout_files import RolloutFiles

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `edged fleet rollout resume`."""
    parser.add_argument("id", metavar="ID", help="help.fleet.rollout.id")
    parser.add_argument("--despite-failures", action="store_true", help="help.fleet.rollout.despite_failures")
    parser.add_argument("--back", action="store_true", help="help.fleet.rollout.back")
    add_overtake(parser)


def run(args: argparse.Namespace) -> int:
    """As `edged fleet rollout start`."""
    state = open_state(args)
    admin_only(args, state)
    files = RolloutFiles(state)
    with files.held(args.id):
        record = files.read(args.id)
        if record.state == "done":
            raise StateError("fleet.rollout_done", args.id)
        if record.reason == "rollout.too_many_failures" and not args.despite_failures:
            raise StateError("fleet.rollout_failed", args.id)
        engine = Rollout(record)
        engine.resume(forgive=args.despite_failures)
        pusher = Pusher(
            state,
            now=datetime.now(UTC),
            by=f"admin.{state.file.admin}",
            rollout=record.id,
            overtake=args.overtake,
        )
        _same_content(args, pusher, engine)
        carry(args, state, files, engine, pusher)
    code = tell_end(args, engine)
    if args.back and engine.record.state == "stopped":
        push_back(args, state, engine.record)
    return code


def _same_content(args: argparse.Namespace, pusher: Pusher, engine: Rollout) -> None:
    """What is still to be pushed is what was meant when it began.

    Raises `ConfigError` (`fleet.not_compiled`), `StateError` (`fleet.rollout_changed`).
    """
    left = [name for name, box in engine.record.boxes.items() if box.state in ("waiting", "pushing")]
    compilation = pusher.compile(left)
    if compilation.errors:
        tell_errors(args, compilation.errors.values())
        raise ConfigError(engine.record.id, "fleet.not_compiled", count=str(len(compilation.errors)))
    for name, compiled in compilation.documents.items():
        if sha256(compiled) != engine.record.boxes[name].document:
            raise StateError("fleet.rollout_changed", name)
