"""`edged trust rollback`: put an older generation of the trust store in force again, or list those that are kept."""

from __future__ import annotations

import argparse
import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec

from edged.commands._saying import minute, say, show, show_json
from edged.trust.store import TrustStore

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edged.trust.store import Manifest


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `edged trust rollback`."""
    parser.add_argument(
        "generation", nargs="?", type=_number, metavar="GENERATION", help="help.trust.rollback.generation"
    )
    parser.add_argument("--list", action="store_true", help="help.trust.rollback.list")


def run(args: argparse.Namespace) -> int:
    """EX_OK. `StateError`s are the command line's to tell."""
    store = TrustStore(args.trust)
    if args.list:
        manifest = store.manifest()
        if args.json:
            show_json(manifest)
        else:
            show(_lines(args, manifest))
        return os.EX_OK
    with store.changing() as change:
        number = change.roll_back(args.generation, datetime.now(UTC))
        held = change.current()
    counts = {"certificates": len(held.certificates), "crls": len(held.crls)}
    if args.json:
        show_json({"generation": number, **counts})
    else:
        show([say(args, "trust.rolled_back", number=number, made=minute(held.made), **counts)])
    return os.EX_OK


def _number(text: str) -> int:
    if not text.isascii() or not text.isdecimal():
        raise argparse.ArgumentTypeError("usage.bad_number")
    return int(text)


def _lines(args: argparse.Namespace, manifest: Manifest | None) -> Iterator[str]:
    if manifest is None:
        yield say(args, "trust.nothing")
        return
    for record in manifest.generations:
        facts = msgspec.structs.asdict(record) | {"made": minute(record.made)}
        said = say(args, "trust.kept", **facts)
        current = record.number == manifest.current
        yield f"{said} {say(args, 'trust.in_force', since=minute(manifest.since))}" if current else said
