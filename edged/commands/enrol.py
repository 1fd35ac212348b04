"""`edged enrol`: make this box one of a fleet, from a token that was typed, scanned, or brought on a stick."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from edged.commands._saying import minute, printable, say, show_json, show_line
from edged.config import load_toml
from edged.errors import ConfigError, DecodeError
from edged.pushed import token_sources
from edged.pushed.boot_file import check, fill
from edged.pushed.enrolling import enrol
from edged.pushed.identity_files import IdentityFiles, write_public
from edged.uplink.keys import KeySource
from edged.uplink.names import Usage
from edged.uplink.token import parse

if TYPE_CHECKING:
    import argparse

    from edged.pushed.enrolling import Enrolled
    from edged.uplink.token import Token

WAIT_S: Final = 300.0
"""How long a QR code is waited for: somebody walks to the printer."""

IDENTITY: Final = Path("/var/lib/edged/identity")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `edged enrol`."""
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--token", metavar="TEXT", help="help.enrol.token")
    source.add_argument("--file", type=Path, metavar="FILE", help="help.enrol.file")
    source.add_argument("--usb", action="store_true", help="help.enrol.usb")
    source.add_argument("--camera", action="store_true", help="help.enrol.camera")
    parser.add_argument("--into", type=Path, default=IDENTITY, metavar="DIR", help="help.enrol.into")
    parser.add_argument("--signing-key", metavar="URI", help="help.enrol.signing_key")
    parser.add_argument("--template", type=Path, metavar="FILE", help="help.enrol.template")
    parser.add_argument("--config-out", type=Path, metavar="FILE", help="help.enrol.config_out")
    parser.add_argument("--wait", type=float, default=WAIT_S, metavar="SECONDS", help="help.enrol.wait")
    parser.add_argument("--again", action="store_true", help="help.enrol.again")
    parser.add_argument("--json", action="store_true", help="help.json")


def run(args: argparse.Namespace) -> int:
    """EX_OK; EX_UNAVAILABLE when the service can't be reached or refuses, EX_DATAERR for a mistyped token."""
    if (args.config_out is not None or args.camera) and args.template is None:
        raise ConfigError("--template", "enrol.template_needed")
    template = None if args.template is None else args.template.read_text(encoding="utf-8")
    source = None if args.signing_key is None else KeySource(args.signing_key)
    if source is not None and not source.in_token:
        raise ConfigError("--signing-key", "enrol.not_a_token_key")
    os.umask(0o077)
    files = IdentityFiles(args.into.absolute(), source)
    if template is not None and args.config_out is not None:
        check(template, files, base=args.config_out.absolute().parent)  # before a token is used for nothing
    token = _token(args)
    _tell(args, "enrol.who", device=token.device, service=token.address)
    base = None if args.config_out is None else args.config_out.absolute().parent

    def write_boot_file(enrolled: Enrolled) -> None:
        if template is not None and base is not None:
            text = fill(template, enrolled.boot, files, base=base)
            write_public(args.config_out, text.encode())

    enrolled = enrol(
        token,
        files,
        again=args.again,
        progress=lambda code: _tell(args, code),
        before_use=write_boot_file,
    )
    return _told(args, enrolled, files)


def _token(args: argparse.Namespace) -> Token:
    if args.token is not None:
        return parse(args.token)
    if args.file is not None:
        return token_sources.read_file(args.file)
    if args.usb:
        return token_sources.read_file(token_sources.find_on_stick())
    if args.camera:
        settings = load_toml(args.template, token_sources.WindowOnly)
        _tell(args, "enrol.show_code")
        return asyncio.run(token_sources.show_to_camera(settings, args.wait, lambda code: _tell(args, code)))
    _tell(args, "enrol.type_token")
    return _typed()


def _typed() -> Token:
    """What is typed, in as many lines as it takes; what is wrong is told with the line in which it is."""
    text = ""
    for line in iter(sys.stdin.readline, ""):
        text += line
        try:
            return parse(text)
        except DecodeError as error:
            unfinished = error.code == "token.length" or "\n" not in text.strip()
            if not unfinished or (text.strip() and not line.strip()):
                raise
    return parse(text)


def _tell(args: argparse.Namespace, code: str, **params: str) -> None:
    """Progress, on standard error: standard output is for the result."""
    print(printable(say(args, code, **params)), file=sys.stderr)


def _told(args: argparse.Namespace, enrolled: Enrolled, files: IdentityFiles) -> int:
    pair = files.current(Usage.TLS)
    assert pair is not None
    until = pair.certificates()[0].not_valid_after_utc
    if args.json:
        show_json(
            {
                "fleet": enrolled.principal.fleet,
                "device": enrolled.principal.name,
                "demo": enrolled.demo,
                "identity": str(files.directory),
                "valid_until": until.isoformat(),
                "config": None if args.config_out is None else str(args.config_out),
            }
        )
        return os.EX_OK
    principal = enrolled.principal
    show_line(say(args, "enrol.done", device=principal.name, fleet=principal.fleet, until=minute(until)))
    if args.config_out is not None:
        show_line(say(args, "enrol.config_written", file=args.config_out))
    return os.EX_OK
