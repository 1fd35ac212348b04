"""What the long-running commands of delivery share: signals, and events as lines of words or JSON."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import msgspec

from edged import log, messages
from edged.commands._saying import printable
from edged.config import load_toml

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

Settings = TypeVar("Settings")
Words = Callable[["Mapping[str, Any]", str], str]
"""An event, as plain data, to lines in a language."""


class Service(Protocol):
    """A collector or a follower."""

    def stop(self) -> None:
        """Finish the batch in hand and return from `run`."""
        ...

    async def run(self) -> None:
        """Serve until `stop`."""
        ...


def serve(
    args: argparse.Namespace,
    settings: type[Settings],
    make: Callable[[Settings, Callable[[msgspec.Struct], None]], Service],
    *,
    words: Words | None = None,
) -> int:
    """Run the service that `make` makes of its configuration until SIGTERM or SIGINT; exit 0 after a clean stop."""
    loaded = load_toml(args.config, settings)
    log.configure("info")

    async def run() -> None:
        service = make(loaded, teller(args, words or in_words))
        stop_on_signals(service.stop)
        await service.run()

    asyncio.run(run())
    return os.EX_OK


def stop_on_signals(stop: Callable[[], None]) -> None:
    """Call `stop` at SIGTERM and SIGINT instead of dying."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)


def teller(args: argparse.Namespace, words: Words | None = None) -> Callable[[msgspec.Struct], None]:
    """Prints an event on standard output, at once: a JSON object with `--json`, otherwise in words."""
    say = words or in_words

    def tell(event: msgspec.Struct) -> None:
        line = msgspec.json.encode(event).decode() if args.json else say(_plain(event), args.lang)
        sys.stdout.write(line + "\n")
        sys.stdout.flush()

    return tell


def _plain(event: msgspec.Struct) -> dict[str, Any]:
    plain: dict[str, Any] = msgspec.to_builtins(event)
    return plain


def in_words(event: Mapping[str, Any], lang: str) -> str:
    """One event of the collector or a partner's subscriber as a sentence, fit for a terminal.

    Names, topics and references stand beside the sentences, never in them: they are other people's text, and
    inside a sentence one that happens to be a code of the catalogue would be translated.
    """
    return "\n".join(map(printable, _lines(event, lang)))


def _lines(event: Mapping[str, Any], lang: str) -> list[str]:
    def say(code: str, **params: object) -> str:
        return messages.text(code, lang, **params)

    match event["event"]:
        case "ready":
            return [f"{event['name']}: {say('delivery.ready')}"]
        case "down":
            return [say("delivery.down", reason=event["code"], seconds=event["retry_s"])]
        case "batch":
            counts = {name: event[name] for name in ("stored", "duplicates", "refused")}
            return [say("delivery.batch", **counts)]
        case "alarm":
            alarm = event["alarm"]
            said = say("delivery.alarm", reason=alarm["code"], seq=alarm["seq"], count=alarm["count"])
            return [f"{said} {alarm['topic']}"]
        case "holes":
            return [_hole(hole, lang) for hole in event["holes"]] or [say("delivery.whole")]
        case "receipt_refused":
            return [f"{event['device']}: {say('delivery.receipt_refused', reason=event['code'])}"]
        case "verdict":
            return [_verdict(event["verdict"], lang)]
        case unknown:
            raise AssertionError(unknown)


def _hole(hole: Mapping[str, Any], lang: str) -> str:
    missing = messages.text("delivery.hole", lang, first=hole["first"], last=hole["last"])
    return f"{hole['device']} → {hole['audience']} ({hole['log_id']}): {missing}"


def _verdict(verdict: Mapping[str, Any], lang: str) -> str:
    """One line: who, which, how it came out, what it refers to, and what was disclosed."""
    said = messages.text(
        "delivery.verdict",
        lang,
        seq=verdict["seq"],
        result=f"result.{verdict['result']}",
        kind=f"kind.{verdict['kind']}",
    )
    claims = [
        f"{messages.word(name, lang)}: {value}"
        for name, value in verdict["claims"].items()
        if isinstance(value, str | bool | int)
    ]
    reference = f"{messages.text('delivery.reference', lang)}: {verdict['reference'] or '–'}"
    return "  ".join([f"{verdict['iss']} {said}", reference, *claims])
