"""`edged fleet init`: make a fleet's roles and keys, step by step, each in its place."""

from __future__ import annotations

import argparse
import os
from datetime import UTC, datetime
from pathlib import Path

from edged.commands._fleet_common import add_dry_run, add_key_directory, add_root_keys, add_state
from edged.commands._saying import say, show_json, show_line
from edged.errors import StateError
from edged.fleet.ceremony import Plan, check, found, majority, steps
from edged.fleet.state import FleetFile

_HIGHEST_PORT = 65535


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `edged fleet init`."""
    add_state(parser)
    parser.add_argument("--fleet", required=True, metavar="NAME", help="help.fleet.init.fleet")
    parser.add_argument("--admin", required=True, metavar="NAME", help="help.fleet.init.admin")
    add_root_keys(parser)
    parser.add_argument("--threshold", type=int, metavar="N", help="help.fleet.threshold")
    add_key_directory(parser, "--privacy-keys")
    add_key_directory(parser, "--release-keys")
    parser.add_argument(
        "--broker",
        type=_endpoint,
        default=("127.0.0.1", 8883),
        metavar="HOST:PORT",
        help="help.fleet.init.broker",
    )
    parser.add_argument("--enrolment", type=_endpoint, metavar="HOST:PORT", help="help.fleet.init.enrolment")
    parser.add_argument("--demo", action="store_true", help="help.fleet.init.demo")
    add_dry_run(parser)


def _endpoint(text: str) -> tuple[str, int]:
    """`host:port` for argparse."""
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or not 1 <= int(port) <= _HIGHEST_PORT:
        raise argparse.ArgumentTypeError("usage.bad_endpoint")
    return host, int(port)


def run(args: argparse.Namespace) -> int:
    """EX_OK; EX_CANTCREAT where something is already there or the plan puts keys in the wrong place."""
    plan = _plan(args)
    check(plan)
    if not args.dry_run:
        found(plan, datetime.now(UTC), args.lang)
    if args.json:
        show_json(_as_json(args, plan))
        return os.EX_OK
    show_line(say(args, "ceremony.would" if args.dry_run else "ceremony.done", fleet=plan.file.fleet))
    for number, step in enumerate(steps(plan), 1):
        show_line(f"{number}. {say(args, step.code, **step.params)}")
    if len(plan.root_keys) == 1:
        show_line(say(args, "ceremony.one_root_key"))
    show_line(say(args, "ceremony.next_dry" if args.dry_run else "ceremony.next"))
    return os.EX_OK


def _plan(args: argparse.Namespace) -> Plan:
    host, port = args.broker
    if args.threshold is not None and args.threshold < 1:
        raise StateError("fleet.bad_threshold", keys=str(len(args.root_keys)))
    return Plan(
        directory=args.state,
        file=FleetFile(
            fleet=args.fleet,
            admin=args.admin,
            demo=args.demo,
            broker_host=host,
            broker_port=port,
            enrolment=None if args.enrolment is None else f"{args.enrolment[0]}:{args.enrolment[1]}",
        ),
        root_keys=tuple(args.root_keys),
        threshold=majority(len(args.root_keys)) if args.threshold is None else args.threshold,
        privacy_keys=args.privacy_keys,
        release_keys=args.release_keys,
    )


def _as_json(args: argparse.Namespace, plan: Plan) -> dict[str, object]:
    return {
        "state": str(Path(plan.directory)),
        "fleet": plan.file.fleet,
        "threshold": plan.threshold,
        "root_keys": len(plan.root_keys),
        "offline": [str(path) for path in plan.key_files],
        "dry_run": args.dry_run,
    }
