"""`edged devices test`: walks a technician through the box's devices and writes a signed acceptance report."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from edged import devices, log, messages, process, start_up
from edged.commands._acceptance_words import markdown, step_line, summary
from edged.commands._saying import say, show_json, show_line
from edged.commands.devices import CONFIG
from edged.config import load_box
from edged.errors import CertificateError, ControlError, StateError
from edged.technician.person import Answers, Nobody, Technician, read_answers
from edged.uplink.fields import MAX_OPAQUE
from edged.uplink.roles import Role, TrustAnchor
from edged.uplink.sign import Signer
from edged.uplink.state_lock import StateLock
from edged.whole_file import whole_file

if TYPE_CHECKING:
    import argparse

    from edged.config import BoxSettings
    from edged.technician.person import Person
    from edged.uplink.acceptance import Acceptance, Step

_EXIT = {"passed": os.EX_OK, "failed": os.EX_UNAVAILABLE, "incomplete": os.EX_TEMPFAIL}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The boot file, where the report goes, who answers, which steps."""
    parser.add_argument("steps", nargs="*", metavar="STEP", help="help.devices.steps")
    parser.add_argument("--config", type=Path, default=CONFIG, metavar="FILE", help="help.run.config")
    parser.add_argument("--out", type=Path, metavar="DIR", help="help.devices.out")
    parser.add_argument("--technician", metavar="NAME", help="help.devices.technician")
    parser.add_argument("--answers", type=Path, metavar="FILE", help="help.devices.answers")
    parser.add_argument("--yes", action="store_true", help="help.devices.yes")
    parser.add_argument("--again", action="store_true", help="help.devices.again")
    parser.add_argument("--list-steps", action="store_true", help="help.devices.list_steps")
    parser.add_argument("--json", action="store_true", help="help.json_lines")


def run(args: argparse.Namespace) -> int:
    """EX_OK when all passed, EX_UNAVAILABLE when a step failed, EX_TEMPFAIL when some are still to be done.

    EX_USAGE for a step that there isn't. Raises `ConfigError`, `StateError` (a daemon runs), `CertificateError`.
    """
    settings = load_box(args.config)
    log.configure("warning")
    os.umask(0o077)
    import cv2  # noqa: F401 - see forbid_core_dumps

    process.forbid_core_dumps()
    if args.technician is not None and not 1 <= len(args.technician) <= MAX_OPAQUE:
        print(f"edged: {say(args, 'acceptance.bad_technician', most=MAX_OPAQUE)}", file=sys.stderr)
        return os.EX_USAGE
    person = _person(args)
    start_up.make_private(settings.state.directory)
    signer = _signer(settings)
    directory = args.out or settings.state.directory / "acceptance"
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        with StateLock(settings.state.directory):
            return asyncio.run(_accept(args, settings, signer, person, directory))
    except StateError as error:
        if error.code != "state.in_use":
            raise
        raise ControlError("acceptance.daemon_runs", error.detail) from None


def _signer(settings: BoxSettings) -> Signer:
    """The box's own, if it is one that may say so. Raises `CertificateError`."""
    signer = Signer.from_files(settings.identity.signing_key, settings.identity.signing_certificate)
    if signer.principal.role is not Role.DEVICE:
        raise CertificateError("cert.wrong_role")
    if signer.principal.fleet != TrustAnchor.from_file(settings.identity.fleet_ca).fleet:
        raise CertificateError("cert.wrong_fleet")
    return signer


def _person(args: argparse.Namespace) -> Person:
    if args.answers is not None:
        return Answers(read_answers(args.answers), lambda code: _tell(args, code))
    if args.yes:
        return Nobody()
    # With --json the lines for machines are alone on the standard output.
    stream = sys.stderr if args.json else sys.stdout
    return Technician(
        lambda code, **params: messages.text(code, args.lang, **params),
        lambda line: print(line, file=stream, flush=True),
        _line,
    )


def _line() -> str:
    line = sys.stdin.readline()
    if not line:
        raise EOFError
    return line


def _tell(args: argparse.Namespace, code: str) -> None:
    """A rig waits for this before it moves."""
    if args.json:
        show_json({"do": code})
    else:
        show_line(say(args, code))
    sys.stdout.flush()


async def _accept(
    args: argparse.Namespace, settings: BoxSettings, signer: Signer, person: Person, directory: Path
) -> int:
    from edged.technician.session import READABLE, REPORT, accept, tasks

    def done(step: Step) -> None:
        if args.json:
            show_json({"step": step})
        else:
            show_line(step_line(step, args.lang))
        sys.stdout.flush()

    async with devices.opened(settings) as opened:
        try:
            names = [task.name for task in tasks(opened, args.steps)]
        except KeyError as error:
            print(f"edged: {say(args, 'acceptance.no_such_step', step=error.args[0])}", file=sys.stderr)
            return os.EX_USAGE
        if args.list_steps:
            _list(args, names)
            return os.EX_OK
        report, signed = await accept(
            settings,
            signer,
            opened,
            person,
            directory=directory,
            technician=args.technician,
            only=args.steps,
            again=args.again,
            done=done,
        )
    for name, text in ((REPORT, signed), (READABLE, markdown(report, args.lang))):
        with whole_file(directory / name) as file:
            file.write(text.encode())
    _say_end(args, report, directory / REPORT)
    return _EXIT[report.result]


def _list(args: argparse.Namespace, names: list[str]) -> None:
    if args.json:
        show_json({"steps": names})
    else:
        for name in names:
            show_line(name)


def _say_end(args: argparse.Namespace, report: Acceptance, path: Path) -> None:
    if args.json:
        show_json({"result": report.result, "report": str(path)})
        return
    for line in summary(report, args.lang):
        show_line(line)
    show_line(say(args, "acceptance.written", file=path))
