"""`edged outbox retry`: dead letters are sent once more; through the daemon, or without it when none runs."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edged.commands import _daemon
from edged.commands._outbox_common import database_file, directory
from edged.commands._saying import say, show, show_json
from edged.config import environment
from edged.errors import ControlError
from edged.uplink import outbox_report
from edged.uplink.outbox_retry import MAX_IDS, retry_now, wanted
from edged.uplink.state_lock import StateLock

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The letters, or `--all`; and `--socket`."""
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("ids", nargs="*", type=int, default=[], metavar="ID", help="help.outbox.retry.ids")
    which.add_argument("--all", action="store_true", help="help.outbox.retry.all")
    socket = environment("EDGED_SOCKET")
    parser.add_argument("--socket", type=Path, default=Path(socket) if socket else None, help="help.socket")


def run(args: argparse.Namespace) -> int:
    """EX_OK when any came back; EX_TEMPFAIL when there was nothing to bring back."""
    everything: dict[str, Any] = {"all": True}
    done = 0
    for params in [everything] if args.all else _portions(args.ids):
        wanted(params)
        done += _retry(args, params)["retried"]
    if args.json:
        show_json({"retried": done})
    else:
        show([say(args, "outbox.retried", retried=done) if done else say(args, "outbox.none_retried")])
    return os.EX_OK if done else os.EX_TEMPFAIL


def _portions(ids: list[int]) -> list[dict[str, Any]]:
    return [{"ids": ids[at : at + MAX_IDS]} for at in range(0, len(ids), MAX_IDS)]


def _retry(args: argparse.Namespace, params: dict[str, Any]) -> dict[str, int]:
    args.socket = _socket(args)
    try:
        answer: dict[str, int] = _daemon.call(args, "outbox_retry", **params)
    except ControlError as error:
        if error.code != "control.no_daemon":
            raise
    else:
        return answer
    from edged.uplink.outbox import StateDatabase

    device = outbox_report.report(database_file(args)).device
    now = datetime.now(UTC)
    # A daemon that starts this very moment, or serves another socket, holds the lock: two writers there never are.
    with StateLock(directory(args)):
        database = StateDatabase.open(database_file(args), device=device, now=now)
        try:
            return retry_now(database, params, now)
        finally:
            database.close()


def _socket(args: argparse.Namespace) -> Path:
    if args.socket is not None:
        return Path(args.socket)
    if args.config is None:
        return _daemon.DEFAULT_SOCKET
    from edged.config import load_box

    return load_box(args.config).control.socket
