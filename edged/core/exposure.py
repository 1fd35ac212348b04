"""How the light falls on a picture: whether something lies in the window, how bright it is, where a lamp reflects.

Measured on a reduced picture, in the time of a glance: this runs on every page.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from edged.core.vision import cv2, halved, levels

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SIDE: Final = 240
"""The measured picture's longer side is this to twice this many pixels: print becomes a texture, a lamp stays one."""
_STRUCTURE: Final = 14
"""Least difference of brightness (of 255) within `_REACH` pixels that counts as print, edges or a picture."""
_REACH: Final = 7
_BURNT: Final = 250
"""Brightness from which a pixel says nothing more."""
_SPOT: Final = (0.003, 0.25)
"""Share of the window of one lamp's reflection: less is a blank between letters, more is paper."""
_COMPACT: Final = 0.3
_FULL: Final = 254
"""A lamp's spot fills this share of its box, and a tenth of it is as bright as can be; paper seldom is both."""
_MOST_SPOTS: Final = 4
"""Spots looked at, the largest first: bounds the time a page full of them takes."""
_PRINT: Final = 5
"""Dark strokes up to this width, in measured pixels, are taken out of the paper around a spot."""
_RINGS: Final = (3, 7, 12)
"""Outer radii, in measured pixels, of the rings around a spot in which its brightness must fade."""
_FADES_FROM: Final = (215.0, 175.0)
_FADES_BY: Final = (3.0, 12.0)
"""A reflection's first ring is this bright, at the median and nearly everywhere; each next one is darker by the first
amount, the last by the second in all. White paper, panels and pictures end at once somewhere, or not at all."""
_EDGE_SHARE: Final = 0.15
"""Share of a side of the window, at least, across which a document leaves it."""
_SIDES: Final = ("top", "right", "bottom", "left")


class Exposure(NamedTuple):
    """What the light did, each 0..1.

    Attributes:
        covered: share of the window with structure in it: print, edges, a picture.
        low: brightness below which 5 % of the window lie.
        middle: its median.
        high: brightness below which 99 % lie.
        darkest: brightness below which 0.5 % lie: print, where there is some.
        burnt: share of the window that is blown out.
        glare: share of the window in blown-out spots that fade at their edge: lamps.
        sides: "top", "right", "bottom", "left": where what lies in the window leaves it, the most first; none when all
            the picture is document.
    """

    covered: float
    low: float
    middle: float
    high: float
    darkest: float
    burnt: float
    glare: float
    sides: tuple[str, ...]


def expose(grey: NDArray[np.uint8]) -> Exposure:
    """Measure a page of any size."""
    small = halved(grey, _SIDE)
    soft = cv2.GaussianBlur(small, (5, 5), 1.0)
    reach = np.ones((_REACH, _REACH), np.uint8)
    spread = cv2.subtract(cv2.dilate(soft, reach), cv2.erode(soft, reach))
    covered = cv2.countNonZero(cv2.threshold(spread, _STRUCTURE, 255, cv2.THRESH_BINARY)[1]) / small.size
    darkest, low, middle, high = levels(small, 0.005, 0.05, 0.5, 0.99)
    blown = cv2.threshold(small, _BURNT - 1, 1, cv2.THRESH_BINARY)[1]
    burnt = cv2.countNonZero(blown) / small.size
    glare = _glare(small, blown) if burnt > _SPOT[0] else 0.0
    return Exposure(
        covered,
        low / 255,
        middle / 255,
        high / 255,
        darkest / 255,
        burnt,
        glare,
        _leaves(small, (low + high) / 2),
    )


def _glare(small: NDArray[np.uint8], blown: NDArray[np.uint8]) -> float:
    """Share of the picture in blown-out spots that fade away from their edge on all sides."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats(blown)
    height, width = small.shape
    found = 0
    for label in (np.argsort(-stats[1:, cv2.CC_STAT_AREA])[:_MOST_SPOTS] + 1).tolist():
        left, top, wide, high, area = (int(v) for v in stats[label])
        if not _SPOT[0] < area / small.size < _SPOT[1]:
            continue
        if left == 0 or top == 0 or left + wide == width or top + high == height:
            continue
        if area < _COMPACT * wide * high or levels(small[labels == label][None], 0.9)[0] < _FULL:
            continue
        reach = _RINGS[-1] + 1
        part = np.s_[max(0, top - reach) : top + high + reach, max(0, left - reach) : left + wide + reach]
        paper = cv2.morphologyEx(small[part], cv2.MORPH_CLOSE, np.ones((_PRINT, _PRINT), np.uint8))
        if _fades(paper, (labels[part] == label).astype(np.uint8)):
            found += area
    return found / small.size


def _fades(around: NDArray[np.uint8], spot: NDArray[np.uint8]) -> bool:
    inner = spot
    medians: list[float] = []
    for radius in _RINGS:
        outer = cv2.dilate(spot, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1,) * 2))
        ring = around[(outer - inner) > 0]
        if not medians and np.percentile(ring, 10) < _FADES_FROM[1]:
            return False
        medians.append(float(np.median(ring)))
        inner = outer
    steps = -np.diff(medians)
    return bool(medians[0] > _FADES_FROM[0] and steps.min() >= _FADES_BY[0] and steps.sum() >= _FADES_BY[1])


def _leaves(small: NDArray[np.uint8], level: float) -> tuple[str, ...]:
    """The sides at which what is brighter than the glass crosses the window's edge."""
    edges = (small[:2], small[:, -2:], small[-2:], small[:, :2])
    shares = [float((edge > level).mean()) for edge in edges]
    if min(shares) > _EDGE_SHARE:
        return ()
    crossed = sorted(zip(shares, _SIDES, strict=True), reverse=True)
    return tuple(side for share, side in crossed if share > _EDGE_SHARE)
