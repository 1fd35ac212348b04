"""`edged fleet privacy`: what the privacy officer signs: one document an audience."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from edged.commands._fleet_common import add_dry_run, add_key_directory, add_state, open_state
from edged.commands._saying import say, show, show_json, show_line
from edged.fleet import audience_signing
from edged.fleet.key_files import read_offline
from edged.fleet.tuf_roles import Holder

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """`edged fleet privacy sign FILE…`, `… privacy remove NAME…`."""
    actions = parser.add_subparsers(dest="what", required=True, metavar="sign|remove")
    sign = actions.add_parser("sign", help="help.fleet.privacy.sign", description="help.fleet.privacy.sign")
    sign.add_argument("files", type=Path, nargs="+", metavar="FILE", help="help.fleet.privacy.sign.files")
    remove = actions.add_parser(
        "remove", help="help.fleet.privacy.remove", description="help.fleet.privacy.remove"
    )
    remove.add_argument("names", nargs="+", metavar="NAME", help="help.fleet.privacy.remove.names")
    for action in (sign, remove):
        add_state(action)
        add_key_directory(action, "--privacy-keys")
        add_dry_run(action)


def run(args: argparse.Namespace) -> int:
    """EX_OK; EX_CONFIG with the path of the bad key, or of the claim above the ceiling."""
    state = open_state(args)
    (key,) = read_offline(Holder.PRIVACY, [args.privacy_keys])
    version = None
    now = datetime.now(UTC)
    with state.changing():
        if args.what == "sign":
            documents = audience_signing.check_files(state, args.files)
            names = [one.name for one in documents if one.new]
            if names and not args.dry_run:
                version = audience_signing.sign(state, documents, key, now)
        else:
            names = args.names
            if not args.dry_run:
                version = audience_signing.remove(state, names, key, now)
    if args.json:
        show_json({"audiences": names, "version": version, "dry_run": args.dry_run})
        return os.EX_OK
    if not names:
        show_line(say(args, "fleet_privacy.nothing_new"))
        return os.EX_OK
    said = {"sign": "fleet_privacy.signed", "remove": "fleet_privacy.removed"}[args.what]
    show_line(say(args, "fleet_privacy.would" if args.dry_run else said))
    show(f"  {name}" for name in names)
    if not args.dry_run:
        show_line(say(args, "fleet_keys.push_now"))
    return os.EX_OK
