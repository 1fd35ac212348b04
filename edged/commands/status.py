"""`edged status`: how the daemon is."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from edged import messages
from edged.commands import _daemon
from edged.commands._fleet_outcomes import reason
from edged.commands._saying import show

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

add_arguments = _daemon.add_arguments


def run(args: argparse.Namespace) -> int:
    """Exit 0 when the daemon answers; EX_UNAVAILABLE (from `edged.cli`) when it doesn't."""
    status = _daemon.call(args, "status")
    if args.json:
        print(json.dumps(status, ensure_ascii=False))
    else:
        show(lines(status, args.lang))
    return os.EX_OK


def lines(status: dict[str, Any], lang: str) -> list[str]:
    """The status in words."""
    uplink, clock = status["uplink"], status["clock"]

    def say(code: str, **params: object) -> str:
        return messages.text(code, lang, **params)

    said = [
        say("cli.status_box", device=status["device"], fleet=status["fleet"], version=status["version"]),
        say("cli.status_state", state=say(f"indication.{status['indication']}")),
        *_uplink(uplink, say),
        *_push(status, lang, say),
    ]
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


def _uplink(uplink: dict[str, Any], say: Callable[..., str]) -> list[str]:
    """How delivery stands: the state always, everything else only where there is something to do or to know."""
    said = [
        say("cli.status_online" if uplink["connected"] else "cli.status_offline", pending=uplink["pending"])
    ]
    if uplink["problem"]:
        said.append(f"  {say(uplink['problem'])}")
        if uplink.get("said"):
            # Another party's words, behind ours: neither obeyed nor translated.
            said.append(f"  {say('uplink.health_said')} {uplink['said']}")
    if uplink.get("oldest_s") is not None:
        size = f"{uplink['pending_bytes'] / 1e6:.1f} MB"
        said.append(f"  {say('uplink.health_oldest', size=size, age=_age(uplink['oldest_s'], say))}")
    if uplink.get("problems"):
        said.append(f"  {say('uplink.health_problems', problems=uplink['problems'])}")
    if uplink.get("paused"):
        said.append(say("uplink.health_paused", reason=say(uplink["paused"])))
    if uplink["refused"]:
        said.append(say("cli.status_refused", refused=uplink["refused"]))
        if uplink.get("last_refusal"):
            said.append(f"  {say(uplink['last_refusal'])}")
    said.extend(
        say(f"uplink.health_{key}", **{key: uplink[key]})
        for key in ("dead", "gaps", "lost")
        if uplink.get(key)
    )
    if uplink.get("log_replaced"):
        said.append(say("uplink.health_replaced"))
    if uplink.get("receipts_refused"):
        refusal = say(uplink["last_receipt_refusal"])
        said.append(say("uplink.health_receipts_refused", refused=uplink["receipts_refused"], reason=refusal))
    return said


def _push(status: dict[str, Any], lang: str, say: Callable[..., str]) -> list[str]:
    """Which configuration is in force, and what was made of the last one that was pushed, where it is another."""
    push = status.get("push")
    if not push:  # a box that takes none
        return []
    running = "cli.status_config" if push["running"] else "cli.status_config_boot"
    said = [say(running, version=status["config_version"], push=push["running"])]
    if push["outcome"] not in ("none", "applied"):
        outcome = say(f"outcome.{push['outcome']}")
        if push["fetched"] is not None:
            outcome = f"{outcome}, {push['fetched']} %"
        code = "cli.status_push" if push["push"] else "cli.status_push_unread"
        said.append(say(code, push=push["push"], outcome=outcome))
        if why := reason(lang, push["code"], push["path"], push["probe"]):
            said.append(f"  {why}")
    return said


def _age(seconds: int, say: Callable[..., str]) -> str:
    minutes = seconds // 60
    if minutes >= 2 * 24 * 60:
        return say("uplink.health_days", days=minutes // (24 * 60))
    return say("uplink.health_hours", hours=minutes // 60, minutes=minutes % 60)
