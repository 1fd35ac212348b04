"""`edged chip verify|read|emulate`: a chip's files, a chip on a reader, an emulated chip. One module an action."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import argparse

_ACTIONS: Final[dict[str, str]] = {
    "verify": "edged.commands._chip_verify",
    "read": "edged.commands._chip_read",
    "emulate": "edged.commands._chip_emulate",
}
"""The module of every action: it has `add_arguments` and `run`, as a command's module does."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The actions, each with its own arguments."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="|".join(_ACTIONS))
    for name, module in _ACTIONS.items():
        said = f"help.chip.{name}"
        importlib.import_module(module).add_arguments(actions.add_parser(name, help=said, description=said))


def run(args: argparse.Namespace) -> int:
    """The exit code of the action that was asked for."""
    code: int = importlib.import_module(_ACTIONS[args.action]).run(args)
    return code
