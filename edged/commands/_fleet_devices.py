"""What the actions of `edged fleet` on boxes share: which ones, as whom, and the errors of many at once."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from edged.commands._saying import explain, printable, say
from edged.errors import ConfigError
from edged.fleet.identities import LOOKING, endpoint_as, require_admin
from edged.uplink.names import Role

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable

    from edged.fleet.state import FleetState
    from edged.uplink.mqtt_types import Endpoint


def add_devices(parser: argparse.ArgumentParser) -> None:
    """`DEVICE…`, `--group GROUP`, `--all`."""
    parser.add_argument("devices", nargs="*", metavar="DEVICE", help="help.fleet.devices")
    parser.add_argument(
        "--group", action="append", default=[], dest="groups", metavar="GROUP", help="help.fleet.group"
    )
    parser.add_argument("--all", action="store_true", help="help.fleet.all")


def chosen(args: argparse.Namespace, state: FleetState, *, default_all: bool = False) -> list[str]:
    """The boxes that were asked for, by name; those that are revoked only when they are named.

    Raises `ConfigError` (`fleet.choose_devices`, `fleet.no_such_device`, `fleet.no_such_group`).
    """
    everything = args.all or (default_all and not args.devices and not args.groups)
    if not (args.devices or args.groups or everything):
        raise ConfigError("edged fleet", "fleet.choose_devices")
    names = {state.device(name).name for name in args.devices}
    alive = {name: one for name, one in state.devices().items() if one.revoked_at is None}
    for group in args.groups:
        members = [name for name, one in alive.items() if group in one.groups]
        if not members:
            raise ConfigError(group, "fleet.no_such_group")
        names.update(members)
    if everything:
        names.update(alive)
    if not names:
        raise ConfigError(str(state.directory), "fleet.no_devices")
    return sorted(names)


def add_as(parser: argparse.ArgumentParser) -> None:
    """`--as ROLE`: with whose certificate."""
    parser.add_argument(
        "--as", choices=[role.value for role in LOOKING], dest="role", help="help.fleet.as_role"
    )


def endpoint(args: argparse.Namespace, state: FleetState) -> Endpoint:
    """The broker, with the certificate of `--as`. Raises `CertificateError`."""
    return endpoint_as(state, None if args.role is None else Role(args.role))


def admin_only(args: argparse.Namespace, state: FleetState) -> None:
    """Raises `CertificateError` (`fleet.admin_only`) unless the admin's keys are here and meant."""
    require_admin(state, None if args.role is None else Role(args.role))


def tell_errors(args: argparse.Namespace, errors: Iterable[ConfigError]) -> None:
    """Each different error once, on standard error, with how many boxes have it."""
    counts: dict[str, int] = {}
    for error in errors:
        text = explain(error, args.lang)
        counts[text] = counts.get(text, 0) + 1
    for text, count in counts.items():
        more = f" {say(args, 'fleet.boxes_alike', count=count)}" if count > 1 else ""
        print(printable(f"edged: {text}{more}"), file=sys.stderr)
