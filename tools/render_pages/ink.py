"""Print: glyphs of a face become strokes of ink as a machine of some kind lays them on paper.

A zone is set at `FINE` pixels a millimetre from large glyph masks; ink spreads (a blur), and what is dense enough
(a level) is black. The level decides the stroke's weight and wanders over the paper, which is what thins and
breaks strokes. Coarse machines work through their own raster.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import ImageFont

if TYPE_CHECKING:
    import random

Plane = NDArray[np.uint8]

FINE = 24.0
PACKAGES = (
    "fonts-ocr-b fonts-urw-base35 fonts-liberation2 fonts-courier-prime fonts-go fonts-lmodern fonts-freefont-otf "
    "fonts-dejavu-core fonts-wqy-zenhei"
)
_FONTS = Path("/usr/share/fonts")
FILES = {
    "ocrb": _FONTS / "opentype/ocr-b/OCRB.otf",
    "ocrb-sharp": _FONTS / "opentype/ocr-b/OCRBS.otf",
    "courier": _FONTS / "opentype/urw-base35/NimbusMonoPS-Regular.otf",
    "courier-bold": _FONTS / "opentype/urw-base35/NimbusMonoPS-Bold.otf",
    "liberation-mono": _FONTS / "truetype/liberation2/LiberationMono-Regular.ttf",
    "courier-prime": _FONTS / "opentype/courier-prime/Courier Prime.otf",
    "go-mono": _FONTS / "fonts-go/Go-Mono.ttf",
    "lm-mono": Path("/usr/share/texmf/fonts/opentype/public/lm/lmmono10-regular.otf"),
    "sans": _FONTS / "truetype/liberation2/LiberationSans-Regular.ttf",
    "sans-bold": _FONTS / "truetype/liberation2/LiberationSans-Bold.ttf",
    "narrow": _FONTS / "opentype/urw-base35/NimbusSansNarrow-Regular.otf",
    "serif": _FONTS / "truetype/liberation2/LiberationSerif-Regular.ttf",
    "free-sans": _FONTS / "opentype/freefont/FreeSans.otf",
    "dejavu": _FONTS / "truetype/dejavu/DejaVuSans.ttf",
    "chinese": _FONTS / "truetype/wqy/wqy-zenhei.ttc",
}
# Doc 9303-3 §4 asks for OCR-B; a few issuers' zones are set in a typewriter's face all the same.
MRZ_FACES = (
    ("ocrb", 54), ("ocrb-sharp", 39), ("courier", 3), ("courier-bold", 1), ("liberation-mono", 1),
    ("courier-prime", 1), ("lm-mono", 1),
)  # fmt: skip


def missing() -> list[str]:
    """The font files that aren't installed; empty when everything can be drawn."""
    return [str(path) for path in FILES.values() if not path.is_file()]


@lru_cache(maxsize=256)
def font(name: str, em: float) -> ImageFont.FreeTypeFont:
    """A font at `em` pixels. Raises OSError naming the Debian packages when it isn't installed."""
    if not FILES[name].is_file():
        raise OSError(f"{FILES[name]} is missing: apt-get install {PACKAGES}")
    return ImageFont.truetype(str(FILES[name]), em, layout_engine=ImageFont.Layout.BASIC)


@lru_cache(maxsize=16)
def _glyphs(name: str, cap: float) -> dict[str, tuple[Plane, float, float]]:
    """character -> (mask, left edge from the cell's middle, top edge from the capitals' middle), in pixels."""
    probe = font(name, 200.0)
    box = probe.getbbox("H", anchor="ls")
    size = 200.0 * cap / (box[3] - box[1])
    face = font(name, round(size, 2))
    advance = face.getlength("0")
    found = {}
    for character in "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ<":
        mask, offset = face.getmask2(character, mode="L", anchor="ls")
        plane = np.asarray(mask, np.uint8).reshape(mask.size[1], mask.size[0])
        found[character] = (plane, offset[0] - advance / 2, offset[1] + cap / 2)
    return found


class Print(NamedTuple):
    """How a zone is printed. Lengths in millimetres."""

    face: str
    machine: str
    """laser, inkjet, raster, engraved, impact."""
    cap: float
    pitch: float
    spacing: float
    weight: float
    """-1 thin .. 1 heavy."""
    spread: float
    wander: float
    darkness: float
    """0..1: how black the ink is."""
    stretch: float
    stroke: float
    """Width of its strokes, about."""


def choose(rng: random.Random, *, poor: float, plain: bool = True) -> Print:
    """A way to print; `poor` 0..1 says how badly the machine may work, `plain` allows OCR-B only."""
    faces = MRZ_FACES[:2] if plain else MRZ_FACES
    face = rng.choices([f for f, _ in faces], [w for _, w in faces])[0]
    machine = rng.choices(("laser", "inkjet", "raster", "engraved", "impact"), (38, 20, 18, 18, 6))[0]
    weight = rng.uniform(-0.75, 0.9)
    if face in ("courier", "lm-mono", "courier-prime"):
        weight = rng.uniform(0.1, 0.9)  # their hairlines would be gone otherwise
    darkness = rng.uniform(0.86, 1.0) if machine != "engraved" else rng.uniform(0.72, 0.95)
    return Print(
        face=face,
        machine=machine,
        cap=rng.uniform(2.3, 2.6),
        pitch=rng.uniform(2.5, 2.58) if rng.random() < 0.85 else rng.uniform(2.38, 2.62),
        spacing=rng.uniform(5.7, 6.5),
        weight=weight,
        spread=rng.uniform(0.04, 0.075),
        wander=rng.uniform(0.0, 0.25) + poor * rng.uniform(0.0, 0.25),
        darkness=darkness - poor * rng.uniform(0, 0.2),
        stretch=rng.uniform(0.94, 1.05) if face.startswith("ocrb") else 1.0,
        stroke=(0.34 if face.startswith("ocrb") else 0.26) * (1 + 0.3 * weight),
    )


def waver(noise: np.random.Generator, shape: tuple[int, int], grain: int) -> NDArray[np.float32]:
    """A smooth random field, about -1..1, that changes over about `grain` pixels."""
    rows, columns = max(2, shape[0] // grain + 2), max(2, shape[1] // grain + 2)
    coarse = noise.normal(0, 0.5, (rows, columns)).astype(np.float32)
    return np.asarray(cv2.resize(coarse, (shape[1], shape[0]), interpolation=cv2.INTER_CUBIC), np.float32)


def set_zone(
    lines: tuple[str, ...], how: Print, rng: random.Random, noise: np.random.Generator
) -> tuple[Plane, float]:
    """Ink (255 is full) of the zone at `FINE`, and the margin in pixels around the first character's cell.

    The first character's cell begins at (margin, margin): cells are `pitch` wide and rows `spacing` apart, the
    capitals' middle half a `cap` below the margin.
    """
    margin = int(1.2 * FINE)
    width = int(len(lines[0]) * how.pitch * FINE) + 2 * margin
    height = int(((len(lines) - 1) * how.spacing + how.cap) * FINE) + 2 * margin
    plane = np.zeros((height, width), np.uint8)
    glyphs = _glyphs(how.face, round(how.cap * FINE * 2) / 2)
    jitter = 0.06 if how.machine == "impact" else 0.012
    for row, line in enumerate(lines):
        for place, character in enumerate(line):
            mask, left, top = glyphs[character]
            if how.stretch != 1.0:
                mask = np.asarray(
                    cv2.resize(mask, None, fx=how.stretch, fy=1.0, interpolation=cv2.INTER_AREA)
                )
                left *= how.stretch
            x = margin + (place + 0.5) * how.pitch * FINE + left + rng.gauss(0, jitter) * FINE
            y = margin + (row * how.spacing + how.cap / 2) * FINE + top + rng.gauss(0, jitter) * FINE
            x0, y0 = max(0, round(x)), max(0, round(y))
            part = plane[y0 : y0 + mask.shape[0], x0 : x0 + mask.shape[1]]
            np.maximum(part, mask[: part.shape[0], : part.shape[1]], out=part)
    return _lay(plane, how, rng, noise), float(margin)


def _lay(plane: Plane, how: Print, rng: random.Random, noise: np.random.Generator) -> Plane:
    """The machine lays the ink."""
    if how.machine == "raster":
        dots = rng.choice((200, 240, 300)) / 25.4
        small = cv2.resize(plane, None, fx=dots / FINE, fy=dots / FINE, interpolation=cv2.INTER_AREA)
        small = np.where(small > 110 - 60 * how.weight, np.uint8(255), np.uint8(0))
        if rng.random() < 0.25:  # a dead element of a thermal head
            small[rng.randrange(small.shape[0])] = 0
        plane = np.asarray(cv2.resize(small, plane.shape[::-1], interpolation=cv2.INTER_NEAREST), np.uint8)
    sigma = how.spread * FINE
    spread = cv2.GaussianBlur(plane, (0, 0), sigma)
    level = np.full(plane.shape, 128.0 - 78.0 * how.weight, np.float32)
    level += 128 * how.wander * waver(noise, plane.shape, int(1.5 * FINE))
    if how.machine in ("inkjet", "impact"):
        level += 128 * (0.15 + how.wander) * waver(noise, plane.shape, 4)
    gain = {"laser": 6.0, "inkjet": 2.5, "raster": 3.0, "engraved": 1.6, "impact": 2.5}[how.machine]
    level = np.maximum(level, 128 / gain)  # bare paper stays bare
    ink = (spread.astype(np.float32) - level) * gain + 128
    ink = np.clip(ink, 0, 255) * how.darkness
    return ink.astype(np.uint8)
