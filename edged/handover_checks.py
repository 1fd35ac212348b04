"""What the types of the handover's settings can't say. Functions raise `ConfigError` with the path of the bad key."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

from edged.errors import ConfigError
from edged.privacy.handover import HANDOVER_CEILING, MAX_WITHIN_S

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edged.config import AudienceSettings, HandoverSettings

_PORTS = range(1 << 16)


def check_audience_handover(name: str, audience: AudienceSettings) -> None:
    """What a policy hands over is what may be handed over at all."""
    handover = audience.policy.handover
    if handover is None:
        return
    where = f"audiences.{name}.policy.handover"
    for field in handover.fields:
        if field not in HANDOVER_CEILING:
            raise ConfigError(f"{where}.fields", "config.unknown_name", known=", ".join(HANDOVER_CEILING))
    if len(set(handover.fields)) < len(handover.fields):
        raise ConfigError(f"{where}.fields", "handover.field_twice")
    if not 0 < handover.within_s <= MAX_WITHIN_S:
        raise ConfigError(f"{where}.within_s", "config.out_of_range", least="0", most=str(MAX_WITHIN_S))


def check_handover(
    settings: HandoverSettings, audiences: Mapping[str, AudienceSettings], *, pushed: bool
) -> None:
    """Who may connect, and where.

    `pushed`: whether a fleet pushes this box's policies. Then an application may be named here before a policy has
    anything for it, and after: a fleet must be able to take a handover back.
    """
    try:
        _check_users(settings, None if pushed else audiences)
        _check_doors(settings)
    except ConfigError as error:
        raise error.within("handover", ".") from error


def _check_doors(settings: HandoverSettings) -> None:
    if settings.listen is None:
        if settings.socket is None:
            raise ConfigError("socket", "handover.no_door")
        for key in ("key", "certificate"):
            if getattr(settings, key) is not None:
                raise ConfigError(key, "config.only_with", other="[handover] listen")
        return
    if listen_address(settings.listen)[1] == 0:
        raise ConfigError("listen", "handover.bad_address")
    for key in ("key", "certificate"):
        if getattr(settings, key) is None:
            raise ConfigError(key, "config.required_by", other="[handover] listen")


def _check_users(settings: HandoverSettings, audiences: Mapping[str, AudienceSettings] | None) -> None:
    if settings.users and settings.socket is None:
        raise ConfigError("users", "config.only_with", other="[handover] socket")
    if settings.socket is not None and not settings.users:
        raise ConfigError("users", "config.required_by", other="[handover] socket")
    seen: dict[str, str] = {}
    for name, user in settings.users.items():
        where = f"users.{name}"
        if audiences is not None and name not in audiences:
            raise ConfigError(where, "handover.no_such_audience")
        if audiences is not None and audiences[name].policy.handover is None:
            raise ConfigError(where, "handover.not_in_policy")
        if user in seen:
            raise ConfigError(where, "handover.same_user", other=seen[user])
        seen[user] = name


def listen_address(text: str) -> tuple[str, int]:
    """The address and port of `ADDRESS:PORT` or `[ADDRESS]:PORT`: of this machine on the counter's own network.

    Port 0, which is any, is for tests. Raises `ConfigError`: `handover.bad_address`, `handover.everywhere`,
    `handover.public_address`.
    """
    host, _, port = text.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise ConfigError("listen", "handover.bad_address")
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        raise ConfigError("listen", "handover.bad_address") from None
    if not (port.isascii() and port.isdecimal() and len(port) <= 5) or int(port) not in _PORTS:
        raise ConfigError("listen", "handover.bad_address")
    if address.is_unspecified:
        raise ConfigError("listen", "handover.everywhere")
    if address.is_multicast or "%" in host:
        raise ConfigError("listen", "handover.bad_address")
    if address.is_global:
        raise ConfigError("listen", "handover.public_address")
    return host, int(port)
