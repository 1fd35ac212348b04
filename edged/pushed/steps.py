"""What happens to a box that is pushed to, what is to be done about it, and what its disk knows of it. Plain values."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import msgspec

from edged.uplink.reported import Outcome

BOOT_FILE: Final = 0
"""Number of the version that was never pushed."""


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be told of one push; `edged.uplink.reported.Reported` without what is true of the box at any time."""

    push: int
    outcome: Outcome
    code: str | None = None
    path: str | None = None
    probe: str | None = None
    fetched: int | None = None


NOTHING_YET: Final = Report(push=BOOT_FILE, outcome="none")


class Slot(StrEnum):
    """Which of the versions on the disk: there are never more than these."""

    BOOT = "boot"
    GOOD = "good"
    CANDIDATE = "candidate"


class Stored(msgspec.Struct, frozen=True, kw_only=True):
    """What the disk knows of the switch."""

    good: int = BOOT_FILE
    """The last version that proved itself."""
    good_content: str | None = None
    """Hash of all its documents."""
    candidate: int | None = None
    """The version that is staged or on trial."""
    candidate_content: str | None = None
    attempts: int = 0
    """How often the candidate was started: never, and it is staged; more, and it is on trial."""
    newest: int = BOOT_FILE
    """The last push that was taken: neither it nor any before it is tried again."""
    newest_bundle: str | None = None
    """Hash of the message it came in."""
    report: Report = NOTHING_YET
    """The last final one."""


# --- events -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Boot:
    """The process begins, and this is what the disk knows."""

    stored: Stored


@dataclass(frozen=True)
class PushArrived:
    """A push was verified, and its documents make settings.

    Attributes:
        push: its number.
        content: hash of its documents.
        bundle: hash of the message it came in.
        recovery: the fleet's keys were replaced and its numbers begin anew, so it may be lower than what is known.
    """

    push: int
    content: str
    bundle: str
    recovery: bool = False


@dataclass(frozen=True)
class PushAgain:
    """The message that was taken last has come again, to the byte."""


@dataclass(frozen=True)
class PushRefused:
    """A push was refused; `push` is 0 where its number can't be believed."""

    code: str
    where: str | None = None
    push: int = 0


@dataclass(frozen=True)
class ArtefactsHere:
    """All files that version names are on this box, and fit."""

    push: int


@dataclass(frozen=True)
class ArtefactsFailed:
    """One of them will not come or isn't what it should be; `path` says which."""

    push: int
    code: str
    path: str | None = None


@dataclass(frozen=True)
class ProgressFetched:
    """So many per cent of them are here."""

    push: int
    percent: int


@dataclass(frozen=True)
class Idle:
    """No inspection is running."""


@dataclass(frozen=True)
class Started:
    """The version asked for last is in force."""


@dataclass(frozen=True)
class NotStarted:
    """It isn't, and nothing is."""

    code: str


@dataclass(frozen=True)
class ProbesPassed:
    """The version on trial has proved itself."""


@dataclass(frozen=True)
class ProbeFailed:
    """It hasn't: this probe failed, or wasn't reached in time."""

    probe: str
    code: str


@dataclass(frozen=True)
class NotStored:
    """A write failed; what was to be done after it was not done."""

    command: Stage | Adopt | Count | Keep | Fail
    code: str


Event = (
    Boot
    | PushArrived
    | PushAgain
    | PushRefused
    | ArtefactsHere
    | ArtefactsFailed
    | ProgressFetched
    | Idle
    | Started
    | NotStarted
    | ProbesPassed
    | ProbeFailed
    | NotStored
)


# --- commands -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Stage:
    """Store in one transaction: the push's metadata, its documents, and that it is the candidate, and no other is."""

    push: int


@dataclass(frozen=True)
class Adopt:
    """Store in one transaction: the push's metadata, and that what is good came with it; no candidate is left."""

    push: int
    report: Report


@dataclass(frozen=True)
class Count:
    """Store that the candidate is started for this time."""

    push: int
    attempt: int


@dataclass(frozen=True)
class Keep:
    """Store that the candidate is good; what was good before may go."""

    push: int
    report: Report


@dataclass(frozen=True)
class Fail:
    """Store that the candidate failed; its documents may go."""

    push: int
    report: Report


@dataclass(frozen=True)
class Fetch:
    """Get the artefacts of this version; any other fetching ends."""

    push: int
    slot: Slot = Slot.CANDIDATE


@dataclass(frozen=True)
class StopFetching:
    """Whatever was fetched isn't needed."""


@dataclass(frozen=True)
class AwaitIdle:
    """Say when no inspection is running."""

    push: int


@dataclass(frozen=True)
class Switch:
    """Put this version in force instead of any other."""

    slot: Slot


@dataclass(frozen=True)
class RunProbes:
    """Have the version that was just started prove itself within its probation."""

    push: int


@dataclass(frozen=True)
class Say:
    """Report this from now on."""

    report: Report


@dataclass(frozen=True)
class GiveUp:
    """Not even the boot file works: end the process with the error it failed with."""

    code: str


Command = (
    Stage | Adopt | Count | Keep | Fail | Fetch | StopFetching | AwaitIdle | Switch | RunProbes | Say | GiveUp
)
