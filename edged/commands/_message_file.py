"""What commands about one message share: the authority's certificate, and reading the message."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from edged.errors import CertificateError
from edged.uplink.roles import TrustAnchor

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The message's file, `--ca`, `--audience`, `--at`, `--json`."""
    from edged.commands._moments import moment

    parser.add_argument("file", nargs="?", default="-", metavar="FILE", help="help.verify.file")
    parser.add_argument("--ca", required=True, type=Path, metavar="CA.pem", help="help.verify.ca")
    parser.add_argument("--audience", metavar="NAME", help="help.verify.audience")
    parser.add_argument("--at", type=moment, metavar="DATE", help="help.verify.at")
    parser.add_argument("--json", action="store_true", help="help.json")


def load(
    args: argparse.Namespace, limit: int, complain: Callable[[argparse.Namespace, str], None]
) -> tuple[TrustAnchor, bytes] | int:
    """The authority and at most `limit` bytes; or, when `complain` was told why not, the exit code."""
    try:
        anchor = TrustAnchor.from_file(args.ca)
    except CertificateError as error:
        complain(args, error.code)
        return os.EX_NOINPUT if error.code == "cert.unreadable" else os.EX_CONFIG
    try:
        return anchor, _read(args.file, limit)
    except OSError:
        complain(args, "verify.unreadable")
        return os.EX_NOINPUT


def _read(name: str, limit: int) -> bytes:
    if name == "-":
        return sys.stdin.buffer.read(limit)
    with Path(name).open("rb") as file:
        return file.read(limit)
