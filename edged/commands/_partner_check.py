"""`edged partner check`: what is wrong with a message, step by step, for who builds an integration."""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import msgspec

from edged import messages
from edged.commands import _message_file
from edged.commands._saying import printable

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from edged.partner.checking import Report

_MARKS: Final = {True: "✓", False: "✗", None: "·"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `edged verify`, and the topic."""
    _message_file.add_arguments(parser)
    parser.add_argument("--topic", metavar="TOPIC", help="help.partner.topic")


def run(args: argparse.Namespace) -> int:
    """EX_OK for a good message, EX_DATAERR for any other (and why), EX_NOINPUT when a file can't be read."""
    from edged.partner.checking import check
    from edged.partner.unwrapping import MAX_INPUT

    loaded = _message_file.load(args, MAX_INPUT, _complain)
    if isinstance(loaded, int):
        return loaded
    report = check(
        loaded.data,
        anchor=loaded.anchor,
        at=args.at or datetime.now(UTC),
        arrived=args.at,
        audience=args.audience,
        topic=args.topic,
    )
    if args.json:
        print(msgspec.json.encode(_plain(report, args.lang)).decode())
    else:
        for line in _lines(report, args.lang):
            print(printable(line))
    return os.EX_OK if report.good else os.EX_DATAERR


def _complain(args: argparse.Namespace, code: str) -> None:
    sentence = messages.text(code, args.lang)
    if args.json:
        print(msgspec.json.encode({"good": False, "code": code, "text": sentence}).decode())
    else:
        print(f"edged: {sentence}", file=sys.stderr)


def _states(report: Report) -> Iterator[tuple[str, bool | None]]:
    from edged.partner.checking import STEPS

    for step in STEPS:
        if step == "found" and report.wrappings:
            yield step, False
        elif step in report.reached:
            yield step, True
        else:
            yield step, False if step == report.failed else None


def _lines(report: Report, lang: str) -> Iterator[str]:
    def say(code: str, **params: object) -> str:
        return messages.text(code, lang, **params)

    if report.kind is not None:
        yield say("check.this_is", kind=f"check.kind_{report.kind}")
    for step, state in _states(report):
        yield f"{_MARKS[state]} {say(f'check.step_{step}')}"
        if step == "found":
            for wrapping in report.wrappings:
                yield f"    {say(wrapping.code, field=wrapping.field)}"
        if step == report.failed and report.code is not None:
            yield f"    {say(report.code)}"
            for hint in report.hints:
                yield f"    → {say(hint.code, **hint.params)}"
    if report.failed is None:
        yield say("check.good" if report.good else "check.good_inside", signer=report.signed_by)
        yield f"  {report.place}"
        yield f"  SHA-256 {report.sha256}"
        for hint in report.hints:
            yield say(hint.code, **hint.params)


def _plain(report: Report, lang: str) -> dict[str, Any]:
    def told(code: str, **params: object) -> dict[str, object]:
        return {"code": code, "text": messages.text(code, lang, **params)}

    return {
        "good": report.good,
        "kind": report.kind,
        "steps": [{"step": step, "holds": state} for step, state in _states(report)],
        "wrappings": [told(one.code, field=one.field) for one in report.wrappings],
        "refused": None if report.code is None else told(report.code),
        "hints": [told(hint.code, **hint.params) for hint in report.hints],
        "signed_by": report.signed_by,
        "sha256": report.sha256,
        "place": report.place,
    }
