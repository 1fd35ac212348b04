"""What becomes of a slip between the print head and a phone's picture, made up: paper, creases, lens, light, JPEG."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

MARGIN = 24
"""Dots of the table around the paper."""


CREASE = 140
"""Dots from one crease of the paper to the next: 17 mm."""


class Shot(NamedTuple):
    """How a photograph is taken.

    Attributes:
        scale: pixels of the picture for a dot of the print.
        tilt: how far a corner is moved, share of the narrower side.
        turn: degrees.
        crumple: dots by which paper is displaced at most.
        blur: standard deviation in pixels: defocus.
        shake: pixels of a hand's motion.
        noise: standard deviation of brightness, 0..255.
        fade: 0: fresh, 1: as pale as the paper.
        shade: how much darker the darkest side is, 0..1.
        quality: of the JPEG.
    """

    scale: float
    tilt: float
    turn: float
    crumple: float
    blur: float
    shake: float
    noise: float
    fade: float
    shade: float
    quality: int


def careful(rng: np.random.Generator) -> Shot:
    """Somebody takes pains: flat, near, in good light."""
    return Shot(
        scale=rng.uniform(1.5, 3.0), tilt=rng.uniform(0, 0.03), turn=rng.uniform(-4, 4),
        crumple=rng.uniform(0, 0.7), blur=rng.uniform(0.3, 0.9), shake=0.0, noise=rng.uniform(1, 4),
        fade=rng.uniform(0, 0.2), shade=rng.uniform(0, 0.2), quality=int(rng.integers(80, 96)),
    )  # fmt: skip


def usual(rng: np.random.Generator) -> Shot:
    """A phone over a counter."""
    return Shot(
        scale=rng.uniform(1.0, 2.5), tilt=rng.uniform(0.02, 0.08), turn=rng.uniform(-15, 15),
        crumple=rng.uniform(0.3, 2), blur=rng.uniform(0.4, 1.2), shake=rng.uniform(0, 1.5),
        noise=rng.uniform(2, 8), fade=rng.uniform(0, 0.4), shade=rng.uniform(0.1, 0.45),
        quality=int(rng.integers(65, 93)),
    )  # fmt: skip


def hard(rng: np.random.Generator) -> Shot:
    """Weeks in a pocket, in a hurry, in the dark."""
    return Shot(
        scale=rng.uniform(0.7, 1.6), tilt=rng.uniform(0.05, 0.14), turn=rng.uniform(-30, 30),
        crumple=rng.uniform(1.5, 4), blur=rng.uniform(0.6, 1.6), shake=rng.uniform(0.5, 3.0),
        noise=rng.uniform(5, 14), fade=rng.uniform(0.3, 0.65), shade=rng.uniform(0.3, 0.65),
        quality=int(rng.integers(45, 80)),
    )  # fmt: skip


KINDS = {"careful": careful, "usual": usual, "hard": hard}


def photograph(dots: NDArray[np.bool_], shot: Shot, rng: np.random.Generator) -> NDArray[np.uint8]:
    """A grey picture of a print (True is black), (height, width)."""
    paper = np.pad(dots, MARGIN).astype(np.float32)
    height, width = paper.shape
    # The head burns rows unevenly, dots run into one another, and thermal paper pales.
    burnt = paper * (1 - 0.12 * rng.random((height, 1), np.float32))
    burnt = cv2.GaussianBlur(burnt, (0, 0), float(rng.uniform(0.35, 0.6)))
    burnt = cv2.GaussianBlur(burnt, (0, 0), max(0.05, 0.45 / shot.scale))  # a pixel sees an area
    bright = 228 - burnt * (228 - 45) * (1 - shot.fade)
    table = np.full_like(bright, 90)
    inside = np.zeros_like(bright)
    inside[6:-6, 6:-6] = 1
    bright = bright * inside + table * (1 - inside)

    out_size, matrix = _view(width, height, shot, rng)
    columns, rows = np.meshgrid(
        np.arange(out_size[0], dtype=np.float32), np.arange(out_size[1], dtype=np.float32)
    )
    inverse = np.linalg.inv(matrix)
    weight = inverse[2, 0] * columns + inverse[2, 1] * rows + inverse[2, 2]
    x = (inverse[0, 0] * columns + inverse[0, 1] * rows + inverse[0, 2]) / weight
    y = (inverse[1, 0] * columns + inverse[1, 1] * rows + inverse[1, 2]) / weight
    bend = [_field(x.shape, CREASE * shot.scale, rng) for _ in range(2)]
    shown = cv2.remap(
        bright,
        (x + shot.crumple * bend[0]).astype(np.float32),
        (y + shot.crumple * bend[1]).astype(np.float32),
        cv2.INTER_LINEAR,
        borderValue=90,
    )
    light = 1 - shot.shade * (0.5 + 0.5 * _field(x.shape, 0.4 * max(x.shape), rng))
    light *= 1 - 0.03 * shot.crumple * _field(x.shape, 50 * shot.scale, rng)
    shown = cv2.GaussianBlur(shown * light, (0, 0), max(0.05, shot.blur))
    shown = _shaken(shown, shot.shake, rng)
    shown += rng.normal(0, shot.noise, shown.shape)
    done, data = cv2.imencode(
        ".jpg", np.clip(shown, 0, 255).astype(np.uint8), (cv2.IMWRITE_JPEG_QUALITY, shot.quality)
    )
    assert done
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_GRAYSCALE), np.uint8)


def _view(
    width: int, height: int, shot: Shot, rng: np.random.Generator
) -> tuple[tuple[int, int], NDArray[np.float64]]:
    corners = np.array([(0, 0), (width, 0), (width, height), (0, height)], np.float64)
    moved = corners * shot.scale
    moved += rng.uniform(-1, 1, (4, 2)) * shot.tilt * min(width, height) * shot.scale
    angle = np.deg2rad(shot.turn)
    turn = np.array([(np.cos(angle), -np.sin(angle)), (np.sin(angle), np.cos(angle))])
    moved = moved @ turn.T
    moved -= moved.min(axis=0) - 8
    size = np.ceil(moved.max(axis=0) + 8).astype(int)
    matrix = cv2.getPerspectiveTransform(corners.astype(np.float32), moved.astype(np.float32))
    return (int(size[0]), int(size[1])), np.asarray(matrix, np.float64)


def _field(shape: tuple[int, ...], length: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """A smooth random field between -1 and 1 that changes over `length` pixels."""
    small = (max(3, int(shape[1] / length) + 3), max(3, int(shape[0] / length) + 3))
    field = cv2.resize(
        rng.uniform(-1, 1, (small[1], small[0])).astype(np.float32),
        (shape[1], shape[0]),
        interpolation=cv2.INTER_CUBIC,
    )
    return np.clip(field, -1, 1)


def _shaken(picture: NDArray[np.float32], pixels: float, rng: np.random.Generator) -> NDArray[np.float32]:
    if pixels < 0.5:
        return picture
    size = 2 * int(np.ceil(pixels)) + 1
    kernel = np.zeros((size, size), np.float32)
    angle, middle = rng.uniform(0, np.pi), size // 2
    for step in np.linspace(-pixels / 2, pixels / 2, 21):
        kernel[round(middle + step * np.sin(angle)), round(middle + step * np.cos(angle))] += 1
    return cv2.filter2D(picture, -1, kernel / kernel.sum())
