"""Emulated documents for tests, the product's reader on them, and its verdict."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from functools import cache
from typing import Any

from edged.core.emrtd.access_keys import AccessKey, mrz_key
from edged.core.emrtd.certificates import parse_certificate
from edged.core.emrtd.chip_reading import ChipReading
from edged.core.emrtd.crl import parse_crl
from edged.core.emrtd.files import ElementaryFile
from edged.core.emrtd.judging import judge_chip
from edged.core.emrtd.passive import PassiveResult, verify_passive
from edged.core.emrtd.reader import ReadPlan, read_chip
from edged.core.emrtd.steps import drive
from edged.core.emrtd.trust_anchors import TrustAnchors, anchor_entry, crl_entry
from edged.core.mrz import parse_mrz
from edged.emulator.faults import FaultyCard, Injected
from edged.emulator.office import Office
from edged.emulator.profiles import Profile
from edged.errors import ChipGoneError
from edged.verdict import Check

ON = date(2026, 6, 1)
AT = datetime(2026, 6, 15, 12, tzinfo=UTC)
PASSPORT = (
    "P<UTOERIKSSON<<ANNA<MARIA<<<<<<<<<<<<<<<<<<<",
    "L898902C36UTO7408122F3104150ZE184226B<<<<<16",
)
KEY = mrz_key("L898902C3", "740812", "310415")


@cache
def office(seed: str = "tests") -> Office:
    """One office for all tests: making RSA keys is slow."""
    return Office("UT", on=ON, seed=seed)


def laid(profile: Profile, fault: str | None = None, at: Office | None = None) -> FaultyCard:
    return (at or office()).lay(profile, PASSPORT, Injected.parse(fault) if fault else None)


def transmit(card: FaultyCard) -> Callable[[bytes], bytes]:
    def sent(command: bytes) -> bytes:
        answer = card.answer(command)
        if answer is None:
            raise ChipGoneError("chip.gone")
        return answer

    return sent


def read(card: FaultyCard, key: AccessKey = KEY, **plan: Any) -> ChipReading:
    """By the product's reader, long answers allowed unless told otherwise."""
    return drive(read_chip(ReadPlan(key, **{"max_apdu": 4096, **plan})), transmit(card))


@cache
def anchors(of: Office) -> TrustAnchors:
    given = of.trust()
    return TrustAnchors(
        [anchor_entry(parse_certificate(der)) for name, der in given.items() if name.endswith(".cer")],
        [crl_entry(parse_crl(der)) for name, der in given.items() if name.endswith(".crl")],
    )


def passive(of: Office, files: dict[ElementaryFile, bytes]) -> PassiveResult:
    groups = {one.number: octets for one, octets in files.items() if one.number is not None}
    return verify_passive(files[ElementaryFile.SOD], groups, anchors(of), at=AT, issuing_state="UTO")


def judged(got: ChipReading) -> dict[str, Check]:
    """The verdict's checks, with the page read without a doubt."""
    today = AT.date()
    checks = judge_chip(
        got,
        anchors=anchors(office()),
        at=AT,
        today=today,
        printed=parse_mrz(PASSPORT, today=today),
        printed_is_sure=True,
    )
    return {check.name: check for check in checks}
