"""`edged slip save --pdf FILE --png FILE`: a copy of a slip as a file, signed and counted as a copy."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from edged.commands import _daemon
from edged.commands._saying import say, show_json, show_line
from edged.commands._slip_common import add_number, asked_for, facts_in, grouped
from edged.slip import content

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which, and where to; one form a copy."""
    _daemon.add_arguments(parser)
    add_number(parser, optional=True)
    form = parser.add_mutually_exclusive_group(required=True)
    form.add_argument("--pdf", type=Path, metavar="FILE", help="help.slip.save.pdf")
    form.add_argument("--png", type=Path, metavar="FILE", help="help.slip.save.png")


def run(args: argparse.Namespace) -> int:
    """EX_OK; `OutputError` when it can't be drawn or written: what was there before is as it was."""
    from edged.slip import pdf, picture
    from edged.slip.faces import installed
    from edged.slip.layout import A6, lay_out
    from edged.whole_file import whole_file

    faces = installed()  # before a copy is counted that can't be drawn
    form, file = ("pdf", args.pdf) if args.pdf is not None else ("png", args.png)
    with whole_file(file) as stream:  # before a copy is counted that can't be written
        answer = asked_for(args, form)
        facts = facts_in(answer["url"])
        page = lay_out(content.lines(facts), answer["url"], content.watermark(facts), A6, faces)
        stream.write(pdf.pdf(page, faces) if form == "pdf" else picture.png(page, faces))
    if args.json:
        show_json({**answer, "file": str(file)})
    else:
        number, copy = grouped(answer["number"]), str(answer["copy"])
        show_line(say(args, "slip_command.saved", number=number, copy=copy, file=str(file)))
    return os.EX_OK
