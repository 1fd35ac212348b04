"""`edged partner follow --config FILE`: verify, keep and hand on one audience's verdicts; fetch what was missed."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from edged import messages
from edged.commands import _delivery
from edged.commands._moments import beginning
from edged.commands._saying import printable

if TYPE_CHECKING:
    from collections.abc import Mapping

_LONGEST_S: Final = 3600.0
"""A command that takes an hour for a verdict isn't taking it."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Configuration, history, command, `--json`."""
    parser.add_argument("--config", type=Path, required=True, metavar="FILE", help="help.partner.config")
    history = parser.add_mutually_exclusive_group()
    history.add_argument("--since", type=beginning, metavar="DATE", help="help.partner.since")
    history.add_argument("--from-start", action="store_true", help="help.partner.from_start")
    parser.add_argument("--catch-up", action="store_true", help="help.partner.catch_up")
    parser.add_argument("--exec", type=_command, metavar="COMMAND", help="help.partner.exec")
    parser.add_argument(
        "--exec-timeout", type=_seconds, metavar="SECONDS", default=None, help="help.partner.exec_timeout"
    )
    parser.add_argument("--json", action="store_true", help="help.json_lines")


def run(args: argparse.Namespace) -> int:
    """Run until SIGTERM or SIGINT; exit 0 after a clean stop."""
    from edged.partner.command import TIMEOUT_S, Command
    from edged.partner.follow import Follower, PartnerSettings

    command = Command(args.exec, args.exec_timeout or TIMEOUT_S) if args.exec else None
    return _delivery.serve(
        args,
        PartnerSettings,
        lambda settings, tell: Follower(
            settings,
            on_event=tell,
            command=command,
            history="all" if args.from_start else args.since,
            catch_up=args.catch_up,
        ),
        words=in_words,
    )


def _command(text: str) -> list[str]:
    """A command line as a shell would split it; no shell ever sees it."""
    try:
        arguments = shlex.split(text)
    except ValueError:
        arguments = []
    if not arguments:
        raise argparse.ArgumentTypeError("usage.bad_command")
    return arguments


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0.1 <= seconds <= _LONGEST_S:  # refuses nan as well
        raise argparse.ArgumentTypeError("usage.bad_seconds")
    return seconds


def in_words(event: Mapping[str, Any], lang: str) -> str:
    """One event of the follower as lines for a terminal."""
    lines = _lines(event, lang)
    return _delivery.in_words(event, lang) if lines is None else "\n".join(map(printable, lines))


def _lines(event: Mapping[str, Any], lang: str) -> list[str] | None:
    def say(code: str, **params: object) -> str:
        return messages.text(code, lang, **params)

    match event["event"]:
        case "gap":
            return [_gap(event["gap"], lang)]
        case "catching_up" if event["estimate_s"] is None:
            counts = {name: event[name] for name in ("streams", "fetched", "missing")}
            return [say("partner.catching_up", **counts)]
        case "catching_up":
            counts = {name: event[name] for name in ("streams", "fetched", "missing")}
            return [say("partner.catching_up_until", **counts, seconds=round(event["estimate_s"]))]
        case "caught_up":
            return [say("partner.caught_up", fetched=event["fetched"])]
        case "not_archived":
            return [
                f"{hole['device']} ({hole['log_id']}): "
                + say("partner.not_archived", first=hole["first"], last=hole["last"])
                for hole in event["holes"]
            ]
        case "unanswered":
            return [say("partner.unanswered", reason=event["code"], seconds=round(event["retry_s"]))]
        case "handing_failed":
            return [say("partner.handing_failed", reason=event["code"], seconds=event["retry_s"])]
        case "not_taken":
            because = say(event["code"], exit=event["exit"])
            again = say("partner.offered_again", seconds=event["retry_s"], times=event["times"])
            return [f"{event['device']}: {because} {again}", f"  SHA-256 {event['sha256']}"]
        case _:
            return None


def _gap(gap: Mapping[str, Any], lang: str) -> str:
    """One line: whose, which numbers, and why they will not come."""
    numbers = (
        messages.text("partner.gap_open", lang, first=gap["first"])
        if gap["last"] is None
        else messages.text("partner.gap", lang, first=gap["first"], last=gap["last"])
    )
    why = messages.text(f"partner.gap_{gap['reason']}", lang)
    said = f"{gap['iss']} ({gap['log_id']}): {numbers} {why}"
    if gap["code"] is None:
        return said
    # A newer box may know more codes than we do.
    return f"{said} {messages.text(gap['code'], lang) if messages.known(gap['code']) else gap['code']}"
