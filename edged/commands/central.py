"""`edged central …`: what runs and looks at the centre. One module an action."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from edged.commands import _actions
from edged.commands._central_common import add_config

if TYPE_CHECKING:
    import argparse

_ACTIONS: Final[dict[str, str]] = {
    "collect": "edged.commands._central_collect",
    "leave": "edged.commands._central_leave",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The actions, each with its own arguments, `--config` and `--json`."""
    for action in _actions.add(parser, "central", _ACTIONS):
        add_config(action)


def run(args: argparse.Namespace) -> int:
    """The exit code of the action that was asked for."""
    return _actions.run(args, _ACTIONS)
