"""The `edged` command. Imports nothing heavy: only the module of the command that was asked for is loaded."""

from __future__ import annotations

import argparse
import contextlib
import importlib
import os
import sys
from typing import TYPE_CHECKING, NamedTuple, NoReturn

from edged import __version__, messages
from edged.config import environment
from edged.errors import (
    CertificateError,
    CodedError,
    ConfigError,
    ControlError,
    DecodeError,
    DeviceError,
    EdgedError,
    SignatureRefusedError,
    StateError,
    UplinkError,
)

if TYPE_CHECKING:
    from collections.abc import Sequence


class Command(NamedTuple):
    """One subcommand: the module that has its arguments and its work, and one line of help."""

    module: str
    help: str


COMMANDS = {
    "demo": Command("edged.commands.demo", "run the whole system on this machine with specimen documents"),
    "read": Command("edged.commands.read", "read the MRZ of image files"),
    "run": Command("edged.commands.run", "run the daemon"),
    "scan": Command("edged.commands.scan", "press scan and wait for the verdict"),
    "cancel": Command("edged.commands.cancel", "cancel the running inspection"),
    "complete": Command("edged.commands.complete", "say that the document has no other side"),
    "status": Command("edged.commands.status", "show how the daemon is"),
    "config": Command("edged.commands.config", "check a configuration, or print an example"),
    "verify": Command("edged.commands.verify", "verify an envelope against a fleet CA"),
    "central": Command("edged.commands.central", "the centre: collect and archive envelopes"),
    "partner": Command("edged.commands.partner", "a partner's side: follow its verdicts"),
}

_EXIT_CODES: tuple[tuple[type[EdgedError], int], ...] = (
    (ConfigError, os.EX_CONFIG),
    (CertificateError, os.EX_CONFIG),
    (ControlError, os.EX_UNAVAILABLE),
    (StateError, os.EX_CANTCREAT),
    (DeviceError, os.EX_UNAVAILABLE),
    (UplinkError, os.EX_UNAVAILABLE),
    (SignatureRefusedError, os.EX_DATAERR),
    (DecodeError, os.EX_DATAERR),
)

_INTERRUPTED = 130  # what a shell reports for SIGINT


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code (sysexits.h)."""
    # --lang may stand anywhere, before and after the names of commands.
    language, given = _language().parse_known_args(sys.argv[1:] if arguments is None else arguments)
    parser = _parser(given)
    options = parser.parse_args(given)
    options.lang = language.lang
    if options.command is None:
        parser.print_help()
        return os.EX_USAGE
    try:
        code: int = importlib.import_module(COMMANDS[options.command].module).run(options)
    except KeyboardInterrupt:
        return _INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has gone (`| head`); nothing is left to be said to them.
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return os.EX_OK
    except EdgedError as error:
        print(f"edged: {explain(error, options.lang)}", file=sys.stderr)
        return next((code for kind, code in _EXIT_CODES if isinstance(error, kind)), os.EX_SOFTWARE)
    return code


def explain(error: EdgedError, lang: str) -> str:
    """One of edged's own exceptions as a sentence; the technical detail, if any, behind it in brackets."""
    if not isinstance(error, CodedError):
        return Exception.__str__(error)
    sentence = messages.text(error.code, lang, **error.params)
    if error.detail:
        sentence = f"{sentence} [{error.detail}]"
    return f"{error.where}: {sentence}" if isinstance(error, ConfigError) else sentence


class _Parser(argparse.ArgumentParser):
    """Usage errors end with EX_USAGE, as sysexits.h has it."""

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(os.EX_USAGE, f"{self.prog}: {message}\n")


def _language() -> _Parser:
    common = _Parser(add_help=False, allow_abbrev=False)
    common.add_argument(
        "--lang",
        choices=messages.LANGUAGES,
        default=messages.default_language(environment("LC_ALL") or environment("LANG")),
        help="language of what is printed for people (default: from LANG)",
    )
    return common


def _parser(given: Sequence[str]) -> argparse.ArgumentParser:
    common = _language()
    parser = _Parser(
        prog="edged",
        description="Reads and judges travel documents; only signed, de-identified verdicts leave the box.",
        epilog="'edged COMMAND --help' tells more of a command; 'edged demo' shows everything at work.",
    )
    parser.add_argument("--version", action="version", version=f"edged {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    wanted = next((word for word in given if not word.startswith("-")), None)
    for name, command in COMMANDS.items():
        subparser = commands.add_parser(name, help=command.help, description=command.help, parents=[common])
        if name == wanted:
            importlib.import_module(command.module).add_arguments(subparser)
    return parser
