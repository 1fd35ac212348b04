"""`edged outbox show`: what waits, since when, what was refused, lost or broken; read only, beside the daemon."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from edged.commands._outbox_common import database_file, size
from edged.commands._saying import minute, say, show, show_json
from edged.uplink import outbox_report

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from edged.uplink.outbox_types import GapLine, OutboxReport


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """No arguments of its own."""


def run(args: argparse.Namespace) -> int:
    """EX_OK."""
    found = outbox_report.report(database_file(args))
    if args.json:
        show_json(found)
    else:
        show(_lines(args, found))
    return os.EX_OK


def _lines(args: argparse.Namespace, found: OutboxReport) -> Iterator[str]:
    counts = found.counts
    yield f"{found.device} ({found.log_id}): {say(args, 'outbox.size', size=size(found.file_bytes))}"
    yield say(args, "outbox.committed", committed=counts.committed, receipted=counts.receipted)
    if counts.pending:
        waits = {"pending": counts.pending, "size": size(counts.bytes_pending)}
        yield say(args, "outbox.pending", **waits, since=minute(counts.oldest_pending))
    else:
        yield say(args, "outbox.nothing_pending")
    if counts.refused:
        yield say(args, "outbox.refused", refused=counts.refused, reason=counts.last_refusal)
    if counts.dead:
        yield say(args, "outbox.dead", dead=counts.dead, size=size(counts.bytes_dead))
    if counts.lost:
        yield say(args, "outbox.lost", lost=counts.lost)
    if counts.gaps_pending:
        yield say(args, "outbox.gaps", gaps=counts.gaps_pending)
        yield from (f"  {_gap(args, gap)}" for gap in found.gaps)
    if found.recovered_at is not None:
        yield f"{say(args, 'outbox.recovered', when=minute(found.recovered_at))} [{found.recovered_from}]"
    if found.set_aside:
        yield f"{say(args, 'outbox.set_aside')} {', '.join(found.set_aside)}"


def _gap(args: argparse.Namespace, gap: GapLine) -> str:
    """Names stand beside the sentences: one that is also a word of the catalogue would be translated within."""
    last = "…" if gap.last is None else str(gap.last)
    why = say(args, f"outbox.gap_{gap.reason}")
    code = "" if gap.code is None else f" {say(args, gap.code)}"
    stage = say(args, f"outbox.stage_{gap.stage}")
    return f"{gap.audience} ({gap.log_id}) {gap.first}–{last}: {why}{code} {stage}"
