"""Image files become arrays: JPEG, PNG, TIFF, BMP, WebP, JPEG 2000, and nothing else; arrays are checked.

Bytes come from strangers, so the size is read from the header before anything is decoded, and a file that
ends too early is refused: decoders would fill the rest of the picture with grey and say nothing.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from edged.core.imageheader import Header, png_pixels, sniff
from edged.core.vision import cv2
from edged.errors import DecodeError

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAX_BYTES: Final = 64 * 1024 * 1024
"""An uncompressed 20-megapixel page in 24 bits fits; anything longer is no capture."""

MAX_PIXELS: Final = 64_000_000
"""Decoded, this is 192 MB: what a terminal can spare. Page readers stay below 20 megapixels."""

MAX_DECODED: Final = 256 * 1024 * 1024
"""Bytes of a picture as decoded, before it becomes 8-bit BGR: deeper or more channels leave room for fewer pixels."""

MAX_SCANNED: Final = 1_500_000_000
"""Pixels times scans of a progressive JPEG: about a second. Writers make ten scans; a file may have any number."""

MAX_CODED: Final = {"jpeg2000": 12 * 1024 * 1024, "webp": 24 * 1024 * 1024}
"""Bytes of a file whose kind takes longest to unpack, whatever the pixels: 1.5 seconds. A page in them is ten times
smaller."""

_BAND: Final = 256
"""Rows blended at a time."""

MAX_SIDE: Final = 30_000
"""OpenCV's warps hold coordinates in 16 bits (32 767)."""


def page_image(source: bytes | bytearray | memoryview | NDArray[Any]) -> NDArray[np.uint8]:
    """What a caller gives as a page's picture, as `reading.read_page` takes it: (H, W) grey or (H, W, 3) BGR.

    `source` is an image file's bytes, or an array of 8 bits: (H, W) or (H, W, 1) grey, (H, W, 3) BGR, (H, W, 4)
    BGRA, whose transparency is laid over white. Views, turned and read-only arrays are copied; others aren't.

    Raises `DecodeError`: those of `decode_image`; "image.wrong_type" for other types and depths, "image.wrong_shape"
    for other shapes, "image.empty", "image.too_large".
    """
    if isinstance(source, memoryview) and source.nbytes > MAX_BYTES:
        raise DecodeError("image", "image.too_large")
    if isinstance(source, bytes | bytearray | memoryview):
        return decode_image(bytes(source))
    if not isinstance(source, np.ndarray):
        raise DecodeError("image", "image.wrong_type", type(source).__name__)
    if source.dtype != np.uint8:
        raise DecodeError("image", "image.wrong_type", str(source.dtype.name))
    image: NDArray[np.uint8] = np.asarray(source)
    if image.ndim == 3 and image.shape[2] == 1:
        image = image[:, :, 0]
    if image.ndim not in (2, 3) or image.shape[2:] not in ((), (3,), (4,)):
        raise DecodeError("image", "image.wrong_shape", "x".join(map(str, image.shape)))
    height, width = image.shape[:2]
    if not height or not width:
        raise DecodeError("image", "image.empty")
    if max(height, width) > MAX_SIDE or height * width > MAX_PIXELS:
        raise DecodeError("image", "image.too_large")
    if image.shape[2:] == (4,):
        return _over_white(image[:, :, :3], image[:, :, 3:])
    return np.require(image, requirements=("C_CONTIGUOUS", "WRITEABLE"))


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
    pixels = header.width * header.height
    if (
        max(header.width, header.height) > MAX_SIDE
        or pixels > MAX_PIXELS
        or pixels * header.pixel_bytes > MAX_DECODED
        or pixels * header.scans > MAX_SCANNED
        or header.buffered > MAX_DECODED
        or len(data) > MAX_CODED.get(header.kind, MAX_BYTES)
    ):
        raise DecodeError("image", "image.too_large")
    if header.truncated:
        raise DecodeError("image", "image.truncated")
    if header.width < 1 or header.height < 1:
        raise DecodeError("image", "image.not_an_image")
    return _upright(_eight_bit_bgr(_decode(data, header)), header.orientation)


def _decode(data: bytes, header: Header) -> NDArray[np.generic]:
    if header.kind == "png":
        data = png_pixels(data)
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
        pixels = _high_bytes(image)
    else:  # signed or floating samples carry no fixed white: stretch what is there
        values = image.astype(np.float32)
        np.nan_to_num(values, copy=False, posinf=0.0, neginf=0.0)
        low, high = float(values.min()), float(values.max())
        values -= low
        values *= 255.0 / max(high - low, 1e-6)
        pixels = values.astype(np.uint8)
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
    blended = np.empty(colour.shape, np.uint8)
    for top in range(
        0, len(colour), _BAND
    ):  # the wider numbers of a whole picture would take several times its size
        weight = alpha[top : top + _BAND].astype(np.uint16)
        band = colour[top : top + _BAND] * weight + 255 * (255 - weight)
        blended[top : top + _BAND] = band // 255
    return blended


def _high_bytes(image: NDArray[np.generic]) -> NDArray[np.uint8]:
    """The upper eight bits of each 16."""
    halves = np.ascontiguousarray(image).view(np.uint8).reshape(*image.shape, 2)
    return np.ascontiguousarray(halves[..., 1 if sys.byteorder == "little" else 0])


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
