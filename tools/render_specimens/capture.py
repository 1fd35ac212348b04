"""What the reader's camera makes of drawings on its glass: geometry, light, lens, sensor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from tools.render_specimens.sheet import Sheet

OVERSAMPLING = 2.0  # sheets are drawn finer than the camera sees them, so that sampling decides the edges
BED = (25.0, 23.0, 22.0)  # BGR of the dark lid over the glass


@dataclass(frozen=True)
class Glare:
    """A reflection: an ellipse in shares of the frame, adding `strength` (0..1) of white at its middle."""

    x: float
    y: float
    width: float
    height: float
    strength: float


@dataclass(frozen=True)
class Camera:
    """A 2-megapixel page reader's camera; defaults are a good day."""

    width: int = 1600
    height: int = 1200
    ppi: float = 290.0
    blur: float = 0.6  # sigma of lens and focus, pixels
    noise: float = 0.75  # sigma of the sensor's noise, grey levels
    vignette: float = 0.16  # light lost in the corners
    exposure: float = 0.94
    contrast: float = 1.0  # below 1: a dull, foggy glass
    glare: tuple[Glare, ...] = ()


@dataclass(frozen=True)
class Placement:
    """Where a sheet lies: its centre from the window's centre (mm), turned clockwise by `angle` degrees."""

    sheet: Sheet
    x: float = 0.0
    y: float = 0.0
    angle: float = 0.0


def photograph(placements: Sequence[Placement], camera: Camera, seed: int = 0) -> NDArray[np.uint8]:
    """(H, W, 3) BGR: the sheets on the dark bed, the last one on top, as `camera` sees them."""
    rng = np.random.default_rng(seed)
    frame = bed(camera, rng)
    for placement in placements:
        lay(frame, placement, camera)
    light(frame, camera, rng)
    if camera.blur > 0:
        frame = cv2.GaussianBlur(frame, (0, 0), camera.blur)
    grain = rng.standard_normal(frame.shape[:2]).astype(np.float32)
    frame += (
        camera.noise * cv2.GaussianBlur(grain, (0, 0), 0.5)[..., None] * 1.6
    )  # the blur takes a third of it
    return np.clip(frame.round(), 0, 255).astype(np.uint8)


def bed(camera: Camera, rng: np.random.Generator) -> NDArray[np.float32]:
    """(H, W, 3) float BGR: the lid, a little uneven, with a few specks of dust."""
    coarse = rng.standard_normal((6, 8)).astype(np.float32)
    uneven = cv2.resize(coarse, (camera.width, camera.height), interpolation=cv2.INTER_CUBIC)
    frame = np.empty((camera.height, camera.width, 3), np.float32)
    frame[:] = np.array(BED, np.float32)
    frame += 1.2 * uneven[..., None]
    for x, y, grey in zip(
        rng.integers(0, camera.width, 24),
        rng.integers(0, camera.height, 24),
        rng.integers(34, 70, 24),
        strict=True,
    ):
        cv2.circle(frame, (int(x), int(y)), 1, (float(grey),) * 3, -1, cv2.LINE_AA)
    return frame


def lay(frame: NDArray[np.float32], placement: Placement, camera: Camera) -> None:
    """Blend one sheet into `frame`, in place."""
    sheet = placement.sheet
    per_mm = camera.ppi / 25.4
    shrink = per_mm / sheet.scale
    # what is finer than a camera pixel must be gone before the sheet is sampled
    sigma = max(0.3, 0.45 / shrink)
    picture = cv2.GaussianBlur(cv2.cvtColor(sheet.image, cv2.COLOR_RGB2BGR), (0, 0), sigma)
    outline = cv2.GaussianBlur(sheet.outline, (0, 0), sigma)
    turn = cv2.getRotationMatrix2D(sheet.anchor, -placement.angle, shrink)
    turn[0, 2] += camera.width / 2 + placement.x * per_mm - sheet.anchor[0]
    turn[1, 2] += camera.height / 2 + placement.y * per_mm - sheet.anchor[1]
    size = (camera.width, camera.height)
    picture = cv2.warpAffine(picture, turn, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    share = cv2.warpAffine(outline, turn, size, flags=cv2.INTER_LINEAR).astype(np.float32)[..., None] / 255
    frame *= 1 - share
    frame += picture * share


def light(frame: NDArray[np.float32], camera: Camera, rng: np.random.Generator) -> None:
    """Exposure, fall-off to the corners, a slight slope, fog and reflections, in place."""
    down, across = np.mgrid[-1 : 1 : camera.height * 1j, -1 : 1 : camera.width * 1j].astype(np.float32)
    slope = rng.uniform(-0.04, 0.04, 2)
    shade = camera.exposure * (
        1 - camera.vignette * (across**2 + down**2) / 2 + slope[0] * across + slope[1] * down
    )
    frame *= shade[..., None].astype(np.float32)
    if camera.contrast != 1.0:
        frame *= np.float32(camera.contrast)
        frame += np.float32((1 - camera.contrast) * 150)
    for glare in camera.glare:
        away = ((across / 2 + 0.5 - glare.x) / glare.width) ** 2 + (
            (down / 2 + 0.5 - glare.y) / glare.height
        ) ** 2
        share = (glare.strength * np.exp(-away))[..., None].astype(np.float32)
        frame += (255 - frame) * share
