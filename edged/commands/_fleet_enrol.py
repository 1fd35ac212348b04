"""`edged fleet enrol`: a record and a one-time token for a new box, or for one that needs new certificates."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from edged.commands._fleet_common import add_dry_run, add_state, open_state
from edged.commands._saying import minute, say, show, show_json, show_line
from edged.fleet import qr
from edged.fleet.inviting import DEFAULT_DAYS, invite
from edged.uplink.keys import write_private
from edged.uplink.token import FILE_NAME

if TYPE_CHECKING:
    import argparse

    from edged.fleet.inviting import Invitation


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `edged fleet enrol`."""
    parser.add_argument("device", metavar="DEVICE", help="help.fleet.enrol.device")
    parser.add_argument("--group", action="append", metavar="GROUP", help="help.fleet.enrol.group")
    parser.add_argument("--site", metavar="TEXT", help="help.fleet.enrol.site")
    parser.add_argument(
        "--valid-days", type=int, default=DEFAULT_DAYS, metavar="DAYS", help="help.fleet.enrol.valid_days"
    )
    parser.add_argument("--again", action="store_true", help="help.fleet.enrol.again")
    parser.add_argument("--qr", type=Path, metavar="FILE", help="help.fleet.enrol.qr")
    parser.add_argument("--usb", type=Path, metavar="DIR", help="help.fleet.enrol.usb")
    parser.add_argument("--no-terminal-qr", action="store_true", help="help.fleet.enrol.no_terminal_qr")
    add_dry_run(parser)
    add_state(parser)


def run(args: argparse.Namespace) -> int:
    """EX_OK; EX_CONFIG for a name that is taken or unknown."""
    state = open_state(args)
    with state.changing():
        invitation = invite(
            state,
            args.device,
            now=datetime.now(UTC),
            groups=args.group,
            site=args.site,
            days=args.valid_days,
            again=args.again,
        )
        if args.dry_run:
            return _would(args, invitation)
        # Files first: a token that is in the state and on no stick would have to be made again.
        written = _write(args, invitation)
        state.save_device(invitation.record)
    if args.json:
        show_json(_as_json(invitation) | {"token": invitation.token.text(), "qr": invitation.token.qr()})
        return os.EX_OK
    _show(args, invitation)
    for path in written:
        show_line(say(args, "fleet_enrol.written", file=path))
    return os.EX_OK


def _would(args: argparse.Namespace, invitation: Invitation) -> int:
    if args.json:
        show_json(_as_json(invitation) | {"dry_run": True})
    else:
        show_line(
            say(args, "fleet_enrol.would", device=invitation.record.name, until=minute(invitation.until))
        )
    return os.EX_OK


def _write(args: argparse.Namespace, invitation: Invitation) -> list[Path]:
    written = []
    if args.qr is not None:
        write_private(args.qr, qr.png(qr.modules(invitation.token.qr())))
        written.append(args.qr)
    if args.usb is not None:
        write_private(args.usb / FILE_NAME, invitation.token.text().encode())
        written.append(args.usb / FILE_NAME)
    return written


def _show(args: argparse.Namespace, invitation: Invitation) -> None:
    token = invitation.token
    show_line(say(args, "fleet_enrol.made", device=token.device, until=minute(invitation.until)))
    show(("", f"  {token.address_line}"))
    groups = token.groups
    for start in range(0, len(groups), 3):
        show_line("  " + " - ".join(groups[start : start + 3]))
    show_line("")
    if not args.no_terminal_qr:
        show(f"  {line}" for line in qr.half_blocks(qr.modules(token.qr())))
        show_line("")
    show_line(say(args, "fleet_enrol.secret"))


def _as_json(invitation: Invitation) -> dict[str, object]:
    record = invitation.record
    return {
        "device": record.name,
        "groups": record.groups,
        "site": record.site,
        "service": invitation.token.address,
        "valid_until": invitation.until.isoformat(),
    }
