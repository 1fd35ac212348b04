"""A portrait for a chip: drawn, not photographed, and as heavy as a real one."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import Any, Final

SIZE: Final = (360, 480)
"""Width and height in pixels: 3 to 4, 90 pixels between the eyes and more (ISO/IEC 19794-5 §8)."""
OCTETS: Final = 15_000
"""Of a portrait in a chip, about (Doc 9303-9 §5.2: 15 to 20 KB)."""
_TEXTURE: Final = 7.0
"""Spread of the grain that makes a drawing as hard to compress as a photograph."""
_QUALITIES: Final = (90, 80, 70, 60, 50, 40, 30)
"""JPEG's, 0 to 100; the best that keeps within `OCTETS` is taken."""
_RATIO_PER_MILLE: Final = OCTETS * 1000 // (SIZE[0] * SIZE[1] * 3)


@lru_cache(maxsize=8)
def draw(seed: str, *, jpeg_2000: bool = False) -> bytes:
    """Somebody who doesn't exist, always the same one for a seed; JPEG, or JPEG 2000 in its file format."""
    import cv2

    picture = _drawn(seed)
    if jpeg_2000:
        return _encoded(".jp2", picture, [cv2.IMWRITE_JPEG2000_COMPRESSION_X1000, _RATIO_PER_MILLE])
    encoded = b""
    for quality in _QUALITIES:
        encoded = _encoded(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])
        if len(encoded) <= OCTETS:
            break
    return encoded


def _encoded(suffix: str, picture: Any, parameters: list[int]) -> bytes:
    import cv2

    done, encoded = cv2.imencode(suffix, picture, parameters)
    assert done, "OpenCV writes JPEG and JPEG 2000"
    return bytes(encoded.tobytes())


def _drawn(seed: str) -> Any:
    import cv2
    import numpy as np

    drawn = hashlib.shake_256(seed.encode()).digest(8)
    tone = [np.array((150, 175, 215)), np.array((110, 140, 190)), np.array((80, 100, 150))][drawn[0] % 3]
    hair = [(25, 25, 30), (30, 50, 80), (90, 130, 170), (120, 120, 125)][drawn[1] % 4]
    wide = 82 + drawn[2] % 16
    width, height = SIZE
    middle = width // 2
    picture = np.full((height, width, 3), (225, 222, 218), np.uint8)
    skin = tuple(int(one) for one in tone)
    shade = tuple(int(one * 0.8) for one in tone)
    cv2.ellipse(picture, (middle, height + 20), (165, 130), 0, 180, 360, (90, 70, 60), -1, cv2.LINE_AA)
    cv2.rectangle(picture, (middle - 36, 300), (middle + 36, 380), shade, -1)
    cv2.ellipse(picture, (middle, 205), (wide + 16, 140), 0, 0, 360, hair, -1, cv2.LINE_AA)
    cv2.ellipse(picture, (middle, 230), (wide, 122), 0, 0, 360, skin, -1, cv2.LINE_AA)
    for side in (-1, 1):
        eye = (middle + side * 45, 215)
        cv2.ellipse(picture, eye, (17, 8), 0, 0, 360, (245, 245, 245), -1, cv2.LINE_AA)
        cv2.circle(picture, eye, 7, (40, 40, 50), -1, cv2.LINE_AA)
        cv2.line(picture, (eye[0] - 22, 192), (eye[0] + 22, 190), hair, 5, cv2.LINE_AA)
    cv2.line(picture, (middle, 225), (middle - 8, 265), shade, 4, cv2.LINE_AA)
    cv2.ellipse(picture, (middle, 298), (30, 8 + drawn[3] % 5), 0, 0, 180, (80, 80, 160), -1, cv2.LINE_AA)
    grain = np.random.default_rng(int.from_bytes(drawn, "big")).normal(0, _TEXTURE, picture.shape[:2])
    grained = cv2.GaussianBlur(picture, (0, 0), 1.2).astype(np.float32) + grain[..., None]
    return np.clip(grained, 0, 255).astype(np.uint8)
