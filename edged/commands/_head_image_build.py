"""`edged head image build`: a signed image of the head's firmware."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from edged.commands._saying import say, show_json, show_line
from edged.drivers.head_image import MAX_IMAGE, Version, build, parse
from edged.errors import DecodeError
from edged.uplink.keys import load_private, read_private
from edged.whole_file import replacing

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What goes into the image."""
    parser.add_argument("payload", type=Path, metavar="FILE", help="help.head.image.payload")
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="FILE", help="help.head.image.output"
    )
    parser.add_argument("--key", type=Path, required=True, metavar="FILE", help="help.head.image.key")
    parser.add_argument("--board", required=True, metavar="NAME", help="help.head.image.board")
    parser.add_argument("--version", required=True, metavar="1.2.3", help="help.head.image.version")
    parser.add_argument(
        "--security-version", type=_number, required=True, metavar="N", help="help.head.image.security"
    )
    parser.add_argument("--load-address", type=_number, default=0, metavar="N", help="help.head.image.load")


def run(args: argparse.Namespace) -> int:
    """EX_OK when it was written. Raises `DecodeError`, `CertificateError`, `OSError`."""
    key = load_private(read_private(args.key))
    with args.payload.open("rb") as file:
        payload = file.read(MAX_IMAGE + 1)
    data = build(
        payload,
        board=args.board,
        version=Version.parse(args.version),
        security_version=args.security_version,
        load_address=args.load_address,
        key=key,
    )
    with replacing(args.output, mode=0o644) as stream:
        stream.write(data)
    digest = parse(data).sha256.hex()
    if args.json:
        show_json({"file": str(args.output), "size": len(data), "sha256": digest})
    else:
        show_line(say(args, "head_image.built", file=args.output, size=len(data), sha256=digest))
    return os.EX_OK


def _number(text: str) -> int:
    """Decimal, or hex with 0x."""
    try:
        return int(text, 0)
    except ValueError:
        raise DecodeError("head image", "head_image.bad_number") from None
