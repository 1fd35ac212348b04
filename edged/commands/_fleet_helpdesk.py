"""`edged fleet helpdesk NAME`: a certificate for somebody who looks at how boxes are, and changes nothing."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from edged.commands._fleet_common import add_state, open_state
from edged.commands._saying import say, show_json, show_line
from edged.errors import ConfigError
from edged.fleet.key_files import write_new
from edged.fleet.state import LEAF_DAYS
from edged.uplink.keys import generate_key, private_pem
from edged.uplink.names import Principal, Role, Usage
from edged.uplink.topics import usable

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `edged fleet helpdesk`."""
    add_state(parser)
    parser.add_argument("name", metavar="NAME", help="help.fleet.helpdesk.name")
    parser.add_argument(
        "--output", type=Path, required=True, metavar="DIR", help="help.fleet.helpdesk.output"
    )
    parser.add_argument("--days", type=int, default=LEAF_DAYS, metavar="N", help="help.fleet.helpdesk.days")


def run(args: argparse.Namespace) -> int:
    """EX_OK; EX_CANTCREAT where a key is already."""
    state = open_state(args)
    try:
        principal = Principal(state.file.fleet, Role.HELPDESK, args.name)
    except ValueError:
        raise ConfigError("NAME", "fleet.bad_name", name=args.name[:63]) from None
    if not usable(args.name) or args.days < 1:
        raise ConfigError("NAME", "fleet.bad_name", name=args.name[:63])
    key = generate_key()
    chain = state.issue(principal, Usage.TLS, key.public_key(), now=datetime.now(UTC), days=args.days)
    files = [args.output / f"{Role.HELPDESK}-tls.{end}" for end in ("key", "pem")]
    write_new(files[0], private_pem(key))
    files[1].write_bytes(chain)
    if args.json:
        show_json({"user": principal.username, "written": [str(path) for path in files]})
        return os.EX_OK
    for path in files:
        show_line(str(path))
    show_line(say(args, "fleet.helpdesk_next", name=args.name))
    return os.EX_OK
