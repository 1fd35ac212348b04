"""`edged central prune`: take what retention says, now, in portions that no collector has to wait for."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import msgspec

from edged.central.retention import Pruned, Retention, Tally, portions
from edged.central.signing_clock import SigningClock
from edged.commands._archive_common import Progress, reading, writing
from edged.commands._saying import say, show_json, show_line
from edged.uplink.sign import Signer

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from edged.commands._archive_common import Reading, Writing

_PAUSE_S: Final = 0.02
"""Between two portions: SQLite has one writer at a time, and a collector that waits for it goes first."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `edged central prune`."""
    parser.add_argument("--dry-run", action="store_true", help="help.central.prune.dry_run")


def run(args: argparse.Namespace) -> int:
    """EX_OK. `StateError`s are the command line's to tell; what was taken until then is taken."""
    if args.dry_run:
        now = datetime.now(UTC)
        with reading(args) as found:
            retention = found.settings.retention
            pruned = _count(found, now)
    else:
        with writing(args) as opened:
            retention = opened.settings.retention
            pruned = _take(args, opened, _certain(opened))
    if args.json:
        show_json({"dry_run": args.dry_run, **msgspec.to_builtins(pruned)})
        return os.EX_OK
    for line in _lines(args, pruned, retention):
        show_line(line)
    return os.EX_OK


def _count(found: Reading, now: datetime) -> Pruned:
    retention, archive = found.settings.retention, found.archive
    bodies = {}
    for audience in (counted.audience for counted in archive.audiences()):
        before = retention.before(audience, now)
        if before is not None and (count := archive.forgettable(audience, before)):
            bodies[audience] = count
    before = retention.evidence_before(now)
    return Pruned(bodies, archive.forgettable_evidence(before) if before else 0)


def _certain(found: Writing) -> datetime:
    """The time. A clock a year ahead would take away a year that must be kept: it is held to the certificate's.

    Raises `StateError`.
    """
    settings = found.settings
    signer = Signer.from_files(settings.signing_key, settings.signing_certificate)
    return SigningClock(lambda: datetime.now(UTC), signer).now()


def _take(args: argparse.Namespace, found: Writing, now: datetime) -> Pruned:
    tally = Tally()
    progress = Progress(args, "prune.progress")
    try:
        for portion in portions(found.archive, found.settings.retention, now):
            tally.add(portion)
            progress.add(portion.taken)
            time.sleep(_PAUSE_S)
    finally:
        progress.clear()
    return tally.pruned()


def _lines(args: argparse.Namespace, pruned: Pruned, retention: Retention) -> Iterator[str]:
    bodies, evidence = (
        ("prune.would_take", "prune.would_take_evidence")
        if args.dry_run
        else ("prune.took", "prune.took_evidence")
    )
    for audience, count in pruned.bodies.items():
        days = retention.audiences.get(audience, retention.days)
        yield f"{audience}: {say(args, bodies, count=count, days=days)}"
    if pruned.evidence:
        yield say(args, evidence, count=pruned.evidence, days=retention.evidence_days)
    if not retention.takes_anything:
        yield say(args, "prune.kept_forever")
    elif not pruned.bodies and not pruned.evidence:
        yield say(args, "prune.nothing")
