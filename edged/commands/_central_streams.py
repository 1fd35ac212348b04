"""`edged central streams`: what the archive has of every stream."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import msgspec

from edged.central.survey import streams
from edged.commands._archive_common import add_stream, reading
from edged.commands._saying import minute, say, show_json, show_line
from edged.commands._table import show_table

if TYPE_CHECKING:
    import argparse

    from edged.central.survey import StreamSummary


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `edged central streams`."""
    add_stream(parser)


def run(args: argparse.Namespace) -> int:
    """EX_OK."""
    with reading(args) as found:
        listed = streams(found.archive, device=args.device, audience=args.audience)
        if args.json:
            for one in listed:
                show_json(msgspec.to_builtins(one) | {"missing": one.missing})
            return os.EX_OK
        columns = ("device", "audience", "log", "highest", "stored", "missing", "gaps", "newest")
        header = [say(args, f"streams.{name}") for name in columns]
        if not show_table(header, map(_cells, listed)):
            show_line(say(args, "streams.none"))
    return os.EX_OK


def _cells(one: StreamSummary) -> tuple[str, ...]:
    counts = (one.highest, one.stored, one.missing, one.gap_records)
    return (one.device, one.audience, one.log_id, *map(str, counts), minute(one.newest))
