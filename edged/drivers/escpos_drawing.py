"""Text and QR codes as dots, for printers that can't draw them themselves."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from edged.errors import DeviceError

if TYPE_CHECKING:
    from numpy.typing import NDArray

FONTS: Final = (
    "/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc",
    "/usr/share/fonts/truetype/wqy/wqy-zenhei.ttc",
    "/usr/share/fonts/truetype/wqy/wqy-microhei.ttc",
    "/usr/share/fonts/truetype/droid/DroidSansFallbackFull.ttf",
    "/usr/share/fonts/truetype/arphic/uming.ttc",
)
"""CJK fonts where Debian's packages put them (fonts-noto-cjk, fonts-wqy-zenhei, …), the most legible on paper first."""

_SIZE: Final = 24
_LEADING: Final = 6
_INK: Final = 110
"""Brightness 0..255 of a drawn pixel from which it becomes a dot: thin strokes must stay."""
_BORDER: Final = 4
_MOST_DOTS: Final = 12
"""Side of a module: larger reads no better and costs paper."""
_MAX_QR: Final = 2331
"""Octets that a code of level M holds at most (ISO/IEC 18004, version 40)."""


def font_file(wanted: Path | None) -> Path | None:
    """The font that Chinese text is drawn with; None when there is none."""
    names = [wanted] if wanted is not None else [Path(name) for name in FONTS]
    return next((name for name in names if name.is_file()), None)


def draw_line(text: str, bold: bool, large: bool, font: Path | None, dots: int) -> NDArray[np.bool_]:
    """One line as dots, True is black, cut off at `dots`. Raises `DeviceError` ("printer.no_font")."""
    from PIL import Image, ImageDraw

    file = font_file(font)
    if file is None:
        raise DeviceError("printer", "printer.no_font")
    size = 2 * _SIZE if large else _SIZE
    face = _face(file, size)
    width = min(dots, max(1, int(face.getlength(text)) + 2))
    picture = Image.new("L", (width, size + _LEADING), 0)
    ImageDraw.Draw(picture).text((0, 0), text, 255, font=face, stroke_width=1 if bold else 0)
    return np.asarray(np.asarray(picture) > _INK, np.bool_)


@lru_cache(maxsize=4)
def _face(file: Path, size: int) -> Any:
    from PIL import ImageFont

    try:
        return ImageFont.truetype(str(file), size)
    except OSError as error:
        raise DeviceError("printer", "printer.no_font") from error


def draw_qr(data: str, module_dots: int, dots: int) -> tuple[NDArray[np.bool_], int]:
    """A QR code of level M as dots with its margin, and the side of one module.

    `module_dots` 0 is the largest that fits into `dots`. Raises `DeviceError`: "printer.qr_too_long" when it fits no
    code, or none that the paper is wide enough for.
    """
    import qrcode

    if not data or len(data.encode()) > _MAX_QR:
        raise DeviceError("printer", "printer.qr_too_long")
    code = qrcode.QRCode(border=_BORDER, error_correction=qrcode.constants.ERROR_CORRECT_M)
    code.add_data(data)
    code.make(fit=True)
    modules = np.asarray(code.get_matrix(), np.bool_)
    largest = min(_MOST_DOTS, dots // modules.shape[1])
    side = min(module_dots or largest, largest)
    if side < 1:
        raise DeviceError("printer", "printer.qr_too_long")
    return np.kron(modules, np.ones((side, side), np.bool_)).astype(np.bool_), side
