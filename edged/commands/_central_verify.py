"""`edged central verify`: go through the archive, number by number, and say what doesn't hold where."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

import msgspec

from edged.central.survey import streams
from edged.central.verifying import Finding, verify_gaps, verify_stream
from edged.commands._archive_common import Progress, add_stream, reading
from edged.commands._saying import say, show_json, show_line

if TYPE_CHECKING:
    import argparse

_MOST: Final = 1000
"""Findings that are told one by one; all are counted."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `edged central verify`."""
    add_stream(parser)
    parser.add_argument("--log", metavar="ID", help="help.central.verify.log")


def run(args: argparse.Namespace) -> int:
    """EX_OK when everything holds, EX_DATAERR when something doesn't, 1 when the archive has no such stream."""
    progress = Progress(args, "archive_verify.progress")
    totals = dict.fromkeys(("streams", "numbers", "bodies", "gap_records", "missing", "findings"), 0)

    def on_finding(finding: Finding) -> None:
        totals["findings"] += 1
        if totals["findings"] <= _MOST:
            progress.clear()
            _tell(args, finding)

    with reading(args) as found:
        try:
            for summary in streams(
                found.archive, device=args.device, log_id=args.log, audience=args.audience
            ):
                done = verify_stream(found.archive, summary, found.anchor, on_finding, progress.add)
                totals["streams"] += 1
                for name in ("numbers", "bodies", "missing"):
                    totals[name] += getattr(done, name)
            rows = found.archive.gap_rows(audience=args.audience)
            wanted = (
                row for row in rows if args.device in (None, row.device) and args.log in (None, row.log_id)
            )
            totals["gap_records"], _ = verify_gaps(wanted, found.anchor, on_finding)
        finally:
            progress.clear()
    if args.json:
        show_json({"event": "verified", **totals})
    elif not totals["streams"]:
        show_line(say(args, "streams.none"))
    else:
        if totals["findings"] > _MOST:
            show_line(say(args, "archive_verify.more", count=totals["findings"] - _MOST))
        show_line(
            say(args, "archive_verify.wrong" if totals["findings"] else "archive_verify.whole", **totals)
        )
    if totals["findings"]:
        return os.EX_DATAERR
    return os.EX_OK if totals["streams"] else 1


def _tell(args: argparse.Namespace, finding: Finding) -> None:
    if args.json:
        show_json({"event": "finding", **msgspec.to_builtins(finding)})
        return
    place = f"{finding.device} → {finding.audience} ({finding.log_id}) {finding.seq}"
    show_line(f"{place}: {say(args, finding.code)}")
