"""`edged complete`: say that the document has no other side, so that it is judged with what there is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edged.commands import _daemon

if TYPE_CHECKING:
    import argparse

add_arguments = _daemon.add_arguments


def run(args: argparse.Namespace) -> int:
    """Exit 0 when another side was being waited for, EX_TEMPFAIL otherwise."""
    return _daemon.ask(args, "complete", did="cli.completed", did_not="cli.nothing_to_complete")
