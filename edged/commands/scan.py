"""`edged scan`: press scan, show how it goes, print the verdict."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from typing import TYPE_CHECKING, Any

import msgspec

from edged import messages
from edged.commands import _daemon
from edged.commands._slip_number import number
from edged.config import SCENES
from edged.control import ControlClient
from edged.messages import shared
from edged.verdict import Reason, Result

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

_EXIT = {
    Result.SUCCESSFUL: os.EX_OK,
    Result.FAILED: 1,
    Result.UNDETERMINED: 2,
    Result.NOT_SUPPORTED: 2,
    Result.ABORTED: os.EX_TEMPFAIL,
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The scene and what the caller wants back with the verdict."""
    _daemon.add_arguments(parser)
    parser.add_argument("--scene", choices=SCENES, help="help.scan.scene")
    parser.add_argument("--reference", help="help.scan.reference")
    parser.add_argument("--purpose", help="help.scan.purpose")
    parser.add_argument("--operator", help="help.scan.operator")
    parser.add_argument("--consent", action="store_true", help="help.scan.consent")
    parser.add_argument("--notice", metavar="SHA256", help="help.scan.notice")
    parser.add_argument("--training", action="store_true", help="help.scan.training")
    parser.add_argument("--supersedes", type=number, metavar="NUMBER", help="help.scan.supersedes")
    parser.epilog = "help.scan.exit_codes"


def run(args: argparse.Namespace) -> int:
    """Exit 0 successful, 1 failed, 2 undetermined, EX_TEMPFAIL aborted or refused."""
    answer = asyncio.run(_scan(args))
    if args.json:
        print(json.dumps(answer, ensure_ascii=False))
    else:
        print("\n".join(lines(answer, args.lang)))
    verdict = answer["verdict"]
    return _EXIT[Result(verdict["result"])] if verdict else os.EX_TEMPFAIL


async def _scan(args: argparse.Namespace) -> dict[str, Any]:
    shared.use(args.socket)
    async with ControlClient(args.socket) as client:
        if not args.json and sys.stderr.isatty():
            await client.call("subscribe")
            progress = asyncio.create_task(_show_progress(client, args.lang))
        else:
            progress = None
        asked = {
            name: getattr(args, name)
            for name in ("scene", "reference", "purpose", "operator", "notice", "supersedes")
            if getattr(args, name) is not None
        }
        try:
            answer: dict[str, Any] = await client.call(
                "scan", training=args.training, consent=args.consent, **asked
            )
        finally:
            if progress:
                progress.cancel()
        return answer


async def _show_progress(client: ControlClient, lang: str) -> None:
    async for event in client.events():
        said = progress(event, lang)
        if said is not None:
            print(said, file=sys.stderr)


def progress(event: Mapping[str, Any], lang: str) -> str | None:
    """What a clerk is told of an event while waiting; None when it is of no use to them."""
    match event["event"]:
        case "indication":
            return messages.text(f"indication.{event['indication']}", lang)
        case "advice":
            return messages.reason(msgspec.convert(event["reason"], Reason), lang)
        case "stage" if event["stage"] == "chip_select":
            return messages.text("chip.being_read", lang)
        case "chip" if event["file"] == "DG2" and event["total"]:
            share = 100 * event["octets"] // event["total"]
            return messages.text("chip.portrait_read", lang, percent=share)
        case _:
            return None


def lines(answer: dict[str, Any], lang: str) -> list[str]:
    """An outcome in words: the result, then every check with its reasons."""
    verdict = answer["verdict"]
    if verdict is None:
        reason = msgspec.convert(answer["reason"], Reason)
        return [f"{messages.text('ending.' + answer['outcome'], lang)}: {messages.reason(reason, lang)}"]
    said = [messages.text(f"result.{verdict['result']}", lang)]
    for check in verdict["checks"]:
        said.append(
            f"  {messages.text('check_name.' + check['name'], lang)}: "
            f"{messages.text('result.' + check['result'], lang)} "
            f"({messages.text('check_class.' + check['check_class'], lang)})"
        )
        said.extend(
            f"      {messages.reason(msgspec.convert(reason, Reason), lang)}"
            for reason in check.get("reasons", ())
        )
    told = (answer.get("notice") or {}).get("recipients", ())
    said.extend(messages.text("noticed.no_consent", lang, to=one["to"]) for one in told if one["refused"])
    return said
