"""Whole readings with somebody in the way: copies that borrow a genuine chip, refusals that hide a proof, glitches."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from edged.core.emrtd import der, tlv
from edged.core.emrtd.security_infos import encode_infos
from edged.core.emrtd.suites import AES128
from edged.emulator.faults import Fault, FaultyCard
from edged.emulator.profiles import pace
from edged.errors import ChipError
from edged.verdict import Result
from tests.chip_run import CAM, EF, SUCCESS, Run, lay

LOST = b"\x69\x88"


def relayed(first: FaultyCard, then: FaultyCard, at: int) -> Callable[[bytes], bytes | None]:
    """Answers as one card, says at a command that the session is lost, and answers as another from there on."""
    sent = 0

    def answer(raw: bytes) -> bytes | None:
        nonlocal sent
        sent += 1
        return LOST if sent == at else (first if sent < at else then).answer(raw)

    return answer


def test_a_copy_cannot_borrow_a_genuine_chips_mapping() -> None:
    """PACE-CAM proves the chip at the other end of one session: one opened later has to prove itself again."""
    whole = Run(lay(CAM, octets=600))
    opened = next(at for at, command in enumerate(whole.commands, 1) if command[0] & 0x0C)
    for at in range(opened, len(whole.commands) + 1):
        copy = lay(CAM, Fault.CLONED, octets=600)
        run = Run(copy, answer=relayed(lay(CAM, octets=600), copy, at))
        assert run.reading.aborted is None
        assert EF.DG2 in run.reading.files
        assert run.checks["chip_authentication"] == (Result.FAILED, ["chip.cam_failed"]), at


def test_a_session_opened_again_by_the_same_chip_proves_it_again() -> None:
    run = Run(lay(CAM, f"{Fault.LOST_SESSION}:12"))
    run.assert_sound()
    assert run.reading.aborted is None
    assert run.checks["chip_authentication"] == SUCCESS


def both() -> FaultyCard:
    """A chip whose only proof is the mapping, with another way of PACE beside it, as it must have one."""
    card = lay(CAM)
    card.card.personalised.pace = (*card.card.personalised.pace, pace(13, "GM", AES128))
    infos = [
        tlv.encode(0x30, tlv.encode(6, der.encode_oid(one.oid)) + b"\x02\x01\x02\x02\x01\x0d")
        for one in card.card.personalised.pace
    ]
    card.card.personalised.files[EF.CARD_ACCESS] = encode_infos(infos)
    return card


def test_a_mapping_that_is_offered_and_refused_is_no_missing_proof() -> None:
    """A copy refuses the way that would show it: then nothing is proven, which is not the same as having no proof."""
    card = both()
    assert Run(card).checks["chip_authentication"] == SUCCESS
    card = both()
    cam = card.card.personalised.pace[0].oid

    def answer(raw: bytes) -> bytes | None:
        return b"\x6a\x80" if raw[1] == 0x22 and der.encode_oid(cam) in raw else card.answer(raw)

    run = Run(card, answer=answer)
    run.assert_sound()
    assert run.checks["chip_access"] == SUCCESS
    assert EF.DG2 in run.reading.files
    assert run.checks["chip_authentication"] == (Result.UNDETERMINED, ["chip.cam_not_done"])


# Glitches: what the air did is not held against the chip, and not for it either.


@pytest.mark.parametrize(("name", "instruction"), [("pace-gm", 0x88), ("pace-gm", 0x86), ("bac", 0x88)])
@pytest.mark.parametrize("times", [1, 2, 9])
@pytest.mark.parametrize("heard", [False, True], ids=["unheard", "answer lost"])
def test_a_command_of_a_proof_that_the_card_reader_loses(
    name: str, instruction: int, times: int, heard: bool
) -> None:
    """Asked for again; what stays unanswered is open, and never a copy's mark."""
    card = lay(name, octets=600)
    left = times

    def answer(raw: bytes) -> bytes | None:
        nonlocal left
        if raw[0] & 0x0C and raw[1] == instruction and left:
            left -= 1
            if heard:
                card.answer(raw)
            raise ChipError("chip.not_an_answer")
        return card.answer(raw)

    run = Run(card, answer=answer)
    run.assert_sound()
    assert run.checks["chip_access"] == SUCCESS
    assert EF.DG2 in run.reading.files
    if instruction == 0x88:
        assert (run.reading.challenge is None) == (times > 1)
        if times > 1:
            assert run.reading.unread[EF.DG15].code == "chip.not_an_answer"
    elif times == 1:
        assert run.checks["chip_authentication"] == SUCCESS
    else:
        assert run.checks["chip_authentication"] == (Result.UNDETERMINED, ["chip.not_an_answer"])


@pytest.mark.parametrize("instruction", [0x88, 0x86, 0x22])
def test_a_refusal_in_clear_proves_nothing(instruction: int) -> None:
    """Anybody on the link can say 6A80: it is not the chip that refused its proof."""
    card = lay("pace-gm", octets=600)

    def answer(raw: bytes) -> bytes | None:
        return b"\x6a\x80" if raw[0] & 0x0C and raw[1] == instruction else card.answer(raw)

    run = Run(card, answer=answer)
    run.assert_sound()
    assert EF.DG2 in run.reading.files
    if instruction == 0x88:
        assert run.reading.challenge is None
        assert run.reading.unread[EF.DG15].code == "sm.unprotected"
    else:
        assert run.checks["chip_authentication"] == (Result.UNDETERMINED, ["sm.unprotected"])
