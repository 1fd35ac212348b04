"""`edged central …`: what runs and looks at the centre. One module an action."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from edged.commands import _actions
from edged.commands._central_common import add_config

if TYPE_CHECKING:
    import argparse

_ACTIONS: Final[dict[str, str]] = {
    "collect": "edged.commands._central_collect",
    "leave": "edged.commands._central_leave",
    "streams": "edged.commands._central_streams",
    "holes": "edged.commands._central_holes",
    "alarms": "edged.commands._central_alarms",
    "verify": "edged.commands._central_verify",
    "export": "edged.commands._central_export",
    "prune": "edged.commands._central_prune",
    "slips": "edged.commands._central_slips",
    "broker": "edged.commands._central_broker",
}

_WITHOUT_ARCHIVE: Final = frozenset({"broker"})
"""Actions with a configuration file of their own kind."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The actions, each with its own arguments, `--config` and `--json`."""
    for name, action in zip(_ACTIONS, _actions.add(parser, "central", _ACTIONS), strict=True):
        if name not in _WITHOUT_ARCHIVE:
            add_config(action)


def run(args: argparse.Namespace) -> int:
    """The exit code of the action that was asked for."""
    return _actions.run(args, _ACTIONS)
