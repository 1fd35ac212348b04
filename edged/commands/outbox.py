"""`edged outbox show|dead|retry|export`: what waits on this box, and what nobody wants. One module an action."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from edged.commands import _actions
from edged.commands._outbox_common import add_place

if TYPE_CHECKING:
    import argparse

_ACTIONS: Final[dict[str, str]] = {
    "show": "edged.commands._outbox_show",
    "dead": "edged.commands._outbox_dead",
    "retry": "edged.commands._outbox_retry",
    "export": "edged.commands._outbox_export",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The actions, each with its own arguments, `--state`, `--config` and `--json`."""
    for action in _actions.add(parser, "outbox", _ACTIONS):
        add_place(action)
        action.add_argument("--json", action="store_true", help="help.json")


def run(args: argparse.Namespace) -> int:
    """The exit code of the action that was asked for."""
    return _actions.run(args, _ACTIONS)
