"""What an inspection asks for: its commands, its limits, its outcome. Answers come back as `edged.events`."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from edged.verdict import Reason

if TYPE_CHECKING:
    from edged.core.reading import PageReading
    from edged.events import ChipRead, DocumentSwiped, Frame, IdCardRead, Indication, Light
    from edged.privacy.noticed import Noticed
    from edged.verdict import Verdict


class Ending(StrEnum):
    """How a press of scan ended."""

    COMMITTED = "committed"
    ABORTED = "aborted"
    REFUSED = "refused"


@dataclass(frozen=True)
class Outcome:
    """The end of one press: a committed verdict, or the reason why there is none."""

    ending: Ending
    verdict: Verdict | None = None
    reason: Reason | None = None
    envelopes: int = 0
    octets: int = 0
    noticed: Noticed | None = None
    """What the holder is told of what was read and what left."""


def refusal(code: str, **params: str) -> Outcome:
    """The outcome of a press that began no inspection (busy, document not removed, device missing)."""
    return Outcome(Ending.REFUSED, reason=Reason(code, params))


@dataclass(frozen=True)
class Limits:
    """How long people and devices are waited for, in seconds, and how often a side is photographed."""

    document_s: float
    turn_over_s: float
    capture_s: float
    reading_s: float
    remind_s: float
    frames: int
    """Pictures of one side at most; there is a second one only when the first isn't sure."""
    pause_s: float
    """Before a side is photographed under the same light again: what moves takes this long to move."""
    chip_s: float | None = None
    """How long reading the chip may take altogether; None on a box without a chip reader."""
    id_card_s: float = 15.0
    """How long the ID-card module may take for one card."""
    prove_each: bool = False
    """Whether before each document the camera must be seen to see this window, not just when it was plugged in."""
    show_s: float = 4.0
    """How long an outcome is shown when no document lies in the window that could be taken away."""


# --- commands -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Capture:
    """Wait `pause_s`, light the window and photograph it; answer `FrameCaptured` or `CaptureFailed`."""

    light: Light
    pause_s: float = 0.0


@dataclass(frozen=True)
class ReadFrame:
    """Read the frame, `again` together with those of its side before it; answer `PageRead`."""

    frame: Frame
    again: bool = False


@dataclass(frozen=True)
class ReadLines:
    """Read the lines that a swipe reader delivered, as a side of their own; answer `PageRead`."""

    swiped: DocumentSwiped


@dataclass(frozen=True)
class ReadIdCard:
    """Read the card that lies on the ID-card module; answer `IdCardRead`."""


@dataclass(frozen=True)
class ReadChip:
    """Read the chip that the MRZ of this page opens; answer `ChipRead`."""

    page: PageReading


@dataclass(frozen=True)
class Commit:
    """Judge the sides and the chip, commit every envelope in one transaction; answer `Committed` or `CommitFailed`."""

    sides: tuple[PageReading, ...]
    chip: ChipRead | None = None
    """None on a box without a chip reader."""
    card: IdCardRead | None = None
    """An ID card instead of sides: read, or not read for a reason that speaks against it."""


@dataclass(frozen=True)
class Indicate:
    """Show the clerk where things stand."""

    indication: Indication


@dataclass(frozen=True)
class Beep:
    """Sound the buzzer once."""


@dataclass(frozen=True)
class Stage:
    """A stage was reached: for progress and timing."""

    name: str


@dataclass(frozen=True)
class Advise:
    """Tell the clerk what would make the picture better that is about to be taken under `light`."""

    reason: Reason
    light: Light


@dataclass(frozen=True)
class Finish:
    """The outcome is known: answer whoever pressed scan."""

    outcome: Outcome


Command = (
    Capture
    | ReadFrame
    | ReadLines
    | ReadIdCard
    | ReadChip
    | Commit
    | Indicate
    | Beep
    | Stage
    | Advise
    | Finish
)
