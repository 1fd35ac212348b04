"""Readings of emulated documents: what the host takes between an answer and the next command, phase by phase.

The emulated chip's own time is taken out. Host time is processor time of the thread that reads: what the host would
take on a machine that does nothing else.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Final

from edged.core.emrtd.access_keys import key_of_mrz
from edged.core.emrtd.files import ElementaryFile
from edged.core.emrtd.judging import judge_chip
from edged.core.emrtd.reader import LONGEST_ANSWER, ReadPlan, read_chip
from edged.core.emrtd.steps import Phase, PhaseBegan, drive
from edged.core.mrz import parse_mrz
from edged.emulator.office import Office
from edged.verdict import Result

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.emrtd.link import Link
    from edged.core.emrtd.chip_reading import ChipReading
    from edged.core.emrtd.domains import Draw
    from edged.core.emrtd.steps import Step
    from edged.core.emrtd.trust_anchors import TrustAnchors
    from edged.emulator.profiles import Profile

ON: Final = date(2026, 6, 1)
AT: Final = datetime(2026, 6, 15, 12, tzinfo=UTC)
LINES: Final = (
    "P<UTOERIKSSON<<ANNA<MARIA<<<<<<<<<<<<<<<<<<<",
    "L898902C36UTO7408122F3104150ZE184226B<<<<<16",
)
"""Doc 9303-4's specimen."""
OFFICE: Final = Office("UT", on=ON, seed="benchmark")
JUDGING: Final = "judging"
PHASES: Final = (*(phase.value for phase in Phase), JUDGING)


@dataclass
class Exchanged:
    """One APDU: its phase, octets of command and response, and what the host took before it, in seconds."""

    phase: str
    command: int
    response: int
    host_s: float


@dataclass
class Reading:
    """One reading and its verdict.

    Attributes:
        end_s: host time after the last answer, in seconds; it belongs to the last phase.
        judging_s: host time of `judge_chip`, in seconds.
        portrait: octets of DG2.
        genuine: whether everything was read and judged successful.
    """

    exchanges: list[Exchanged] = field(default_factory=list)
    end_s: float = 0.0
    judging_s: float = 0.0
    portrait: int = 0
    genuine: bool = False

    @cached_property
    def host_s(self) -> dict[str, float]:
        """Host time of each phase."""
        found = dict.fromkeys(PHASES, 0.0)
        for one in self.exchanges:
            found[one.phase] += one.host_s
        found[self.exchanges[-1].phase] += self.end_s
        found[JUDGING] = self.judging_s
        return found

    @property
    def total_s(self) -> float:
        """Host time from the first command to the verdict."""
        return sum(self.host_s.values())

    def idle_s(self) -> float:
        """What the link waits for the host: from an answer to the next command."""
        return sum(one.host_s for one in self.exchanges[1:])

    def link_s(self, link: Link, phase: str | None = None) -> float:
        """What the APDUs (of one phase) take, the chip's time with them."""
        return sum(
            link.exchange_s(one.command, one.response)
            for one in self.exchanges
            if phase is None or one.phase == phase
        )

    def portrait_ratio(self, link: Link) -> float:
        """DG2, link and host together, by the link's own limit for a file of its size."""
        took = self.link_s(link, Phase.PORTRAIT) + self.host_s[Phase.PORTRAIT]
        return took / link.clear_file_s(self.portrait, LONGEST_ANSWER)


def read_once(
    profile: Profile, anchors: TrustAnchors, draw: Draw | None = None, answers: list[bytes] | None = None
) -> Reading:
    """Read a new document of this kind and judge it; `answers` takes down what the chip says."""
    card = OFFICE.lay(profile, LINES)

    def answer(command: bytes) -> bytes:
        response = card.answer(command)
        assert response is not None
        if answers is not None:
            answers.append(response)
        return response

    return read_through(answer, anchors, draw)


def read_through(
    answer: Callable[[bytes], bytes], anchors: TrustAnchors, draw: Draw | None = None
) -> Reading:
    """Read whatever answers, and judge it."""
    printed = parse_mrz(list(LINES), today=AT.date())
    plan = ReadPlan(key_of_mrz(printed), max_apdu=LONGEST_ANSWER)
    found = Reading()
    phase, since = "", 0.0

    def watch(step: Step) -> None:
        nonlocal phase
        if isinstance(step, PhaseBegan):
            phase = step.phase.value

    def transmit(command: bytes) -> bytes:
        nonlocal since
        host = time.thread_time() - since
        response = answer(command)
        found.exchanges.append(Exchanged(phase, len(command), len(response), host))
        since = time.thread_time()
        return response

    exchange = read_chip(plan if draw is None else plan._replace(draw=draw))
    since = time.thread_time()
    reading = drive(exchange, transmit, watch=watch)
    now = time.thread_time()
    found.end_s = now - since
    checks = judge_chip(
        reading, anchors=anchors, at=AT, today=AT.date(), printed=printed, printed_is_sure=True
    )
    found.judging_s = time.thread_time() - now
    found.portrait = len(reading.files.get(ElementaryFile.DG2, b""))
    found.genuine = (
        _whole(reading) and {check.name: check.result for check in checks}["chip"] is Result.SUCCESSFUL
    )
    return found


def _whole(reading: ChipReading) -> bool:
    guarded = {ElementaryFile.DG3, ElementaryFile.DG4}
    return reading.aborted is None and not set(reading.unread) - guarded


def least(profile: Profile, anchors: TrustAnchors, count: int) -> tuple[Reading, float]:
    """Of so many readings the one that took the host least, and the median of them all, in seconds."""
    found = sorted((read_once(profile, anchors) for _ in range(count)), key=lambda one: one.total_s)
    return found[0], found[len(found) // 2].total_s
