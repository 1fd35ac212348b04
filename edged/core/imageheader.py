"""What an image file's header says, read without a decoder: kind, size, orientation, and whether the file is whole.

Every function takes untrusted bytes and answers or returns None; nothing is decoded or allocated in
proportion to what a header claims.
"""

from __future__ import annotations

import re
import struct
import zlib
from typing import Final, NamedTuple

from edged.core.jpeg2000 import J2K, JP2, extent
from edged.core.tiff import Tiff, tiff_orientation


class Header(NamedTuple):
    """Kind, size in pixels as stored, EXIF orientation (1 when none is given), and whether the end is missing.

    `pixel_bytes` is what a decoder holds for each pixel, `scans` how often it goes over all of them, `buffered` what
    it holds beside the picture.
    """

    kind: str
    width: int
    height: int
    orientation: int
    truncated: bool
    pixel_bytes: int = 3
    scans: int = 1
    buffered: int = 0


_PNG: Final = b"\x89PNG\r\n\x1a\n"
_MAX_BOXES: Final = 4096
"""Chunks, boxes or segments followed in one file: far beyond what writers produce."""
_NEXT_MARKER: Final = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]", re.DOTALL)
_FILL: Final = re.compile(rb"\xff+", re.DOTALL)
_COMPRESSIONS: Final = frozenset((1, 2, 3, 4, 5, 7, 8, 32773, 32946))
"""Of TIFF: none, CCITT, LZW, JPEG, Deflate, PackBits, and Deflate's old number: what scanners write. Each further one
is another decoder with bounds of its own."""
_SIZED_BY: Final = frozenset((254, 256, 257, 258, 259, 274, 277, 322, 323))
"""Tags that bound what a decoder of TIFF does."""
_PIXELS: Final = frozenset((b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"))
"""Chunks of a PNG that its picture is made of. The others are texts, profiles and animation: each may unpack to a
thousand times its size, and decoders unpack them all."""
_SOF: Final = frozenset((0xC0, 0xC1, 0xC2, 0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF))


def sniff(data: bytes) -> Header | None:
    """The header of a known kind of image, or None. Never raises."""
    try:
        if data.startswith(b"\xff\xd8\xff"):
            return _jpeg(data)
        if data.startswith(_PNG):
            return _png(data)
        if data.startswith((b"II*\x00", b"MM\x00*")):
            return _tiff(data)
        if data.startswith(b"BM"):
            return _bmp(data)
        if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
            return _webp(data)
        if data.startswith((JP2, J2K)):
            return _jpeg2000(data)
    except (struct.error, IndexError):
        return Header("", 1, 1, 1, True)
    return None


def _jpeg(data: bytes) -> Header | None:
    width = height = components = 0
    orientation = 1
    at, scans, ended = 2, 0, False
    for _ in range(_MAX_BOXES):
        fill = _FILL.match(data, at)  # any number of them may stand before a marker (ISO/IEC 10918-1 B.1.1.2)
        if fill is None:
            return None
        at = fill.end() - 1
        marker = data[at + 1]
        if marker == 0xD9:
            ended = True
            break
        if marker in (0x01, 0xD8) or 0xD0 <= marker <= 0xD7:
            at += 2
            continue
        (length,) = struct.unpack_from(">H", data, at + 2)
        if marker in _SOF:
            if width:  # one frame a picture: a second would be decoded in the first one's place
                return None
            height, width, components = struct.unpack_from(">HHB", data, at + 5)
        if marker == 0xE1 and data[at + 4 : at + 10] == b"Exif\x00\x00":
            orientation = tiff_orientation(data[at + 10 : at + 2 + length])
        at += 2 + length
        if marker == 0xDA:
            scans += 1
            found = _NEXT_MARKER.search(data, at)
            if found is None:
                break
            at = found.start()
        elif at + 1 >= len(data):
            break
    if not width:
        return Header("jpeg", 1, 1, 1, True)
    return Header("jpeg", width, height, orientation, not (ended and scans), max(3, components), scans)


def _png(data: bytes) -> Header | None:
    width = height = 0
    depth = colours = 8
    orientation, at, ended = 1, len(_PNG), False
    for _ in range(_MAX_BOXES * 16):  # some writers cut IDAT into 8 KiB chunks
        length, kind = struct.unpack_from(">I4s", data, at)
        body = data[at + 8 : at + 8 + length]
        crc = data[at + 8 + length : at + 12 + length]
        if len(crc) < 4:
            break
        if zlib.crc32(body, zlib.crc32(kind)) != int.from_bytes(crc, "big"):
            break
        if kind == b"IHDR":
            if at > len(_PNG):  # decoders take the last one, we the first: neither is an image
                return None
            width, height, depth, colours = struct.unpack_from(">IIBB", body)
        elif kind == b"eXIf":
            orientation = tiff_orientation(body)
        elif kind == b"IEND":
            ended = True
            break
        at += 12 + length
        if at >= len(data):
            break
    channels = (
        4 if colours & 4 or colours == 3 else 3
    )  # decoders make colours of a palette, and of grey with alpha
    return Header("png", width or 1, height or 1, orientation, not ended, channels * max(1, depth // 8))


def png_pixels(data: bytes) -> bytes:
    """A PNG that `sniff` found whole, without the chunks that aren't its picture."""
    kept, at = [_PNG], len(_PNG)
    while at + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        if kind in _PIXELS:
            kept.append(data[at : at + 12 + length])
        at += 12 + length
        if kind == b"IEND":
            break
    return b"".join(kept)


def _bmp(data: bytes) -> Header | None:
    offset, info = struct.unpack_from("<II", data, 10)
    if info < 40:
        return None if info != 12 else _bmp_core(data)
    width, height, _, bits, compression = struct.unpack_from("<iiHHI", data, 18)
    height = abs(height)
    if width < 1:
        return None
    whole = compression not in (0, 3) or len(data) >= offset + (width * bits + 31) // 32 * 4 * height
    return Header("bmp", width, height, 1, not whole, 4)


def _bmp_core(data: bytes) -> Header:
    width, height = struct.unpack_from("<HH", data, 18)
    return Header("bmp", width, height, 1, False)


def _webp(data: bytes) -> Header | None:
    (riff,) = struct.unpack_from("<I", data, 4)
    kind = data[12:16]
    orientation, pixel_bytes = 1, 4
    if kind == b"VP8 ":
        width, height = (value & 0x3FFF for value in struct.unpack_from("<HH", data, 26))
    elif kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, 21)
        width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    elif kind == b"VP8X":
        width = int.from_bytes(data[24:27], "little") + 1
        height = int.from_bytes(data[27:30], "little") + 1
        orientation = _webp_orientation(data)
        if data[20] & 2:  # moving: its decoder holds the canvas, a frame and what they make together
            pixel_bytes = 12
    else:
        return None
    return Header("webp", width, height, orientation, len(data) < riff + 8, pixel_bytes)


def _webp_orientation(data: bytes) -> int:
    at = 12
    for _ in range(_MAX_BOXES):
        if at + 8 > len(data):
            break
        kind, length = struct.unpack_from("<4sI", data, at)
        if kind == b"EXIF":
            body = data[at + 8 : at + 8 + length]
            return tiff_orientation(body.removeprefix(b"Exif\x00\x00"))
        at += 8 + length + (length & 1)
    return 1


def _jpeg2000(data: bytes) -> Header | None:
    found = extent(data)
    if found is None:
        return None
    # Its decoder holds every sample in 32 bits.
    return Header(
        "jpeg2000",
        found.width,
        found.height,
        1,
        not found.ended,
        4 * found.samples,
        buffered=found.books,
    )


def _tiff(data: bytes) -> Header | None:
    tiff = Tiff(data)
    if tiff.odd(_SIZED_BY):
        return None
    width, height = tiff.first(256, 0), tiff.first(257, 0)
    if not width or not height or tiff.first(259, 1) not in _COMPRESSIONS:
        return None
    whole = True
    for offsets, counts in ((273, 279), (324, 325)):
        for offset, count in zip(tiff.numbers(offsets), tiff.numbers(counts), strict=False):
            whole = whole and offset + count <= len(data)
    deepest = max(tiff.numbers(258), default=1)
    pixel_bytes = max(3, tiff.first(277, 1)) * max(1, -(-deepest // 8))
    tile = tiff.first(322, 0) * tiff.first(323, 0)
    return Header(
        "tiff", width, height, tiff.orientation(), not whole, pixel_bytes, buffered=tile * pixel_bytes
    )
