"""`edged slip log`: slips issued, copied, withdrawn and replaced, from the box's journal. Nothing of what they say."""

from __future__ import annotations

import os
from datetime import UTC
from typing import TYPE_CHECKING, Any, Final

from edged.commands._outbox_common import add_place, directory
from edged.commands._saying import say, show, show_json
from edged.commands._slip_common import grouped
from edged.commands._table import show_table
from edged.errors import ConfigError
from edged.journal.database import JOURNAL_FILE, MAX_ENTRIES
from edged.journal.reading import entries

if TYPE_CHECKING:
    import argparse

    from edged.journal.database import Entry

_SHOWN: Final = 50
"""Entries that are shown unless more are asked for."""

_PREFIX: Final = "slip."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """`--limit N`, `--state` or `--config`, `--json`."""
    parser.add_argument("--limit", type=int, default=_SHOWN, metavar="N", help="help.slip.log.limit")
    add_place(parser)
    parser.add_argument("--json", action="store_true", help="help.json")


def run(args: argparse.Namespace) -> int:
    """EX_OK, whether there are any or not."""
    if not 1 <= args.limit <= MAX_ENTRIES:
        raise ConfigError("--limit", "config.out_of_range", least="1", most=str(MAX_ENTRIES))
    found = entries(directory(args) / JOURNAL_FILE, kind=_PREFIX, limit=args.limit)
    if args.json:
        show_json({"slips": found})
    elif found:
        header = [say(args, f"slip_command.column_{name}") for name in ("at", "number", "what")]
        show_table(header, [_row(args, one) for one in found])
    else:
        show([say(args, "slip_command.none_logged")])
    return os.EX_OK


def _row(args: argparse.Namespace, entry: Entry) -> tuple[str, ...]:
    detail: dict[str, Any] = entry.detail
    values = {"by": grouped(detail["by"])} if "by" in detail else {}
    if "copy" in detail:
        values = {"copy": str(detail["copy"]), "output": f"slip_command.output_{detail['output']}"}
    if "reason" in detail:
        values = {"reason": f"slip_command.reason_{detail['reason']}"}
    what = say(args, f"slip_command.logged_{entry.kind.removeprefix(_PREFIX)}", **values)
    return f"{entry.at.astimezone(UTC):%Y-%m-%d %H:%M:%S}", grouped(entry.subject), what
