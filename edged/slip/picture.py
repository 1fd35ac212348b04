"""A slip as a picture: black dots for a thermal printer, or a PNG with the watermark in grey.

The watermark is thinned to every other dot and keeps its distance from everything that has to be read; the layout
keeps it off the QR code. Characters stand where the layout puts them, each by itself: a font's own rounding at
twenty dots would carry a long line off the paper.
"""

from __future__ import annotations

import io
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from edged.errors import OutputError
from edged.slip.layout import DOTS_PER_MM, QUIET

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from edged.slip.faces import FontFiles
    from edged.slip.layout import Code, Mark, Page, Text

_INK: Final = 110
"""Brightness 0..255 of a drawn pixel from which it becomes a dot: thin strokes must stay."""
_HALO: Final = 2
"""Dots around text that the watermark stays off."""
_PNG_SCALE: Final = 2 * DOTS_PER_MM
"""Pixels a millimetre: 406 dpi."""
_PNG_BORDER: Final = 4
"""Millimetres of white around it: a reader needs the quiet zone, and a dark page shows no edge of paper."""
_GREY: Final = 200
"""Brightness of the PNG's watermark."""
_RULE: Final = 0.25
"""Millimetres."""


def dots(page: Page, faces: FontFiles) -> NDArray[np.bool_]:
    """(height, width) at 203 dpi, True is black. Raises `OutputError` ("slip.no_font", "slip.no_library")."""
    ink = text_ink(page, faces, DOTS_PER_MM)
    marks = _drawn(page, page.marks, faces, DOTS_PER_MM) > _INK
    marks &= _thinning(marks.shape) & ~_grown(ink, _HALO)
    ink |= marks
    _put_code(ink, page.code, DOTS_PER_MM, 0, True)
    return ink


def text_ink(page: Page, faces: FontFiles, scale: int) -> NDArray[np.bool_]:
    """Text and rules alone, without watermark and code; `scale` in pixels a millimetre."""
    ink = _drawn(page, page.texts, faces, scale) > _INK
    for rule in page.rules:
        top, left = round(rule.y * scale), round(rule.x * scale)
        ink[top : top + max(1, round(_RULE * scale)), left : left + round(rule.width * scale)] = True
    return np.asarray(ink, np.bool_)


def expected(page: Page, faces: FontFiles) -> NDArray[np.float32]:
    """As `dots` has places, how dark each is: what a photograph of the slip is compared with."""
    if not page.media.margin:
        return dots(page, faces).astype(np.float32)
    marks = _drawn(page, page.marks, faces, DOTS_PER_MM).astype(np.float32) / 255 * (255 - _GREY) / 255
    ink = np.maximum(marks, text_ink(page, faces, DOTS_PER_MM))
    _put_code(ink, page.code, DOTS_PER_MM, 0, 1)
    return ink


def png(page: Page, faces: FontFiles) -> bytes:
    """A PNG of 406 dpi in grey, without metadata but its resolution. Raises `OutputError`."""
    image = _pillow()[0]
    text = _drawn(page, page.texts, faces, _PNG_SCALE)
    marks = _drawn(page, page.marks, faces, _PNG_SCALE)
    grey = 255 - (marks.astype(np.uint16) * (255 - _GREY) // 255)
    grey = np.minimum(grey, 255 - text).astype(np.uint8)
    grey[text_ink(page, faces, _PNG_SCALE) & (text <= _INK)] = 0  # the rules
    _put_code(grey, page.code, _PNG_SCALE, 255, 0)
    grey = np.pad(grey, _PNG_BORDER * _PNG_SCALE, constant_values=255)
    file = io.BytesIO()
    image.fromarray(grey).save(file, "PNG", dpi=(25.4 * _PNG_SCALE,) * 2)
    return file.getvalue()


def _drawn(
    page: Page, texts: tuple[Text, ...] | tuple[Mark, ...], faces: FontFiles, scale: int
) -> NDArray[np.uint8]:
    image, draw, _ = _pillow()
    canvas = image.new("L", (round(page.width * scale), round(page.height * scale)), 0)
    pen = draw.Draw(canvas)
    for one in texts:
        face = _face(faces.files[one.face], round(one.size * scale))
        stroke = max(1, round(scale / DOTS_PER_MM)) if getattr(one, "bold", False) else 0
        x, y = one.x, round(one.baseline * scale)
        for character in one.text:
            if character != " ":
                pen.text((round(x * scale), y), character, 255, font=face, anchor="ls", stroke_width=stroke)
            x += faces.width(character) * one.size
    return np.asarray(canvas, np.uint8)


def _put_code(canvas: NDArray[Any], code: Code, scale: int, light: int, dark: int) -> None:
    """The code and its margin: whatever was there is gone."""
    module = round(code.module * scale)
    drawn = np.kron(np.pad(code.dark, QUIET), np.ones((module, module), np.bool_)).astype(np.bool_)
    top, left = round(code.y * scale) - QUIET * module, round(code.x * scale) - QUIET * module
    above, before = max(0, -top), max(0, -left)
    drawn = drawn[above:, before:]
    place = canvas[max(0, top) :, max(0, left) :][: drawn.shape[0], : drawn.shape[1]]
    place[...] = np.where(drawn[: place.shape[0], : place.shape[1]], dark, light)


def _thinning(shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Every other dot, as on a chessboard."""
    rows, columns = np.indices(shape)
    return np.asarray((rows + columns) % 2 == 0, np.bool_)


def _grown(ink: NDArray[np.bool_], by: int) -> NDArray[np.bool_]:
    from edged.core.vision import cv2

    kernel = np.ones((2 * by + 1, 2 * by + 1), np.uint8)
    return np.asarray(cv2.dilate(ink.astype(np.uint8), kernel) > 0, np.bool_)


@lru_cache(maxsize=32)
def _face(file: Path, size: int) -> Any:
    try:
        return _pillow()[2].truetype(str(file), size)
    except OSError as error:
        raise OutputError("slip.no_font", packages=file.name) from error


def _pillow() -> tuple[Any, Any, Any]:
    try:
        from PIL import Image, ImageDraw, ImageFont
    except ImportError as error:
        raise OutputError("slip.no_library") from error
    return Image, ImageDraw, ImageFont
