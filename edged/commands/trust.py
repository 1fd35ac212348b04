"""`edged trust import|list|show|coverage|rollback|roots`: whose chips the box believes. One module an action."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from edged.commands import _actions
from edged.commands._trust_common import add_directory

if TYPE_CHECKING:
    import argparse

_ACTIONS: Final[dict[str, str]] = {
    "import": "edged.commands._trust_import",
    "list": "edged.commands._trust_list",
    "show": "edged.commands._trust_show",
    "coverage": "edged.commands._trust_coverage",
    "rollback": "edged.commands._trust_rollback",
    "roots": "edged.commands._trust_roots",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The actions, each with its own arguments, `--trust` and `--json`."""
    for action in _actions.add(parser, "trust", _ACTIONS):
        add_directory(action)
        action.add_argument("--json", action="store_true", help="help.json")


def run(args: argparse.Namespace) -> int:
    """The exit code of the action that was asked for."""
    return _actions.run(args, _ACTIONS)
