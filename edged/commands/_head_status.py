"""`edged head status`: the head's firmware, its slots and its counters."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any

from edged.commands import _head_line
from edged.commands._saying import say, show, show_json
from edged.control import ControlClient
from edged.errors import ControlError

if TYPE_CHECKING:
    import argparse

add_arguments = _head_line.add_arguments


def run(args: argparse.Namespace) -> int:
    """EX_OK; EX_UNAVAILABLE (from `edged.cli`) when no head answers."""
    found = asyncio.run(_ask(args))
    if args.json:
        show_json(found)
    else:
        show(lines(args, found))
    return os.EX_OK


async def _ask(args: argparse.Namespace) -> dict[str, Any]:
    if args.port is None:
        try:
            async with ControlClient(_head_line.socket_of(args)) as client:
                answer: dict[str, Any] = await client.call("head_status")
                return answer
        except ControlError as error:
            if error.code != "control.no_daemon":
                raise
    from edged.drivers.head_report import report

    async with _head_line.own_line(args) as line:
        return await report(line)


def lines(args: argparse.Namespace, found: dict[str, Any]) -> list[str]:
    """The head in words."""
    said = [
        say(args, "head_update.status_head", board=found["board"], id=found["unique_id"]),
        say(
            args,
            "head_update.status_firmware",
            version=found["firmware"],
            security=found["security_version"],
            boots=found["boots"],
        ),
    ]
    if found["boot_loader"]:
        said.append(say(args, "reader_head.no_application"))
    if found["on_trial"]:
        said.append(say(args, "head_update.status_on_trial"))
    slots = found["slots"]
    if slots is None:
        return [*said, say(args, "head_update.not_supported")]
    for name in "AB":
        state = say(args, f"head_update.slot_{slots[name]['state']}")
        said.append(
            say(args, "head_update.status_slot", slot=name, state=state, version=slots[name]["version"])
        )
    if slots["running"] is not None:
        said.append(say(args, "head_update.status_running", slot=slots["running"]))
    if slots["written"]:
        said.append(say(args, "head_update.status_written", octets=slots["written"]))
    return said
