"""Pictures of synthetic MRZ lines with the place of every character: what the line reader learns from.

A line is drawn from glyph masks, its strokes are worn (weight, ink spread, dot loss, scratches), laid over a
printed background, photographed (scale, tilt, blur, noise, JPEG, uneven light) at the resolution a page image
would have, and cut to the strip the reader sees. The run-time locator delivers the same strip: `STRIP_HEIGHT`
pixels high, capitals about `CAP` pixels high around the middle.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from .text import ALPHABET, training_line

if TYPE_CHECKING:
    from pathlib import Path

STRIP_HEIGHT = 32
STRIP_WIDTH = 256
CAP = 18.0
STRIDE = 4
BLANK = len(ALPHABET)
IGNORE = -100
_WORK_CAP = 36.0
_MOST_CHARACTERS = 17  # more than a strip shows
_MARGIN_ROWS = int(_WORK_CAP * 1.5)  # kept above and below the middle of the line

Gray = NDArray[np.float32]

# (Debian package, file, weight). OCR-B is one design in two cuts; the others stand for the issuers and
# drawing programs that use a typewriter face.
FONTS = (
    ("fonts-ocr-b", "OCRB.otf", 42),
    ("fonts-ocr-b", "OCRBS.otf", 34),
    ("fonts-urw-base35", "NimbusMonoPS-Regular.otf", 5),
    ("fonts-urw-base35", "NimbusMonoPS-Bold.otf", 2),
    ("fonts-freefont-otf", "FreeMono.otf", 3),
    ("fonts-freefont-otf", "FreeMonoBold.otf", 2),
    ("fonts-courier-prime", "Courier Prime.otf", 3),
    ("fonts-liberation2", "LiberationMono-Regular.ttf", 4),
    ("fonts-dejavu-core", "DejaVuSansMono.ttf", 3),
)
OTHER_TEXT_FONT = ("fonts-freefont-otf", "FreeSans.otf")


@dataclass
class Face:
    """Masks of one font at the working size: glyph -> (mask, x offset from the cell's centre), and the
    pitch."""

    glyphs: dict[str, tuple[Gray, int]]
    pitch: float
    height: int
    baseline: int


def find_font(roots: list[Path], name: str) -> Path:
    for root in roots:
        for path in sorted(root.rglob(name)):
            return path
    raise SystemExit(
        f"font {name} not found under {', '.join(map(str, roots))}; see tools/train_mrz/README.md"
    )


def load_face(path: Path) -> Face:
    probe = ImageFont.truetype(str(path), 200)
    cap = -probe.getbbox("H", anchor="ls")[1]
    size = round(200 * _WORK_CAP / cap)
    font = ImageFont.truetype(str(path), size)
    pitch = font.getlength("H")
    height, baseline = int(_WORK_CAP * 1.7), int(_WORK_CAP * 1.3)
    glyphs = {}
    for char in ALPHABET:
        width = int(pitch * 1.4)
        canvas = Image.new("L", (width, height))
        ImageDraw.Draw(canvas).text((width / 2, baseline), char, font=font, fill=255, anchor="ms")
        glyphs[char] = (np.asarray(canvas, np.float32) / 255.0, width // 2)
    return Face(glyphs, pitch, height, baseline)


class LineSource:
    """Draws an endless, seeded sequence of (strip, column labels)."""

    def __init__(self, roots: list[Path], seed: int) -> None:
        self.rng = random.Random(seed)
        self.np_rng = np.random.default_rng(seed)
        self.faces = [load_face(find_font(roots, name)) for _, name, _ in FONTS]
        self.weights = [weight for _, _, weight in FONTS]
        other = str(find_font(roots, OTHER_TEXT_FONT[1]))
        self.other = [ImageFont.truetype(other, size) for size in (30, 38, 48)]

    # -- ink ------------------------------------------------------------------------------------------

    def _compose(
        self, face: Face, text: str, pitch: float, sloppy: float
    ) -> tuple[Gray, NDArray[np.float64]]:
        """Ink mask of one line and the centre of each character."""
        rng = self.rng
        margin = int(_WORK_CAP)
        width = int(pitch * len(text)) + 2 * margin
        ink = np.zeros((face.height, width), np.float32)
        centres = margin + pitch * (np.arange(len(text)) + 0.5)
        for i, char in enumerate(text):
            mask, half = face.glyphs[char]
            dx = rng.gauss(0, sloppy) * pitch
            dy = round(rng.gauss(0, sloppy * 0.6) * _WORK_CAP) if sloppy > 0.02 else 0
            x = round(centres[i] + dx) - half
            if dy:
                mask = np.roll(mask, dy, axis=0)
            target = ink[:, x : x + mask.shape[1]]
            np.maximum(target, mask[:, : target.shape[1]], out=target)
        return ink, centres

    def _other_text(self) -> Gray:
        """Ordinary print of a visual zone: whatever stands there is no MRZ character."""
        rng = self.rng
        words = "".join(rng.choice("aeiounrstlmcdkbgABDLMPRST  ,.:/-0123456789éüß") for _ in range(26))
        font = rng.choice(self.other)
        canvas = Image.new("L", (700, int(_WORK_CAP * 1.7)))
        ImageDraw.Draw(canvas).text((4, int(_WORK_CAP * 1.3)), words, font=font, fill=255, anchor="ls")
        return np.asarray(canvas, np.float32) / 255.0

    def _wear(self, ink: Gray) -> Gray:
        """Stroke weight, ink spread, dot loss, scratches."""
        rng = self.rng
        weight = rng.gauss(0, 1.0)
        sigma = rng.uniform(0.8, 2.6)
        ink = cv2.GaussianBlur(ink, (0, 0), sigma)
        # Threshold of a blurred mask: low = spread ink, high = thin strokes.
        threshold = float(np.clip(0.42 - 0.13 * weight, 0.12, 0.6))
        ink = np.clip((ink - threshold) * rng.uniform(2.5, 8.0) + 0.5, 0, 1)
        if rng.random() < 0.2:  # dot loss, thermal or inkjet print
            noise = cv2.GaussianBlur(self.np_rng.random(ink.shape, np.float32), (0, 0), rng.uniform(0.6, 2.0))
            low, high = np.quantile(noise, (rng.uniform(0.02, 0.25), 0.6))
            ink = ink * np.clip((noise - low) / max(high - low, 1e-6) * 2, 0, 1)
        if rng.random() < 0.12:  # scratches, missing print-head lines
            for _ in range(rng.randint(1, 3)):
                if rng.random() < 0.5:
                    y = rng.randrange(ink.shape[0])
                    ink[y : y + rng.randint(1, 3)] *= rng.uniform(0, 0.5)
                else:
                    a = (rng.randrange(ink.shape[1]), 0)
                    b = (a[0] + rng.randint(-90, 90), ink.shape[0])
                    cv2.line(ink, a, b, 0.0, rng.randint(1, 3), cv2.LINE_AA)
        return ink

    # -- paper ----------------------------------------------------------------------------------------

    def _paper(self, height: int, width: int) -> Gray:
        """Background print in 0..1 brightness offsets around 0."""
        rng = self.rng
        paper = np.zeros((height, width), np.float32)
        kind = rng.random()
        if kind < 0.35:
            return paper
        strength = rng.uniform(0.02, 0.16)
        if kind < 0.7:  # guilloche: families of sine lines
            for _ in range(rng.randint(1, 3)):
                x = np.arange(width, dtype=np.float32)
                period, amp = rng.uniform(40, 300), rng.uniform(3, 25)
                step = rng.uniform(5, 16)
                phase = rng.uniform(0, 6.28)
                offset = amp * np.sin(x * 6.28 / period + phase) + x * rng.uniform(-0.8, 0.8)
                rows = np.arange(height, dtype=np.float32)[:, None] + offset[None, :]
                paper += strength * (np.cos(rows * 6.28 / step) > rng.uniform(0.3, 0.8))
        elif kind < 0.85:  # clouds, photographs, stamps
            small = self.np_rng.standard_normal((rng.randint(2, 8), rng.randint(4, 24))).astype(np.float32)
            paper += strength * cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)
        else:  # big lettering or bars across the line
            for _ in range(rng.randint(1, 4)):
                a = (rng.randrange(width), rng.randint(-20, height + 20))
                b = (a[0] + rng.randint(-200, 200), a[1] + rng.randint(-80, 80))
                cv2.line(paper, a, b, rng.choice((-1, 1)) * strength * 2, rng.randint(2, 24), cv2.LINE_AA)
        return paper

    # -- camera ---------------------------------------------------------------------------------------

    def sample(self) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        """One strip (STRIP_HEIGHT, STRIP_WIDTH) grey and the label of each of its STRIP_WIDTH / STRIDE
        columns."""
        rng = self.rng
        face = rng.choices(self.faces, self.weights)[0]
        other = rng.random() < 0.06
        sloppy = abs(rng.gauss(0, 0.012)) if rng.random() < 0.85 else rng.uniform(0.02, 0.05)
        pitch = (
            face.pitch * (1 + rng.gauss(0, 0.05))
            if rng.random() < 0.8
            else face.pitch * rng.uniform(0.9, 1.35)
        )
        text = training_line(rng)
        start = (
            rng.randint(0, max(0, len(text) - 12)) if rng.random() < 0.6 else rng.choice((0, len(text) - 12))
        )
        text = text[max(0, start) :][:_MOST_CHARACTERS]
        if other:
            ink, centres = self._other_text(), np.zeros(0)
        else:
            ink, centres = self._compose(face, text, pitch, sloppy)
        ink = self._with_neighbours(face, ink, pitch, sloppy)
        middle = ink.shape[0] // 3 + face.baseline - _WORK_CAP / 2
        top = int(middle) - _MARGIN_ROWS
        ink = self._wear(ink[top : int(middle) + _MARGIN_ROWS])
        return self._photograph(ink, centres, text, pitch, middle - top)

    def _with_neighbours(self, face: Face, ink: Gray, pitch: float, sloppy: float) -> Gray:
        """The line inside a band thrice as high, with the lines above and below it where there are any."""
        rng = self.rng
        height, width = ink.shape
        band = np.zeros((height * 3, width), np.float32)
        band[height : 2 * height] = ink
        for sign in (-1, 1):
            if rng.random() < 0.55:
                text = training_line(rng)
                near, _ = (
                    self._compose(face, text, pitch, sloppy)
                    if rng.random() < 0.8
                    else (self._other_text(), 0)
                )
                shift = int(sign * _WORK_CAP * rng.uniform(1.35, 2.4))
                top = height + shift
                source = near[max(0, -top) : height * 3 - top]
                rows = band[max(0, top) : max(0, top) + source.shape[0]]
                cut = min(width, source.shape[1])
                np.maximum(rows[:, :cut], source[:, :cut], out=rows[:, :cut])
        return band

    def _photograph(
        self, ink: Gray, centres: NDArray[np.float64], text: str, pitch: float, middle: float
    ) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        rng = self.rng
        height, width = ink.shape
        # Brightness: paper, ink, light.
        paper_level, contrast = rng.uniform(0.45, 1.0), rng.uniform(0.25, 0.95)
        page = paper_level + self._paper(height, width)
        page = page * (1 - ink * contrast)
        if rng.random() < 0.4:
            ramp = np.linspace(rng.uniform(0.6, 1.2), rng.uniform(0.6, 1.2), width, dtype=np.float32)
            page = page * ramp[None, :]
        if rng.random() < 0.02:
            page = 1.0 - page
        # What the page image had: capitals of `cap` pixels.
        cap = min(_WORK_CAP, float(np.exp(rng.uniform(np.log(7.0), np.log(44.0)))))
        scale = cap / _WORK_CAP
        shrink = max(0.3, 0.45 / scale) if scale < 1 else 0.3
        page = cv2.GaussianBlur(page, (0, 0), shrink * rng.uniform(0.8, 1.5))
        # A fractional start puts the pixel grid anywhere.
        to_image = np.array([[scale, 0, -rng.random()], [0, scale, -rng.random()]], np.float32)
        size = (max(8, int(width * scale)), max(8, int(height * scale)))
        image = cv2.warpAffine(page, to_image, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        image = self._sensor(image, cap)
        # From the image to the strip: what the locator does, with its errors.
        zoom = CAP / cap * (1 + rng.gauss(0, 0.07))
        stretch = 1 + rng.gauss(0, 0.06)
        angle, shear = rng.gauss(0, 0.012), rng.gauss(0, 0.05)
        linear = np.array([[zoom * stretch, shear * zoom], [angle * zoom, zoom]])
        start = rng.uniform(-20, 60) if rng.random() < 0.5 else rng.uniform(-200, 20)
        first = centres[0] - pitch / 2 if len(centres) else 0.0
        anchor = to_image @ np.array([first, middle, 1.0])
        offset = np.array([start, STRIP_HEIGHT / 2 + rng.gauss(0, 1.3)]) - linear @ anchor
        to_strip = np.column_stack([linear, offset])
        flags = cv2.INTER_AREA if zoom < 0.6 else rng.choice((cv2.INTER_LINEAR, cv2.INTER_CUBIC))
        if zoom < 0.6:
            image = cv2.GaussianBlur(image, (0, 0), 0.4 / zoom)
            flags = cv2.INTER_LINEAR
        border = cv2.BORDER_REPLICATE if rng.random() < 0.7 else cv2.BORDER_CONSTANT
        strip = cv2.warpAffine(
            image,
            to_strip,
            (STRIP_WIDTH, STRIP_HEIGHT),
            flags=flags,
            borderMode=border,
            borderValue=rng.uniform(0, 255),
        )
        points = np.column_stack([centres, np.full(len(centres), middle), np.ones(len(centres))])
        columns = (to_strip @ np.column_stack([points @ to_image.T, np.ones(len(centres))]).T)[0]
        return strip, column_labels(text, columns, pitch * scale * zoom * stretch)

    def _sensor(self, image: Gray, cap: float) -> NDArray[np.uint8]:
        """Blur, noise, sharpening and compression of the page image."""
        rng = self.rng
        if rng.random() < 0.5:
            image = cv2.GaussianBlur(image, (0, 0), cap * rng.uniform(0.01, 0.085) + 0.01)
        elif rng.random() < 0.15:  # motion
            length = max(2, int(cap * rng.uniform(0.08, 0.25)))
            kernel = np.zeros((length, length), np.float32)
            if rng.random() < 0.5:
                kernel[length // 2] = 1.0 / length
            else:
                kernel[:, length // 2] = 1.0 / length
            image = cv2.filter2D(image, -1, kernel)
        if rng.random() < 0.3:
            soft = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.7, 2.0))
            image = image + (image - soft) * rng.uniform(0.3, 1.8)
        if rng.random() < 0.6:
            image = image + self.np_rng.standard_normal(image.shape, np.float32) * rng.uniform(0.003, 0.06)
        grey = np.clip(image * rng.uniform(120, 255), 0, 255).astype(np.uint8)
        if rng.random() < 0.5:
            quality = rng.randint(25, 95)
            _, data = cv2.imencode(".jpg", grey, [cv2.IMWRITE_JPEG_QUALITY, quality])
            grey = cv2.imdecode(data, cv2.IMREAD_GRAYSCALE)
        return grey


def column_labels(text: str, centres: NDArray[np.float64], pitch: float) -> NDArray[np.int64]:
    """Class of each output column: a character near its centre, nothing between characters, undecided at the
    edges."""
    columns = np.arange(STRIP_WIDTH // STRIDE) * STRIDE + (STRIDE - 1) / 2
    labels = np.full(len(columns), BLANK, np.int64)
    for char, centre in zip(text, centres, strict=False):
        distance = np.abs(columns - centre)
        edge = min(distance.min(), 1e9) if -pitch * 0.3 < centre < STRIP_WIDTH + pitch * 0.3 else None
        if edge is None:
            continue
        inside = pitch * 0.25 <= centre <= STRIP_WIDTH - pitch * 0.25
        labels[distance < pitch * 0.4] = IGNORE
        if inside:
            labels[distance <= pitch * 0.27] = ALPHABET.index(char)
        else:
            labels[distance <= pitch * 0.5] = IGNORE
    return labels
