"""Broken image files, as many as one likes, and small ones that say they are large.

`python -m tests.image_fuzz cases FIRST COUNT` and `declared WIDTH HEIGHT` make and decode them, in a process
of their own under a limit of address space. It says which file it is at, and sums up what it saw as JSON, so that one
that crashes or takes everything is found. Case n is always the same.
"""

from __future__ import annotations

import json
import random
import resource
import struct
import sys
import time
import zlib
from collections import Counter
from collections.abc import Iterator
from functools import cache

import numpy as np

from edged.core.image import decode_image
from edged.core.tiff import tiff_page, tiff_pages
from edged.core.vision import cv2
from edged.errors import DecodeError

ADDRESS_SPACE = 3 << 30
_EDGES = (
    0,
    1,
    2,
    7,
    8,
    0x7F,
    0x80,
    0xFF,
    0xFFFF,
    0x7FFF,
    0x10000,
    0x7FFFFFFF,
    0x80000000,
    0xFFFFFFFF,
    20_000,
    8000,
)
_HEAD = 160
"""Bytes at a file's start in which most of what steers a decoder stands."""


def picture(height: int = 40, width: int = 60) -> np.ndarray:
    y, x = np.mgrid[0:height, 0:width]
    return np.dstack([x * 255 // width, y * 255 // height, (x * y) % 256]).astype(np.uint8)


def encoded(kind: str, image: np.ndarray, *options: int) -> bytes:
    return cv2.imencode(kind, image, list(options))[1].tobytes()


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(
    width: int, height: int, depth: int, colours: int, rows: bytes, *chunks: bytes, interlaced: bool = False
) -> bytes:
    size = struct.pack(">IIBBBBB", width, height, depth, colours, 0, 0, int(interlaced))
    body = b"".join(chunks) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", size) + body


def interlaced(grey: np.ndarray) -> bytes:
    """Adam7 (PNG 1.2 §2.6)."""
    passes = (
        (0, 0, 8, 8),
        (0, 4, 8, 8),
        (4, 0, 8, 4),
        (0, 2, 4, 4),
        (2, 0, 4, 2),
        (0, 1, 2, 2),
        (1, 0, 2, 1),
    )
    parts = [grey[y::down, x::across] for y, x, down, across in passes]
    rows = b"".join(b"\0" + row.tobytes() for part in parts for row in part if row.size)
    return png(grey.shape[1], grey.shape[0], 8, 0, rows, interlaced=True)


def animated_png() -> bytes:
    frame = struct.pack(">IIIIHHBB", 60, 40, 0, 0, 1, 10, 0, 0)
    pixels = zlib.compress(b"".join(b"\0" + bytes(60) for _ in range(40)))
    head = chunk(b"acTL", struct.pack(">II", 2, 0)) + chunk(b"fcTL", struct.pack(">I", 0) + frame)
    more = chunk(b"fcTL", struct.pack(">I", 1) + frame) + chunk(b"fdAT", struct.pack(">I", 2) + pixels)
    whole = png(60, 40, 8, 0, b"".join(b"\0" + bytes(range(60)) for _ in range(40)), head)
    return whole[:-12] + more + whole[-12:]


def tiff(entries: dict[int, tuple[int, int]], pixels: bytes, at_tag: int, *, big: bool = False) -> bytes:
    """A directory of (type, value) entries by tag, then the pixels, whose place goes into `at_tag`."""
    count = len(entries) + 1
    if big:
        head, at = b"II+\0" + struct.pack("<HHQ", 8, 0, 16), 16 + 8 + 20 * count + 8
        body = b"".join(
            struct.pack("<HHQQ", tag, kind, 1, value)
            for tag, (kind, value) in sorted((entries | {at_tag: (4, at)}).items())
        )
        return head + struct.pack("<Q", count) + body + bytes(8) + pixels
    head, at = b"II*\0" + struct.pack("<I", 8), 8 + 2 + 12 * count + 4
    body = b"".join(
        struct.pack("<HHII", tag, kind, 1, value)
        for tag, (kind, value) in sorted((entries | {at_tag: (4, at)}).items())
    )
    return head + struct.pack("<H", count) + body + bytes(4) + pixels


def bmp(bits: int, compression: int, pixels: bytes, palette: bytes = b"") -> bytes:
    info = struct.pack(
        "<IiiHHIIiiII", 40, 60, 40, 1, bits, compression, len(pixels), 0, 0, len(palette) // 4, 0
    )
    offset = 14 + len(info) + len(palette)
    return b"BM" + struct.pack("<IHHI", offset + len(pixels), 0, 0, offset) + info + palette + pixels


def animated_webp(still: bytes) -> bytes:
    def part(kind: bytes, body: bytes) -> bytes:
        return kind + struct.pack("<I", len(body)) + body + bytes(len(body) & 1)

    size = (59).to_bytes(3, "little") + (39).to_bytes(3, "little")
    frame = bytes(6) + size + (100).to_bytes(3, "little") + b"\0" + still[12:]
    body = part(b"VP8X", b"\x02\0\0\0" + size) + part(b"ANIM", bytes(6)) + part(b"ANMF", frame) * 2
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body


@cache
def seeds() -> dict[str, bytes]:
    """A small valid file of each kind."""
    colour, grey = picture(), picture()[:, :, 2]
    clear = np.dstack([colour, grey])
    deep = colour.astype(np.uint16) * 257
    pages = cv2.imencodemulti(".tiff", [colour, grey])[1].tobytes()
    jp2 = encoded(".jp2", colour)
    lossy = encoded(".webp", colour, cv2.IMWRITE_WEBP_QUALITY, 60)
    exif = b"Exif\0\0II*\0\x08\0\0\0\x01\0" + struct.pack("<HHIHH", 274, 3, 1, 6, 0) + bytes(4)
    jpeg = encoded(".jpg", colour)
    plain = {256: (3, 60), 257: (3, 40), 258: (3, 8), 259: (3, 1), 262: (3, 1), 277: (3, 1)}
    strips = plain | {278: (3, 40), 279: (4, 2400)}
    tiles = plain | {322: (3, 64), 323: (3, 48), 325: (4, 64 * 48)}
    text = chunk(b"zTXt", b"k\0\0" + zlib.compress(bytes(5000))) + chunk(b"gAMA", struct.pack(">I", 45455))
    return {
        "jpeg": jpeg,
        "jpeg grey": encoded(".jpg", grey),
        "jpeg progressive": encoded(".jpg", colour, cv2.IMWRITE_JPEG_PROGRESSIVE, 1),
        "jpeg restarts": encoded(".jpg", colour, cv2.IMWRITE_JPEG_RST_INTERVAL, 2),
        "jpeg exif": jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + jpeg[2:],
        "png": encoded(".png", colour),
        "png alpha": encoded(".png", clear),
        "png 16 bits": encoded(".png", deep),
        "png palette": png(60, 40, 8, 3, b"".join(b"\0" + bytes(range(60)) for _ in range(40)),
                           chunk(b"PLTE", bytes(range(180))), chunk(b"tRNS", bytes(range(60)))),
        "png 1 bit": png(60, 40, 1, 0, b"".join(b"\0" + b"\xa5" * 8 for _ in range(40)), text),
        "png interlaced": interlaced(grey),
        "png animated": animated_png(),
        "tiff lzw": encoded(".tiff", colour),
        "tiff plain": encoded(".tiff", colour, cv2.IMWRITE_TIFF_COMPRESSION, 1),
        "tiff deflate": encoded(".tiff", deep, cv2.IMWRITE_TIFF_COMPRESSION, 8, cv2.IMWRITE_TIFF_ROWSPERSTRIP, 8),
        "tiff packbits": encoded(".tiff", grey, cv2.IMWRITE_TIFF_COMPRESSION, 32773),
        "tiff jpeg": encoded(".tiff", colour, cv2.IMWRITE_TIFF_COMPRESSION, 7),
        "tiff float": encoded(".tiff", colour.astype(np.float32) / 255),
        "tiff strips": tiff(strips, grey.tobytes(), 273),
        "tiff tiles": tiff(tiles, bytes(range(256)) * 12, 324),
        "tiff fax": tiff(strips | {258: (3, 1), 259: (3, 4), 279: (4, 300)}, b"\x26\xa0" * 150, 273),
        "tiff pages": pages,
        "tiff big": tiff(strips, grey.tobytes(), 273, big=True),
        "bmp": encoded(".bmp", colour),
        "bmp alpha": encoded(".bmp", clear),
        "bmp palette": bmp(8, 0, grey.tobytes(), bytes(range(256)) * 4),
        "bmp rle8": bmp(8, 1, (b"\x3c\x05\0\0" * 39) + b"\x3c\x05\0\1", bytes(range(256)) * 4),
        "bmp rle4": bmp(4, 2, (b"\x3c\x55\0\0" * 39) + b"\x3c\x55\0\1", bytes(64)),
        "bmp 16 bits": bmp(16, 0, bytes(120) * 40),
        "webp": lossy,
        "webp lossless": encoded(".webp", colour, cv2.IMWRITE_WEBP_QUALITY, 101),
        "webp alpha": encoded(".webp", clear, cv2.IMWRITE_WEBP_QUALITY, 60),
        "webp animated": animated_webp(lossy),
        "jp2": jp2,
        "j2k": jp2[jp2.index(b"\xff\x4f\xff\x51") :],
        "jp2 grey": encoded(".jp2", grey),
    }  # fmt: skip


def whole_again(data: bytes) -> bytes:
    """A PNG with right check sums, so that what was broken reaches a decoder."""
    if not data.startswith(b"\x89PNG\r\n\x1a\n"):
        return data
    out, at = [data[:8]], 8
    while at + 12 <= len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        if at + 12 + length > len(data):
            break
        out.append(chunk(data[at + 4 : at + 8], data[at + 8 : at + 8 + length]))
        at += 12 + length
    return b"".join(out) + data[at:]


def case(number: int) -> tuple[str, bytes]:
    """(what it was, broken file)."""
    draw = random.Random(number)
    names = list(seeds())
    name = names[number % len(names)]
    data = bytearray(seeds()[name])
    for _ in range(draw.choice((1, 1, 2, 4))):
        at = draw.randrange(min(_HEAD, len(data)) if draw.random() < 0.6 else len(data))
        match draw.randrange(9):
            case 0 | 1:
                data[at] ^= 1 << draw.randrange(8)
            case 2 | 3:  # lengths, sizes, offsets
                size = draw.choice((1, 2, 4))
                value = draw.choice(_EDGES) & ((1 << 8 * size) - 1)
                data[at : at + size] = value.to_bytes(size, draw.choice(("big", "little")))
            case 4:
                data[at : at + 4] = draw.randbytes(4)
            case 5:
                del data[max(1, at) :]
            case 6:
                part = data[at : at + draw.randrange(1, 200)]
                data[at:at] = part * draw.choice((1, 2, 50))
            case 7:
                del data[at : at + draw.randrange(1, 40)]
                data = data or bytearray(b"\0")
            case 8:
                other = seeds()[draw.choice(names)]
                data[at:] = other[draw.randrange(len(other)) :] if draw.random() < 0.5 else other
        data = data or bytearray(b"\0")
    broken = bytes(data)
    return name, whole_again(broken) if draw.random() < 0.9 else broken


def declared(width: int, height: int) -> dict[str, bytes]:
    """Small files that say they are large: what is missing, decoders make up, and hold."""
    found = {}
    for name in ("jpeg", "jpeg progressive"):
        data = bytearray(seeds()[name])
        frame = data.index(b"\xff\xc2" if "progressive" in name else b"\xff\xc0")
        struct.pack_into(">HH", data, frame + 5, height, width)
        found[name] = bytes(data)
    for name in ("bmp rle8", "bmp rle4"):
        data = bytearray(seeds()[name])
        struct.pack_into("<ii", data, 18, width, height)
        found[name] = bytes(data)
    for name in ("tiff lzw", "tiff jpeg", "tiff packbits", "tiff fax", "tiff deflate"):
        found[name] = entries_changed(seeds()[name], t256=(4, width), t257=(4, height), t278=(4, height))
    for name in ("j2k", "jp2", "jp2 grey"):
        data = bytearray(seeds()[name])
        code = data.index(b"\xff\x4f\xff\x51")
        struct.pack_into(">II", data, code + 8, width, height)
        struct.pack_into(">II", data, code + 24, width, height)
        if name != "j2k":
            struct.pack_into(">II", data, data.index(b"ihdr") + 4, height, width)
        found[name] = bytes(data)
    moving = seeds()["webp animated"]
    canvas = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    found["webp animated"] = moving[:24] + canvas + moving[30:]
    return found


def entries_changed(data: bytes, **changes: tuple[int, int]) -> bytes:
    """A little-endian TIFF with some entries (`t322=(type, value)`) of its first directory replaced."""
    out = bytearray(data)
    (at,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, at)
    for place in range(at + 2, at + 2 + 12 * count, 12):
        (tag,) = struct.unpack_from("<H", data, place)
        if f"t{tag}" in changes:
            struct.pack_into("<HHII", out, place, tag, changes[f"t{tag}"][0], 1, changes[f"t{tag}"][1])
    return bytes(out)


def decode(data: bytes) -> str:
    """What becomes of every page: "decoded", or the code of why not."""
    found = "decoded"
    places = tiff_pages(data)
    for page in [tiff_page(data, place) for place in places[:4]] or [data]:
        try:
            image = decode_image(page)
        except DecodeError as error:
            found = error.code
        else:
            assert image.dtype == np.uint8
            assert image.ndim == 3
            assert image.size
    return found


def main(files: Iterator[tuple[str, bytes]]) -> None:
    """Decode named files and print what was seen: outcomes, the slowest, and how much more memory it took."""
    decode(seeds()["jp2"])
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))
    outcomes: Counter[str] = Counter()
    before = peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    seconds, slowest, largest = 0.0, "", ""
    for name, data in files:
        print(name, file=sys.stderr, flush=True)
        began = time.process_time()
        outcomes[decode(data)] += 1
        if (took := time.process_time() - began) > seconds:
            seconds, slowest = took, name
        if (now := resource.getrusage(resource.RUSAGE_SELF).ru_maxrss) > peak:
            peak, largest = now, name
    print(json.dumps({"outcomes": outcomes, "seconds": round(seconds, 3), "slowest": slowest,
                      "mib": (peak - before) // 1024, "largest": largest}))  # fmt: skip


def cases(first: int, count: int) -> Iterator[tuple[str, bytes]]:
    """Broken files by the number of the case."""
    for number in range(first, first + count):
        yield f"case {number}", case(number)[1]


if __name__ == "__main__":
    first, second = map(int, sys.argv[2:4])
    main(cases(first, second) if sys.argv[1] == "cases" else iter(declared(first, second).items()))
