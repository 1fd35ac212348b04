"""What goes wrong between a document and its picture: glare, shadows, fingers, folds, dirt, screens."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import cv2
import numpy as np

from . import optics
from .ink import waver
from .sheet import Sheet, spoil

if TYPE_CHECKING:
    import random

    from .optics import Shot


def lamp(shot: Shot, rng: random.Random, depth: float) -> None:
    """Light that falls off away from a lamp somewhere beside the picture."""
    x, y = optics.coordinates(shot)
    width, height = shot.pose.frame
    spot = (rng.uniform(-0.3, 1.3) * width, rng.uniform(-0.3, 1.3) * height)
    far = np.hypot(x - spot[0], y - spot[1]) / math.hypot(width, height)
    optics.darken(shot, (1 - depth * np.clip(far, 0, 1)).astype(np.float32))


def cast_shadow(shot: Shot, rng: random.Random, depth: float) -> None:
    """A hand's or a head's shadow: a soft edge across the picture, sometimes with a second one."""
    x, y = optics.coordinates(shot)
    width, height = shot.pose.frame
    light = np.ones_like(x)
    for _ in range(rng.choice((1, 1, 2))):
        turn = rng.uniform(0, 2 * math.pi)
        along = (x - rng.uniform(0.2, 0.8) * width) * math.cos(turn) + (
            y - rng.uniform(0.2, 0.8) * height
        ) * math.sin(turn)
        soft = rng.uniform(0.01, 0.08) * max(width, height)
        light *= 1 - depth / (1 + np.exp(-np.clip(along / soft, -30, 30)))
    optics.darken(shot, light.astype(np.float32))


def laminate_glare(shot: Shot, rng: random.Random, peak: float, *, over_zone: bool = False) -> None:
    """A lamp's reflection in the laminate: one or two soft streaks or spots, anywhere or near the zone."""
    x, y = optics.coordinates(shot, 160)
    width, height = shot.pose.frame
    glare = np.zeros_like(x)
    for _ in range(rng.choice((1, 1, 2))):
        if over_zone and len(shot.points):
            at = (
                shot.points[rng.randrange(len(shot.points))]
                + np.array([rng.gauss(0, 3), rng.gauss(0, 3)]) * shot.pitch
            )
        else:
            at = np.array([rng.uniform(0, width), rng.uniform(0, height)])
        turn = rng.uniform(0, math.pi)
        long, wide = (
            rng.uniform(0.05, 0.35) * max(width, height),
            rng.uniform(0.02, 0.12) * max(width, height),
        )
        u = ((x - at[0]) * math.cos(turn) + (y - at[1]) * math.sin(turn)) / long
        v = (-(x - at[0]) * math.sin(turn) + (y - at[1]) * math.cos(turn)) / wide
        glare += peak * np.exp(-0.5 * (u**2 + v**2) ** rng.uniform(0.9, 2.0))
    optics.brighten(shot, glare.astype(np.float32))


def colour_cast(shot: Shot, rng: random.Random) -> None:
    """Light that isn't white."""
    warm = rng.gauss(0, 0.05)
    curve = np.arange(256)[None, :, None] * np.array([1 - warm, 1.0, 1 + warm]) * 0.97
    shot.picture = np.asarray(cv2.LUT(shot.picture, np.clip(curve, 0, 255).astype(np.uint8)), np.uint8)


def fingers(shot: Shot, rng: random.Random) -> None:
    """One or two fingertips hold the document at its edge, never on the zone."""
    corners = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float32) * np.array(shot.sheet.size, np.float32)
    for _ in range(rng.choice((1, 2))):
        side = rng.randrange(4)
        share = rng.uniform(0.1, 0.9)
        at_mm = corners[side] * share + corners[(side + 1) % 4] * (1 - share)
        radius = 8.0
        if len(shot.sheet.cells) and np.linalg.norm(shot.sheet.cells - at_mm, axis=1).min() < radius + 6:
            continue
        at = optics.place(at_mm, shot.pose, shot.sheet.size)[0]
        size = radius * shot.pitch / (shot.sheet.how.pitch if shot.sheet.how else 2.54)
        if len(shot.points) and np.linalg.norm(shot.points - at, axis=1).min() < size + 1.5 * shot.pitch:
            continue
        tone = rng.uniform(0.4, 1.0)
        skin = [int(v * tone) for v in (150, 175, 220)]
        layer = np.zeros(shot.picture.shape[:2], np.uint8)
        middle = optics.place(np.array(shot.sheet.size) / 2, shot.pose, shot.sheet.size)[0]
        away = (at - middle) / (np.linalg.norm(at - middle) + 1e-6) * size * 1.4
        box = (int(size * 2.4), int(size))
        turn = math.degrees(math.atan2(away[1], away[0]))
        cv2.ellipse(
            layer, (int(at[0] + away[0]), int(at[1] + away[1])), box, turn, 0, 360, 255, -1, cv2.LINE_AA
        )
        shot.picture[layer > 127] = skin


def screen(shot: Shot, rng: random.Random) -> None:
    """The document is shown on a screen: its raster beats with the sensor's."""
    width, height = shot.pose.frame
    x, y = np.arange(width, dtype=np.float32)[None], np.arange(height, dtype=np.float32)[:, None]
    pitch, turn = rng.uniform(1.6, 3.4), rng.uniform(-0.12, 0.12)
    depth = rng.uniform(0.05, 0.2)
    along = (x * math.cos(turn) + y * math.sin(turn)) * (2 * math.pi / pitch)
    across = (-x * math.sin(turn) + y * math.cos(turn)) * (2 * math.pi / pitch)
    level = (255 * (1 - depth * (0.5 + 0.5 * np.cos(along)) - depth * (0.5 + 0.5 * np.cos(across)))).astype(
        np.uint8
    )
    shot.picture = np.asarray(cv2.multiply(shot.picture, cv2.merge([level] * 3), scale=1 / 255), np.uint8)
    shot.ink, shot.paper = shot.ink * (1 - depth), shot.paper * (1 - depth)
    shot.noise = math.hypot(shot.noise, 60 * depth)


def fold(sheet: Sheet, rng: random.Random, noise: np.random.Generator) -> Sheet:
    """Creases across the page: a bright and a dark edge where the print has cracked."""
    image = sheet.image.copy()
    height, width = image.shape[:2]
    for _ in range(rng.choice((1, 1, 2))):
        upright = rng.random() < 0.6
        at = rng.uniform(0.15, 0.85) * (width if upright else height)
        ends = (
            ((at + rng.gauss(0, 8), 0), (at + rng.gauss(0, 8), height))
            if upright
            else ((0, at), (width, at + rng.gauss(0, 8)))
        )
        points = [tuple(round(v * 8) for v in p) for p in ends]
        broad = max(1, round(rng.uniform(0.1, 0.35) * sheet.scale))
        layer = np.zeros((height, width), np.uint8)
        cv2.line(layer, points[0], points[1], 255, broad, cv2.LINE_AA, 3)
        worn = waver(noise, (height, width), max(3, int(sheet.scale / 2))) > rng.uniform(-0.6, 0.2)
        pale = rng.randint(200, 245)
        share = (layer.astype(np.float32) / 255 * worn * rng.uniform(0.4, 0.9))[..., None]
        image = (image * (1 - share) + pale * share).astype(np.uint8)
        shade = (
            np.roll(layer, broad + 1, 1 if upright else 0).astype(np.float32) / 255 * rng.uniform(0.05, 0.3)
        )
        image = (image * (1 - shade[..., None])).astype(np.uint8)
    return spoil(sheet, image)


def dirt(sheet: Sheet, rng: random.Random, noise: np.random.Generator) -> Sheet:
    """Stains, specks, hairs and fine scratches."""
    image = sheet.image.copy()
    height, width = image.shape[:2]
    stains = np.zeros((height // 4 + 1, width // 4 + 1), np.uint8)
    for _ in range(rng.randint(0, 3)):
        at = (rng.randrange(stains.shape[1]), rng.randrange(stains.shape[0]))
        axes = (int(rng.uniform(2, 14) * sheet.scale / 4), int(rng.uniform(2, 10) * sheet.scale / 4))
        cv2.ellipse(stains, at, axes, rng.uniform(0, 180), 0, 360, rng.randint(20, 90), -1, cv2.LINE_AA)
    stain = cv2.resize(cv2.GaussianBlur(stains, (0, 0), 3), (width, height))
    image = np.asarray(
        cv2.multiply(image, cv2.merge([255 - stain, 255 - stain // 2, 255 - stain // 3]), scale=1 / 255)
    )
    for _ in range(rng.randint(10, 90)):
        at = (int(rng.uniform(0, width) * 8), int(rng.uniform(0, height) * 8))
        size = max(2, int(abs(rng.gauss(0, 0.12)) * sheet.scale * 8))
        shade = rng.choice((rng.randint(30, 110), rng.randint(200, 250)))
        cv2.circle(image, at, size, (shade, shade, shade), -1, cv2.LINE_AA, 3)
    for _ in range(rng.randint(0, 5)):
        start = np.array([rng.uniform(0, width), rng.uniform(0, height)])
        swing = noise.normal(0, 1, (6, 2)).cumsum(0) * rng.uniform(0.5, 3) * sheet.scale
        shade = rng.choice((50, 225, 235))
        cv2.polylines(image, [((start + swing) * 8).astype(np.int32)], False, (shade,) * 3, 1, cv2.LINE_AA, 3)
    return spoil(sheet, np.asarray(image, np.uint8))
