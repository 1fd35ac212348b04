"""A document, its signer, two states and what passive authentication makes of them: what its tests share."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from edged.core.emrtd.certificates import parse_certificate
from edged.core.emrtd.crl import parse_crl
from edged.core.emrtd.passive import PASSIVE_CHECKS, PassiveResult, verify_passive
from edged.core.emrtd.trust_anchors import TrustAnchors, anchor_entry, crl_entry
from edged.verdict import Result
from tests.chip_pki import (
    Csca,
    certificate,
    csca,
    day,
    ec_key,
    key_id,
    security_object,
    sod,
)

NOW = day("2026-11-26")
GROUPS = {1: b"\x61\x03one", 2: b"\x75\x03two", 14: b"\x6e\x05three"}
KEY = ec_key(20)
GERMANY = csca("DE", ec_key(21))
FRANCE = csca("FR", ec_key(22))
SIGNER = GERMANY.signer(KEY)
CONTENT = security_object(GROUPS)
SOD = sod(CONTENT, SIGNER, KEY)
OK, BAD, OPEN = Result.SUCCESSFUL, Result.FAILED, Result.UNDETERMINED


def anchors(*trusted: bytes, links: tuple[bytes, ...] = (), crls: tuple[bytes, ...] = ()) -> TrustAnchors:
    return TrustAnchors(
        [
            *(anchor_entry(parse_certificate(der)) for der in trusted),
            *(anchor_entry(parse_certificate(der), trusted=False) for der in links),
        ],
        [crl_entry(parse_crl(der)) for der in crls],
    )


TRUST = anchors(GERMANY.der, FRANCE.der)


def judge(
    data: bytes = SOD,
    groups: dict[int, bytes] = GROUPS,
    trust: TrustAnchors = TRUST,
    *,
    at: datetime | None = NOW,
    state: str | None = "D",
) -> PassiveResult:
    return verify_passive(data, groups, trust, at=at, issuing_state=state)


def results(result: PassiveResult) -> tuple[Result, ...]:
    assert tuple(check.name for check in result.checks) == PASSIVE_CHECKS
    return tuple(check.result for check in result.checks)


def codes(result: PassiveResult, name: str) -> tuple[str, ...]:
    return tuple(reason.code for reason in result.check(name).reasons)


def signed(signer: bytes, key: Any = KEY, **options: Any) -> bytes:
    return sod(CONTENT, signer, key, **options)


def link(old: Csca, new: Csca, **options: Any) -> bytes:
    """The new key, certified by the old one."""
    settings = {"usage": {"key_cert_sign", "crl_sign"}, "ca": True, "serial": 50, **options}
    return certificate(
        subject=new.name,
        issuer=old.name,
        key=new.key,
        signer=old.key,
        ski=key_id(new.key),
        aki=key_id(old.key),
        **settings,
    )
