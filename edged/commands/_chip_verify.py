"""`edged chip verify`: passive authentication of files saved from a chip.

Prints no identity: DG1 is hashed, and only the state it names is compared.
"""

from __future__ import annotations

import argparse
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from edged import process
from edged.commands import _chip_checks
from edged.commands._moments import moment
from edged.commands._saying import say, show, show_json
from edged.commands._trust_common import day, default_directory, spaced
from edged.commands._trust_import import FileError, gather_file, read_roots
from edged.core.emrtd import tlv
from edged.core.emrtd.dg1 import parse_dg1
from edged.core.emrtd.files import ElementaryFile, data_group
from edged.core.emrtd.passive import CERTIFICATE, HASHES, ISSUER, SIGNATURE, verify_passive
from edged.errors import DecodeError
from edged.trust.importing import Terms, plan
from edged.trust.loading import anchors_of
from edged.trust.store import TrustStore
from edged.verdict import Result

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from edged.core.emrtd.certificates import Certificate
    from edged.core.emrtd.passive import PassiveFacts, PassiveResult
    from edged.core.emrtd.trust_anchors import TrustAnchors

MAX_FILE: Final = 4 << 20
"""Octets of a saved data group: fingers and irises have some hundred thousand, all others less."""

_FAILED = 1
_UNDETERMINED = 2
_BARE_CMS = 0x30  # the tag of a ContentInfo: some tools save EF.SOD without its own


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `edged chip verify`."""
    parser.add_argument("--sod", required=True, type=Path, metavar="FILE", help="help.chip.verify.sod")
    parser.add_argument(
        "--dg", action=_Once, default={}, type=_data_group, metavar="N=FILE", help="help.chip.verify.dg"
    )
    parser.add_argument("--trust", type=Path, metavar="DIR", help="help.chip.verify.trust")
    parser.add_argument(
        "--anchor", action="append", default=[], type=Path, metavar="FILE", help="help.chip.verify.anchor"
    )
    parser.add_argument(
        "--root", action="append", default=[], type=Path, metavar="CERT", help="help.chip.verify.root"
    )
    parser.add_argument("--at", type=moment, metavar="DATE", help="help.chip.verify.at")
    parser.add_argument("--json", action="store_true", help="help.json")


def run(args: argparse.Namespace) -> int:
    """EX_OK: proven. 1: something failed. 2: undetermined. EX_DATAERR: no EF.SOD. EX_NOINPUT: unreadable file."""
    process.forbid_core_dumps()
    at = args.at or datetime.now(UTC)
    try:
        sod = _with_tag(_read(args.sod))
        groups = {number: _read(path) for number, path in args.dg.items()}
        anchors = _anchors(args, at)
        try:
            found = verify_passive(sod, groups, anchors, at=at, issuing_state=_issuing_state(groups, at))
        except DecodeError as error:
            raise FileError(args.sod, error) from error
    except FileError as error:
        return error.told(args)
    outcome = _outcome(found, groups)
    if args.json:
        show_json(_as_json(args, found, outcome, len(anchors)))
    else:
        show(_lines(args, found, outcome, len(anchors)))
    return {Result.SUCCESSFUL: os.EX_OK, Result.FAILED: _FAILED}.get(outcome, _UNDETERMINED)


class _Once(argparse.Action):
    """Collects data groups by number, each once."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,  # noqa: ARG002 - argparse's signature
        namespace: argparse.Namespace,
        values: Any,
        *_: object,
    ) -> None:
        number, path = values
        given = getattr(namespace, self.dest)
        if number in given:
            raise argparse.ArgumentError(self, "usage.data_group_twice")
        setattr(namespace, self.dest, {**given, number: path})


def _data_group(text: str) -> tuple[int, Path]:
    number, _, name = text.partition("=")
    if not name or not number.isascii() or not number.isdecimal() or data_group(int(number[:4])) is None:
        raise argparse.ArgumentTypeError("usage.bad_data_group")
    return int(number), Path(name)


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE + 1)
    except OSError as error:
        raise FileError(path, error) from error
    if len(data) > MAX_FILE:
        raise FileError(path, DecodeError("chip file", "chipverify.too_large"))
    return data


def _with_tag(sod: bytes) -> bytes:
    tag = ElementaryFile.SOD.tag
    assert tag is not None
    return tlv.encode(tag, sod) if sod[:1] == bytes((_BARE_CMS,)) else sod


def _issuing_state(groups: Mapping[int, bytes], at: datetime) -> str | None:
    """The state DG1 names, the one thing that is taken from it; None where it can't be read."""
    try:
        return parse_dg1(groups[1], today=at.date()).mrz.issuing_state or None
    except (KeyError, DecodeError):
        return None


def _anchors(args: argparse.Namespace, at: datetime) -> TrustAnchors:
    """The store's, and those of `--anchor` as if they were imported for this once. Raises `FileError`."""
    held = TrustStore(args.trust or default_directory()).current()
    if not args.anchor:
        return anchors_of(held)
    roots = tuple(certificate for path in args.root for certificate in read_roots(path))
    for path in args.anchor:
        items = gather_file(path).items
        held, report = plan(held, items, Terms(at, roots, confirmed=True, older=True))
        if report.refused:
            refusal = report.refused[0]
            problem = DecodeError("anchor", refusal.code)
            problem.params = refusal.params
            raise FileError(path, problem)
    return anchors_of(held)


def _outcome(found: PassiveResult, groups: Mapping[int, bytes]) -> Result:
    """Of everything that was given: what wasn't given can't fail, and proves nothing."""
    wanted = [SIGNATURE, CERTIFICATE, *([HASHES] if groups else []), *([ISSUER] if 1 in groups else [])]
    if any(check.result is Result.FAILED for check in found.checks):
        return Result.FAILED
    if all(found.check(name).result is Result.SUCCESSFUL for name in wanted):
        return Result.SUCCESSFUL
    return Result.UNDETERMINED


# --- words -----------------------------------------------------------------------------------------------------


def _lines(args: argparse.Namespace, found: PassiveResult, outcome: Result, anchors: int) -> Iterator[str]:
    yield from _chip_checks.lines(args, found.checks)
    if found.facts is not None:
        yield from _fact_lines(args, found.facts)
    if not anchors:
        yield say(args, "chipverify.no_trust")
    if outcome is Result.SUCCESSFUL:
        compared = found.facts is not None and found.facts.matching
        yield say(args, "chipverify.proven" if compared else "chipverify.proven_alone")
    else:
        yield say(args, "chipverify.refuted" if outcome is Result.FAILED else "chipverify.undetermined")


def _fact_lines(args: argparse.Namespace, facts: PassiveFacts) -> Iterator[str]:
    shown = (("chipverify.signer", facts.signer), ("chipverify.anchor", facts.anchor))
    links = tuple(("chipverify.link", one) for one in facts.links)
    for code, certificate in (shown[0], *links, shown[1]):
        if certificate is not None:
            yield f"{say(args, code)}: {certificate.subject.text}"
            yield f"  {say(args, 'trust.valid')}: {day(certificate.not_before)} – {day(certificate.not_after)}"
            yield f"  {say(args, 'trust.fingerprint')}: {spaced(certificate.fingerprint)}"
    for code, value in (
        ("chipverify.algorithm", ", ".join(part for part in (facts.algorithm, facts.key) if part)),
        ("chipverify.digest", facts.digest),
        ("chipverify.signed_on", facts.signed_on.isoformat() if facts.signed_on else ""),
        # What differs, isn't signed or wasn't given stands among the reasons.
        ("chipverify.matching", ", ".join(f"DG{number}" for number in facts.matching)),
    ):
        if value:
            yield f"{say(args, code)}: {value}"


def _as_json(args: argparse.Namespace, found: PassiveResult, outcome: Result, anchors: int) -> dict[str, Any]:
    facts = found.facts
    described: dict[str, Any] = {}
    if facts is not None:
        described = {
            "signer": _certificate(facts.signer),
            "links": [_certificate(one) for one in facts.links],
            "anchor": _certificate(facts.anchor),
            "algorithm": facts.algorithm,
            "key": facts.key,
            "digest": facts.digest,
            "signed_on": facts.signed_on,
            "matching": facts.matching,
            "mismatching": facts.mismatching,
            "unlisted": facts.unlisted,
            "not_checked": facts.not_given,
        }
    return {
        "result": outcome,
        "checks": _chip_checks.as_json(args, found.checks),
        "anchors": anchors,
        **described,
    }


def _certificate(certificate: Certificate | None) -> dict[str, Any] | None:
    if certificate is None:
        return None
    return {
        "subject": certificate.subject.text,
        "country": certificate.country,
        "not_before": certificate.not_before,
        "not_after": certificate.not_after,
        "fingerprint": certificate.fingerprint,
    }
