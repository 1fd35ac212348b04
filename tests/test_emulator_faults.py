"""Faults of the chip and of the way to it: each strikes where it says, and only there."""

from __future__ import annotations

import pytest

from edged.core.emrtd import apdu
from edged.core.emrtd.access_keys import mrz_key
from edged.core.emrtd.active import verify_active
from edged.core.emrtd.files import ElementaryFile
from edged.emulator.faults import ISSUING, Fault, Injected
from edged.emulator.profiles import profiles
from edged.errors import ChipError, ChipGoneError, DecodeError
from tests.emulated_reading import NONCE, laid, read_card

KEY = mrz_key("L898902C3", "740812", "310415")
PACE_GM = profiles()["pace-gm"]


def test_faults_by_name() -> None:
    assert Injected.parse("cloned") == Injected(Fault.CLONED, 1)
    assert Injected.parse("removed") == Injected(Fault.REMOVED, 12)
    assert Injected.parse("removed:3") == Injected(Fault.REMOVED, 3)
    for text in ("", "nonsense", "removed:", "removed:0", "removed:x", "cloned:3", "removed:-1"):
        with pytest.raises(ValueError):
            Injected.parse(text)


@pytest.mark.parametrize("fault", [fault for fault in Fault if fault in ISSUING])
@pytest.mark.parametrize("name", ["pace-gm", "bac"])
def test_a_document_with_a_fault_of_issuing_is_read_like_any_other(name: str, fault: Fault) -> None:
    profile = profiles()[name]
    chip = laid(profile, fault.value)
    if fault is Fault.CLONED and profile.chip_authentication:
        with pytest.raises(ChipError):
            read_card(chip, KEY)
        assert chip.card.log[-1][1] == apdu.SM_OBJECTS_WRONG
        return
    got = read_card(chip, KEY)
    if profile.active_authentication:
        checked = verify_active(got.files[ElementaryFile.DG15], NONCE, got.signature)
        assert (checked.result == "successful") is (fault is not Fault.CLONED)


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (Fault.WRONG_MAC, None),
        (Fault.LOST_SESSION, "sm.lost"),
        (Fault.PACE_FAILS, None),
        (Fault.UNPROTECTED, None),
    ],
)
@pytest.mark.parametrize("at", [1, 4, 9])
def test_a_chip_that_misbehaves_is_noticed(fault: Fault, code: str | None, at: int) -> None:
    if fault is Fault.PACE_FAILS:
        chip = laid(PACE_GM, fault.value)
    else:
        chip = laid(PACE_GM, f"{fault.value}:{at}")
    with pytest.raises((ChipError, AssertionError)) as noticed:
        read_card(chip, KEY)
    if code is not None:
        assert isinstance(noticed.value, ChipError)
        assert noticed.value.code == code
    protected = len(chip.card.log) - _commands_before_session()
    if fault is Fault.LOST_SESSION:
        assert protected == at - 1
    elif fault is Fault.WRONG_MAC:
        assert protected == at
    elif fault is Fault.PACE_FAILS:
        assert not chip.card.personalised.conduct.tries
        assert chip.card.channel is None


def _commands_before_session() -> int:
    """SELECT MF, CardAccess (one SELECT, two reads or one), MSE, four times General Authenticate."""
    chip = laid(PACE_GM)
    read_card(chip, KEY)
    return 1 + max(at for at, (instruction, _) in enumerate(chip.card.log[:15]) if instruction == 0x86)


def test_a_file_that_ends_too_early() -> None:
    chip = laid(PACE_GM, "truncated-file")
    with pytest.raises((ChipError, DecodeError)):
        read_card(chip, KEY)
    assert chip.card.log[-1][1] == apdu.WRONG_OFFSET


def test_a_wrong_status_word_comes_once() -> None:
    chip = laid(PACE_GM, "wrong-status:4")
    with pytest.raises(ChipError):
        read_card(chip, KEY)
    chip.reset()
    read_card(chip, KEY)


def test_extended_length_refused() -> None:
    chip = laid(PACE_GM, "no-extended-length")
    read_card(chip, KEY)
    assert 0x6700 in {sw for _, sw in chip.card.log}
    assert profiles()["pace-gm"].conduct.extended, "the kind itself is as it was"


@pytest.mark.parametrize("at", [1, 5, 12, 30])
def test_a_card_that_is_taken_away(at: int) -> None:
    chip = laid(PACE_GM, f"removed:{at}")
    with pytest.raises(ChipGoneError):
        read_card(chip, KEY)
    assert len(chip.card.log) == at - 1


def test_a_card_that_is_taken_away_in_the_middle_of_an_answer() -> None:
    chip = laid(PACE_GM, "torn:3")
    assert chip.say(bytes.fromhex("00A4000C023F00")) == (bytes.fromhex("9000"), True)
    heard, whole = chip.say(bytes.fromhex("00A4000C023F00"))
    assert (heard, whole) == (b"\x90", False)
    assert chip.answer(bytes.fromhex("00A4000C023F00")) is None


def test_a_slow_chip_tells_its_host_how_long_it_takes() -> None:
    assert laid(PACE_GM, "slow:250").delay_s == 0.25
    assert laid(PACE_GM, "slow").delay_s == 0.1
    assert laid(PACE_GM).delay_s == 0
    read_card(laid(PACE_GM, "slow"), KEY)
