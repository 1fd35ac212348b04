"""What commands about one message share: the authority's certificate, and reading the message."""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from edged.errors import CertificateError, DecodeError, SignatureRefusedError
from edged.uplink.roles import TrustAnchor

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from edged.uplink.directory import Directory


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The message's file, `--ca`, `--audience`, `--at`, `--directory`, `--json`."""
    from edged.commands._moments import moment

    parser.add_argument("file", nargs="?", default="-", metavar="FILE", help="help.verify.file")
    parser.add_argument("--ca", required=True, type=Path, metavar="CA.pem", help="help.verify.ca")
    parser.add_argument("--audience", metavar="NAME", help="help.verify.audience")
    parser.add_argument("--at", type=moment, metavar="DATE", help="help.verify.at")
    parser.add_argument("--directory", type=Path, metavar="FILE", help="help.verify.directory")
    parser.add_argument("--json", action="store_true", help="help.json")


class Loaded(NamedTuple):
    """What there is to judge a message by, and the message."""

    anchor: TrustAnchor
    """Knows whom the directory revokes."""
    directory: Directory | None
    """The fleet's, where `--directory` names one and it is whole."""
    data: bytes


def load(
    args: argparse.Namespace, limit: int, complain: Callable[[argparse.Namespace, str], None]
) -> Loaded | int:
    """The authority, the directory and at most `limit` bytes; or, when `complain` was told why not, the exit code."""
    try:
        anchor = TrustAnchor.from_file(args.ca)
    except CertificateError as error:
        complain(args, error.code)
        return os.EX_NOINPUT if error.code == "cert.unreadable" else os.EX_CONFIG
    try:
        directory = None if args.directory is None else _directory(args.directory, anchor)
    except OSError:
        complain(args, "verify.no_directory")
        return os.EX_NOINPUT
    except (DecodeError, SignatureRefusedError) as error:
        complain(args, error.code)
        return os.EX_CONFIG
    try:
        return Loaded(anchor, directory, _read(args.file, limit))
    except OSError:
        complain(args, "verify.unreadable")
        return os.EX_NOINPUT


def _directory(path: Path, anchor: TrustAnchor) -> Directory | None:
    """What a follower or collector has kept, or an admin has given; applied to `anchor`."""
    from edged.uplink.directory_reader import MAX_STORED, DirectoryReader

    reader = DirectoryReader(anchor)
    with path.open("rb") as file:
        reader.restore(file.read(MAX_STORED + 1), at=datetime.now(UTC), ours=False)
    anchor.revoke("directory", reader.revocations)
    return reader.current


def _read(name: str, limit: int) -> bytes:
    if name == "-":
        return sys.stdin.buffer.read(limit)
    with Path(name).open("rb") as file:
        return file.read(limit)
