"""Pictures of lines of ordinary print with the place of every character: what the print reader learns from.

A line is set in a proportional or fixed-pitch face, worn, laid over printed paper between its neighbours,
photographed at the resolution a page image would have, and cut to the strip the reader sees: `STRIP_HEIGHT` pixels
high, capitals about `CAP` pixels high around the middle.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import cv2
import numpy as np

from .faces import WORK_CAP, Face, Gray, load_faces
from .text import BLANK, OTHER, label, line, words

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

STRIP_HEIGHT = 24
STRIP_WIDTH = 256
CAP = 14.0
STRIDE = 2
IGNORE = -100
_BAND = 3.2
"""Height of the drawn band in capitals: the line with what is seen of its neighbours."""
_LONGEST = 34


class LineSource:
    """Draws an endless, seeded sequence of (strip, column labels)."""

    def __init__(self, roots: list[Path], seed: int) -> None:
        self.rng = random.Random(seed)
        self.np_rng = np.random.default_rng(seed)
        self.faces, self.weights = load_faces(roots)
        self._noise = self.np_rng.standard_normal((256, 4096)).astype(np.float32)

    def sample(self) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        """One strip, (STRIP_HEIGHT, STRIP_WIDTH), and the class of each of its columns."""
        rng = self.rng
        face = rng.choices(self.faces, self.weights)[0]
        text = line(rng) if rng.random() < 0.96 else ""
        start = rng.randrange(max(1, len(text) - 8)) if rng.random() < 0.4 else 0
        text = text[start : start + _LONGEST]
        tracking = max(-0.06, rng.gauss(0.02, 0.06)) if rng.random() < 0.5 else 0.0
        ink, places = self._set(face, text, tracking * WORK_CAP)
        ink = self._wear(self._with_neighbours(face, ink))
        return self._photograph(ink, text, places)

    # -- ink ------------------------------------------------------------------------------------------

    def _set(self, face: Face, text: str, tracking: float) -> tuple[Gray, NDArray[np.float64]]:
        """Ink of one line of the band's height, and (centre, advance, ink width) of each character."""
        rng = self.rng
        glyphs = [face.glyph(char) for char in text]
        stretch = 1 + (rng.gauss(0, 0.1) if rng.random() < 0.4 else 0)  # of spaces
        advances = [
            glyph.advance * (stretch if char == " " else 1.0) + tracking
            for glyph, char in zip(glyphs, text, strict=True)
        ]
        margin = int(WORK_CAP)
        ink = np.zeros((int(_BAND * WORK_CAP), int(sum(advances)) + 2 * margin + 8), np.float32)
        top = int((_BAND * WORK_CAP + WORK_CAP) / 2) - face.baseline
        pen, places = float(margin), []
        for glyph, advance in zip(glyphs, advances, strict=True):
            x = round(pen) + glyph.left
            x0 = max(0, x)
            target = ink[max(0, top) : top + face.height, x0 : x + glyph.mask.shape[1]]
            source = glyph.mask[max(0, -top) :, x0 - x :][: target.shape[0], : target.shape[1]]
            np.maximum(target[:, : source.shape[1]], source, out=target[:, : source.shape[1]])
            places.append((x + glyph.mask.shape[1] / 2, advance, glyph.ink))
            pen += advance
        return ink, np.array(places).reshape(-1, 3)

    def _with_neighbours(self, face: Face, ink: Gray) -> Gray:
        """With the captions or lines above and below it, where there are any, and now and then a rule."""
        rng = self.rng
        for sign in (-1, 1):
            if rng.random() < 0.5:
                near, _ = self._set(rng.choice((face, rng.choice(self.faces))), words(rng) * 3, 0.0)
                size = rng.choice((0.6, 0.7, 1.0))
                near = cv2.resize(near, None, fx=size, fy=size, interpolation=cv2.INTER_AREA)
                shift = int(sign * WORK_CAP * rng.uniform(1.3, 2.2)) + (ink.shape[0] - near.shape[0]) // 2
                rows = ink[max(0, shift) : shift + near.shape[0]]
                part = near[max(0, -shift) :, : ink.shape[1]][: rows.shape[0]]
                np.maximum(rows[:, : part.shape[1]], part, out=rows[:, : part.shape[1]])
            if rng.random() < 0.06:
                y = int(ink.shape[0] / 2 + sign * WORK_CAP * rng.uniform(0.75, 1.2))
                ink[y : y + rng.randint(1, 3)] = rng.uniform(0.3, 1.0)
        return ink

    def _wear(self, ink: Gray) -> Gray:
        """Stroke weight, slant, ink spread, raster and dot loss."""
        rng = self.rng
        if rng.random() < 0.12:
            slant = rng.uniform(-0.12, 0.3)
            middle = ink.shape[0] / 2
            shear = np.array([[1, -slant, slant * middle], [0, 1, 0]], np.float32)
            ink = cv2.warpAffine(ink, shear, ink.shape[::-1])
        ink = cv2.GaussianBlur(ink, (0, 0), rng.uniform(0.5, 1.8))
        threshold = float(np.clip(0.42 - 0.1 * rng.gauss(0, 1), 0.15, 0.58))
        ink = np.clip((ink - threshold) * rng.uniform(2.0, 7.0) + 0.5, 0, 1)
        if rng.random() < 0.15:  # laser engraving and inkjet: dots
            noise = cv2.GaussianBlur(self._grain(*ink.shape), (0, 0), rng.uniform(0.6, 1.6))
            level = rng.uniform(0.3, 1.2) * float(noise.std())
            ink = ink * np.clip((noise + level) / (2 * level), 0.0, 1.0)
        return ink

    def _grain(self, height: int, width: int) -> Gray:
        y = self.rng.randrange(self._noise.shape[0] - height + 1)
        x = self.rng.randrange(self._noise.shape[1] - width + 1) if width < self._noise.shape[1] else 0
        grain = self._noise[y : y + height, x : x + width]
        return grain if grain.shape[1] == width else np.resize(grain, (height, width))

    # -- paper and camera -----------------------------------------------------------------------------

    def _paper(self, height: int, width: int) -> Gray:
        """Printed background in brightness offsets around 0."""
        rng = self.rng
        paper = np.zeros((height, width), np.float32)
        kind = rng.random()
        if kind < 0.25:
            return paper
        strength = rng.uniform(0.02, 0.2)
        if kind < 0.7:  # guilloche: families of sine lines
            x = np.arange(width, dtype=np.float32)
            rows = np.arange(height, dtype=np.float32)[:, None]
            for _ in range(rng.randint(1, 3)):
                bend = rng.uniform(2, 20) * np.sin(x * (6.28 / rng.uniform(30, 250)) + rng.uniform(0, 6.28))
                phase = (rows + bend + x * rng.uniform(-1.0, 1.0)) * (6.28 / rng.uniform(4, 14))
                paper -= strength * (np.cos(phase) > rng.uniform(0.2, 0.85))
        else:  # clouds, portraits, stamps
            small = self._grain(rng.randint(2, 7), rng.randint(4, 40))
            paper += strength * cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)
        return paper

    def _photograph(
        self, ink: Gray, text: str, places: NDArray[np.float64]
    ) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        rng = self.rng
        height, width = ink.shape
        page = rng.uniform(0.5, 1.0) + self._paper(height, width)
        page = page * (1 - ink * rng.uniform(0.25, 0.95))
        if rng.random() < 0.3:
            page = page * np.linspace(rng.uniform(0.7, 1.2), rng.uniform(0.7, 1.2), width, dtype=np.float32)
        # What the page image had: capitals of `cap` pixels.
        cap = min(WORK_CAP, float(np.exp(rng.uniform(np.log(5.2), np.log(34.0)))))
        scale = cap / WORK_CAP
        if scale < 0.9:
            page = cv2.GaussianBlur(page, (0, 0), 0.45 / scale * rng.uniform(0.8, 1.4))
        to_image = np.array([[scale, 0, -rng.random()], [0, scale, -rng.random()]], np.float32)
        size = (max(8, int(width * scale)), max(8, int(height * scale)))
        image = cv2.warpAffine(page, to_image, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        image = self._sensor(image, cap)
        zoom = CAP / cap * float(np.exp(np.clip(rng.gauss(0.02, 0.13), -0.3, 0.3)))
        stretch = 1 + rng.gauss(0, 0.06)
        linear = np.array([[zoom * stretch, rng.gauss(0, 0.04) * zoom], [rng.gauss(0, 0.012) * zoom, zoom]])
        first = places[0, 0] if len(places) else 0.0
        middle = height / 2 - 0.5
        start = rng.uniform(2, 40) if rng.random() < 0.6 else rng.uniform(-120, 10)
        anchor = to_image @ np.array([first, middle, 1.0])
        offset = np.array([start, (STRIP_HEIGHT - 1) / 2 + rng.gauss(0, 1.1)]) - linear @ anchor
        to_strip = np.column_stack([linear, offset])
        if zoom < 0.6:
            image = cv2.GaussianBlur(image, (0, 0), 0.4 / zoom)
        flags = rng.choice((cv2.INTER_LINEAR, cv2.INTER_CUBIC)) if zoom > 1 else cv2.INTER_LINEAR
        strip = cv2.warpAffine(
            image, to_strip, (STRIP_WIDTH, STRIP_HEIGHT), flags=flags, borderMode=cv2.BORDER_REPLICATE
        )
        if rng.random() < 0.03:
            strip = 255 - strip
        points = np.column_stack([places[:, 0], np.full(len(places), middle), np.ones(len(places))])
        points = np.column_stack([points @ to_image.T, np.ones(len(points))])
        along = scale * zoom * stretch
        return strip, column_labels(
            text, (points @ to_strip.T)[:, 0], places[:, 1] * along, places[:, 2] * along
        )

    def _sensor(self, image: Gray, cap: float) -> NDArray[np.uint8]:
        """Blur, sharpening, noise and compression of the page image."""
        rng = self.rng
        if rng.random() < 0.5:
            image = cv2.GaussianBlur(image, (0, 0), cap * rng.uniform(0.01, 0.08) + 0.01)
        if rng.random() < 0.25:
            soft = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.7, 1.6))
            image = image + (image - soft) * rng.uniform(0.3, 1.6)
        if rng.random() < 0.6:
            image = image + self._grain(*image.shape) * rng.uniform(0.003, 0.05)
        grey = np.clip(image * rng.uniform(120, 255), 0, 255).astype(np.uint8)
        if rng.random() < 0.4:
            _, data = cv2.imencode(".jpg", grey, [cv2.IMWRITE_JPEG_QUALITY, rng.randint(30, 95)])
            grey = cv2.imdecode(data, cv2.IMREAD_GRAYSCALE)
        return grey


def column_labels(
    text: str, centres: NDArray[np.float64], advances: NDArray[np.float64], inks: NDArray[np.float64]
) -> NDArray[np.int64]:
    """Class of each output column: a character around its middle, nothing between characters and in spaces, undecided
    where one turns into the other and at the strip's ends."""
    columns = np.arange(STRIP_WIDTH // STRIDE) * STRIDE + (STRIDE - 1) / 2
    labels = np.full(len(columns), BLANK, np.int64)
    for char, centre, advance, ink in zip(text, centres, advances, inks, strict=True):
        found = label(char)
        if found is None or not -advance < centre < STRIP_WIDTH + advance:
            continue
        distance = np.abs(columns - centre)
        wide = max(ink, 0.6 * advance)
        edge = distance <= max(0.46 * wide, STRIDE * 0.9)
        if not ink * 0.4 <= centre <= STRIP_WIDTH - ink * 0.4:
            labels[edge] = IGNORE
            continue
        labels[edge & (labels == BLANK)] = IGNORE
        # Of an unreadable sign only its presence counts, and that at its middle alone.
        share = 0.15 if found == OTHER else 0.27
        labels[distance <= max(share * wide, STRIDE * 0.5)] = found
    return labels
