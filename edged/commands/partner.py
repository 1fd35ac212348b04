"""`edged partner …`: a partner's side. One module an action."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from edged.commands import _actions

if TYPE_CHECKING:
    import argparse

_ACTIONS: Final[dict[str, str]] = {
    "follow": "edged.commands._partner_follow",
    "check": "edged.commands._partner_check",
    "reply": "edged.commands._partner_reply",
    "open": "edged.commands._partner_open",
    "key": "edged.commands._partner_key",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The actions, each with its own arguments."""
    _actions.add(parser, "partner", _ACTIONS)


def run(args: argparse.Namespace) -> int:
    """The exit code of the action that was asked for."""
    return _actions.run(args, _ACTIONS)
