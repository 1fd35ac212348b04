"""`edged central collect --config FILE [--json]`: archive envelopes, sign receipts, answer replays."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edged.commands import _delivery

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Nothing of its own."""


def run(args: argparse.Namespace) -> int:
    """Run until SIGTERM or SIGINT; exit 0 after a clean stop."""
    from edged.central.collector import Collector, CollectorSettings

    return _delivery.serve(args, CollectorSettings, lambda settings, tell: Collector(settings, on_event=tell))
