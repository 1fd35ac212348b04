"""`edged outbox dead`: envelopes that broker or collector refused for good, and why."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from edged.commands._outbox_common import database_file, size
from edged.commands._saying import minute, say, show, show_json
from edged.uplink import outbox_report

if TYPE_CHECKING:
    import argparse

    from edged.uplink.outbox_types import DeadLetter


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """No arguments of its own."""


def run(args: argparse.Namespace) -> int:
    """EX_OK, whether there are any or not."""
    letters = outbox_report.dead_letters(database_file(args))
    if args.json:
        show_json({"dead": letters})
    elif letters:
        show(_line(args, letter) for letter in letters)
        show([say(args, "outbox.dead_next")])
    else:
        show([say(args, "outbox.none_dead")])
    return os.EX_OK


def _line(args: argparse.Namespace, letter: DeadLetter) -> str:
    by = say(args, f"outbox.by_{letter.refused_by}", count=letter.refusals)
    place = f"{letter.id}  {letter.audience} ({letter.log_id}) {letter.seq}"
    return f"{place}  {minute(letter.committed_at)}  {size(letter.size)}  {by} {say(args, letter.code)}"
