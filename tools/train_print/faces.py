"""The faces the lines are printed in, by Debian package, and the masks of their characters."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

if TYPE_CHECKING:
    from pathlib import Path

Gray = NDArray[np.float32]

WORK_CAP = 28.0
"""Height in pixels of a capital's mask."""

# package -> (file, weight): what issuers print with looks like these: Helvetica and its kin above all.
FONTS = {
    "fonts-liberation2": (
        ("LiberationSans-Regular.ttf", 8), ("LiberationSans-Bold.ttf", 7), ("LiberationSerif-Regular.ttf", 2),
        ("LiberationSerif-Bold.ttf", 3), ("LiberationMono-Regular.ttf", 3), ("LiberationMono-Bold.ttf", 3),
    ),
    "fonts-dejavu-core": (
        ("DejaVuSans.ttf", 3), ("DejaVuSans-Bold.ttf", 3), ("DejaVuSansMono.ttf", 2), ("DejaVuSansMono-Bold.ttf", 2),
        ("DejaVuSerif.ttf", 1), ("DejaVuSerif-Bold.ttf", 1),
    ),
    "fonts-dejavu-extra": (("DejaVuSansCondensed.ttf", 2), ("DejaVuSansCondensed-Bold.ttf", 2)),
    "fonts-urw-base35": (
        ("NimbusSans-Regular.otf", 5), ("NimbusSans-Bold.otf", 5), ("NimbusSans-Italic.otf", 1),
        ("NimbusSansNarrow-Regular.otf", 3), ("NimbusSansNarrow-Bold.otf", 3), ("NimbusMonoPS-Regular.otf", 2),
        ("NimbusMonoPS-Bold.otf", 2), ("C059-Roman.otf", 1), ("C059-Bold.otf", 1), ("P052-Bold.otf", 1),
        ("URWBookman-Demi.otf", 1), ("URWGothic-Demi.otf", 2), ("URWGothic-Book.otf", 1),
    ),
    "fonts-roboto-unhinted": (
        ("Roboto-Regular.ttf", 3), ("Roboto-Bold.ttf", 3), ("RobotoCondensed-Regular.ttf", 2),
        ("RobotoCondensed-Bold.ttf", 3),
    ),
    "fonts-open-sans": (("OpenSans-Regular.ttf", 2), ("OpenSans-Semibold.ttf", 2), ("OpenSans-CondBold.ttf", 2)),
    "fonts-lato": (("Lato-Regular.ttf", 2), ("Lato-Bold.ttf", 2)),
    "fonts-crosextra-carlito": (("Carlito-Regular.ttf", 1), ("Carlito-Bold.ttf", 2)),
    "fonts-crosextra-caladea": (("Caladea-Bold.ttf", 1),),
    "fonts-freefont-otf": (("FreeSansBold.otf", 1), ("FreeMonoBold.otf", 1)),
    "fonts-linuxlibertine": (("LinBiolinum_RB.otf", 1),),
    "fonts-ocr-b": (("OCRB.otf", 8), ("OCRBS.otf", 4)),
    "fonts-ocr-a": (("OCRA.ttf", 2),),
    "fonts-courier-prime": (("Courier Prime Bold.otf", 1),),
    "fonts-wqy-zenhei": (("wqy-zenhei.ttc", 3),),
}  # fmt: skip
FALLBACKS = ("DejaVuSans.ttf", "wqy-zenhei.ttc")
"""Where a face lacks a character."""


class Glyph(NamedTuple):
    """Ink of one character: its mask, where it goes from the pen's place, the pen's advance, the ink's width."""

    mask: Gray
    left: int
    advance: float
    ink: float


class Face:
    """One face at the working size; `baseline` is the row of its masks on which the capitals stand."""

    height = int(WORK_CAP * 1.9)
    baseline = int(WORK_CAP * 1.4)

    def __init__(self, path: Path, fallbacks: tuple[Face, ...] = ()) -> None:
        probe = ImageFont.truetype(str(path), 200, layout_engine=ImageFont.Layout.BASIC)
        cap = -probe.getbbox("H", anchor="ls")[1]
        self.font = ImageFont.truetype(
            str(path), max(8, round(200 * WORK_CAP / cap)), layout_engine=ImageFont.Layout.BASIC
        )
        self._missing = bytes(self.font.getmask("\U0010fffd"))
        self._fallbacks = fallbacks
        self._glyphs: dict[str, Glyph] = {}

    def has(self, char: str) -> bool:
        return char.isspace() or (
            self.font.getbbox(char) is not None and bytes(self.font.getmask(char)) not in (self._missing, b"")
        )

    def glyph(self, char: str) -> Glyph:
        if char not in self._glyphs:
            self._glyphs[char] = self._draw(char)
        return self._glyphs[char]

    def _draw(self, char: str) -> Glyph:
        if not self.has(char):
            for other in self._fallbacks:
                if other.has(char):
                    return other.glyph(char)
        left, _top, right, _bottom = self.font.getbbox(char, anchor="ls")
        width = max(1, int(right - left) + 4)
        canvas = Image.new("L", (width, self.height))
        ImageDraw.Draw(canvas).text((2 - left, self.baseline), char, font=self.font, fill=255, anchor="ls")
        return Glyph(
            np.asarray(canvas, np.float32) / 255.0,
            int(left) - 2,
            self.font.getlength(char),
            float(right - left),
        )


def load_faces(roots: list[Path]) -> tuple[list[Face], list[int]]:
    """Every face with its weight. Exits naming the package of a font that isn't installed."""
    fallbacks = tuple(Face(_find(roots, name, "fonts-dejavu-core fonts-wqy-zenhei")) for name in FALLBACKS)
    faces, weights = [], []
    for package, files in FONTS.items():
        for name, weight in files:
            faces.append(Face(_find(roots, name, package), fallbacks))
            weights.append(weight)
    return faces, weights


def _find(roots: list[Path], name: str, package: str) -> Path:
    for root in roots:
        for path in sorted(root.rglob(name)):
            return path
    raise SystemExit(f"font {name} not found: apt-get install {package}")
