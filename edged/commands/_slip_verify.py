"""`edged slip verify`: is this slip genuine, and does the paper say what was signed? Line by line."""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from edged import messages
from edged.commands._moments import moment
from edged.commands._saying import say, show_json, show_line
from edged.commands._table import show_table
from edged.errors import ConfigError
from edged.slip.content import LANGUAGES
from edged.uplink.roles import TrustAnchor
from edged.verdict import Kind, Reason

if TYPE_CHECKING:
    import argparse

    from edged.commands._slip_given import Given
    from edged.slip.paper import Judged, PaperLine

EXIT: Final = {
    "genuine": os.EX_OK,
    "altered": 1,
    "unknown": 2,
    "withdrawn": 3,
    "superseded": 4,
    "expired": 5,
    "undetermined": 6,
}
"""By the verdict."""
EXIT_NOT_LIVE: Final = 7
"""Genuine, and says nothing about anybody: a test's slip, or a training's. Scripts that look for 0 mustn't take it."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What is verified, and by what."""
    parser.add_argument("source", nargs="?", metavar="FILE|TEXT", help="help.slip.verify.source")
    parser.add_argument("--camera", type=int, metavar="NUMBER", help="help.slip.verify.camera")
    parser.add_argument("--ca", required=True, type=Path, metavar="CA.pem", help="help.verify.ca")
    parser.add_argument("--directory", metavar="WHERE", help="help.slip.verify.directory")
    parser.add_argument("--status", metavar="WHERE", help="help.slip.verify.status")
    parser.add_argument("--at", type=moment, metavar="DATE", help="help.slip.verify.at")
    parser.add_argument("--json", action="store_true", help="help.json")
    parser.epilog = "help.slip.verify.exit_codes"


def run(args: argparse.Namespace) -> int:
    """Exit code of the verdict: `EXIT`. Raises `ConfigError`, `CertificateError`, `DecodeError` (not a picture)."""
    from edged.commands import _slip_lists
    from edged.slip import paper, verifying

    if (args.source is None) == (args.camera is None):
        raise ConfigError("edged slip verify", "slip_command.one_source")
    anchor = TrustAnchor.from_file(args.ca)
    now = args.at or datetime.now(UTC)
    lists = _slip_lists.load(args.directory, args.status, anchor, now)
    given = _given(args)
    if given.text is None:
        nothing = verifying.Verification("undetermined", (Reason("slip_command.no_code"),))
        return _told(args, paper.Judged(nothing, (), None))
    found = verifying.verify(given.text, lists.directory, at=now, status=lists.status, online=lists.asked)
    judged = paper.judge(found, printed=given.printed, picture=given.picture, code=given.code)
    return _told(args, judged)


def _given(args: argparse.Namespace) -> Given:
    from edged.commands import _slip_given

    if args.camera is None:
        return _slip_given.read(args.source)
    if not args.json:
        print(say(args, "slip_command.hold_it"), file=sys.stderr)
    return _slip_given.from_camera(args.camera)


def _told(args: argparse.Namespace, judged: Judged) -> int:
    if args.json:
        show_json(_plain(judged))
    else:
        _show(args, judged)
    found = judged.verification
    if found.verdict == "genuine" and (found.facts is None or found.facts.kind is not Kind.LIVE):
        return EXIT_NOT_LIVE
    return EXIT[found.verdict]


def _plain(judged: Judged) -> dict[str, Any]:
    found = judged.verification
    return {
        "verdict": found.verdict,
        "reasons": msgspec.to_builtins(found.reasons),
        "signed": found.signed,
        "withdrawal": found.withdrawal,
        "key": msgspec.to_builtins(found.key),
        "facts": msgspec.to_builtins(found.facts),
        "paper": judged.media,
        "lines": msgspec.to_builtins(judged.lines),
    }


def _show(args: argparse.Namespace, judged: Judged) -> None:
    found = judged.verification
    show_line(say(args, f"slip.verdict_{found.verdict}"))
    for reason in found.reasons:
        show_line(messages.reason(reason, args.lang))
    if not judged.lines:
        return
    print()
    show_line(say(args, "slip_command.signed_lines" if found.signed else "slip_command.unsigned_lines"))
    which = LANGUAGES.index(args.lang)
    columns = ("caption", "signed", "paper")
    show_table(
        [say(args, f"slip_command.column_{column}") for column in columns],
        (_row(args, line, which) for line in judged.lines),
    )


def _row(args: argparse.Namespace, line: PaperLine, which: int) -> list[str]:
    caption, value = (both[which] for both in line.signed)
    seen = say(args, f"slip_command.seen_{line.seen}")
    return [caption, value, f"{seen} {line.printed}".rstrip()]
