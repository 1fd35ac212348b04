"""`edged privacy audit`: whether what a box has stored holds anything of a document that was read on it."""

from __future__ import annotations

import getpass
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from edged.commands._outbox_common import add_place, size
from edged.commands._saying import say, show_json, show_line
from edged.errors import ConfigError

if TYPE_CHECKING:
    import argparse

    from edged.auditing import Audited
    from edged.privacy.leakscan import LeakScanner

_EVERY_S: Final = 0.2
_STDIN: Final = "-"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Where to search, and for whom."""
    add_place(parser)
    parser.add_argument(
        "--also", type=Path, action="append", default=[], metavar="PATH", help="help.privacy.audit.also"
    )
    who = parser.add_mutually_exclusive_group()
    who.add_argument("--specimen", default="passport", metavar="NAME", help="help.privacy.audit.specimen")
    who.add_argument("--values", metavar="FILE", help="help.privacy.audit.values")
    parser.add_argument("--json", action="store_true", help="help.json")
    parser.epilog = "help.privacy.audit.exit_codes"


def run(args: argparse.Namespace) -> int:
    """0 clean, 1 when something was found, EX_NOINPUT when something couldn't be searched.

    Raises `ConfigError` for a bad boot file, specimen or file of values.
    """
    from edged.auditing import audit

    places = [*_places(args), *args.also]
    scanner = _scanner(args)
    progress = _Progress(args)
    done = audit(places, scanner, on_progress=progress)
    progress.clear()
    _tell(args, done)
    if done.found:
        return 1
    return os.EX_NOINPUT if done.not_searched else os.EX_OK


def _places(args: argparse.Namespace) -> list[Path]:
    """The state directory, and what else the boot file says is written to."""
    if args.config is None:
        return [args.state]
    from edged.config import load_box

    settings = load_box(args.config)
    textfile = settings.metrics.textfile
    return [settings.state.directory, *([] if textfile is None else [textfile])]


def _scanner(args: argparse.Namespace) -> LeakScanner:
    from edged.privacy.leakscan import LeakScanner

    if args.values is None:
        return _of_specimen(args.specimen)
    from edged.auditing import parse_values, read_values

    if args.values != _STDIN:
        values = read_values(Path(args.values))
    elif sys.stdin.isatty():
        typed = []
        while one := getpass.getpass(say(args, "audit.type_value") + " "):
            typed.append(one)
        values = parse_values("\n".join(typed).encode())
    else:
        values = parse_values(sys.stdin.buffer.read())
    return LeakScanner(values)


def _of_specimen(name: str) -> LeakScanner:
    """What stands on a specimen, read as any document is."""
    from edged.core.image import decode_image
    from edged.core.reading import read_page
    from edged.core.viz import read_visual_zone
    from edged.privacy.leakscan import LeakScanner
    from edged.specimens import FIXED_TODAY, shipped

    specimens = {specimen.name: specimen for specimen in shipped()}
    if name not in specimens:
        raise ConfigError("--specimen", "config.unknown_name", known=", ".join(specimens))
    documents, zones = [], []
    for side in specimens[name].sides:
        page = decode_image(side.read_bytes())
        reading = read_page(page, today=FIXED_TODAY)
        zone = read_visual_zone(page, reading)
        documents += [] if reading.mrz is None else [reading.mrz]
        zones += [] if zone is None else [zone]
    if not documents:
        raise ConfigError("--specimen", "audit.nothing_on_it")
    return LeakScanner.for_documents(documents, zones)


class _Progress:
    """How far it is, on a terminal's standard error."""

    def __init__(self, args: argparse.Namespace) -> None:
        self._args = args
        self._shown = sys.stderr.isatty()
        self._last = 0.0

    def __call__(self, files: int, octets: int) -> None:
        if self._shown and time.monotonic() - self._last > _EVERY_S:
            self._last = time.monotonic()
            told = say(self._args, "audit.progress", files=files, size=size(octets))
            sys.stderr.write(f"\r\033[K{told}")
            sys.stderr.flush()

    def clear(self) -> None:
        if self._shown:
            sys.stderr.write("\r\033[K")


def _tell(args: argparse.Namespace, done: Audited) -> None:
    if args.json:
        show_json(done)
        return
    for one in done.found:
        kind = say(args, f"audit.kind_{one.kind}") if one.kind in KINDS else one.kind
        if one.table is None and one.offset is None:
            show_line(say(args, "audit.in_packed", file=one.file, kind=kind, encoding=one.encoding))
        elif one.table is None:
            show_line(
                say(args, "audit.at", file=one.file, offset=one.offset, kind=kind, encoding=one.encoding)
            )
        else:
            show_line(
                say(args, "audit.in_table", file=one.file, table=one.table, kind=kind, encoding=one.encoding)
            )
    for name in done.not_searched:
        show_line(say(args, "audit.not_searched", file=name))
    code = "audit.found" if done.found else "audit.incomplete" if done.not_searched else "audit.clean"
    show_line(say(args, code, files=done.files, size=size(done.octets), count=len(done.found)))


KINDS: Final = frozenset(
    {
        *("surname", "given_names", "name", "document_number", "optional_data", "mrz", "birth_date"),
        *("expiry_date", "chinese_name", "print", "value"),
    }
)
"""Kinds of value that have a word of their own; others are shown as whoever named them did."""
