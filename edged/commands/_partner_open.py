"""`edged partner open`: what an envelope has sealed for its recipient; the values only for who asks for them."""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from edged.commands import _message_file
from edged.commands._saying import explain, say, show, show_json, show_line
from edged.errors import CertificateError, CodedError, DecodeError, SignatureRefusedError

if TYPE_CHECKING:
    import argparse

    from edged.partner.opening import Contents
    from edged.uplink.envelope import OpenedEnvelope


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `edged verify`, the private keys, and whether values are shown."""
    _message_file.add_arguments(parser)
    parser.add_argument(
        "--key", type=Path, action="append", required=True, metavar="FILE", help="help.partner.open.key"
    )
    parser.add_argument("--show", action="store_true", help="help.partner.open.show")


def run(args: argparse.Namespace) -> int:
    """EX_OK; EX_DATAERR for what is refused or can't be opened (and why), EX_NOINPUT, EX_CONFIG for a key."""
    from edged.partner.opening import open_contents
    from edged.uplink.envelope import open_envelope
    from edged.uplink.keys import load_private, read_private
    from edged.uplink.sign import MAX_COMPACT

    loaded = _message_file.load(args, MAX_COMPACT + 64, _complain)
    if isinstance(loaded, int):
        return loaded
    try:
        keys = [load_private(read_private(path)) for path in args.key]
    except CertificateError as error:
        _say_error(args, error)
        return os.EX_CONFIG
    try:
        opened = open_envelope(
            loaded.data.strip(),
            anchor=loaded.anchor,
            at=args.at or datetime.now(UTC),
            arrived=args.at,
            audience=args.audience,
        )
        contents = open_contents(opened.payload, keys)
    except (SignatureRefusedError, DecodeError) as error:
        _complain(args, error.code)
        return os.EX_DATAERR
    if args.show:
        print(f"edged: {say(args, 'partner_open.personal')}", file=sys.stderr)
    if args.json:
        show_json(_plain(opened, contents, values=args.show))
    else:
        _tell(args, opened, contents)
    return os.EX_OK


def _complain(args: argparse.Namespace, code: str) -> None:
    _say_error(args, CodedError(code))


def _say_error(args: argparse.Namespace, error: CodedError) -> None:
    sentence = explain(error, args.lang)
    if args.json:
        show_json({"opened": False, "reason": error.code, "text": sentence})
    else:
        print(f"edged: {sentence}", file=sys.stderr)


def _plain(opened: OpenedEnvelope, contents: Contents, *, values: bool) -> dict[str, Any]:
    def told(found: dict[str, Any] | None) -> Any:
        return found if values or found is None else sorted(found)

    return {
        "opened": True,
        "sha256": opened.sha256,
        "record_id": opened.payload.record_id,
        "claims": told(contents.claims),
        "record": told(contents.record),
    }


def _tell(args: argparse.Namespace, opened: OpenedEnvelope, contents: Contents) -> None:
    payload = opened.payload
    show_line(say(args, "partner_open.verified", device=payload.iss, audience=payload.audience))
    for code, found in (("partner_open.claims", contents.claims), ("partner_open.record", contents.record)):
        if found is None:
            continue
        show_line(say(args, code, names=", ".join(sorted(found)), record=payload.record_id or "–"))
        if args.show:
            show(f"  {name}: {_line(value)}" for name, value in found.items())
    if not args.show:
        show_line(say(args, "partner_open.how_to_show"))


def _line(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
