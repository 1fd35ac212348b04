"""`edged devices card FILE`: the test card for the camera's steps, to be printed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from edged.commands._saying import say, show_json, show_line
from edged.whole_file import whole_file

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Where to."""
    parser.add_argument("file", type=Path, metavar="FILE.png", help="help.devices.card_file")
    parser.add_argument("--json", action="store_true", help="help.json")


def run(args: argparse.Namespace) -> int:
    """EX_OK; the file is a PNG that knows how large it is printed. Raises `OutputError`."""
    from edged.technician.card import HEIGHT_MM, WIDTH_MM, png

    with whole_file(args.file, mode=None) as file:
        file.write(png())
    if args.json:
        show_json({"file": str(args.file), "width_mm": WIDTH_MM, "height_mm": HEIGHT_MM})
    else:
        show_line(say(args, "acceptance.card_written", width=WIDTH_MM, height=HEIGHT_MM, file=args.file))
    return os.EX_OK
