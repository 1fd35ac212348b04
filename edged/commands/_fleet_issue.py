"""`edged fleet issue collector|audience|admin|helpdesk NAME` and `edged fleet issue server HOST…`."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from edged.commands._fleet_common import add_state, open_state
from edged.commands._saying import minute, say, show_json, show_line
from edged.fleet.issuing import ROLES, issue_member, issue_server
from edged.fleet.state import LEAF_DAYS
from edged.uplink.names import Role, Usage

if TYPE_CHECKING:
    import argparse

SERVER = "server"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Who, where the files go, and keys that the holder has made."""
    parser.add_argument(
        "what", choices=[*(role.value for role in ROLES), SERVER], help="help.fleet.issue.what"
    )
    parser.add_argument("names", nargs="+", metavar="NAME", help="help.fleet.issue.names")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="help.fleet.issue.out")
    for usage in Usage:
        parser.add_argument(
            f"--{usage.value}-key", type=Path, metavar="FILE", help=f"help.fleet.issue.{usage.value}_key"
        )
    parser.add_argument("--days", type=int, default=LEAF_DAYS, help="help.fleet.issue.days")
    add_state(parser)


def run(args: argparse.Namespace) -> int:
    """Exit 0 when everything is written; EX_USAGE for what doesn't go together."""
    state, now = open_state(args), datetime.now(UTC)
    public = {usage: path for usage in Usage if (path := getattr(args, f"{usage.value}_key")) is not None}
    if (args.what == SERVER and public) or (args.what != SERVER and len(args.names) != 1) or args.days < 1:
        show_line(say(args, "fleet.issue_usage"))
        return os.EX_USAGE
    if args.what == SERVER:
        made = issue_server(state, args.names, args.out, now=now, days=args.days)
    else:
        made = issue_member(
            state, Role(args.what), args.names[0], args.out, public=public, now=now, days=args.days
        )
    if args.json:
        show_json({"files": msgspec.to_builtins(made)})
        return os.EX_OK
    for one in made:
        until = minute(datetime.fromtimestamp(one.not_after, UTC))
        files = one.certificate if one.key is None else f"{one.key}  {one.certificate}"
        show_line(say(args, "fleet.issued", usage=one.usage, files=files, until=until))
    if any(one.key is not None for one in made):
        show_line(say(args, "fleet.issued_secret"))
    return os.EX_OK
