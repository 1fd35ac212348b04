"""`edged privacy risk`: whether what the centre keeps singles somebody out, by combination."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Any, Final

from edged.commands._archive_common import Progress
from edged.commands._saying import say, show_json, show_line
from edged.commands._table import show_table

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from edged.central.archive import ArchiveReader
    from edged.central.risk import Risk

_SHOWN: Final = 20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which archive, and which of its claims."""
    parser.add_argument("--archive", required=True, metavar="FILE|URL", help="help.privacy.risk.archive")
    parser.add_argument("--audience", metavar="NAME", help="help.central.audience")
    parser.add_argument("--columns", metavar="CLAIM,…", help="help.privacy.risk.columns")
    parser.add_argument("--tests", action="store_true", help="help.privacy.risk.tests")
    parser.add_argument("--json", action="store_true", help="help.json")
    parser.epilog = "help.privacy.risk.exit_codes"


def run(args: argparse.Namespace) -> int:
    """0 when every combination has a k of `risk.ENOUGH`, 1 when one singles somebody out.

    Raises `StateError` for an archive that can't be read, `ConfigError` for columns that there aren't.
    """
    from edged.central.archive import open_reader
    from edged.central.risk import assess

    columns = None if args.columns is None else [name.strip() for name in args.columns.split(",")]
    progress = Progress(args, "risk.progress")
    with contextlib.closing(open_reader(args.archive)) as archive:
        try:
            risk = assess(_claims(args, archive), columns, on_progress=progress.show)
        finally:
            progress.clear()
    if args.json:
        show_json(risk)
    else:
        _tell(args, risk)
    return 1 if risk.minimal else os.EX_OK


def _claims(args: argparse.Namespace, archive: ArchiveReader) -> Iterator[dict[str, Any]]:
    """Every envelope's claims; those of tests say nothing about anybody."""
    from edged.central.columns import payload_of
    from edged.central.risk import AUDIENCE
    from edged.errors import DecodeError
    from edged.verdict import Kind

    for row in archive.rows(audience=args.audience, since=None, until=None):
        if row.jws is None:
            continue
        try:
            payload = payload_of(row)
        except DecodeError:
            continue  # `edged central verify` is there to tell of them
        if args.tests or payload.kind is Kind.LIVE:
            yield payload.claims | {AUDIENCE: row.audience}


def _tell(args: argparse.Namespace, risk: Risk) -> None:
    show_line(say(args, "risk.read", rows=f"{risk.rows:,}", columns=", ".join(risk.columns)))
    if not risk.rows:
        show_line(say(args, "risk.nothing"))
        return
    shown = [one for one in risk.combinations if one.rows][:_SHOWN]
    heads = [say(args, f"risk.{name}") for name in ("claims", "k", "alone", "share", "groups")]
    rows = [
        [
            " + ".join(one.claims),
            str(one.k),
            str(one.alone),
            f"{one.uniqueness:.1%}",
            str(one.groups),
        ]
        for one in shown
    ]
    show_table(heads, rows)
    if not risk.minimal:
        show_line(say(args, "risk.none"))
        return
    for claims in risk.minimal:
        show_line(say(args, "risk.change", claims=" + ".join(claims)))
