"""`edged central slips --config FILE --out DIR [--watch] [--json]`: the signed list of withdrawn slips, for the web.

With `--withdraw DEVICE NUMBER` the centre takes slips back itself.
"""

from __future__ import annotations

import argparse
import asyncio
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edged import messages
from edged.commands import _central_words, _delivery
from edged.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edged.central.slip_lists import SlipListSettings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """`--out DIR`, `--watch`."""
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="help.central.slips_out")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--watch", action="store_true", help="help.central.slips_watch")
    how.add_argument(
        "--withdraw",
        nargs=2,
        action="append",
        metavar=("DEVICE", "NUMBER"),
        help="help.central.slips_withdraw",
    )


def run(args: argparse.Namespace) -> int:
    """Exit 0 when the files are written; with `--watch`, after SIGTERM or SIGINT."""
    from edged import log
    from edged.central.slip_lists import SlipListSettings
    from edged.config import load_toml

    log.configure("info")
    settings = load_toml(args.config, SlipListSettings)
    if args.withdraw:
        _withdraw(settings, args)
    else:
        asyncio.run(_hear(settings, args))
    return os.EX_OK


def _withdraw(settings: SlipListSettings, args: argparse.Namespace) -> None:
    from edged.central.slip_lists import SlipLists
    from edged.commands._slip_number import number

    try:
        taken_back = [(device, number(text)) for device, text in args.withdraw]
    except argparse.ArgumentTypeError as error:
        raise ConfigError("--withdraw", str(error)) from None
    lists = SlipLists(settings, args.out, once=True)
    _delivery.teller(args, in_words)(lists.withdraw(taken_back))


async def _hear(settings: SlipListSettings, args: argparse.Namespace) -> None:
    from edged.central.slip_lists import SlipLists

    lists = SlipLists(settings, args.out, once=not args.watch, on_event=_delivery.teller(args, in_words))
    _delivery.stop_on_signals(lists.stop)
    await lists.run()


def in_words(event: Mapping[str, Any], lang: str) -> str:
    """One event in words, fit for a terminal."""
    if event["event"] not in {"written", "withdrawn"}:
        return _central_words.in_words(event, lang)
    until = datetime.fromtimestamp(event["until"], UTC).isoformat(timespec="minutes")
    if event["event"] == "withdrawn":
        return messages.text("central.slips_withdrawn", lang, slips=str(event["slips"]), until=until)
    said = messages.text(
        "central.slips_written",
        lang,
        slips=str(event["slips"]),
        devices=str(event["devices"]),
        until=until,
    )
    if event["directory"] is None:
        said += "\n" + messages.text("central.slips_no_directory", lang)
    return said
