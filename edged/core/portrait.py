"""The holder's portrait on a page: found by where it must stand and by what it looks like, and cut out upright.

No network and no learned data: the MRZ says where a portrait stands and how large faces are there (Doc 9303-4 to -7:
the portrait is at the left of the visual zone; Doc 9303-3 for its size), and a drawn face, compared with the
picture's brightness and with its steps from row to row, finds it there. A portrait also differs from print by its
tones: print vanishes when thin strokes are taken away.
"""

from __future__ import annotations

import math
from functools import cache
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from edged.core.layouts import MrzFormat
from edged.core.ruler import Box, Ruler, fitted, ruler, view
from edged.core.vision import cv2, grey_of, halved, levels
from edged.identity import Identity
from edged.verdict import Check, Reason, Result

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from edged.core.page import Row

_RESOLUTION: Final = 2.0
"""Pixels per millimetre of the searched view: eyes are seen, strokes of print are one pixel."""
_FACE_PX: Final = 16
_FACE_TALL: Final = 1.32
"""Width in pixels of the drawn face, and its height in widths: from hairline to chin."""
_WIDTHS_MM: Final = (7.0, 8.3, 9.8, 11.6, 13.7, 16.2, 19.1, 22.5)
"""Widths of faces looked for, each a sixth more than the one before: real documents have 11 to 21."""
_LIKE_BRIGHTNESS: Final = 0.5
_LIKE_STEPS: Final = 0.7
_TONES: Final = 0.5
_FULL_TONES: Final = 0.5
_PLACE: Final = 0.1
"""What likeness in brightness, likeness in steps, tones (as far as a full portrait has them) and being in the usual
place and size count for; ours, set on real documents with a face detector as the judge."""
_PORTRAIT: Final = (2.19, 2.51)
"""Width and height of the crop in widths of the face: 35 to 45 with the head at 70 to 80 % of the height
(Doc 9303-3, displayed portrait), and a margin for where the face was found."""
_LEAST_FACE_PX: Final = 24.0
"""Width of a face, in page pixels, below which nobody could compare it with anything."""
_MOST_PX: Final = 1200
"""Longest side of a crop: bounds its memory, whatever the page's resolution."""
_REACH: Final = 2.5
"""How many spreads from a place's middle and from its usual width faces are looked for."""
_LEAST_LIT: Final = 0.2
"""Share of a place's surroundings that isn't dark, below which only the reader's glass is there."""
_GLASS: Final = 60
"""Brightness up to which what touches the view's edge is the reader's dark glass, not the document."""


class _Place(NamedTuple):
    """Where faces stand on a kind of document (mm): middle and spread, usual width and the spread of its logarithm."""

    x: float
    y: float
    spread_x: float
    spread_y: float
    width: float
    spread_width: float


_BOOKLET: Final = (_Place(15, -31, 4, 7, 16.5, 0.28),)
_SMALL: Final = (_Place(13, -27, 5, 7, 15.5, 0.3),)
_ON_CARD: Final = _Place(11, -18, 4, 5, 12.5, 0.4)
_CARD: Final = (
    _ON_CARD,
    _Place(13, -60, 5, 8, 14.5, 0.25),  # copies show a card's front above its back, or to the left of it
    _Place(65, -60, 4, 8, 14, 0.25),
    _Place(-77, -9, 8, 9, 13, 0.25),
)
_FRONT: Final = (_Place(15, -27, 6, 7, 13, 0.35),)
"""The front of an ID-1 card, its lower left corner at (0, 0): the portrait is at the left (Doc 9303-5)."""
_PLACES: Final = {
    MrzFormat.TD3: _BOOKLET,
    MrzFormat.MRVA: _BOOKLET,
    MrzFormat.MRVB: _SMALL,
    MrzFormat.TD2: _SMALL,
    MrzFormat.FRA_ID: _SMALL,
    MrzFormat.PRC_PERMIT: _SMALL,
}
_SURE: Final = 0.47
_SURE_ON_CARDS: Final = 0.62
"""Score from which a face is one; more where several places are possible and the MRZ's side usually has none."""
_HEAD: Final = 1.7
_HEAD_PX: Final = 34
"""A head with its surroundings in widths of the face, and its width in pixels when it is told from print."""
_STROKES: Final = 0.33
"""Strokes, as a share of the tones, that a picture has at most: real portraits up to 0.29, lines of print from 0.4."""
_ACROSS: Final = 0.006
"""Mean step of the tones from column to column, as a share of the paper's brightness, that a picture has at least: hair
against skin against background. Lines of print and tinted bands change from row to row alone."""
_CARD_MM: Final = (85.6, 53.98)
_CARD_SHAPE: Final = 0.06
"""An ID-1 card (ISO/IEC 7810), and by how much the sides' ratio may differ for a card photographed askew."""
_CARD_SHARE: Final = 0.06
"""Least share of the window that a card covers."""
_SIDE: Final = 400


class Portrait(Identity):
    """A portrait as cut from a page: raw identity.

    Attributes:
        score: 0..1 and a little more, how much it looks like a portrait where portraits are.
        corners: page pixels of its upper left, upper right, lower right and lower left corner.
        box: (left, top, width, height), whole page pixels around the corners, inside the page.
        face_px: width of the face in page pixels.
    """

    __slots__ = ("_image", "box", "corners", "face_px", "score")

    def __init__(
        self,
        image: NDArray[np.uint8],
        corners: tuple[tuple[float, float], ...],
        box: tuple[int, int, int, int],
        face_px: float,
        score: float,
    ) -> None:
        self._image = image
        self.corners = corners
        self.box = box
        self.face_px = face_px
        self.score = score

    def image(self) -> NDArray[np.uint8]:
        """The upright crop, grey or BGR like the page, for comparing in memory."""
        return self._image


def find_portrait(
    page: NDArray[np.uint8],
    rows: Sequence[Row],
    format: MrzFormat | None,  # noqa: A002
) -> Portrait | None:
    """The portrait of a page, or None; see `look_for_portrait`."""
    found = look_for_portrait(page, rows, format)
    return found if isinstance(found, Portrait) else None


def look_for_portrait(
    page: NDArray[np.uint8],
    rows: Sequence[Row],
    format: MrzFormat | None,  # noqa: A002
) -> Portrait | Reason:
    """The portrait of a page, (H, W, 3) BGR or (H, W) grey, or why there is none.

    `rows` are the lines of its MRZ (`PageReading.rows`) and `format` their layout. Without them only a card of the
    ID-1 size lying on a dark ground is searched, either way up. Reasons: "portrait.no_scale" (nothing says how large
    the document is), "portrait.not_found", "portrait.too_small".
    """
    if rows and format is not None:
        places = _PLACES.get(format, _CARD)
        sides = [ruler(rows, format)]
        sure = _SURE if format in _PLACES else _SURE_ON_CARDS
    else:
        places, sides, sure = _FRONT, _card(page), _SURE_ON_CARDS
    if not sides:
        return Reason("portrait.no_scale")
    found = []
    small, fits = fitted(page, sides[0], _RESOLUTION)
    small = grey_of(small)
    for side in sides:
        on = side
        while on.unit > fits.unit:
            on = on.halved()
        faces = (_search(small, on, place) for place in places)
        found += [(face, side) for face in faces if face.score >= sure and _is_picture(small, on, face)]
    if not found:
        return Reason("portrait.not_found")
    face, side = max(found, key=lambda pair: pair[0].score)
    if face.width * side.unit < _LEAST_FACE_PX:
        return Reason("portrait.too_small")
    return _cut(page, side, face)


def check(found: Portrait | Reason) -> Check:
    """The evaluatory check `portrait`: whether one was found for the face comparison."""
    if isinstance(found, Portrait):
        return Check("portrait", Result.SUCCESSFUL)
    return Check("portrait", Result.UNDETERMINED, (found,))


class _Face(NamedTuple):
    """A face on the document, in millimetres: its middle and width; and how sure it is one."""

    x: float
    y: float
    width: float
    score: float


_NO_FACE: Final = _Face(0.0, 0.0, 0.0, -math.inf)


def _search(grey: NDArray[np.uint8], on: Ruler, place: _Place) -> _Face:
    """The likeliest face in and around a place where one may stand."""
    shown, wanted = on.shows(grey.shape[1], grey.shape[0]), _around(place)
    box = Box(
        max(shown.left, wanted.left),
        max(shown.top, wanted.top),
        min(shown.right, wanted.right),
        min(shown.bottom, wanted.bottom),
    )
    if box.right - box.left < 2 * _WIDTHS_MM[0] or box.bottom - box.top < 2 * _FACE_TALL * _WIDTHS_MM[0]:
        return _NO_FACE
    picture = view(grey, on, box, _RESOLUTION)
    if float((picture > _GLASS).mean()) < _LEAST_LIT:
        return _NO_FACE
    tones = cv2.integral(_tones(picture))
    best = _NO_FACE
    for width in _WIDTHS_MM:
        if abs(math.log(width / place.width)) > _REACH * place.spread_width:
            continue
        factor = _FACE_PX / (_RESOLUTION * width)
        method = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
        scaled = cv2.resize(picture, None, fx=factor, fy=factor, interpolation=method).astype(np.float32)
        flat, steps = _drawn_face()
        if scaled.shape[0] <= flat.shape[0] or scaled.shape[1] <= flat.shape[1]:
            continue
        like = _LIKE_BRIGHTNESS * cv2.matchTemplate(scaled, flat, cv2.TM_CCOEFF_NORMED)
        like += _LIKE_STEPS * cv2.matchTemplate(_steps(scaled), steps, cv2.TM_CCOEFF_NORMED)
        x = np.arange(like.shape[1]) / (factor * _RESOLUTION) + width / 2
        y = np.arange(like.shape[0]) / (factor * _RESOLUTION) + width * _FACE_TALL / 2
        like += _TONES * np.minimum(_within(tones, x, y, width), _FULL_TONES)
        like += _PLACE * _usual(place, x + box.left, y + box.top, width)
        at, across = np.unravel_index(int(like.argmax()), like.shape)
        if like[at, across] > best.score:
            best = _Face(float(x[across]) + box.left, float(y[at]) + box.top, width, float(like[at, across]))
    return best


def _is_picture(grey: NDArray[np.uint8], on: Ruler, face: _Face) -> bool:
    """Whether a head's surroundings have the tones of a picture: print as large has strokes, paper has nothing."""
    wide, tall = face.width * _HEAD, face.width * _HEAD * _FACE_TALL
    part = Box(face.x - wide / 2, face.y - tall / 2, face.x + wide / 2, face.y + tall / 2)
    head = view(grey, on, part, _HEAD_PX / wide)
    paper = max(levels(head, 0.95)[0], 30.0)
    tones = cv2.GaussianBlur(head.astype(np.float32), (0, 0), 3) / paper
    fine = view(grey, on, part, _RESOLUTION)
    strokes = cv2.subtract(cv2.morphologyEx(fine, cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8)), fine)
    few = float(strokes.mean()) / paper < _STROKES * (float(tones.std()) + 1e-3)
    return few and float(np.abs(np.diff(tones, axis=1)).mean()) >= _ACROSS


def _around(place: _Place) -> Box:
    """All that a portrait in a place may cover: above the MRZ, or on another side beside it."""
    x, y = _REACH * place.spread_x + place.width, _REACH * place.spread_y + 1.5 * place.width
    bottom = place.y + y if place.x < 0 else min(place.y + y, -3.0)
    return Box(place.x - x, place.y - y, min(place.x + x, 0.0) if place.x < 0 else place.x + x, bottom)


def _usual(
    place: _Place, x: NDArray[np.float64], y: NDArray[np.float64], width: float
) -> NDArray[np.float64]:
    """Logarithm of how usual a face of this width is at each (y, x): 0 in the middle of the place."""
    return np.asarray(
        -0.5
        * (
            ((y[:, None] - place.y) / place.spread_y) ** 2
            + ((x[None, :] - place.x) / place.spread_x) ** 2
            + (math.log(width / place.width) / place.spread_width) ** 2
        )
    )


def _tones(picture: NDArray[np.uint8]) -> NDArray[np.float32]:
    """0..1 where the picture has tones that are no print: steps that stay when thin strokes are gone."""
    strokes = np.ones((3, 3), np.uint8)
    plain = cv2.morphologyEx(picture, cv2.MORPH_CLOSE, strokes)
    plain = cv2.morphologyEx(plain, cv2.MORPH_OPEN, strokes)
    lit = plain[plain > _GLASS]
    paper = levels(lit[None], 0.75)[0] if lit.size else 200.0
    soft = cv2.GaussianBlur(plain, (7, 7), 1.0).astype(np.float32)
    slope = cv2.magnitude(cv2.Sobel(soft, cv2.CV_32F, 1, 0), cv2.Sobel(soft, cv2.CV_32F, 0, 1))
    tones = np.minimum(slope / max(0.48 * paper, 1.0), 1.0).astype(np.float32)
    dark = (plain < min(_GLASS, 0.35 * paper)).astype(np.uint8)
    _, labels = cv2.connectedComponents(dark)
    edge = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
    glass = np.isin(labels, np.unique(edge[edge > 0])).astype(np.uint8)
    tones[cv2.dilate(glass, np.ones((7, 7), np.uint8)) > 0] = 0.0
    return np.asarray(tones, np.float32)


def _within(
    tones: NDArray[np.float64], x: NDArray[np.float64], y: NDArray[np.float64], width: float
) -> NDArray[np.float64]:
    """Mean of the tones (given as their integral) in a head's surroundings, for each (y, x) in millimetres."""
    wide, tall = width * 0.85, width * 0.85 * _FACE_TALL
    most_x, most_y = tones.shape[1] - 1, tones.shape[0] - 1

    def pixel(values: NDArray[np.float64], most: int) -> NDArray[np.intp]:
        return np.minimum(np.maximum(values * _RESOLUTION + 0.5, 0), most).astype(np.intp)

    bands = tones[pixel(y + tall, most_y)] - tones[pixel(y - tall, most_y)]
    total = bands[:, pixel(x + wide, most_x)] - bands[:, pixel(x - wide, most_x)]
    return np.asarray(total / (4 * wide * tall * _RESOLUTION**2))


@cache
def _drawn_face() -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """A face from hairline to chin as brightness, and its steps from row to row."""
    tall = round(_FACE_PX * _FACE_TALL)
    v, u = np.mgrid[0:tall, 0:_FACE_PX]
    u, v = (u + 0.5) / _FACE_PX, (v + 0.5) / tall

    def spot(x: float, y: float, wide: float, high: float) -> NDArray[np.float64]:
        return np.asarray(np.exp(-(((u - x) / wide) ** 2) / 2 - ((v - y) / high) ** 2 / 2))

    skin = 1 / (1 + np.exp((((u - 0.5) / 0.5) ** 2 + ((v - 0.5) / 0.56) ** 2 - 1) * 6))
    face = skin + 0.25 * spot(0.5, 0.45, 0.1, 0.18) + 0.15 * spot(0.5, 0.18, 0.2, 0.08)  # nose, forehead
    face -= 0.25 * (spot(0.42, 0.58, 0.04, 0.02) + spot(0.58, 0.58, 0.04, 0.02))  # nostrils
    face -= 0.5 * spot(0.5, 0.74, 0.14, 0.03) + 0.3 * spot(0.5, 0.97, 0.3, 0.05)  # mouth, chin's shadow
    face -= 0.6 * (1 - skin) * (v < 0.35)  # hair
    for x in (0.26, 0.74):
        face += 0.15 * spot(x, 0.55, 0.1, 0.08)  # cheek
        face -= 0.75 * spot(x, 0.355, 0.09, 0.045) + 0.35 * spot(x, 0.27, 0.12, 0.03)  # eye, brow
    drawn = face.astype(np.float32)
    return drawn, _steps(cv2.copyMakeBorder(drawn, 1, 1, 1, 1, cv2.BORDER_REPLICATE))[1:-1, 1:-1].copy()


def _steps(picture: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(cv2.Sobel(picture, cv2.CV_32F, 0, 1), np.float32)


def _card(page: NDArray[np.uint8]) -> list[Ruler]:
    """Rulers, one for each way up, of the only ID-1 card on a dark ground; none when nothing has its shape."""
    small = grey_of(halved(page, _SIDE))
    scale = 2.0 ** round(math.log2(page.shape[1] / small.shape[1]))
    low, high = levels(small, 0.05, 0.98)
    lit = cv2.threshold(small, (low + high) / 2, 255, cv2.THRESH_BINARY)[1]
    lit = cv2.morphologyEx(lit, cv2.MORPH_CLOSE, np.ones((9, 9), np.uint8))
    outlines, _ = cv2.findContours(lit, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    outlines = [o for o in outlines if cv2.contourArea(o) > _CARD_SHARE * small.size]
    if len(outlines) != 1:
        return []
    middle, sides, degrees = cv2.minAreaRect(outlines[0])
    long_side, short_side = max(sides), min(sides)
    shape = _CARD_MM[0] / _CARD_MM[1]
    if abs(long_side / max(short_side, 1.0) / shape - 1) > _CARD_SHAPE:
        return []
    if cv2.contourArea(outlines[0]) < 0.85 * long_side * short_side:
        return []
    angle = math.radians(degrees + (0 if sides[0] >= sides[1] else 90))
    unit = long_side * scale / _CARD_MM[0]
    x, y = (middle[0] + 0.5) * scale - 0.5, (middle[1] + 0.5) * scale - 0.5
    rulers = []
    for turned in (angle, angle + math.pi):
        about = Ruler(x, y, math.cos(turned), math.sin(turned), unit)
        corner = about.place(-_CARD_MM[0] / 2, _CARD_MM[1] / 2)
        rulers.append(about._replace(x=corner[0], y=corner[1]))
    return rulers


def _cut(page: NDArray[np.uint8], on: Ruler, face: _Face) -> Portrait:
    wide, tall = face.width * _PORTRAIT[0], face.width * _PORTRAIT[1]
    part = Box(face.x - wide / 2, face.y - tall / 2, face.x + wide / 2, face.y + tall / 2)
    corners = tuple(
        on.place(x, y)
        for x, y in (
            (part.left, part.top),
            (part.right, part.top),
            (part.right, part.bottom),
            (part.left, part.bottom),
        )
    )
    xs, ys = (sorted(values) for values in zip(*corners, strict=True))
    left, top = max(0, math.floor(xs[0])), max(0, math.floor(ys[0]))
    right, bottom = min(page.shape[1], math.ceil(xs[-1]) + 1), min(page.shape[0], math.ceil(ys[-1]) + 1)
    resolution = min(on.unit, _MOST_PX / max(wide, tall))
    image = view(page, on, part, resolution)
    return Portrait(image, corners, (left, top, right - left, bottom - top), face.width * on.unit, face.score)
