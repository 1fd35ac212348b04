"""Whether a camera sees the window of this moment: light in a random order, looked for again in the frames.

A feed that was recorded before, or a still picture, can't know the order that was drawn just now; what lights itself in
the window, a telephone's screen, is as bright in the dark. Only relations between frames of one burst are judged, so
nothing about camera, lamp or document need be known but that exposure and gain stay as they are. What this can't see: a
feed made on the spot by somebody who watches the lamps.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol, TypeVar

import numpy as np

from edged.core.exposure import expose
from edged.core.vision import cv2, grey_of, halved
from edged.events import Light

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from numpy.typing import NDArray

STEPS: Final = 7
"""Frames of a burst: a feed that knows the kinds of light but not the order matches 1 of 1806; a step takes 0.15 s."""
MOST_STEPS: Final = 8
"""As many as a head does in one request."""
DIM: Final = 35
"""Brightness in per cent of a step between dark and bright: half of what bright gives, after a camera's gamma."""

ROWS, COLUMNS = 12, 16
_SIDE: Final = 160
_BURNT: Final = 250
_BURNT_BLOCK: Final = 0.1
"""Share of a block that may be blown out before it says nothing of brightness."""
_RESPONDING: Final = 0.5
"""Share of the blocks, those that answer most, by which a burst is judged: the glass beside a document hardly does."""
_LEAST_BLOCKS: Final = 10
_LEAST_RANGE: Final = 12.0
"""Of 255, between dark and bright: less is a black cover, or a lamp that failed."""
_LEAST_CONTRAST: Final = 0.3
"""Share of what bright light shows that must be missing in the dark: less is daylight on the window, or a screen."""
_GAP: Final = 0.15
"""Least difference between two kinds of light that follow each other in brightness, as a share of the range."""
_ALIKE: Final = 0.35
"""Most by which infrared frames may differ: lamps and documents move less."""
_TRIES: Final = 1000
"""Draws until an order has every kind; one in 1.4 does, so this many never fail."""

T = TypeVar("T")


class Sight(NamedTuple):
    """How bright a frame is where.

    Attributes:
        blocks: (ROWS, COLUMNS) mean brightness, 0 to 255.
        burnt: share of each block that is blown out, 0..1.
        covered: share of the window with structure in it: print, edges, a picture.
    """

    blocks: NDArray[np.float32]
    burnt: NDArray[np.float32]
    covered: float


class Step(NamedTuple):
    """What the window is lit with for one frame; no light is dark."""

    light: Light | None
    brightness: int


DARK: Final = Step(None, 0)
DIMMED: Final = Step(Light.WHITE, DIM)
BRIGHT: Final = Step(Light.WHITE, 100)
INFRARED: Final = Step(Light.IR, 100)
_EACH: Final = (DARK, DIMMED, BRIGHT)


class Chance(Protocol):
    """Where the order comes from: `secrets.SystemRandom`; a seeded one in tests."""

    def choice(self, among: Sequence[T], /) -> T:
        """One of them, each as likely."""
        ...


class Seen(StrEnum):
    """What a burst says; the failures are codes of the message catalogue."""

    LIVE = "live"
    REPLAYED = "camera.replayed_feed"
    UNCLEAR = "camera.replay_unclear"


def sight(image: NDArray[np.uint8]) -> Sight:
    """Measure a frame, grey or BGR."""
    grey = halved(grey_of(image), _SIDE)
    size = (COLUMNS, ROWS)
    blocks = cv2.resize(grey.astype(np.float32), size, interpolation=cv2.INTER_AREA)
    burnt = cv2.resize((grey >= _BURNT).astype(np.float32), size, interpolation=cv2.INTER_AREA)
    return Sight(blocks, burnt, expose(grey).covered)


def draw(lights: Collection[Light], chance: Chance, steps: int = STEPS) -> tuple[Step, ...]:
    """An order in which dark, dimmed and bright come at least once each, all such orders being as likely.

    Infrared is among them where there is some. `steps` is 3 to `MOST_STEPS`.
    """
    assert len(_EACH) <= steps <= MOST_STEPS
    kinds = (*_EACH, INFRARED) if Light.IR in lights else _EACH
    for _ in range(_TRIES):
        order = tuple(chance.choice(kinds) for _ in range(steps))
        if set(_EACH) <= set(order):
            return order
    raise AssertionError("a chance that never draws some kind")


def judge(order: Sequence[Step], sights: Sequence[Sight]) -> Seen:
    """Whether the frames of a burst were lit in this order, one frame a step."""
    assert len(order) == len(sights)
    levels = _levels(order, sights)
    if levels is None:
        return Seen.UNCLEAR
    of = {step: levels[[one == step for one in order]] for step in set(order)}
    dark, dim, bright = of[DARK], of[DIMMED], of[BRIGHT]
    span = float(levels.max() - levels.min())
    if span < _LEAST_RANGE:
        # Nothing follows the lamps: a still picture does that as well as a black cover.
        return Seen.REPLAYED if levels.min() > _LEAST_RANGE else Seen.UNCLEAR
    gaps = [dim.min() - dark.max(), bright.min() - dim.max()]
    if INFRARED in of:
        infrared = of[INFRARED]  # as bright as it is, but always the same
        gaps.append(infrared.min() - dark.max())
        if infrared.max() - infrared.min() > _ALIKE * span:
            return Seen.REPLAYED
    if min(gaps) < _GAP * span:
        return Seen.REPLAYED
    return Seen.LIVE if span >= _LEAST_CONTRAST * levels.max() else Seen.UNCLEAR


def _levels(order: Sequence[Step], sights: Sequence[Sight]) -> NDArray[np.float32] | None:
    """Each frame's brightness where the window answers to white light; None where too much is blown out to say.

    A block that is blown out in bright light alone still says that it is bright.
    """
    blocks = np.stack([one.blocks.ravel() for one in sights])
    burnt = np.stack([one.burnt.ravel() for one in sights])
    weak = [step in (DARK, DIMMED) for step in order]
    blocks = blocks[:, burnt[weak].max(axis=0) <= _BURNT_BLOCK]
    if blocks.shape[1] < _LEAST_BLOCKS:
        return None
    bright, dark = ([step == kind for step in order] for kind in (BRIGHT, DARK))
    answer = blocks[bright].mean(axis=0) - blocks[dark].mean(axis=0)
    most = np.argsort(-answer)[: max(_LEAST_BLOCKS, round(_RESPONDING * len(answer)))]
    return np.asarray(np.median(blocks[:, most], axis=1), np.float32)
