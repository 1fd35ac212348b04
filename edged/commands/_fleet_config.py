"""`edged fleet config …`: layers of configuration, and pushing what they say. One module an action."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from edged.commands import _actions
from edged.commands._fleet_common import add_state
from edged.commands._fleet_devices import add_as

if TYPE_CHECKING:
    import argparse

_ACTIONS: Final[dict[str, str]] = {
    "edit": "edged.commands._fleet_config_edit",
    "diff": "edged.commands._fleet_config_diff",
    "push": "edged.commands._fleet_config_push",
    "history": "edged.commands._fleet_config_history",
    "back": "edged.commands._fleet_config_back",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The actions, each with its own arguments, `--state`, `--json` and `--as`."""
    for action in _actions.add(parser, "fleet.config", _ACTIONS, dest="what"):
        add_state(action)
        add_as(action)


def run(args: argparse.Namespace) -> int:
    """The exit code of the action that was asked for."""
    return _actions.run(args, _ACTIONS, dest="what")
