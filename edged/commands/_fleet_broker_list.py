"""What `edged fleet revoke` and `directory publish` share: publishing, and the broker's revocation list."""

from __future__ import annotations

import asyncio
import shlex
import time
from pathlib import Path
from typing import TYPE_CHECKING

from edged.errors import StateError, UplinkError
from edged.fleet import directory, revoking
from edged.fleet.link import admin_link
from edged.whole_file import whole_file

if TYPE_CHECKING:
    import argparse
    from datetime import datetime

    from edged.fleet.directory import Made
    from edged.fleet.revoking import Throwaway
    from edged.fleet.state import FleetState

_MAX_LIST = 16 << 20
"""Bytes of a file of revocation lists: 40 bytes a certificate."""

_READABLE = 0o640

RELOADING_S = 5.0
"""A broker reads its list again within a second; a laden machine needs longer."""

RELOADING_EVERY_S = 0.25

_TURNED_AWAY = frozenset({"uplink.closed_early", "uplink.tls_failed"})
"""What a certificate of an authority without a list gets, as this side sees it."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """`--crl FILE`, `--reload COMMAND`."""
    parser.add_argument("--crl", type=Path, metavar="FILE", help="help.fleet.crl")
    parser.add_argument("--crl-group", metavar="GROUP", help="help.fleet.crl_group")
    parser.add_argument("--reload", type=shlex.split, metavar="COMMAND", help="help.fleet.reload")


def make(state: FleetState, now: datetime) -> tuple[Made, int]:
    """The directory of what the state says, written down; and how many pages the last one had."""
    made = directory.make(state, now=now)
    return made, directory.keep(state, made)


async def publish(state: FleetState, made: Made, before: int, *, reloaded: bool = False) -> None:
    """Tell everybody. Raises `UplinkError`.

    A broker that was `reloaded` just now may turn us away until it has read its list: that of our own issuing authority
    may be new in it.
    """
    until = time.monotonic() + (RELOADING_S if reloaded else 0)
    while True:
        try:
            async with admin_link(state) as link:
                await directory.publish(link, made, before=before)
        except UplinkError as error:
            if error.code not in _TURNED_AWAY or time.monotonic() > until:
                raise
            await asyncio.sleep(RELOADING_EVERY_S)
        else:
            return


def write_list(args: argparse.Namespace, state: FleetState, now: datetime, canary: Throwaway | None) -> None:
    """Write the broker's list and make it read it. Raises `StateError`, `OutputError`, `CertificateError`."""
    path: Path = args.crl
    try:
        with path.open("rb") as file:
            before = file.read(_MAX_LIST)
    except FileNotFoundError:
        before = b""
    except OSError as error:
        raise StateError("fleet.crl_broken", f"{path}: {error.strerror}") from None
    made = revoking.revocation_list(state, before, now=now, canary=canary)
    with whole_file(path, mode=_READABLE, group=args.crl_group) as stream:
        stream.write(made)
    if args.reload:
        revoking.reload_broker(args.reload)
