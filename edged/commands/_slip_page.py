"""`edged slip page --out DIR --fleet-ca FILE`: the static web page that verifies a fleet's slips."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from edged.commands._saying import say, show_json, show_line
from edged.errors import CertificateError, DecodeError

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Where it goes, and whom it believes."""
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="help.slip.page.out")
    parser.add_argument(
        "--fleet-ca", type=Path, required=True, metavar="FILE", help="help.slip.page.fleet_ca"
    )
    parser.add_argument("--authority", type=Path, metavar="FILE", help="help.slip.page.authority")
    parser.add_argument("--address", metavar="URL", help="help.slip.page.address")
    parser.add_argument("--json", action="store_true", help="help.json")


def run(args: argparse.Namespace) -> int:
    """EX_OK when all of it is there.

    Raises `CertificateError`, `DecodeError`, `SlipError` for what is baked in, `OutputError`.
    """
    from edged.slip import site, site_files

    fleet = site.fleet_of(_roots(args.fleet_ca), _revoked(args.authority), args.address)
    changed = site_files.write(args.out, site.files(fleet))
    if args.json:
        show_json({"directory": str(args.out), "fleet": fleet.fleet, "written": changed})
    elif changed:
        values = {"count": str(len(changed)), "directory": str(args.out), "fleet": fleet.fleet}
        show_line(say(args, "slip_page.written", **values))
    else:
        show_line(say(args, "slip_page.unchanged", directory=str(args.out)))
    return os.EX_OK


def _roots(path: Path) -> bytes:
    from edged.uplink.roles import MAX_PEM

    try:
        with path.open("rb") as file:
            return file.read(MAX_PEM + 1)
    except OSError as error:
        raise CertificateError("cert.unreadable", f"{path}: {error.strerror}") from error


def _revoked(path: Path | None) -> tuple[str, ...]:
    from edged.uplink import fleet_authority

    if path is None:
        return ()
    try:
        with path.open("rb") as file:
            data = file.read(fleet_authority.MAX_DOCUMENT + 1)
    except OSError as error:
        raise DecodeError("authority", "authority.malformed", f"{path}: {error.strerror}") from error
    return tuple(one.sha256 for one in fleet_authority.parse(data).revoked)
