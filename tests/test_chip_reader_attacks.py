"""Whole readings with somebody in the way: copies that borrow a genuine chip, refusals that hide a proof, glitches."""

from __future__ import annotations

from collections.abc import Callable

from edged.core.emrtd import der, tlv
from edged.core.emrtd.security_infos import encode_infos
from edged.core.emrtd.suites import AES128
from edged.emulator.faults import Fault, FaultyCard
from edged.emulator.profiles import pace
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
