"""One reading of an emulated document, and what was said on the way."""

from __future__ import annotations

import dataclasses
import datetime
import random
from collections.abc import Callable
from functools import cache

from edged import messages
from edged.core.emrtd.access_keys import mrz_key
from edged.core.emrtd.chip_reading import ChipReading
from edged.core.emrtd.files import ElementaryFile
from edged.core.emrtd.reader import ReadPlan, read_chip
from edged.core.emrtd.steps import Phase, Step, drive
from edged.emulator.faults import ISSUING, FaultyCard, Injected
from edged.emulator.office import Office
from edged.emulator.personalised import Personalised
from edged.emulator.profiles import profiles
from edged.errors import ChipGoneError
from edged.verdict import Result

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
