"""`edged trust import`: master lists, LDIF, certificates and CRLs into the trust store; tells what that changes."""

from __future__ import annotations

import argparse
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from edged.commands._saying import minute, printable, say, show, show_json
from edged.commands._trust_common import day, short, spaced, state
from edged.core.emrtd.certificates import parse_certificate
from edged.core.emrtd.ldif import Kind
from edged.errors import CodedError, DecodeError
from edged.trust.importing import Terms, plan
from edged.trust.inputs import gather
from edged.trust.store import TrustStore

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edged.core.emrtd.certificates import Certificate
    from edged.trust.inputs import Gathered
    from edged.trust.report import CertificateLine, CrlLine, ListLine, Report

_MOST_LINES: Final = 30
"""Certificates that are told one by one; the first list brings hundreds, which `edged trust list` shows."""

_FINGERPRINT: Final = 64  # hexadecimal digits of SHA-256


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `edged trust import`."""
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="help.trust.import.file")
    parser.add_argument(
        "--root", action="append", default=[], type=Path, metavar="CERT", help="help.trust.import.root"
    )
    parser.add_argument(
        "--fingerprint",
        action="append",
        default=[],
        type=_fingerprint,
        metavar="SHA256",
        help="help.trust.import.fingerprint",
    )
    parser.add_argument("--yes", action="store_true", help="help.trust.import.yes")
    parser.add_argument("--allow-older", action="store_true", help="help.trust.import.allow_older")
    parser.add_argument("--dry-run", action="store_true", help="help.trust.import.dry_run")


def run(args: argparse.Namespace) -> int:
    """EX_OK when everything was taken, 1 when something was refused; EX_DATAERR and EX_NOINPUT change nothing."""
    try:
        found = [gather_file(path) for path in args.files]
        roots = tuple(certificate for path in args.root for certificate in read_roots(path))
    except FileError as problem:
        return problem.told(args)
    items = [item for one in found for item in one.items]
    skipped = tuple(name for one in found for name in one.skipped)
    now = datetime.now(UTC)
    terms = Terms(now, roots, frozenset(args.fingerprint), confirmed=args.yes, older=args.allow_older)
    store = TrustStore(args.trust)
    if args.dry_run:
        _, report = plan(store.current(), items, terms)
        generation = None
    else:
        with store.changing() as change:
            before = change.current()
            after, report = plan(before, items, terms)
            generation = None if after == before else change.commit(after, now)
    report = msgspec.structs.replace(report, skipped=skipped, dry_run=args.dry_run, generation=generation)
    if args.json:
        show_json(report)
    else:
        show(_lines(args, report))
    return 1 if report.refused else os.EX_OK


class FileError(CodedError):
    """A file that can't be used; nothing is changed then."""

    def __init__(self, path: Path, error: DecodeError | OSError) -> None:
        if isinstance(error, OSError):
            super().__init__("trustfile.unreadable", problem=error.strerror or "")
            self.exit_code = os.EX_NOINPUT
        else:
            super().__init__(error.code, **error.params)
            self.exit_code = os.EX_DATAERR
        self.path = path

    def told(self, args: argparse.Namespace) -> int:
        """Say which file and why; the exit code."""
        sentence = say(args, self.code, **self.params)
        if args.json:
            show_json({"error": self.code, "file": str(self.path), "text": sentence})
        else:
            print(f"edged: {printable(str(self.path))}: {sentence}", file=sys.stderr)
        return self.exit_code


def gather_file(path: Path) -> Gathered:
    """See `inputs.gather`. Raises `FileError`."""
    try:
        return gather(path)
    except (DecodeError, OSError) as error:
        raise FileError(path, error) from error


def read_roots(path: Path) -> tuple[Certificate, ...]:
    """The certificate, or certificates, of a file that is to be a root. Raises `FileError`."""
    try:
        items = gather(path).items
        if any(item.kind is not Kind.CERTIFICATE for item in items):
            raise DecodeError("root", "trustfile.no_certificate")
        return tuple(parse_certificate(item.der) for item in items)
    except (DecodeError, OSError) as error:
        raise FileError(path, error) from error


def _fingerprint(text: str) -> str:
    """SHA-256 as people copy it: with colons or blanks, in either case."""
    digits = text.replace(":", "").replace(" ", "").lower()
    if len(digits) != _FINGERPRINT or set(digits) - set("0123456789abcdef"):
        raise argparse.ArgumentTypeError("usage.bad_fingerprint")
    return digits


# --- words -----------------------------------------------------------------------------------------------------


def _lines(args: argparse.Namespace, report: Report) -> Iterator[str]:
    for one in report.lists:
        yield from _list_lines(args, one)
    for crl in report.crls:
        yield _crl_line(args, crl)
    for fingerprint in report.pinned:
        yield say(args, "trust.pinned", fingerprint=spaced(fingerprint))
    for fingerprint in report.unused_roots:
        yield say(args, "trust.root_unused", fingerprint=spaced(fingerprint))
    if report.added or report.known or report.removed:
        yield say(
            args,
            "trust.counts",
            added=len(report.added),
            expired=report.expired,
            known=report.known,
            removed=len(report.removed),
        )
    yield from _certificate_lines("+", report.added)
    yield from _certificate_lines("-", report.removed)
    for code, states in (("trust.gained", report.states_gained), ("trust.lost", report.states_lost)):
        if states:
            yield say(args, code, states=", ".join(state(one, args.lang) for one in states))
    if report.crls_dropped:
        yield say(args, "trust.crls_dropped", count=report.crls_dropped)
    if report.signers:
        yield say(args, "trust.signers", count=report.signers)
    for name in report.skipped:
        yield f"{name}: {say(args, 'trust.skipped')}"
    for refusal in report.refused:
        yield f"{refusal.file}: {say(args, 'trust.refused', reason=say(args, refusal.code, **refusal.params))}"
    yield _end(args, report)


def _end(args: argparse.Namespace, report: Report) -> str:
    if report.dry_run:
        return say(args, "trust.dry_run")
    if report.generation is None:
        return say(args, "trust.unchanged")
    return say(args, "trust.generation", number=report.generation)


def _list_lines(args: argparse.Namespace, one: ListLine) -> Iterator[str]:
    said = say(
        args,
        f"trust.list_{one.state}",
        publisher=state(one.publisher, args.lang),
        made=minute(one.made),
        count=one.certificates,
        replaces=minute(one.replaces),
    )
    yield f"{one.file}: {said}"
    yield f"  {say(args, 'trust.list_signer', root=short(one.root))} {one.signer}"
    if one.unusable:
        yield f"  {say(args, 'trust.list_unusable', count=one.unusable)}"


def _crl_line(args: argparse.Namespace, one: CrlLine) -> str:
    said = say(
        args,
        f"trust.crl_{one.state}",
        state=state(one.country, args.lang),
        made=day(one.made),
        until=day(one.until),
        count=one.revoked,
        replaces=day(one.replaces),
    )
    return f"{one.file}: {said}"


def _certificate_lines(sign: str, lines: tuple[CertificateLine, ...]) -> Iterator[str]:
    if len(lines) > _MOST_LINES:
        return
    for one in lines:
        yield f"  {sign} {short(one.fingerprint)}  {day(one.not_before)} – {day(one.not_after)}  {one.name}"
