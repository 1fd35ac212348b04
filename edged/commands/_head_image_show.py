"""`edged head image show`: what an image is for, and whether it is whole and signed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from edged.commands._saying import say, show, show_json
from edged.drivers.head_image import MAX_IMAGE, key_of_point, parse, verify
from edged.errors import DecodeError

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The image, and the key to check it with."""
    parser.add_argument("image", type=Path, metavar="FILE", help="help.head.image.file")
    parser.add_argument("--public-key", default=None, metavar="HEX", help="help.head.image.public_key")


def run(args: argparse.Namespace) -> int:
    """EX_OK when it is whole, and signed by the key that was given. Raises `DecodeError`, `SignatureRefusedError`."""
    with args.image.open("rb") as file:
        data = file.read(MAX_IMAGE + 1)
    image = parse(data) if args.public_key is None else verify(data, key_of_point(_octets(args.public_key)))
    found = {
        "board": image.board,
        "version": str(image.version),
        "security_version": image.security_version,
        "load_address": image.load_address,
        "size": image.size,
        "sha256": image.sha256.hex(),
        "signature": "unchecked" if args.public_key is None else "good",
    }
    if args.json:
        show_json(found)
    else:
        checked = "head_image.unchecked" if args.public_key is None else "head_image.signed"
        show([say(args, "head_image.shown", **found), say(args, checked)])
    return os.EX_OK


def _octets(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise DecodeError("head image", "head_image.bad_key") from None
