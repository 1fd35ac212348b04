"""`edged handover log`: who was offered, took, was refused or missed which fields. Never a value: there are none."""

from __future__ import annotations

import os
from datetime import UTC
from typing import TYPE_CHECKING, Any, Final

from edged.commands import _journal_common
from edged.commands._saying import say, show, show_json
from edged.commands._table import show_table
from edged.journal.handovers import PREFIX

if TYPE_CHECKING:
    import argparse

    from edged.journal.database import Entry

_SHOWN: Final = 50
"""Entries that are shown unless more are asked for: a morning's."""

_PSEUDONYM_SHOWN: Final = 8  # of 22 characters: enough to tell a counter's clerks apart in a table


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """`--limit N`, `--state` or `--config`, `--json`."""
    _journal_common.add_arguments(parser, shown=_SHOWN, limit_help="help.handover.limit")


def run(args: argparse.Namespace) -> int:
    """EX_OK, whether there are any or not."""
    found = _journal_common.asked_for(args, PREFIX)
    if args.json:
        show_json({"handovers": found})
    elif found:
        columns = ("at", "what", "application", "inspection", "fields", "operator")
        show_table(
            [say(args, f"handover_log.{name}") for name in columns], [_row(args, one) for one in found]
        )
        show([say(args, "handover_log.no_values")])
    else:
        show([say(args, "handover_log.none")])
    return os.EX_OK


def _row(args: argparse.Namespace, entry: Entry) -> tuple[str, ...]:
    detail: dict[str, Any] = entry.detail
    what = say(args, f"handover_log.{entry.kind.removeprefix(PREFIX)}")
    if (code := detail.get("code")) is not None:
        what += f" ({code.removeprefix(PREFIX)})"
    operator = detail.get("operator")
    return (
        f"{entry.at.astimezone(UTC):%Y-%m-%d %H:%M:%S}",
        what,
        detail["audience"],
        entry.subject,
        ", ".join(detail["fields"]) or "–",
        "–" if operator is None else operator[:_PSEUDONYM_SHOWN],
    )
