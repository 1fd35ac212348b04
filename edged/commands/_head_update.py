"""`edged head update FILE`: new firmware for the head, through the daemon or by itself when none runs."""

from __future__ import annotations

import asyncio
import base64
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edged.commands import _head_line
from edged.commands._saying import say, show_json, show_line
from edged.control import ControlClient
from edged.drivers.head_image import MAX_IMAGE, parse
from edged.errors import ControlError
from edged.head_firmware import PART

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    Tell = Callable[[str, int], None]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The image, and where the head is."""
    parser.add_argument("image", type=Path, metavar="FILE", help="help.head.update.image")
    _head_line.add_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """EX_OK when the new firmware runs for good, or ran before; else what `edged.cli` makes of the error."""
    with args.image.open("rb") as file:
        data = file.read(MAX_IMAGE + 1)
    parse(data)  # before anybody is bothered with it
    done = asyncio.run(_update(args, data, _progress(args)))
    if args.json:
        show_json(done)
    else:
        show_line(
            say(args, f"head_update.{done['outcome']}", version=done["version"], before=done["before"] or "–")
        )
    return os.EX_OK


def _progress(args: argparse.Namespace) -> Tell:
    """Where a person looks on, one line that is written over; else nothing."""
    if args.json or not sys.stderr.isatty():
        return lambda *_: None

    def tell(stage: str, percent: int) -> None:
        end = "" if stage == "sending" and percent < 100 else "\n"
        said = say(args, f"head_update.stage_{stage}", percent=percent)
        print(f"\r{said}", end=end, file=sys.stderr, flush=True)

    return tell


async def _update(args: argparse.Namespace, data: bytes, tell: Tell) -> dict[str, Any]:
    if args.port is None:
        try:
            async with ControlClient(_head_line.socket_of(args)) as client:
                return await _by_daemon(client, data, tell)
        except ControlError as error:
            if error.code != "control.no_daemon":
                raise
    from dataclasses import asdict

    from edged.drivers.head_update import HeadUpdate

    async with _head_line.own_line(args) as line:
        return asdict(await HeadUpdate(line, data, on_progress=tell).run())


async def _by_daemon(client: ControlClient, data: bytes, tell: Tell) -> dict[str, Any]:
    for offset in range(0, len(data), PART):
        octets = base64.b64encode(data[offset : offset + PART]).decode()
        await client.call("head_image", offset=offset, octets=octets)
    await client.call("subscribe")
    watching = asyncio.create_task(_watch(client, tell))
    try:
        done: dict[str, Any] = await client.call("head_update")
    finally:
        watching.cancel()
    return done


async def _watch(client: ControlClient, tell: Tell) -> None:
    async for event in client.events():
        if event["event"] == "head_update" and event["stage"] in ("sending", "verifying", "restarting"):
            tell(event["stage"], event["percent"])
