"""Whole readings of emulated documents: what is read, in which order, and what becomes of what goes wrong."""

from __future__ import annotations

import dataclasses
import datetime
import random
from collections.abc import Callable, Sequence
from functools import cache

import pytest

from edged import messages
from edged.core.emrtd import tlv
from edged.core.emrtd.access_keys import AccessKey, can_key, mrz_key
from edged.core.emrtd.chip_reading import ChipReading
from edged.core.emrtd.files import APPLICATION, ElementaryFile
from edged.core.emrtd.reader import ReadPlan, read_chip
from edged.core.emrtd.steps import FileProgress, Phase, PhaseBegan, Step, drive
from edged.emulator.faults import ISSUING, Fault, FaultyCard, Injected
from edged.emulator.office import Office
from edged.emulator.personalised import Personalised
from edged.emulator.profiles import profiles
from edged.errors import ChipError, ChipGoneError
from edged.verdict import Result
from tests.chip_card import Card, file_of

EF = ElementaryFile
LINES = ("P<UTOERIKSSON<<ANNA<MARIA<<<<<<<<<<<<<<<<<<<", "L898902C36UTO7408122F1204159ZE184226B<<<<<10")
KEY = mrz_key("L898902C3", "740812", "120415")
WRONG = mrz_key("L898902C4", "740812", "120415")
CAM = "pace-cam"


@cache
def office() -> Office:
    return Office("UT", on=datetime.date(2026, 11, 1), seed="reader")


@cache
def portrait(octets: int) -> tuple[bytes, tuple[int, int]]:
    """What takes the place of a portrait: the reader never looks at it."""
    return random.Random(octets).randbytes(octets), (35, 45)


@cache
def issued(name: str, fault: str | None, octets: int) -> Personalised:
    injected = None if fault is None else Injected.parse(fault)
    return office().personalise(profiles()[name], LINES, injected, portrait=portrait(octets))


def lay(name: str, fault: str | None = None, octets: int = 3000, **conduct: object) -> FaultyCard:
    """A document of its own: a test may change what is on it."""
    injected = None if fault is None else Injected.parse(fault)
    made = issued(name, fault if injected is not None and injected.fault in ISSUING else None, octets)
    own = Personalised(
        dict(made.files),
        made.mrz_information,
        can=made.can,
        bac=made.bac,
        pace=made.pace,
        mapping_key=made.mapping_key,
        chip_key=made.chip_key,
        signing_key=made.signing_key,
        conduct=dataclasses.replace(made.conduct, **conduct),  # type: ignore[arg-type]
    )
    return FaultyCard(own, injected)


class Run:
    """One reading: what came of it, and what was said on the way."""

    def __init__(
        self,
        card: FaultyCard,
        plan: ReadPlan | None = None,
        *,
        budget_s: dict[Phase, float] | None = None,
        clock: Callable[[], float] = lambda: 0.0,
        answer: Callable[[bytes], bytes | None] | None = None,
    ) -> None:
        self.card = card
        self.answer = answer or card.answer
        self.commands: list[bytes] = []
        self.facts: list[Step] = []
        self.reading: ChipReading = drive(
            read_chip(plan or ReadPlan(KEY, max_apdu=65536)),
            self.transmit,
            watch=self.facts.append,
            budget_s=budget_s,
            clock=clock,
        )

    def transmit(self, command: bytes) -> bytes:
        self.commands.append(command)
        answer = self.answer(command)
        if answer is None:
            raise ChipGoneError("chip.gone")
        return answer

    @property
    def checks(self) -> dict[str, tuple[Result, list[str]]]:
        return {
            check.name: (check.result, [reason.code for reason in check.reasons])
            for check in self.reading.checks
        }

    @property
    def names(self) -> list[str]:
        return [file.value for file in self.reading.files]

    @property
    def sent(self) -> list[int]:
        """Instructions, in order."""
        return [command[1] for command in self.commands]

    def assert_sound(self) -> None:
        """What holds for every reading: octets as on the chip, nothing both read and unread, sentences for all."""
        chip = self.card.card.personalised.files
        assert all(chip[file] == octets for file, octets in self.reading.files.items())
        assert not set(self.reading.files) & set(self.reading.unread) - {EF.DG15}
        reasons = [*self.reading.unread.values()] + ([self.reading.aborted] if self.reading.aborted else [])
        for reason in [*reasons, *(reason for check in self.reading.checks for reason in check.reasons)]:
            assert messages.known(reason.code), reason.code
        assert "chip_access" in self.checks


SUCCESS = (Result.SUCCESSFUL, [])


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


# The way to it.


@pytest.mark.parametrize("name", ["pace-gm", "bac", CAM])
def test_card_taken_away_at_every_command(name: str) -> None:
    whole = Run(lay(name, octets=600))
    before: set[ElementaryFile] = set()
    for at in range(1, len(whole.commands) + 1):
        run = Run(lay(name, f"removed:{at}", octets=600))
        run.assert_sound()
        assert len(run.commands) == at, "nothing is sent to a chip that is gone"
        assert run.reading.aborted is not None
        assert run.reading.aborted.code == "chip.gone"
        assert before <= set(run.reading.files), "what was read is kept"
        before = set(run.reading.files)
        assert {EF.SOD, EF.COM, EF.DG1} <= before | set(run.reading.unread)
        assert all(result in {Result.SUCCESSFUL, Result.ABORTED} for result, _ in run.checks.values())
    assert run.reading.unread[EF.DG2].code == "chip.gone"
    assert Run(lay(name, f"removed:{at + 1}", octets=600)).reading.aborted is None


def test_card_taken_away_at_octets() -> None:
    heard = 0

    card = lay("bac-plain", octets=600)

    def answer(raw: bytes) -> bytes | None:
        nonlocal heard
        said = card.answer(raw)
        heard += len(said or b"")
        return said

    Run(card, answer=answer)
    for at in range(1, heard, 61):
        run = Run(lay("bac-plain", f"torn:{at}", octets=600))
        run.assert_sound()
        assert run.reading.aborted is not None
    assert Run(lay("bac-plain", f"torn:{heard}", octets=600)).reading.aborted is None


@pytest.mark.parametrize("fault", [Fault.WRONG_MAC, Fault.UNPROTECTED, Fault.LOST_SESSION])
@pytest.mark.parametrize("name", ["bac-plain", "pace-gm", CAM])
def test_session_broken_once_anywhere(name: str, fault: Fault) -> None:
    """Opened again and read to the end, whichever answer it was; only a proof that was under way may be lost."""
    whole = Run(lay(name, octets=600))
    protected = sum(bool(command[0] & 0x0C) for command in whole.commands)
    for at in range(1, protected + 1, 1 if name == "bac-plain" else 2):
        run = Run(lay(name, f"{fault}:{at}", octets=600))
        run.assert_sound()
        assert run.reading.aborted is None, at
        assert run.checks["chip_access"] == SUCCESS
        assert set(run.reading.files) == set(whole.reading.files), at
        proof = run.checks.get("chip_authentication", SUCCESS)
        assert proof == SUCCESS or proof[0] is Result.FAILED


@pytest.mark.parametrize("name", ["bac-plain", "pace-gm"])
def test_one_wrong_status_anywhere(name: str) -> None:
    whole = Run(lay(name, octets=600))
    for at in range(1, len(whole.commands) + 1):
        run = Run(lay(name, f"wrong-status:{at}", octets=600))
        run.assert_sound()
        if run.reading.aborted is not None:  # said to SELECT of the application: then it has none
            assert run.reading.aborted.code == "chip.no_application"
        elif run.checks["chip_access"][0] is Result.SUCCESSFUL:
            assert len(set(whole.reading.files) - set(run.reading.files)) <= 2, at


@pytest.mark.parametrize("counts", [None, 0, 1, 2])
@pytest.mark.parametrize("name", ["pace-gm", "bac-plain"])
def test_extended_length_refused(name: str, counts: int | None) -> None:
    run = Run(lay(name, extended=False, counts_refused=counts))
    run.assert_sound()
    assert EF.DG2 in run.reading.files
    assert run.reading.aborted is None
    openings = sum(command[1] == (0x84 if name == "bac-plain" else 0x22) for command in run.commands)
    assert openings <= 2 + (name == "pace-gm")


def test_prc_card_reads_in_small_blocks() -> None:
    """63CF until no more than 0xA0 octets are asked for, in clear or protected."""
    run = Run(lay("prc"), ReadPlan(KEY, max_apdu=None))
    run.assert_sound()
    assert EF.DG2 in run.reading.files
    refused = run.card.card.log.count((0xB0, 0x63CF))
    assert 1 <= refused <= 4, "tried once, remembered"


def test_truncated_portrait_costs_the_portrait() -> None:
    run = Run(lay("pace-gm", Fault.TRUNCATED_FILE))
    run.assert_sound()
    assert run.reading.unread[EF.DG2].code == "chip.read_refused"
    assert run.reading.aborted is None
    assert run.checks["chip_authentication"] == SUCCESS


class Slow:
    """A clock on which every command takes a second."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 1.0
        return self.now


@pytest.mark.parametrize("phase", Phase)
def test_slow_phase(phase: Phase) -> None:
    run = Run(lay("pace-gm"), budget_s={phase: 2.5}, clock=Slow())
    run.assert_sound()
    if phase is Phase.PORTRAIT:
        assert run.reading.aborted is None
        assert run.reading.unread[EF.DG2].code == "chip.too_slow"
        assert {EF.SOD, EF.DG1, EF.DG12} <= set(run.reading.files)
        assert run.checks == {"chip_access": SUCCESS, "chip_authentication": SUCCESS}
        return
    assert run.reading.aborted is not None
    assert (run.reading.aborted.code, run.reading.aborted.params) == ("chip.too_slow", {"phase": phase.value})
    if phase in {Phase.SELECT, Phase.ACCESS}:
        assert run.checks["chip_access"][0] is Result.ABORTED
    if phase is Phase.AUTHENTICATION:
        assert run.checks["chip_authentication"][0] is Result.ABORTED


def test_reader_that_does_not_pass_long_answers_on() -> None:
    """A card reader whose driver doesn't tell, and fails at the first long command: short ones go on, in step."""
    card = lay("pace-gm")
    commands = []

    def transmit(command: bytes) -> bytes:
        commands.append(command)
        if len(command) > 6 and command[4] == 0:
            raise ChipError("chip.too_long")
        answer = card.answer(command)
        assert answer is not None
        return answer

    reading = drive(read_chip(ReadPlan(KEY, max_apdu=None)), transmit)
    assert EF.DG2 in reading.files
    assert reading.aborted is None
    assert sum(command[1] == 0x22 and not command[0] for command in commands) == 1, "opened once"


# Whatever a chip answers.


def garbage(rng: random.Random) -> bytes:
    kind = rng.randrange(6)
    if kind == 0:
        return rng.randbytes(rng.randrange(0, 300))
    sw = rng.choice(
        [0x9000, 0x6282, 0x63CF, 0x6C10, 0x6100, 0x6700, 0x6982, 0x6988, 0x6A82, 0x6B00]
    ).to_bytes(2, "big")
    if kind < 3:
        return sw
    tag = rng.choice([0x31, 0x77, 0x60, 0x61, 0x6E, 0x7C, 0x87, 0x99])
    length = rng.choice([0, 5, 100, 1000, 60000])
    return tlv.encode(tag, bytes(length))[: rng.randrange(1, 260)] + sw


@pytest.mark.parametrize("seed", range(80))
def test_a_chip_of_nonsense(seed: int) -> None:
    rng = random.Random(seed)
    sent = 0

    def transmit(_: bytes) -> bytes:
        nonlocal sent
        sent += 1
        assert sent < 20000
        return garbage(rng)

    reading = drive(read_chip(ReadPlan(KEY, bac_after_failed_pace=bool(seed & 1), max_apdu=None)), transmit)
    assert reading.checks[0].name == "chip_access"
    assert reading.checks[0].result is not Result.SUCCESSFUL


@pytest.mark.parametrize("seed", range(40))
def test_a_link_that_changes_answers(seed: int) -> None:
    """Under secure messaging nothing that was changed on its way is ever taken for the chip's."""
    rng = random.Random(seed)
    name = rng.choice(["bac-plain", "pace-gm", CAM, "ca-3des", "pace-3des"])
    card = lay(name)
    share = rng.choice([0.01, 0.05, 0.3])

    def answer(raw: bytes) -> bytes | None:
        said = card.answer(raw)
        if said is not None and raw[0] & 0x0C and rng.random() < share:
            at = rng.randrange(len(said))
            how: Sequence[bytes] = (
                said[:at] + bytes((said[at] ^ 1 << rng.randrange(8),)) + said[at + 1 :],
                said[:at],
                said[at:],
                said[-2:],
                said + said,
                b"\x90\x00",
            )
            said = rng.choice(how)
        return said

    run = Run(card, answer=answer)
    run.assert_sound()
    assert len(run.commands) < 2000


def test_nothing_is_written_out() -> None:
    plan = ReadPlan(KEY)
    assert "identity withheld" in repr(plan)
    assert "identity withheld" in repr(Run(lay("bac-plain")).reading)
