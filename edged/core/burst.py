"""Several pictures of one page, read together: a burst under white light, or white and infrared.

Each picture's characters are evidence of their own place in the layout, so nothing has to be aligned: a glare that
wanders, or ink that shows better in infrared, is made good by the other pictures. Pictures that contradict each other
are never averaged into a third opinion: such a character is not sure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from edged.core.laps import Laps
from edged.core.lattice import decide
from edged.core.ocr import CLASSES
from edged.core.reading import PageReading, examine, judge
from edged.core.shape import by_line, sureness
from edged.core.sight import Sight
from edged.core.vision import grey_of
from edged.errors import DecodeError
from edged.identity import Identity, wipe
from edged.verdict import Reason

if TYPE_CHECKING:
    import datetime
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from edged.core.shape import Reading

MAX_FRAMES: Final = 8
"""Pictures whose evidence is kept: the most legible ones. More of a still page says nothing new."""
_LEAST_SHARE: Final = 2e-4
"""What one picture leaves to a character it doesn't see: no single picture outvotes several."""
_ALIKE: Final = 0.85
"""Pictures of one print err alike: each after the first counts less than an independent witness by this share. At 0.4
eight pictures of a still, blurred page made a systematic misreading sure."""
_FOULED: Final = 0.3
"""Weight of a character above or below which something dark lies."""
_SURE: Final = 0.9
"""Share from which a picture says what a character is: two that say different things contradict each other."""
_SEVERAL: Final = "reading.two_documents"
"""What no other picture makes good: which of them the others showed is not known."""
_NO_PICTURE: Final = np.zeros((1, 1), np.uint8)


class Burst(Identity):
    """The pictures of one page taken so far. Holds raw identity; one burst belongs to one side of one document."""

    __slots__ = ("_several", "_sights", "_today", "merit")

    def __init__(self, *, today: datetime.date) -> None:
        self._today = today
        self._sights: list[Sight] = []
        self._several: Sight | None = None
        self.merit: float = 0.0
        """How well the picture added last shows the MRZ, 0..1; 0 without one. An answer's `rows` are in the pixels
        of the picture with the highest."""

    def add(self, image: NDArray[np.uint8]) -> PageReading:
        """Read one more picture, as `read_page` takes it, and say what all of them together say.

        Its `rows` are in the pixels of the picture that shows the MRZ best. Nothing more is to be gained once the
        answer's `sure` is true.
        """
        laps = Laps()
        # Without a hint where it was: a second document may have come.
        sight, alone = examine(grey_of(image), laps, self._today)
        self.merit = 0.0 if sight.reading is None else _merit(sight)
        if sight.reading is not None:
            self._keep(sight)
        if sight.missing is not None and sight.missing.code == _SEVERAL:
            self._several = sight._replace(grey=_NO_PICTURE)
        page = alone
        if self._several is not None:
            page = judge(self._several, self._today)
        elif self._sights and (len(self._sights) > 1 or sight.reading is None):
            page = judge(_together(self._sights), self._today)
            laps("together")
        return PageReading(page._replace(frames=max(1, len(self._sights))), laps.finish())

    def forget(self) -> None:
        """Overwrite the pictures and the evidence of all frames; the burst is of no use then."""
        for sight in (*self._sights, *(() if self._several is None else (self._several,))):
            if sight.grey is not _NO_PICTURE:
                wipe(sight.grey)
            if sight.reading is not None:
                for evidence in (*sight.reading.cells, *sight.reading.presence):
                    wipe(evidence)
        self._sights.clear()
        self._several = None

    def _keep(self, sight: Sight) -> None:
        self._sights.append(sight)
        self._sights.sort(key=_merit, reverse=True)
        del self._sights[MAX_FRAMES:]
        # Only the best one's surroundings are looked at again.
        for i, other in enumerate(self._sights[1:], 1):
            self._sights[i] = other._replace(grey=_NO_PICTURE)


def read_frames(images: Iterable[NDArray[np.uint8]], *, today: datetime.date) -> PageReading:
    """Read pictures of one page until the reading is sure; later pictures are not asked for.

    Raises ValueError when there is no picture at all.
    """
    burst = Burst(today=today)
    reading: PageReading | None = None
    for image in images:
        reading = burst.add(image)
        if reading.sure:
            break
    if reading is None:
        raise ValueError("no picture to read")
    return reading


def _merit(sight: Sight) -> float:
    assert sight.reading is not None
    return sight.reading.legibility * sight.reading.score


def _together(sights: list[Sight]) -> Sight:
    """One piece of evidence from several; `sights` has the best one first and none without a reading."""
    if len(sights) == 1:
        return sights[0]
    shapes = [_shape(sight) for sight in sights]
    shape = max(shapes, key=lambda one: (shapes.count(one), -shapes.index(one)))
    alike = [
        sight.reading for sight, one in zip(sights, shapes, strict=True) if one == shape and sight.reading
    ]
    best = sights[shapes.index(shape)]
    if best.grey is _NO_PICTURE:  # its surroundings are gone, so alone it stands
        return sights[0]
    fused = _fused(alike)
    try:
        decision = decide(fused.cells)
    except DecodeError as error:
        return Sight(best.grey, best.quality, missing=Reason(error.code))
    if decision is None:
        return best
    return best._replace(reading=fused, decision=decision)


def _shape(sight: Sight) -> tuple[int, ...]:
    assert sight.reading is not None
    return tuple(len(line) for line in sight.reading.cells)


def _fused(readings: list[Reading]) -> Reading:
    """The cells of readings of one shape, the best reading first, as those of one."""
    best = readings[0]
    cells = np.stack([np.concatenate(reading.cells) for reading in readings])
    presence = np.stack([np.concatenate(reading.presence) for reading in readings])
    fouled = np.stack([reading.fouled for reading in readings])
    weight = presence**3 * np.where(fouled, _FOULED, 1.0)  # half a character is often another one
    count = np.maximum(weight.sum(axis=0), 1e-6)
    witnesses = 1.0 + (1.0 - _ALIKE) * np.maximum(count - 1.0, 0.0)
    logs = (np.log(np.maximum(cells, _LEAST_SHARE)) * weight[:, :, None]).sum(axis=0)
    logs *= (np.minimum(witnesses, np.maximum(count, 1.0)) / count)[:, None]
    shares = np.exp(logs - logs.max(axis=1, keepdims=True))
    shares = (shares / shares.sum(axis=1, keepdims=True)).astype(np.float32)
    held = presence.max(axis=0).astype(np.float32)
    return best._replace(
        cells=by_line(shares, best.cells),
        presence=by_line(held, best.cells),
        legibility=sureness(shares, held),
        runs_on=any(reading.runs_on for reading in readings),
        fouled=fouled.all(axis=0) | _contradicted(cells, weight),
        crossed=np.all([reading.crossed for reading in readings], axis=0),
    )


def _contradicted(cells: NDArray[np.float32], weight: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Characters about which two pictures are each certain and not of the same mind."""
    certain = (cells.max(axis=2) > _SURE) & (weight > 0.5)
    said = cells.argmax(axis=2)
    highest = np.where(certain, said, -1).max(axis=0)
    lowest = np.where(certain, said, CLASSES).min(axis=0)
    return np.asarray((highest >= 0) & (highest != lowest), np.bool_)
