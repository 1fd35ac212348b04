"""`edged partner follow --config FILE [--json]`: verify, keep and print one audience's verdicts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edged.commands import _delivery

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """`follow`, its configuration file, `--json`."""
    _delivery.add_action(parser, "follow", name="partner")


def run(args: argparse.Namespace) -> int:
    """Run until SIGTERM or SIGINT; exit 0 after a clean stop."""
    from edged.partner.follow import Follower, PartnerSettings

    return _delivery.serve(args, PartnerSettings, lambda settings, tell: Follower(settings, on_event=tell))
