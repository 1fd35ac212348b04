"""`edged partner key new`: a key to seal claims and records to; its public half is for the privacy officer."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from edged import sealing
from edged.commands._saying import say, show_json
from edged.errors import OutputError
from edged.uplink.keys import generate_key, private_pem, write_private

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """`edged partner key new --out FILE`."""
    actions = parser.add_subparsers(dest="what", required=True, metavar="new")
    new = actions.add_parser("new", help="help.partner.key.new", description="help.partner.key.new")
    new.add_argument("--out", type=Path, required=True, metavar="FILE", help="help.partner.key.out")
    new.add_argument("--json", action="store_true", help="help.json")


def run(args: argparse.Namespace) -> int:
    """EX_OK. Raises `OutputError`: `partner_key.exists` (what was sealed to it would be lost), `export.unwritable`."""
    if args.out.exists():
        raise OutputError("partner_key.exists", str(args.out))
    key = generate_key()
    try:
        write_private(args.out, private_pem(key))
    except OSError as error:
        raise OutputError("export.unwritable", f"{args.out}: {error.strerror}") from error
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    kid = sealing.key_id(key.public_key())
    if args.json:
        show_json({"file": str(args.out), "kid": kid, "public_key": public})
    else:
        print(public, end="")
        print(f"edged: {say(args, 'partner_key.made', file=str(args.out), kid=kid)}", file=sys.stderr)
    return os.EX_OK
