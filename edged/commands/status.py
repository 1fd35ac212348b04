"""`edged status`: how the daemon is."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from edged import messages
from edged.commands import _daemon
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
        show(lines(status, args.lang))  # a key's path is whatever somebody has pushed
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
        *_push(status, say),
    ]
    if not status.get("demo") and not status.get("memory_locked", True):
        said.append(say("cli.status_memory"))
    if not clock["trusted"]:
        said.append(say("cli.status_clock"))
    gone = status["devices_gone"]
    if (chip := status["chip"]) is not None:
        said.append(say("cli.status_authorities", authorities=chip["authorities"]))
        if chip["trouble"]:
            said.append(say(chip["trouble"]))
            gone = [device for device in gone if device != "chip"]  # its cable is seldom what is wrong
    said.extend(say("cli.status_device_gone", device=device) for device in gone)
    said.extend(say(code) for code in status["troubles"])
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
        reason = say(uplink["last_receipt_refusal"])
        said.append(say("uplink.health_receipts_refused", refused=uplink["receipts_refused"], reason=reason))
    return said


def _push(status: dict[str, Any], say: Callable[..., str]) -> list[str]:
    """Whose settings are in force, and what became of a push that isn't; nothing for a box that takes none."""
    push = status.get("push")
    if not push:
        return []
    by = "cli.status_pushed" if push["running"] else "cli.status_boot"
    said = [say(by, version=status["config_version"], push=push["running"])]
    if push.get("sealing_key"):
        said.append(say("cli.status_sealing_key", key=push["sealing_key"]))
    if push["outcome"] in ("none", "applied"):
        return said
    said.append(say("cli.status_push", push=push["push"], outcome=say(f"outcome.{push['outcome']}")))
    if push.get("fetched") is not None:
        said.append(f"  {say('cli.status_fetched', share=push['fetched'])}")
    if push.get("probe") is not None:
        said.append(f"  {say('outcome.probe', probe=push['probe'])}")
    if push.get("path") is not None:
        said.append(f"  {push['path']}")
    if push.get("code") is not None:
        # What was reported before an older version came back may have a code that this one doesn't know.
        said.append(f"  {say(push['code']) if messages.known(push['code']) else push['code']}")
    return said


def _age(seconds: int, say: Callable[..., str]) -> str:
    minutes = seconds // 60
    if minutes >= 2 * 24 * 60:
        return say("uplink.health_days", days=minutes // (24 * 60))
    return say("uplink.health_hours", hours=minutes // 60, minutes=minutes % 60)
