"""Facts that drive an inspection: a closed union of frozen events. Identity only inside identity types."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from edged.identity import Identity, wipe

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from edged.core.emrtd.chip_reading import ChipReading
    from edged.core.id_card import IdCardReading
    from edged.core.reading import PageReading
    from edged.privacy.noticed import Noticed
    from edged.uplink.envelope import Provenance
    from edged.verdict import Reason, Verdict


class Light(StrEnum):
    """Illumination of the window."""

    WHITE = "white"
    IR = "ir"
    UV = "uv"


class Indication(StrEnum):
    """What the head shows the clerk: a colour, a word and an icon, never colour alone."""

    READY = "ready"
    PLACE_DOCUMENT = "place_document"
    READING = "reading"
    TURN_OVER = "turn_over"
    REMOVE = "remove"
    SUCCESSFUL = "successful"
    FAILED = "failed"
    UNDETERMINED = "undetermined"
    ABORTED = "aborted"
    OFFLINE = "offline"
    FAULT = "fault"


@dataclass(frozen=True)
class Shot:
    """How a picture was taken.

    Attributes:
        at: when its exposure ended at the latest, seconds of the monotonic clock.
        exposure_us: how long it was exposed; None when the camera chose and doesn't say.
        gain: in the camera's own unit; None when it chose.
        calibration: short name of the calibration that was applied; None without one.
        provenance: the camera's.
    """

    at: float
    exposure_us: int | None = None
    gain: int | None = None
    calibration: str | None = None
    provenance: Provenance | None = None


class Frame(Identity):
    """One captured image, `image()`: (height, width, 3) BGR, uint8. A picture of a document is identity.

    `light` is what the window was lit with; `shot` how the picture was taken, None for one that came from a file.
    """

    __slots__ = ("_image", "light", "shot")

    def __init__(self, image: NDArray[np.uint8], light: Light, shot: Shot | None = None) -> None:
        self._image = image
        self.light = light
        self.shot = shot

    def image(self) -> NDArray[np.uint8]:
        """The raw pixels, for reading in memory; all zero once they are forgotten."""
        return self._image

    def forget(self) -> None:
        """Overwrite the pixels."""
        wipe(self._image)


@dataclass(frozen=True)
class ScanRequest:
    """What a caller asks for with one press of scan. `reference` and the others are opaque to edged."""

    scene: str
    reference: str | None = None
    purpose: str | None = None
    operator: str | None = None
    training: bool = False
    consent: bool = False
    """That the holder was shown the notice and consents, for policies that need it."""
    notice: str | None = None
    """Hex SHA-256 of the notice that was shown; None: nobody said which, and the one in force is recorded."""
    supersedes: str | None = None
    """Number of the slip of an earlier inspection that the slip of this one stands in place of."""
    application: str | None = None
    """The audience of the authenticated application that asked (`edged.handover`); None: nobody gets a handover."""
    asker: int | None = None
    """Which of the application's connections asked: the fields are that one's alone."""


# --- from the head and the people at the counter ------------------------------------------------------------


@dataclass(frozen=True)
class ButtonPressed:
    """The clerk pressed scan on the head."""


@dataclass(frozen=True)
class DocumentPlaced:
    """Something lies in the window."""


@dataclass(frozen=True)
class DocumentTurned:
    """The document in the window now shows another side."""


@dataclass(frozen=True)
class DocumentRemoved:
    """The window is empty."""


@dataclass(frozen=True)
class CancelRequested:
    """Somebody, or the end of the daemon, cancels the inspection; `code` says which."""

    code: str = "inspection.cancelled"


@dataclass(frozen=True)
class CompletionRequested:
    """The clerk says there is no other side: judge what there is."""


@dataclass(frozen=True)
class DeviceGone:
    """A device was unplugged or stopped answering."""

    device: str


@dataclass(frozen=True)
class DeviceBack:
    """A device answers again."""

    device: str


@dataclass(frozen=True)
class TroubleBegan:
    """A device answers, and can't be used as it is: its cover is open, a lamp has failed, it is too hot.

    `code` is a key of the message catalogue that says what to do. `DeviceGone` ends it, too: a device that is back
    tells anew what it still has.
    """

    device: str
    code: str


@dataclass(frozen=True)
class TroubleOver:
    """What `TroubleBegan` told is over."""

    device: str
    code: str


class DocumentSwiped(Identity):
    """A swipe reader delivered the lines of an MRZ, `lines()`, as it read them: right or wrong."""

    __slots__ = ("_lines",)

    def __init__(self, lines: tuple[str, ...]) -> None:
        self._lines = lines

    def lines(self) -> tuple[str, ...]:
        """The lines, top first, for parsing in memory."""
        return self._lines


@dataclass(frozen=True)
class IdCardPlaced:
    """A card lies on the ID-card module."""


@dataclass(frozen=True)
class IdCardRemoved:
    """The card was taken off the ID-card module."""


@dataclass(frozen=True)
class ChipPlaced:
    """A chip is in the field of the chip reader."""


@dataclass(frozen=True)
class ChipRemoved:
    """No chip is in the field of the chip reader any more."""


# --- answers to the inspection's own commands ---------------------------------------------------------------


@dataclass(frozen=True)
class FrameCaptured:
    """The camera delivered a frame; `lights` are those under which the window can be photographed now."""

    frame: Frame
    lights: frozenset[Light] = frozenset({Light.WHITE})


@dataclass(frozen=True)
class CaptureFailed:
    """The camera delivered nothing, or nothing that can be read."""

    reason: Reason


@dataclass(frozen=True)
class PageRead:
    """A frame was read: what the pictures of its side say together."""

    reading: PageReading


@dataclass(frozen=True)
class ChipRead:
    """The chip was read as far as it went, or there is no reading and `reason` says why."""

    reading: ChipReading | None
    reason: Reason | None = None
    found: bool = False
    """Whether a chip lay there that was not read all the same, or the reader couldn't look whether one does."""

    @property
    def has_chip(self) -> bool:
        """Whether the document has a chip, or may have: what nobody could look for must not pass for absent."""
        return self.found or self.reading is not None


@dataclass(frozen=True)
class IdCardRead:
    """The ID-card module read the card, or there is no reading and `reason` says why."""

    reading: IdCardReading | None
    reason: Reason | None = None


@dataclass(frozen=True)
class Committed:
    """Every envelope of the inspection is on disk."""

    verdict: Verdict
    envelopes: int
    octets: int
    """Bytes of the envelopes together, as they will travel."""
    noticed: Noticed | None = None
    """What the holder is told of it."""


@dataclass(frozen=True)
class CommitFailed:
    """Nothing was stored; nothing may be shown."""

    reason: Reason


@dataclass(frozen=True)
class TimePassed:
    """The deadline the inspection asked for has come."""


Attached = DeviceGone | DeviceBack
HeadEvent = (
    ButtonPressed | DocumentPlaced | DocumentTurned | DocumentRemoved | Attached | TroubleBegan | TroubleOver
)
ChipEvent = ChipPlaced | ChipRemoved | Attached
IdCardEvent = IdCardPlaced | IdCardRemoved | Attached
SwipeEvent = DocumentSwiped | Attached
Event = (
    HeadEvent
    | CancelRequested
    | CompletionRequested
    | FrameCaptured
    | CaptureFailed
    | PageRead
    | ChipRead
    | SwipeEvent
    | IdCardEvent
    | IdCardRead
    | Committed
    | CommitFailed
    | TimePassed
)
