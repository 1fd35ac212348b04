"""`edged fleet rollout stop ID`: no more pushes; what boxes haven't come for is taken back."""

from __future__ import annotations

import asyncio
import os
import time
from typing import TYPE_CHECKING, Final

from edged import log
from edged.commands._fleet_common import open_state
from edged.commands._fleet_devices import admin_only, endpoint
from edged.commands._fleet_rollout_common import tell_end
from edged.commands._saying import say, show_json, show_line
from edged.errors import StateError
from edged.fleet.link import admin_link
from edged.fleet.pushes import Pushes
from edged.fleet.rolling import take_back
from edged.fleet.rollout import Halt, Rollout, Stop
from edged.fleet.rollout_files import RolloutFiles

if TYPE_CHECKING:
    import argparse

    from edged.fleet.state import FleetState

_LOOK_S: Final = 0.2
_WAIT_S: Final = 30.0
"""Whoever carries it out looks every second, and finishes what it is publishing."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `edged fleet rollout stop`."""
    parser.add_argument("id", metavar="ID", help="help.fleet.rollout.id")


def run(args: argparse.Namespace) -> int:
    """EX_OK when it has stopped; EX_TEMPFAIL when whoever carries it out hasn't answered yet."""
    state = open_state(args)
    admin_only(args, state)
    files = RolloutFiles(state)
    files.read(args.id)
    try:
        with files.held(args.id):
            return _stop_here(args, state, files)
    except StateError as error:
        if error.code != "fleet.rollout_running":
            raise
    files.ask_to_stop(args.id)
    deadline = time.monotonic() + _WAIT_S
    while files.read(args.id).state == "running":
        if time.monotonic() > deadline:
            if args.json:
                show_json({"event": "asked_to_stop", "id": args.id})
            else:
                show_line(say(args, "rollout.asked_to_stop", id=args.id))
            return os.EX_TEMPFAIL
        time.sleep(_LOOK_S)
    tell_end(args, Rollout(files.read(args.id)))
    return os.EX_OK


def _stop_here(args: argparse.Namespace, state: FleetState, files: RolloutFiles) -> int:
    """Nobody carries it out: stop it ourselves."""
    log.configure("error")
    engine = Rollout(files.read(args.id))
    if engine.record.state == "running":
        command = engine.handle(Halt("rollout.stopped"), now=time.time())
        assert isinstance(command, Stop)
        asyncio.run(_take_back(args, state, engine, command))
        files.write(engine.record)
        for device in command.withdraw:
            Pushes(state).settle(device, engine.record.boxes[device], int(time.time()))
    tell_end(args, engine)
    return os.EX_OK


async def _take_back(args: argparse.Namespace, state: FleetState, engine: Rollout, stop: Stop) -> None:
    if stop.withdraw:
        async with admin_link(state, endpoint=endpoint(args, state)) as link:
            await take_back(engine, stop, link, Pushes(state))
