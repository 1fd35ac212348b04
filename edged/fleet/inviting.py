"""A new box, or an old one that needs new certificates: its record and its token."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

import msgspec

from edged.errors import ConfigError, StateError
from edged.fleet.repository import Repository
from edged.fleet.state import DeviceRecord
from edged.fleet.tuf_roles import ROOT
from edged.uplink.names import valid_name
from edged.uplink.token import Token, make, voucher
from edged.uplink.topics import usable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edged.fleet.state import FleetState

DEFAULT_DAYS: Final = 7
"""How long a token holds: from the office to the counter."""

MAX_DAYS: Final = 90
"""Longest life of a token: what isn't installed within a quarter gets another one."""

MAX_SITE: Final = 200


class Invitation(msgspec.Struct, frozen=True):
    """A token and the record it stands in. The secret is nowhere else."""

    token: Token
    record: DeviceRecord
    until: datetime


def address_of(state: FleetState) -> tuple[str, int]:
    """Host and port of the enrolment service. Raises `ConfigError` (`fleet.no_enrolment_address`)."""
    host, colon, port = (state.file.enrolment or "").rpartition(":")
    if not colon or not port.isdecimal():
        raise ConfigError("fleet.toml: enrolment", "fleet.no_enrolment_address")
    return host.removeprefix("[").removesuffix("]"), int(port)


def invite(
    state: FleetState,
    device: str,
    *,
    now: datetime,
    groups: Sequence[str] | None = None,
    site: str | None = None,
    days: int = DEFAULT_DAYS,
    again: bool = False,
) -> Invitation:
    """A record with a new token, not saved yet; `again` for a box that is in the fleet already.

    Such a box keeps its name, groups and site (unless others are given) and certificates; a token that was open ends.

    Raises `ConfigError`: `fleet.bad_name`, `fleet.device_exists`, `fleet.no_such_device`, `fleet.device_is_revoked`,
    `fleet.no_enrolment_address`, `config.out_of_range`; `StateError` (`fleet.no_metadata`).
    """
    for name in (device, *(groups or ())):
        if not (valid_name(name) and usable(name)):
            raise ConfigError(name, "fleet.bad_name", name=name[:63])
    if not 1 <= days <= MAX_DAYS:
        raise ConfigError("--valid-days", "config.out_of_range", least="1", most=str(MAX_DAYS))
    if len(site or "") > MAX_SITE:
        raise ConfigError("--site", "config.wrong_length", least="0", most=str(MAX_SITE))
    old = _known(state, device)
    if old is None and again:
        raise ConfigError(device, "fleet.no_such_device")
    if old is not None and not again:
        raise ConfigError(device, "fleet.device_exists")
    if old is not None and old.revoked_at is not None:
        raise ConfigError(device, "fleet.device_is_revoked")
    repository = Repository(state.directory / "metadata")
    vouched = voucher(repository.file(ROOT, 1), repository.targets().signed.version)
    try:
        token = make(device, *address_of(state), vouched)
    except ValueError:
        raise ConfigError("fleet.toml: enrolment", "fleet.no_enrolment_address") from None
    until = now + timedelta(days=days)
    record = msgspec.structs.replace(
        old or DeviceRecord(name=device, added_at=int(now.timestamp())),
        token_sha256=token.secret_sha256(),
        token_until=int(until.timestamp()),
        token_serials={},
        token_refused_at=None,
    )
    if groups is not None:
        record = msgspec.structs.replace(record, groups=tuple(dict.fromkeys(groups)))
    if site is not None:
        record = msgspec.structs.replace(record, site=site)
    return Invitation(token, record, until)


def _known(state: FleetState, device: str) -> DeviceRecord | None:
    try:
        return state.device(device)
    except ConfigError as error:
        if error.code != "fleet.no_such_device":
            raise StateError("fleet.bad_record", str(error)) from None
        return None
