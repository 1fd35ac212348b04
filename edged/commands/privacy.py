"""`edged privacy explain|notice|audit|risk`: who learns what and why, what the holder is told, and whether it holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from edged.commands import _actions

if TYPE_CHECKING:
    import argparse

_ACTIONS: Final[dict[str, str]] = {
    "explain": "edged.commands._privacy_explain",
    "notice": "edged.commands._privacy_notice",
    "audit": "edged.commands._privacy_audit",
    "risk": "edged.commands._privacy_risk",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The actions, each with its own arguments."""
    _actions.add(parser, "privacy", _ACTIONS)


def run(args: argparse.Namespace) -> int:
    """The exit code of the action that was asked for."""
    return _actions.run(args, _ACTIONS)
