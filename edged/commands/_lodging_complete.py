"""`edged lodging complete`: add what the document doesn't say, until the record is sealed.

What is typed goes to the daemon and nowhere else: not into a history, a log or a file.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from typing import TYPE_CHECKING, Any

from edged.commands._daemon import call
from edged.commands._lodging_words import fault, field, names, progress
from edged.commands._saying import say, show, show_json, show_line
from edged.errors import ConfigError
from edged.lodging.form import BY_NAME, DOCUMENT_KINDS

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_STDIN = 64 * 1024
"""Characters of fields on standard input: a form has some hundred."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which record, and what is known beforehand."""
    parser.add_argument("record", nargs="?", metavar="RECORD", help="help.lodging.record")
    parser.add_argument(
        "--field", action="append", default=[], type=_field, metavar="NAME=VALUE", help="help.lodging.field"
    )
    parser.add_argument("--stdin", action="store_true", help="help.lodging.stdin")
    parser.add_argument("--corrects", metavar="RECORD", help="help.lodging.corrects")


def run(args: argparse.Namespace) -> int:
    """EX_OK when the record is sealed; EX_DATAERR when it isn't and nobody is there to ask."""
    fields = dict(args.field) | (_from_stdin() if args.stdin else {})
    told = _complete(args, args.record, fields, args.corrects)
    asks = not args.json and not args.stdin and sys.stdin.isatty()
    if asks and told["state"] != "sealed":
        show(progress(args, told))
        show_line(say(args, "lodging.how_to_type"))
    while asks and told["state"] != "sealed":
        typed = _ask(args, told)
        if not typed:
            break
        told = _complete(args, told["record_id"], typed, None)
        for one in told["faults"]:
            show_line(fault(args, one))
        show_line(say(args, "lodging.time_left", seconds=told["seconds_left"]))
    return _end(args, told, asks)


def _complete(
    args: argparse.Namespace, record: str | None, fields: Mapping[str, str], corrects: str | None
) -> dict[str, Any]:
    params = {"record_id": record, "corrects": corrects}
    told: dict[str, Any] = call(
        args,
        "lodging_complete",
        fields=dict(fields),
        **{name: value for name, value in params.items() if value is not None},
    )
    return told


def _ask(args: argparse.Namespace, told: Mapping[str, Any]) -> dict[str, str]:
    """What is typed for the fields that are wrong or missing; nothing at the end of the input."""
    typed: dict[str, str] = {}
    for name in [*(one["field"] for one in told["faults"]), *told["missing"]]:
        if name == "document_kind":
            kinds = (f"  {one}  {say(args, f'lodging_document.{one}')}" for one in DOCUMENT_KINDS)
            show(kinds)
        try:
            text = input(f"{field(args, name)}: ").strip()
        except EOFError:
            return typed
        if text:
            typed[name] = text
    return typed


def _end(args: argparse.Namespace, told: Mapping[str, Any], asked: bool) -> int:
    done = told["state"] == "sealed"
    if args.json:
        show_json(told)
    elif done:
        show_line(f"{told['record_id']}: {say(args, 'lodging.sealed')}")
    elif asked:
        show_line(f"{say(args, 'lodging.still_missing')} {names(args, told['missing'])}")
    else:
        show(progress(args, told))
    return os.EX_OK if done else os.EX_DATAERR


def _field(text: str) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if not sign or name not in BY_NAME:
        raise argparse.ArgumentTypeError("usage.bad_lodging_field")
    return name, value


def _from_stdin() -> dict[str, str]:
    """A JSON object of fields. Raises `ConfigError` (`lodging.bad_input`), which says nothing of them."""
    try:
        found = json.loads(sys.stdin.read(MAX_STDIN))
    except (ValueError, RecursionError):
        raise ConfigError("stdin", "lodging.bad_input") from None
    good = isinstance(found, dict) and all(
        name in BY_NAME and isinstance(value, str) for name, value in found.items()
    )
    if not good:
        raise ConfigError("stdin", "lodging.bad_input")
    return dict(found)
