"""`edged fleet rollout …`: something new for many boxes, a few of them first. One module an action."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from edged.commands import _actions
from edged.commands._fleet_common import add_state
from edged.commands._fleet_devices import add_as

if TYPE_CHECKING:
    import argparse

_ACTIONS: Final[dict[str, str]] = {
    "start": "edged.commands._fleet_rollout_start",
    "status": "edged.commands._fleet_rollout_status",
    "stop": "edged.commands._fleet_rollout_stop",
    "resume": "edged.commands._fleet_rollout_resume",
    "list": "edged.commands._fleet_rollout_list",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The actions, each with its own arguments, `--state`, `--json` and `--as`."""
    for action in _actions.add(parser, "fleet.rollout", _ACTIONS, dest="what"):
        add_state(action)
        add_as(action)


def run(args: argparse.Namespace) -> int:
    """The exit code of the action that was asked for."""
    return _actions.run(args, _ACTIONS, dest="what")
