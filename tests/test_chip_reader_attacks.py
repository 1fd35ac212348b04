"""Whole readings with somebody in the way: copies that borrow a genuine chip, refusals that hide a proof, glitches."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from edged.core.emrtd import der, tlv
from edged.core.emrtd.apdu import Command, Response
from edged.core.emrtd.reader import ReadPlan
from edged.core.emrtd.security_infos import encode_infos
from edged.core.emrtd.suites import AES128
from edged.emulator.faults import Fault, FaultyCard
from edged.emulator.profiles import pace, profiles
from edged.errors import ChipError
from edged.verdict import Result
from tests.chip_run import CAM, EF, KEY, SUCCESS, Run, lay

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
    assert run.checks["chip_access"] == (Result.SUCCESSFUL, ["chip.pace_refused"]), "a weaker way is told"
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


# Chips that are odd.


@pytest.mark.parametrize("name", ["bac-plain", "pace-gm", CAM])
@pytest.mark.parametrize("said", [b"\x62\x83", b"\x6f\x0a\x84\x08\xa0\x00\x00\x02\x47\x10\x01\x00\x90\x00"])
def test_select_answered_with_a_warning_or_with_what_was_selected(name: str, said: bytes) -> None:
    """ISO/IEC 7816-4 §5.6: 62XX is done with a warning; data that nobody asked for is nobody's."""
    card = lay(name, octets=600)
    honest = card.card._select

    def select(command: Command) -> Response:
        response = honest(command)
        return Response.decode(said) if response.sw == 0x9000 else response

    card.card._instructions[0xA4] = select
    run = Run(card)
    run.assert_sound()
    whole = Run(lay(name, octets=600))
    assert run.checks == whole.checks
    assert set(run.reading.files) == set(whole.reading.files)


def test_a_warning_in_clear_selects_nothing() -> None:
    card = lay("bac-plain", octets=600)

    def answer(raw: bytes) -> bytes | None:
        return b"\x62\x83" if raw[0] & 0x0C and raw[1] == 0xA4 else card.answer(raw)

    run = Run(card, answer=answer)
    run.assert_sound()
    assert not set(run.reading.files)
    assert {reason.code for reason in run.reading.unread.values()} == {"chip.file_refused"}


def test_a_chip_without_ef_com_lacks_nothing() -> None:
    """What it lists is in the signed list: only where that can't be read is it missed."""
    card = lay("pace-gm", octets=600)
    del card.card.personalised.files[EF.COM]
    run = Run(card)
    run.assert_sound()
    assert EF.COM not in run.reading.unread
    assert EF.DG2 in run.reading.files
    card = lay("bac-plain", octets=600)
    del card.card.personalised.files[EF.COM]
    card.card.personalised.files[EF.SOD] = b"\x77\x05\x30\x03\x02\x01\x00"
    run = Run(card)
    assert run.reading.unread[EF.COM].code == "chip.file_absent"


@pytest.mark.parametrize("name", ["bac", "pace-gm"])
def test_a_chip_that_wants_to_be_asked_for_exactly_its_signature(name: str) -> None:
    """6CXX to active authentication (ISO/IEC 7816-4 §5.6) is no refusal."""
    card = lay(name, octets=600)
    honest = card.card._internal_authenticate

    def exact(command: Command) -> Response:
        response = honest(command)
        octets = len(response.data)
        return response if command.ne == octets else Response(b"", 0x6C00 | octets)

    card.card._instructions[0x88] = exact
    run = Run(card)
    run.assert_sound()
    assert run.reading.challenge is not None
    assert run.reading.challenge.answer
    card.card._instructions[0x88] = lambda _: Response(b"", 0x6C10)
    never = Run(card)
    assert never.reading.challenge is not None
    assert (never.reading.challenge.answer, never.reading.challenge.sw) == (None, 0x6C10)


@pytest.mark.parametrize("name", ["pace-gm", CAM, "bac"])
def test_a_chip_that_does_not_know_the_master_file(name: str) -> None:
    """6A87 or a word of its own to every SELECT of it: what is under it is found all the same."""
    card = lay(name, octets=600)
    honest = card.card._select

    def select(command: Command) -> Response:
        return Response(b"", 0x6A87) if command.p1 == 0 else honest(command)

    card.card._instructions[0xA4] = select
    run = Run(card)
    run.assert_sound()
    assert run.checks == Run(lay(name, octets=600)).checks


@pytest.mark.parametrize("name", profiles())
def test_no_le_where_chips_refuse_it(name: str) -> None:
    """SELECT and MSE (German documents), under secure messaging too; nothing asks for more than drivers pass on."""
    card = lay(name, octets=30000)
    honest = card.card._carry_out
    seen: list[Command] = []

    def carry_out(command: Command) -> Response:
        seen.append(command)
        return honest(command)

    card.card._carry_out = carry_out  # type: ignore[method-assign]
    run = Run(card, ReadPlan(KEY, max_apdu=None))
    run.assert_sound()
    assert EF.DG2 in run.reading.files
    quiet = [command for command in seen if command.ins in {0xA4, 0x22}]
    assert quiet
    assert not any(command.ne for command in quiet)
    assert max(command.ne for command in seen if command.ins == 0xB0) <= 4096
