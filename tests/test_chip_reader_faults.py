"""Whole readings of emulated documents: what becomes of everything that goes wrong on the way."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import pytest

from edged.core.emrtd import tlv
from edged.core.emrtd.files import ElementaryFile
from edged.core.emrtd.reader import ReadPlan, read_chip
from edged.core.emrtd.steps import Phase, drive
from edged.emulator.faults import Fault, FaultyCard
from edged.errors import ChipError
from edged.verdict import Result
from tests.chip_run import CAM, EF, KEY, SUCCESS, Run, lay


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


def once(card: FaultyCard, at: int) -> Callable[[bytes], bytes | None]:
    """Answers of a card whose fault passes when it has struck."""

    def answer(raw: bytes) -> bytes | None:
        said = card.answer(raw)
        if card._protected >= at:
            card._injected = None
        return said

    return answer


@pytest.mark.parametrize("fault", [Fault.WRONG_MAC, Fault.UNPROTECTED, Fault.LOST_SESSION])
@pytest.mark.parametrize("name", ["bac-plain", "pace-gm", CAM])
def test_session_broken_once_anywhere(name: str, fault: Fault) -> None:
    """Opened again and read to the end, whichever answer it was; a proof that was under way is asked for again."""
    whole = Run(lay(name, octets=600))
    protected = sum(bool(command[0] & 0x0C) for command in whole.commands)
    for at in range(1, protected + 1, 1 if name == "bac-plain" else 2):
        card = lay(name, f"{fault}:{at}", octets=600)
        run = Run(card, answer=once(card, at))
        run.assert_sound()
        assert run.reading.aborted is None, at
        assert run.checks == whole.checks, at
        assert set(run.reading.files) == set(whole.reading.files), at
        assert (run.reading.challenge is None) == (whole.reading.challenge is None), at


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
