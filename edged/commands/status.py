"""`edged status`: how the daemon is."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from edged import messages
from edged.commands import _daemon

if TYPE_CHECKING:
    import argparse

add_arguments = _daemon.add_arguments


def run(args: argparse.Namespace) -> int:
    """Exit 0 when the daemon answers; EX_UNAVAILABLE (from `edged.cli`) when it doesn't."""
    status = _daemon.call(args, "status")
    print(json.dumps(status, ensure_ascii=False) if args.json else "\n".join(lines(status, args.lang)))
    return os.EX_OK


def lines(status: dict[str, Any], lang: str) -> list[str]:
    """The status in words."""
    uplink, clock = status["uplink"], status["clock"]

    def say(code: str, **params: object) -> str:
        return messages.text(code, lang, **params)

    said = [
        say("cli.status_box", device=status["device"], fleet=status["fleet"], version=status["version"]),
        say("cli.status_state", state=say(f"indication.{status['indication']}")),
        say("cli.status_online" if uplink["connected"] else "cli.status_offline", pending=uplink["pending"]),
    ]
    if uplink["problem"]:
        said.append(f"  {say(uplink['problem'])}")
    if uplink["refused"]:
        said.append(say("cli.status_refused", refused=uplink["refused"]))
    if not clock["trusted"]:
        said.append(say("cli.status_clock"))
    gone = status["devices_gone"]
    if (chip := status["chip"]) is not None:
        said.append(say("cli.status_authorities", authorities=chip["authorities"]))
        if chip["trouble"]:
            said.append(say(chip["trouble"]))
            gone = [device for device in gone if device != "chip"]  # its cable is seldom what is wrong
    said.extend(say("cli.status_device_gone", device=device) for device in gone)
    return said
