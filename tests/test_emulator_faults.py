"""The product's reader and verdict on every kind of emulated document and every fault: each comes to what it should."""

from __future__ import annotations

import random

import pytest

from edged.core.emrtd.access_keys import AccessKey, can_key, mrz_key
from edged.core.emrtd.bac import establish_bac
from edged.core.emrtd.files import APPLICATION, ElementaryFile
from edged.core.emrtd.pace import establish_pace
from edged.core.emrtd.pace_choice import pace_choices
from edged.core.emrtd.security_infos import read_card_access
from edged.core.emrtd.steps import drive
from edged.emulator import security_objects
from edged.emulator.card import Card
from edged.emulator.faults import ISSUING, Fault, Injected
from edged.emulator.issuing import CAN
from edged.emulator.personalised import Conduct, Personalised
from edged.emulator.profiles import pace, profiles
from edged.verdict import Result
from tests.emulated_reading import judged, laid, read

PACE_GM = profiles()["pace-gm"]
GENUINE, FAILED, OPEN, ABORTED = (
    Result.SUCCESSFUL,
    Result.FAILED,
    Result.UNDETERMINED,
    Result.ABORTED,
)


@pytest.mark.parametrize("most", [4096, 256], ids=["long", "short"])
@pytest.mark.parametrize("name", profiles())
def test_every_kind_of_document_is_read_whole_and_genuine(name: str, most: int) -> None:
    profile = profiles()[name]
    card = laid(profile)
    got = read(card, max_apdu=most)
    contents = card.card.personalised.files
    assert set(got.files) == set(contents) - {ElementaryFile.DG3}
    assert all(contents[file] == octets for file, octets in got.files.items())
    verdict = {check.name: check.result for check in judged(got).values()}
    cam = any(offer.mapping == "CAM" for offer in profile.pace)
    expected = {
        "chip_access": GENUINE,
        "pa_signature": GENUINE,
        "pa_certificate": GENUINE,
        "pa_issuer": GENUINE,
        "pa_hashes": GENUINE,
        "chip_mrz": GENUINE,
        "chip_authentication": GENUINE if profile.chip_authentication or cam else Result.NOT_SUPPORTED,
        "active_authentication": GENUINE if profile.active_authentication else Result.NOT_SUPPORTED,
        **({"terminal_authentication": Result.NOT_SUPPORTED} if profile.fingers else {}),
        "chip": GENUINE,
    }
    assert verdict == expected


COMES_TO: dict[Fault, tuple[Result, dict[str, tuple[Result, str]]]] = {
    Fault.CLONED: (
        FAILED,
        {
            "chip_authentication": (FAILED, "chip.ca_not_proven"),
            "active_authentication": (FAILED, "chip.active_wrong"),
        },
    ),
    Fault.TAMPERED_MRZ: (
        FAILED,
        {"pa_hashes": (FAILED, "chip.data_group_changed"), "chip_mrz": (FAILED, "chip.mrz_differs")},
    ),
    Fault.TAMPERED_SIGNATURE: (FAILED, {"pa_signature": (FAILED, "pki.signature_wrong")}),
    Fault.SWAPPED_PORTRAIT: (FAILED, {"pa_hashes": (FAILED, "chip.data_group_changed")}),
    Fault.SWAPPED_CHIP: (FAILED, {"chip_mrz": (FAILED, "chip.mrz_differs")}),
    Fault.FOREIGN_SIGNER: (FAILED, {"pa_issuer": (FAILED, "chip.signed_by_another_state")}),
    Fault.FORGED_AUTHORITY: (FAILED, {"pa_certificate": (FAILED, "chip.signer_forged")}),
    Fault.EXPIRED_SIGNER: (FAILED, {"pa_certificate": (FAILED, "chip.signed_outside_validity")}),
    Fault.REVOKED_SIGNER: (FAILED, {"pa_certificate": (FAILED, "chip.signer_revoked")}),
    Fault.WRONG_MAC: (ABORTED, {"pa_signature": (ABORTED, "sm.bad_mac")}),
    Fault.UNPROTECTED: (ABORTED, {"pa_signature": (ABORTED, "sm.unprotected")}),
    Fault.LOST_SESSION: (GENUINE, {}),
    Fault.WRONG_STATUS: (OPEN, {}),
    Fault.TRUNCATED_FILE: (OPEN, {}),
    Fault.NO_EXTENDED_LENGTH: (GENUINE, {}),
    Fault.PACE_FAILS: (FAILED, {"chip_access": (FAILED, "chip.wrong_key")}),
    Fault.SLOW: (GENUINE, {}),
    Fault.REMOVED: (ABORTED, {"pa_signature": (ABORTED, "chip.gone")}),
    Fault.TORN: (ABORTED, {}),
}


@pytest.mark.parametrize("fault", Fault)
def test_every_fault_comes_to_what_it_should(fault: Fault) -> None:
    whole, parts = COMES_TO[fault]
    verdict = judged(read(laid(PACE_GM, fault.value)))
    assert verdict["chip"].result is whole
    assert {name for name, check in verdict.items() if check.result is FAILED} - {"chip"} == {
        name for name, (result, _) in parts.items() if result is FAILED
    }
    for name, (result, code) in parts.items():
        assert verdict[name].result is result
        assert code in {reason.code for reason in verdict[name].reasons}


@pytest.mark.parametrize("name", ["bac", "pace-cam", "aa-rsa", "ca-3des", "pace-aes192"])
def test_a_clone_of_any_kind_is_noticed(name: str) -> None:
    assert judged(read(laid(profiles()[name], "cloned")))["chip"].result is FAILED


@pytest.mark.parametrize("name", ["bac-plain", "prc", "pace-dh-im"])
def test_a_clone_of_a_chip_that_proves_nothing_is_as_good(name: str) -> None:
    verdict = judged(read(laid(profiles()[name], "cloned")))
    assert verdict["chip"].result is GENUINE
    assert [reason.code for reason in verdict["chip"].reasons] == ["chip.copy_not_excluded"]


def test_faults_by_name() -> None:
    assert Injected.parse("cloned") == Injected(Fault.CLONED, 1)
    assert Injected.parse("removed") == Injected(Fault.REMOVED, 12)
    assert Injected.parse("removed:3") == Injected(Fault.REMOVED, 3)
    for text in ("", "nonsense", "removed:", "removed:0", "removed:x", "cloned:3", "removed:-1"):
        with pytest.raises(ValueError):
            Injected.parse(text)
    assert {*COMES_TO} == {*Fault} > ISSUING


@pytest.mark.parametrize("at", [1, 2, 5, 12, 30, 40])
def test_a_card_that_is_taken_away_says_nothing_more(at: int) -> None:
    card = laid(PACE_GM, f"removed:{at}")
    got = read(card)
    assert got.aborted is not None
    assert got.aborted.code == "chip.gone"
    assert len(card.card.log) == at - 1


def test_a_card_that_is_taken_away_in_the_middle_of_an_answer() -> None:
    card = laid(PACE_GM, "torn:3")
    select = bytes.fromhex("00A4000C023F00")
    assert card.say(select) == (bytes.fromhex("9000"), True)
    assert card.say(select) == (b"\x90", False)
    assert card.answer(select) is None


def test_a_failed_pace_becomes_bac_only_where_that_is_allowed() -> None:
    verdict = judged(read(laid(PACE_GM, "pace-fails"), bac_after_failed_pace=True))
    assert verdict["chip_access"].result is FAILED
    assert verdict["pa_signature"].result is GENUINE


def test_extended_length_is_given_up_for_this_card_alone() -> None:
    card = laid(PACE_GM, "no-extended-length")
    assert read(card).aborted is None
    assert 0x6700 in {sw for _, sw in card.card.log}
    assert PACE_GM.conduct.extended


def test_a_slow_chip_tells_its_host_how_long_it_takes() -> None:
    assert laid(PACE_GM, "slow:250").delay_s == 0.25
    assert laid(PACE_GM, "slow").delay_s == 0.1
    assert laid(PACE_GM).delay_s == 0


@pytest.mark.parametrize(
    ("name", "key", "opens"),
    [
        ("pace-aes192", can_key(CAN), True),
        ("pace-cam", can_key(CAN), True),
        ("pace-aes256", can_key("123457"), False),
        ("pace-gm", can_key(CAN), False),
        ("bac", mrz_key("L898902C3", "740812", "310416"), False),
    ],
)
def test_passwords(name: str, key: AccessKey, opens: bool) -> None:
    verdict = judged(read(laid(profiles()[name]), key))
    assert (verdict["chip_access"].result is GENUINE) is opens
    assert (verdict["chip"].result is GENUINE) is opens


def rounds(count: int, seed: int) -> None:
    """PACE over a curve and BAC with keys that change every time: padding that is forgotten shows in 0.7 % of them."""
    rng = random.Random(seed)
    for _ in range(count):
        number = "".join(rng.choices("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", k=9))
        key = mrz_key(number, f"{rng.randrange(10**6):06}", f"{rng.randrange(10**6):06}")
        offer = pace(rng.choice((12, 13)), rng.choice(("GM", "IM")), PACE_GM.pace[0].suite)
        access = security_objects.infos([security_objects.pace_info(offer)])
        files = {ElementaryFile.CARD_ACCESS: access}
        card = Card(Personalised(files, key.octets(), pace=(offer,), conduct=Conduct()))
        (choice,) = pace_choices(read_card_access(access))
        drive(establish_pace(choice, key), card.answer)  # either side checks the other's token
        assert card.channel is not None
        card.reset()
        assert card.answer(bytes.fromhex("00A4040C07") + APPLICATION) == b"\x90\x00"
        keys = drive(establish_bac(key), card.answer)
        assert card.channel is not None
        assert keys.counter == card.channel.counter


def test_access_with_random_keys() -> None:
    rounds(60, 6)


@pytest.mark.slow
def test_access_with_a_thousand_random_keys() -> None:
    rounds(1000, 1)
