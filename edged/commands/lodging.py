"""`edged lodging list|complete|checkin|rates`: the hotel's lodging records, at the daemon. One module an action."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from edged.commands import _actions, _daemon

if TYPE_CHECKING:
    import argparse

_ACTIONS: Final[dict[str, str]] = {
    "list": "edged.commands._lodging_list",
    "complete": "edged.commands._lodging_complete",
    "checkin": "edged.commands._lodging_checkin",
    "rates": "edged.commands._lodging_rates",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The actions, each with its own arguments, `--socket` and `--json`."""
    for action in _actions.add(parser, "lodging", _ACTIONS):
        _daemon.add_arguments(action)


def run(args: argparse.Namespace) -> int:
    """The exit code of the action that was asked for."""
    return _actions.run(args, _ACTIONS)
