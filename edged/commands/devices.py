"""`edged devices [list|card|test|verify]`: what is attached and what is missing; a box's acceptance."""

from __future__ import annotations

import argparse
import importlib
from pathlib import Path
from typing import Final

CONFIG: Final = Path("/etc/edged/edged.toml")

_ACTIONS: Final[dict[str, str]] = {
    "list": "edged.commands._devices_list",
    "card": "edged.commands._devices_card",
    "test": "edged.commands._devices_test",
    "verify": "edged.commands._devices_verify",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The actions, each with its own arguments; without one it is `list`, whose arguments the command itself has."""
    importlib.import_module(_ACTIONS["list"]).add_arguments(parser)
    actions = parser.add_subparsers(dest="action", metavar="|".join(_ACTIONS))
    for name, module in _ACTIONS.items():
        said = f"help.devices.{name}"
        inner = actions.add_parser(name, help=said, description=said)
        importlib.import_module(module).add_arguments(inner)
        _leave_alone(inner, {action.dest for action in parser._actions})


def _leave_alone(parser: argparse.ArgumentParser, given: set[str]) -> None:
    """An option that stands before the action is as good as behind it: argparse's default would undo it."""
    for action in parser._actions:
        if action.dest in given:
            action.default = argparse.SUPPRESS


def run(args: argparse.Namespace) -> int:
    """The exit code of the action that was asked for."""
    code: int = importlib.import_module(_ACTIONS[args.action or "list"]).run(args)
    return code
