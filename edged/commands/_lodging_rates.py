"""`edged lodging rates`: registration, timeliness and accuracy, and what of them can't be known."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from edged.commands._daemon import call
from edged.commands._saying import say, show_json, show_line
from edged.commands._table import show_table

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

_RATES = ("registration", "timeliness", "accuracy")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which days, whose, and whether tests count."""
    parser.add_argument("--from", dest="first", metavar="DATE", help="help.lodging.from")
    parser.add_argument("--to", dest="last", metavar="DATE", help="help.lodging.to")
    parser.add_argument("--audience", metavar="NAME", help="help.lodging.audience")
    parser.add_argument("--days", action="store_true", help="help.lodging.days")
    parser.add_argument("--tests", action="store_true", help="help.lodging.tests")


def run(args: argparse.Namespace) -> int:
    """EX_OK, whatever the rates are."""
    given: dict[str, Any] = {"from": args.first, "to": args.last, "audience": args.audience}
    found = call(
        args,
        "lodging_rates",
        tests=args.tests,
        **{name: value for name, value in given.items() if value is not None},
    )
    if args.json:
        show_json(found)
        return os.EX_OK
    if not found["reports"]:
        show_line(say(args, "lodging.no_records"))
    for report in found["reports"]:
        show_line(f"{report['audience']} {found['from']} – {found['to']}")
        show_table([say(args, f"lodging.column_{name}") for name in ("period", *_RATES)], _rows(args, report))
        _explain(args, report["total"])
    return os.EX_OK


def _rows(args: argparse.Namespace, report: Mapping[str, Any]) -> list[tuple[str, ...]]:
    periods = [*(report["days"] if args.days else ()), *report["months"], report["total"]]
    return [(one["period"], *(_rate(args, one[name]) for name in _RATES)) for one in periods]


def _rate(args: argparse.Namespace, rate: Mapping[str, Any]) -> str:
    """A rate in one cell: its value, or the bounds it lies between, and its numbers."""
    numbers = f"{rate['numerator']}/{rate['denominator']}"
    if rate["value"] is not None:
        return f"{rate['value']:.1%} ({numbers})"
    if rate["lower"] is None:
        return say(args, "lodging.nothing_to_count")
    between = f"{rate['lower']:.1%}–{rate['upper']:.1%}"
    return say(args, "lodging.rate_unknown", between=between, numbers=numbers, unknown=rate["unknown"])


def _explain(args: argparse.Namespace, total: Mapping[str, Any]) -> None:
    if total["days_without_check_ins"]:
        show_line(say(args, "lodging.days_without_check_ins", days=total["days_without_check_ins"]))
    if total["accuracy"]["unknown"]:
        show_line(say(args, "lodging.unanswered", count=total["accuracy"]["unknown"]))
    if total["abandoned"]:
        show_line(say(args, "lodging.abandoned_count", count=total["abandoned"]))
