"""`edged fleet authority`: the fleet's X.509 authorities, and what of them is revoked; signed by the offline keys."""

from __future__ import annotations

import os
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final, get_args

from cryptography import x509

from edged.commands._fleet_common import add_dry_run, add_key_directory, add_root_keys, add_state, open_state
from edged.commands._saying import minute, say, show, show_json, show_line
from edged.errors import ConfigError, StateError
from edged.fleet import authorities, recovery
from edged.fleet.differences import shortened
from edged.fleet.key_files import CA_ROOT, read_offline
from edged.fleet.tuf_roles import Holder
from edged.uplink.fleet_authority import Why, encode, sha256_of
from edged.uplink.roles import MAX_PEM, load_chain

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from edged.fleet.key_files import OfflineKey
    from edged.fleet.state import FleetState
    from edged.uplink.fleet_authority import FleetAuthorities

_SHOWN: Final = 8

_SHA256: Final = re.compile(r"[0-9a-f]{64}")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """`show`, `add`, `remove`, `revoke`, `renew`."""
    actions = parser.add_subparsers(dest="what", required=True, metavar="show|add|remove|revoke|renew")
    made = {}
    for name in ("show", "add", "remove", "revoke", "renew"):
        text = f"help.fleet.authority.{name}"
        made[name] = actions.add_parser(name, help=text, description=text)
        add_state(made[name])
        if name != "show":
            add_root_keys(made[name], required=name != "renew")
            add_dry_run(made[name])
    # Options, because behind --root-keys a bare word would be one more directory.
    made["add"].add_argument(
        "--certificate", type=Path, required=True, metavar="PEM", help="help.fleet.authority.add.certificate"
    )
    for name in ("remove", "revoke"):
        made[name].add_argument(
            "--sha256", required=True, metavar="HEX", help=f"help.fleet.authority.{name}.sha256"
        )
    made["remove"].add_argument("--force", action="store_true", help="help.fleet.authority.remove.force")
    made["revoke"].add_argument(
        "--reason", choices=get_args(Why), default="key_compromise", help="help.fleet.authority.revoke.reason"
    )
    add_key_directory(made["renew"], "--ca-key")
    made["renew"].add_argument("--new-root", action="store_true", help="help.fleet.authority.renew.new_root")


def run(args: argparse.Namespace) -> int:
    """EX_OK; EX_CANTCREAT, and nothing changed, when fewer offline keys than the threshold are here."""
    state = open_state(args)
    now = datetime.now(UTC)
    if args.what == "show":
        document = authorities.current(state)
        if args.json:
            show_json(_as_json(document))
        else:
            show(_lines(args, state, document))
        return os.EX_OK
    with state.changing():
        if args.what == "renew":
            return _renew(args, state, now)
        document = _changed(args, authorities.current(state), now)
        if args.what == "remove" and not args.force:
            _check_nobody_stranded(state, document, now)
        encode(document)
        offline = _offline(args, state)
        if not args.dry_run:
            authorities.put(state, lambda _: document, [key.signer for key in offline], now)
    return _told(args, f"fleet_authority.{args.what}_done", document)


def _check_nobody_stranded(state: FleetState, document: FleetAuthorities, now: datetime) -> None:
    left = authorities.stranded(state, document, now)
    if left:
        raise StateError("fleet.anchor_in_use", count=str(len(left)), boxes=shortened(left, _SHOWN))


def _offline(args: argparse.Namespace, state: FleetState) -> list[OfflineKey]:
    offline = read_offline(Holder.ROOT, args.root_keys)
    recovery.check_replacement(state, Holder.ROOT, offline, None)
    return offline


def _changed(args: argparse.Namespace, document: FleetAuthorities, now: datetime) -> FleetAuthorities:
    if args.what == "add":
        with args.certificate.open("rb") as file:
            return authorities.with_anchor(document, file.read(MAX_PEM + 1))
    sha256 = args.sha256.lower().replace(":", "")
    if _SHA256.fullmatch(sha256) is None:
        raise ConfigError("--sha256", "fleet.not_a_sha256")
    if args.what == "remove":
        return authorities.without_anchor(document, sha256)
    return authorities.with_revoked(document, [sha256], args.reason, now)


def _renew(args: argparse.Namespace, state: FleetState, now: datetime) -> int:
    """A new offline authority beside the old one; or, the plain form, a new issuing one and new admin's keys."""
    document = authorities.current(state)
    if args.new_root:
        offline = _offline(args, state)
        if (args.ca_key / CA_ROOT).exists():
            raise StateError("fleet.key_exists", str(args.ca_key / CA_ROOT))
        if not args.dry_run:
            root = authorities.new_root(state, args.ca_key, now)
            document = authorities.put(
                state,
                lambda before: authorities.with_anchor(before, root.certificate_pem),
                [key.signer for key in offline],
                now,
            )
        return _told(args, "fleet_authority.new_root_done", document)
    root = authorities.read_root(state, args.ca_key)
    if not args.dry_run:
        authorities.write_issuing(state.secrets, authorities.new_issuing(root, now))
        authorities.write_admin(state, now)
    return _told(args, "fleet_authority.renew_done", document)


def _told(args: argparse.Namespace, code: str, document: FleetAuthorities) -> int:
    if args.json:
        show_json(_as_json(document) | {"dry_run": args.dry_run})
    else:
        show_line(say(args, "fleet_authority.would" if args.dry_run else code))
    return os.EX_OK


def _as_json(document: FleetAuthorities) -> dict[str, object]:
    return {
        "anchors": [_anchor(pem) for pem in document.anchors],
        "revoked": document.revoked,
    }


def _anchor(pem: str) -> dict[str, object]:
    certificate = x509.load_pem_x509_certificate(pem.encode())
    return {
        "sha256": sha256_of(certificate),
        "name": certificate.subject.rfc4514_string(),
        "not_before": certificate.not_valid_before_utc,
        "not_after": certificate.not_valid_after_utc,
    }


def _lines(args: argparse.Namespace, state: FleetState, document: FleetAuthorities) -> Iterator[str]:
    yield say(args, "fleet_authority.anchors")
    yield from map(_line, (x509.load_pem_x509_certificate(pem.encode()) for pem in document.anchors))
    yield say(args, "fleet_authority.here")
    paths = [state.secrets / "ca.pem", *sorted((state.secrets / authorities.RETIRED).glob("*.pem"))]
    yield from map(_line, (load_chain(path.read_bytes())[0] for path in paths if path.exists()))
    yield from map(_line, authorities.admin_certificates(state))
    yield say(args, "fleet_authority.revoked" if document.revoked else "fleet_authority.none_revoked")
    for one in document.revoked:
        when = minute(datetime.fromtimestamp(one.at, UTC))
        yield f"  {one.sha256}  {when}  {say(args, f'fleet_authority.{one.reason}')}"


def _line(certificate: x509.Certificate) -> str:
    dates = f"{certificate.not_valid_before_utc:%Y-%m-%d} – {certificate.not_valid_after_utc:%Y-%m-%d}"
    return f"  {sha256_of(certificate)}  {dates}  {certificate.subject.rfc4514_string()}"
