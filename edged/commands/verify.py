"""`edged verify`: check one envelope against a fleet's authority, and say who said what.

For partners, auditors and technicians: needs the envelope and the authority's certificate, and nothing else.
"""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import msgspec

from edged import messages
from edged.commands import _message_file
from edged.commands._saying import printable
from edged.errors import SignatureRefusedError
from edged.privacy.policy import WITHHELD
from edged.uplink.envelope import Claim, OpenedEnvelope, open_envelope
from edged.uplink.revoked import fingerprint
from edged.uplink.sign import MAX_COMPACT, certificates

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from edged.uplink.directory import Directory
    from edged.uplink.roles import TrustAnchor

_DAY: Final = 86_400

_ROOM: Final = 64  # for white space around the envelope, so that only a message that is too large says so


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `edged verify`."""
    _message_file.add_arguments(parser)
    parser.add_argument("--device", metavar="NAME", help="help.verify.device")


def run(args: argparse.Namespace) -> int:
    """EX_OK when verified, EX_DATAERR when refused (and why), EX_NOINPUT when a file can't be read."""
    loaded = _message_file.load(args, MAX_COMPACT + _ROOM, _complain)
    if isinstance(loaded, int):
        return loaded
    anchor = loaded.anchor
    compact = loaded.data.strip()
    try:
        opened = open_envelope(
            compact,
            anchor=anchor,
            at=args.at or datetime.now(UTC),
            arrived=args.at,
            audience=args.audience,
            device=args.device,
        )
    except SignatureRefusedError as error:
        _complain(args, error.code)
        return os.EX_DATAERR
    at = args.at or datetime.now(UTC)
    standing = None if loaded.directory is None else _standing(loaded.directory, compact, opened, at)
    if args.json:
        print(_as_json(opened, standing))
    else:
        for line in _lines(opened, anchor, args.lang):
            print(printable(line))
        if standing is not None:
            code = f"verify.signer_{standing.standing}"
            age = messages.text(code, args.lang, days=standing.age_s // _DAY)
            print(printable(age))
    return os.EX_OK


class _Standing(msgspec.Struct, frozen=True):
    """What the fleet's directory says of the signer."""

    version: int
    age_s: int
    standing: str


def _standing(directory: Directory, compact: bytes, opened: OpenedEnvelope, at: datetime) -> _Standing:
    chain = [fingerprint(one) for one in certificates(compact)]
    age = int(directory.age(datetime.now(UTC)).total_seconds())
    return _Standing(directory.head.version, age, directory.standing(opened.principal, chain, at))


def _complain(args: argparse.Namespace, code: str) -> None:
    sentence = messages.text(code, args.lang)
    if args.json:
        print(msgspec.json.encode({"verified": False, "reason": code, "text": sentence}).decode())
    else:
        print(f"edged: {messages.text('verify.refused', args.lang, reason=sentence)}", file=sys.stderr)


def _as_json(opened: OpenedEnvelope, standing: _Standing | None) -> str:
    found = {
        "verified": True,
        "signed_by": opened.principal.uri,
        "sha256": opened.sha256,
        "payload": opened.payload,
        **({} if standing is None else {"directory": standing}),
    }
    return msgspec.json.encode(found).decode()


def _lines(opened: OpenedEnvelope, anchor: TrustAnchor, lang: str) -> Iterator[str]:
    payload = opened.payload

    def say(code: str, **params: object) -> str:
        return messages.text(code, lang, **params)

    yield say("verify.signed_by", device=payload.iss, fleet=payload.fleet, audience=payload.audience)
    if anchor.demo:
        yield say("verify.demo")
    committed = datetime.fromtimestamp(payload.iat, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    yield say("verify.committed", time=committed, seq=payload.seq, log=payload.log_id)
    if payload.clock == "not_trusted":
        yield say("claim.clock_not_trusted")
    yield say(
        "verify.result",
        result=f"result.{payload.result}",
        kind=f"kind.{payload.kind}",
        scene=f"scene.{payload.scene}",
        document=f"document_class.{payload.document.document_class}",
    )
    for check in payload.checks:
        code = f"check_name.{check.name}"
        name = say(code) if messages.known(code) else check.name  # a newer box may know more checks
        result = say(f"result.{check.result}")
        because = "; ".join(messages.reason(reason, lang) for reason in check.reasons)
        yield f"  {name}: {result}" + (f" – {because}" if because else "")
    withheld = payload.claims.get(WITHHELD)
    for claim, value in payload.claims.items():
        if claim == WITHHELD:
            continue
        why = withheld.get(claim) if isinstance(withheld, dict) else None
        yield f"  {messages.word(claim, lang)}: " + (say(why) if why else _told(value))


def _told(value: Claim) -> str:
    """A claim for people: a pseudonym with that of the period before it is two words."""
    return " / ".join(value.values()) if isinstance(value, dict) else str(value)
