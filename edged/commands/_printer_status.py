"""`edged printer status`: whether the printer is there, has paper, and is closed."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import os
from typing import TYPE_CHECKING

from edged import messages
from edged.commands import _printer_common
from edged.commands._saying import show

if TYPE_CHECKING:
    import argparse

    from edged.drivers.print_job import PrinterStatus

add_arguments = _printer_common.add_arguments


def run(args: argparse.Namespace) -> int:
    """Exit 0 when it can print as far as it says, EX_UNAVAILABLE when it can't."""
    status = asyncio.run(_ask(args))
    if args.json:
        print(json.dumps({**dataclasses.asdict(status), "ready": ready(status)}))
    else:
        show(lines(status, args.lang))
    return os.EX_OK if ready(status) else os.EX_UNAVAILABLE


async def _ask(args: argparse.Namespace) -> PrinterStatus:
    async with _printer_common.printer_of(_printer_common.settings_of(args)) as printer:
        return await printer.status()


def ready(status: PrinterStatus) -> bool:
    """Whether nothing is known that keeps it from printing."""
    return status.answers and status.paper is not False and status.cover_closed is not False


def lines(status: PrinterStatus, lang: str) -> list[str]:
    """The status in words: what is wrong first, and what to do."""
    if not status.answers:
        return [messages.text("printer.gone", lang)]
    said = []
    if status.cover_closed is False:
        said.append(messages.text("printer.cover_open", lang))
    if status.paper is False:
        said.append(messages.text("printer.no_paper", lang))
    elif status.paper_low:
        said.append(messages.text("printer.paper_low", lang))
    if status.paper is None:
        said.append(messages.text("printer.says_nothing", lang))
    if not said:
        said.append(messages.text("printer.ready", lang))
    if status.model:
        said.append(messages.text("printer.model", lang, model=status.model))
    return said
