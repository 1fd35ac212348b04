"""`edged fleet keys`: who signs what, until when; and replacing keys that were lost or stolen."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from edged.commands._fleet_common import add_dry_run, add_root_keys, add_state, open_state
from edged.commands._saying import say, show, show_json, show_line
from edged.commands._table import show_table
from edged.errors import ConfigError
from edged.fleet import recovery
from edged.fleet.key_files import owner_of, read_offline
from edged.fleet.tuf_roles import Holder

if TYPE_CHECKING:
    import argparse

    from edged.fleet.repository import RoleStatus

_ID_DIGITS: Final = 8
"""Of a key's id, enough to name it with."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """`edged fleet keys`, `… keys rotate-root`, `… keys replace ROLE`."""
    add_state(parser)
    actions = parser.add_subparsers(dest="what", metavar="rotate-root|replace")
    rotate = actions.add_parser(
        "rotate-root", help="help.fleet.keys.rotate_root", description="help.fleet.keys.rotate_root"
    )
    add_state(rotate, inner=True)
    add_root_keys(rotate)
    rotate.add_argument(
        "--forget", nargs="+", default=[], metavar="KEY", help="help.fleet.keys.rotate_root.forget"
    )
    rotate.add_argument(
        "--new-keys",
        type=Path,
        nargs="+",
        default=[],
        metavar="DIR",
        help="help.fleet.keys.rotate_root.new_keys",
    )
    rotate.add_argument("--threshold", type=int, metavar="N", help="help.fleet.threshold")
    add_dry_run(rotate)
    replace = actions.add_parser(
        "replace", help="help.fleet.keys.replace", description="help.fleet.keys.replace"
    )
    add_state(replace, inner=True)
    replace.add_argument(
        "role",
        choices=[one.value for one in Holder if one is not Holder.ROOT],
        help="help.fleet.keys.replace.role",
    )
    add_root_keys(replace)
    replace.add_argument("--new-keys", type=Path, metavar="DIR", help="help.fleet.keys.replace.new_keys")
    add_dry_run(replace)


def run(args: argparse.Namespace) -> int:
    """EX_OK; the table: 1 when a role's end is near or behind."""
    match args.what:
        case "rotate-root":
            return _rotate_root(args)
        case "replace":
            return _replace(args)
        case _:
            return _table(args)


def _table(args: argparse.Namespace) -> int:
    now = datetime.now(UTC)
    statuses = recovery.repository_of(open_state(args)).statuses(now)
    if args.json:
        show_json({"roles": [as_json(one, now) for one in statuses]})
    else:
        _show(args, statuses, now)
    return 1 if any(one.soon for one in statuses) else os.EX_OK


def as_json(status: RoleStatus, now: datetime) -> dict[str, object]:
    """One role for machines."""
    return {
        "role": status.role,
        "holder": status.holder,
        "owners": status.owners,
        "keys": status.keyids,
        "threshold": status.threshold,
        "version": status.version,
        "expires": status.expires,
        "days_left": None if status.expires is None else (status.expires - now).days,
        "soon": status.soon,
    }


def _show(args: argparse.Namespace, statuses: list[RoleStatus], now: datetime) -> None:
    heading = ("role", "who", "threshold", "version", "expires", "days_left")
    rows: list[tuple[str, ...]] = []
    for one in statuses:
        who = ", ".join(
            f"{owner} ({keyid[:_ID_DIGITS]})" for owner, keyid in zip(one.owners, one.keyids, strict=True)
        )
        threshold = f"{one.threshold}/{len(one.keyids)}"
        if one.expires is None:
            each = say(args, "fleet_keys.each_push")
            rows.append((one.role, who, threshold, each, "–", "–"))
        else:
            left = (one.expires - now).days
            rows.append((one.role, who, threshold, str(one.version), f"{one.expires:%Y-%m-%d}", str(left)))
    show_table([say(args, f"fleet_keys.{column}") for column in heading], rows)
    for one in statuses:
        if one.soon:
            show(["", soon_line(args, one, now)])


def soon_line(args: argparse.Namespace, status: RoleStatus, now: datetime) -> str:
    """A sentence about a role whose end is near, or behind."""
    assert status.expires is not None
    code = "fleet_keys.expired" if status.expires <= now else "fleet_keys.expires_soon"
    return say(
        args, code, role=status.role, day=f"{status.expires:%Y-%m-%d}", holder=f"fleet_keys.{status.holder}"
    )


def _rotate_root(args: argparse.Namespace) -> int:
    state = open_state(args)
    with state.changing():
        rotation = recovery.plan_rotation(state, args.forget, len(args.new_keys), args.threshold)
        present = read_offline(Holder.ROOT, args.root_keys)
        recovery.check_rotation(state, rotation, present, args.new_keys)
        version = None
        if not args.dry_run:
            version = recovery.rotate_root(state, rotation, present, args.new_keys, datetime.now(UTC))
    forgotten = [f"{owner_of(key)} ({keyid[:_ID_DIGITS]})" for keyid, key in rotation.forgotten.items()]
    if args.json:
        made = {
            "root_version": version,
            "forgotten": list(rotation.forgotten),
            "threshold": rotation.threshold,
        }
        show_json({**made, "new": [str(path) for path in args.new_keys], "dry_run": args.dry_run})
        return os.EX_OK
    count = len(rotation.kept) + len(args.new_keys)
    code = "fleet_keys.would_rotate" if args.dry_run else "fleet_keys.rotated"
    show_line(
        say(
            args,
            code,
            forgotten=", ".join(forgotten) or "–",
            new=", ".join(map(str, args.new_keys)) or "–",
            threshold=rotation.threshold,
            count=count,
        )
    )
    if not args.dry_run:
        show_line(say(args, "fleet_keys.push_now"))
    return os.EX_OK


def _replace(args: argparse.Namespace) -> int:
    state = open_state(args)
    holder = Holder(args.role)
    if holder is not Holder.ADMIN and args.new_keys is None:
        raise ConfigError("--new-keys", "fleet.new_keys_needed")
    with state.changing():
        offline = read_offline(Holder.ROOT, args.root_keys)
        recovery.check_replacement(state, holder, offline, args.new_keys)
        again: tuple[str, ...] = ()
        revoked: tuple[str, ...] = ()
        if not args.dry_run and holder is Holder.ADMIN:
            revoked = recovery.replace_admin(state, offline, datetime.now(UTC))
        elif not args.dry_run:
            again = recovery.replace_officer(state, holder, offline, args.new_keys, datetime.now(UTC))
    if args.json:
        show_json({"role": holder, "signed_again": again, "revoked": revoked, "dry_run": args.dry_run})
        return os.EX_OK
    if args.dry_run:
        show_line(say(args, "fleet_keys.would_replace", holder=f"fleet_keys.{holder}"))
        return os.EX_OK
    show_line(say(args, "fleet_keys.replaced", holder=f"fleet_keys.{holder}"))
    if again:
        show_line(say(args, "fleet_keys.look_through"))
        show(f"  {path}" for path in again)
    if revoked:
        show_line(say(args, "fleet_keys.revoked_with", count=len(revoked)))
    show_line(say(args, "fleet_keys.push_now"))
    return os.EX_OK
