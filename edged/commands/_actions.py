"""Commands that are several: one module an action, with `add_arguments` and `run` as a command's module has."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

INNER: Final = "inner_action"
"""Where argparse puts the name of an action's own action."""


def add(
    parser: argparse.ArgumentParser, area: str, actions: Mapping[str, str], *, inner: str | None = None
) -> tuple[argparse.ArgumentParser, ...]:
    """Add the actions (name to module), each with its own arguments; their parsers. Help is `help.AREA.NAME`.

    `inner`: the action whose own actions they are; their help is `help.AREA.INNER.NAME`.
    """
    dest = "action" if inner is None else INNER
    added = parser.add_subparsers(dest=dest, required=True, metavar="|".join(actions))
    parsers = []
    for name, module in actions.items():
        said = f"help.{area}.{name}" if inner is None else f"help.{area}.{inner}.{name}"
        said = said.replace("-", "_")
        parsers.append(added.add_parser(name, help=said, description=said))
        importlib.import_module(module).add_arguments(parsers[-1])
    return tuple(parsers)


def run(args: argparse.Namespace, actions: Mapping[str, str], *, inner: bool = False) -> int:
    """The exit code of the action that was asked for; `inner`: of an action's own action."""
    name = getattr(args, INNER) if inner else args.action
    code: int = importlib.import_module(actions[name]).run(args)
    return code
