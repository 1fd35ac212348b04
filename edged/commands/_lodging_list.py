"""`edged lodging list`: records that wait for their clerk, the latest others, check-ins without a record."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from edged.commands._daemon import call
from edged.commands._lodging_words import due, local, names, progress
from edged.commands._saying import say, show, show_json

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Mapping
    from typing import Any


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """`--limit`."""
    parser.add_argument("--limit", type=int, default=20, metavar="N", help="help.lodging.limit")


def run(args: argparse.Namespace) -> int:
    """EX_OK."""
    found = call(args, "lodging_list", limit=args.limit)
    if args.json:
        show_json(found)
    else:
        show(_lines(args, found))
    return os.EX_OK


def _lines(args: argparse.Namespace, found: Mapping[str, Any]) -> Iterator[str]:
    if not found["open"]:
        yield say(args, "lodging.none_open")
    for told in found["open"]:
        yield from progress(args, told)
    for line in found["records"]:
        yield _record(args, line)
        if line["state"] == "correction_wanted":
            yield f"  {say(args, 'lodging.to_correct')} {names(args, line['fields'])}"
    for missing in found["unregistered"]:
        yield f"{missing['reference']} {missing['day']}: {say(args, 'lodging.unregistered')}"


def _record(args: argparse.Namespace, line: Mapping[str, Any]) -> str:
    said = say(args, f"lodging.state_{line['state']}")
    kind = "" if line["kind"] == "live" else f" [{say(args, 'kind.' + line['kind'])}]"
    waits = f" {due(args, line)}" if line["state"] in ("sealed", "sealing") else ""
    return f"{line['record_id']} → {line['audience']} {local(line['scanned_at'])}{kind}: {said}{waits}"
