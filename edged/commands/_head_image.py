"""`edged head image …`: images of the firmware, built by the release engineer. One module an action."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from edged.commands import _actions

if TYPE_CHECKING:
    import argparse

_ACTIONS: Final[dict[str, str]] = {
    "build": "edged.commands._head_image_build",
    "show": "edged.commands._head_image_show",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The actions, each with its own arguments and `--json`."""
    for action in _actions.add(parser, "head", _ACTIONS, inner="image"):
        action.add_argument("--json", action="store_true", help="help.json")


def run(args: argparse.Namespace) -> int:
    """The exit code of the action that was asked for."""
    return _actions.run(args, _ACTIONS, inner=True)
