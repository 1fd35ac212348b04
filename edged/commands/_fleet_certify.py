"""`edged fleet certify`: certificates for collectors, partners, other admins, the help desk."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from edged.commands import _fleet_common
from edged.commands._saying import say, show_json, show_line
from edged.errors import ConfigError
from edged.fleet import certify
from edged.fleet.state import write_text
from edged.uplink import topics
from edged.uplink.names import Principal, Role, Usage

if TYPE_CHECKING:
    import argparse

    from edged.fleet.state import FleetState

SERVER: Final = "server"

_ROLES: Final = (Role.COLLECTOR, Role.AUDIENCE, Role.ADMIN, Role.HELPDESK)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Who, for which key; `--state`, `--dry-run`, `--json`."""
    parser.add_argument("role", choices=[*map(str, _ROLES), SERVER], help="help.fleet.certify_role")
    parser.add_argument("name", metavar="NAME", help="help.fleet.certify_name")
    keys = parser.add_mutually_exclusive_group(required=True)
    keys.add_argument("--request", type=Path, metavar="CSR.pem", help="help.fleet.certify_request")
    keys.add_argument("--keys", type=Path, metavar="DIR", help="help.fleet.certify_keys")
    parser.add_argument("--usage", choices=[str(usage) for usage in Usage], help="help.fleet.certify_usage")
    parser.add_argument("--output", type=Path, metavar="FILE", help="help.fleet.certify_output")
    parser.add_argument("--also", action="append", default=[], metavar="HOST", help="help.fleet.certify_also")
    _fleet_common.add_state(parser)
    _fleet_common.add_dry_run(parser)


def run(args: argparse.Namespace) -> int:
    """EX_OK."""
    state = _fleet_common.open_state(args)
    if args.role == SERVER:
        return _server(args, state)
    if not topics.usable(args.name):
        raise ConfigError("NAME", "topic.reserved_name", name=args.name)
    principal = Principal(state.file.fleet, Role(args.role), args.name)
    now = datetime.now(UTC)
    if args.request and not (args.usage and args.output):
        raise ConfigError("--request", "fleet.request_needs")
    key = certify.key_of_request(args.request) if args.request else None
    written: list[Path] = []
    if not args.dry_run:
        with state.changing():
            if key is None:
                written = certify.make_keys(state, principal, args.keys, now=now)
            else:
                pem = certify.certify(state, principal, Usage(args.usage), key, now=now)
                write_text(args.output, pem.decode())
                written = [args.output]
    return _told(args, principal.uri, principal.username, written)


def _told(args: argparse.Namespace, holder: str, name: str, written: list[Path]) -> int:
    if args.json:
        show_json({"holder": holder, "written": [str(path) for path in written]})
        return os.EX_OK
    for path in written:
        show_line(str(path))
    done = "fleet_certify.server" if args.role == SERVER else "fleet_certify.done"
    show_line(say(args, "fleet_certify.dry_run" if args.dry_run else done, name=name))
    return os.EX_OK


def _server(args: argparse.Namespace, state: FleetState) -> int:
    """A server has no name in the fleet, only names in the network; its key is made here."""
    if args.keys is None:
        raise ConfigError("--keys", "fleet.server_needs_keys")
    written: list[Path] = []
    if not args.dry_run:
        hosts = (args.name, *args.also)
        written = certify.make_server(state, hosts, args.keys, now=datetime.now(UTC))
    return _told(args, f"server {args.name}", args.name, written)
