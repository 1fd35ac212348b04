"""`edged fleet directory publish|show|list`: the signed list of who belongs to the fleet and who doesn't any more."""

from __future__ import annotations

import asyncio
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edged.commands import _fleet_broker_list, _fleet_common
from edged.commands._saying import minute, say, show_json, show_line
from edged.errors import ConfigError
from edged.fleet import directory, revoking
from edged.fleet.state import write_text
from edged.uplink.directory import open_page, revocations_of
from edged.uplink.directory_reader import DirectoryReader

if TYPE_CHECKING:
    import argparse

    from edged.fleet.directory import Made
    from edged.fleet.state import FleetState


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """`publish`, `show` or `list`; `--state`, `--output`, `--crl`, `--dry-run`, `--json`."""
    parser.add_argument("what", choices=("publish", "show", "list"), help="help.fleet.directory_what")
    _fleet_common.add_state(parser)
    parser.add_argument("--output", type=Path, metavar="FILE", help="help.fleet.directory_output")
    _fleet_broker_list.add_arguments(parser)
    _fleet_common.add_dry_run(parser)


def run(args: argparse.Namespace) -> int:
    """EX_OK."""
    state = _fleet_common.open_state(args)
    now = datetime.now(UTC)
    if args.what == "list":
        return _list(args, state, now)
    if args.what == "publish":
        made = _publish(args, state, now)
    else:
        found = directory.kept(state)
        if found is None:
            raise ConfigError(str(state.directory), "fleet.no_directory")
        made = found
    if args.output and not args.dry_run:
        write_text(args.output, _as_file(state, made, now))
    if args.json:
        show_json(_plain(made, now) | {"published": args.what == "publish" and not args.dry_run})
    else:
        plain = _plain(made, now)
        until = minute(datetime.fromtimestamp(made.head.exp, UTC))
        show_line(say(args, "fleet_directory.summary", **plain, until=until))
        if plain["expired"]:
            show_line(say(args, "directory.expired"))
    return os.EX_OK


def _list(args: argparse.Namespace, state: FleetState, now: datetime) -> int:
    """The broker's list of revoked certificates alone: a broker needs it before it can be started."""
    if args.crl is None:
        raise ConfigError("--crl", "fleet.list_needs_crl")
    if args.output is not None:
        raise ConfigError("--output", "fleet.list_no_output")
    count = len(revoking.revoked_serials(state, now))
    if not args.dry_run:
        with state.changing():
            _fleet_broker_list.write_list(args, state, now, None)
    if args.json:
        show_json({"crl": str(args.crl), "revoked": count, "written": not args.dry_run})
    else:
        code = "fleet_directory.list_would" if args.dry_run else "fleet_directory.list_written"
        show_line(say(args, code, file=args.crl, count=count))
    return os.EX_OK


def _publish(args: argparse.Namespace, state: FleetState, now: datetime) -> Made:
    if args.dry_run:
        return directory.make(state, now=now)
    with state.changing():
        made, before = _fleet_broker_list.make(state, now)
        if args.crl:  # first: a broker that has never been started can't do without
            _fleet_broker_list.write_list(args, state, now, None)
        asyncio.run(_fleet_broker_list.publish(state, made, before, reloaded=bool(args.reload)))
    return made


def _as_file(state: FleetState, made: Made, now: datetime) -> str:
    """As `edged verify --directory`, a collector and a partner read it."""
    reader = DirectoryReader(state.anchor())
    for page in made.pages:
        reader.take_page(page)
    reader.take_head(made.compact.encode(), at=now)
    return reader.stored().decode()


def _plain(made: Made, now: datetime) -> dict[str, Any]:
    head = made.head
    return {
        "version": head.version,
        "signed_by": head.iss,
        "devices": head.devices,
        "collectors": len(head.collectors),
        "audiences": len(head.audiences),
        "admins": len(head.admins),
        "pages": len(made.pages),
        "revoked": _revoked(made),
        "expired": now.timestamp() > head.exp,
    }


def _revoked(made: Made) -> int:
    found = revocations_of(made.head, [open_page(page)[0] for page in made.pages])
    return len(found.principals) + len(found.certificates)
