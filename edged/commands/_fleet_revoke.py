"""`edged fleet revoke`: somebody doesn't belong to the fleet any more; from now on, everywhere."""

from __future__ import annotations

import argparse
import asyncio
import os
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, get_args

from edged.commands import _fleet_broker_list, _fleet_common
from edged.commands._moments import beginning
from edged.commands._saying import say, show_json, show_line
from edged.errors import CodedError, ConfigError
from edged.fleet import members, revoking
from edged.uplink.directory import Reason
from edged.uplink.names import Principal, Role, valid_name

if TYPE_CHECKING:
    from edged.fleet.revoking import Throwaway
    from edged.fleet.state import FleetState

_OTHERS: Final = (Role.COLLECTOR, Role.AUDIENCE, Role.ADMIN, Role.HELPDESK, Role.PRIVACY)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Whom, why, since when; `--state`, `--crl`, `--dry-run`, `--json`."""
    _fleet_common.add_state(parser)
    whom = parser.add_mutually_exclusive_group(required=True)
    whom.add_argument("device", nargs="?", metavar="DEVICE", help="help.fleet.revoke_device")
    for role in _OTHERS:
        whom.add_argument(f"--{role}", metavar="NAME", help="help.fleet.revoke_other")
    parser.add_argument("--certificate", type=_certificate, metavar="SHA256", help="help.fleet.revoke_one")
    parser.add_argument(
        "--reason", choices=get_args(Reason), default="unspecified", help="help.fleet.revoke_reason"
    )
    parser.add_argument("--since", type=beginning, metavar="DATE", help="help.fleet.revoke_since")
    _fleet_broker_list.add_arguments(parser)
    _fleet_common.add_dry_run(parser)


def run(args: argparse.Namespace) -> int:
    """EX_OK when all of it is done; EX_TEMPFAIL when the broker doesn't enforce its list."""
    state = _fleet_common.open_state(args)
    principal = _principal(args, state)
    now = datetime.now(UTC)
    at = min(args.since or now, now)
    issued = members.certificates(state, principal)
    if args.dry_run:
        _told(args, "revoke.dry_run", name=principal.username, count=len(issued))
        return os.EX_OK
    with state.changing():
        if args.certificate:
            revoking.revoke_certificate(state, principal, args.certificate, at=at, reason=args.reason)
        else:
            revoking.revoke_name(state, principal, at=at, reason=args.reason)
        _step(args, "revoke.noted", name=principal.username)
        if not issued:
            _step(args, "revoke.no_certificates", name=principal.username)
        canary = revoking.throwaway(state, principal, now=now) if args.crl else None
        failed = _list_written(args, state, now, canary)
        made, before = _fleet_broker_list.make(state, now)
        asyncio.run(_fleet_broker_list.publish(state, made, before, reloaded=bool(args.reload)))
        _step(args, "revoke.published", version=made.head.version)
        if failed is not None:
            raise failed
        done = _at_broker(args, state, principal, canary, now)
    if args.json:
        show_json(
            {
                "revoked": principal.uri,
                "certificate": args.certificate,
                "at": int(at.timestamp()),
                "certificates": len(issued),
                "version": made.head.version,
                **done,
            }
        )
    return os.EX_TEMPFAIL if done["enforced"] is False else os.EX_OK


def _list_written(
    args: argparse.Namespace, state: FleetState, now: datetime, canary: Throwaway | None
) -> CodedError | None:
    """Before anything that needs the broker. What has failed: it is no reason not to tell everybody."""
    if canary is None:
        return None
    try:
        _fleet_broker_list.write_list(args, state, now, canary)
    except CodedError as error:
        return error
    _step(args, "revoke.list_written", path=str(args.crl))
    return None


def _at_broker(
    args: argparse.Namespace,
    state: FleetState,
    principal: Principal,
    canary: Throwaway | None,
    now: datetime,
) -> dict[str, Any]:
    """Keep them out, then throw them out: the other way round they would be back at once."""
    endpoint = state.endpoint()
    enforced = None
    if canary is not None and args.reload:
        enforced = asyncio.run(revoking.enforced(principal, endpoint, canary))
        _step(args, "revoke.enforced" if enforced else "revoke.not_enforced")
    asyncio.run(revoking.end_session(principal, endpoint, revoking.throwaway(state, principal, now=now)))
    _step(args, "revoke.session_ended", name=principal.username)
    if enforced is None:
        _step(args, "revoke.broker_next")
    return {"crl": str(args.crl) if args.crl else None, "enforced": enforced, "session_ended": True}


def _principal(args: argparse.Namespace, state: FleetState) -> Principal:
    role, name = Role.DEVICE, args.device
    for other in _OTHERS:
        if (found := getattr(args, str(other))) is not None:
            role, name = other, found
    if not valid_name(name):
        raise ConfigError("NAME", "fleet.no_such_name")
    principal = Principal(state.file.fleet, role, name)
    if role is Role.DEVICE:
        state.device(name)
    return principal


def _certificate(text: str) -> str:
    if re.fullmatch(r"[0-9a-fA-F]{64}", text):
        return text.lower()
    try:
        return revoking.certificate_of(Path(text))
    except ConfigError:
        raise argparse.ArgumentTypeError("usage.bad_certificate") from None


def _step(args: argparse.Namespace, code: str, **params: object) -> None:
    if not args.json:
        show_line(say(args, code, **params))


def _told(args: argparse.Namespace, code: str, **params: object) -> None:
    if args.json:
        show_json({"dry_run": True, **params})
    else:
        show_line(say(args, code, **params))
