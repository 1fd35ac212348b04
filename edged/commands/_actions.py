"""Commands that are several: one module an action, with `add_arguments` and `run` as a command's module has."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping


def add(
    parser: argparse.ArgumentParser, area: str, actions: Mapping[str, str], *, dest: str = "action"
) -> tuple[argparse.ArgumentParser, ...]:
    """Add the actions (name to module), each with its own arguments; their parsers. Help is `help.AREA.NAME`.

    `dest`: for an action that has actions of its own.
    """
    added = parser.add_subparsers(dest=dest, required=True, metavar="|".join(actions))
    parsers = []
    for name, module in actions.items():
        said = f"help.{area}.{name}"
        parsers.append(added.add_parser(name, help=said, description=said))
        importlib.import_module(module).add_arguments(parsers[-1])
    return tuple(parsers)


def run(args: argparse.Namespace, actions: Mapping[str, str], *, dest: str = "action") -> int:
    """The exit code of the action that was asked for."""
    code: int = importlib.import_module(actions[getattr(args, dest)]).run(args)
    return code
