"""`edged central broker`: write mosquitto's configuration and access list for a fleet."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from edged.central.broker_files import load, write
from edged.commands._saying import say, show_json, show_line

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `edged central broker`."""
    parser.add_argument(
        "--config", type=Path, required=True, metavar="FILE", help="help.central.broker.config"
    )
    parser.add_argument(
        "--output", type=Path, required=True, metavar="DIR", help="help.central.broker.output"
    )
    parser.add_argument("--json", action="store_true", help="help.json")


def run(args: argparse.Namespace) -> int:
    """EX_OK; EX_CANTCREAT when the files can't be written."""
    written = write(load(args.config), args.output)
    if args.json:
        show_json({"written": [str(path) for path in written]})
        return os.EX_OK
    for path in written:
        show_line(str(path))
    show_line(say(args, "broker_files.next"))
    return os.EX_OK
