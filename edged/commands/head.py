"""`edged head …`: the reader head's firmware. One module an action."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from edged.commands import _actions

if TYPE_CHECKING:
    import argparse

_ACTIONS: Final[dict[str, str]] = {
    "status": "edged.commands._head_status",
    "update": "edged.commands._head_update",
    "image": "edged.commands._head_image",
    "key": "edged.commands._head_key",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The actions, each with its own arguments."""
    _actions.add(parser, "head", _ACTIONS)


def run(args: argparse.Namespace) -> int:
    """The exit code of the action that was asked for."""
    return _actions.run(args, _ACTIONS)
