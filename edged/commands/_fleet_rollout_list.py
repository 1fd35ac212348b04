"""`edged fleet rollout list`: every rollout on a line."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from edged.commands._fleet_common import open_state
from edged.commands._saying import minute, say, show_json, show_line
from edged.commands._table import show_table
from edged.fleet.rollout import FAILED
from edged.fleet.rollout_files import RolloutFiles

if TYPE_CHECKING:
    import argparse

    from edged.fleet.rollout import Record


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """No arguments of its own."""


def run(args: argparse.Namespace) -> int:
    """EX_OK."""
    files = RolloutFiles(open_state(args))
    found = [files.read(name) for name in files.names()]
    if args.json:
        for record in found:
            show_json(
                {
                    "id": record.id,
                    "started_at": record.started_at,
                    "by": record.by,
                    "version": record.version,
                    "state": record.state,
                    "reason": record.reason,
                    **_counts(record),
                }
            )
        return os.EX_OK
    columns = ("id", "at", "by", "version", "boxes", "applied", "failed", "state")
    if not show_table(
        [say(args, f"rollout.column_{name}") for name in columns], (_cells(args, one) for one in found)
    ):
        show_line(say(args, "rollout.none"))
    return os.EX_OK


def _counts(record: Record) -> dict[str, int]:
    states = [box.state for box in record.boxes.values()]
    return {
        "boxes": len(states),
        "applied": states.count("applied"),
        "failed": sum(state in FAILED for state in states),
    }


def _cells(args: argparse.Namespace, record: Record) -> tuple[str, ...]:
    return (
        record.id,
        minute(datetime.fromtimestamp(record.started_at, UTC)),
        record.by,
        record.version,
        *map(str, _counts(record).values()),
        say(args, f"rollout.is_{record.state}"),
    )
