"""One side of a document while it is photographed and read: a burst, and the pictures other evidence looks at.

A side is dropped with its inspection: nothing of it outlives the outcome.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from edged.identity import Identity

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from edged.core.burst import Burst
    from edged.core.reading import PageReading
    from edged.events import ChipRead, Frame, IdCardRead, Light

MAX_KEPT_PIXELS: Final = 24_000_000
"""Of a picture that is kept until judging: more than a window's camera has. Two a side, two sides: 288 MB at most."""
_STEP: Final = 8
"""Every so many pixels are compared: two pictures from a sensor never agree in all of them."""


class ReadSide(Identity):
    """One side as it goes to be judged.

    Attributes:
        reading: what its pictures say together.
        frames: for every light it was taken under, the picture that shows the MRZ best, or the first where none
            does; without pictures of more than `MAX_KEPT_PIXELS`.
        leading: the light of the picture in whose pixels `reading.rows` are.
    """

    __slots__ = ("frames", "leading", "reading")

    def __init__(self, reading: PageReading, frames: Mapping[Light, Frame], leading: Light | None) -> None:
        self.reading = reading
        self.frames = frames
        self.leading = leading

    def forget(self) -> None:
        """Overwrite the pictures and the evidence of the characters."""
        for frame in self.frames.values():
            frame.forget()
        self.reading.forget()


class Side(Identity):
    """The pictures of one side so far. `add` blocks; it runs in the reading thread."""

    __slots__ = ("_burst", "_forgotten", "_frames", "_last", "_leading", "_merits", "_passed", "_seen")

    def __init__(self, burst: Burst) -> None:
        self._burst = burst
        self._frames: dict[Light, Frame] = {}
        self._leading: Light | None = None
        self._merits: dict[Light, float] = {}
        self._seen: set[int] = set()
        self._last: PageReading | None = None
        self._passed: list[Frame] = []
        self._forgotten = False

    def add(self, frame: Frame) -> PageReading:
        """Read one more picture; what all of them say together.

        The very same picture again (a file, a camera that is stuck) is no second witness: it changes nothing.
        """
        image = frame.image()
        looks = hash(image[::_STEP, ::_STEP].tobytes())
        if self._last is not None and looks in self._seen:
            self._passed.append(frame)
            return self._last
        self._seen.add(looks)
        self._last = self._burst.add(image)
        self._keep(frame, self._burst.merit)
        last = self._last
        if self._forgotten:  # meanwhile: nobody waits for what was read
            self.forget()
        return last

    def read(self, reading: PageReading) -> ReadSide:
        """The side with the reading that stands for it."""
        return ReadSide(reading, dict(self._frames), self._leading)

    def _keep(self, frame: Frame, merit: float) -> None:
        if merit > max(self._merits.values(), default=-1.0):
            self._leading = frame.light
        if merit > self._merits.get(frame.light, -1.0):
            self._merits[frame.light] = merit
            if (worse := self._frames.pop(frame.light, None)) is not None:
                self._passed.append(worse)
            height, width = frame.image().shape[:2]
            if height * width <= MAX_KEPT_PIXELS:
                self._frames[frame.light] = frame
                return
        self._passed.append(frame)

    def forget(self) -> None:
        """Overwrite every picture that was added, and what is known of them; what is being read, when it has been.

        From any thread: the one that reads may be at a picture, which then shows nothing.
        """
        self._forgotten = True
        for frame in (*self._frames.values(), *self._passed):
            frame.forget()
        self._burst.forget()
        self._passed.clear()
        if self._last is not None:
            self._last.forget()


class ReadDocument(Identity):
    """All that was read of one document, as it goes to be judged: sides and what their chip said, or an ID card.

    Attributes:
        sides: at least one, unless there is a card; those without frames were swiped.
        chip: None on a box without a chip reader.
        card: what the ID-card module read, or why it did not: then the reason speaks against the card.
    """

    __slots__ = ("card", "chip", "sides")

    def __init__(
        self, sides: Sequence[ReadSide], chip: ChipRead | None = None, card: IdCardRead | None = None
    ) -> None:
        self.sides = tuple(sides)
        self.chip = chip
        self.card = card

    def forget(self) -> None:
        """Overwrite what can be: pictures, evidence of characters, an ID card's photo; and let go of the rest."""
        for side in self.sides:
            side.forget()
        if self.chip is not None and self.chip.reading is not None:
            self.chip.reading.forget()
        if self.card is not None and self.card.reading is not None:
            self.card.reading.forget()
