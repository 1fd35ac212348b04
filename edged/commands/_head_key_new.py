"""`edged head key new`: a key to sign firmware with, in a file that only its owner can read."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from edged.commands._head_key_show import tell
from edged.errors import OutputError
from edged.uplink.keys import generate_key, private_pem, write_private

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Where it goes."""
    parser.add_argument("file", type=Path, metavar="FILE", help="help.head.key.file")


def run(args: argparse.Namespace) -> int:
    """EX_OK. Raises `OutputError` (`head_image.key_exists`): heads would be lost with an overwritten key."""
    if args.file.exists():
        raise OutputError("head_image.key_exists", str(args.file))
    key = generate_key()
    write_private(args.file, private_pem(key))
    tell(args, key.public_key())
    return os.EX_OK
