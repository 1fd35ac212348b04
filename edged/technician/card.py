"""The test card: a page without anybody's identity, and what a camera makes of it. Pure.

Four QR codes in its corners say that it is the card, where it lies and how large it is in pixels. Between them are
white, grey and black fields for the exposure, and slanted squares for the focus. All of it is known, so of a picture
exactly the card can be kept, and only when nothing lies on it.
"""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from edged.core.barcode import find_barcodes
from edged.core.sharpness import focus
from edged.core.vision import cv2, grey_of

if TYPE_CHECKING:
    import datetime

    from numpy.typing import NDArray

CONTENT: Final = "EDGED:TEST-CARD:1:"
"""What the QR codes say before the letter of their corner."""

WIDTH_MM, HEIGHT_MM = 125, 88
"""As a passport's page (ICAO Doc 9303 part 4, TD3)."""

DOTS_PER_MM: Final = 12
"""Of the picture that is printed: 304.8 dpi."""

_CORNERS: Final = {"A": (6, 6), "B": (101, 6), "C": (101, 64), "D": (6, 64)}
"""Upper left corner of each code, in millimetres."""
_CODE_MM: Final = 18
_WHITE: Final = {"top": (52, 6), "left": (6, 36), "right": (107, 36), "bottom": (52, 72), "middle": (44, 36)}
"""Upper left corner of white fields."""
_BLACK: Final = (72, 36)
_GREY: Final = {64: (32, 24), 128: (56, 24), 192: (80, 24)}
_FIELD_MM: Final = 10
_EDGES: Final = {
    "upper_left": (30, 8),
    "upper_right": (82, 8),
    "lower_left": (30, 66),
    "lower_right": (82, 66),
    "centre": (57, 50),
}
"""Upper left corner of the squares whose edges are measured."""
_EDGE_MM: Final = 12
_SLANT: Final = 0.35
"""Of a square's corner against its side: no edge runs along a row of pixels."""

_INCH_MM: Final = 25.4
_BURNT: Final = 254
_KEPT_PER_MM: Final = 4
"""Print too small to be told from dust by `_PART` is too small to be read at this resolution (102 dpi)."""
_COARSE: Final = (WIDTH_MM, HEIGHT_MM)
"""The card is compared by square millimetres: print of a document is grey there, and no edge is sharp."""
_PART: Final = 3
"""Side, in millimetres, of what is looked at as one: less than a line of print and its surroundings."""
_MOST_OFF: Final = 30.0
"""Brightness, of 255, by which such a part may differ from the drawing: blur, dust and uneven light stay below 20."""
_LEAST_CONTRAST: Final = 0.2
"""Of the picture to the drawing; with less nothing can be compared."""
_INNER: Final = 0.25
"""Of a field that is left out at each side: neighbours shine into its edge."""


class Seen(NamedTuple):
    """What a picture of the card shows; each 0..1 but for the resolution.

    Attributes:
        dpi: pixels per inch of the card.
        sharpness: of the least sharp square: see `edged.core.sharpness.focus`.
        white: brightness of the brightest white field.
        black: brightness of the black field.
        shades: the least step from black over the greys to white; none when one looks like the next.
        uneven: by how much the darkest white field falls short of the brightest.
        burnt: share of the white fields' pixels that say nothing more.
    """

    dpi: float
    sharpness: float
    white: float
    black: float
    shades: float
    uneven: float
    burnt: float


class Limits(NamedTuple):
    """What a picture of the card must show."""

    dpi: float = 150.0
    """OCR-B's capitals are 15 pixels high then; reading begins to suffer at 8."""
    sharpness: float = 0.25
    white: tuple[float, float] = (0.45, 0.985)
    contrast: float = 0.35
    shades: float = 0.02
    uneven: float = 0.30
    burnt: float = 0.05


LIMITS: Final = Limits()


def complaint(seen: Seen, limits: Limits = LIMITS) -> str | None:
    """What is wrong with the picture, a code that says what to turn; None when nothing is. Light goes before focus."""
    if seen.white < limits.white[0]:
        return "acceptance.too_dark"
    if seen.white > limits.white[1] or seen.burnt > limits.burnt:
        return "acceptance.too_bright"
    if seen.white - seen.black < limits.contrast or seen.shades < limits.shades:
        return "acceptance.no_contrast"
    if seen.uneven > limits.uneven:
        return "acceptance.uneven"
    if seen.dpi < limits.dpi:
        return "acceptance.too_small"
    if seen.sharpness < limits.sharpness:
        return "acceptance.out_of_focus"
    return None


def draw() -> NDArray[np.uint8]:
    """The card, (height, width) grey, to be printed `WIDTH_MM` wide."""
    page = np.full((HEIGHT_MM * DOTS_PER_MM, WIDTH_MM * DOTS_PER_MM), 255, np.uint8)
    for letter, place in _CORNERS.items():
        _put(page, place, _code(CONTENT + letter))
    for shade, place in _GREY.items():
        _put(page, place, np.full((_FIELD_MM * DOTS_PER_MM,) * 2, shade, np.uint8))
    _put(page, _BLACK, np.zeros((_FIELD_MM * DOTS_PER_MM,) * 2, np.uint8))
    for x, y in _EDGES.values():
        side, lean = _EDGE_MM * DOTS_PER_MM, int(_EDGE_MM * DOTS_PER_MM * _SLANT)
        square = np.array([(lean, 0), (side, lean), (side - lean, side), (0, side - lean)])
        square += (x * DOTS_PER_MM, y * DOTS_PER_MM)
        cv2.fillPoly(page, [square.astype(np.int32)], 40.0)
    return page


def png() -> bytes:
    """The card as a file that knows how large it is printed."""
    done, data = cv2.imencode(".png", draw())
    assert done
    raw: bytes = data.tobytes()
    after_header = 8 + 4 + 4 + 13 + 4  # signature; length, type, content and CRC of IHDR (PNG, 5.3)
    body = b"pHYs" + struct.pack(">IIB", DOTS_PER_MM * 1000, DOTS_PER_MM * 1000, 1)
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    return raw[:after_header] + chunk + raw[after_header:]


def locate(picture: NDArray[np.uint8]) -> NDArray[np.float64] | None:
    """From millimetres of the card to pixels of a picture, as a homography; None when not all of it can be seen."""
    there: dict[str, NDArray[np.float64]] = {}
    for code in find_barcodes(picture):
        text = code.content.reveal()
        if text.startswith(CONTENT.encode()) and code.symbology == "QRCode":
            there[text[len(CONTENT) :].decode("ascii", "replace")] = code.corners
    if not there.keys() >= _CORNERS.keys():
        return None
    card = np.concatenate([_square(*_CORNERS[letter], _CODE_MM) for letter in _CORNERS])
    seen = np.concatenate([there[letter] for letter in _CORNERS])
    found, _ = cv2.findHomography(card, seen)
    return None if found is None else np.asarray(found, np.float64)


def measure(picture: NDArray[np.uint8], plan: NDArray[np.float64]) -> Seen:
    """What a picture shows of the card that lies there by `plan`."""
    grey = grey_of(picture)
    whites = [_field(grey, plan, place) for place in _WHITE.values()]
    levels = [float(np.median(one)) / 255 for one in whites]
    shades = [float(np.median(_field(grey, plan, place))) / 255 for place in (_BLACK, *_GREY.values())]
    sharp = [focus(_cut(grey, plan, place, _EDGE_MM + 2)) or 0.0 for place in _EDGES.values()]
    return Seen(
        dpi=_scale(plan) * _INCH_MM,
        sharpness=min(sharp),
        white=max(levels),
        black=shades[0],
        shades=min(float(np.min(np.diff(shades))), max(levels) - shades[-1]),
        uneven=1 - min(levels) / max(*levels, 1 / 255),
        burnt=float(np.mean([np.mean(one >= _BURNT) for one in whites])),
    )


def alone(picture: NDArray[np.uint8], plan: NDArray[np.float64]) -> NDArray[np.uint8] | None:
    """The card alone, straightened, colours kept; None when any part of it looks otherwise: something lies on it."""
    to_mm = np.diag([1 / _KEPT_PER_MM, 1 / _KEPT_PER_MM, 1.0])
    size = (WIDTH_MM * _KEPT_PER_MM, HEIGHT_MM * _KEPT_PER_MM)
    flags = cv2.INTER_AREA | cv2.WARP_INVERSE_MAP
    kept = np.asarray(cv2.warpPerspective(picture, plan @ to_mm, size, flags=flags), np.uint8)
    seen = cv2.blur(cv2.resize(grey_of(kept), _COARSE, interpolation=cv2.INTER_AREA), (3, 3)).astype(
        np.float32
    )
    drawn = cv2.blur(cv2.resize(draw(), _COARSE, interpolation=cv2.INTER_AREA), (3, 3)).astype(np.float32)
    expected, steepness = _lit(drawn, seen)
    if steepness < _LEAST_CONTRAST:
        return None
    off = cv2.blur(np.abs(seen - expected) / steepness, (_PART, _PART))
    return kept if float(np.max(off)) < _MOST_OFF else None


def _lit(drawn: NDArray[np.float32], seen: NDArray[np.float32]) -> tuple[NDArray[np.float64], float]:
    """The drawing under the light that explains `seen` best, uneven as it may be; and the picture's contrast to it."""
    height, width = drawn.shape
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    across = [np.ones_like(x), x, y, x * x, y * y, x * y]
    terms = np.stack([one * drawn for one in across] + across[:3], axis=-1).reshape(-1, len(across) + 3)
    found, *_ = np.linalg.lstsq(terms, seen.ravel(), rcond=None)
    light = sum(float(weight) * one for weight, one in zip(found, across, strict=False))
    return (terms @ found).reshape(drawn.shape), float(np.min(light))


def shows_a_document(picture: NDArray[np.uint8], *, today: datetime.date) -> bool:
    """Whether lines like an MRZ's, or a barcode that isn't the card's, are in a picture. When in doubt: yes."""
    from edged.core.burst import read_frames

    reading = read_frames([picture], today=today)
    if reading.mrz is not None or reading.rows:
        return True
    return any(not code.content.reveal().startswith(CONTENT.encode()) for code in find_barcodes(picture))


def _code(text: str) -> NDArray[np.uint8]:
    import zxingcpp

    writer: Any = zxingcpp
    made = writer.create_barcode(text, writer.BarcodeFormat.QRCode, ec_level="M")
    small = np.asarray(made.to_image(scale=1, add_quiet_zones=False), np.uint8)
    side = _CODE_MM * DOTS_PER_MM
    return np.asarray(cv2.resize(small, (side, side), interpolation=cv2.INTER_NEAREST), np.uint8)


def _put(page: NDArray[np.uint8], place: tuple[int, int], what: NDArray[np.uint8]) -> None:
    x, y = place[0] * DOTS_PER_MM, place[1] * DOTS_PER_MM
    page[y : y + what.shape[0], x : x + what.shape[1]] = what


def _square(x: float, y: float, side: float) -> NDArray[np.float64]:
    return np.array([(x, y), (x + side, y), (x + side, y + side), (x, y + side)], np.float64)


def _seen_at(plan: NDArray[np.float64], points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Where points of the card lie in the picture."""
    flat = np.column_stack([points, np.ones(len(points))]) @ plan.T
    return np.asarray(flat[:, :2] / flat[:, 2:], np.float64)


def _scale(plan: NDArray[np.float64]) -> float:
    """Pixels per millimetre, along the card's shorter-seen side."""
    corners = _seen_at(plan, np.array([(0, 0), (WIDTH_MM, 0), (0, HEIGHT_MM)], np.float64))
    across = float(np.hypot(*(corners[1] - corners[0]))) / WIDTH_MM
    down = float(np.hypot(*(corners[2] - corners[0]))) / HEIGHT_MM
    return min(across, down)


def _field(grey: NDArray[np.uint8], plan: NDArray[np.float64], place: tuple[int, int]) -> NDArray[np.uint8]:
    inner = _FIELD_MM * _INNER
    return _box(grey, _seen_at(plan, _square(place[0] + inner, place[1] + inner, _FIELD_MM - 2 * inner)))


def _cut(
    grey: NDArray[np.uint8], plan: NDArray[np.float64], place: tuple[int, int], side: float
) -> NDArray[np.uint8]:
    return _box(grey, _seen_at(plan, _square(place[0] - 1, place[1] - 1, side)))


def _box(grey: NDArray[np.uint8], corners: NDArray[np.float64]) -> NDArray[np.uint8]:
    """The pixels around four points; one at least."""
    height, width = grey.shape
    x0, y0 = np.floor(corners.min(axis=0)).astype(int)
    x1, y1 = np.ceil(corners.max(axis=0)).astype(int)
    x0, y0 = int(np.clip(x0, 0, width - 1)), int(np.clip(y0, 0, height - 1))
    return grey[y0 : max(int(np.clip(y1, 0, height)), y0 + 1), x0 : max(int(np.clip(x1, 0, width)), x0 + 1)]
