"""Real pictures made worse, as a camera at a counter might have taken them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def degrade(image: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """A copy as a counter camera might take it: any right angle, a tilt, some perspective, and one or two faults."""
    import cv2

    image = np.ascontiguousarray(np.rot90(image, int(rng.integers(4))))
    height, width = image.shape[:2]
    margin = rng.uniform(0.03, 0.25)
    canvas = (int(width * (1 + 2 * margin)), int(height * (1 + 2 * margin)))
    tilt = np.radians(rng.normal(0, 3.0))
    centre = np.array([width, height]) / 2
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], float) - centre
    turn = np.array([[np.cos(tilt), -np.sin(tilt)], [np.sin(tilt), np.cos(tilt)]])
    target = corners @ turn.T + np.array(canvas) / 2 + rng.normal(0, 0.012, (4, 2)) * max(width, height)
    matrix = cv2.getPerspectiveTransform((corners + centre).astype(np.float32), target.astype(np.float32))
    backdrop = tuple(int(v) for v in rng.integers(0, 255, 3))
    image = cv2.warpPerspective(image, matrix, canvas, flags=cv2.INTER_CUBIC, borderValue=backdrop)
    picture = image.astype(np.float32)
    fault = int(rng.integers(6))
    if fault == 0:
        picture = cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.4, 1.6) * max(canvas) / 1000)
    elif fault == 1:  # glare
        y, x = np.mgrid[0 : canvas[1], 0 : canvas[0]].astype(np.float32)
        spot = rng.uniform(0, 1, 2) * canvas
        spread = rng.uniform(0.08, 0.3) * max(canvas)
        light = np.exp(-((x - spot[0]) ** 2 + (y - spot[1]) ** 2) / (2 * spread**2))
        picture += light[..., None] * rng.uniform(60, 220)
    elif fault == 2:
        picture = picture * rng.uniform(0.25, 0.7) + rng.normal(0, rng.uniform(2, 9), picture.shape)
    elif fault == 3:  # a shadow across
        ramp = np.linspace(rng.uniform(0.35, 1.0), rng.uniform(0.35, 1.0), canvas[0])
        picture *= ramp[None, :, None]
    elif fault == 4:
        small = rng.uniform(0.75, 1.0)
        picture = cv2.resize(picture, None, fx=small, fy=small, interpolation=cv2.INTER_AREA)
    picture = np.clip(picture, 0, 255).astype(np.uint8)
    quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(45, 96))]
    return np.asarray(cv2.imdecode(cv2.imencode(".jpg", picture, quality)[1], cv2.IMREAD_COLOR))
