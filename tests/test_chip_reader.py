"""Whole readings of emulated documents: what is read, in which order, how it is opened, what copies show."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest

from edged.core.emrtd import tlv
from edged.core.emrtd.access_keys import AccessKey, can_key
from edged.core.emrtd.files import APPLICATION
from edged.core.emrtd.reader import ReadPlan, read_chip
from edged.core.emrtd.steps import FileProgress, Phase, PhaseBegan, drive
from edged.emulator.faults import Fault, FaultyCard
from edged.emulator.profiles import profiles
from edged.verdict import Result
from tests.chip_card import Card, file_of
from tests.chip_run import CAM, EF, KEY, LINES, SUCCESS, WRONG, Run, lay, office, portrait


@pytest.mark.parametrize("name", profiles())
@pytest.mark.parametrize("max_apdu", [256, 1000, 65536, None])
def test_every_kind_of_document(name: str, max_apdu: int | None) -> None:
    run = Run(lay(name), ReadPlan(KEY, max_apdu=max_apdu))
    run.assert_sound()
    profile = profiles()[name]
    wanted = set(run.card.card.personalised.files) - {EF.DG3}
    assert set(run.reading.files) == wanted
    assert run.checks["chip_access"] == SUCCESS
    proves = profile.chip_authentication is not None or name == CAM
    assert run.checks.get("chip_authentication") == (SUCCESS if proves else None)
    assert (run.reading.challenge is not None) == (profile.active_authentication is not None)
    if run.reading.challenge is not None:
        assert run.reading.challenge.answer
        assert len(run.reading.challenge.nonce) == 8
    assert set(run.reading.unread) == ({EF.DG3} if profile.fingers else set())
    assert run.reading.aborted is None


@pytest.mark.parametrize("name", [name for name, profile in profiles().items() if profile.can])
def test_card_access_number(name: str) -> None:
    run = Run(lay(name), ReadPlan(can_key("123456")))
    run.assert_sound()
    assert run.checks["chip_access"] == SUCCESS
    assert EF.DG2 in run.reading.files


def test_order_lets_the_verdict_appear_soonest() -> None:
    run = Run(lay("pace-gm"))
    assert run.names == [
        *("EF.CardAccess", "EF.SOD", "EF.COM", "DG1", "DG14", "DG15", "DG11", "DG12", "DG2"),
    ]
    phases = [fact.phase for fact in run.facts if isinstance(fact, PhaseBegan)]
    assert phases == [
        Phase.SELECT,
        Phase.ACCESS,
        Phase.DATA,
        Phase.AUTHENTICATION,
        Phase.DATA,
        Phase.PORTRAIT,
    ]
    octets = {fact.file: fact for fact in run.facts if isinstance(fact, FileProgress)}
    assert {name: (fact.octets, fact.total) for name, fact in octets.items()} == {
        file.value: (len(content), len(content)) for file, content in run.reading.files.items()
    }
    camera = Run(lay(CAM))
    assert camera.names[:2] == ["EF.CardAccess", "EF.CardSecurity"]
    assert camera.names[-1] == "DG2"


def test_fingerprints_are_never_asked_for() -> None:
    card = lay("bac-plain")
    card.card.personalised.files[EF.DG3] = file_of(50, 0x63)
    for name in ("pace-gm", "ca-3des", "pace-aes256"):
        run = Run(lay(name))
        assert run.reading.unread[EF.DG3].code == "chip.needs_terminal_authentication"
        assert (0xA4, 0x6982) not in run.card.card.log, "no SELECT was refused"


def test_portrait_only_when_wanted() -> None:
    run = Run(lay("bac-plain"), ReadPlan(KEY, portrait=False))
    run.assert_sound()
    assert "DG2" not in run.names
    assert run.reading.unread == {}
    chosen = Run(lay("bac-plain"), ReadPlan(KEY, wanted=frozenset((EF.DG2, EF.DG3))))
    assert chosen.names == ["EF.SOD", "EF.COM", "DG1", "DG2"]


def test_no_le_on_select_and_nothing_unprotected_after_opening() -> None:
    run = Run(lay("pace-gm"))
    opened = next(at for at, command in enumerate(run.commands) if command[0] & 0x0C)
    assert all(command[0] & 0x0C for command in run.commands[opened:])
    clear = [command for command in run.commands[:opened] if command[1] == 0xA4]
    assert clear
    assert all(len(command) in {4, 5 + command[4]} for command in clear)


# Opening it.


@pytest.mark.parametrize("name", ["pace-gm", "pace-cam", "pace-im", "pace-dh", "pace-3des", "bac", "ca-3des"])
def test_wrong_key(name: str) -> None:
    run = Run(lay(name), ReadPlan(WRONG))
    run.assert_sound()
    assert run.checks == {"chip_access": (Result.FAILED, ["chip.wrong_key"])}
    assert set(run.reading.files) <= {EF.CARD_ACCESS}
    assert {file.value: reason.code for file, reason in run.reading.unread.items()} == dict.fromkeys(
        ("EF.SOD", "EF.COM", "DG1"), "chip.wrong_key"
    )
    assert run.reading.aborted is None
    assert (0x84 in run.sent) == (not name.startswith("pace")), "PACE that fails never becomes BAC by itself"


def test_failed_pace_becomes_bac_only_by_policy_and_stays_failed() -> None:
    strict = Run(lay("pace-gm", "pace-fails"))
    strict.assert_sound()
    assert strict.checks["chip_access"] == (Result.FAILED, ["chip.wrong_key"])
    assert 0x84 not in strict.sent
    lenient = Run(lay("pace-gm", "pace-fails"), ReadPlan(KEY, bac_after_failed_pace=True))
    lenient.assert_sound()
    assert lenient.checks["chip_access"] == (Result.FAILED, ["chip.wrong_key", "chip.bac_after_pace"])
    assert {EF.SOD, EF.DG1, EF.DG2} <= set(lenient.reading.files)
    neither = Run(lay("pace-gm", "pace-fails"), ReadPlan(WRONG, bac_after_failed_pace=True))
    assert neither.checks["chip_access"] == (Result.FAILED, ["chip.wrong_key", "chip.bac_after_pace_failed"])
    assert EF.DG1 not in neither.reading.files
    no_mrz = Run(lay("pace-3des", "pace-fails"), ReadPlan(can_key("123456"), bac_after_failed_pace=True))
    assert no_mrz.checks["chip_access"][1] == ["chip.wrong_key"]
    assert 0x84 not in no_mrz.sent


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"\x31\x03\x30\x01\x00", "security_infos.malformed"),
        (
            b"\x31\x14\x30\x12\x06\x0a\x04\x00\x7f\x00\x07\x02\x02\x04\x02\x02\x02\x01\x02\x02\x01\x63",
            "chip.pace_unknown",
        ),
        (b"\xff" * 20, "tlv.bad_tag"),
    ],
    ids=["garbage", "unknown group", "no data object"],
)
def test_pace_that_cannot_be_understood_is_no_leave_for_bac(content: bytes, code: str) -> None:
    card = lay("pace-gm")
    card.card.personalised.files[EF.CARD_ACCESS] = content
    run = Run(card)
    run.assert_sound()
    result, codes = run.checks["chip_access"]
    assert result is Result.UNDETERMINED
    assert len(codes) == 1
    assert codes[0] == code or codes[0].split(".")[0] in {"security_infos", "tlv", "der"}
    assert 0x84 not in run.sent
    card = lay("pace-gm")
    card.card.personalised.files[EF.CARD_ACCESS] = content
    lenient = Run(card, ReadPlan(KEY, bac_after_failed_pace=True))
    assert lenient.checks["chip_access"] == (Result.UNDETERMINED, [*codes, "chip.bac_after_pace"])
    assert EF.DG1 in lenient.reading.files


@pytest.mark.parametrize("name", ["pace-gm", "bac"])
def test_no_key(name: str) -> None:
    run = Run(lay(name), ReadPlan(None))
    run.assert_sound()
    assert run.checks == {"chip_access": (Result.UNDETERMINED, ["chip.no_key"])}
    with_can = Run(lay("bac"), ReadPlan(can_key("123456")))
    assert with_can.checks == {"chip_access": (Result.UNDETERMINED, ["chip.bac_needs_mrz"])}


class OldCard(Card):
    """A chip from before access control: no challenge, no protection."""

    def answer(self, head: bytes, data: bytes, ne: int) -> tuple[bytes, int]:
        if head[1] == 0xA4 and head[2] == 4:
            return b"", 0x9000 if data == APPLICATION else 0x6A82
        if head[1] == 0xA4 and head[2] == 0:
            return b"", 0x6A86
        if head[1] not in {0xA4, 0xB0, 0xB1}:
            return b"", 0x6D00
        return super().answer(head, data, ne)


@pytest.mark.parametrize("key", [None, KEY, can_key("123456")], ids=["no key", "MRZ", "CAN"])
def test_chip_without_access_control(key: AccessKey | None) -> None:
    com = tlv.encode(0x60, b"\x5f\x01\x040107\x5f\x36\x06040000\x5c\x03\x61\x75\x6b")
    files = {0x011E: com, 0x0101: file_of(93), 0x0102: file_of(2000, 0x75), 0x010B: file_of(40, 0x6B)}
    card = OldCard(files)
    reading = drive(read_chip(ReadPlan(key)), card.transmit)
    (check,) = reading.checks
    assert (check.name, check.result) == ("chip_access", Result.NOT_SUPPORTED)
    assert [reason.code for reason in check.reasons] == ["chip.no_access_control"]
    assert reading.files == {
        EF.COM: com,
        EF.DG1: files[0x0101],
        EF.DG11: files[0x010B],
        EF.DG2: files[0x0102],
    }
    assert {file.value: reason.code for file, reason in reading.unread.items()} == {
        "EF.SOD": "chip.file_absent"
    }


def test_card_that_is_no_travel_document() -> None:
    reading = drive(read_chip(ReadPlan(KEY)), lambda _: b"\x6a\x82")
    (check,) = reading.checks
    assert (check.name, check.result) == ("chip_access", Result.UNDETERMINED)
    assert [reason.code for reason in check.reasons] == ["chip.no_application"]


def test_data_groups_of_ef_com_where_the_signed_list_is_unreadable() -> None:
    card = lay("bac-plain")
    card.card.personalised.files[EF.SOD] = tlv.encode(0x77, b"\x30\x03\x02\x01\x00")
    run = Run(card)
    run.assert_sound()
    assert run.names == ["EF.SOD", "EF.COM", "DG1", "DG11", "DG12", "DG2"]


# Copies.


@pytest.mark.parametrize(
    "name", ["pace-gm", "pace-im", "pace-dh", "pace-3des", "pace-aes256", "ca-3des", "ca-dh", CAM]
)
def test_copy_without_the_private_key(name: str) -> None:
    run = Run(lay(name, Fault.CLONED))
    run.assert_sound()
    code = "chip.cam_failed" if name == CAM else "chip.ca_not_proven"
    assert run.checks == {"chip_access": SUCCESS, "chip_authentication": (Result.FAILED, [code])}
    assert set(run.reading.files) == set(run.card.card.personalised.files) - {EF.DG3}, "read in a new session"
    assert run.reading.aborted is None


def test_chip_that_refuses_its_proof() -> None:
    card = lay("pace-gm")
    card.card.personalised.chip_key = None
    card.card.personalised.signing_key = None
    run = Run(card)
    run.assert_sound()
    assert run.checks["chip_authentication"] == (Result.FAILED, ["chip.ca_failed"])
    assert run.reading.challenge is not None
    assert (run.reading.challenge.answer, run.reading.challenge.sw) == (None, 0x6D00)
    assert EF.DG2 in run.reading.files


def test_copy_that_refuses_everything_afterwards() -> None:
    """What was seen stays seen when the chip plays dead."""
    card = lay("pace-gm", Fault.CLONED)

    def answer(raw: bytes) -> bytes | None:
        agreed = card.card.log.count((0x86, 0x9000)) == 5  # four times in PACE, once in chip authentication
        return b"\x6f\x00" if agreed else card.answer(raw)

    run = Run(card, answer=answer)
    run.assert_sound()
    assert run.checks["chip_authentication"] == (Result.FAILED, ["chip.ca_not_proven"])
    assert run.reading.aborted is not None
    assert EF.DG14 in run.reading.files


def test_hidden_key_is_no_missing_key() -> None:
    """The signed list has a DG14 and the chip won't give it: that isn't a chip without chip authentication."""
    card = lay("pace-gm")
    del card.card.personalised.files[EF.DG14]
    run = Run(card)
    run.assert_sound()
    assert run.checks["chip_authentication"] == (Result.UNDETERMINED, ["chip.file_absent"])
    assert run.reading.unread[EF.DG14].code == "chip.file_absent"


def test_mapping_without_its_file_proves_nothing() -> None:
    card = lay(CAM)
    del card.card.personalised.files[EF.CARD_SECURITY]
    run = Run(card)
    run.assert_sound()
    assert run.checks["chip_authentication"] == (Result.UNDETERMINED, ["chip.file_absent"])
    assert EF.DG2 in run.reading.files


def test_long_signature_needs_a_long_answer() -> None:
    """RSA 2048 doesn't fit a short protected answer: some chips cut it off, and then there is nothing to verify."""
    card = lay("aa-rsa")
    key = profiles()["aa-rsa"]
    assert key.active_authentication is not None
    longer = dataclasses.replace(
        key, active_authentication=dataclasses.replace(key.active_authentication, bits=2048)
    )
    for max_apdu, sized in [(65536, 256), (256, None)]:
        card = office().lay(longer, LINES, portrait=portrait(500))
        honest = card.card._internal_authenticate

        def cut(command: object, card: FaultyCard = card, honest: Callable[..., object] = honest) -> object:
            response = honest(command)
            return response._replace(data=response.data[: card.card._capacity()])  # type: ignore[attr-defined]

        card.card._instructions[0x88] = cut  # type: ignore[assignment]
        run = Run(card, ReadPlan(KEY, max_apdu=max_apdu))
        if sized:
            assert run.reading.challenge is not None
            assert run.reading.challenge.answer is not None
            assert len(run.reading.challenge.answer) == sized
        else:
            assert run.reading.challenge is None
            assert run.reading.unread[EF.DG15].code == "chip.needs_long_answers"
        assert EF.DG2 in run.reading.files
