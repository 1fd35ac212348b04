"""How good a picture is, in measured numbers, and what a clerk can do to get a better one.

The thresholds are ours, set on specimens and real pictures; they advise and never decide.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from edged.core.exposure import Exposure, expose
from edged.core.sharpness import Print, focus, of_print
from edged.verdict import Check, Reason, Result

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from edged.core.page import Row

_COVERED: Final = 0.012
"""Share of the window with structure from which something lies in it; sensor noise and dust stay below."""
_DARK: Final = 80 / 255
"""Brightness that even the paper stays below when the lamp is off or the cover open at night."""
_WASHED_OUT: Final = 0.75
"""Brightness of the darkest print from which, with half the window blown out, the light has eaten the print."""
_PALE: Final = 0.3
"""Contrast of an MRZ on blown-out paper below which the light has eaten its strokes."""
_BURNT_PAPER: Final = 250 / 255
_UNEVEN: Final = 0.18
"""Paper along an MRZ that falls so far short of its brightest, blown-out part: a lamp reflects there. Printed
backgrounds behind an MRZ reach 0.16."""
_SHARP: Final = 0.055
_FOCUS: Final = 0.25
"""A ramp over the whole of an edge's width has half of it."""
_SMALL_CAP: Final = 8.0
"""Height of capitals, in pixels, below which more resolution would help: real pages from 8.0 on read as valid."""
_TILT: Final = 20.0
"""Degrees a document may be turned without being asked about: the reader reads beyond them."""
_CONVERGING: Final = 2.5
"""Degrees between lines of one page that lies flat: the locator is right to half a degree on short lines."""

ADVICE: Final = (
    "reading.no_document",
    "reading.too_dark",
    "reading.too_bright",
    "reading.glare",
    "reading.leaves_window",
    "reading.too_small",
    "reading.blurred",
    "reading.not_flat",
    "reading.tilted",
)
"""Everything a clerk may be asked to do, the most useful first: light before place, place before focus, since a dark
picture looks blurred and a document half outside looks small."""


class Quality(NamedTuple):
    """Measures of one picture; `reasons` name what is wrong with it as far as the whole picture says.

    Attributes:
        document_present: something lies in the window.
        brightness: 0..1, of the brightest hundredth: paper.
        contrast: 0..1, between that and the darkest twentieth.
        reasons: codes of `ADVICE`.
        exposure: how the light falls on the window.
        print: how the MRZ stands in it; None as long as none was found.
        focus: sharpness of the whole picture; None as long as nobody asked.
    """

    document_present: bool
    brightness: float
    contrast: float
    reasons: tuple[Reason, ...]
    exposure: Exposure | None = None
    print: Print | None = None
    focus: float | None = None

    def check(self) -> Check:
        """The evaluatory check `image_quality`."""
        return Check(
            "image_quality", Result.UNDETERMINED if self.reasons else Result.SUCCESSFUL, self.reasons
        )


def measure(grey: NDArray[np.uint8]) -> Quality:
    """Measure the light and what lies in the window, on a page of any size: a third of a millisecond."""
    light = expose(grey)
    present = light.covered > _COVERED
    reasons = []
    if present:
        if light.high < _DARK:
            reasons.append(Reason("reading.too_dark"))
        elif light.middle >= _BURNT_PAPER and light.darkest > _WASHED_OUT:
            reasons.append(Reason("reading.too_bright"))
        elif light.glare:
            reasons.append(Reason("reading.glare"))
    return Quality(present, light.high, light.high - light.low, tuple(reasons), light)


def examine(grey: NDArray[np.uint8], rows: tuple[Row, ...] = (), measured: Quality | None = None) -> Quality:
    """Every measure of a page: `measured`, or `measure` made now, and where `rows` stand or, without any, its focus."""
    quality = measure(grey) if measured is None else measured
    if not quality.document_present:
        return quality
    if rows:
        stands = of_print(grey, rows)
        found, quality = _of_print(stands), quality._replace(print=stands)
    else:
        sharp = focus(grey)
        found, quality = _of_focus(sharp, quality.exposure), quality._replace(focus=sharp)
    more = tuple(reason for reason in found if reason not in quality.reasons)
    return quality._replace(reasons=(*quality.reasons, *more))


def advice(quality: Quality) -> Reason | None:
    """The one sentence that helps most, or None when nothing is wrong with the picture."""
    if not quality.document_present:
        return Reason(ADVICE[0])
    return min(quality.reasons, key=lambda reason: ADVICE.index(reason.code), default=None)


def of_page(grey: NDArray[np.uint8]) -> tuple[Reason, ...]:
    """What is wrong with a whole picture in which no MRZ was read: out of focus."""
    return _of_focus(focus(grey), None)


def of_rows(grey: NDArray[np.uint8], rows: tuple[Row, ...]) -> tuple[Reason, ...]:
    """What is wrong with the picture where the MRZ stands, for a better frame."""
    return _of_print(of_print(grey, rows))


def _of_focus(sharp: float | None, light: Exposure | None) -> tuple[Reason, ...]:
    """An open booklet leaves the window at one side and is none the worse for it; at a corner half of it is missing."""
    if sharp is not None and sharp < _FOCUS:
        return (Reason("reading.blurred"),)
    return (_leaves(light.sides),) if light is not None and len(light.sides) > 1 else ()


def _of_print(stands: Print) -> tuple[Reason, ...]:
    found = []
    if stands.paper >= _BURNT_PAPER and stands.uneven > _UNEVEN:
        found.append(Reason("reading.glare"))
    elif stands.paper >= _BURNT_PAPER and stands.contrast < _PALE:
        found.append(Reason("reading.too_bright"))
    if stands.sides:
        found.append(_leaves(stands.sides))
    if stands.cap < _SMALL_CAP:
        found.append(Reason("reading.too_small"))
    elif stands.sharpness < _SHARP:
        found.append(Reason("reading.blurred"))
    if stands.converging > _CONVERGING:
        found.append(Reason("reading.not_flat"))
    elif stands.tilt > _TILT:
        found.append(Reason("reading.tilted"))
    return tuple(found)


def _leaves(sides: tuple[str, ...]) -> Reason:
    return Reason("reading.leaves_window", {"side": sides[0]})
