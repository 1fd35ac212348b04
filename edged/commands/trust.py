"""`edged trust import|list|show|coverage|rollback|roots`: whose chips the box believes. One module an action."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Final

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
"""The module of every action: it has `add_arguments` and `run`, as a command's module does."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The actions, each with its own arguments, `--trust` and `--json`."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="|".join(_ACTIONS))
    for name, module in _ACTIONS.items():
        said = f"help.trust.{name}"
        added = actions.add_parser(name, help=said, description=said)
        importlib.import_module(module).add_arguments(added)
        add_directory(added)
        added.add_argument("--json", action="store_true", help="help.json")


def run(args: argparse.Namespace) -> int:
    """The exit code of the action that was asked for."""
    code: int = importlib.import_module(_ACTIONS[args.action]).run(args)
    return code
