"""`edged camera show|calibrate`: which cameras there are, how one is set, its calibration. One module an action."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from edged.commands import _actions

if TYPE_CHECKING:
    import argparse

_ACTIONS: Final[dict[str, str]] = {
    "show": "edged.commands._camera_show",
    "calibrate": "edged.commands._camera_calibrate",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The actions, each with its own arguments."""
    _actions.add(parser, "camera", _ACTIONS)


def run(args: argparse.Namespace) -> int:
    """The exit code of the action that was asked for."""
    return _actions.run(args, _ACTIONS)
