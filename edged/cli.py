"""The `edged` command. Imports nothing heavy: only the module of the command that was asked for is loaded."""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
from typing import TYPE_CHECKING, NamedTuple

from edged import __version__, messages
from edged.commands._parser import Parser, speaking
from edged.commands._saying import explain
from edged.config import environment
from edged.errors import (
    CertificateError,
    ChipError,
    CodedError,
    ConfigError,
    ControlError,
    DecodeError,
    DeviceError,
    EdgedError,
    OutputError,
    SignatureRefusedError,
    StateError,
    UplinkError,
)

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence


class Command(NamedTuple):
    """One subcommand: the module that has its arguments and its work, and the code of its line of help."""

    module: str
    help: str


COMMANDS = {
    "demo": Command("edged.commands.demo", "help.demo"),
    "read": Command("edged.commands.read", "help.read"),
    "devices": Command("edged.commands.devices", "help.devices"),
    "optical": Command("edged.commands.optical", "help.optical"),
    "enrol": Command("edged.commands.enrol", "help.enrol"),
    "run": Command("edged.commands.run", "help.run"),
    "scan": Command("edged.commands.scan", "help.scan"),
    "cancel": Command("edged.commands.cancel", "help.cancel"),
    "complete": Command("edged.commands.complete", "help.complete"),
    "status": Command("edged.commands.status", "help.status"),
    "outbox": Command("edged.commands.outbox", "help.outbox"),
    "config": Command("edged.commands.config", "help.config"),
    "verify": Command("edged.commands.verify", "help.verify"),
    "chip": Command("edged.commands.chip", "help.chip"),
    "camera": Command("edged.commands.camera", "help.camera"),
    "id-card": Command("edged.commands.id_card", "help.id_card"),
    "swipe": Command("edged.commands.swipe", "help.swipe"),
    "printer": Command("edged.commands.printer", "help.printer"),
    "trust": Command("edged.commands.trust", "help.trust"),
    "central": Command("edged.commands.central", "help.central"),
    "slip": Command("edged.commands.slip", "help.slip"),
    "lodging": Command("edged.commands.lodging", "help.lodging"),
    "partner": Command("edged.commands.partner", "help.partner"),
    "fleet": Command("edged.commands.fleet", "help.fleet"),
    "handover": Command("edged.commands.handover", "help.handover"),
    "update": Command("edged.commands.update", "help.update"),
    "head": Command("edged.commands.head", "help.head"),
    "privacy": Command("edged.commands.privacy", "help.privacy"),
}

_EXIT_CODES: tuple[tuple[type[EdgedError], int], ...] = (
    (ConfigError, os.EX_CONFIG),
    (CertificateError, os.EX_CONFIG),
    (ControlError, os.EX_UNAVAILABLE),
    (StateError, os.EX_CANTCREAT),
    (OutputError, os.EX_CANTCREAT),
    (DeviceError, os.EX_UNAVAILABLE),
    (ChipError, os.EX_UNAVAILABLE),
    (UplinkError, os.EX_UNAVAILABLE),
    (SignatureRefusedError, os.EX_DATAERR),
    (DecodeError, os.EX_DATAERR),
)

_EXIT_CODES_OF_CODES = {
    "control.bad_parameter": os.EX_USAGE,
    "control.no_permission": os.EX_NOPERM,
    "fleet.admin_only": os.EX_NOPERM,
    "fleet.choose_devices": os.EX_USAGE,
    "slip.no_such_slip": os.EX_DATAERR,
    "slip.not_kept": os.EX_DATAERR,
    "slip.holds_no_more": os.EX_DATAERR,
    "slip.not_replaceable": os.EX_DATAERR,
    "slip.expired": os.EX_DATAERR,
    "slip.training_replaces_nothing": os.EX_USAGE,
    "slip.no_printer": os.EX_CONFIG,
    "slip.not_configured": os.EX_CONFIG,
}
"""Where what went wrong says more than who said so."""

_INTERRUPTED = 130  # what a shell reports for SIGINT


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code (sysexits.h)."""
    # --lang may stand anywhere, before and after the names of commands.
    default = messages.default_language(environment("LC_ALL") or environment("LANG"))
    language, given = _language(default).parse_known_args(sys.argv[1:] if arguments is None else arguments)
    parser = _parser(given, language.lang)
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
        return _unheard()
    except EdgedError as error:
        return _fail(error, options.lang)
    except OSError as error:
        if error.filename is None:
            raise
        problem = error.strerror or type(error).__name__
        said = messages.text("cli.file_unusable", options.lang, file=error.filename, problem=problem)
        print(f"edged: {said}", file=sys.stderr)
        return os.EX_OSERR
    except ExceptionGroup as group:
        if group.split(BrokenPipeError)[1] is None:
            return _unheard()
        ours, rest = group.split(EdgedError)
        if ours is None:
            raise
        if rest is not None:
            sys.excepthook(type(rest), rest, rest.__traceback__)
        return _fail(_first(ours), options.lang)
    return code


def _unheard() -> int:
    """Whoever read our output has gone (`| head`); nothing is left to be said to them."""
    with contextlib.suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return os.EX_OK


def _first(group: ExceptionGroup[EdgedError]) -> EdgedError:
    first = group.exceptions[0]
    return _first(first) if isinstance(first, ExceptionGroup) else first


def _fail(error: EdgedError, lang: str) -> int:
    """Say what went wrong; returns the exit code."""
    print(f"edged: {explain(error, lang)}", file=sys.stderr)
    if isinstance(error, CodedError) and error.code in _EXIT_CODES_OF_CODES:
        return _EXIT_CODES_OF_CODES[error.code]
    return next((code for kind, code in _EXIT_CODES if isinstance(error, kind)), os.EX_SOFTWARE)


def _language(default: str) -> Parser:
    """Reads the one option that every command has, wherever it stands."""
    parser = speaking(default)(prog="edged", add_help=False, allow_abbrev=False)
    _add_lang(parser, default)
    return parser


def _add_lang(parser: argparse.ArgumentParser, default: str) -> None:
    parser.add_argument("--lang", choices=messages.LANGUAGES, default=default, help="help.lang")


def _parser(given: Sequence[str], lang: str) -> Parser:
    parser = speaking(lang)(prog="edged", description="help.edged", epilog="help.more")
    parser.add_argument("--version", action="version", version=f"edged {__version__}", help="help.version")
    _add_lang(parser, lang)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="help.commands")
    wanted = next((word for word in given if not word.startswith("-")), None)
    for name, command in COMMANDS.items():
        subparser = commands.add_parser(name, help=command.help, description=command.help)
        if name == wanted:
            importlib.import_module(command.module).add_arguments(subparser)
        _add_lang(subparser, lang)
    return parser
