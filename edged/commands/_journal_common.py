"""What the commands that show a part of the box's journal share: which entries, and of which box."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edged.commands._outbox_common import add_place, directory
from edged.errors import ConfigError
from edged.journal.database import JOURNAL_FILE, MAX_ENTRIES
from edged.journal.reading import entries

if TYPE_CHECKING:
    import argparse

    from edged.journal.database import Entry


def add_arguments(parser: argparse.ArgumentParser, *, shown: int, limit_help: str) -> None:
    """`--limit N` (`shown` without it), `--state` or `--config`, `--json`."""
    parser.add_argument("--limit", type=int, default=shown, metavar="N", help=limit_help)
    add_place(parser)
    parser.add_argument("--json", action="store_true", help="help.json")


def asked_for(args: argparse.Namespace, prefix: str) -> list[Entry]:
    """The newest entries whose kind begins so. Raises `ConfigError`, `StateError`."""
    if not 1 <= args.limit <= MAX_ENTRIES:
        raise ConfigError("--limit", "config.out_of_range", least="1", most=str(MAX_ENTRIES))
    return entries(directory(args) / JOURNAL_FILE, kind=prefix, limit=args.limit)
