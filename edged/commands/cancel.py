"""`edged cancel`: cancel the running inspection."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edged.commands import _daemon

if TYPE_CHECKING:
    import argparse

add_arguments = _daemon.add_arguments


def run(args: argparse.Namespace) -> int:
    """Exit 0 when something was cancelled, EX_TEMPFAIL when nothing ran."""
    return _daemon.ask(args, "cancel", did="cli.cancelled", did_not="cli.nothing_to_cancel")
