"""`edged slip log`: slips issued, copied, withdrawn and replaced, from the box's journal. Nothing of what they say."""

from __future__ import annotations

import os
from datetime import UTC
from typing import TYPE_CHECKING, Any, Final

from edged.commands import _journal_common
from edged.commands._saying import say, show, show_json
from edged.commands._slip_common import grouped
from edged.commands._table import show_table

if TYPE_CHECKING:
    import argparse

    from edged.journal.database import Entry

_SHOWN: Final = 50
"""Entries that are shown unless more are asked for."""

_PREFIX: Final = "slip."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """`--limit N`, `--state` or `--config`, `--json`."""
    _journal_common.add_arguments(parser, shown=_SHOWN, limit_help="help.slip.log.limit")


def run(args: argparse.Namespace) -> int:
    """EX_OK, whether there are any or not."""
    found = _journal_common.asked_for(args, _PREFIX)
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
