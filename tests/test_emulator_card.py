"""What the emulated card lets a terminal do, and what it refuses."""

from __future__ import annotations

import random
from datetime import date

import pytest

from edged.core.emrtd import apdu, suites, tlv
from edged.core.emrtd.access_keys import can_key, mrz_key
from edged.core.emrtd.apdu import Command, Response
from edged.core.emrtd.bac import establish_bac
from edged.core.emrtd.files import APPLICATION, ElementaryFile
from edged.core.emrtd.pace import establish_pace
from edged.core.emrtd.pace_choice import pace_choices
from edged.core.emrtd.security_infos import read_card_access
from edged.core.emrtd.session import Session
from edged.core.emrtd.steps import drive
from edged.emulator.card import Card
from edged.emulator.chance import SystemChance
from edged.emulator.channel import BrokenChannelError, Channel
from edged.emulator.issuing import CAN
from edged.emulator.office import Office
from edged.emulator.personalised import Conduct, Personalised
from edged.emulator.profiles import profiles
from edged.errors import ChipError, IdentityLeakError
from tests.emulated_reading import KEY, PASSPORT, laid

SELECT_APPLICATION = Command(apdu.SELECT, 0x04, 0x0C, APPLICATION)
FILES = {
    ElementaryFile.COM: bytes.fromhex("60145F0104303130365F36063034303030305C026175"),
    ElementaryFile.DG1: bytes(range(200)) * 170,
    ElementaryFile.DG3: b"fingers",
    ElementaryFile.CARD_ACCESS: b"\x31\x00",
    ElementaryFile.SOD: b"SOD",
}


def card(**more: object) -> Card:
    return Card(Personalised(dict(FILES), KEY.octets(), **more))  # type: ignore[arg-type]


def ask(chip: Card, command: Command) -> Response:
    return Response.decode(chip.answer(command.encode()))


def opened(chip: Card) -> Session:
    assert ask(chip, SELECT_APPLICATION).sw == apdu.OK
    session = Session()
    session.secure(drive(establish_bac(KEY), chip.answer))
    return session


def send(chip: Card, session: Session, command: Command) -> Response:
    return drive(session.send(command), chip.answer)


def read_at(offset: int, ne: int) -> Command:
    return Command(apdu.READ_BINARY, offset >> 8, offset & 0xFF, ne=ne)


SELECTS = [
    pytest.param(Command(apdu.SELECT, 0x02, 0x0C, file.fid.to_bytes(2, "big")), id=f"select {file.value}")
    for file in FILES
    if file is not ElementaryFile.CARD_ACCESS
]
READS = [
    pytest.param(Command(apdu.READ_BINARY, 0x80 | file.sfi, 0, ne=4), id=f"read {file.value}")
    for file in FILES
    if file is not ElementaryFile.CARD_ACCESS
]


@pytest.mark.parametrize("command", [*SELECTS, *READS])
def test_nothing_is_read_before_access_control(command: Command) -> None:
    chip = card()
    assert ask(chip, SELECT_APPLICATION).sw == apdu.OK
    assert ask(chip, command) == Response(b"", apdu.SECURITY_STATUS_NOT_SATISFIED)


def test_card_access_is_read_by_everybody_and_lies_under_the_master_file() -> None:
    chip = card()
    assert ask(chip, Command(apdu.READ_BINARY, 0x80 | 0x1C, 0, ne=256)) == Response(b"\x31\x00", apdu.OK)
    assert ask(chip, Command(apdu.SELECT, 0x02, 0x0C, b"\x01\x1c")).sw == apdu.OK
    ask(chip, SELECT_APPLICATION)
    assert ask(chip, Command(apdu.SELECT, 0x02, 0x0C, b"\x01\x1c")).sw == apdu.FILE_NOT_FOUND
    assert ask(chip, Command(apdu.SELECT, 0x00, 0x0C, b"\x3f\x00")).sw == apdu.OK
    assert ask(chip, Command(apdu.SELECT, 0x00, 0x0C)).sw == apdu.OK
    assert ask(chip, read_at(0, 1)).sw == 0x6986


def test_fingers_are_not_read_even_in_a_session() -> None:
    chip = card()
    session = opened(chip)
    for command in (
        Command(apdu.SELECT, 0x02, 0x0C, b"\x01\x03"),
        Command(apdu.READ_BINARY, 0x80 | 0x03, 0, ne=4),
    ):
        assert send(chip, session, command).sw == apdu.SECURITY_STATUS_NOT_SATISFIED
    assert (
        send(chip, session, Command(apdu.READ_BINARY, 0x80 | 0x1E, 0, ne=4)).data
        == FILES[ElementaryFile.COM][:4]
    )


def test_basic_access_needs_the_right_key_the_application_and_a_fresh_challenge() -> None:
    chip = card()
    with pytest.raises(ChipError):  # the application isn't selected
        drive(establish_bac(KEY), chip.answer)
    ask(chip, SELECT_APPLICATION)
    with pytest.raises(ChipError):
        drive(establish_bac(mrz_key("L898902C3", "740812", "310416")), chip.answer)
    assert chip.log[-1] == (apdu.EXTERNAL_AUTHENTICATE, 0x6300)
    assert ask(chip, Command(apdu.EXTERNAL_AUTHENTICATE, data=bytes(40), ne=40)).sw == 0x6985
    closed = card(bac=False)
    ask(closed, SELECT_APPLICATION)
    with pytest.raises(ChipError):
        drive(establish_bac(KEY), closed.answer)
    assert closed.log[-1][1] == apdu.CONDITIONS_NOT_SATISFIED


def test_a_command_in_clear_ends_the_session() -> None:
    chip = card()
    session = opened(chip)
    assert ask(chip, Command(apdu.READ_BINARY, 0x80 | 0x1E, 0, ne=4)).sw == 0x6982
    with pytest.raises(ChipError):
        send(chip, session, read_at(0, 4))
    # The application is still selected: BAC is done again, and nothing else is needed.
    session.secure(drive(establish_bac(KEY), chip.answer))
    assert send(chip, session, Command(apdu.READ_BINARY, 0x80 | 0x1E, 0, ne=1)).data == b"\x60"


@pytest.mark.parametrize("at", range(4, 26))
def test_any_octet_of_a_protected_command_that_changes_ends_the_session(at: int) -> None:
    """What Lc counts at offset 4 included: then it is no APDU at all, and the session stays."""
    channel = Channel.derived(suites.DES3, b"seed of both")
    chip = card()
    ask(chip, SELECT_APPLICATION)
    chip.channel = channel
    good = bytes.fromhex("0CA4020C158709016375432908C044F68E08BF8B92D635FF24F800")
    changed = bytearray(good)
    changed[at] ^= 0x01
    said = chip.answer(bytes(changed))
    if at == 4:
        assert said == bytes.fromhex("6700")
    else:
        assert said[-2:] in {bytes.fromhex("6987"), bytes.fromhex("6988")}
        assert len(said) == 2
        assert chip.channel is None


def test_protected_objects_that_are_missing_doubled_or_out_of_order() -> None:
    for data, sw in (
        (b"", apdu.SM_OBJECTS_MISSING),
        (tlv.encode(0x97, b"\x04"), apdu.SM_OBJECTS_MISSING),
        (tlv.encode(0x8E, bytes(8)) + tlv.encode(0x97, b"\x04"), apdu.SM_OBJECTS_WRONG),
        (2 * tlv.encode(0x97, b"\x04") + tlv.encode(0x8E, bytes(8)), apdu.SM_OBJECTS_WRONG),
        (b"\x97\x05\x00", apdu.SM_OBJECTS_WRONG),
    ):
        channel = Channel.derived(suites.AES128, b"seed of both")
        with pytest.raises(BrokenChannelError) as refused:
            channel.unwrap(Command(apdu.READ_BINARY, data=data, cla=0x0C))
        assert refused.value.sw == sw


def test_the_end_of_a_file() -> None:
    chip = card(conduct=Conduct(warns_of_end=True))
    session = opened(chip)
    whole = FILES[ElementaryFile.COM]
    send(chip, session, Command(apdu.SELECT, 0x02, 0x0C, b"\x01\x1e"))
    assert send(chip, session, read_at(20, 10)) == Response(whole[20:], apdu.END_OF_FILE)
    assert send(chip, session, read_at(20, 256)) == Response(whole[20:], apdu.OK)
    assert send(chip, session, read_at(22, 1)).sw == apdu.WRONG_OFFSET
    assert send(chip, session, read_at(0, 0)).sw == apdu.WRONG_LENGTH


def test_offsets_beyond_fifteen_bits_take_the_odd_instruction() -> None:
    chip = card()
    session = opened(chip)
    whole = FILES[ElementaryFile.DG1]
    send(chip, session, Command(apdu.SELECT, 0x02, 0x0C, b"\x01\x01"))
    offset = tlv.encode(0x54, (33_000).to_bytes(2, "big"))
    for instruction_of in ((0, 0), (0, 0x01), (0x01, 0x01)):
        answer = send(chip, session, Command(apdu.READ_BINARY_ODD, *instruction_of, offset, 100))
        assert tlv.only(answer.data, 0x53) == whole[33_000:33_098]
    assert send(chip, session, Command(apdu.READ_BINARY_ODD, 0, 0, offset, 3000)).sw == apdu.OK


def test_answers_fit_the_response_that_was_asked_for() -> None:
    chip = card(conduct=Conduct(extended_octets=2000))
    session = opened(chip)
    send(chip, session, Command(apdu.SELECT, 0x02, 0x0C, b"\x01\x01"))
    assert len(send(chip, session, read_at(0, 256)).data) == 231
    assert len(send(chip, session, read_at(0, 65536)).data) == 1975
    assert len(chip.answer(b"\x00\x84\x00\x00\x00")) == 10  # in clear, and the session is over


@pytest.mark.parametrize("counts", [0, 1, 2, None])
def test_extended_length_is_refused_as_chips_in_the_field_do(counts: int | None) -> None:
    chip = card(conduct=Conduct(extended=False, counts_refused=counts))
    session = opened(chip)
    assert chip.channel is not None
    before = chip.channel.counter
    protected = Command(apdu.READ_BINARY, data=bytes(20), ne=1000, cla=0x0C).encode()
    if counts is None:
        assert send(chip, session, read_at(0, 1000)) == Response(b"", apdu.WRONG_LENGTH)
        assert chip.channel.counter == before + 2
    else:
        assert chip.answer(protected) == bytes.fromhex("6700")
        assert chip.channel.counter == before + counts


def test_short_reads_of_an_exit_entry_card() -> None:
    chip = card(conduct=profiles()["prc"].conduct)
    session = opened(chip)
    send(chip, session, Command(apdu.SELECT, 0x02, 0x0C, b"\x01\x01"))
    assert send(chip, session, read_at(0, 0xA1)).sw == 0x63CF
    assert len(send(chip, session, read_at(0, 0xA0)).data) == 0xA0


def test_pace_takes_the_can_where_the_card_has_one_and_its_steps_in_order() -> None:
    for name, opens in (("pace-3des", True), ("pace-gm", False)):
        chip = laid(profiles()[name]).card
        (choice, *_) = pace_choices(read_card_access(chip.personalised.files[ElementaryFile.CARD_ACCESS]))
        if opens:
            drive(establish_pace(choice, can_key(CAN)), chip.answer)
            continue
        with pytest.raises(ChipError) as refused:
            drive(establish_pace(choice, can_key(CAN)), chip.answer)
        assert refused.value.code == "chip.key_kind_unknown"
        template = tlv.encode(0x80, bytes.fromhex("04007F00070202040202")) + tlv.encode(0x83, b"\x01")
        assert ask(chip, Command(0x22, 0xC1, 0xA4, template)).sw == apdu.OK
        out_of_order = Command(0x86, 0, 0, tlv.encode(0x7C, tlv.encode(0x83, bytes(65))), 256, 0x10)
        assert ask(chip, out_of_order).sw == apdu.CONDITIONS_NOT_SATISFIED
        first = Command(0x86, 0, 0, tlv.encode(0x7C, b""), 256, 0x10)
        assert ask(chip, first).sw == apdu.CONDITIONS_NOT_SATISFIED, "the run is over after an error"


def test_a_chip_that_wants_to_be_told_the_parameters() -> None:
    chip = laid(profiles()["pace-gm"]).card
    chip.pace._contents.conduct = Conduct(needs_parameter=True)
    (choice,) = pace_choices(read_card_access(chip.personalised.files[ElementaryFile.CARD_ACCESS]))
    drive(establish_pace(choice, KEY), chip.answer)
    assert [sw for instruction, sw in chip.log if instruction == 0x22] == [0x6A87, apdu.OK]


def test_commands_that_are_none_or_unknown() -> None:
    chip = card()
    assert chip.answer(b"\x00\xa4") == bytes.fromhex("6700")
    assert chip.answer(b"") == bytes.fromhex("6700")
    assert ask(chip, Command(0xCA)).sw == apdu.INSTRUCTION_NOT_SUPPORTED
    assert ask(chip, Command(apdu.SELECT, cla=0x80)).sw == apdu.CLASS_NOT_SUPPORTED
    assert ask(chip, Command(apdu.SELECT, 0x04, 0x0C, b"\xa0\x00")).sw == apdu.FILE_NOT_FOUND
    assert ask(chip, Command(apdu.SELECT, 0x08, 0x0C, b"\xa0\x00")).sw == apdu.WRONG_PARAMETERS
    assert ask(chip, Command(apdu.GENERAL_AUTHENTICATE, data=b"\x7c\x00")).sw == 0x6985
    assert ask(chip, Command(0x22, 0x41, 0xA4, b"\x80\x00")).sw == apdu.REFERENCE_NOT_FOUND
    assert ask(chip, Command(0x22, 0xC1, 0xA4, b"\x80")).sw == 0x6A80
    assert ask(chip, Command(0x22, 0x11, 0xA4)).sw == apdu.WRONG_PARAMETERS
    assert ask(chip, Command(apdu.INTERNAL_AUTHENTICATE, data=bytes(8), ne=256)).sw == 0x6982
    assert chip.answer(bytes.fromhex("0CB000000D97010400")) == bytes.fromhex("6700")
    assert chip.answer(bytes.fromhex("0CB0000000")) == bytes.fromhex("6988"), "there is no session"


def test_a_chain_of_commands_is_one_command() -> None:
    chip = card()
    for cla, data in ((0x10, APPLICATION[:3]), (0x10, APPLICATION[3:5]), (0x00, APPLICATION[5:])):
        assert ask(chip, Command(apdu.SELECT, 0x04, 0x0C, data, cla=cla)).sw == apdu.OK
    assert ask(chip, Command(apdu.SELECT, 0x02, 0x0C, b"\x01\x1e")).sw == 0x6982, (
        "the application is selected"
    )


def test_garbage_never_raises() -> None:
    rng = random.Random(7)
    chips = [laid(profiles()[name]).card for name in ("pace-gm", "bac", "pace-cam")]
    heads = [
        bytes.fromhex(one) for one in ("00A404", "00B0", "00B1", "0022C1A4", "1086", "0C", "0082", "0022")
    ]
    for _ in range(3000):
        chip = rng.choice(chips)
        raw = rng.choice(heads) + rng.randbytes(rng.randrange(40))
        assert len(chip.answer(raw)) >= 2


def test_a_chip_shows_nothing_of_itself() -> None:
    chip = laid(profiles()["pace-gm"])
    for one in (chip, chip.card, chip.card.personalised, chip.card.pace, Channel.derived(suites.DES3, b"x")):
        with pytest.raises(IdentityLeakError):
            str(one)
        assert "ERIKSSON" not in repr(one)
    contents = chip.card.personalised
    for key in (contents.chip_key, contents.signing_key):
        assert str(getattr(key, "private", "PRIVATE KEY")) not in repr(key)


def test_the_same_seed_makes_the_same_document() -> None:
    """But for RSA, whose keys are as old as the process."""
    made = [
        Office("UT", on=date(2026, 6, 1), seed=seed).personalise(profiles()["pace-gm"], PASSPORT).files
        for seed in ("a", "a", "b")
    ]
    assert made[0] == made[1] != made[2]
    assert SystemChance().octets(8) != SystemChance().octets(8)
    assert 0 < SystemChance().scalar(3) < 3
