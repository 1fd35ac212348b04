"""`edged trust coverage`: whose documents the box can prove genuine, until when, and whose it can't."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from edged.commands._moments import moment
from edged.commands._saying import say, show, show_json
from edged.commands._trust_common import day, short, state
from edged.trust.coverage import SOON, coverage
from edged.trust.store import TrustStore

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from edged.trust.coverage import Coverage, StateCoverage


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `edged trust coverage`."""
    parser.add_argument("--at", type=moment, metavar="DATE", help="help.trust.coverage.at")


def run(args: argparse.Namespace) -> int:
    """EX_OK; 1 when no state at all is covered."""
    held = TrustStore(args.trust).current()
    found = coverage(held, args.at or datetime.now(UTC))
    if args.json:
        show_json(
            {"generation": held.number, "at": found.at, "states": found.states, "missing": found.missing}
        )
    else:
        show(_lines(args, found))
    return os.EX_OK if found.covered else 1


def _lines(args: argparse.Namespace, found: Coverage) -> Iterator[str]:
    for one in found.states:
        yield _state_line(args, one, found.at)
    expiring = [(one.country, soon) for one in found.states for soon in one.expiring]
    if expiring:
        yield say(args, "trust.expiring", days=SOON.days)
        for country, soon in sorted(expiring, key=lambda pair: pair[1].not_after):
            yield f"  {day(soon.not_after)}  {short(soon.fingerprint)}  {state(country, args.lang)}  {soon.name}"
    if found.missing:
        names = ", ".join(state(code, args.lang) for code in found.missing)
        yield say(args, "trust.missing", states=names)
    certificates = sum(one.valid + one.expired + one.later for one in found.states)
    yield say(
        args,
        "trust.coverage",
        at=day(found.at),
        states=len(found.covered),
        certificates=certificates,
        expired=sum(one.expired for one in found.states),
        crls=sum(one.crls for one in found.states),
    )


def _state_line(args: argparse.Namespace, one: StateCoverage, at: datetime) -> str:
    parts = [say(args, "trust.state_valid", count=one.valid, day=day(one.last_day))]
    if not one.valid:
        parts = [say(args, "trust.state_not_covered")]
    if one.expired:
        parts.append(say(args, "trust.state_expired", count=one.expired))
    if one.later:
        parts.append(say(args, "trust.state_later", count=one.later))
    if one.newest_crl is not None:
        parts.append(say(args, "trust.state_crls", count=one.crls, days=(at - one.newest_crl).days))
    if one.crls_stale:
        parts.append(say(args, "trust.state_crls_stale", count=one.crls_stale))
    return f"{state(one.country, args.lang)}: {'; '.join(parts)}"
