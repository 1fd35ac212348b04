"""Write `tests/slip_vectors.json`: slips with fixed keys, what they say, and how they are judged, for every verifier.

`python tools/slip_vectors.py` from the repository's root. Signatures are deterministic (RFC 6979), so a slip changes
only when its form does: a diff of the file is a change of the format.
"""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

import msgspec

from edged.slip import content, url, verifying
from edged.slip.facts import CheckFact, SlipFacts
from edged.uplink.directory import CertificateRevoked, Directory, FormerKey
from edged.uplink.slip_status import SlipStatus, Superseded
from edged.verdict import CHECKS, Kind, Result
from tests import slips
from tests.slips import DAY, T

FILE = Path(__file__).parent.parent / "tests" / "slip_vectors.json"

SLIPS: dict[str, SlipFacts] = {
    "ordinary": slips.facts(),
    "bare": slips.facts(
        issuer=None, name=None, document_number=None, document_expires=None, checks=(), read=(), recipients=(),
        utc_offset_min=-210, clock_trusted=False, document_class="unknown", result=Result.ABORTED,
    ),
    "every check, copy 3 of a slip that replaces another": slips.facts(
        number="000000000001",
        copy=3,
        supersedes="ZZZZZZZZZZZZ",
        checks=tuple(CheckFact(name, list(Result)[at % 5]) for at, name in enumerate(CHECKS)),
        person=Result.FAILED,
        more_recipients=2,
    ),
    "test": slips.facts(number="00000TEST001", kind=Kind.TEST, scene="hotel"),
    "longest": slips.longest(recipients=(), device="box-1"),
}  # fmt: skip


def made() -> dict[str, Any]:
    """The file's content."""
    key = slips.key()
    return {
        "keys": [msgspec.to_builtins(key.listed) | {"device": key.device, "kid": key.kid.hex()}],
        "slips": [_slip(name, facts) for name, facts in SLIPS.items()],
        "verifications": [_verification(**case) for case in _cases()],
    }


def _slip(name: str, facts: SlipFacts) -> dict[str, Any]:
    cose = slips.key().cose(facts)
    return {
        "name": name,
        "facts": msgspec.to_builtins(facts),
        "cose": cose.hex(),
        "url": url.build(slips.BASE, cose),
        "lines": [msgspec.to_builtins(line) for line in content.lines(facts)],
        "watermark": content.watermark(facts),
    }


def _cases() -> list[dict[str, Any]]:
    plain = slips.key().url(slips.facts())
    number = slips.facts().number
    sha256 = slips.key().listed.sha256
    altered = bytearray(slips.key().cose(slips.facts()))
    altered[-1] ^= 1
    listed = slips.directory()

    def ended(why: Any, at: int) -> Directory:
        return slips.directory(devices=(), former=(FormerKey("box-1", slips.key().listed, at, why),))

    stolen = slips.directory(certificates=(CertificateRevoked(sha256, T + DAY, "stolen"),))
    withdrawn = slips.status(box_1=slips.nothing(withdrawn={number: T + DAY}))
    replaced = slips.status(box_1=slips.nothing(superseded={number: Superseded("000000000001", T + DAY)}))
    return [
        {"name": "offline", "text": plain, "directory": listed},
        {"name": "online", "text": plain, "directory": listed, "status": slips.status(), "online": True},
        {"name": "lower case host", "text": plain.replace("VERIFY.EXAMPLE.CN", "verify.example.cn"),
         "directory": listed},
        {"name": "fragment alone", "text": plain.partition("#")[2], "directory": listed},
        {"name": "altered", "text": url.build(slips.BASE, bytes(altered)), "directory": listed},
        {"name": "unknown key", "text": slips.key("two").url(slips.facts()), "directory": listed},
        {"name": "no slip", "text": "https://example.org/", "directory": listed},
        {"name": "other terminal", "text": slips.key().url(slips.facts(device="box-2")), "directory": listed},
        {"name": "withdrawn", "text": plain, "directory": listed, "status": withdrawn},
        {"name": "superseded", "text": plain, "directory": listed, "status": replaced, "online": True},
        {"name": "list too old", "text": plain, "directory": listed, "status": slips.status(exp=T - 1)},
        {"name": "no list online", "text": plain, "directory": listed, "online": True},
        {"name": "list of another fleet", "text": plain, "directory": listed,
         "status": slips.status(fleet="elsewhere")},
        {"name": "expired", "text": plain, "directory": slips.directory(exp=T + 200 * DAY), "at": T + 91 * DAY},
        {"name": "from the future", "text": plain, "directory": listed, "at": T - DAY},
        {"name": "directory too old", "text": plain, "directory": slips.directory(exp=T - 1)},
        {"name": "no directory", "text": plain, "directory": None},
        {"name": "stolen", "text": plain, "directory": stolen, "at": T + 2 * DAY},
        {"name": "replaced later", "text": plain, "directory": ended("replaced", T + DAY), "at": T + 2 * DAY},
        {"name": "replaced before", "text": plain, "directory": ended("replaced", T - DAY)},
        {"name": "compromised later", "text": plain, "directory": ended("compromised", T + DAY)},
        {"name": "of a document that failed", "text": slips.key().url(slips.facts(result=Result.FAILED)),
         "directory": listed, "status": slips.status(), "online": True},
        {"name": "test", "text": slips.key().url(SLIPS["test"]), "directory": listed},
    ]  # fmt: skip


def _verification(
    name: str,
    text: str,
    directory: Directory | None,
    status: SlipStatus | None = None,
    at: int = T,
    *,
    online: bool = False,
) -> dict[str, Any]:
    found = verifying.verify(
        text, directory, at=datetime.fromtimestamp(at, UTC), status=status, online=online
    )
    return {
        "name": name,
        "text": text,
        "directory": msgspec.to_builtins(directory),
        "status": msgspec.to_builtins(status),
        "at": at,
        "online": online,
        "verdict": found.verdict,
        "reasons": [msgspec.to_builtins(reason) for reason in found.reasons],
        "withdrawal": found.withdrawal,
        "signed": found.signed,
    }


def text() -> str:
    """The file."""
    return json.dumps(made(), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    FILE.write_text(text(), encoding="utf-8")
