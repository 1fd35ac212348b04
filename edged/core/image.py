"""Image files become arrays: JPEG, PNG, TIFF, BMP, WebP, JPEG 2000, and nothing else.

Bytes come from strangers, so the size is read from the header before anything is decoded, and a file that
ends too early is refused: decoders would fill the rest of the picture with grey and say nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from edged.core.imageheader import Header, sniff
from edged.core.vision import cv2
from edged.errors import DecodeError

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAX_BYTES: Final = 64 * 1024 * 1024
"""An uncompressed 20-megapixel page in 24 bits fits; anything longer is no capture."""

MAX_PIXELS: Final = 64_000_000
"""Decoded, this is 192 MB: what a terminal can spare. Page readers stay below 20 megapixels."""

MAX_SIDE: Final = 30_000
"""OpenCV's warps hold coordinates in 16 bits (32 767)."""


def decode_image(data: bytes) -> NDArray[np.uint8]:
    """The picture as (H, W, 3) BGR, 8 bits, upright as its EXIF orientation says, transparency laid over white.

    Raises `DecodeError`: "image.empty", "image.not_an_image", "image.too_large", "image.truncated".
    """
    if not data:
        raise DecodeError("image", "image.empty")
    if len(data) > MAX_BYTES:
        raise DecodeError("image", "image.too_large")
    header = sniff(data)
    if header is None:
        raise DecodeError("image", "image.not_an_image")
    if header.width * header.height > MAX_PIXELS or max(header.width, header.height) > MAX_SIDE:
        raise DecodeError("image", "image.too_large")
    if header.truncated:
        raise DecodeError("image", "image.truncated")
    if header.width < 1 or header.height < 1:
        raise DecodeError("image", "image.not_an_image")
    return _upright(_eight_bit_bgr(_decode(data, header)), header.orientation)


def _decode(data: bytes, header: Header) -> NDArray[np.generic]:
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except (cv2.error, MemoryError, SystemError) as error:
        raise DecodeError("image", "image.not_an_image") from error
    if image is None or image.size == 0 or image.ndim not in (2, 3):
        raise DecodeError("image", "image.not_an_image")
    if image.shape[0] * image.shape[1] > max(MAX_PIXELS, header.width * header.height):
        raise DecodeError("image", "image.too_large")
    decoded: NDArray[np.generic] = image
    return decoded


def _eight_bit_bgr(image: NDArray[np.generic]) -> NDArray[np.uint8]:
    """Any depth and channel count OpenCV gives, as 8-bit BGR."""
    if image.dtype == np.uint8:
        pixels = image.astype(np.uint8, copy=False)
    elif image.dtype == np.uint16:
        pixels = (image.astype(np.uint16, copy=False) >> 8).astype(np.uint8)
    else:  # signed or floating samples carry no fixed white: stretch what is there
        values = np.nan_to_num(image.astype(np.float32), posinf=0.0, neginf=0.0)
        low, high = float(values.min()), float(values.max())
        pixels = ((values - low) * (255.0 / max(high - low, 1e-6))).astype(np.uint8)
    channels = 1 if pixels.ndim == 2 else pixels.shape[2]
    if channels == 1:
        return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_GRAY2BGR), np.uint8)
    if channels == 2:  # grey and alpha
        return _over_white(np.repeat(pixels[:, :, :1], 3, axis=2), pixels[:, :, 1:])
    if channels == 4:
        return _over_white(pixels[:, :, :3], pixels[:, :, 3:])
    if channels == 3:
        return np.ascontiguousarray(pixels)
    raise DecodeError("image", "image.not_an_image")


def _over_white(colour: NDArray[np.uint8], alpha: NDArray[np.uint8]) -> NDArray[np.uint8]:
    if alpha.min() == 255:
        return np.ascontiguousarray(colour)
    weight = alpha.astype(np.uint16)
    return ((colour * weight + 255 * (255 - weight)) // 255).astype(np.uint8)


def _upright(image: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """Undo an EXIF orientation (Exif 2.32 §4.6.4 A, tag 274)."""
    match orientation:
        case 2:
            image = image[:, ::-1]
        case 3:
            image = image[::-1, ::-1]
        case 4:
            image = image[::-1]
        case 5:
            image = image.transpose(1, 0, 2)
        case 6:
            image = np.rot90(image, -1)
        case 7:
            image = image[::-1, ::-1].transpose(1, 0, 2)
        case 8:
            image = np.rot90(image)
        case _:
            pass
    return np.ascontiguousarray(image)
