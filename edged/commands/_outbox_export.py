"""`edged outbox export`: the dead letters' bodies, as signed, one a line, for whoever has to find out what is wrong."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from edged.commands._outbox_common import database_file
from edged.commands._saying import say, show, show_json
from edged.errors import StateError
from edged.uplink import outbox_report

if TYPE_CHECKING:
    import argparse

_STEP: Final = 5000
"""Letters between two lines of progress."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The file to write."""
    parser.add_argument("file", type=Path, metavar="FILE", help="help.outbox.export.file")


def run(args: argparse.Namespace) -> int:
    """EX_OK. The file is new, readable by its owner alone, whole and on the disk; or it isn't there."""
    database = database_file(args)
    outbox_report.connect(database).close()  # before any file is made
    try:
        descriptor = os.open(args.file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        raise StateError("outbox.file_exists", str(args.file)) from None
    exported = 0
    try:
        with os.fdopen(descriptor, "w", encoding="ascii", newline="\n") as file:
            for jws in outbox_report.dead_bodies(database):
                file.write(f"{jws}\n")
                exported += 1
                if exported % _STEP == 0:
                    print(say(args, "outbox.exporting", exported=exported), file=sys.stderr)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        args.file.unlink(missing_ok=True)
        raise
    if args.json:
        show_json({"exported": exported, "file": str(args.file)})
    else:
        show([f"{say(args, 'outbox.exported', exported=exported)} {args.file}"])
    return os.EX_OK
