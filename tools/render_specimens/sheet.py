"""Draws one document flat, before any camera sees it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import cv2
import numpy as np
from PIL import Image as PillowImage
from PIL import ImageDraw

from tools.render_specimens import ornament
from tools.render_specimens.fonts import font, for_text
from tools.render_specimens.ornament import FACES, RGB, TEAL, Face, Image, Palette

if TYPE_CHECKING:
    from collections.abc import Sequence

INK: RGB = (38, 36, 44)
LABEL: RGB = (92, 92, 100)
MARK: RGB = (176, 44, 52)

PITCH = 2.54  # mm between characters: OCR-B size 1, ten to the inch (Doc 9303-3 §4.1)
OCRB_ADVANCE = 0.723  # of an em, in fonts-ocr-b
SIZES = {
    "TD1": (85.6, 54.0),
    "TD2": (105.0, 74.0),
    "TD3": (125.0, 88.0),
    "MRVA": (120.0, 80.0),
    "MRVB": (105.0, 74.0),
    "PRC_PERMIT": (85.6, 54.0),
    "PRC_CARD": (85.6, 54.0),
}
"""Width and height in mm (Doc 9303-4 §2, -5 §2, -6 §2, -7 §3)."""
ROW_PITCH = {"TD1": 4.25, "PRC_CARD": 4.25}  # mm; two-line formats: 6.35
LAST_ROW = {
    "TD1": 4.8,
    "PRC_CARD": 4.8,
    "PRC_PERMIT": 5.6,
}  # mm from the centre of the last line to the edge; others: 8.6
ZONE = {
    "TD1": 17.0,
    "PRC_CARD": 17.0,
    "PRC_PERMIT": 10.0,
}  # mm of the edge that belong to the MRZ; others: 20.5


@dataclass(frozen=True)
class Field:
    """One caption with its value in the visual zone; `weight` is its share of the row."""

    label: str
    value: str
    weight: float = 1.0


@dataclass(frozen=True)
class Design:
    """How a document looks. No `face`, no portrait; `bound` makes it a page of an open booklet."""

    title: str = "SPECIMEN DOCUMENT"
    issuer: str = "UTOPIA"
    rows: tuple[tuple[Field, ...], ...] = ()
    palette: Palette = TEAL
    face: Face | None = FACES[0]
    ghost: bool = False
    signed: bool = False
    bound: bool = False
    mark: str = "SPECIMEN"
    contrast: float = 1.0  # of the printed MRZ: 1 is black, 0 is paper
    spread: float = 0.03  # mm by which the MRZ's ink runs over the edge of its strokes


@dataclass(frozen=True)
class Sheet:
    """A flat drawing: RGB, outline (0..255), pixels a millimetre, the pixel that is the page's centre."""

    image: Image
    outline: Image
    scale: float
    anchor: tuple[float, float]


class Canvas:
    """An RGB image addressed in millimetres."""

    def __init__(self, image: Image, scale: float) -> None:
        self.image = image
        self.scale = scale

    def text(
        self,
        x: float,
        y: float,
        text: str,
        em: float,
        colour: RGB = INK,
        name: str = "sans",
        *,
        strength: float = 0.92,
        width: float | None = None,
    ) -> None:
        """`text` with its baseline's left end at (`x`, `y`), `em` mm high, shrunk to `width` where given."""
        face = for_text(text, name, em * self.scale)
        if width is not None and face.getlength(text) > width * self.scale:
            face = for_text(text, name, em * self.scale * width * self.scale / face.getlength(text))
        reach = int(em * self.scale * 1.3)
        mask = PillowImage.new("L", (int(face.getlength(text)) + 2 * reach, 2 * reach))
        px, py = x * self.scale, y * self.scale
        left, top = int(px), int(py)
        ImageDraw.Draw(mask).text((reach + px - left, reach + py - top), text, 255, font=face, anchor="ls")
        self.lay(np.asarray(mask), left - reach, top - reach, colour, strength)

    def lay(self, mask: Image, left: int, top: int, colour: RGB, strength: float) -> None:
        """Blend `colour` through `mask`, placed at the pixel (`left`, `top`) and cut at the image's edge."""
        height, width = self.image.shape[:2]
        x0, y0 = max(left, 0), max(top, 0)
        x1, y1 = min(left + mask.shape[1], width), min(top + mask.shape[0], height)
        if x0 < x1 and y0 < y1:
            cut = np.ascontiguousarray(mask[y0 - top : y1 - top, x0 - left : x1 - left])
            ornament.blend(self.image[y0:y1, x0:x1], cut, colour, strength)

    def row(self, y: float, fields: Sequence[Field], left: float, right: float, em: float) -> None:
        """One row of captions (at `y`) with their values below, shared between `left` and `right`."""
        unit = (right - left) / sum(field.weight for field in fields)
        for field in fields:
            share = unit * field.weight
            self.text(left, y, field.label, em * 0.56, LABEL, width=share - 1)
            self.text(left, y + em * 1.12, field.value, em, name="bold", width=share - 1)
            left += share


def draw_sheet(format: str, lines: Sequence[str], design: Design, scale: float, seed: int = 0) -> Sheet:  # noqa: A002
    """Draw a document of `format` (a key of `SIZES`) that carries `lines`, at `scale` pixels a millimetre.

    Without `lines` the MRZ's zone stays free for the rows. Deterministic in its arguments.
    """
    rng = np.random.default_rng(seed)
    width, height = SIZES[format]
    image = ornament.paper(round(width * scale), round(height * scale), design.palette)
    canvas = Canvas(image, scale)
    ornament.guilloche(image, design.palette, rng, scale)
    zone = height - ZONE.get(format, 20.5) if lines else height - 3
    if lines:
        quieten(image, round(zone * scale))
        print_mrz(canvas, format, lines, design)
    header(canvas, width, design)
    visual_zone(canvas, width, zone, design, rng)
    stamp(canvas, width * 0.5, zone * 0.62, width * 0.1, design.mark)
    sheet = card(image, scale, radius=1.0 if format.startswith("MRV") else 3.18)
    if design.bound:
        sheet = booklet(sheet, design.palette, rng, sticker=format.startswith("MRV"))
    return sheet


def quieten(image: Image, top: int) -> None:
    """Lighten the background from row `top` down: the MRZ stands on quiet paper (Doc 9303-3 §4.3)."""
    image[top:] = (255 - (255 - image[top:].astype(np.float32)) * 0.55).round().astype(np.uint8)


def print_mrz(canvas: Canvas, format: str, lines: Sequence[str], design: Design) -> None:  # noqa: A002
    """OCR-B lines on their pitch, centred across the page."""
    width, height = SIZES[format]
    face = font("ocr-b", PITCH / OCRB_ADVANCE * canvas.scale)
    cap = 0.36 * PITCH / OCRB_ADVANCE  # from the baseline to the middle of a capital
    reach = round(3 * canvas.scale)
    for i, line in enumerate(lines):
        left = (width - len(line) * PITCH) / 2
        y = height - LAST_ROW.get(format, 8.6) - (len(lines) - 1 - i) * ROW_PITCH.get(format, 6.35) + cap
        px, py = left * canvas.scale, y * canvas.scale
        mask = PillowImage.new("L", (round(len(line) * PITCH * canvas.scale) + 2 * reach, 3 * reach))
        draw = ImageDraw.Draw(mask)
        for j, char in enumerate(line):
            at = (reach + px - int(px) + j * PITCH * canvas.scale, 2 * reach + py - int(py))
            draw.text(at, char, 255, font=face, anchor="ls", stroke_width=design.spread * canvas.scale)
        canvas.lay(
            np.asarray(mask), int(px) - reach, int(py) - 2 * reach, (24, 22, 28), 0.95 * design.contrast
        )


def header(canvas: Canvas, width: float, design: Design) -> None:
    """Emblem, issuer and title along the top, with a line of micro-text under them."""
    size = width * 0.032
    scale = canvas.scale
    ornament.emblem(
        canvas.image, (5 + size) * scale, (3.2 + size) * scale, size * scale, design.palette.title
    )
    left = 8 + 2 * size
    canvas.text(
        left, 3.2 + size * 0.85, design.issuer, size * 0.9, design.palette.title, "serif", width=width * 0.5
    )
    canvas.text(
        left,
        3.2 + size * 2.0,
        design.title,
        size * 0.85,
        design.palette.title,
        "sans",
        width=width - left - 4,
    )
    micro = f"{design.issuer} {design.mark} · " * 40
    fitting = micro[
        : len(micro) * int((width - 10) * scale) // int(for_text(micro, "sans", 0.7 * scale).getlength(micro))
    ]
    canvas.text(5, 5.2 + 2 * size, fitting, 0.7, design.palette.title, strength=0.6)


def visual_zone(
    canvas: Canvas, width: float, bottom: float, design: Design, rng: np.random.Generator
) -> None:
    """Portrait at the left, rows of fields beside it, then ghost portrait and signature if any."""
    scale = canvas.scale
    top = 6.6 + width * 0.064
    left = 5.0
    if design.face is not None:
        tall = min(bottom - top - 1.5, 43.0)
        wide = tall * 0.78
        paste(
            canvas, ornament.portrait(round(wide * scale), round(tall * scale), design.face), left, top, 1.0
        )
        left += wide + 3.5
    right = width - 4.5
    if design.ghost and design.face is not None:
        tall = min(bottom - top - 4, 19.0)
        wide = tall * 0.78
        right -= wide + 1.5
        small = ornament.portrait(round(wide * scale), round(tall * scale), design.face)
        tinted = cv2.addWeighted(small, 0.5, np.full_like(small, 214), 0.5, 0)
        paste(canvas, tinted, right + 1.5, top + 2, 0.55)
    if not design.rows:
        return
    step = (bottom - top) / len(design.rows)
    em = min(step * 0.46, width * 0.0225)
    for i, row in enumerate(design.rows):
        canvas.row(top + em * 0.5 + i * step, row, left, right, em)
    if design.signed:
        mask = np.zeros(canvas.image.shape[:2], np.uint8)
        at = (width - 4.5 - 0.16 * width) * scale, (bottom - 0.045 * width) * scale
        ornament.signature(mask, *at, 0.15 * width * scale, rng, max(2, round(0.25 * scale)))
        ornament.blend(canvas.image, mask, (30, 40, 96), 0.8)


def paste(canvas: Canvas, picture: Image, x: float, y: float, strength: float) -> None:
    """Print `picture` with its corner at (`x`, `y`) mm, its edges fading into the paper."""
    height, width = picture.shape[:2]
    top, left = round(y * canvas.scale), round(x * canvas.scale)
    fade = np.zeros((height, width), np.float32)
    rim = max(2, round(0.5 * canvas.scale))
    fade[rim:-rim, rim:-rim] = strength
    fade = cv2.GaussianBlur(fade, (0, 0), rim / 2)[..., None]
    part = canvas.image[top : top + height, left : left + width]
    part[:] = (part * (1 - fade) + picture * fade).round().astype(np.uint8)


def stamp(canvas: Canvas, x: float, y: float, em: float, mark: str) -> None:
    """The word that says this is no document, slantwise in red, centred at (`x`, `y`) mm."""
    face = for_text(mark, "bold", em * canvas.scale)
    length, reach = int(face.getlength(mark)), int(em * canvas.scale)
    side = length + 2 * reach
    mask = PillowImage.new("L", (side, side))
    ImageDraw.Draw(mask).text((side / 2, side / 2), mark, 255, font=face, anchor="mm")
    turned = np.asarray(mask.rotate(14, PillowImage.Resampling.BICUBIC))
    px, py = round(x * canvas.scale), round(y * canvas.scale)
    canvas.lay(turned, px - side // 2, py - side // 2, MARK, 0.14)


def rounded(height: int, width: int, radius: int) -> Image:
    """A filled rectangle with round corners, 0 or 255."""
    mask = np.zeros((height, width), np.uint8)
    cv2.rectangle(mask, (radius, 0), (width - 1 - radius, height - 1), 255, -1)
    cv2.rectangle(mask, (0, radius), (width - 1, height - 1 - radius), 255, -1)
    for x in (radius, width - 1 - radius):
        for y in (radius, height - 1 - radius):
            cv2.circle(mask, (x, y), radius, 255, -1, cv2.LINE_AA)
    return mask


def card(image: Image, scale: float, radius: float) -> Sheet:
    """The drawing cut out with round corners of `radius` mm."""
    height, width = image.shape[:2]
    return Sheet(image, rounded(height, width, round(radius * scale)), scale, (width / 2, height / 2))


def booklet(page: Sheet, palette: Palette, rng: np.random.Generator, *, sticker: bool) -> Sheet:
    """Put `page` into an open booklet: the facing page above the fold, the cover's rim around both.

    A `sticker` (a visa) is pasted on a page instead of being one.
    """
    scale = page.scale
    rim, above = round(1.6 * scale), round(60 * scale)
    wide = round((125.0 if sticker else page.image.shape[1] / scale) * scale)
    tall = round((88.0 if sticker else page.image.shape[0] / scale) * scale)
    image = np.empty((above + tall + rim, wide + 2 * rim, 3), np.uint8)
    image[:] = tuple(int(c * 0.55) for c in palette.title)
    inner = image[: above + tall, rim : rim + wide]
    inner[:] = ornament.paper(
        wide, above + tall, replace(palette, paper=(palette.paper[1], palette.paper[0]))
    )
    ornament.guilloche(inner, palette, rng, scale, 0.1)
    height, width = page.image.shape[:2]
    left = (wide - width) // 2
    part = inner[above + tall - height : above + tall, left : left + width]
    share = page.outline[..., None].astype(np.float32) / 255
    part[:] = (part * (1 - share) + page.image * share).round().astype(np.uint8)
    distance = np.abs(np.arange(above + tall) - (above - 0)) / scale
    fold = 1 - 0.5 * np.exp(-distance / 1.1) - 0.12 * np.exp(-distance / 6)
    inner[:] = (inner * fold[:, None, None]).round().astype(np.uint8)
    outline = rounded(image.shape[0], image.shape[1], round(3.0 * scale))
    return Sheet(image, outline, scale, (rim + wide / 2, above + tall / 2))
