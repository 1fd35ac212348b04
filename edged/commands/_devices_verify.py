"""`edged devices verify REPORT --ca CA.pem`: check a signed acceptance report, and say what it says."""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from edged import messages
from edged.commands import _message_file
from edged.commands._acceptance_words import step_line, summary
from edged.commands._saying import show, show_json
from edged.errors import SignatureRefusedError
from edged.uplink.acceptance import open_acceptance
from edged.uplink.sign import MAX_COMPACT

if TYPE_CHECKING:
    import argparse

_ROOM: Final = 64  # for white space around it, so that only a report that is too large says so


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The report, the authority, whose it must be, when."""
    from edged.commands._moments import moment

    parser.add_argument("file", nargs="?", default="-", metavar="REPORT", help="help.devices.report")
    parser.add_argument("--ca", required=True, type=Path, metavar="CA.pem", help="help.verify.ca")
    parser.add_argument("--device", metavar="NAME", help="help.verify.device")
    parser.add_argument("--at", type=moment, metavar="DATE", help="help.verify.at")
    parser.add_argument("--directory", type=Path, metavar="FILE", help="help.verify.directory")
    parser.add_argument("--json", action="store_true", help="help.json")


def run(args: argparse.Namespace) -> int:
    """EX_OK when verified, whatever its result is; EX_DATAERR when refused (and why); EX_NOINPUT without a file."""
    loaded = _message_file.load(args, MAX_COMPACT + _ROOM, _complain)
    if isinstance(loaded, int):
        return loaded
    at = args.at or datetime.now(UTC)
    try:
        report = open_acceptance(
            loaded.data.strip(), anchor=loaded.anchor, at=at, device=args.device, arrived=args.at
        )
    except SignatureRefusedError as error:
        _complain(args, error.code)
        return os.EX_DATAERR
    if args.json:
        show_json({"verified": True, "report": report})
    else:
        show(summary(report, args.lang))
        show(f"  {step_line(step, args.lang)}" for step in report.steps)
    return os.EX_OK


def _complain(args: argparse.Namespace, code: str) -> None:
    sentence = messages.text(code, args.lang)
    if args.json:
        show_json({"verified": False, "reason": code, "text": sentence})
    else:
        print(f"edged: {messages.text('verify.refused', args.lang, reason=sentence)}", file=sys.stderr)
