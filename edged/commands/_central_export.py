"""`edged central export`: the de-identified archive as CSV, JSON Lines or Parquet."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final, NoReturn

import msgspec

from edged.central import tables
from edged.central.export import Exported, Wanted, export
from edged.commands._archive_common import Progress, add_stream, reading
from edged.commands._moments import beginning, end
from edged.commands._saying import printable, say
from edged.verdict import Kind
from edged.whole_file import whole_file

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

_STDOUT: Final = "-"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `edged central export`."""
    parser.add_argument("--output", required=True, metavar="FILE", help="help.central.export.output")
    parser.add_argument("--format", choices=tables.FORMATS, help="help.central.export.format")
    add_stream(parser)
    parser.add_argument("--since", type=beginning, metavar="DATE", help="help.central.export.since")
    parser.add_argument("--until", type=end, metavar="DATE", help="help.central.export.until")
    parser.add_argument("--kind", choices=[kind.value for kind in Kind], help="help.central.export.kind")
    parser.add_argument("--verify", action="store_true", help="help.central.export.verify")
    parser.add_argument("--ledger", action="store_true", help="help.central.export.ledger")
    parser.add_argument("--with-references", action="store_true", help="help.central.export.references")


def run(args: argparse.Namespace) -> int:
    """EX_OK; EX_DATAERR when envelopes were left out because they don't hold: the rest is exported all the same."""
    wanted = Wanted(device=args.device, kind=args.kind and Kind(args.kind), ledger=args.ledger)
    progress = Progress(args, "export.progress")
    with reading(args) as found, _output(args.output) as stream:
        rows = found.archive.rows(audience=args.audience, since=args.since, until=args.until)
        table = tables.table(_format(args), stream, fleet=found.anchor.fleet, references=args.with_references)
        anchor = found.anchor if args.verify else None
        try:
            done = export(rows, table, wanted, anchor=anchor, on_progress=progress.show)
        finally:
            progress.clear()
    _tell(args, done)
    return os.EX_DATAERR if done.refused else os.EX_OK


def _format(args: argparse.Namespace) -> str:
    if args.format:
        return str(args.format)
    suffix = Path(args.output).suffix.removeprefix(".").lower()
    return suffix if suffix in tables.FORMATS else "jsonl"


@contextlib.contextmanager
def _output(name: str) -> Iterator[BinaryIO]:
    if name != _STDOUT:
        # Ended from outside, as timers end what takes too long: the part that is written mustn't stay behind.
        before = signal.signal(signal.SIGTERM, _end)
        try:
            with whole_file(Path(name)) as stream:
                yield stream
        finally:
            signal.signal(signal.SIGTERM, before)
        return
    yield sys.stdout.buffer
    sys.stdout.buffer.flush()


def _end(number: int, _: object) -> NoReturn:
    raise SystemExit(128 + number)  # what a shell says of whoever a signal has ended


def _tell(args: argparse.Namespace, done: Exported) -> None:
    # Standard output may be the export itself; what is said about it goes beside it.
    stream = sys.stderr if args.output == _STDOUT or not args.json else sys.stdout
    if args.json:
        print(msgspec.json.encode(done).decode(), file=stream)
        return
    lines = [say(args, "export.done", count=done.exported)]
    if done.listed:
        lines.append(say(args, "export.listed", count=done.listed))
    if done.forgotten:
        lines.append(say(args, "export.forgotten", count=done.forgotten))
    lines += [
        f"{say(args, 'export.refused', count=count)} {say(args, code)}"
        for code, count in done.refused.items()
    ]
    lines += [
        f"  {one.device} → {one.audience} ({one.log_id}) {one.seq}: {say(args, one.code)}"
        for one in done.named
    ]
    for line in lines:
        print(printable(line), file=stream)
