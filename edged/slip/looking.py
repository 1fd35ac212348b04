"""Whether a photographed slip shows the lines that were signed, place by place: same, differs, or can't tell.

The slip is drawn anew from its signed facts, the photograph laid over it, and windows as wide as a character compared.
How much a window may differ is measured on the same photograph, on the QR code, whose every module is known, and on
the rest of the print. `differs` is said only when nothing else explains what is seen: creases and shadows never do;
one figure for a similar one may go unseen and is then `unsure`, or, in a poor picture, `same`. The signature covers
the facts; what the paper shows beside them only eyes can judge.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from edged.core.vision import cv2
from edged.slip import picture
from edged.slip.aligning import align
from edged.slip.layout import DOTS_PER_MM, MEDIA, lay_out

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from edged.slip.aligning import Aligned, Plane
    from edged.slip.content import SlipLine
    from edged.slip.faces import FontFiles
    from edged.slip.finding import Found
    from edged.slip.layout import Page

_SOFT_PAGE: Final = 1.2
_SOFT_PICTURE: Final = 0.8
"""Blur in dots: together they make a drawn page and a photographed one about equally soft."""
_WANDER: Final = 3
"""Dots by which a window may lie beside its place: paper bends within a band."""
_SURE: Final = 1.5
_SURE_OF_USUAL: Final = 12.0
"""A window differs when its error is above both: in itself (a share of what all its ink would make), and times the
usual error of the picture. Both were set on made-up photographs, by what genuine slips reach in them;
`benchmarks/slip.py` counts false alarms on others."""
_SAME: Final = 0.22
_SAME_OF_USUAL: Final = 5.0
_SAME_AT_MOST: Final = 0.45
"""A window is the same when its error is below the first, or, in a worse picture, below so many times what is usual."""
_POOR: Final = 0.1
"""Error on the code, whose print is known to be right, above which a picture is too poor to call anything different."""
_LEAST_FOUND: Final = 0.5
"""Share of the bands that must have been found; else this isn't our drawing, or isn't seen, and nothing is said."""
_CERTAIN: Final = 0.8
"""Share of the bands, and correlation, from which no other paper is tried."""
_OUTSIDE: Final = 0.02
"""Share of a line that may lie outside the picture."""
_MIN_GAIN: Final = 0.6


class Look(StrEnum):
    """What a line looks like."""

    SAME = "same"
    DIFFERS = "differs"
    UNSURE = "unsure"


class Looked(NamedTuple):
    """What was seen of a photographed slip.

    Attributes:
        media: the paper that it seems to be printed on (`layout.MEDIA`); None when it is none that we draw.
        looks: by the lines' keys.
    """

    media: str | None
    looks: dict[str, Look]

    @property
    def differing(self) -> tuple[str, ...]:
        """The lines that surely aren't those that were signed."""
        return tuple(key for key, look in self.looks.items() if look is Look.DIFFERS)


class Measured(NamedTuple):
    """What `looking` decides by: for tests and benchmarks.

    Attributes:
        found: see `aligning.Aligned.found`.
        on_code: error that is usual on the QR code.
        usual: error that is usual in this picture.
        worst: by line, the error of its worst window; None for one that isn't in the picture.
    """

    found: float
    on_code: float
    usual: float
    worst: dict[str, float | None]


def look(
    grey: NDArray[np.uint8], code: Found, lines: Sequence[SlipLine], watermark: str, faces: FontFiles
) -> Looked:
    """Compare a picture, (height, width), with the slip that `code.text` holds. Raises `OutputError` (no font)."""
    best: _Fitted | None = None
    for media in MEDIA.values():
        fitted = _fitted(grey, code, lay_out(lines, code.text, watermark, media, faces), faces)
        if best is None or fitted.rank > best.rank:
            best = fitted
        if min(fitted.rank) > _CERTAIN:
            break
    assert best is not None
    if best.aligned.found < _LEAST_FOUND:
        return Looked(None, dict.fromkeys((line.key for line in lines), Look.UNSURE))
    measured = _measured(best)
    looks = {key: _judged(worst, measured) for key, worst in measured.worst.items()}
    return Looked(best.page.media.name, looks)


def _judged(worst: float | None, measured: Measured) -> Look:
    if worst is None or measured.on_code > _POOR:
        return Look.UNSURE
    if worst <= max(_SAME, min(_SAME_OF_USUAL * measured.usual, _SAME_AT_MOST)):
        return Look.SAME
    if worst > max(_SURE, _SURE_OF_USUAL * measured.usual):
        return Look.DIFFERS
    return Look.UNSURE


def measure(grey: NDArray[np.uint8], code: Found, page: Page, faces: FontFiles) -> Measured:
    """How the picture differs from the page, line by line."""
    return _measured(_fitted(grey, code, page, faces))


class _Fitted(NamedTuple):
    """A picture laid over one page, both about equally soft."""

    page: Page
    aligned: Aligned
    soft: Plane
    shown: Plane
    rank: tuple[float, float]
    """How well they fit."""


def _fitted(grey: NDArray[np.uint8], code: Found, page: Page, faces: FontFiles) -> _Fitted:
    wanted = picture.expected(page, faces)
    aligned = align(grey, code.corners, wanted, page.code, DOTS_PER_MM)
    soft = cv2.GaussianBlur(wanted, (0, 0), _SOFT_PAGE)
    shown = cv2.GaussianBlur(aligned.dark, (0, 0), _SOFT_PICTURE)
    body = slice(0, max(1, round(page.code.y * DOTS_PER_MM)))
    alike = float(cv2.matchTemplate(shown[body], soft[body], cv2.TM_CCOEFF_NORMED)[0, 0])
    return _Fitted(page, aligned, soft, shown, (round(aligned.found, 1), alike))


def _measured(fitted: _Fitted) -> Measured:
    page, aligned, soft, shown, _ = fitted
    boxes = _boxes(page, soft.shape[0])
    fits = [_fit(soft[top:end], shown[top:end]) for _, top, end, _ in boxes]
    gain = float(np.median([fit[0] for fit in fits])) if fits else 0.0
    worst: dict[str, float | None] = {}
    every: list[NDArray[np.float32]] = [_of_code(page, soft, shown)]
    for (key, top, end, window), (own, base) in zip(boxes, fits, strict=True):
        if float(np.mean(~aligned.inside[top:end])) > _OUTSIDE:
            worst[key] = None
            continue
        errors = _errors(soft, shown, (top, end), window, max(own, _MIN_GAIN * gain), base)
        every.append(errors)
        before = worst.get(key, 0.0)
        worst[key] = None if before is None else max(before, float(errors.max()))
    on_code = float(np.percentile(every[0], 90))
    # The code's errors alone would overlook what paper does elsewhere, all others alone what was exchanged there.
    usual = max(on_code, float(np.percentile(np.concatenate(every), 60)))
    return Measured(aligned.found, on_code, usual, worst)


def _boxes(page: Page, height: int) -> list[tuple[str, int, int, int]]:
    """Of every printed line: its key, first row and row behind the last, and the width of its windows; in dots."""
    sizes: dict[tuple[str, float], float] = {}
    for text in page.texts:
        place = (text.key, text.baseline)
        sizes[place] = max(text.size, sizes.get(place, 0.0))
    boxes = []
    for (key, baseline), size in sizes.items():
        top = max(_WANDER, round((baseline - 0.95 * size) * DOTS_PER_MM))
        end = min(height - _WANDER, round((baseline + 0.3 * size) * DOTS_PER_MM))
        boxes.append((key, top, end, round(size * DOTS_PER_MM)))
    return boxes


def _fit(wanted: Plane, shown: Plane) -> tuple[float, float]:
    """How dark ink and paper are here: `shown` is about gain times `wanted`, and base."""
    centred = wanted - wanted.mean()
    gain = float((centred * shown).sum() / max(float((centred**2).sum()), 1e-6))
    return gain, float(shown.mean() - gain * wanted.mean())


def _errors(
    wanted: Plane, shown: Plane, rows: tuple[int, int], window: int, gain: float, base: float
) -> NDArray[np.float32]:
    """Of each window along a line, the least error within reach, 1: as if its ink were elsewhere."""
    top, end = rows
    model = gain * wanted[top:end] + base
    inked = wanted[top:end][:, wanted[top:end].max(axis=0) > 0.3]
    ink = float(inked.var()) if inked.size else 0.05
    wide = np.pad(shown[top - _WANDER : end + _WANDER], ((0, 0), (_WANDER, _WANDER)), mode="edge")
    best = np.full(_starts(model.shape[1], window).size, np.inf, np.float32)
    for down in range(2 * _WANDER + 1):
        for across in range(2 * _WANDER + 1):
            moved = wide[down : down + len(model), across : across + model.shape[1]]
            squares = np.concatenate([[0.0], np.cumsum(((moved - model) ** 2).mean(axis=0))])
            starts = _starts(model.shape[1], window)
            best = np.minimum(best, (squares[starts + window] - squares[starts]) / window)
    return np.asarray(best / (gain * gain * ink + 1e-6), np.float32)


def _starts(width: int, window: int) -> NDArray[np.int64]:
    """Where windows begin: every half of one, the last at the very end."""
    return np.unique(np.append(np.arange(0, width - window, max(1, window // 2)), width - window))


def _of_code(page: Page, wanted: Plane, shown: Plane) -> NDArray[np.float32]:
    """The same errors on the QR code, in strips as high as a line."""
    left, width = round(page.code.x * DOTS_PER_MM), round(page.code.side * DOTS_PER_MM)
    first, strip = round(page.code.y * DOTS_PER_MM), 24
    columns = slice(max(0, left), left + width)
    errors = []
    for top in range(first, min(first + width, len(wanted) - strip - _WANDER) - strip, strip):
        gain, base = _fit(wanted[top : top + strip, columns], shown[top : top + strip, columns])
        errors.append(_errors(wanted[:, columns], shown[:, columns], (top, top + strip), strip, gain, base))
    return np.concatenate(errors)
