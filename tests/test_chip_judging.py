"""A whole emulated document read and judged: what is genuine passes, and every forgery fails for its own reason.

The card is the emulator's (`edged.emulator`), written apart from the reader; each kind of document and each fault.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

import pytest

from edged.core.emrtd import tlv
from edged.core.emrtd.access_keys import key_of_mrz
from edged.core.emrtd.chip_reading import ChipReading
from edged.core.emrtd.files import ElementaryFile
from edged.core.emrtd.judging import judge_chip
from edged.core.emrtd.reader import WANTED, ReadPlan, read_chip
from edged.core.emrtd.steps import drive
from edged.core.emrtd.trust_anchors import TrustAnchors
from edged.core.mrz import Mrz, parse_mrz
from edged.emulator.faults import FaultyCard, Injected
from edged.emulator.profiles import profiles
from edged.verdict import Check, Reason, Result
from tests.emulated_reading import AT, PASSPORT, anchors, office, transmit

TODAY = date(2026, 6, 15)
OFFICE = office()
PASSING = {
    "chip_access",
    "pa_signature",
    "pa_certificate",
    "pa_issuer",
    "pa_hashes",
    "chip_mrz",
    "chip",
}


def printed(lines: tuple[str, ...] = PASSPORT) -> Mrz:
    return parse_mrz(list(lines), today=TODAY)


def read(card: FaultyCard, **plan: Any) -> ChipReading:
    return drive(read_chip(ReadPlan(key_of_mrz(printed()), **({"max_apdu": 4096} | plan))), transmit(card))


def judge(
    reading: ChipReading,
    *,
    trust: TrustAnchors | None = None,
    at: datetime | None = AT,
    page: Mrz | None = None,
    sure: bool = True,
) -> Mapping[str, Check]:
    checks = judge_chip(
        reading,
        anchors=anchors(OFFICE) if trust is None else trust,
        at=at,
        today=TODAY,
        printed=page or printed(),
        printed_is_sure=sure,
    )
    return {check.name: check for check in checks}


def laid_here(profile: str = "pace-gm", fault: str | None = None) -> FaultyCard:
    return OFFICE.lay(profiles()[profile], PASSPORT, Injected.parse(fault) if fault else None)


def judged(profile: str = "pace-gm", fault: str | None = None) -> Mapping[str, Check]:
    return judge(read(laid_here(profile, fault)))


def named(checks: Mapping[str, Check], result: Result) -> set[str]:
    return {name for name, check in checks.items() if check.result is result}


def codes(check: Check) -> list[str]:
    return [reason.code for reason in check.reasons]


@pytest.mark.parametrize("profile", profiles())
def test_every_kind_of_genuine_document_passes(profile: str) -> None:
    checks = judged(profile)
    assert named(checks, Result.SUCCESSFUL) >= PASSING
    assert (
        not named(checks, Result.FAILED) | named(checks, Result.UNDETERMINED) | named(checks, Result.ABORTED)
    )
    proofs = {"chip_authentication", "active_authentication"} & named(checks, Result.SUCCESSFUL)
    assert codes(checks["chip"]) == ([] if proofs else ["chip.copy_not_excluded"])


FORGERIES = {
    "cloned": ({"chip_authentication", "active_authentication"}, "chip.ca_not_proven"),
    "tampered-mrz": ({"pa_hashes", "chip_mrz"}, "chip.data_group_changed"),
    "tampered-signature": ({"pa_signature"}, "pki.signature_wrong"),
    "swapped-portrait": ({"pa_hashes"}, "chip.data_group_changed"),
    "swapped-chip": ({"chip_mrz"}, "chip.mrz_differs"),
    "foreign-signer": ({"pa_issuer"}, "chip.signed_by_another_state"),
    "forged-authority": ({"pa_certificate"}, "chip.signer_forged"),
    "expired-signer": ({"pa_certificate"}, "chip.signed_outside_validity"),
    "revoked-signer": ({"pa_certificate"}, "chip.signer_revoked"),
    "pace-fails": ({"chip_access"}, "chip.wrong_key"),
}
"""Fault to the checks that fail, and the first reason a clerk hears."""


@pytest.mark.parametrize("fault", FORGERIES)
def test_a_forgery_fails_for_its_own_reason(fault: str) -> None:
    failing, reason = FORGERIES[fault]
    checks = judged(fault=fault)
    assert named(checks, Result.FAILED) == failing | {"chip"}
    assert codes(checks["chip"])[0] == reason


@pytest.mark.parametrize("profile", ["pace-cam", "aa-rsa", "ca-3des", "ca-dh", "pace-aes256"])
def test_a_copy_fails_whatever_protects_it(profile: str) -> None:
    checks = judged(profile, "cloned")
    assert named(checks, Result.FAILED) & {"chip_authentication", "active_authentication"}
    assert checks["chip"].result is Result.FAILED


def test_a_state_that_nobody_vouches_for_is_undetermined_and_so_is_what_its_keys_prove() -> None:
    checks = judge(read(laid_here()), trust=TrustAnchors())
    assert checks["pa_certificate"] == Check(
        "pa_certificate", Result.UNDETERMINED, (Reason("chip.no_trust_anchor", {"country": "UT"}),)
    )
    for name in ("chip_authentication", "active_authentication"):
        assert checks[name] == Check(name, Result.UNDETERMINED, (Reason("chip.proves_nothing_alone"),))
    assert checks["chip"].result is Result.UNDETERMINED
    assert not named(checks, Result.FAILED)


def test_another_documents_page_opens_nothing() -> None:
    other = printed(
        ("P<UTOBEISPIEL<<ANTON<<<<<<<<<<<<<<<<<<<<<<<<", "L000000006UTO7408122F3104150ZE184226B<<<<<10")
    )
    reading = drive(read_chip(ReadPlan(key_of_mrz(other))), transmit(laid_here()))
    checks = judge(reading, page=other)
    assert codes(checks["chip_access"]) == ["chip.wrong_key"]
    assert checks["chip"].result is Result.FAILED
    assert judge(reading, page=other, sure=False)["chip"].result is Result.UNDETERMINED


def test_a_doubtful_reading_of_the_page_does_not_fail_the_chip() -> None:
    page = printed((PASSPORT[0].replace("ANNA", "AMNA"), PASSPORT[1]))
    reading = read(laid_here())
    assert judge(reading, page=page)["chip_mrz"].result is Result.FAILED
    assert judge(reading, page=page, sure=False)["chip_mrz"].result is Result.UNDETERMINED


def test_failed_pace_may_be_followed_by_bac_where_the_operator_says_so_and_is_told() -> None:
    reading = read(laid_here(fault="pace-fails"), bac_after_failed_pace=True)
    checks = judge(reading)
    assert checks["chip_access"].result is Result.FAILED
    assert "chip.bac_after_pace" in codes(checks["chip_access"])
    assert checks["chip"].result is Result.SUCCESSFUL
    refused = judge(read(laid_here(fault="pace-fails")))
    assert refused["chip"].result is Result.FAILED
    assert "pa_hashes" in named(refused, Result.UNDETERMINED)


@pytest.mark.parametrize("command", [1, 5, 12, 20, 30, 40])
def test_a_document_taken_away_is_aborted_and_never_passes(command: int) -> None:
    checks = judged(fault=f"removed:{command}")
    assert checks["chip"].result is Result.ABORTED
    assert not named(checks, Result.FAILED)


@pytest.mark.parametrize("fault", ["no-extended-length", "slow:1"])
def test_a_slow_or_old_chip_passes_all_the_same(fault: str) -> None:
    assert judged(fault=fault)["chip"].result is Result.SUCCESSFUL


def test_a_portrait_that_ends_too_early_is_not_the_signed_one() -> None:
    assert judged(fault="truncated-file")["chip"].result in {Result.FAILED, Result.UNDETERMINED}


def test_without_the_portrait_the_rest_stands() -> None:
    checks = judge(read(laid_here(), wanted=WANTED - {ElementaryFile.DG2}))
    assert checks["chip"].result is Result.SUCCESSFUL
    assert any("DG2" in reason.params.get("groups", "") for reason in checks["pa_hashes"].reasons)


def without(reading: ChipReading, *files: ElementaryFile, **changed: bytes) -> ChipReading:
    held = {file: data for file, data in reading.files.items() if file not in files}
    held |= {ElementaryFile[name]: data for name, data in changed.items()}
    return ChipReading(
        checks=reading.checks,
        files=held,
        unread=reading.unread,
        challenge=reading.challenge,
        aborted=reading.aborted,
    )


def test_pace_that_was_hidden_on_the_air_is_noticed() -> None:
    reading = read(laid_here("pace-gm"))
    hidden = judge(without(reading, ElementaryFile.CARD_ACCESS))
    assert codes(hidden["chip_access"]) == ["chip.pace_hidden"]
    assert hidden["chip"].result is Result.UNDETERMINED
    other = read(laid_here("pace-3des")).files[ElementaryFile.CARD_ACCESS]
    weaker = judge(without(reading, CARD_ACCESS=other))
    assert codes(weaker["chip_access"]) == ["chip.pace_offer_changed"]
    open_to_all = Check("chip_access", Result.NOT_SUPPORTED, (Reason("chip.no_access_control"),))
    bare = without(reading, ElementaryFile.CARD_ACCESS)
    bare.checks = (open_to_all, *bare.checks[1:])
    assert codes(judge(bare)["chip_access"]) == ["chip.no_access_control", "chip.pace_hidden"]
    assert judge(bare)["chip"].result is Result.UNDETERMINED


def test_a_chip_that_opens_for_anyone_and_says_under_signature_that_it_does_not() -> None:
    """A copy on a card without access control: the state signed that there is PACE."""
    reading = read(laid_here("pace-gm"))
    opened = Check("chip_access", Result.NOT_SUPPORTED, (Reason("chip.no_access_control"),))
    others = tuple(check for check in reading.checks if check.name != "chip_access")
    files = {file: data for file, data in reading.files.items() if file is not ElementaryFile.CARD_ACCESS}
    open_card = ChipReading(checks=(opened, *others), files=files, challenge=reading.challenge)
    checks = judge(open_card)
    assert checks["chip_access"].result is Result.UNDETERMINED
    assert codes(checks["chip_access"]) == ["chip.no_access_control", "chip.pace_hidden"]
    assert checks["chip"].result is Result.UNDETERMINED


def test_keys_of_another_document_do_not_vouch_for_this_one() -> None:
    reading = read(laid_here("pace-cam"))
    assert judge(reading)["chip_authentication"].result is Result.SUCCESSFUL
    elsewhere = office("another").lay(profiles()["pace-cam"], PASSPORT)
    foreign = read(elsewhere).files[ElementaryFile.CARD_SECURITY]
    check = judge(without(reading, CARD_SECURITY=foreign))["chip_authentication"]
    assert check.result is not Result.SUCCESSFUL
    damaged = bytearray(reading.files[ElementaryFile.CARD_SECURITY])
    damaged[-1] ^= 1
    assert (
        judge(without(reading, CARD_SECURITY=bytes(damaged)))["chip_authentication"].result is Result.FAILED
    )


def test_keys_in_card_security_count_only_beside_the_signed_data_group_14() -> None:
    """Whoever copies a document and borrows another's chip shows no DG14, or one of their own making."""
    reading = read(laid_here("pace-cam"))
    alone = ["chip.proves_nothing_alone"]
    hidden = judge(without(reading, ElementaryFile.DG14))["chip_authentication"]
    assert (hidden.result, codes(hidden)) == (Result.UNDETERMINED, alone)
    dg14 = reading.files[ElementaryFile.DG14]
    unknown = bytes.fromhex("300D060804007F000702027F020101")  # one more entry, of a protocol nobody knows
    body = dg14[2:] if dg14[1] < 0x80 else dg14[2 + (dg14[1] & 0x7F) :]
    infos = body[2:] if body[1] < 0x80 else body[2 + (body[1] & 0x7F) :]
    changed = tlv.encode(0x6E, tlv.encode(0x31, infos + unknown))
    made = judge(without(reading, DG14=changed))
    assert (made["chip_authentication"].result, codes(made["chip_authentication"])) == (
        Result.UNDETERMINED,
        alone,
    )
    assert made["pa_hashes"].result is Result.FAILED


def test_chip_authentication_with_data_group_14_does_not_need_card_security() -> None:
    """Where the mapping's file can't be read, chip authentication proper is what proves."""
    reading = read(laid_here("pace-cam"))
    for junk in (b"", b"\x30\x00", reading.files[ElementaryFile.CARD_SECURITY][:-9]):
        assert judge(without(reading, CARD_SECURITY=junk))["chip_authentication"].result is Result.SUCCESSFUL


def test_a_challenge_that_was_refused_or_never_made_does_not_pass() -> None:
    reading = read(laid_here("aa-rsa"))
    assert reading.challenge is not None
    held = reading.challenge
    for challenge, result in (
        (held._replace(answer=None), Result.FAILED),
        (held._replace(nonce=bytes(8)), Result.FAILED),
        (None, Result.UNDETERMINED),
    ):
        changed = ChipReading(
            checks=reading.checks, files=reading.files, unread=reading.unread, challenge=challenge
        )
        assert judge(changed)["active_authentication"].result is result


def test_nothing_read_at_all_says_nothing() -> None:
    checks = judge(ChipReading())
    assert checks["chip"].result is Result.UNDETERMINED
    assert not named(checks, Result.FAILED) | named(checks, Result.SUCCESSFUL)


@pytest.mark.parametrize(
    "file",
    [
        ElementaryFile.SOD,
        ElementaryFile.DG1,
        ElementaryFile.COM,
        ElementaryFile.DG14,
        ElementaryFile.DG15,
        ElementaryFile.CARD_ACCESS,
    ],
)
def test_a_file_of_junk_never_passes_and_never_raises(file: ElementaryFile) -> None:
    reading = read(laid_here())
    for junk in (b"", b"\x00", b"\x77\x84\xff\xff\xff\xff", bytes(300), reading.files[file][:-1]):
        if file in (ElementaryFile.COM, ElementaryFile.CARD_ACCESS):
            judge(without(reading, **{file.name: junk}))
        else:
            assert judge(without(reading, **{file.name: junk}))["chip"].result is not Result.SUCCESSFUL


def test_a_clock_that_cannot_be_believed_fails_nobody() -> None:
    checks = judge(read(laid_here()), at=None)
    assert checks["chip"].result is Result.SUCCESSFUL
    assert "chip.revocation_age_unknown" in codes(checks["pa_certificate"])


def test_no_identity_in_any_check() -> None:
    for fault in (None, *FORGERIES):
        said = repr(tuple(judged(fault=fault).values()))
        for value in ("ERIKSSON", "ANNA", "L898902C3", "740812", "ZE184226B"):
            assert value not in said
