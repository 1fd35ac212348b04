"""What the long-running commands of delivery share: signals, and events as lines of words or JSON."""

from __future__ import annotations

import asyncio
import signal
import sys
from typing import TYPE_CHECKING, Any

import msgspec

from edged import messages

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Mapping


def stop_on_signals(stop: Callable[[], None]) -> None:
    """Call `stop` at SIGTERM and SIGINT instead of dying."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)


def teller(args: argparse.Namespace) -> Callable[[msgspec.Struct], None]:
    """Prints an event on standard output, at once: a JSON object with `--json`, otherwise in words."""

    def tell(event: msgspec.Struct) -> None:
        line = msgspec.json.encode(event).decode() if args.json else in_words(_plain(event), args.lang)
        sys.stdout.write(line + "\n")
        sys.stdout.flush()

    return tell


def _plain(event: msgspec.Struct) -> dict[str, Any]:
    plain: dict[str, Any] = msgspec.to_builtins(event)
    return plain


def in_words(event: Mapping[str, Any], lang: str) -> str:
    """One event of the collector or a partner's subscriber as a sentence."""

    def say(code: str, **params: object) -> str:
        return messages.text(code, lang, **params)

    match event["event"]:
        case "ready":
            return say("delivery.ready", name=event["name"])
        case "down":
            return say("delivery.down", reason=event["code"], seconds=event["retry_s"])
        case "batch":
            return say(
                "delivery.batch",
                stored=event["stored"],
                duplicates=event["duplicates"],
                refused=event["refused"],
            )
        case "alarm":
            alarm = event["alarm"]
            return say(
                "delivery.alarm",
                reason=alarm["code"],
                topic=alarm["topic"],
                seq=alarm["seq"],
                count=alarm["count"],
            )
        case "holes":
            return "\n".join(say("delivery.hole", **hole) for hole in event["holes"]) or say("delivery.whole")
        case "receipt_refused":
            return say("delivery.receipt_refused", device=event["device"], reason=event["code"])
        case "verdict":
            return _verdict(event["verdict"], lang)
        case unknown:
            raise AssertionError(unknown)


def _verdict(verdict: Mapping[str, Any], lang: str) -> str:
    """One line: who, which, how it came out, and what was disclosed."""
    claims = "  ".join(
        f"{messages.word(name, lang)}: {value}"
        for name, value in verdict["claims"].items()
        if isinstance(value, str | bool | int)
    )
    line = messages.text(
        "delivery.verdict",
        lang,
        device=verdict["iss"],
        seq=verdict["seq"],
        result=f"result.{verdict['result']}",
        kind=f"kind.{verdict['kind']}",
        reference=verdict["reference"] or "–",
    )
    return f"{line}  {claims}" if claims else line
