"""Fixture material: slips, the keys that sign them, directories and lists to verify them with."""

from __future__ import annotations

import base64
import hashlib
from datetime import UTC, datetime
from functools import cache
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from edged.slip import claims, cose, url
from edged.slip.facts import CheckFact, RecipientFact, SlipFacts
from edged.uplink.directory import Directory, DirectoryHead, DirectoryPage, Member, SigningKey
from edged.uplink.slip_status import DeviceSlips, SlipStatus
from edged.verdict import CHECKS, Kind, Result

AT = datetime(2026, 11, 27, 2, 4, 5, tzinfo=UTC)
T = int(AT.timestamp())
DAY = 86_400
BASE = "https://verify.example.cn/S"
FLEET = "harbour"
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def facts(**changes: Any) -> SlipFacts:
    content: dict[str, Any] = {
        "number": "7K3M9QXA04TZ",
        "copy": 1,
        "site": "滨江支行一号柜台",
        "device": "box-1",
        "at": T,
        "utc_offset_min": 480,
        "clock_trusted": True,
        "expires": T + 90 * DAY,
        "kind": Kind.LIVE,
        "scene": "bank",
        "result": Result.SUCCESSFUL,
        "document_class": "passport",
        "issuer": "UTO",
        "name": "E*",
        "document_number": "L8*****C3",
        "document_expires": "2031-04",
        "checks": (
            CheckFact("document_detected", Result.SUCCESSFUL),
            CheckFact("mrz_read", Result.SUCCESSFUL),
            CheckFact("mrz_check_digits", Result.SUCCESSFUL),
            CheckFact("mrz_fields", Result.UNDETERMINED),
            CheckFact("expiry", Result.SUCCESSFUL),
            CheckFact("chip", Result.NOT_SUPPORTED),
        ),
        "person": Result.NOT_SUPPORTED,
        "read": ("picture", "mrz"),
        "recipients": (RecipientFact("某某银行", ("checks", "name_masked"), 30),),
    }
    return SlipFacts(**(content | changes))


def longest(**changes: Any) -> SlipFacts:
    """The longest of everything."""
    content = {
        "copy": 255,
        "supersedes": "ZZZZZZZZZZZZ",
        "site": "滨" * 8,
        "device": "x" * 32,
        "utc_offset_min": -765,
        "document_expires": "2199-12",
        "name": "张" * 4,
        "document_number": "9" * 24,
        "checks": tuple(CheckFact(name, Result.ABORTED) for name in CHECKS),
        "read": ("picture", "mrz", "chip", "id_card", "text"),
        "recipients": tuple(RecipientFact("行" * 8, ("checks", "handover_fields"), 65_535) for _ in range(4)),
        "more_recipients": 200,
    }
    return facts(**(content | changes))


class TestKey:
    """A key made of a word: for tests and golden vectors, and nothing else."""

    __test__ = False

    def __init__(self, word: str = "one", *, device: str = "box-1", not_after: int = T + 365 * DAY) -> None:
        self.device = device
        secret = int.from_bytes(hashlib.sha256(f"edged, slip, test key {word}".encode()).digest())
        self._key = ec.derive_private_key(secret % ORDER, ec.SECP256R1())
        numbers = self._key.public_key().public_numbers()
        x, y = (
            base64.urlsafe_b64encode(one.to_bytes(32)).rstrip(b"=").decode() for one in (numbers.x, numbers.y)
        )
        sha256 = hashlib.sha256(f"certificate {word}".encode()).hexdigest()
        self.listed = SigningKey(sha256, x, y, not_after)

    @property
    def kid(self) -> bytes:
        return cose.kid_of(self.listed.sha256)

    def sign_raw(self, data: bytes) -> bytes:
        """The same signature for the same content (RFC 6979), so that the vectors are stable."""
        algorithm = ec.ECDSA(hashes.SHA256(), deterministic_signing=True)
        r, s = decode_dss_signature(self._key.sign(data, algorithm))
        return r.to_bytes(32) + min(s, ORDER - s).to_bytes(32)

    def cose(self, slip: SlipFacts) -> bytes:
        return cose.assemble(claims.encode(slip), self.kid, self.sign_raw)

    def url(self, slip: SlipFacts) -> str:
        return url.build(BASE, self.cose(slip))


@cache
def key(word: str = "one", **changes: Any) -> TestKey:
    return TestKey(word, **changes)


def directory(*keys: TestKey, exp: int = T + 30 * DAY, **page: Any) -> Directory:
    """A directory that lists `keys` (by default one of box-1)."""
    members = tuple(Member(one.device, (one.listed,)) for one in keys or (key(),))
    content: dict[str, Any] = {"devices": members, "certificates": (), "revoked": (), **page}
    head = DirectoryHead(
        iss="ops",
        fleet=FLEET,
        iat=T - DAY,
        exp=exp,
        version=7,
        anchors=("0" * 64,),
        collectors=(),
        audiences=(),
        admins=(),
        certificates=(),
        revoked=(),
        devices=len(members),
        pages=("1" * 64,),
    )
    return Directory(head, (DirectoryPage(**content),), "2" * 64)


def status(*, exp: int = T + 2 * DAY, fleet: str = FLEET, **devices: DeviceSlips) -> SlipStatus:
    """The centre's list; devices by their names, underscores for hyphens; by default box-1 without any."""
    found = {name.replace("_", "-"): one for name, one in devices.items()} or {"box-1": nothing()}
    return SlipStatus(iss="centre", fleet=fleet, iat=T, exp=exp, devices=found)


def nothing(**changes: Any) -> DeviceSlips:
    return DeviceSlips(**({"heard": T, "withdrawn": {}, "superseded": {}} | changes))
