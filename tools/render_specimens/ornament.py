"""What a document is decorated with: tinted paper, guilloche, emblem, a cartoon portrait, a signature."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
RGB = tuple[int, int, int]
SUBPIXEL = 4  # fractional bits of OpenCV's drawing coordinates


@dataclass(frozen=True)
class Palette:
    """Colours of one design: paper from one corner to the other, two line tints, and the ink of titles."""

    paper: tuple[RGB, RGB]
    lines: tuple[RGB, RGB]
    title: RGB


TEAL = Palette(((226, 238, 234), (232, 230, 214)), ((120, 176, 170), (196, 158, 120)), (20, 84, 88))
ROSE = Palette(((242, 228, 228), (226, 230, 240)), ((204, 150, 160), (140, 156, 196)), (122, 34, 56))
BLUE = Palette(((224, 232, 242), (236, 232, 224)), ((132, 160, 206), (170, 186, 150)), (26, 54, 110))
SAND = Palette(((242, 236, 220), (228, 236, 226)), ((206, 176, 118), (136, 178, 146)), (104, 70, 20))
LILAC = Palette(((234, 228, 242), (228, 238, 238)), ((164, 144, 200), (128, 178, 186)), (70, 44, 112))
MINT = Palette(((226, 240, 226), (238, 236, 216)), ((134, 188, 140), (200, 180, 116)), (24, 88, 48))
SALMON = Palette(((246, 228, 218), (240, 224, 228)), ((220, 158, 130), (208, 150, 166)), (132, 52, 40))


def paper(width: int, height: int, palette: Palette) -> Image:
    """(height, width, 3) RGB: a diagonal blend of the two paper tints."""
    down, across = np.mgrid[0:height, 0:width].astype(np.float32)
    share = (0.6 * across / width + 0.4 * down / height)[..., None]
    first, last = (np.array(colour, np.float32) for colour in palette.paper)
    return (first + (last - first) * share).round().astype(np.uint8)


def blend(image: Image, mask: Image, colour: RGB, strength: float) -> None:
    """Lay `colour` over `image` where `mask` (0..255) says, in place."""
    left, top, width, height = cv2.boundingRect(mask)
    if width == 0:
        return
    part = image[top : top + height, left : left + width]
    share = mask[top : top + height, left : left + width, None].astype(np.float32) * np.float32(
        strength / 255
    )
    part[:] = (part * (1 - share) + np.array(colour, np.float32) * share).round().astype(np.uint8)


def curve(mask: Image, x: NDArray[np.float64], y: NDArray[np.float64], thickness: int = 1) -> None:
    """One open anti-aliased curve through the points (pixels), in place."""
    points = np.stack([x, y], axis=1) * (1 << SUBPIXEL)
    cv2.polylines(
        mask, [points.round().astype(np.int32)[:, None]], False, 255, thickness, cv2.LINE_AA, SUBPIXEL
    )


def guilloche(
    image: Image, palette: Palette, rng: np.random.Generator, scale: float, strength: float = 0.5
) -> None:
    """Fine wavy line fields and two rosettes, as in security printing; `scale` is pixels a millimetre."""
    height, width = image.shape[:2]
    thickness = max(1, round(0.1 * scale))
    across = np.arange(-8, width + 8, 6, dtype=np.float64)
    for number, colour in enumerate(palette.lines):
        mask = np.zeros((height, width), np.uint8)
        phase, wave = rng.uniform(0, 6.28), rng.uniform(16, 30) * scale
        drift = rng.uniform(0.06, 0.12) * (1 if number else -1)
        for i, base in enumerate(np.arange(-6 * scale, height + 6 * scale, 2.3 * scale)):
            y = base + 2.6 * scale * np.sin(6.283 * across / wave + phase + i * drift)
            curve(
                mask,
                across,
                y + 1.1 * scale * np.sin(6.283 * across / (wave * 0.37) - i * drift * 2),
                thickness,
            )
        blend(image, mask, colour, strength * 0.6)
    for colour, (x, y), size in zip(palette.lines, ((0.72, 0.42), (0.36, 0.62)), (0.36, 0.24), strict=True):
        mask = np.zeros((height, width), np.uint8)
        rosette(mask, x * width, y * height, size * height, int(rng.integers(6, 11)), thickness)
        blend(image, mask, colour, strength * 0.8)


def rosette(mask: Image, x: float, y: float, radius: float, petals: int, thickness: int) -> None:
    """A rosette of ten interlaced curves, in place."""
    angle = np.linspace(0, 6.2832, 720)
    for i in range(10):
        reach = radius * (0.62 + 0.38 * np.cos(petals * angle + i * 0.6283)) * (1 - 0.03 * i)
        curve(mask, x + reach * np.cos(angle), y + reach * np.sin(angle), thickness)


def emblem(image: Image, x: float, y: float, radius: float, colour: RGB) -> None:
    """The arms of nowhere: a sun over three waves in a ring."""
    mask = np.zeros(image.shape[:2], np.uint8)
    centre = (round(x), round(y))
    thick = max(1, round(radius * 0.07))
    cv2.circle(mask, centre, round(radius), 255, thick, cv2.LINE_AA)
    cv2.circle(mask, centre, round(radius * 0.88), 255, max(1, thick // 2), cv2.LINE_AA)
    cv2.ellipse(
        mask,
        (centre[0], round(y + 0.12 * radius)),
        (round(radius * 0.34),) * 2,
        0,
        180,
        360,
        255,
        -1,
        cv2.LINE_AA,
    )
    for ray in np.linspace(np.pi, 2 * np.pi, 9):
        reach = np.array([0.44, 0.66]) * radius
        curve(mask, x + reach * np.cos(ray), y + 0.12 * radius + reach * np.sin(ray), thick)
    along = np.linspace(-0.62, 0.62, 60)
    for row in (0.26, 0.42, 0.58):
        half = np.sqrt(max(0.0, 0.74 - row * row))
        curve(mask, x + along * half * radius / 0.62, y + radius * (row + 0.045 * np.sin(along * 18)), thick)
    blend(image, mask, colour, 0.85)


@dataclass(frozen=True)
class Face:
    """A cartoon: skin, hair and clothes, and how the hair is worn (short, long, bun, bald)."""

    skin: RGB = (224, 184, 156)
    hair: RGB = (92, 62, 44)
    clothes: RGB = (58, 74, 104)
    style: str = "short"


FACES = (
    Face((232, 194, 168), (150, 96, 52), (96, 60, 92), "long"),
    Face((206, 160, 128), (46, 36, 34), (54, 70, 60), "short"),
    Face((240, 206, 182), (60, 48, 44), (40, 62, 108), "bun"),
    Face((158, 112, 84), (34, 28, 28), (132, 58, 48), "short"),
    Face((236, 200, 176), (188, 180, 170), (70, 70, 78), "bald"),
    Face((222, 178, 148), (34, 30, 34), (30, 88, 96), "long"),
)


def portrait(width: int, height: int, face: Face) -> Image:
    """(height, width, 3) RGB: a head-and-shoulders cartoon on a pale ground; nobody in particular."""
    image = np.empty((height, width, 3), np.uint8)
    image[:] = np.linspace((222, 228, 232), (196, 204, 212), height)[:, None].round().astype(np.uint8)
    dark: RGB = tuple(int(c * 0.84) for c in face.skin)  # type: ignore[assignment]

    def oval(cx: float, cy: float, rx: float, ry: float, colour: RGB, start: int = 0, end: int = 360) -> None:
        centre, axes = (round(cx * width), round(cy * height)), (round(rx * width), round(ry * height))
        cv2.ellipse(image, centre, axes, 0, start, end, colour, -1, cv2.LINE_AA)

    if face.style == "long":
        oval(0.5, 0.47, 0.31, 0.36, face.hair)
    if face.style == "bun":
        oval(0.5, 0.13, 0.11, 0.085, face.hair)
    oval(0.5, 1.08, 0.47, 0.33, face.clothes)
    oval(0.5, 0.78, 0.13, 0.11, dark)
    cv2.rectangle(
        image, (round(0.4 * width), round(0.6 * height)), (round(0.6 * width), round(0.78 * height)), dark, -1
    )
    for side in (0.285, 0.715):
        oval(side, 0.48, 0.04, 0.06, dark)
    oval(0.5, 0.46, 0.215, 0.255, face.skin)
    if face.style == "bald":
        oval(0.31, 0.44, 0.035, 0.09, face.hair)
        oval(0.69, 0.44, 0.035, 0.09, face.hair)
    else:
        oval(0.5, 0.35, 0.235, 0.19, face.hair, 180, 360)
        oval(0.36, 0.345, 0.11, 0.075, face.hair, 0, 180)
        oval(0.66, 0.345, 0.09, 0.06, face.hair, 0, 180)
    for side in (0.41, 0.59):
        oval(side, 0.47, 0.036, 0.016, (246, 246, 246))
        oval(side, 0.47, 0.017, 0.015, (50, 44, 48))
        oval(side, 0.425, 0.05, 0.009, face.hair)
    oval(0.5, 0.545, 0.022, 0.012, dark)
    oval(0.5, 0.61, 0.06, 0.014, (186, 104, 98))
    return cv2.GaussianBlur(image, (0, 0), max(0.6, width / 260))


def signature(
    mask: Image, x: float, y: float, width: float, rng: np.random.Generator, thickness: int
) -> None:
    """A scribble, in place: loops of shrinking height along a line."""
    along = np.linspace(0, 1, 240)
    turns = rng.uniform(5, 8)
    loop = np.sin(6.283 * turns * along + rng.uniform(0, 6)) * (0.2 + 0.8 * (1 - along) ** 1.4)
    sway = 0.035 * np.cos(6.283 * turns * along * 0.97)
    curve(mask, x + width * (along + sway), y - width * (0.13 * loop + 0.05 * along), thickness)
