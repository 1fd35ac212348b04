"""What the actions of `edged fleet rollout` share: carrying one out, what came of it."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from edged.commands._fleet_carry import carry_out, tally_json, tally_line, tell_failures
from edged.commands._saying import printable, say, show_json, show_line
from edged.errors import EdgedError

if TYPE_CHECKING:
    import argparse

    from edged.fleet.pushing import Pusher
    from edged.fleet.rollout import Done, Rollout, Stop
    from edged.fleet.rollout_files import RolloutFiles
    from edged.fleet.state import FleetState


def carry(
    args: argparse.Namespace, state: FleetState, files: RolloutFiles, engine: Rollout, pusher: Pusher
) -> Stop | Done:
    """Carry a rollout out while it is `held`. However it ends, what to do next is said."""
    name = engine.record.id
    try:
        return carry_out(
            args, state, engine, pusher, save=files.write, stop_wanted=lambda: files.asked_to_stop(name)
        )
    except (KeyboardInterrupt, EdgedError):
        print(f"edged: {printable(say(args, 'rollout.interrupted', id=name))}", file=sys.stderr)
        raise


def tell_end(args: argparse.Namespace, engine: Rollout) -> int:
    """What came of it; the exit code: EX_OK when done, EX_UNAVAILABLE when it stopped."""
    record = engine.record
    if args.json:
        show_json(
            {
                "event": record.state,
                "id": record.id,
                "reason": record.reason,
                "failed": sorted(engine.failures()),
            }
        )
    elif record.state == "done":
        show_line(say(args, "rollout.done", id=record.id, **_counts(engine)))
        if engine.failures():
            tell_failures(args, engine)
    else:
        show_line(
            say(args, "rollout.stopped_because", id=record.id, reason=record.reason or "rollout.stopped")
        )
        tell_failures(args, engine)
        show_line(say(args, "rollout.stopped_counts", **_counts(engine)))
        show_line(say(args, "rollout.stopped_next", id=record.id))
    return os.EX_OK if record.state == "done" else os.EX_UNAVAILABLE


def _counts(engine: Rollout) -> dict[str, int]:
    tallies = [engine.tally(wave) for wave in range(engine.waves)]
    return {
        "count": len(engine.record.boxes),
        "applied": sum(one.applied for one in tallies),
        "failed": sum(one.failed + one.forgiven for one in tallies),
        "unproven": sum(one.unproven for one in tallies),
        "waiting": sum(one.waiting + one.in_hand for one in tallies),
    }


def show_waves(args: argparse.Namespace, engine: Rollout) -> None:
    """Every wave's bar."""
    for wave in range(engine.waves):
        if args.json:
            show_json({"event": "wave", **tally_json(engine, wave)})
        else:
            show_line(tally_line(args, wave, engine.waves, engine.tally(wave)))
