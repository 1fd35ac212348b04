"""`edged head key show`: the public half of a key, as a boot loader is built with it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from edged.commands._saying import show_json, show_line
from edged.drivers.head_image import point
from edged.uplink.keys import load_private, read_private

if TYPE_CHECKING:
    import argparse

    from cryptography.hazmat.primitives.asymmetric import ec


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The key's file."""
    parser.add_argument("file", type=Path, metavar="FILE", help="help.head.key.file")


def run(args: argparse.Namespace) -> int:
    """EX_OK. Raises `CertificateError`."""
    tell(args, load_private(read_private(args.file)).public_key())
    return os.EX_OK


def tell(args: argparse.Namespace, key: ec.EllipticCurvePublicKey) -> None:
    """Print it in hex: what `make BOOT_KEY=…` takes."""
    if args.json:
        show_json({"public_key": point(key).hex()})
    else:
        show_line(point(key).hex())
