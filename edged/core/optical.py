"""What a document does under infrared and ultraviolet light, as a handful of numbers that hold no identity.

Genuine MRZs are printed in ink that absorbs infrared (Doc 9303-3: legible in the B900 band), coloured security print
mostly vanishes there, security paper doesn't shine under ultraviolet while some of its print does (Doc 9303-2), and a
portrait keeps or loses its darkness as a whole. How much of each a reader sees is a matter of its lamps and camera:
`edged.core.optical_fit` learns that from captures of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final, NamedTuple

import msgspec
import numpy as np

from edged.core.layouts import SHAPES, MrzFormat
from edged.core.optical_align import Aligned, align
from edged.core.ruler import PITCH_MM, Box, Ruler, ruler, view
from edged.core.vision import cv2, grey_of
from edged.events import Light

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from edged.core.page import Row
    from edged.core.portrait import Portrait

_PRINT_RESOLUTION: Final = 8.0
"""Pixels per millimetre, at most, at which ink is told from paper: a stroke is three of them."""
_ZONE_RESOLUTION: Final = 4.0
_SEGMENTS: Final = 8
"""Parts of each line whose ink is looked at by itself: one replaced name shows in one of them."""
_LEAST_INK: Final = 40
"""Pixels of ink a segment needs: fillers alone have some 150."""
_LEAST_CONTRAST: Final = 0.2
"""Contrast of the MRZ in white light below which nothing can be said about its ink."""
_LIT: Final = 20.0
"""Brightness that paper has in an infrared frame whose lamp works."""
_UV_SIGNAL: Final = 0.02
"""What must shine somewhere in an ultraviolet frame, or its lamp may be off: each of the real ones has ten times it."""
_GLASS: Final = 60
_COLOUR: Final = 25
"""Difference of the channels from which print is coloured, not grey, and camera noise stays below."""
_INK: Final = 110
"""Brightness up to which print counts as black ink, which need not vanish."""
_PRINT_DARK: Final = 0.08
_PLAIN: Final = 0.05
"""Darkness, against the paper around it, from which something is print, and up to which it is paper."""
_LEAST_COLOUR: Final = 0.02
"""Share of the visual zone with coloured print that must be there to be watched vanish."""
_ZONES_MM: Final = {
    MrzFormat.TD3: 62.0,
    MrzFormat.MRVA: 55.0,
    MrzFormat.MRVB: 50.0,
    MrzFormat.TD2: 48.0,
    MrzFormat.FRA_ID: 48.0,
    MrzFormat.TD1: 30.0,
}
"""Height of the visual zone above an MRZ's first line; less than the page has (Doc 9303-4 to -7)."""
_ZONE_MM: Final = 30.0


_Number = Annotated[float, msgspec.Meta(ge=-1, le=100)]
_Name = Annotated[str, msgspec.Meta(pattern=r"^[A-Z][A-Z0-9_]{0,15}$")]
_State = Annotated[str, msgspec.Meta(pattern=r"^[A-Z]{1,3}$")]


class Features(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The numbers of one document's frames; None where they can't be measured. No picture, no text, no name.

    Attributes:
        format: the MRZ's layout, by name.
        issuer: issuing state, three letters, where the reading was sure.
        mrz_white: contrast of the MRZ's ink to its paper in white light, 0..1.
        mrz_ir: the same in infrared: high for carbon ink.
        mrz_ir_least: the same of the palest eighth of a line.
        viz_ir: darkness that coloured print of the visual zone keeps in infrared, as a share of its own in white light.
        portrait_ir: contrast that the portrait keeps in infrared, as a share of its own in white light.
        uv_paper: brightness of unprinted paper in ultraviolet, 0..1.
        uv_blue: by how much its blue exceeds its other colours, -1..1: optical brighteners shine blue.
        uv_print: by how much the brightest print outshines the paper.
        agreement: how well the infrared frame's MRZ matched the white one's, 0..1; 0: taken to lie where it lay.
    """

    format: _Name
    issuer: _State | None = None
    mrz_white: _Number | None = None
    mrz_ir: _Number | None = None
    mrz_ir_least: _Number | None = None
    viz_ir: _Number | None = None
    portrait_ir: _Number | None = None
    uv_paper: _Number | None = None
    uv_blue: _Number | None = None
    uv_print: _Number | None = None
    agreement: _Number | None = None


def measure(
    frames: Mapping[Light, NDArray[np.uint8]],
    rows: Sequence[Row],
    format: MrzFormat,  # noqa: A002
    *,
    portrait: Portrait | None = None,
    issuer: str | None = None,
) -> Features:
    """The features of frames of one document, (H, W, 3) BGR or (H, W) grey, that must include white light.

    `rows` are the MRZ's lines in the white frame (`PageReading.rows`), `portrait` what was found there. Pure; some ten
    milliseconds for three frames of 2 megapixels.
    """
    white = frames[Light.WHITE]
    on = ruler(rows, format)
    found: dict[str, float | None] = {}
    if Light.IR in frames:
        infrared = grey_of(frames[Light.IR])
        aligned = align(grey_of(white), infrared, on, format)
        found |= _infrared(white, infrared, on, aligned, rows, format, portrait)
    if Light.UV in frames:
        found |= _ultraviolet(white, frames[Light.UV], on, format)
    rounded = {name: None if value is None else round(value, 4) for name, value in found.items()}
    return Features(format.name, issuer, **rounded)


def _infrared(
    white: NDArray[np.uint8],
    infrared: NDArray[np.uint8],
    on: Ruler,
    aligned: Aligned,
    rows: Sequence[Row],
    format: MrzFormat,  # noqa: A002
    portrait: Portrait | None,
) -> dict[str, float | None]:
    there = aligned.ruler
    ink = _mrz_ink(white, infrared, on, there, rows, format)
    found: dict[str, float | None] = {"mrz_white": ink.white, "agreement": aligned.agreement}
    if ink.paper < _LIT:  # the lamp is off: nothing vanished, nothing was lit
        return found
    found |= {"mrz_ir": ink.infrared, "mrz_ir_least": ink.least}
    if white.ndim == 3:
        zone = _zone(format)
        hidden = None if portrait is None else _portrait_box(on, portrait)
        found["viz_ir"] = _vanishing(
            view(white, on, zone, _ZONE_RESOLUTION),
            view(infrared, there, zone, _ZONE_RESOLUTION),
            _covered(zone, hidden),
        )
    if portrait is not None:
        box = _portrait_box(on, portrait)
        before = grey_of(view(white, on, box, _ZONE_RESOLUTION)).astype(np.float32)
        after = view(infrared, there, box, _ZONE_RESOLUTION).astype(np.float32)
        spread = float(before.std()) / max(float(np.percentile(before, 95)), 1.0)
        kept = float(after.std()) / max(float(np.percentile(after, 95)), 1.0)
        found["portrait_ir"] = kept / spread if spread > 0.02 else None
    return found


class _Ink(NamedTuple):
    white: float | None
    infrared: float | None
    least: float | None
    paper: float


def _mrz_ink(
    white: NDArray[np.uint8],
    infrared: NDArray[np.uint8],
    on: Ruler,
    there: Ruler,
    rows: Sequence[Row],
    format: MrzFormat,  # noqa: A002
) -> _Ink:
    """How dark the MRZ's ink is in both lights; ink and paper are told apart in white light alone."""
    length = SHAPES[format][1] * PITCH_MM
    resolution = min(_PRINT_RESOLUTION, on.unit)
    near = np.ones((3, 3), np.uint8)
    before, after, papers = [], [], []
    for row in rows:
        _, down = on.measured(float(row.x), float(row.y))
        box = Box(0.0, down - 1.7, length, down + 1.7)
        one, two = grey_of(view(white, on, box, resolution)), view(infrared, there, box, resolution)
        dark, light = np.percentile(one, (5, 90))
        strokes, paper = one < dark + 0.35 * (light - dark), one > dark + 0.8 * (light - dark)
        clear = cv2.erode(paper.astype(np.uint8), near) > 0
        for part in np.array_split(np.arange(one.shape[1]), _SEGMENTS):
            ink, blank = strokes[:, part], clear[:, part]
            if ink.sum() < _LEAST_INK * (resolution / _PRINT_RESOLUTION) ** 2 or not blank.any():
                continue
            papers.append(float(np.median(two[:, part][blank])))
            # A stroke one pixel off is still found: its darkest neighbour counts.
            before.append(_contrast(cv2.erode(one[:, part], near), ink, blank))
            after.append(_contrast(cv2.erode(two[:, part], near), ink, blank))
    if not before or float(np.median(before)) < _LEAST_CONTRAST:
        return _Ink(None, None, None, float(np.median(papers)) if papers else 0.0)
    return _Ink(float(np.median(before)), float(np.median(after)), min(after), float(np.median(papers)))


def _contrast(picture: NDArray[np.uint8], ink: NDArray[np.bool_], paper: NDArray[np.bool_]) -> float:
    bright = max(float(np.median(picture[paper])), 1.0)
    return max(0.0, 1.0 - float(np.median(picture[ink])) / bright)


def _zone(format: MrzFormat) -> Box:  # noqa: A002
    return Box(0.0, -_ZONES_MM.get(format, _ZONE_MM), SHAPES[format][1] * PITCH_MM, -5.0)


def _portrait_box(on: Ruler, portrait: Portrait) -> Box:
    (left, top), (right, bottom) = (on.measured(*portrait.corners[corner]) for corner in (0, 2))
    return Box(left, top, right, bottom)


def _covered(zone: Box, hidden: Box | None) -> NDArray[np.bool_]:
    """The zone's pixels that count: all but the portrait's."""
    height, width = (
        round((b - a) * _ZONE_RESOLUTION) for a, b in ((zone.top, zone.bottom), (zone.left, zone.right))
    )
    counts = np.ones((height, width), bool)
    if hidden is not None:
        left, right = (max(0, int((x - zone.left) * _ZONE_RESOLUTION)) for x in (hidden.left, hidden.right))
        top, bottom = (max(0, int((y - zone.top) * _ZONE_RESOLUTION)) for y in (hidden.top, hidden.bottom))
        counts[top:bottom, left:right] = False
    return counts


def _vanishing(
    white: NDArray[np.uint8], infrared: NDArray[np.uint8], counts: NDArray[np.bool_]
) -> float | None:
    """Darkness that coloured print keeps in infrared, as a share of its darkness in white light."""
    grey = grey_of(white)
    colour = white.max(axis=2).astype(np.int16) - white.min(axis=2)
    ink = cv2.dilate(
        (grey < _INK).astype(np.uint8), np.ones((7, 7), np.uint8)
    )  # and the soft edges of its strokes
    before, after = _darkness(grey), _darkness(infrared)
    counts = counts & (ink == 0)
    # What is darker than the paper around it: a tinted page is all coloured and none of it is print.
    coloured = (colour > _COLOUR) & (before > _PRINT_DARK) & counts
    plain = (before < _PLAIN) & counts
    if coloured.sum() < _LEAST_COLOUR * counts.size or not plain.any():
        return None
    kept = float(np.mean(after[coloured])) - float(np.mean(after[plain]))
    return max(0.0, kept) / (float(np.mean(before[coloured])) - float(np.mean(before[plain])))


def _darkness(picture: NDArray[np.uint8]) -> NDArray[np.float32]:
    """By how much each pixel falls short of the paper around it, 0..1: lamps are uneven."""
    reach = int(3 * _ZONE_RESOLUTION) | 1
    paper = cv2.blur(cv2.dilate(picture, np.ones((reach, reach), np.uint8)), (reach, reach)).astype(
        np.float32
    )
    return np.asarray(np.maximum(0.0, 1.0 - picture / np.maximum(paper, 1.0)), np.float32)


def _ultraviolet(
    white: NDArray[np.uint8],
    ultraviolet: NDArray[np.uint8],
    on: Ruler,
    format: MrzFormat,  # noqa: A002
) -> dict[str, float | None]:
    """How paper and print shine. The frame is dark and shows little to align it by: the document lies where it lay."""
    scale = ultraviolet.shape[1] / white.shape[1]
    there = on._replace(x=on.x * scale, y=on.y * scale, unit=on.unit * scale)
    lines, width = SHAPES[format]
    area = Box(0.0, _zone(format).top, width * PITCH_MM, (lines - 1) * 4.3 + 4.0)
    seen, shine = (
        grey_of(view(white, on, area, _ZONE_RESOLUTION)),
        view(ultraviolet, there, area, _ZONE_RESOLUTION),
    )
    blank = ((_darkness(seen) < 0.05) & (seen > _GLASS)).astype(np.uint8)
    paper = cv2.erode(blank, np.ones((5, 5), np.uint8)) > 0
    if paper.sum() < 0.01 * paper.size:
        return {}
    bright = shine if shine.ndim == 2 else shine.max(axis=2)
    plain = float(np.median(bright[paper])) / 255
    brightest = float(np.percentile(bright, 99.5)) / 255
    if max(plain, brightest) < _UV_SIGNAL:
        return {}
    found: dict[str, float | None] = {"uv_paper": plain, "uv_print": brightest - plain}
    if shine.ndim == 3:
        blue, green, red = (np.median(shine[..., channel][paper]) / 255 for channel in range(3))
        found["uv_blue"] = float(blue - (green + red) / 2)
    return found
