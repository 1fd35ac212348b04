"""What surrounds the writing: paper, guilloche, portraits, holograms, the other page, the table beneath."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from .ink import Plane, waver

if TYPE_CHECKING:
    import random

    from numpy.typing import NDArray


def paper(size: tuple[float, float], scale: float, rng: random.Random, noise: np.random.Generator) -> Plane:
    """Tinted paper, paler here and darker there, (H, W, 3) BGR."""
    width, height = round(size[0] * scale), round(size[1] * scale)
    base = np.array([rng.randint(205, 250), rng.randint(210, 250), rng.randint(205, 252)], np.float32)
    coarse = np.empty((6, 8, 3), np.float32)
    coarse[:] = base
    coarse += noise.normal(0, rng.uniform(2, 12), (6, 8, 3))
    field = cv2.resize(
        np.clip(coarse, 0, 255).astype(np.uint8), (width, height), interpolation=cv2.INTER_CUBIC
    )
    return np.asarray(field, np.uint8)


def guilloche(image: Plane, scale: float, rng: random.Random, strength: float) -> None:
    """Fine lines in the manner of banknotes: families of waves and a rosette, in pale colours."""
    height, width = image.shape[:2]
    for _ in range(rng.randint(1, 2)):
        tint = [int(c * (1 - 0.45 * strength * rng.random())) for c in (235, 235, 235)]
        rng.shuffle(tint)
        colour = (tint[0], tint[1], tint[2])
        step = rng.uniform(0.9, 2.4) * scale
        swing, length, drift = rng.uniform(1, 6) * scale, rng.uniform(12, 60) * scale, rng.uniform(0, 6.3)
        x = np.linspace(0, width, 90)
        wave = swing * np.sin(x / length * 6.283 + drift) + 0.3 * swing * np.sin(x / length * 17 + drift)
        starts = np.arange(-swing * 1.3, height + swing * 1.3, step)
        curves = [np.stack([x, wave * (0.6 + 0.4 * np.sin(i / 5)) + y], 1) for i, y in enumerate(starts)]
        cv2.polylines(image, [(c * 8).astype(np.int32) for c in curves], False, colour, 1, cv2.LINE_AA, 3)
    turn = np.linspace(0, 6.2832, 400)
    for _ in range(rng.randint(0, 2)):
        centre = np.array([rng.uniform(0, width), rng.uniform(0, height)])
        radius, petals, depth = rng.uniform(6, 26) * scale, rng.randint(5, 24), rng.uniform(0.1, 0.6)
        shade = int(235 - 90 * strength * rng.random())
        for ring in np.linspace(0.3, 1.0, rng.randint(3, 9)):
            r = radius * ring * (1 + depth * np.sin(petals * turn + ring * 3))
            points = np.stack([np.cos(turn), np.sin(turn)], 1) * r[:, None] + centre
            cv2.polylines(
                image,
                [(points * 8).astype(np.int32)],
                True,
                (shade, 225, 235 - shade // 8),
                1,
                cv2.LINE_AA,
                3,
            )


def draw_portrait(
    image: Plane,
    scale: float,
    box: tuple[float, float, float, float],
    rng: random.Random,
    noise: np.random.Generator,
) -> None:
    """A head and shoulders in (left, top, width, height) millimetres: nobody's face, only its shape and tones."""
    left, top, width, height = (round(v * scale) for v in box)
    photo = np.full((height, width, 3), rng.randint(170, 240), np.uint8)
    tone = rng.uniform(0.35, 1.0)
    skin = tuple(int(v * tone) for v in (165, 190, 228))
    hair = (rng.randint(10, 60),) * 3
    middle = (width // 2, int(height * 0.45))
    coat = (rng.randint(20, 160), rng.randint(20, 160), rng.randint(20, 160))
    cv2.ellipse(photo, (width // 2, height), (int(width * 0.48), int(height * 0.28)), 0, 0, 360, coat, -1)
    cv2.ellipse(
        photo, (middle[0], int(middle[1] * 0.88)), (int(width * 0.3), int(height * 0.3)), 0, 0, 360, hair, -1
    )
    cv2.ellipse(photo, middle, (int(width * 0.24), int(height * 0.28)), 0, 0, 360, skin, -1)
    for side in (-1, 1):
        eye = (middle[0] + side * width // 10, middle[1] - height // 20)
        cv2.ellipse(photo, eye, (max(1, width // 22), max(1, height // 60)), 0, 0, 360, (40, 40, 40), -1)
    mouth = (middle[0], middle[1] + height // 7)
    cv2.ellipse(photo, mouth, (max(1, width // 14), max(1, height // 80)), 0, 0, 360, (80, 80, 150), -1)
    photo = cv2.GaussianBlur(photo, (0, 0), max(0.6, width / 60))
    grain = (waver(noise, (height, width), max(2, width // 12)) * 14).astype(np.int16)
    photo = np.clip(photo.astype(np.int16) + grain[..., None], 0, 255).astype(np.uint8)
    part = image[top : top + height, left : left + width]
    part[...] = cv2.addWeighted(part, 0.08, photo[: part.shape[0], : part.shape[1]], 0.92, 0)


def hologram(image: Plane, scale: float, rng: random.Random, noise: np.random.Generator) -> None:
    """A faint iridescent device in the laminate, somewhere."""
    height, width = image.shape[:2]
    side = int(rng.uniform(12, 40) * scale)
    x0, y0 = rng.randint(-side // 2, width - side // 2), rng.randint(-side // 2, height - side // 2)
    x1, y1, x0, y0 = min(width, x0 + side), min(height, y0 + side), max(0, x0), max(0, y0)
    part = image[y0:y1, x0:x1]
    if part.size == 0:
        return
    rows, columns = np.mgrid[0 : part.shape[0], 0 : part.shape[1]].astype(np.float32)
    phase = (rows * rng.uniform(-1, 1) + columns * rng.uniform(-1, 1)) / (rng.uniform(0.8, 3) * scale)
    phase += 2 * waver(noise, phase.shape, max(2, side // 6))
    strength = rng.uniform(6, 28)
    colours = np.stack([np.sin(phase + shift) for shift in (0.0, 2.1, 4.2)], -1) * strength
    part[...] = np.clip(part + colours, 0, 255).astype(np.uint8)


def tabletop(shape: tuple[int, int], rng: random.Random, noise: np.random.Generator) -> Plane:
    """What lies under a document on a counter: plain, veneer, cloth, or a printed form."""
    height, width = shape
    base = np.array([rng.randint(20, 235), rng.randint(20, 235), rng.randint(20, 235)], np.float32)
    if rng.random() < 0.6:
        base[:] = base.mean() + np.array([-6, 0, 6]) * rng.random()
    grain = rng.choice(((24, 24), (3, 60), (40, 4)))
    coarse = noise.normal(0, rng.uniform(1, 9), (height // grain[0] + 2, width // grain[1] + 2, 1)).astype(
        np.float32
    )
    field = cv2.resize(
        np.clip(base + coarse, 0, 255).astype(np.uint8), (width, height), interpolation=cv2.INTER_LINEAR
    )
    picture = np.asarray(field, np.uint8)
    if rng.random() < 0.25:  # a form beneath
        shade = int(base.mean() * 0.5)
        for y in range(rng.randint(0, 40), height, max(12, height // 26)):
            x = rng.randint(0, width // 3)
            cv2.line(
                picture, (x, y), (rng.randint(x, width), y), (shade, shade, shade), max(1, height // 500)
            )
    return picture


def other_page(
    size: tuple[float, float], scale: float, rng: random.Random, noise: np.random.Generator
) -> Plane:
    """The facing page of an opened passport: print, perhaps a stamp, never a zone."""
    image = paper(size, scale, rng, noise)
    guilloche(image, scale, rng, strength=rng.uniform(0.2, 0.9))
    height, width = image.shape[:2]
    if rng.random() < 0.6:
        centre = (int(width * rng.uniform(0.2, 0.8)), int(height * rng.uniform(0.3, 0.8)))
        colour = (rng.randint(60, 190), rng.randint(30, 90), rng.randint(30, 190))
        axes = (int(18 * scale), int(rng.uniform(9, 18) * scale))
        cv2.ellipse(
            image, centre, axes, rng.uniform(0, 360), 0, 360, colour, max(1, int(0.5 * scale)), cv2.LINE_AA
        )
        cv2.putText(image, "ARRIVAL 14 MAY", (centre[0] - int(14 * scale), centre[1]), cv2.FONT_HERSHEY_SIMPLEX,
                    scale / 12, colour, max(1, int(scale / 6)), cv2.LINE_AA)  # fmt: skip
    return image


def field_of(shape: tuple[int, int], corners: NDArray[np.float32]) -> NDArray[np.float32]:
    """A small grid of values spread over a picture, (H, W) float32."""
    return np.asarray(cv2.resize(corners, (shape[1], shape[0]), interpolation=cv2.INTER_CUBIC), np.float32)
