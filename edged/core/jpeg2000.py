"""What a JPEG 2000 file makes its decoder hold, read from its headers alone (ISO/IEC 15444-1 Annexes A and I).

Pixels are the smaller part of it: a decoder keeps books on every tile, and in each tile on every precinct and
code-block of every component. A file of 200 octets may ask for millions of them.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

JP2: Final = b"\x00\x00\x00\x0cjP  \r\n\x87\n"
J2K: Final = b"\xff\x4f\xff\x51"

_MAX_BOXES: Final = 4096
"""Boxes followed in one file: far beyond what writers produce."""
_MAX_SEGMENTS: Final = 65_536
"""Marker segments looked at in one codestream. A file with more of them is refused."""
_MAX_PALETTES: Final = 16

_SOT, _SOD, _EOC, _COD, _COC = 0xFF90, 0xFF93, 0xFFD9, 0xFF52, 0xFF53

_TILE_OCTETS: Final = 8192
_TILE_COMPONENT_OCTETS: Final = 2048
_BLOCK_OCTETS: Final = 1024
"""What OpenJPEG 2.5 keeps for a tile, for a component of a tile, and for a code-block with its precinct: measured at
10 kB for a tile of one component, 13 kB for one of three, 400 octets for a code-block alone; rounded up."""
_PACKET_OCTETS: Final = 2
"""One flag for each packet of a tile: layers times levels times precincts."""


class Extent(NamedTuple):
    """What decoding has to hold.

    Attributes:
        width, height: of the image, in pixels.
        samples: of a pixel, what palettes make of it included.
        books: octets kept beside the samples.
        ended: whether the end of the codestream is there.
    """

    width: int
    height: int
    samples: int
    books: int
    ended: bool


class _Coding(NamedTuple):
    """Of one COD or COC segment (A.6.1, A.6.2): pixels of a code-block and of a precinct, levels, layers."""

    block: int
    precinct: int
    levels: int
    layers: int


def extent(data: bytes) -> Extent | None:
    """Of a JP2 file or a bare codestream; None for a grid that is none. struct.error or IndexError when it is cut."""
    start = 0 if data.startswith(J2K) else _codestream(data)
    if not data.startswith(J2K, start):
        raise IndexError
    # SIZ (A.5.1): the image area is the grid less its offset.
    x1, y1, x0, y0, across, down, left, top, components = struct.unpack_from(">8IH", data, start + 8)
    if x1 <= x0 or y1 <= y0 or not across or not down or left > x0 or top > y0 or not components:
        return None
    width, height = x1 - x0, y1 - y0
    tiles = -(-(x1 - left) // across) * -(-(y1 - top) // down)
    tile = min(width, across) * min(height, down)
    books = tiles * (_TILE_OCTETS + components * _TILE_COMPONENT_OCTETS)
    for coding in _codings(data, start, components):
        blocks = -(-width * height // coding.block) * components
        packets = coding.layers * (coding.levels + 1) * -(-tile // coding.precinct) * components
        books = max(books, tiles * _TILE_OCTETS + blocks * _BLOCK_OCTETS + packets * _PACKET_OCTETS)
    ended = data.find(b"\xff\xd9", max(start, len(data) - 4096)) >= 0
    return Extent(width, height, components + _palette(data, start), books, ended)


def _codings(data: bytes, start: int, components: int) -> Iterator[_Coding]:
    """Every way of coding that the codestream's headers set, those of its tile parts included."""
    at, part_end = start + 2, len(data)
    for _ in range(_MAX_SEGMENTS):
        if at + 4 > len(data):
            return
        marker, length = struct.unpack_from(">HH", data, at)
        if marker == _EOC:
            return
        if marker == _SOD:  # no length: it is the tile part's, and may lie
            at = max(part_end, at + 2)
            continue
        if marker == _SOT:
            (part,) = struct.unpack_from(">I", data, at + 6)
            part_end = max(at + part, at + 12) if part else len(data)
        elif marker == _COD:
            (layers,) = struct.unpack_from(">H", data, at + 6)
            yield _coding(data, at + 9, data[at + 4], layers)
        elif marker == _COC:
            at_style = at + (5 if components < 257 else 6)
            yield _coding(data, at_style + 1, data[at_style], 1)
        at += 2 + max(length, 2)
    raise IndexError


def _coding(data: bytes, at: int, style: int, layers: int) -> _Coding:
    """SPcod, SPcoc (A.6.1): levels, exponents of the code-block less two, its style, the transform, precincts."""
    levels = min(data[at], 32)
    wide, tall = (data[at + 1] & 15) + 2, (data[at + 2] & 15) + 2
    across = down = 15
    if style & 1:
        sizes = data[at + 5 : at + 6 + levels] or b"\xff"
        across, down = min(size & 15 for size in sizes), min(size >> 4 for size in sizes)
    # A code-block ends with its precinct, which is half as large in a band as in the picture.
    block = min(wide, max(across - 1, 0)) + min(tall, max(down - 1, 0))
    return _Coding(1 << block, 1 << across + down, levels, layers)


def _palette(data: bytes, start: int) -> int:
    """Columns of the palettes before the codestream (I.5.3.4): a decoder makes a component of each."""
    at, columns = 0, 0
    for _ in range(_MAX_PALETTES):
        at = data.find(b"pclr", at, start)
        if at < 0:
            return columns
        columns = max(columns, data[at + 6])
        at += 4
    return 255


def _codestream(data: bytes) -> int:
    """Where the first codestream box's contents start (I.4), the file's end when there is none."""
    at = 0
    for _ in range(_MAX_BOXES):
        if at + 8 > len(data):
            break
        length, kind = struct.unpack_from(">I4s", data, at)
        head = 8
        if length == 1:
            (length,) = struct.unpack_from(">Q", data, at + 8)
            head = 16
        if kind == b"jp2c":
            return at + head
        if length < head:
            break
        at += length
    return len(data)
