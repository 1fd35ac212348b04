"""`edged slip …`: verifies slips; has the box show, save, print and withdraw its own. One module an action."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from edged.commands import _actions

if TYPE_CHECKING:
    import argparse

_ACTIONS: Final[dict[str, str]] = {
    "verify": "edged.commands._slip_verify",
    "list": "edged.commands._slip_list",
    "show": "edged.commands._slip_show",
    "save": "edged.commands._slip_save",
    "print": "edged.commands._slip_print",
    "withdraw": "edged.commands._slip_withdraw",
    "log": "edged.commands._slip_log",
    "page": "edged.commands._slip_page",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The actions, each with its own arguments."""
    _actions.add(parser, "slip", _ACTIONS)


def run(args: argparse.Namespace) -> int:
    """The exit code of the action that was asked for."""
    return _actions.run(args, _ACTIONS)
